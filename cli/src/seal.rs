//! `leat seal`: a fitted state of values that are given, not learnt.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leat::features::FittedState;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::fit::short;
use crate::output::Output;
use crate::places::Places;
use crate::recipe;

/// See `leat seal --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recipe.
    recipe: String,
    /// What its steps know: JSON, a list of `{"op": …, "state": {out: …}}`, one for each step that learns, in the
    /// recipe's order. What each state holds stands in a state that `leat fit` wrote.
    #[arg(long, value_name = "GIVEN.json")]
    given: String,
    /// Where the fitted state goes.
    #[arg(long, value_name = "STATE.json")]
    state: PathBuf,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let engine = recipe::check(&places, &args.recipe)?;
    let given = places.read_text("given states", &args.given)?;
    let state = FittedState::given(engine.recipe(), engine.plan(), engine.hash(), &given)
        .map_err(|why| Refusal::new(format!("{}: {why}", args.given)))?;
    let mut output = Output::create(&args.state)?;
    output.write_all(state.to_json().as_bytes()).map_err(|why| output.failed(&why))?;
    output.finish()?;
    let features: Vec<&str> = state.columns.iter().map(|column| column.name.as_str()).collect();
    let text = format!(
        "sealed {} features of {} as given\nstate {} of recipe {} is in {}",
        features.len(),
        state.recipe,
        short(&state.hash),
        short(&state.recipe_hash),
        args.state.display(),
    );
    let document = json!({
        "recipe": state.recipe, "recipe_hash": state.recipe_hash, "state_hash": state.hash, "features": features,
        "state": args.state,
    });
    Ok(Answer::good(text, document).beside(&args.state))
}
