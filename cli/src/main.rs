//! `leat`: the engine for a person. Exit status: 0 good, 1 the data failed, 2 misuse or refusal.

mod answer;
mod check;
mod curate;
mod data;
mod fit;
mod generate;
mod html;
mod infer;
mod operators;
mod output;
mod places;
mod profile;
mod progress;
mod quarantined;
mod recipe;
mod replay;
mod rules;
mod seal;
mod seed;
mod show;
mod skew;
mod transform;
mod types;
mod validate;

use std::process::ExitCode;

use answer::{Answer, Format};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "leat",
    version,
    about = "One recipe; the same features by stream, by file and by the hour."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How to answer: `json` prints one document on standard output.
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a recipe or a ruleset; show what it comes to.
    Check(check::Arguments),
    /// Learn the fitted state of a recipe from data.
    Fit(fit::Arguments),
    /// Write a fitted state of values that are given instead of learnt.
    Seal(seal::Arguments),
    /// Turn data into features.
    Transform(transform::Arguments),
    /// Make the features of a training run, in a lake.
    Curate(curate::Arguments),
    /// Turn a history into the items that a stream's entities start with.
    Seed(seed::Arguments),
    /// Judge data by a ruleset.
    Validate(validate::Arguments),
    /// Show what the columns of data hold.
    Profile(profile::Arguments),
    /// Write a starting recipe and ruleset from a sample of data.
    Infer(infer::Arguments),
    /// Measure how data has drifted from other data, or from a fitted state.
    Skew(skew::Arguments),
    /// Put quarantined records through the recipe as it is now.
    Replay(quarantined::Arguments),
    /// Print the JSON Schema of a recipe, for editors.
    Schema,
    /// List the operators, or show the manual of one.
    Operators(operators::Arguments),
    /// List DQDL's rule types, or show the manual of one.
    Rules(rules::Arguments),
    /// Make deterministic example data.
    #[command(subcommand)]
    Generate(generate::Generate),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Fit(args) => fit::run(&args),
        Command::Seal(args) => seal::run(&args),
        Command::Transform(args) => transform::run(&args),
        Command::Curate(args) => curate::run(&args),
        Command::Seed(args) => seed::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Infer(args) => infer::run(&args),
        Command::Skew(args) => skew::run(&args),
        Command::Replay(args) => quarantined::run(&args),
        Command::Schema => Ok(schema()),
        Command::Operators(args) => operators::run(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Generate(args) => generate::run(args),
    };
    answer::say(&result, cli.format)
}

/// `leat schema`: the same for a person and a program.
fn schema() -> Answer {
    let schema = leat::recipe::schema::schema(&leat::features::specs());
    Answer::good(format!("{schema:#}"), schema)
}
