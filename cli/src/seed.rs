//! `leat seed`: a history becomes what entities start with. The items lie ready for DynamoDB; the first launch writes
//! them before the stream starts.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leat_batch::seeds::seeds;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::output::Output;
use crate::places::Places;
use crate::replay;

/// See `leat seed --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    of: replay::Arguments,
    /// Where the items go: DynamoDB JSON, a line for each entity.
    #[arg(long, value_name = "ITEMS.jsonl")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let engine = args.of.engine(&places)?;
    let mut output = Output::create(&args.output)?;
    let (parts, states, replayed) = args.of.admit(&places, &engine)?.replay(&engine);
    let rows = || parts.iter().flat_map(|part| &part.rows);
    if rows().any(|row| !row.coordinates.shard.is_empty()) {
        // A seed has no marks: the stream would apply these events once more.
        return Err(Refusal::new("the data holds events of a stream")
            .hint("seed from files alone: the stream brings its own events"));
    }
    let seeds = seeds(&engine, &states);
    for seed in &seeds {
        let line = json!({"Item": {
            "pk": {"S": seed.key},
            "v": {"N": "1"},
            "b": {"B": base64_simd::STANDARD.encode_to_string(seed.item.encode())},
        }});
        writeln!(output, "{line}").map_err(|why| output.failed(&why))?;
    }
    output.finish()?;
    let text = format!(
        "{} entities of {} are in {}",
        seeds.len(),
        replayed.summary(),
        args.output.display()
    );
    let document = json!({
        "recipe": engine.recipe().name, "recipe_hash": engine.hash(), "state_plan": engine.plan().state_plan,
        "entities": seeds.len(), "rows": rows().count(), "rejected": replayed.left_out().rejected(), "output": args.output,
    });
    Ok(Answer::good(text, document).beside(&args.output))
}
