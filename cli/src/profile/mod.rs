//! `leat profile`: what the columns of data hold.

mod report;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use leat::decode::{Decoder, Limits};
use leat::profile::{Counting, Histogram, Profile, Summary};
use leat::recipe::Format;
use leat_batch::Cores;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::data::{Data, DataArguments, LeftOut};
use crate::html::{count, percent, value};
use crate::output::Output;
use crate::places::Places;
use crate::recipe::{self, KeysArgument};
use crate::show::table;
use crate::types;

/// See `leat profile --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    keys: KeysArgument,
    /// The recipe whose schema the data has; without it types come from the data. Values of fields that it tags `pii` are
    /// shown by their pattern.
    #[arg(long)]
    recipe: Option<String>,
    /// Write a page with plots.
    #[arg(long, value_name = "OUT.html")]
    report: Option<PathBuf>,
}

/// A profile and what it was made of.
pub struct Profiled {
    /// The profile.
    pub profile: Profile,
    /// What is told of each column.
    pub summaries: Vec<Summary>,
    /// What could not be read.
    pub left_out: LeftOut,
}

/// Profiles `data` as `recipe` reads it, or as its own values say.
pub fn of(
    places: &Places,
    data: &DataArguments,
    recipe: Option<&str>,
    keys: &KeysArgument,
) -> Result<Profiled, Refusal> {
    let engine = recipe.map(|place| recipe::load(places, place, keys)).transpose()?;
    let format = engine.as_ref().map_or(Format::Json, |engine| engine.recipe().schema.format);
    let mut data = data.find(places, format, keys.given())?;
    match engine {
        Some(engine) => of_recipe(&data, engine.recipe(), engine.decoder()),
        None => {
            let recipe = types::recipe(&mut data)?;
            let decoder = Decoder::new(&recipe, None, Limits::default());
            of_recipe(&data, &recipe, &decoder)
        }
    }
}

/// Profiles `data` as `recipe` reads it.
pub fn of_recipe(
    data: &Data<'_>,
    recipe: &leat::recipe::Recipe,
    decoder: &Decoder,
) -> Result<Profiled, Refusal> {
    let (fields, columns) = (&recipe.schema.fields, recipe.columns());
    let hidden: BTreeSet<&str> = fields.iter().filter(|f| f.pii).map(|f| f.name.as_str()).collect();
    let (mut profile, mut left_out) = (Profile::new(&columns), LeftOut::default());
    let cores = Cores::all();
    data.columns("profiling", recipe, decoder, cores, |parts| {
        for part in &parts {
            left_out.rejects.add(&part.rejects);
            left_out.sentinels += part.sentinels;
        }
        let parts: Vec<_> = parts.iter().map(|part| (&*part.columns, part.rows)).collect();
        cores.map(profile.counting(&parts), Counting::run);
        Ok(())
    })?;
    let summaries = profile.finish(|name| hidden.contains(name));
    Ok(Profiled { profile, summaries, left_out })
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let Profiled { profile, summaries, left_out } =
        of(&places, &args.data, args.recipe.as_deref(), &args.keys)?;
    left_out.tell();
    let title = args.data.names().join(", ");
    if let Some(path) = &args.report {
        write(path, &report::page(&title, profile.rows(), left_out.rejected(), &summaries))?;
    }
    let header =
        ["column", "type", "missing", "distinct", "least", "median", "greatest", "distribution"];
    let mut text = format!("{}\n", table(&header, summaries.iter().map(row)));
    text += &format!("{} rows, {} rejected", profile.rows(), left_out.rejected());
    if let Some(path) = &args.report {
        text += &format!("; plots in {}", path.display());
    }
    let document = json!({
        "rows": profile.rows(), "rejected": left_out.rejected(), "rejected_by": left_out.rejected_by(),
        "dropped_by": left_out.dropped_by(), "columns": summaries,
    });
    Ok(Answer::good(text, document))
}

/// Writes a page, whole or not at all.
pub fn write(path: &Path, page: &str) -> Result<(), Refusal> {
    let mut output = Output::create(path)?;
    output.write_all(page.as_bytes()).map_err(|why| output.failed(&why))?;
    output.finish()
}

/// How many distinct values there are, as people read it.
pub fn distinct(summary: &Summary) -> String {
    let about = if summary.distinct_exact { "" } else { "~" };
    format!("{about}{}", count(summary.distinct as u64))
}

/// The share of rows that are null.
pub fn missing(summary: &Summary) -> f64 {
    if summary.rows == 0 { 0.0 } else { summary.nulls as f64 / summary.rows as f64 }
}

fn row(summary: &Summary) -> Vec<String> {
    let kind = summary.kind;
    let of = |cell: Option<&serde_json::Value>| cell.map_or(String::new(), |x| value(kind, x));
    let shown = match &summary.histogram {
        Some(histogram) => sparkline(histogram),
        None => frequent(summary),
    };
    vec![
        summary.name.clone(),
        match summary.personal {
            Some(personal) => format!("{kind} ({}?)", personal.words()),
            None => kind.to_string(),
        },
        percent(missing(summary)),
        distinct(summary),
        of(summary.min.as_ref()),
        of(summary.quantiles.get("p50")),
        of(summary.max.as_ref()),
        shown,
    ]
}

/// The three most frequent values, or patterns where most values stand once.
fn frequent(summary: &Summary) -> String {
    let rows = summary.rows.saturating_sub(summary.nulls).max(1) as f64;
    let different = summary.distinct > 0.5 * rows && !summary.patterns.is_empty();
    let values = if different { &summary.patterns } else { &summary.top };
    let shown: Vec<String> = values
        .iter()
        .take(3)
        .map(|top| {
            let value: String = top.value.chars().take(24).filter(|c| !c.is_control()).collect();
            format!("{value} {}", percent(top.count as f64 / rows))
        })
        .collect();
    shown.join(", ")
}

/// A line of bars, low to high.
fn sparkline(histogram: &Histogram) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = histogram.counts.iter().max().copied().unwrap_or_default().max(1);
    let bar = |count: &u64| match count {
        0 => ' ',
        n => BARS[((*n as f64 / most as f64 * 8.0) as usize).clamp(1, 8) - 1],
    };
    histogram.counts.iter().map(bar).collect()
}
