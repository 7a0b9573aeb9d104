//! `leat skew`: how far data has drifted from other data, or from what a fitted state learnt.

mod report;

use std::path::PathBuf;

use clap::Args;
use leat::column::Type;
use leat::drift::{self, ColumnDrift, Drift, Judged, Limits, Measure};
use leat::features::FittedState;
use leat::profile::{Profile, Summary};
use leat::recipe::Recipe;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::data::DataArguments;
use crate::html::percent;
use crate::places::Places;
use crate::profile::{self, Profiled};
use crate::recipe::{self, KeysArgument};
use crate::show::table;

/// See `leat skew --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The data to compare with, and the data that may have drifted: files, folders or URLs. With --state the latter alone.
    #[arg(required = true, num_args = 1..=2, value_name = "DATA")]
    data: Vec<String>,
    #[command(flatten)]
    keys: KeysArgument,
    /// The recipe whose schema the data has; without it types come from the data.
    #[arg(long)]
    recipe: Option<String>,
    /// Compare with this fitted state of the recipe, as far as it holds a distribution.
    #[arg(long, value_name = "STATE.json", requires = "recipe")]
    state: Option<String>,
    /// Limits of drift (YAML): status 1 if one is passed.
    #[arg(long, value_name = "FILE")]
    limits: Option<String>,
    /// Write a page with plots.
    #[arg(long, value_name = "OUT.html")]
    report: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let limits = args.limits.as_ref().map(|place| -> Result<_, Refusal> {
        let text = places.read_text("limits", place)?;
        let refuse = |errors| Refusal::of(errors, vec![(place.clone(), text.clone())]);
        let limits = Limits::read(place, &text).map_err(refuse)?;
        Ok((limits, text.clone()))
    });
    let limits = limits.transpose()?;
    let profiled = |place: &str| {
        let data = DataArguments::of([place]);
        let profiled = profile::of(&places, &data, args.recipe.as_deref(), &args.keys)?;
        profiled.left_out.tell();
        Ok(profiled)
    };
    let (before, now, drift) = match (&args.state, &args.data[..]) {
        (None, [before, now]) => {
            let (before, now): (Profiled, Profiled) = (profiled(before)?, profiled(now)?);
            let drift = drift::compare(&before.profile, &now.profile);
            (Some(before), now, drift)
        }
        (Some(state), [now]) => {
            let now = profiled(now)?;
            let place = args.recipe.as_deref().unwrap_or_default();
            let drift = against_state(&places, place, state, &now.profile)?;
            (None, now, drift)
        }
        (None, _) => {
            return Err(Refusal::new("one DATA is compared with nothing")
                .hint("name two, or a fitted state by --state and --recipe"));
        }
        (Some(_), _) => {
            return Err(Refusal::new("--state takes the place of the first DATA")
                .hint("name the data that may have drifted alone"));
        }
    };
    let breaches = match &limits {
        Some((limits, text)) => {
            let columns: Vec<(String, Type)> = drift
                .columns
                .iter()
                .map(|c| (c.name.clone(), c.kind))
                .chain(gone(&drift))
                .collect();
            limits.check(&columns).map_err(|errors| {
                let file = args.limits.clone().unwrap_or_default();
                Refusal::of(errors, vec![(file, text.clone())])
            })?;
            limits.judge(&drift).into_iter().filter(Judged::fails).collect()
        }
        None => Vec::new(),
    };
    let first = args.state.as_ref().unwrap_or(&args.data[0]);
    if let (Some(path), Some(second)) = (&args.report, args.data.last()) {
        let page = report::page(&report::Pages {
            names: (first, second),
            before: before.as_ref(),
            now: &now,
            drift: &drift,
            breaches: &breaches,
            judged: limits.is_some(),
        });
        profile::write(path, &page)?;
    }
    let document = json!({
        "passed": breaches.is_empty(),
        "rows": [before.as_ref().map(|before| before.profile.rows()), Some(now.profile.rows())],
        "schema": drift.schema, "columns": drift.columns, "breaches": breaches,
    });
    let text = text(&drift, &breaches, limits.is_some(), args.report.as_ref());
    Ok(Answer { passed: breaches.is_empty(), ..Answer::good(text, document) })
}

/// Columns that only one data set has: limits may name them, and are passed.
fn gone(drift: &Drift) -> impl Iterator<Item = (String, Type)> + '_ {
    drift.schema.iter().filter_map(|mismatch| match mismatch {
        drift::Mismatch::Gone { column } | drift::Mismatch::New { column } => {
            Some((column.clone(), Type::Long))
        }
        drift::Mismatch::Type { .. } => None,
    })
}

fn against_state(
    places: &Places,
    recipe: &str,
    state: &str,
    now: &Profile,
) -> Result<Drift, Refusal> {
    let engine = recipe::check(places, recipe)?;
    let text = places.read_text("fitted state", state)?;
    let fitted = FittedState::from_json(&text, engine.hash())
        .map_err(|why| Refusal::new(format!("{state}: {why}")))?;
    let of: &Recipe = engine.recipe();
    Ok(drift::against(&fitted, |field| of.method(field).is_some(), now))
}

/// The measures that any column has, in the order of tables.
fn measured(drift: &Drift) -> Vec<Measure> {
    let has = |measure: &Measure| drift.columns.iter().any(|c| c.measured(*measure).is_some());
    Measure::ALL.into_iter().filter(has).collect()
}

/// A measure as people read it.
fn told(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Missing => match value.abs() < 0.0005 {
            true => "0 %".to_owned(),
            false => format!("{:+.1} %", value * 100.0),
        },
        Measure::Unseen | Measure::Outside => percent(value),
        Measure::KsP | Measure::ChiSquaredP if value < 0.0001 => "< 0.0001".to_owned(),
        Measure::ChiSquared => format!("{value:.1}"),
        Measure::Mean if value.abs() < 0.005 => "0 σ".to_owned(),
        Measure::Mean => format!("{value:+.2} σ"),
        _ => format!("{value:.4}"),
    }
}

/// Whether a limit of the column's measure is passed.
fn is_passed(breaches: &[Judged], column: &ColumnDrift, measure: Measure) -> bool {
    breaches.iter().any(|b| b.column == column.name && b.measure == Some(measure))
}

fn text(drift: &Drift, breaches: &[Judged], judged: bool, report: Option<&PathBuf>) -> String {
    let measures = measured(drift);
    let header: Vec<&str> =
        ["column", "type"].into_iter().chain(measures.iter().map(|m| m.word())).collect();
    let row = |column: &ColumnDrift| {
        let cell = |measure: &Measure| match column.measured(*measure) {
            Some(value) if is_passed(breaches, column, *measure) => {
                format!("{} !", told(*measure, value))
            }
            Some(value) => told(*measure, value),
            None => String::new(),
        };
        let names = [column.name.clone(), column.kind.to_string()];
        names.into_iter().chain(measures.iter().map(cell)).collect()
    };
    let mut text = format!("{}\n", table(&header, drift.columns.iter().map(row)));
    for column in &drift.columns {
        for note in &column.notes {
            text += &format!("note: `{}`: {note}\n", column.name);
        }
    }
    for mismatch in &drift.schema {
        text += &format!("schema: {mismatch}\n");
    }
    for breach in breaches.iter().filter(|breach| breach.measure.is_some()) {
        text += &format!("limit passed: {}\n", breach.reason.as_deref().unwrap_or_default());
    }
    text += &match (judged, breaches.len()) {
        (false, _) => "no limits were given".to_owned(),
        (true, 0) => "within all limits".to_owned(),
        (true, n) => format!("{n} limits passed"),
    };
    if let Some(path) = report {
        text += &format!("; plots in {}", path.display());
    }
    text
}

/// The summary of the column `name`.
fn summary<'p>(profiled: &'p Profiled, name: &str) -> Option<&'p Summary> {
    profiled.summaries.iter().find(|summary| summary.name == name)
}
