//! `Completeness`: the share of values that are not null.
//!
//! - Takes: one column of any type, and a number condition. An empty text is a value.
//! - Gives: `Column.<c>.Completeness`. Nothing has no share: the rule fails; where `where` leaves nothing it passes.
//! - Rows: a row with a value passes, one with null fails.
//! - State: numbers of rows.
//! - Source: AWS Glue's documentation of Completeness.

use super::{Check, EMPTY, Preparation};
use crate::quality::counter::Count;
use crate::quality::row_test::Refusal;
use crate::quality::tree::Single;

/// Readies `Completeness`.
pub fn completeness(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let (slots, filter) = (on.slots(single)?, on.filter(single)?);
    let rows = on.count(Count::Rows, filter);
    let complete = on.count(Count::Complete(slots), filter);
    let mut metric = on.metric(single, move |counted| match counted.number(rows) {
        0 => Err(EMPTY.into()),
        rows => Ok(counted.number(complete) as f64 / rows as f64),
    })?;
    metric.row = Some(complete);
    Ok(Box::new(metric))
}
