//! `RowCount`, `RowCountMatch`: how many rows there are.
//!
//! - `RowCount` takes a number condition, and gives `Dataset.*.RowCount`. Nothing has 0, also what `where` leaves.
//! - `RowCountMatch` takes the alias of a reference data set and compares rows by its rows; it gives
//!   `Dataset.<alias>.RowCountMatch`. If both are empty it is 1; a reference without rows has no share: the rule fails.
//! - State: a number of rows.
//! - Source: AWS Glue's documentation of RowCount and RowCountMatch.

use super::{Check, Preparation, later};
use crate::quality::counter::Count;
use crate::quality::row_test::Refusal;
use crate::quality::tree::Single;

/// Readies `RowCount`.
pub fn row_count(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let filter = on.filter(single)?;
    let rows = on.count(Count::Rows, filter);
    let mut metric = on.metric(single, move |counted| Ok(counted.number(rows) as f64))?;
    metric.counts_nothing = true;
    Ok(Box::new(metric))
}

/// Readies `RowCountMatch`.
pub fn row_count_match(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    let alias = on.text(single, 0);
    let Some(theirs) = on.reference(&alias)?.map(|reference| reference.rows()) else {
        return Ok(later());
    };
    let rows = on.count(Count::Rows, None);
    let metric = on.metric(single, move |counted| match (counted.number(rows), theirs) {
        (0, 0) => Ok(1.0),
        (_, 0) => Err(format!("the reference data set `{alias}` has no row")),
        (ours, theirs) => Ok(ours as f64 / theirs as f64),
    })?;
    Ok(Box::new(metric))
}
