//! `ColumnCount`, `ColumnNamesMatchPattern`, `SchemaMatch`: which columns there are.
//!
//! - `ColumnCount` takes a number condition, and gives `Dataset.*.ColumnCount`.
//! - `ColumnNamesMatchPattern` takes a regular expression; each column's name must contain a match of it. It gives
//!   `Dataset.*.ColumnNamesPatternMatchRatio`, the share of names that do.
//! - `SchemaMatch` takes the alias of a reference data set, and compares the share of columns that it has by the same
//!   name and type; 0 if it has more or fewer columns. It gives `Dataset.<alias>.SchemaMatch`.
//! - Types are Leat's: `bool`, `long`, `double`, `string`, `timestamp`. Names are compared with their case.
//! - State: none. Without a column the rules fail, `ColumnCount` apart.
//! - Source: AWS Glue's documentation; that a match anywhere is enough, and the 0, are awslabs/deequ's.

use super::{Check, Found, Known, Preparation, Verdict, later, met};
use crate::pattern::Pattern;
use crate::quality::names;
use crate::quality::row_test::{Refusal, refuse_tags};
use crate::quality::tree::Single;

/// Readies `ColumnCount`.
pub fn column_count(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let count = on.columns.len() as f64;
    Ok(Box::new(on.metric(single, move |_| Ok(count))?))
}

/// Readies `ColumnNamesMatchPattern`.
pub fn column_names_match_pattern(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    refuse_tags(single)?;
    let pattern = Pattern::find(&on.text(single, 0)).map_err(Refusal::Unfit)?;
    let names = || on.columns.iter().map(|(name, _)| name.as_str());
    let wrong: Vec<&str> = names().filter(|name| !pattern.matches(name)).collect();
    if on.columns.is_empty() {
        return Ok(super::fails("there is no column".into()));
    }
    let share = 1.0 - wrong.len() as f64 / on.columns.len() as f64;
    let verdict = match wrong.as_slice() {
        [] => Verdict::Passed(None),
        wrong => Verdict::Failed(format!("these columns do not match: {}", wrong.join(", "))),
    };
    Ok(Box::new(Known(verdict, vec![(names::metric(on.ruleset, single), share)])))
}

/// Readies `SchemaMatch`.
pub fn schema_match(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    refuse_tags(single)?;
    let alias = on.text(single, 0);
    let test = on.test(single)?;
    let Some(theirs) = on.reference(&alias)?.map(|reference| reference.columns()) else {
        return Ok(later());
    };
    let ours = on.columns;
    let share = match ours.len() {
        0 => return Ok(super::fails("there is no column".into())),
        count if count != theirs.len() => 0.0,
        count => ours.iter().filter(|column| theirs.contains(column)).count() as f64 / count as f64,
    };
    let Found { verdict, .. } = Found::verdict(met(test.as_ref(), share));
    Ok(Box::new(Known(verdict, vec![(names::metric(on.ruleset, single), share)])))
}
