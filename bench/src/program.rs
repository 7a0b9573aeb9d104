//! What the measured programs do alike: they go over the payloads of a file again and again, and print one line.

#![expect(clippy::print_stdout, reason = "the line is the program's answer")]

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

use crate::arguments::Arguments;
use crate::clock::Times;
use crate::line::{Who, line};
use crate::runtime::Payloads;

/// One time over all payloads.
pub trait Round {
    /// Does the work of one payload.
    fn payload(&mut self, payload: &[u8]) -> Result<(), String>;

    /// The rows that the last payload gave, as CSV.
    fn rows(&self) -> &[u8] {
        &[]
    }

    /// What it took.
    fn times(&self) -> Times;

    /// How many events there were.
    fn events(&self) -> usize;

    /// What shows that the work was the same as another's.
    fn check(&self) -> Value;
}

/// Prints what `run` gives, or says under the program's name why it gives nothing.
pub fn main(name: &str, run: impl FnOnce(&Arguments) -> Result<String, String>) -> ExitCode {
    match run(&Arguments::of_process()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The text of a file.
pub fn text(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{path}: {why}"))
}

/// Goes over the input `--repeat` times, each time with what `start` gives, and gives the line of `peer`. The rows of the
/// first time go to `--dump`.
pub fn measure<R: Round>(
    args: &Arguments,
    (peer, variant): (&str, &str),
    repeat: u64,
    mut start: impl FnMut() -> Result<R, String>,
) -> Result<String, String> {
    let input = args.input()?;
    let create = |path| File::create(path).map_err(|why| format!("{path}: {why}"));
    let mut dump = args.after("--dump").map(create).transpose()?;
    let (mut times, mut last) = (Vec::new(), (0, Value::Null));
    for _ in 0..args.number("--repeat", repeat)?.max(1) {
        let (mut round, mut payloads) = (start()?, Payloads::open(input)?);
        while let Some(payload) = payloads.read()? {
            round.payload(payload)?;
            if let Some(file) = &mut dump {
                file.write_all(round.rows()).map_err(|why| why.to_string())?;
            }
        }
        dump = None;
        times.push(round.times());
        last = (round.events(), round.check());
    }
    let (events, check) = last;
    Ok(line(&Who { peer, variant, input, events }, &times, check))
}
