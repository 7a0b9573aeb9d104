//! `Mean`, `Sum`, `StandardDeviation`, `Variance`, `AllStatistics`: what the numbers of a column come to.
//!
//! - Take: one column of `long` or `double`, and a number condition. A column of another type fails the rule.
//!   `AllStatistics` is an analyzer, and takes any column.
//! - Give: `Column.<c>.<Metric>`. Deviation and variance are of the population (÷ n). `AllStatistics` gives the row
//!   count, completeness and uniqueness of any column, the greatest and least length of text, and the greatest and
//!   least value and the four metrics above of numbers.
//! - Null, NaN and infinities: are left out. Nothing has no value: the rule fails; where `where` leaves nothing it passes.
//! - State: exact sums of the values and of their squares, so that the error does not grow with the rows and no cut
//!   changes a bit.
//! - Source: AWS Glue's documentation.

use super::{Check, Counted, EMPTY, Found, Preparation, Verdict};
use crate::column::Type;
use crate::number::Moments;
use crate::quality::counter::Count;
use crate::quality::names;
use crate::quality::row_test::{Refusal, refuse_tags};
use crate::quality::tree::Single;

/// Readies `Mean`, `Sum`, `StandardDeviation`, `Variance`.
pub fn statistic(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let (slots, filter, kind) = (on.slots(single)?, on.filter(single)?, single.kind.name);
    if let Some(reason) = no_number(on, single, &slots) {
        on.test(single)?;
        return Ok(super::fails(reason));
    }
    let rows = on.count(Count::Rows, filter);
    let moments = on.count(Count::Moments(slots[0]), filter);
    let metric = on.metric(single, move |counted| {
        let value = counted.moments(moments).and_then(|moments| of(kind, moments));
        value.ok_or_else(|| nothing(counted.number(rows)))
    })?;
    Ok(Box::new(metric))
}

fn of(kind: &str, moments: &Moments) -> Option<f64> {
    let value = match kind {
        "Mean" => moments.mean(),
        "Sum" => (moments.count > 0).then(|| moments.sum()),
        "Variance" => moments.variance(0),
        _ => moments.variance(0).map(f64::sqrt),
    };
    value.filter(|value| value.is_finite())
}

/// Why there is no statistic.
pub fn nothing(rows: u64) -> String {
    match rows {
        0 => EMPTY.into(),
        _ => "there is no finite value to compute it from".into(),
    }
}

/// That a column of `slots` holds no numbers.
pub fn no_number(on: &Preparation<'_>, single: &Single, slots: &[usize]) -> Option<String> {
    let other = slots.iter().map(|slot| &on.columns[*slot]).find(|(_, kind)| !kind.is_numeric());
    other.map(|(name, kind)| {
        format!("`{name}` is a column of {kind}, and `{}` takes numbers", single.kind.name)
    })
}

/// Readies `AllStatistics`.
pub fn all_statistics(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    refuse_tags(single)?;
    let (slots, column) = (on.slots(single)?, on.text(single, 0));
    let slot = slots[0];
    let kind = on.columns[slot].1;
    Ok(Box::new(All {
        column,
        rows: on.count(Count::Rows, None),
        complete: on.count(Count::Complete(slots.clone()), None),
        values: on.count(Count::Frequencies(slots), None),
        lengths: (kind == Type::String).then(|| on.count(Count::Lengths(slot), None)),
        numbers: kind
            .is_numeric()
            .then(|| (on.count(Count::Moments(slot), None), on.count(Count::Extent(slot), None))),
    }))
}

#[derive(Debug)]
struct All {
    column: String,
    rows: usize,
    complete: usize,
    values: usize,
    lengths: Option<usize>,
    numbers: Option<(usize, usize)>,
}

impl Check for All {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        let rows = counted.number(self.rows);
        let mut metrics = vec![("Dataset.*.RowCount".to_owned(), rows as f64)];
        let mut put = |metric: &str, value: Option<f64>| {
            let name = names::of_columns(&[&self.column], metric);
            metrics.extend(value.filter(|value| value.is_finite()).map(|value| (name, value)));
        };
        let share = |part: f64, whole: u64| (whole > 0).then(|| part / whole as f64);
        put("Completeness", share(counted.number(self.complete) as f64, rows));
        if let Some(values) = counted.frequencies(self.values) {
            put("Uniqueness", share(values.once(), values.rows()).map(|share| share.min(1.0)));
        }
        if let Some((least, greatest)) =
            self.lengths.and_then(|at| counted.extent(at)).and_then(|extent| extent.0)
        {
            put("MaximumLength", Some(greatest));
            put("MinimumLength", Some(least));
        }
        if let Some((moments, extent)) = self.numbers {
            let extent = counted.extent(extent).and_then(|extent| extent.0);
            put("Maximum", extent.map(|(_, greatest)| greatest));
            put("Minimum", extent.map(|(least, _)| least));
            for kind in ["Mean", "Sum", "StandardDeviation", "Variance"] {
                put(kind, counted.moments(moments).and_then(|moments| of(kind, moments)));
            }
        }
        Found { verdict: Verdict::Passed(None), metrics, rows: None }
    }
}
