//! `leat seed`: a history becomes what entities start with. The items lie ready for DynamoDB; the first launch writes
//! them before the stream starts.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leat::engine::{Replay, order};
use leat::windows::item::{Item, state_key};
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::data::DataArguments;
use crate::output::Output;
use crate::places::Places;
use crate::recipe::{self, KeysArgument};

/// See `leat seed --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recipe.
    recipe: String,
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    keys: KeysArgument,
    /// Where the items go: DynamoDB JSON, a line for each entity.
    #[arg(long, value_name = "ITEMS.jsonl")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let engine = recipe::load(&places, &args.recipe, &args.keys)?;
    let recipe = engine.recipe();
    let mut output = Output::create(&args.output)?;
    let data = args.data.find(&places, recipe.schema.format, args.keys.given())?;
    let (batch, rejects) = data.admit(&engine)?;
    rejects.tell();
    if batch.rows.iter().any(|row| !row.coordinates.shard.is_empty()) {
        // A seed has no marks: the stream would apply these events once more.
        return Err(Refusal::new("the data holds events of a stream")
            .hint("seed from files alone: the stream brings its own events"));
    }
    let (rows, _) = order(&engine, &batch);
    let mut batch = batch.gather(&rows);
    let mut replay = Replay::new(&engine);
    replay.apply(&mut batch);
    let mut states: Vec<_> = replay.into_states().into_iter().collect();
    states.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (entity, state) in &states {
        let item = Item { windows: state.encode(), ..Item::default() };
        let line = json!({"Item": {
            "pk": {"S": state_key(&engine.plan().state_plan, entity)},
            "v": {"N": "1"},
            "b": {"B": base64_simd::STANDARD.encode_to_string(item.encode())},
        }});
        writeln!(output, "{line}").map_err(|why| output.failed(&why))?;
    }
    output.finish()?;
    let text = format!(
        "{} entities of {} events are in {}",
        states.len(),
        batch.len(),
        args.output.display()
    );
    let document = json!({
        "recipe": recipe.name, "recipe_hash": engine.hash(), "state_plan": engine.plan().state_plan,
        "entities": states.len(), "rows": batch.len(), "rejected": rejects.count(), "output": args.output,
    });
    Ok(Answer::good(text, document).beside(&args.output))
}
