//! `AggregateMatch`: one sum or mean by another, of the data or of a reference data set.
//!
//! - Takes: two aggregates, `sum(column)`, `avg(column)`, `sum(alias.column)`, `avg(alias.column)`, and a number
//!   condition on the first by the second. Columns are of `long` or `double`; another type fails the rule.
//! - Gives: `Column.<c>.AggregateMatch`, of columns of two names `Column.<c>,<c>.AggregateMatch`. Both 0 give 1, the
//!   second 0 gives 0.
//! - Null, NaN and infinities: are left out. An aggregate of nothing has no value: the rule fails.
//! - State: exact sums.
//! - Source: AWS Glue's documentation of AggregateMatch; zeros as in awslabs/deequ.

use super::{Check, Counted, Preparation, later};
use crate::number::Moments;
use crate::quality::counter::Count;
use crate::quality::reference::{Aggregate, aggregate};
use crate::quality::row_test::{Refusal, slot_of};
use crate::quality::tree::Single;

/// Readies `AggregateMatch`.
pub fn aggregate_match(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    let read = |at| aggregate(&on.text(single, at), on.columns).map_err(Refusal::Unfit);
    let (first, second) = (read(0)?, read(1)?);
    let name = match first.column == second.column {
        true => format!("Column.{}.AggregateMatch", first.column),
        false => format!("Column.{},{}.AggregateMatch", first.column, second.column),
    };
    let (a, b) = (side(on, first)?, side(on, second)?);
    let (a, b) = match (a, b) {
        (Side::Later, _) | (_, Side::Later) => return Ok(later()),
        (Side::No(why), _) | (_, Side::No(why)) => return Ok(super::fails(why)),
        sides => sides,
    };
    let mut metric = on.metric(single, move |counted| {
        Ok(match (a.value(counted)?, b.value(counted)?) {
            (0.0, 0.0) => 1.0,
            (_, 0.0) => 0.0,
            (a, b) => a / b,
        })
    })?;
    metric.name = name;
    Ok(Box::new(metric))
}

/// One of the two aggregates.
enum Side {
    /// Its counter; true for a mean.
    Ours(usize, bool),
    Theirs(Option<f64>),
    Later,
    No(String),
}

fn side(on: &mut Preparation<'_>, aggregate: Aggregate) -> Result<Side, Refusal> {
    let Aggregate { mean, alias, column } = aggregate;
    let numeric = |columns: &[(String, crate::column::Type)], slot: usize| {
        let kind = columns[slot].1;
        (!kind.is_numeric()).then(|| {
            format!("`{column}` is a column of {kind}, and `AggregateMatch` takes numbers")
        })
    };
    let Some(alias) = alias else {
        let slot = slot_of(on.columns, &column)?;
        return Ok(match numeric(on.columns, slot) {
            Some(why) => Side::No(why),
            None => Side::Ours(on.count(Count::Moments(slot), None), mean),
        });
    };
    let Some(reference) = on.reference(&alias)? else { return Ok(Side::Later) };
    Ok(match reference.slots(std::slice::from_ref(&column)) {
        Err(why) => Side::No(why),
        Ok(slots) => match numeric(reference.columns(), slots[0]) {
            Some(why) => Side::No(why),
            None => Side::Theirs(reference.moments(slots[0]).and_then(|m| value(m, mean))),
        },
    })
}

fn value(moments: &Moments, mean: bool) -> Option<f64> {
    let value = if mean { moments.mean() } else { (moments.count > 0).then(|| moments.sum()) };
    value.filter(|value| value.is_finite())
}

impl Side {
    fn value(&self, counted: &Counted<'_>) -> Result<f64, String> {
        let value = match self {
            Side::Ours(at, mean) => counted.moments(*at).and_then(|m| value(m, *mean)),
            Side::Theirs(value) => *value,
            Side::Later | Side::No(_) => None,
        };
        value.ok_or_else(|| "there is no finite value to aggregate".to_owned())
    }
}
