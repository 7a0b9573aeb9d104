//! `ColumnCorrelation`: Pearson's correlation of two columns.
//!
//! - Takes: two columns of `long` or `double`, and a number condition. A column of another type fails the rule.
//! - Gives: `Multicolumn.<c>,<c>.ColumnCorrelation`, from −1 to 1.
//! - Null, NaN and infinities: the pair is left out. Nothing, and a column that does not vary, have no correlation: the
//!   rule fails; where `where` leaves nothing it passes.
//! - State: exact sums of both columns, their squares and products.
//! - Source: AWS Glue's documentation of ColumnCorrelation.

use super::statistics::{no_number, nothing};
use super::{Check, Preparation};
use crate::quality::counter::Count;
use crate::quality::row_test::Refusal;
use crate::quality::tree::Single;

/// Readies `ColumnCorrelation`.
pub fn column_correlation(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    let (slots, filter) = (on.slots(single)?, on.filter(single)?);
    let [x, y] = slots[..] else {
        return Err(Refusal::Unfit("`ColumnCorrelation` takes two columns".into()));
    };
    if let Some(reason) = no_number(on, single, &slots) {
        on.test(single)?;
        return Ok(super::fails(reason));
    }
    let rows = on.count(Count::Rows, filter);
    let pairs = on.count(Count::Comoments(x, y), filter);
    let metric = on.metric(single, move |counted| {
        let pairs = counted.comoments(pairs);
        match pairs.and_then(|pairs| pairs.correlation()) {
            Some(correlation) => Ok(correlation),
            None if pairs.is_some_and(|pairs| pairs.count() > 0) => {
                Err("a column does not vary, so that there is no correlation".into())
            }
            None => Err(nothing(counted.number(rows))),
        }
    })?;
    Ok(Box::new(metric))
}
