//! `leat generate card-transactions`: example data that the seed decides, on every machine.

mod people;
mod random;
mod transactions;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use leat::timestamp;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::output::Output;
use crate::progress::Progress;
use transactions::{Label, Line, Transactions};

/// What can be generated.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// Card transactions of customers at merchants, with fraud that shows in behaviour: one JSON object a line.
    ///
    /// A seed decides an endless sequence of events. `--events` takes so many from it, after those that `--skip`
    /// leaves out: `--events 20000` is a history, and `--skip 20000 --events 500` is what the same customers do next.
    CardTransactions(CardTransactions),
}

/// See [`Generate::CardTransactions`].
#[derive(Debug, Args)]
pub struct CardTransactions {
    /// How many lines to write, damaged ones and repeats among them.
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// The same seed gives the same customers and the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave out so many events before the first.
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// When the sequence begins (RFC 3339): before the skipped events.
    #[arg(long, default_value = "2026-01-01T00:00:00Z", value_parser = parse_time)]
    start: i64,
    /// How many customers there are; each pays about twice a day.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    customers: u32,
    /// Write the labels to this file and leave them out of the events, as when serving: JSON Lines of the data set
    /// card-transactions-labels (transaction_id, known_at, is_fraud), or CSV (transaction_id,is_fraud) by its name.
    #[arg(long, value_name = "LABELS.jsonl")]
    labels: Option<PathBuf>,
    /// Where the lines go: a file, or `-` for standard output.
    #[arg(long)]
    output: PathBuf,
}

fn parse_time(text: &str) -> Result<i64, String> {
    timestamp::parse(text)
        .ok_or_else(|| format!("`{text}` is no RFC 3339 time such as 2026-01-01T00:00:00Z"))
}

/// The file of labels.
struct Labels {
    output: Output,
    csv: bool,
}

impl Labels {
    fn create(path: &Path) -> Result<Self, Refusal> {
        let csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mut labels = Labels { output: Output::create(path)?, csv };
        if csv {
            labels.line("transaction_id,is_fraud")?;
        }
        Ok(labels)
    }

    fn write(&mut self, label: &Label) -> Result<(), Refusal> {
        let Label { transaction_id, is_fraud, known_at } = label;
        let is_fraud = u8::from(*is_fraud);
        if self.csv {
            return self.line(&format!("{transaction_id},{is_fraud}"));
        }
        let known_at = timestamp::to_text(*known_at);
        self.line(&format!(
            r#"{{"transaction_id":"{transaction_id}","known_at":"{known_at}","is_fraud":{is_fraud}}}"#
        ))
    }

    fn line(&mut self, line: &str) -> Result<(), Refusal> {
        writeln!(self.output, "{line}").map_err(|why| self.output.failed(&why))
    }
}

/// Runs the command.
pub fn run(Generate::CardTransactions(args): Generate) -> Result<Answer, Refusal> {
    let mut output = Output::create(&args.output)?;
    let mut labels = args.labels.as_deref().map(Labels::create).transpose()?;
    let sequence =
        Transactions::new(args.seed, args.customers as usize, args.start, labels.is_none());
    let progress = Progress::rows("generating", Some(args.events as u64));
    let (mut fraud, mut damaged) = (0u64, 0u64);
    for Line { mut text, label } in sequence.skip(args.skip).take(args.events) {
        text.push(b'\n');
        output.write_all(&text).map_err(|why| output.failed(&why))?;
        progress.add(1);
        let Some(label) = label else {
            damaged += 1;
            continue;
        };
        fraud += u64::from(label.is_fraud);
        if let Some(labels) = &mut labels {
            labels.write(&label)?;
        }
    }
    progress.finish();
    output.finish()?;
    labels.map(|labels| labels.output.finish()).transpose()?;
    let (events, to) = (args.events, args.output.display());
    let text = format!("wrote {events} events to {to}: {fraud} fraudulent, {damaged} damaged");
    let document = json!({
        "events": events, "fraudulent": fraud, "damaged": damaged, "output": args.output,
    });
    Ok(Answer::good(text, document).beside(&args.output))
}
