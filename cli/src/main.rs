//! `leat`: the engine for a person. Exit status: 0 good, 1 the data failed, 2 misuse or refusal.

#[allow(dead_code, reason = "the commands that read recipes follow")]
mod answer;
mod generate;
mod output;
#[allow(dead_code, reason = "the commands that read recipes follow")]
mod progress;

use std::process::ExitCode;

use answer::Format;
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
    /// Make deterministic example data.
    #[command(subcommand)]
    Generate(generate::Generate),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Generate(args) => generate::run(args),
    };
    answer::say(&result, cli.format)
}
