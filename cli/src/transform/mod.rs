//! `leat transform`: rows into features.

mod table;

use std::mem;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use leat::column::{Column, Type};
use leat::decode::Batch;
use leat::features::{self, Features, FittedState};
use leat::recipe::Role;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::fit::short;
use crate::places::Places;
use crate::progress::Progress;
use crate::replay::{self, Admitted, Replayed};
use table::{Kind, Rows, Table};

/// See `leat transform --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    of: replay::Arguments,
    /// The fitted state, from `leat fit`.
    #[arg(long, value_name = "STATE.json")]
    state: String,
    /// Where the features go: `.csv` (with a header), `.jsonl`, `.parquet`, a folder (Parquet), or `-` (JSON Lines).
    /// A row has its id, entity and event time, then the features.
    #[arg(long)]
    output: PathBuf,
    /// What the features are for. They differ where a step learnt from labels: a row to train on must not see its own.
    #[arg(long, value_enum, default_value_t = Mode::Serve)]
    mode: Mode,
}

/// See [`features::Mode`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// A model that serves gets them.
    Serve,
    /// A model is trained on them, and the rows are those that the state was fitted on.
    Train,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let kind = Kind::of(&args.output)?;
    let engine = args.of.engine(&places)?;
    let (recipe, plan) = (engine.recipe(), engine.plan());
    let text = places.read_text("fitted state", &args.state)?;
    let refuse = |why: String| Refusal::new(format!("{}: {why}", args.state));
    let state =
        FittedState::from_json(&text, engine.hash()).map_err(|why| refuse(why.to_string()))?;
    let features = Features::bind(recipe, plan, &state).map_err(|why| refuse(why.to_string()))?;

    let roles = [Role::Id, Role::Entity, Role::EventTime];
    let slots: Vec<usize> = roles.iter().filter_map(|role| recipe.schema.role(*role)).collect();
    let of_row =
        slots.iter().map(|&slot| (plan.columns[slot].name.clone(), plan.columns[slot].kind));
    let made = features.names().iter().cloned().zip(features.kinds().iter().copied());
    // A feature of the same name is the row's own column, which comes first.
    let names: Vec<String> = of_row.clone().map(|(name, _)| name).collect();
    let keep: Vec<bool> = features.names().iter().map(|name| !names.contains(name)).collect();
    let columns: Vec<(String, Type)> = of_row
        .chain(made.zip(&keep).filter(|(_, keep)| **keep).map(|(column, _)| column))
        .collect();

    let mode = match args.mode {
        Mode::Serve => features::Mode::Serve,
        Mode::Train => features::Mode::Train,
    };
    let mut table = Table::create(&args.output, kind, &columns)?;
    let Admitted { mut rows, count, left_out } = args.of.admit(&places, &engine)?;
    let progress = Progress::rows("transforming", Some(count as u64));
    let made = |part: Batch| {
        let made = features.apply_in(mode, &part.columns, &part.identities());
        let made = made.into_iter().zip(&keep).filter(|(_, keep)| **keep).map(|(column, _)| column);
        let mut columns = part.columns;
        let own =
            slots.iter().map(|&slot| mem::replace(&mut columns[slot], Column::new(Type::Bool)));
        Rows { count: part.rows.len(), columns: own.chain(made).collect() }
    };
    let mut written = 0;
    for round in rows.by_ref() {
        let round: Vec<Batch> = round.into_iter().filter(|part| !part.is_empty()).collect();
        written += round.iter().map(Batch::len).sum::<usize>() as u64;
        table.write(args.of.cores(), round, made)?;
        progress.set(written);
    }
    progress.finish();
    let replayed = Replayed::new(written, &rows, left_out);
    replayed.tell(&engine);
    let document = json!({
        "recipe": recipe.name, "recipe_hash": engine.hash(), "state_hash": state.hash, "mode": mode,
        "columns": columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect::<Vec<_>>(),
        "data": replayed.counts(), "output": args.output,
    });
    table.finish(&document)?;
    let text = format!(
        "transformed {} into {} features with state {} of recipe {}: {}",
        replayed.summary(),
        columns.len() - slots.len(),
        short(&state.hash),
        short(engine.hash()),
        args.output.display()
    );
    Ok(Answer::good(text, document).beside(&args.output))
}
