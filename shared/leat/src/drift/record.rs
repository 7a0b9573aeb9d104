//! What limits said of a data set: the section `drift` of a record of quality. It holds names, measures and limits, and never
//! a value of a column.

use serde::{Deserialize, Serialize};

use super::{Drift, Limits, Measure};
use crate::quality::RowAction;
use crate::quality::result::RuleStatus;

/// What became of a limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The column.
    pub column: String,
    /// The measure; none where the columns themselves differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
    /// What was measured; none if it could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// `Passed` within the limit, `Failed` beyond it, `Error` if it could not be measured.
    pub outcome: RuleStatus,
    /// What follows if it does not hold: `halt` or `warn`.
    pub action: RowAction,
    /// In words, why it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Judged {
    /// Whether the limit does not hold, or that cannot be said.
    pub fn fails(&self) -> bool {
        self.outcome.fails()
    }

    /// Whether nothing may go on for this limit.
    pub fn halts(&self) -> bool {
        self.fails() && self.action == RowAction::Halt
    }

    /// The limit that does not hold, in one line.
    pub fn told(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("it does not hold");
        format!("drift: {reason}")
    }

    /// The name under which later runs and reports find what was measured.
    pub fn metric(&self) -> Option<String> {
        self.measure.map(|measure| format!("Column.{}.Drift.{measure}", self.column))
    }
}

/// The section `drift` of a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftResult {
    /// See [`Limits::hash`].
    pub limits_hash: String,
    /// What the data was compared with: the name of an earlier run, or the URL of a fitted state; none where there is
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// Why nothing, or not all, was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What became of each limit.
    pub judged: Vec<Judged>,
}

impl DriftResult {
    /// What `limits` say of how data has moved from `against`.
    pub fn new(limits: &Limits, against: &str, drift: &Drift) -> Self {
        DriftResult {
            limits_hash: limits.hash().to_owned(),
            against: Some(against.to_owned()),
            reason: None,
            judged: limits.judge(drift),
        }
    }

    /// What is said where there is nothing to compare with.
    pub fn nothing(limits: &Limits, reason: &str) -> Self {
        DriftResult {
            limits_hash: limits.hash().to_owned(),
            reason: Some(reason.to_owned()),
            ..DriftResult::default()
        }
    }

    /// The limits that do not hold, or cannot be said to.
    pub fn failed(&self) -> impl Iterator<Item = &Judged> {
        self.judged.iter().filter(|judged| judged.fails())
    }
}
