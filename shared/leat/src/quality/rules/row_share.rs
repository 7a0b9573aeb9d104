//! `IsComplete`, `ColumnExists`, `ColumnValues`, `ColumnLength`, `ColumnDataType`, `DataFreshness` over a data set.
//!
//! - Each row gets the verdict that a single record gets. Without a threshold all rows must pass; with one the share of
//!   rows that pass must meet it.
//! - Give: `Column.<c>.Completeness` (`IsComplete`), else `Column.<c>.<Type>.Compliance`; `ColumnValues` of numbers also
//!   `Column.<c>.Minimum` and `Maximum`, `ColumnLength` `MinimumLength` and `MaximumLength`: `last(k)` after `>` and
//!   `>=` speaks of the least, else of the greatest. As analyzers these two give the least and the greatest alone.
//! - Nothing: the rule fails; where `where` leaves nothing it passes. `ColumnExists` needs no row.
//! - State: numbers of rows, and the extent.

use super::{
    Check, Counted, EMPTY, Found, Judge, Known, NONE_LEFT, Preparation, RowOutcome, Verdict, met,
};
use crate::quality::counter::Count;
use crate::quality::names;
use crate::quality::numbers::NumberTest;
use crate::quality::row_test::{Finding, Refusal, RowTest};
use crate::quality::tree::{Condition, Single};

/// Readies `ColumnExists`.
pub fn column_exists(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    on.slots(single)?;
    Ok(Box::new(Known(Verdict::Passed(None), Vec::new())))
}

/// Readies the other types.
pub fn rows(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let kind = single.kind.name;
    let column = on.text(single, 0);
    if single.condition.is_none() && kind != "IsComplete" {
        let [slot] = on.slots(single)?[..] else {
            return Err(Refusal::Unfit(format!("`{kind}` takes one column")));
        };
        let Some(extent) = extent(on, single, slot) else {
            let why = match kind {
                "ColumnValues" => format!("`{column}` is no column of numbers"),
                _ => format!("`{kind}` has no value without a condition"),
            };
            return Err(Refusal::Unfit(why));
        };
        return Ok(Box::new(Extremes { extent }));
    }
    let threshold = on.threshold(single)?;
    let test = RowTest::new(on.ruleset, single, on.columns)?;
    let extent = match single.condition {
        Some(Condition::Number(_)) => extent(on, single, test.slot),
        _ => None,
    };
    let metric = match kind {
        "IsComplete" => format!("Column.{column}.Completeness"),
        _ => names::compliance(&column, kind),
    };
    let filtered = single.filter.is_some();
    let found = on.count(Count::Found(test), None);
    Ok(Box::new(RowShare { column, metric, threshold, found, filtered, extent }))
}

/// The counter of the least and greatest value or length, and their names.
type Extent = (usize, [String; 2]);

fn extent(on: &mut Preparation<'_>, single: &Single, slot: usize) -> Option<Extent> {
    // A `where` that is wrong is told of by the rule's own test.
    let filter = on.filter(single).ok()?;
    let (name, numeric) = (&on.columns[slot].0, on.columns[slot].1.is_numeric());
    let named = |least: &str, greatest: &str| {
        [least, greatest].map(|metric| names::of_columns(&[name], metric))
    };
    let (what, names) = match single.kind.name {
        "ColumnValues" if numeric => (Count::Extent(slot), named("Minimum", "Maximum")),
        "ColumnLength" => (Count::Lengths(slot), named("MinimumLength", "MaximumLength")),
        _ => return None,
    };
    Some((on.count(what, filter), names))
}

fn extremes(extent: &Extent, counted: &Counted<'_>) -> Vec<(String, f64)> {
    let (at, [least, greatest]) = extent;
    match counted.extent(*at).and_then(|extent| extent.0) {
        Some((low, high)) => vec![(least.clone(), low), (greatest.clone(), high)],
        None => Vec::new(),
    }
}

/// An analyzer of the least and the greatest.
#[derive(Debug)]
struct Extremes {
    extent: Extent,
}

impl Check for Extremes {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        let metrics = extremes(&self.extent, counted);
        Found { verdict: Verdict::Passed(None), metrics, rows: None }
    }
}

/// A rule about each row.
#[derive(Debug)]
struct RowShare {
    column: String,
    metric: String,
    threshold: Option<NumberTest>,
    found: usize,
    filtered: bool,
    extent: Option<Extent>,
}

impl Check for RowShare {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        let Some(findings) = counted.findings(self.found) else {
            return Found::verdict(Verdict::Failed(EMPTY.into()));
        };
        let rows = findings.rows.saturating_sub(findings.skipped);
        if rows == 0 {
            return Found::verdict(match self.filtered && findings.rows > 0 {
                true => Verdict::Passed(Some(NONE_LEFT.into())),
                false => Verdict::Failed(EMPTY.into()),
            });
        }
        let share = findings.passed as f64 / rows as f64;
        let verdict = match &self.threshold {
            Some(threshold) => met(Some(threshold), share),
            None if findings.passed == rows => Verdict::Passed(None),
            None => Verdict::Failed(format!("`{}`: {}", self.column, findings.reason(rows))),
        };
        let mut metrics = vec![(self.metric.clone(), share)];
        metrics.extend(self.extent.iter().flat_map(|extent| extremes(extent, counted)));
        Found {
            verdict,
            metrics,
            rows: Some((findings.passed, rows.saturating_sub(findings.passed))),
        }
    }

    fn judge(&self, judge: &mut Judge<'_>) -> Option<RowOutcome> {
        let counter = judge.counters.get(self.found)?;
        let Count::Found(test) = &counter.what else { return None };
        Some(match test.find(judge.rows.columns, judge.row, judge.rows.now) {
            Finding::Passes => RowOutcome::Passed,
            Finding::Skipped => RowOutcome::Skipped,
            _ => RowOutcome::Failed,
        })
    }
}

/// A composite, row by row: every row must pass.
#[derive(Debug)]
pub struct CompositeShare {
    /// Its counter.
    pub found: usize,
}

impl Check for CompositeShare {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        let Some(findings) = counted.findings(self.found).filter(|findings| findings.rows > 0)
        else {
            return Found::verdict(Verdict::Failed(EMPTY.into()));
        };
        let failed = findings.rows.saturating_sub(findings.passed);
        let verdict = match failed {
            0 => Verdict::Passed(None),
            _ => Verdict::Failed(findings.reason(findings.rows)),
        };
        Found { verdict, metrics: Vec::new(), rows: Some((findings.passed, failed)) }
    }

    fn judge(&self, judge: &mut Judge<'_>) -> Option<RowOutcome> {
        let Count::Composite(rule) = &judge.counters.get(self.found)?.what else { return None };
        Some(match rule.passes(judge.rows.columns, judge.row, judge.rows.now) {
            true => RowOutcome::Passed,
            false => RowOutcome::Failed,
        })
    }
}
