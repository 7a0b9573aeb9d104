//! `leat validate`: what a ruleset says of data.

mod past;
#[cfg_attr(not(feature = "sql"), path = "no_sql.rs")]
mod sql;
mod view;

use std::collections::BTreeSet;
use std::io::Write;
use std::mem;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use leat::column::Type;
use leat::decode::{Decoder, Limits};
use leat::number::to_text;
use leat::profile::{self, Profile, Summary};
use leat::quality::distributions;
use leat::quality::reference::{PRIMARY, aliases};
use leat::quality::report::{self, Page};
use leat::quality::result::{About, Findings, RuleResult, SAMPLES};
use leat::quality::{
    self, Context, Counting, Evaluation, Metrics, Outcome, PastRun, Place, QualityResult,
    Reference, References, Ruleset, Status,
};
use leat::recipe::Format;
use leat::timestamp;
use leat_batch::{Cores, Part, Round, history};

use crate::answer::{Answer, Refusal};
use crate::data::{Data, DataArguments, LeftOut, listing};
use crate::output::Output;
use crate::places::Places;
use crate::recipe::{self, KeysArgument};
use crate::show::table;
use crate::types;
use view::View;

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
    /// A data set that rules compare with or queries read, by its alias. Its types come from the data.
    #[arg(long, value_name = "ALIAS=DATA", value_parser = parse_reference)]
    reference: Vec<(String, String)>,
    /// Where earlier runs left what they measured, for `last(k)` and `DetectAnomalies`; this run leaves it there too.
    #[arg(long, value_name = "FOLDER")]
    history: Option<String>,
    /// Write the record of the run there, as JSON.
    #[arg(long, value_name = "OUT.json")]
    result: Option<PathBuf>,
    /// Write a page for people there: what fails first, where, what it was in earlier runs, and what columns hold.
    #[arg(long, value_name = "OUT.html")]
    report: Option<PathBuf>,
    /// Of a rule that does not hold, show so many of the rows that fail it, for which the data is read again.
    #[arg(long, value_name = "N", default_value_t = SAMPLES)]
    samples: usize,
    /// How rules that are joined by `and`, `or` are evaluated.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// What `now()` stands for (RFC 3339); the present without it.
    #[arg(long, value_parser = parse_time)]
    now: Option<i64>,
    /// How many cores to work on, at most; all without it. What comes out does not depend on it.
    #[arg(long, value_name = "N")]
    cores: Option<NonZero<usize>>,
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
            let recipe = types::recipe(&mut data)?;
            let decoder = Decoder::new(&recipe, None, Limits::default());
            (recipe, decoder)
        }
    };
    let columns = recipe.columns();
    let now = args.now.unwrap_or_else(now);
    let method = match args.method {
        Method::Column => quality::Method::Column,
        Method::Row => quality::Method::Row,
    };
    let cores = args.cores.map_or_else(Cores::all, Cores::new);
    let mut tables = sql::Tables::default();
    let references = references(&places, &args.reference, &ruleset, &columns, cores, &mut tables)?;
    let runs = args.history.as_ref().map(|place| past::Runs::open(&places, place, now));
    let runs = runs.transpose()?;
    let earlier = runs.as_ref().map_or(Ok(Vec::new()), past::Runs::read)?;
    let measured = history::measured(&earlier);
    let files = listing::list(&places, &ruleset, &data)?;
    let context = Context {
        references: &references,
        files: &files,
        history: Some(&measured),
        sql: sql::HERE,
        ..Context::new(Some(now), method)
    };
    let evaluation = Evaluation::within(&ruleset, &columns, &context).map_err(refuse)?;
    tables.begin(&evaluation, &columns, refuse)?;
    let (mut metrics, mut left_out) = (evaluation.start(), LeftOut::default());
    // Plots are on the page alone.
    let plotted = match &args.report {
        Some(_) => distributions::named(&ruleset, &columns),
        None => Vec::new(),
    };
    let of_plots: Vec<(String, Type)> = plotted.iter().map(|at| columns[*at].clone()).collect();
    let mut profile = Profile::new(&of_plots);
    // A recipe says which rows it takes, and so does JSON without one: there every field is looked at. A query may name any.
    let any = engine.is_some() || !data.is_parquet() || !evaluation.queries().is_empty();
    let view = match !any {
        true => View::of(recipe, &evaluation.reads().into_iter().chain(plotted.clone()).collect()),
        false => View::whole(recipe, decoder),
    };
    let mut tallied = evaluation.tallied();
    tallied.retain(|slot| !plotted.contains(slot));
    let tallied = view.slots(&tallied);
    data.rounds("validating", &view.recipe, &view.decoder, cores, &tallied, |round| {
        let Round { mut parts, tallies } = round;
        for part in &mut parts {
            left_out.rejects.add(&part.rejects);
            left_out.sentinels += part.sentinels;
            part.columns = view.placed(mem::take(&mut part.columns));
        }
        for part in &parts {
            tables.update(PRIMARY, &part.columns, part.rows)?;
        }
        let rows: Vec<_> = parts.iter().map(|part| (part.columns.as_slice(), part.rows)).collect();
        cores.map(profile.counting_at(&plotted, &rows), profile::Counting::run);
        let parts: Vec<&Part> = parts.iter().collect();
        let rows = cores.map(parts, |part| evaluation.rows(&part.columns, part.rows));
        let tallies = view.tallies(tallies);
        cores.map(evaluation.counting(&mut metrics, &rows, &tallies), Counting::run);
        Ok(())
    })?;
    left_out.tell();
    tables.answer(&evaluation, &mut metrics)?;
    let report = evaluation.report(&metrics).map_err(|why| Refusal::new(why.to_string()))?;
    let failing = match args.samples {
        0 => vec![Vec::new(); report.outcomes.len()],
        most => samples(&data, &view, &evaluation, &metrics, &report.outcomes, most)?,
    };
    let outcomes =
        report.outcomes.into_iter().zip(failing).map(|(rule, rows)| RuleResult::new(rule, rows));
    let now = now.saturating_mul(1000);
    let about = About {
        dataset: engine.as_ref().map_or_else(|| data.name(), |e| e.recipe().name.clone()),
        run: timestamp::to_text(now),
        now,
        recipe: engine.as_ref().map(|e| (e.recipe().name.clone(), e.hash().to_owned())),
        ruleset_hash: Some(ruleset.hash()),
    };
    let findings = Findings {
        outcomes: outcomes.collect(),
        rows: metrics.rows(),
        rejected: left_out.rejects.recorded(),
        dropped: left_out.dropped(),
        analyzers: report.analyzers,
        measured: report.measured,
        ..Findings::default()
    };
    let result = QualityResult::new(about, findings);
    if let Some(runs) = &runs {
        runs.write(&result)?;
    }
    let hidden = |name: &str| {
        view.recipe.method(name).is_some() || view.recipe.field(name).is_some_and(|f| f.pii)
    };
    write(args, &result, &earlier, &profile.finish(hidden))?;
    answer(&result)
}

/// Writes the record and the page, where they are asked for.
fn write(
    args: &Arguments,
    result: &QualityResult,
    past: &[PastRun],
    columns: &[Summary],
) -> Result<(), Refusal> {
    let to = |path: &Path, bytes: &[u8]| -> Result<(), Refusal> {
        let mut output = Output::create(path)?;
        output.write_all(bytes).map_err(|why| output.failed(&why))?;
        output.finish()
    };
    if let Some(path) = &args.result {
        let json = result.to_json();
        to(path, &json.map_err(|why| Refusal::new(format!("cannot write the record: {why}")))?)?;
    }
    if let Some(path) = &args.report {
        to(path, report::html(Page { result, past, columns }).as_bytes())?;
    }
    Ok(())
}

/// The answer for a person is a table of the rules, for a program the record.
fn answer(result: &QualityResult) -> Result<Answer, Refusal> {
    let mut text = String::new();
    if !result.outcomes.is_empty() {
        let header = ["outcome", "rule", "measured", "failed rows", "reason"];
        text += &format!("{}\n", table(&header, result.outcomes.iter().map(row)));
    }
    if !result.analyzers.is_empty() {
        let analyzed = result.analyzers.iter().map(|(name, x)| vec![name.clone(), to_text(*x)]);
        text += &format!("{}\n", table(&["analyzed", "value"], analyzed));
    }
    text += &format!(
        "{} rows, {} rejected before the rules: {} of {} rules failed",
        result.rows,
        result.rejected,
        result.rules_failed(),
        result.outcomes.len()
    );
    let document = serde_json::to_value(result)
        .map_err(|why| Refusal::new(format!("cannot write the record: {why}")))?;
    Ok(Answer { passed: result.passed, ..Answer::good(text, document) })
}

fn row(rule: &RuleResult) -> Vec<String> {
    let measured: Vec<String> =
        rule.metrics.iter().map(|(name, x)| format!("{name} = {}", to_text(*x))).collect();
    let failed = rule.failed_rows.map(|n| n.to_string()).unwrap_or_default();
    let mut reason: Vec<String> = rule.reason.iter().cloned().collect();
    if let Some(place) = rule.samples.first() {
        reason.push(format!("the first at {place}"));
    }
    let (outcome, rule) = (rule.outcome.word().to_owned(), rule.rule.clone());
    vec![outcome, rule, measured.join("\n"), failed, reason.join("\n")]
}

/// The places of the first `most` rows that fail, for each rule that does not hold and looks at rows: the data is read
/// again until they are found. What came by standard input and was not kept cannot be.
fn samples(
    data: &Data<'_>,
    view: &View,
    evaluation: &Evaluation,
    metrics: &Metrics,
    outcomes: &[Outcome],
    most: usize,
) -> Result<Vec<Vec<Place>>, Refusal> {
    let mut places = vec![Vec::new(); outcomes.len()];
    let mut wanted: Vec<usize> = outcomes
        .iter()
        .map(|rule| match rule.outcome {
            Status::Passed => 0,
            // Where rows are counted, that many are there.
            _ => rule.failed_rows.map_or(most, |n| usize::try_from(n).unwrap_or(most).min(most)),
        })
        .collect();
    if !data.can_be_read_again() {
        return Ok(places);
    }
    if wanted.iter().all(|wanted| *wanted == 0) {
        return Ok(places);
    }
    data.until("looking for rows that fail", &view.recipe, &view.decoder, |piece| {
        let (rows, columns) = (&piece.batch.rows, view.placed(piece.batch.columns));
        let found = evaluation
            .failing(metrics, &columns, rows.len(), &wanted)
            .map_err(|why| Refusal::new(why.to_string()))?;
        for ((failing, places), wanted) in found.into_iter().zip(&mut places).zip(&mut wanted) {
            // A rule that does not look at rows finds none in any piece.
            let Some(failing) = failing else {
                *wanted = 0;
                continue;
            };
            *wanted -= failing.len().min(*wanted);
            places.extend(failing.into_iter().map(|row| Place::from(&rows[row].coordinates)));
        }
        Ok(wanted.iter().all(|wanted| *wanted == 0))
    })?;
    Ok(places)
}

/// Reads the data sets that rules compare with, and into `tables` those that queries name; `columns` are those of the
/// data.
fn references(
    places: &Places,
    given: &[(String, String)],
    ruleset: &Ruleset,
    columns: &[(String, Type)],
    cores: Cores,
    tables: &mut sql::Tables,
) -> Result<References, Refusal> {
    let wanted = aliases(ruleset, columns);
    let mut references = References::new();
    let mut seen = BTreeSet::new();
    for (alias, place) in given {
        if !seen.insert(alias) {
            return Err(Refusal::new(format!("--reference {alias} stands twice")));
        }
        let read = quality::sql::names(ruleset, alias);
        if !wanted.contains(alias) && !read {
            let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
            let hint = match names.is_empty() {
                true => "the ruleset compares with no data set".to_owned(),
                false => format!("the ruleset compares with {}", names.join(", ")),
            };
            return Err(Refusal::new(format!("--reference {alias}: no rule names it")).hint(hint));
        }
        let mut data = DataArguments::of([place]).find(places, Format::Json, false)?;
        let recipe = types::recipe(&mut data)?;
        let decoder = Decoder::new(&recipe, None, Limits::default());
        let theirs = recipe.columns();
        let mut reference = Reference::new(ruleset, alias, &theirs, columns);
        let mut left_out = LeftOut::default();
        if read {
            tables.add(alias, &theirs)?;
        }
        data.columns("reading", &recipe, &decoder, cores, |parts| {
            for part in parts {
                left_out.rejects.add(&part.rejects);
                reference.update(&part.columns, part.rows);
                tables.update(alias, &part.columns, part.rows)?;
            }
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
