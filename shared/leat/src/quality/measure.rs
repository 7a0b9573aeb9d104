//! What is counted for a rule of one type over a data set, and what the rule says of the counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::numbers::NumberTest;
use super::row_rule::RowRule;
use super::row_test::{Finding, Refusal, RowTest, refuse_modifiers};
use super::tree::{Condition, Date, Ruleset, Single};
use crate::column::{Column, Type};
use crate::number;

/// A rule has `now()` and the run has no time.
pub const NO_NOW: &str = "`now()` needs the run's time, which was not given";

/// What is counted for a rule of one type.
#[derive(Debug)]
pub enum Measure {
    /// The number of rows.
    RowCount(NumberTest),
    /// How many rows pass.
    Rows { test: RowTest, metric: &'static str, threshold: Option<NumberTest> },
    /// How many rows pass a composite, row by row.
    Composite(RowRule),
    /// The rule fails for this reason, whatever the data.
    Fails(String),
}

/// What was counted for one measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows that passed.
    pub passed: u64,
    /// Rows that failed because they are null, no number, no date.
    null: u64,
    no_number: u64,
    no_date: u64,
}

impl Measure {
    /// Readies `single` for a data set with these columns.
    pub fn new(
        ruleset: &Ruleset,
        single: &Single,
        columns: &[(String, Type)],
        now: Option<i64>,
    ) -> Result<Measure, Refusal> {
        if now.is_none() && wants_now(single) {
            return Err(Refusal::NotYet(NO_NOW.into()));
        }
        match (single.kind.name, &single.condition) {
            ("RowCount", Some(Condition::Number(test))) => {
                refuse_modifiers(single)?;
                NumberTest::new(test).map(Measure::RowCount).map_err(Refusal::NotYet)
            }
            (name, _) => {
                let threshold = single.threshold.as_ref().map(NumberTest::new).transpose();
                let threshold = threshold.map_err(Refusal::NotYet)?;
                match RowTest::new(ruleset, single, columns) {
                    Ok(test) => {
                        let complete = name == "IsComplete";
                        let metric =
                            if complete { "Completeness" } else { "ColumnValues.Compliance" };
                        Ok(Measure::Rows { test, metric, threshold })
                    }
                    Err(refusal @ Refusal::Column { .. }) => Ok(Measure::Fails(refusal.message())),
                    Err(refusal) => Err(refusal),
                }
            }
        }
    }

    /// Counts the first `rows` rows of `columns`.
    pub fn count(&self, counts: &mut Counts, columns: &[Column], rows: usize, now: Option<i64>) {
        match self {
            Measure::Rows { test, .. } => {
                (0..rows).for_each(|row| counts.add(test.find(columns, row, now)));
            }
            Measure::Composite(rule) => {
                (0..rows).for_each(|row| counts.add(Finding::of(rule.passes(columns, row, now))));
            }
            Measure::RowCount(_) | Measure::Fails(_) => {}
        }
    }

    /// Adds the metric; the reason if the rule does not hold.
    pub fn outcome(
        &self,
        counts: &Counts,
        rows: u64,
        found: &mut BTreeMap<String, f64>,
    ) -> Result<(), String> {
        let unmet = |value: f64| {
            let value = number::to_text(value);
            format!("Value: {value} does not meet the constraint requirement!")
        };
        match self {
            Measure::Fails(reason) => Err(reason.clone()),
            Measure::RowCount(test) => {
                let value = rows as f64;
                found.insert("Dataset.*.RowCount".into(), value);
                if test.holds(value) { Ok(()) } else { Err(unmet(value)) }
            }
            Measure::Rows { .. } | Measure::Composite(_) if rows == 0 => {
                Err("the input is empty: there is no row to check".into())
            }
            Measure::Composite(_) if counts.passed == rows => Ok(()),
            Measure::Composite(_) => Err(counts.reason(rows)),
            Measure::Rows { test, metric, threshold } => {
                let share = counts.passed as f64 / rows as f64;
                found.insert(format!("Column.{}.{metric}", test.column), share);
                match threshold {
                    Some(threshold) if threshold.holds(share) => Ok(()),
                    Some(_) => Err(unmet(share)),
                    None if counts.passed == rows => Ok(()),
                    None => Err(format!("`{}`: {}", test.column, counts.reason(rows))),
                }
            }
        }
    }
}

impl Counts {
    fn add(&mut self, finding: Finding) {
        let count = match finding {
            Finding::Passes => &mut self.passed,
            Finding::Null => &mut self.null,
            Finding::NoNumber => &mut self.no_number,
            Finding::NoDate => &mut self.no_date,
            Finding::Fails | Finding::NoNow => return,
        };
        *count = count.saturating_add(1);
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Counts) {
        let add = |mine: &mut u64, theirs: u64| *mine = mine.saturating_add(theirs);
        add(&mut self.passed, other.passed);
        add(&mut self.null, other.null);
        add(&mut self.no_number, other.no_number);
        add(&mut self.no_date, other.no_date);
    }

    /// Why not all of `rows` rows pass: how many fail in which way.
    fn reason(&self, rows: u64) -> String {
        let failed = rows.saturating_sub(self.passed);
        let told = [
            (self.null, Finding::Null),
            (self.no_number, Finding::NoNumber),
            (self.no_date, Finding::NoDate),
        ];
        let rest = told.iter().fold(failed, |rest, (count, _)| rest.saturating_sub(*count));
        let parts: Vec<_> = told
            .into_iter()
            .chain([(rest, Finding::Fails)])
            .filter(|(count, _)| *count > 0)
            .map(|(count, finding)| format!("{} ({count} of {rows} rows)", finding.reason()))
            .collect();
        parts.join(", ")
    }
}

/// Whether the condition has `now()`.
pub fn wants_now(single: &Single) -> bool {
    match &single.condition {
        Some(Condition::Date(test)) => {
            let now = |date: &&Date| matches!(date, Date::Now | Date::Shifted { .. });
            test.operands().iter().any(now)
        }
        _ => false,
    }
}
