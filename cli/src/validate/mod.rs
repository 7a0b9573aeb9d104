//! `leat validate`: what a ruleset says of data.

mod history;
mod infer;

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use leat::column::Type;
use leat::decode::{Decoder, Limits};
use leat::number::to_text;
use leat::quality::reference::aliases;
use leat::quality::{
    self, Context, Evaluation, History, Outcome, Reference, References, Ruleset, Status,
};
use leat::recipe::Format;
use leat::timestamp;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::data::{DataArguments, LeftOut, listing};
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
    /// A data set that rules compare with, by its alias. Its types come from the data.
    #[arg(long, value_name = "ALIAS=DATA", value_parser = parse_reference)]
    reference: Vec<(String, String)>,
    /// Where earlier runs left what they measured, for `last(k)` and `DetectAnomalies`; this run leaves it there too.
    #[arg(long, value_name = "FOLDER")]
    history: Option<String>,
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

fn parse_reference(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((alias, data)) if !alias.is_empty() && !data.is_empty() => {
            Ok((alias.to_owned(), data.to_owned()))
        }
        _ => Err(format!("`{text}` is no ALIAS=DATA")),
    }
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
    let references = references(&places, &args.reference, &ruleset, &columns)?;
    let runs = args.history.as_ref().map(|place| history::Runs::open(&places, place, now));
    let runs = runs.transpose()?;
    let earlier = runs.as_ref().map_or(Ok(History::NONE), history::Runs::read)?;
    let files = listing::list(&places, &ruleset, &data)?;
    let context = Context {
        references: &references,
        files: &files,
        history: Some(&earlier),
        ..Context::new(Some(now), method)
    };
    let evaluation = Evaluation::within(&ruleset, &columns, &context).map_err(refuse)?;
    let (mut metrics, mut left_out) = (evaluation.start(), LeftOut::default());
    data.each("validating", &recipe, &decoder, |piece| {
        left_out.rejects.add(&piece.rejects);
        left_out.sentinels += piece.sentinels;
        evaluation.update(&mut metrics, &piece.batch.columns, piece.batch.len());
        Ok(())
    })?;
    left_out.tell();
    let report = evaluation.report(&metrics).map_err(|why| Refusal::new(why.to_string()))?;
    let outcomes = &report.outcomes;
    let failed = outcomes.iter().filter(|outcome| outcome.outcome != Status::Passed).count();
    if let Some(runs) = &runs {
        runs.write(&report, &ruleset.hash(), metrics.rows(), failed == 0)?;
    }
    let summary = format!(
        "{} rows, {} rejected before the rules: {} of {} rules failed",
        metrics.rows(),
        left_out.rejected(),
        failed,
        outcomes.len()
    );
    let mut text = String::new();
    if !outcomes.is_empty() {
        let header = ["outcome", "rule", "measured", "failed rows", "reason"];
        text += &format!("{}\n", table(&header, outcomes.iter().map(row)));
    }
    if !report.analyzers.is_empty() {
        let analyzed = report.analyzers.iter().map(|(name, x)| vec![name.clone(), to_text(*x)]);
        text += &format!("{}\n", table(&["analyzed", "value"], analyzed));
    }
    text += &summary;
    let document = json!({
        "passed": failed == 0, "rows": metrics.rows(), "rejected": left_out.rejected(),
        "rejected_by": left_out.rejected_by(), "dropped_by": left_out.dropped_by(), "ruleset_hash": ruleset.hash(),
        "now": timestamp::to_text(now.saturating_mul(1000)), "outcomes": outcomes,
        "analyzers": report.analyzers,
    });
    Ok(Answer { passed: failed == 0, ..Answer::good(text, document) })
}

fn row(outcome: &Outcome) -> Vec<String> {
    let status = match outcome.outcome {
        Status::Passed => "Passed",
        Status::Failed => "Failed",
        Status::Error => "Error",
    };
    let measured: Vec<String> =
        outcome.metrics.iter().map(|(name, x)| format!("{name} = {}", to_text(*x))).collect();
    let failed = outcome.failed_rows.map(|n| n.to_string()).unwrap_or_default();
    let reason = outcome.reason.clone().unwrap_or_default();
    vec![status.to_owned(), outcome.rule.clone(), measured.join("\n"), failed, reason]
}

/// Reads the data sets that rules compare with; `columns` are those of the data.
fn references(
    places: &Places,
    given: &[(String, String)],
    ruleset: &Ruleset,
    columns: &[(String, Type)],
) -> Result<References, Refusal> {
    let wanted = aliases(ruleset, columns);
    let mut references = References::new();
    let mut seen = BTreeSet::new();
    for (alias, place) in given {
        if !seen.insert(alias) {
            return Err(Refusal::new(format!("--reference {alias} stands twice")));
        }
        if !wanted.contains(alias) {
            let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
            let hint = match names.is_empty() {
                true => "the ruleset compares with no data set".to_owned(),
                false => format!("the ruleset compares with {}", names.join(", ")),
            };
            return Err(Refusal::new(format!("--reference {alias}: no rule names it")).hint(hint));
        }
        let mut data = DataArguments::of(place).find(places, Format::Json, false)?;
        let recipe = infer::recipe(&mut data)?;
        let decoder = Decoder::new(&recipe, None, Limits::default());
        let theirs: Vec<(String, Type)> =
            recipe.schema.fields.iter().map(|f| (f.name.clone(), recipe.kind(f))).collect();
        let mut reference = Reference::new(ruleset, alias, &theirs, columns);
        let mut left_out = LeftOut::default();
        data.each("reading", &recipe, &decoder, |piece| {
            left_out.rejects.add(&piece.rejects);
            reference.update(&piece.batch.columns, piece.batch.len());
            Ok(())
        })?;
        left_out.tell();
        references.insert(alias.clone(), reference);
    }
    Ok(references)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
