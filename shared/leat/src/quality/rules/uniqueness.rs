//! `IsUnique`, `IsPrimaryKey`, `Uniqueness`, `UniqueValueRatio`, `DistinctValuesCount`, `Entropy`: how often values stand.
//!
//! - Take: a column of any type; `IsUnique`, `IsPrimaryKey` and `Uniqueness` take several, whose values count together.
//! - Give: `Column.<c>.<Metric>`, of several columns `Multicolumn.<c>,<c>.Uniqueness`. `Uniqueness` is values that stand
//!   once by rows that are not null; `UniqueValueRatio` is such values by distinct values; `Entropy` is −Σ p·ln p.
//! - Null: is left out (of several columns: where all are null); `DistinctValuesCount` counts it as one more value;
//!   `IsPrimaryKey` fails.
//! - Nothing: no share, the rule fails; `DistinctValuesCount` is 0; where `where` leaves nothing the rule passes.
//! - Rows: every row of a value that stands twice fails; null passes, but of `IsPrimaryKey`.
//! - State: a 128-bit hash and a count for each distinct value. Up to 1,048,576 distinct values (some 70 MB) all is
//!   exact. Above, a sample of the values by their hash is kept: the metrics are estimates and the outcome says so;
//!   `IsUnique` and `IsPrimaryKey` fail if the sample repeats a value, and else end as `Error`: it cannot be said.
//! - Source: AWS Glue's documentation; null as in awslabs/deequ.

use super::{Check, Counted, EMPTY, Found, Judge, NONE_LEFT, Preparation, RowOutcome, Verdict};
use crate::quality::counter::Count;
use crate::quality::frequencies::Frequencies;
use crate::quality::names;
use crate::quality::row_test::{Refusal, refuse_tags};
use crate::quality::tree::Single;

const ALL_NULL: &str = "there is no value that is not null";

/// Readies `Uniqueness`, `UniqueValueRatio`, `DistinctValuesCount`, `Entropy`.
pub fn ratio(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let (slots, filter) = (on.slots(single)?, on.filter(single)?);
    let rows = on.count(Count::Rows, filter);
    let values = on.count(Count::Frequencies(slots), filter);
    let kind = single.kind.name;
    let nothing = Frequencies::default();
    let mut metric = on.metric(single, move |counted| {
        let values = counted.frequencies(values).unwrap_or(&nothing);
        let some = |share: f64| match (counted.number(rows), values.rows()) {
            (0, _) => Err(EMPTY.to_owned()),
            (_, 0) => Err(ALL_NULL.to_owned()),
            _ => Ok(share),
        };
        match kind {
            "Uniqueness" => some((values.once() / values.rows() as f64).min(1.0)),
            "UniqueValueRatio" => some(values.once() / values.distinct()),
            "Entropy" => some(values.entropy().unwrap_or_default()),
            _ => {
                let nulls = counted.number(rows).saturating_sub(values.rows());
                Ok(values.distinct() + f64::from(u8::from(nulls > 0)))
            }
        }
    })?;
    metric.counts_nothing = kind == "DistinctValuesCount";
    metric.estimated = Some(values);
    if kind == "Uniqueness" {
        return Ok(Box::new(WithRows { metric, values }));
    }
    Ok(Box::new(metric))
}

/// `Uniqueness` says of rows what `IsUnique` says.
#[derive(Debug)]
struct WithRows {
    metric: super::Metric,
    values: usize,
}

impl Check for WithRows {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        self.metric.finish(counted)
    }

    fn judge(&self, judge: &mut Judge<'_>) -> Option<RowOutcome> {
        judge_row(judge, self.values, true)
    }
}

/// Readies `IsUnique`.
pub fn is_unique(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    unique(on, single, false)
}

/// Readies `IsPrimaryKey`.
pub fn is_primary_key(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    unique(on, single, true)
}

fn unique(
    on: &mut Preparation<'_>,
    single: &Single,
    complete: bool,
) -> Result<Box<dyn Check>, Refusal> {
    refuse_tags(single)?;
    let (slots, filter) = (on.slots(single)?, on.filter(single)?);
    Ok(Box::new(Unique {
        name: names::metric(on.ruleset, single),
        filtered: filter.is_some(),
        rows: on.count(Count::Rows, filter),
        complete: complete.then(|| on.count(Count::Complete(slots.clone()), filter)),
        values: on.count(Count::Frequencies(slots), filter),
    }))
}

/// `IsUnique`, or `IsPrimaryKey` where it counts complete rows.
#[derive(Debug)]
struct Unique {
    name: String,
    filtered: bool,
    rows: usize,
    complete: Option<usize>,
    values: usize,
}

impl Check for Unique {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        let nothing = Frequencies::default();
        let (rows, values) =
            (counted.number(self.rows), counted.frequencies(self.values).unwrap_or(&nothing));
        let nulls = self.complete.map_or(0, |at| rows.saturating_sub(counted.number(at)));
        if rows == 0 {
            return Found::verdict(match self.filtered {
                true => Verdict::Passed(Some(NONE_LEFT.into())),
                false => Verdict::Failed(EMPTY.into()),
            });
        }
        if values.rows() == 0 && self.complete.is_none() {
            return Found::verdict(Verdict::Failed(ALL_NULL.into()));
        }
        let repeated = values.rows().saturating_sub(values.once() as u64);
        let mut reasons = Vec::new();
        if nulls > 0 {
            reasons.push(format!("{nulls} of {rows} rows are null"));
        }
        if values.repeats() {
            let about = if values.is_exact() { "" } else { "about " };
            reasons
                .push(format!("{about}{repeated} of {rows} rows hold a value that stands twice"));
        }
        let verdict = match (reasons.is_empty(), values.is_exact()) {
            (false, _) => Verdict::Failed(reasons.join("; ")),
            (true, true) => Verdict::Passed(None),
            (true, false) => Verdict::Error(
                "there are too many distinct values to keep all: a sample of them holds none twice"
                    .into(),
            ),
        };
        let share = match values.rows() {
            0 => 0.0,
            some => (values.once() / some as f64).min(1.0),
        };
        // A row with a null may repeat others too: only where there is none of them are the numbers known.
        let failed = match (nulls, values.is_exact()) {
            (0, true) => Some(repeated),
            _ => None,
        };
        Found {
            verdict,
            metrics: vec![(self.name.clone(), share)],
            rows: failed.map(|failed| (rows.saturating_sub(failed), failed)),
        }
    }

    fn judge(&self, judge: &mut Judge<'_>) -> Option<RowOutcome> {
        judge_row(judge, self.values, self.complete.is_none())
    }
}

/// Whether the row's value stands once. None where that is not known.
fn judge_row(judge: &mut Judge<'_>, values: usize, null_passes: bool) -> Option<RowOutcome> {
    let counted = judge.counted;
    let frequencies = counted.frequencies(values).filter(|values| values.is_exact())?;
    judge.of(values, |judge, what| {
        let Count::Frequencies(slots) = what else { return false };
        let (hash, nulls) = judge.hasher.row(judge.rows.columns, slots, judge.row);
        match (nulls, null_passes) {
            (0, _) => frequencies.count(hash) == Some(1),
            (_, false) => false,
            (nulls, true) => nulls == slots.len() || frequencies.count(hash) == Some(1),
        }
    })
}
