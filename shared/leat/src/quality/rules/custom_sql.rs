//! `CustomSql`: a query in SQL over the data, which it calls `primary`, and over reference data sets by their aliases.
//!
//! - Takes: a query, and a number condition on its single value; or no condition: then the rows of `primary` that the
//!   query answers are those that pass, and their share must be 1 or meet the threshold.
//! - It needs an engine for whole queries, which this one is not: Spark's SQL runs it in a Glue job. Elsewhere it is
//!   refused when the ruleset is loaded, not passed over.
//! - Source: AWS Glue's documentation of CustomSql.

use super::{Check, Preparation, later};
use crate::quality::row_test::Refusal;
use crate::quality::tree::Single;

/// Refuses `CustomSql`.
pub fn custom_sql(on: &mut Preparation<'_>, _: &Single) -> Result<Box<dyn Check>, Refusal> {
    if on.context.draft {
        return Ok(later());
    }
    Err(Refusal::Unfit(
        "`CustomSql` needs an engine for SQL queries, which is not here: run it by Spark SQL in a Glue job, or say \
         it with `where`"
            .into(),
    ))
}
