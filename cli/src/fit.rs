//! `leat fit`: learn the fitted state.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leat::decode::Batch;
use leat::engine::Engine;
use leat::features::{FeatureError, Fit, FittedState, StepState};
use leat_batch::Cores;
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
    let (parts, _, replayed) = args.of.admit(&places, &engine)?.replay(&engine);
    let rows: usize = parts.iter().map(Batch::len).sum();
    let mut states = Vec::new();
    for level in 1..=plan.passes() {
        let fit = learn(&engine, args.of.cores(), level, &states, &parts).map_err(refuse)?;
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

/// A level of the fit, over all of `parts`. What is learnt apart is merged to the bit, however the rows were shared.
fn learn(
    engine: &Engine,
    cores: Cores,
    level: usize,
    so_far: &[Option<StepState>],
    parts: &[Batch],
) -> Result<Fit, FeatureError> {
    let begin = || Fit::new(engine.recipe(), engine.plan(), level, so_far);
    let shares = parts.chunks(parts.len().div_ceil(cores.count()).max(1)).collect();
    let learnt = cores.map(shares, |share: &[Batch]| {
        let mut fit = begin()?;
        share.iter().for_each(|part| fit.update(&part.columns, &part.identities()));
        Ok(fit)
    });
    let mut learnt = learnt.into_iter();
    let mut fit = learnt.next().unwrap_or_else(begin)?;
    for more in learnt {
        fit.merge(&more?)?;
    }
    Ok(fit)
}

fn refuse(why: FeatureError) -> Refusal {
    Refusal::new(why.to_string())
}

/// As much of a hash as a person compares.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
