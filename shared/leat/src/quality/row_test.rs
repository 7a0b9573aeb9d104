//! What a rule says of a single row.

use super::column_values::ColumnValues;
use super::tree::{Ruleset, Single};
use crate::column::{Column, Type, Value};
use crate::diagnostic::nearest;
use crate::record::Row;

/// A row rule ready for one column.
#[derive(Debug)]
pub struct RowTest {
    /// The column's name.
    pub column: String,
    slot: usize,
    test: Test,
}

#[derive(Debug)]
enum Test {
    /// `IsComplete`: not null.
    Complete,
    Values(ColumnValues),
}

/// What was found of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It meets the condition.
    Passes,
    /// It does not.
    Fails,
    /// It is null, and null does not.
    Null,
    /// The condition is about numbers and it is none.
    NoNumber,
    /// The condition is about dates and it is none.
    NoDate,
    /// The condition has `now()` and nobody said when that is.
    NoNow,
}

impl Finding {
    /// Passes or fails.
    pub fn of(passes: bool) -> Self {
        if passes { Finding::Passes } else { Finding::Fails }
    }

    /// Why a value fails, without the value. The wording for null is that of AWS Glue.
    pub fn reason(self) -> &'static str {
        match self {
            Finding::Passes => "",
            Finding::Fails => "Value does not meet the constraint requirement!",
            Finding::Null => "Value: NULL does not meet the constraint requirement!",
            Finding::NoNumber => "Value is no number, as the constraint requires",
            Finding::NoDate => "Value is no date, as the constraint requires",
            Finding::NoNow => "the record has no arrival time, which `now()` stands for",
        }
    }
}

/// Why a rule cannot be evaluated.
#[derive(Debug)]
pub enum Refusal {
    /// No such column.
    Column {
        /// Its name.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// Leat does not evaluate it.
    NotYet(String),
}

impl Refusal {
    /// What is wrong.
    pub fn message(&self) -> String {
        match self {
            Refusal::Column { name, .. } => format!("there is no column `{name}`"),
            Refusal::NotYet(what) => what.clone(),
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Refusal::Column { nearest, .. } => {
                nearest.as_ref().map(|near| format!("the nearest is `{near}`"))
            }
            Refusal::NotYet(_) => None,
        }
    }
}

/// Tags that would change what a rule means.
const MEANINGFUL_TAGS: [&str; 3] = ["ignoreCase", "timeZone", "format"];

/// Refuses what no rule of this crate evaluates.
pub fn refuse_modifiers(single: &Single) -> Result<(), Refusal> {
    let name = single.kind.name;
    if single.filter.is_some() {
        return Err(Refusal::NotYet(format!("`where` of `{name}` is not evaluated yet")));
    }
    match single.tags.iter().find(|(tag, _)| MEANINGFUL_TAGS.contains(&tag.as_str())) {
        Some((tag, _)) => {
            Err(Refusal::NotYet(format!("the tag `{tag}` of `{name}` is not evaluated yet")))
        }
        None => Ok(()),
    }
}

impl RowTest {
    /// Readies `single` for rows with these columns.
    pub fn new(
        ruleset: &Ruleset,
        single: &Single,
        columns: &[(String, Type)],
    ) -> Result<Self, Refusal> {
        refuse_modifiers(single)?;
        let name = single.kind.name;
        if !matches!(name, "IsComplete" | "ColumnValues") {
            return Err(Refusal::NotYet(format!("the rule `{name}` is not evaluated yet")));
        }
        let column = single.parameters.first().map(|p| ruleset.text(p)).unwrap_or_default();
        let Some(slot) = columns.iter().position(|(name, _)| name == column) else {
            let names = columns.iter().map(|(name, _)| name.as_str());
            let nearest = nearest(column, names).map(str::to_owned);
            return Err(Refusal::Column { name: column.to_owned(), nearest });
        };
        let test = match &single.condition {
            None => Test::Complete,
            Some(condition) => Test::Values(
                ColumnValues::new(ruleset, condition, columns[slot].1).map_err(Refusal::NotYet)?,
            ),
        };
        Ok(RowTest { column: column.to_owned(), slot, test })
    }

    /// Whether each of `rows` passes; `passed` has a place for each. `now()` is a row's arrival.
    pub fn judge(&self, columns: &[Column], rows: &[Row], passed: &mut [bool]) {
        match (&self.test, columns.get(self.slot).filter(|column| column.len() >= rows.len())) {
            (Test::Complete, Some(column)) if column.validity().all() => passed.fill(true),
            (Test::Complete, Some(column)) => {
                for (at, passed) in passed.iter_mut().enumerate() {
                    *passed = column.is_valid(at);
                }
            }
            (Test::Values(values), Some(column)) => values.judge(column, rows, passed),
            // A column that is not there, or not to the end, is null.
            (_, None) => {
                for (at, (passed, row)) in passed.iter_mut().zip(rows).enumerate() {
                    *passed = self.find(columns, at, row.coordinates.arrival) == Finding::Passes;
                }
            }
        }
    }

    /// What is found of `row`. `now` is in milliseconds since 1970 UTC.
    pub fn find(&self, columns: &[Column], row: usize, now: Option<i64>) -> Finding {
        let value = columns.get(self.slot).map_or(Value::Null, |column| column.get(row));
        match &self.test {
            Test::Complete if value == Value::Null => Finding::Null,
            Test::Complete => Finding::Passes,
            Test::Values(values) => values.find(value, now),
        }
    }
}
