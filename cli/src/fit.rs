//! `leat fit`: learn the fitted state.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leat::features::{FeatureError, Fit, FittedState};
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::output::Output;
use crate::places::Places;
use crate::replay;

/// See `leat fit --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    of: replay::Arguments,
    /// Where the fitted state goes.
    #[arg(long, value_name = "STATE.json")]
    state: PathBuf,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let engine = args.of.engine(&places)?;
    let (recipe, plan) = (engine.recipe(), engine.plan());
    let output = Output::create(&args.state)?;
    let (leat_batch::Replayed { batch, .. }, replayed) = args.of.replay(&places, &engine)?;
    let (columns, identities, rows) = (&batch.columns, batch.identities(), batch.len());
    let mut states = Vec::new();
    for level in 1..=plan.passes() {
        let mut fit = Fit::new(recipe, plan, level, &states).map_err(refuse)?;
        fit.update(columns, &identities);
        states = fit.finish().map_err(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Refusal::new(errors.join("\nerror: "))
        })?;
    }
    let state =
        FittedState::new(recipe, plan, engine.hash(), rows as u64, &states).map_err(refuse)?;
    let mut output = output;
    output.write_all(state.to_json().as_bytes()).map_err(|why| output.failed(&why))?;
    output.finish()?;
    let features: Vec<&str> = state.columns.iter().map(|column| column.name.as_str()).collect();
    let text = format!(
        "fitted {} on {}: {} features by {} of the data\nstate {} of recipe {} is in {}",
        recipe.name,
        replayed.summary(),
        features.len(),
        match plan.passes() {
            1 => "1 pass".to_owned(),
            n => format!("{n} passes"),
        },
        short(&state.hash),
        short(&state.recipe_hash),
        args.state.display(),
    );
    let document = json!({
        "recipe": recipe.name, "recipe_hash": state.recipe_hash, "state_hash": state.hash,
        "passes": plan.passes(), "features": features, "data": replayed.counts(), "state": args.state,
    });
    Ok(Answer::good(text, document).beside(&args.state))
}

fn refuse(why: FeatureError) -> Refusal {
    Refusal::new(why.to_string())
}

/// As much of a hash as a person compares.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
