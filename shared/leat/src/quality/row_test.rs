//! What a rule says of a single row.

use std::collections::BTreeSet;

use super::column_data_type::DataTypes;
use super::column_length::length;
use super::column_values::ColumnValues;
use super::data_freshness::Freshness;
use super::numbers::NumberTest;
use super::predicate::Predicate;
use super::tree::{Condition, Ruleset, Single};
use crate::column::{Column, Type, Value};
use crate::diagnostic::nearest;
use crate::record::Row;

/// A row rule ready for one column.
#[derive(Debug)]
pub struct RowTest {
    /// The column's name.
    pub column: String,
    /// Where it lies.
    pub slot: usize,
    filter: Option<Box<Predicate>>,
    test: Test,
}

#[derive(Debug)]
enum Test {
    /// `IsComplete`: not null.
    Complete,
    /// `ColumnExists`: that the rule could be readied says all.
    Exists,
    Values(ColumnValues),
    Length(NumberTest),
    DataType(DataTypes),
    Freshness(Freshness),
}

/// What was found of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It meets the condition.
    Passes,
    /// `where` left the row out: the rule does not speak of it.
    Skipped,
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
    /// Whether the row stays: it passes, or the rule does not speak of it.
    pub fn stays(self) -> bool {
        matches!(self, Finding::Passes | Finding::Skipped)
    }

    /// Passes or fails.
    pub fn of(passes: bool) -> Self {
        if passes { Finding::Passes } else { Finding::Fails }
    }

    /// Why a value fails, without the value. The wording for null is that of AWS Glue.
    pub fn reason(self) -> &'static str {
        match self {
            Finding::Passes | Finding::Skipped => "",
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
    /// No such column: over a data set the rule fails.
    Column {
        /// Its name.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// Its `where` cannot be evaluated: over a data set the rule fails.
    Filter(String),
    /// It makes no sense, or needs what is not there.
    Unfit(String),
}

impl Refusal {
    /// What is wrong.
    pub fn message(&self) -> String {
        match self {
            Refusal::Column { name, .. } => format!("there is no column `{name}`"),
            Refusal::Filter(what) | Refusal::Unfit(what) => what.clone(),
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Refusal::Column { nearest, .. } => {
                nearest.as_ref().map(|near| format!("the nearest is `{near}`"))
            }
            Refusal::Filter(_) | Refusal::Unfit(_) => None,
        }
    }

    /// Whether the rule fails over a data set, rather than being refused with its ruleset.
    pub fn fails(&self) -> bool {
        !matches!(self, Refusal::Unfit(_))
    }
}

/// Tags that change what a rule means, and the rules whose meaning they change.
const MEANINGFUL_TAGS: [(&str, &[&str]); 9] = [
    ("ignoreCase", &[]),
    ("timeZone", &["FileFreshness"]),
    ("format", &["ColumnDataType"]),
    ("hashAlgorithm", &["FileMatch"]),
    ("recentFiles", &["FileFreshness", "FileSize", "FileMatch", "FileUniqueness"]),
    ("uriRegex", &["FileFreshness", "FileSize", "FileMatch", "FileUniqueness"]),
    ("filterOrder", &["FileFreshness", "FileSize", "FileMatch", "FileUniqueness"]),
    ("failFiles", &[]),
    ("matchFileName", &[]),
];

/// Refuses tags that would change what the rule means and do not; other tags are notes.
pub fn refuse_tags(single: &Single) -> Result<(), Refusal> {
    let name = single.kind.name;
    let refused = |(tag, _): &&(String, String)| {
        MEANINGFUL_TAGS.iter().any(|(other, rules)| other == tag && !rules.contains(&name))
    };
    match single.tags.iter().find(refused) {
        Some((tag, _)) => {
            Err(Refusal::Unfit(format!("the tag `{tag}` of `{name}` is not evaluated by Leat")))
        }
        None => Ok(()),
    }
}

/// The slot of the column `name`.
pub fn slot_of(columns: &[(String, Type)], name: &str) -> Result<usize, Refusal> {
    columns.iter().position(|(column, _)| column == name).ok_or_else(|| {
        let names = columns.iter().map(|(name, _)| name.as_str());
        let nearest = nearest(name, names).map(str::to_owned);
        Refusal::Column { name: name.to_owned(), nearest }
    })
}

impl RowTest {
    /// Readies `single` for rows with these columns.
    pub fn new(
        ruleset: &Ruleset,
        single: &Single,
        columns: &[(String, Type)],
    ) -> Result<Self, Refusal> {
        refuse_tags(single)?;
        let column = single.parameters.first().map(|p| ruleset.text(p)).unwrap_or_default();
        // What is wrong with the rule itself comes before what is wrong with the data.
        let slot = slot_of(columns, column);
        let kind = slot.as_ref().map_or(Type::String, |slot| columns[*slot].1);
        let test = match (single.kind.name, &single.condition) {
            ("IsComplete", _) => Test::Complete,
            ("ColumnExists", _) => Test::Exists,
            ("ColumnLength", Some(Condition::Number(test))) => {
                Test::Length(NumberTest::new(test).map_err(Refusal::Unfit)?)
            }
            ("ColumnDataType", _) => {
                Test::DataType(DataTypes::new(ruleset, single).map_err(Refusal::Unfit)?)
            }
            ("DataFreshness", condition) => {
                Test::Freshness(Freshness::new(condition.as_ref()).map_err(Refusal::Unfit)?)
            }
            ("ColumnValues", Some(condition)) => {
                Test::Values(ColumnValues::new(ruleset, condition, kind).map_err(Refusal::Unfit)?)
            }
            (name, _) => {
                return Err(Refusal::Unfit(format!("`{name}` says nothing of a single row")));
            }
        };
        let slot = slot?;
        let filter =
            single.filter.as_deref().map(|text| Predicate::new(text, columns).map(Box::new));
        let filter = filter.transpose().map_err(Refusal::Filter)?;
        Ok(RowTest { column: column.to_owned(), slot, filter, test })
    }

    /// Adds the slots that it reads to `reads`.
    pub fn reads(&self, reads: &mut BTreeSet<usize>) {
        if !matches!(self.test, Test::Exists) {
            reads.insert(self.slot);
        }
        reads.extend(self.filter.iter().flat_map(|filter| filter.reads()));
    }

    /// Whether each of `rows` passes; `passed` has a place for each. `now()` is a row's arrival.
    pub fn judge(&self, columns: &[Column], rows: &[Row], passed: &mut [bool]) {
        let column = columns.get(self.slot).filter(|column| column.len() >= rows.len());
        match (&self.test, column.filter(|_| self.filter.is_none())) {
            (Test::Complete, Some(column)) if column.validity().all() => passed.fill(true),
            (Test::Complete, Some(column)) => {
                for (at, passed) in passed.iter_mut().enumerate() {
                    *passed = column.is_valid(at);
                }
            }
            (Test::Values(values), Some(column)) => values.judge(column, rows, passed),
            // A test that is seldom used or asks for some rows only; a column that is not there, or not to the end, is null.
            _ => {
                let arrival = |at: usize| rows[at].coordinates.arrival;
                self.find_all(columns, rows.len(), arrival, |at, found| passed[at] = found.stays());
            }
        }
    }

    /// Gives what is found of each of the first `rows` rows to `visit`.
    pub fn find_all(
        &self,
        columns: &[Column],
        rows: usize,
        now: impl Fn(usize) -> Option<i64>,
        mut visit: impl FnMut(usize, Finding),
    ) {
        let kept = self.filter.as_ref().map(|filter| filter.kept(columns, rows));
        for row in 0..rows {
            let kept = kept.as_ref().is_none_or(|kept| kept.get(row));
            let found =
                if kept { self.find_kept(columns, row, now(row)) } else { Finding::Skipped };
            visit(row, found);
        }
    }

    /// What is found of `row`. `now` is in milliseconds since 1970 UTC.
    pub fn find(&self, columns: &[Column], row: usize, now: Option<i64>) -> Finding {
        if self.filter.as_ref().is_some_and(|filter| !filter.keeps(columns, row)) {
            return Finding::Skipped;
        }
        self.find_kept(columns, row, now)
    }

    fn find_kept(&self, columns: &[Column], row: usize, now: Option<i64>) -> Finding {
        let value = columns.get(self.slot).map_or(Value::Null, |column| column.get(row));
        match &self.test {
            Test::Exists => Finding::Passes,
            Test::Length(test) => Finding::of(test.holds(length(value) as f64)),
            Test::DataType(types) => types.find(value),
            Test::Freshness(freshness) => freshness.find(value, now),
            Test::Complete if value == Value::Null => Finding::Null,
            Test::Complete => Finding::Passes,
            Test::Values(values) => values.find(value, now),
        }
    }
}
