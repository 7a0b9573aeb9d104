//! Drift: how far a data set has moved from another one, column by column, measured on two [profiles](crate::profile).
//!
//! | measure | says | of | source |
//! |---|---|---|---|
//! | `psi` | population stability index: Σ (q − p)·ln(q / p) over bins | numbers; text, bool, with at most 100 values | Siddiqi, Credit Risk Scorecards (2006) |
//! | `ks`, `ks_p` | Kolmogorov–Smirnov: the greatest distance between the two distribution functions, and how likely one so great is by chance | numbers | Smirnov (1939) |
//! | `chi_squared`, `chi_squared_p` | Pearson's statistic of the table data set × value, and how likely one so great is by chance | text, bool, with at most 100 values, whole numbers with at most 50 | Pearson (1900) |
//! | `unseen` | the share of values that the first data set does not have | text, bool, whole numbers with at most 50 | |
//! | `outside` | the share of values below the least or above the greatest of the first | numbers | |
//! | `mean` | the difference of the means, in standard deviations of the first | numbers | |
//! | `missing` | the share of nulls less that of the first | all | |
//!
//! - Bins of `psi` of numbers are the tenths of the first data set; equal edges are one. A bin without a value counts as a
//!   share of 0.0001, so that nothing is divided by zero. A first column of one value has three bins: below, equal, above.
//! - `ks_p` is that of Smirnov's limit for great samples: √(nm / (n + m))·`ks` under Kolmogorov's distribution
//!   (`scipy.special.kolmogorov`). With ties it is too great rather than too small.
//! - `chi_squared` has values whose expected count is below 5 in one data set put together (Cochran's rule), and as many
//!   degrees of freedom as there are then values, less one. It has no Yates correction.
//! - The more values a column has, the more chance alone moves `psi`: some (k − 1)·(1/n + 1/m) for k bins. Hence the bound on
//!   values, and hence no limit on `psi` means much for a few hundred rows.
//! - A p-value of great data sets is near 0 for a difference that matters to nobody: set limits on the distances, and use
//!   p-values on small samples.
//! - Null and infinite values have no part but in `missing`. Timestamps move on by themselves: they have `missing` alone.
//!   What cannot be measured, as a column of nulls, is left out, and a note says why.
//! - Profiles of more than 100,000 different numbers compare by bucket: `ks` is then too small by at most the share of a
//!   bucket, 0.2 % wide. Above 1,048,576 different values `unseen` is an estimate from a sample of the values by hash.

mod distribution;
mod fitted;
mod limits;
mod measure;
mod record;

pub use distribution::{chi_squared_p, kolmogorov};
pub use fitted::against;
pub use limits::Limits;
pub use measure::Measure;
pub use record::{DriftResult, Judged};

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::column::Type;
use crate::profile::{ColumnProfile, Profile};

/// How far a data set has moved from a first one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Columns that both have, in the first one's order.
    pub columns: Vec<ColumnDrift>,
    /// How their columns differ.
    pub schema: Vec<Mismatch>,
}

/// How far a column has moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnDrift {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// What was measured.
    pub measures: BTreeMap<Measure, f64>,
    /// What was not measured, and why; what is an estimate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How the columns of two data sets differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "mismatch", rename_all = "snake_case")]
pub enum Mismatch {
    /// The first has it, the second has not.
    Gone {
        /// The column.
        column: String,
    },
    /// The second has it, the first has not.
    New {
        /// The column.
        column: String,
    },
    /// It has another type. Whole numbers and doubles are compared all the same.
    Type {
        /// The column.
        column: String,
        /// Its type in the first.
        was: Type,
        /// Its type in the second.
        is: Type,
    },
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mismatch::Gone { column } => write!(f, "`{column}` is gone"),
            Mismatch::New { column } => write!(f, "`{column}` is new"),
            Mismatch::Type { column, was, is } => write!(f, "`{column}` was {was} and is {is}"),
        }
    }
}

/// Measures how far `now` has moved from `before`.
pub fn compare(before: &Profile, now: &Profile) -> Drift {
    let mut drift = Drift { columns: Vec::new(), schema: Vec::new() };
    for column in before.columns() {
        let name = column.name.clone();
        let Some(other) = now.column(&name) else {
            drift.schema.push(Mismatch::Gone { column: name });
            continue;
        };
        if column.kind != other.kind {
            let (was, is) = (column.kind, other.kind);
            drift.schema.push(Mismatch::Type { column: name, was, is });
        }
        drift.columns.push(ColumnDrift::between(column, other));
    }
    let known: BTreeSet<&str> = before.columns().iter().map(|c| c.name.as_str()).collect();
    let new = now.columns().iter().filter(|column| !known.contains(column.name.as_str()));
    drift.schema.extend(new.map(|column| Mismatch::New { column: column.name.clone() }));
    drift
}

impl ColumnDrift {
    /// Measures a column.
    fn between(before: &ColumnProfile, now: &ColumnProfile) -> ColumnDrift {
        let mut drift = ColumnDrift {
            name: before.name.clone(),
            kind: now.kind,
            measures: BTreeMap::new(),
            notes: Vec::new(),
        };
        if before.rows == 0 || now.rows == 0 {
            drift.note(match before.rows {
                0 => "the first data set has no rows",
                _ => "the second data set has no rows",
            });
            return drift;
        }
        drift.measures.insert(Measure::Missing, now.missing() - before.missing());
        let numeric = before.kind.is_numeric() && now.kind.is_numeric();
        if before.kind != now.kind && !numeric {
            drift.note("the types differ: nothing but `missing` is measured");
        } else if before.kind == Type::Timestamp {
            drift.note("times move on by themselves: nothing but `missing` is measured");
        } else if before.present() == 0 || now.present() == 0 {
            drift.note(match before.present() {
                0 => "the first data set has no value: nothing but `missing` is measured",
                _ => "the second data set has no value: nothing but `missing` is measured",
            });
        } else {
            if numeric {
                measure::numbers(&before.numbers, &now.numbers, &mut drift);
            }
            measure::categories(before, now, &mut drift);
        }
        drift
    }

    fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    /// What was measured by `measure`.
    pub fn measured(&self, measure: Measure) -> Option<f64> {
        self.measures.get(&measure).copied()
    }
}

#[cfg(test)]
mod tests;
