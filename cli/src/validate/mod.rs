//! `leat validate`: what a ruleset says of data.

mod infer;

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use leat::column::Type;
use leat::decode::{Decoder, Limits};
use leat::quality::{self, Evaluation, Outcome, Status};
use leat::recipe::Format;
use leat::timestamp;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::data::{DataArguments, LeftOut};
use crate::places::Places;
use crate::recipe::{self, KeysArgument};
use crate::show::table;

/// See `leat validate --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The ruleset.
    #[arg(value_name = "RULES.dqdl")]
    rules: String,
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    keys: KeysArgument,
    /// The recipe whose schema the data has; without it types come from the data.
    #[arg(long)]
    recipe: Option<String>,
    /// How rules that are joined by `and`, `or` are evaluated.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// What `now()` stands for (RFC 3339); the present without it.
    #[arg(long, value_parser = parse_time)]
    now: Option<i64>,
}

/// As [`quality::Method`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Method {
    /// Each part over the whole data set, as AWS Glue does if it is not told otherwise.
    #[default]
    Column,
    /// All parts of a rule row by row, as a stream does: every row must pass.
    Row,
}

fn parse_time(text: &str) -> Result<i64, String> {
    let micros = timestamp::parse(text)
        .ok_or_else(|| format!("`{text}` is no RFC 3339 time such as 2026-01-01T00:00:00Z"))?;
    Ok(micros.div_euclid(1000))
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let text = places.read_text("ruleset", &args.rules)?;
    let refuse = |errors| Refusal::of(errors, vec![(args.rules.clone(), text.clone())]);
    let ruleset = quality::parse(&args.rules, &text).map_err(refuse)?;
    let engine = match &args.recipe {
        Some(place) => Some(recipe::load(&places, place, &args.keys)?),
        None => None,
    };
    let format = engine.as_ref().map_or(Format::Json, |engine| engine.recipe().schema.format);
    let mut data = args.data.find(&places, format, args.keys.given())?;
    let (recipe, decoder) = match &engine {
        Some(engine) => (engine.recipe().clone(), engine.decoder().clone()),
        None => {
            let recipe = infer::recipe(&mut data)?;
            let decoder = Decoder::new(&recipe, None, Limits::default());
            (recipe, decoder)
        }
    };
    let columns: Vec<(String, Type)> =
        recipe.schema.fields.iter().map(|f| (f.name.clone(), recipe.kind(f))).collect();
    let now = args.now.unwrap_or_else(now);
    let method = match args.method {
        Method::Column => quality::Method::Column,
        Method::Row => quality::Method::Row,
    };
    let evaluation = Evaluation::compile(&ruleset, &columns, Some(now), method).map_err(refuse)?;
    let (mut metrics, mut left_out) = (evaluation.start(), LeftOut::default());
    data.each("validating", &recipe, &decoder, |piece| {
        left_out.rejects.add(&piece.rejects);
        left_out.sentinels += piece.sentinels;
        evaluation.update(&mut metrics, &piece.batch.columns, piece.batch.len());
        Ok(())
    })?;
    left_out.tell();
    let outcomes = evaluation.finish(&metrics).map_err(|why| Refusal::new(why.to_string()))?;
    let failed = outcomes.iter().filter(|outcome| outcome.outcome == Status::Failed).count();
    let summary = format!(
        "{} rows, {} rejected before the rules: {} of {} rules failed",
        metrics.rows(),
        left_out.rejected(),
        failed,
        outcomes.len()
    );
    let header = ["outcome", "rule", "failed rows", "reason"];
    let text = format!("{}\n{summary}", table(&header, outcomes.iter().map(row)));
    let document = json!({
        "passed": failed == 0, "rows": metrics.rows(), "rejected": left_out.rejected(),
        "rejected_by": left_out.rejected_by(), "dropped_by": left_out.dropped_by(), "ruleset_hash": ruleset.hash(),
        "now": timestamp::to_text(now.saturating_mul(1000)), "outcomes": outcomes,
    });
    Ok(Answer { passed: failed == 0, ..Answer::good(text, document) })
}

fn row(outcome: &Outcome) -> Vec<String> {
    let status = match outcome.outcome {
        Status::Passed => "Passed",
        Status::Failed => "Failed",
    };
    let failed = outcome.failed_rows.map(|n| n.to_string()).unwrap_or_default();
    let reason = outcome.reason.clone().unwrap_or_default();
    vec![status.to_owned(), outcome.rule.clone(), failed, reason]
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
