//! The record of a run: what a ruleset said of a data set, written once and never changed. One form for the command line,
//! the gate of a training run, and `cleanse`.
//!
//! It says where rows stand that fail, never what they hold. The same run gives the same bytes.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::action::RowAction;
use super::evaluated::evaluated;
use super::metrics::{Outcome, Status, threshold};
use super::over::Over;
use super::row_rule::is_row_rule;
use super::tree::Ruleset;
use crate::drift::{DriftResult, Judged};
use crate::record::{Coordinates, Sequence};
use crate::{number, timestamp};

/// The version of the form.
pub const VERSION: u32 = 1;
/// Of a rule that does not hold, so many places of rows that fail it are kept, if nobody says.
pub const SAMPLES: usize = 5;

/// Where a row stands, for somebody who looks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The stream's name, or an object's URL.
    pub source: String,
    /// The shard; empty for a file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shard: String,
    /// The record's number in the shard; none for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// The place of a user record within an aggregated one; 0 elsewhere.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sub: u64,
    /// The line or row: of a file from 1, as an editor counts; within a record from 0.
    pub line: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl From<&Coordinates> for Place {
    fn from(coordinates: &Coordinates) -> Self {
        let Coordinates { source, shard, position, .. } = coordinates;
        let of_file = shard.is_empty();
        Place {
            source: source.to_string(),
            shard: shard.to_string(),
            sequence: (!of_file).then(|| position.sequence.clone()),
            sub: position.sub,
            line: position.line.saturating_add(u64::from(of_file)),
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Place { source, shard, sequence, sub, line } = self;
        match sequence {
            None => write!(f, "{source}:{line}"),
            Some(sequence) => {
                let sequence = sequence.as_str();
                write!(f, "{source} {shard} {sequence} (line {line} of sub-record {sub})")
            }
        }
    }
}

/// Rows that one rule rejected, which may be a rule of the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRows {
    /// How many.
    pub count: u64,
    /// Why the first one was, without any value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Where some of them stand, the first of them at first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Place>,
}

/// Rejected rows by rule.
pub type RejectedBy = BTreeMap<String, RejectedRows>;

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleStatus {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It cannot be said: what the rule needs is not there.
    Error,
    /// It was not asked here; the reason says who asks it.
    Skipped,
}

impl RuleStatus {
    /// As it stands in a result.
    pub const fn word(self) -> &'static str {
        match self {
            RuleStatus::Passed => "Passed",
            RuleStatus::Failed => "Failed",
            RuleStatus::Error => "Error",
            RuleStatus::Skipped => "Skipped",
        }
    }

    /// Whether the rule does not hold, or that cannot be said.
    pub const fn fails(self) -> bool {
        matches!(self, RuleStatus::Failed | RuleStatus::Error)
    }
}

impl From<Status> for RuleStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Passed => RuleStatus::Passed,
            Status::Failed => RuleStatus::Failed,
            Status::Error => RuleStatus::Error,
        }
    }
}

/// What was found of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleResult {
    /// The rule as canonical DQDL.
    pub rule: String,
    /// What became of it.
    pub outcome: RuleStatus,
    /// See [`Outcome::reason`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// See [`Outcome::action`].
    pub action: RowAction,
    /// See [`Outcome::metrics`].
    pub metrics: BTreeMap<String, f64>,
    /// See [`Outcome::threshold`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// See [`Outcome::evaluated`].
    pub evaluated: String,
    /// See [`Outcome::labels`].
    pub labels: BTreeMap<String, String>,
    /// See [`Outcome::passed_rows`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_rows: Option<u64>,
    /// See [`Outcome::failed_rows`]. Of a rule by which rows were rejected before: those; a row counts once, for the first
    /// rule that it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_rows: Option<u64>,
    /// Where some rows stand that fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Place>,
}

impl RuleResult {
    /// `outcome`, with the places of rows that fail.
    pub fn new(outcome: Outcome, samples: Vec<Place>) -> Self {
        RuleResult {
            rule: outcome.rule,
            outcome: outcome.outcome.into(),
            reason: outcome.reason,
            action: outcome.action,
            metrics: outcome.metrics,
            threshold: outcome.threshold,
            evaluated: outcome.evaluated,
            labels: outcome.labels,
            passed_rows: outcome.passed_rows,
            failed_rows: outcome.failed_rows,
            samples,
        }
    }

    /// Whether nothing may go on for this rule.
    pub fn halts(&self) -> bool {
        self.outcome.fails() && self.action == RowAction::Halt
    }

    /// The rule, what was measured and what was wanted, in one line without a value of a row.
    pub fn told(&self) -> String {
        let RuleResult { evaluated, metrics, threshold, .. } = self;
        let mut said: Vec<String> =
            metrics.iter().map(|(name, x)| format!("{name} = {}", number::to_text(*x))).collect();
        said.extend(threshold.as_ref().map(|threshold| format!("threshold {threshold}")));
        let reason = self.reason.as_deref().unwrap_or("it does not hold");
        match said.is_empty() {
            true => format!("{evaluated}: {reason}"),
            false => format!("{evaluated}: {reason} ({})", said.join(", ")),
        }
    }
}

/// What follows from all rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateDecision {
    /// The data goes on.
    Proceed,
    /// A rule halts it.
    Halt,
}

impl GateDecision {
    /// As it stands in a result.
    pub const fn word(self) -> &'static str {
        match self {
            GateDecision::Proceed => "proceed",
            GateDecision::Halt => "halt",
        }
    }
}

/// Which run of what over what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The data set.
    pub dataset: String,
    /// The run's name.
    pub run: String,
    /// The run's logical time, in microseconds since 1970 UTC.
    pub now: i64,
    /// The recipe's name and hash.
    pub recipe: Option<(String, String)>,
    /// See [`Ruleset::hash`].
    pub ruleset_hash: Option<String>,
}

/// What was found, by rule and in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// The rules, in the order of the ruleset.
    pub outcomes: Vec<RuleResult>,
    /// The rows that the rules were asked of.
    pub rows: u64,
    /// What was rejected, by the rules of the schema too.
    pub rejected: RejectedBy,
    /// What is no event, by the rule that drops it.
    pub dropped: BTreeMap<String, u64>,
    /// All else that was counted.
    pub counts: BTreeMap<String, u64>,
    /// See [`super::Report::analyzers`].
    pub analyzers: BTreeMap<String, f64>,
    /// See [`super::Report::measured`].
    pub measured: BTreeMap<String, f64>,
    /// What limits of drift said; none where there are none.
    pub drift: Option<DriftResult>,
}

/// The record of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityResult {
    /// The version of this form: 1.
    pub leat: u32,
    /// The engine's version.
    pub engine: String,
    /// The data set.
    pub dataset: String,
    /// The run's name.
    pub run: String,
    /// The run's logical time (RFC 3339): what `now()` stood for.
    pub now: String,
    /// The recipe's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// The recipe's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe_hash: Option<String>,
    /// The ruleset's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruleset_hash: Option<String>,
    /// True if every rule holds that was asked, and every limit of drift.
    pub passed: bool,
    /// What follows: a rule that does not hold may only warn, or put rows into quarantine.
    pub decision: GateDecision,
    /// The rules and limits of drift that halt, each with what was measured and what was wanted.
    pub halted_by: Vec<String>,
    /// The share of the rules asked that hold; none if none was.
    pub score: Option<f64>,
    /// The rows that the rules were asked of.
    pub rows: u64,
    /// The rows that were rejected.
    pub rejected: u64,
    /// The same, by rule.
    pub rejected_by: BTreeMap<String, u64>,
    /// What is no event, by the rule that drops it.
    pub dropped_by: BTreeMap<String, u64>,
    /// `read`, `kept`, `rejected`, `dropped`, and what else was counted.
    pub counts: BTreeMap<String, u64>,
    /// The rules, in the order of the ruleset.
    pub outcomes: Vec<RuleResult>,
    /// What was rejected, with reasons and places.
    pub rejects: RejectedBy,
    /// What the analyzers measured.
    pub analyzers: BTreeMap<String, f64>,
    /// All that was measured, by the names that later runs ask for (`last(k)`, `DetectAnomalies`).
    #[serde(alias = "metrics")]
    pub measured: BTreeMap<String, f64>,
    /// What limits of drift said; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftResult>,
}

impl QualityResult {
    /// The record of `findings`; `read`, `kept`, `rejected` and `dropped` are counted unless the caller did.
    pub fn new(about: About, findings: Findings) -> Self {
        let Findings {
            outcomes,
            rows,
            rejected,
            dropped,
            mut counts,
            analyzers,
            mut measured,
            drift,
        } = findings;
        let sum = |numbers: &mut dyn Iterator<Item = u64>| numbers.fold(0, u64::saturating_add);
        let refused = sum(&mut rejected.values().map(|rows| rows.count));
        let passed_by = sum(&mut dropped.values().copied());
        let read = rows.saturating_add(refused).saturating_add(passed_by);
        for (name, count) in
            [("read", read), ("kept", rows), ("rejected", refused), ("dropped", passed_by)]
        {
            counts.entry(name.to_owned()).or_insert(count);
        }
        let failed = outcomes.iter().filter(|rule| rule.outcome.fails()).count();
        let skipped = outcomes.iter().filter(|rule| rule.outcome == RuleStatus::Skipped).count();
        let asked = outcomes.len() - skipped;
        let mut halted_by: Vec<String> =
            outcomes.iter().filter(|rule| rule.halts()).map(RuleResult::told).collect();
        let judged = || drift.iter().flat_map(|drift| &drift.judged);
        halted_by.extend(judged().filter(|limit| limit.halts()).map(Judged::told));
        measured.extend(judged().filter_map(|limit| limit.metric().zip(limit.value)));
        let (recipe, recipe_hash) = about.recipe.unzip();
        QualityResult {
            leat: VERSION,
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            dataset: about.dataset,
            run: about.run,
            now: timestamp::to_text(about.now),
            recipe,
            recipe_hash,
            ruleset_hash: about.ruleset_hash,
            passed: failed == 0 && judged().all(|limit| !limit.fails()),
            decision: match halted_by.is_empty() {
                true => GateDecision::Proceed,
                false => GateDecision::Halt,
            },
            halted_by,
            score: (asked > 0).then(|| (asked - failed) as f64 / asked as f64),
            rows,
            rejected: refused,
            rejected_by: rejected.iter().map(|(rule, of)| (rule.clone(), of.count)).collect(),
            dropped_by: dropped,
            counts,
            outcomes,
            rejects: rejected,
            analyzers,
            measured,
            drift,
        }
    }

    /// The limits of drift that do not hold, or cannot be said to.
    pub fn drift_failed(&self) -> impl Iterator<Item = &Judged> {
        self.drift.iter().flat_map(DriftResult::failed)
    }

    /// How many rules ended as `status`.
    pub fn rules(&self, status: RuleStatus) -> u64 {
        self.outcomes.iter().filter(|rule| rule.outcome == status).count() as u64
    }

    /// How many rules do not hold, or cannot be said to.
    pub fn rules_failed(&self) -> u64 {
        self.rules(RuleStatus::Failed) + self.rules(RuleStatus::Error)
    }

    /// Whether nothing may go on.
    pub fn halts(&self) -> bool {
        self.decision == GateDecision::Halt
    }

    /// JSON for people and programs, with a line break at its end: the same run gives the same bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Of the record what later runs and reports ask for.
    pub fn past(&self) -> PastRun {
        PastRun {
            leat: self.leat,
            engine: self.engine.clone(),
            run: self.run.clone(),
            now: self.now.clone(),
            ruleset_hash: self.ruleset_hash.clone(),
            rows: self.rows,
            passed: self.passed,
            score: self.score,
            measured: self.measured.clone(),
        }
    }
}

/// What an earlier run measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastRun {
    /// The version of this form: 1.
    pub leat: u32,
    /// The engine's version.
    pub engine: String,
    /// The run's name.
    #[serde(default)]
    pub run: String,
    /// The run's logical time (RFC 3339).
    pub now: String,
    /// The ruleset's hash.
    #[serde(default)]
    pub ruleset_hash: Option<String>,
    /// The rows that the rules were asked of.
    pub rows: u64,
    /// Whether every rule held.
    pub passed: bool,
    /// The share of the rules that held.
    #[serde(default)]
    pub score: Option<f64>,
    /// By the names that `last(k)` and `DetectAnomalies` ask for.
    #[serde(alias = "metrics")]
    pub measured: BTreeMap<String, f64>,
}

/// A document of JSON has no NaN.
impl Eq for PastRun {}

impl PastRun {
    /// The run's logical time, in microseconds since 1970 UTC; none if it is no time.
    pub fn time(&self) -> Option<i64> {
        timestamp::parse(&self.now)
    }

    /// As [`QualityResult::to_json`].
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// What a run says of the rules of `ruleset` that reads rows which the row rules have sorted before: row rules by what they
/// rejected (`rejected`) or let go on (`warned`), by their texts; all others by `of_set`, the outcomes of
/// [`Ruleset::about_the_data_set`] with their places, of which those are skipped, with the reason, that `skipped` names.
pub fn of_sorted_rows(
    ruleset: &Ruleset,
    rejected: &RejectedBy,
    warned: &BTreeMap<String, u64>,
    of_set: impl IntoIterator<Item = RuleResult>,
    skipped: impl Fn(&super::tree::Rule) -> Option<&'static str>,
) -> Vec<RuleResult> {
    let unasked = |rule: &super::tree::Rule| match is_row_rule(rule) {
        true => None,
        false => ruleset.unasked(Over::Run, rule),
    };
    let skipped = |rule: &super::tree::Rule| unasked(rule).or_else(|| skipped(rule));
    of_rows_and_set(ruleset, rejected, warned, of_set, skipped)
}

/// As [`of_sorted_rows`], whatever labels say of runs: all rules that `skipped` does not name were asked.
pub fn of_rows_and_set(
    ruleset: &Ruleset,
    rejected: &RejectedBy,
    warned: &BTreeMap<String, u64>,
    of_set: impl IntoIterator<Item = RuleResult>,
    skipped: impl Fn(&super::tree::Rule) -> Option<&'static str>,
) -> Vec<RuleResult> {
    let mut of_set = of_set.into_iter();
    let mut results = Vec::with_capacity(ruleset.rules.len());
    for rule in &ruleset.rules {
        if !is_row_rule(rule) && skipped(rule).is_none() {
            results.extend(of_set.next());
            continue;
        }
        // As verdicts name it.
        let resolved = evaluated(ruleset, rule, None);
        let text = resolved.to_string();
        let mut result = RuleResult {
            rule: rule.to_string(),
            outcome: RuleStatus::Passed,
            reason: None,
            action: RowAction::of(ruleset, rule),
            metrics: BTreeMap::new(),
            threshold: threshold(&resolved),
            labels: ruleset.labels(rule),
            passed_rows: None,
            failed_rows: None,
            samples: Vec::new(),
            evaluated: text.clone(),
        };
        if let Some(why) = skipped(rule) {
            (result.outcome, result.reason) = (RuleStatus::Skipped, Some(why.to_owned()));
            results.push(result);
            continue;
        }
        let (count, samples, first) = match rejected.get(&text) {
            Some(rows) => (rows.count, rows.samples.clone(), rows.samples.first()),
            None => (warned.get(&text).copied().unwrap_or_default(), Vec::new(), None),
        };
        result.failed_rows = Some(count);
        if count > 0 {
            let did = match result.action {
                RowAction::Warn => "fail it and go on",
                _ => "are rejected",
            };
            let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
            let first = first.map(|place| format!(", the first at {place}")).unwrap_or_default();
            result.outcome = RuleStatus::Failed;
            result.reason = Some(format!("{rows} {did}{first}"));
        }
        result.samples = samples;
        results.push(result);
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, Type};
    use crate::quality::{Evaluation, Method, parse};
    use crate::record::Position;

    fn rule(outcome: RuleStatus, action: RowAction) -> RuleResult {
        RuleResult {
            rule: "RowCount > 5".into(),
            outcome,
            reason: Some("unmet".into()),
            action,
            metrics: [("Dataset.*.RowCount".to_owned(), 3.0)].into(),
            threshold: Some("> 5".into()),
            evaluated: "RowCount > 5".into(),
            labels: BTreeMap::new(),
            passed_rows: None,
            failed_rows: None,
            samples: vec![Place { source: "a.csv".into(), line: 3, ..Place::default() }],
        }
    }

    fn result(outcomes: Vec<RuleResult>) -> QualityResult {
        let about = About { dataset: "d".into(), run: "r".into(), ..About::default() };
        let rejected = RejectedRows { count: 2, ..RejectedRows::default() };
        let findings = Findings {
            outcomes,
            rows: 8,
            rejected: [("decode".to_owned(), rejected)].into(),
            dropped: [("sentinel".to_owned(), 1)].into(),
            ..Findings::default()
        };
        QualityResult::new(about, findings)
    }

    #[test]
    fn a_place_is_told_as_people_count() {
        let mut coordinates = Coordinates {
            source: "a.jsonl".into(),
            shard: "".into(),
            position: Position { line: 6, ..Position::default() },
            arrival: None,
        };
        let place = Place::from(&coordinates);
        assert_eq!((place.to_string().as_str(), place.line), ("a.jsonl:7", 7));
        assert_eq!(serde_json::to_string(&place).unwrap(), r#"{"source":"a.jsonl","line":7}"#);
        coordinates.shard = "shard-1".into();
        coordinates.position.sequence = Sequence::new("0049");
        coordinates.position.sub = 2;
        let place = Place::from(&coordinates);
        assert_eq!(place.to_string(), "a.jsonl shard-1 49 (line 6 of sub-record 2)");
        let json = serde_json::to_string(&place).unwrap();
        assert_eq!(
            json,
            r#"{"source":"a.jsonl","shard":"shard-1","sequence":"49","sub":2,"line":6}"#
        );
        assert_eq!(serde_json::from_str::<Place>(&json).unwrap(), place);
    }

    #[test]
    fn what_follows() {
        use GateDecision::{Halt as Halts, Proceed};
        use RowAction::{Halt, Quarantine, Warn};
        use RuleStatus::{Error, Failed, Passed, Skipped};
        for (rules, passed, decision, score) in [
            (vec![], true, Proceed, None),
            (vec![(Skipped, Halt)], true, Proceed, None),
            (vec![(Passed, Halt), (Skipped, Halt)], true, Proceed, Some(1.0)),
            (vec![(Passed, Halt), (Failed, Halt)], false, Halts, Some(0.5)),
            (vec![(Error, Halt)], false, Halts, Some(0.0)),
            (vec![(Passed, Halt), (Failed, Warn)], false, Proceed, Some(0.5)),
            (vec![(Failed, Quarantine), (Error, Warn)], false, Proceed, Some(0.0)),
        ] {
            let found = result(rules.iter().map(|(status, act)| rule(*status, *act)).collect());
            assert_eq!(
                (found.passed, found.decision, found.score),
                (passed, decision, score),
                "{rules:?}"
            );
            assert_eq!(found.halted_by.is_empty(), decision == Proceed);
        }
        let halted = result(vec![rule(Failed, Halt)]);
        assert_eq!(
            halted.halted_by,
            ["RowCount > 5: unmet (Dataset.*.RowCount = 3.0, threshold > 5)"]
        );
        let counts: Vec<_> = halted.counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(counts, [("dropped", 1), ("kept", 8), ("read", 11), ("rejected", 2)]);
        assert_eq!((halted.rules_failed(), halted.rules(Passed)), (1, 0));
    }

    #[test]
    fn it_is_written_and_read_alike() {
        let found = result(vec![rule(RuleStatus::Failed, RowAction::Halt)]);
        let json = found.to_json().unwrap();
        assert_eq!(serde_json::from_slice::<QualityResult>(&json).unwrap(), found);
        assert_eq!(found.to_json().unwrap(), json);
        let past = found.past();
        assert_eq!(serde_json::from_slice::<PastRun>(&past.to_json().unwrap()).unwrap(), past);
        // What a run before this form has said.
        let before = r#"{"leat":1,"engine":"0","now":"2026-01-01T00:00:00Z","ruleset_hash":"a","rows":1,"passed":true,"metrics":{"a":1.0}}"#;
        let before: PastRun = serde_json::from_str(before).unwrap();
        assert_eq!(before.measured["a"], 1.0);
        assert_eq!(before.time(), timestamp::parse("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn rules_of_rows_and_of_the_set_stand_in_the_order_of_the_ruleset() {
        let text = "Rules = [
            ColumnValues \"a\" > 0, RowCount > 1, IsComplete \"a\" labels = [\"action\" = \"warn\"],
            Mean \"a\" > avg(last(3)), IsComplete \"a\" labels = [\"action\" = \"halt\"], IsUnique \"a\" ]";
        let ruleset = parse("q", text).unwrap();
        let dynamic = |rule: &super::super::tree::Rule| {
            rule.to_string().contains("last").then_some("elsewhere")
        };
        let mut of_set = ruleset.about_the_data_set();
        of_set.rules.retain(|rule| dynamic(rule).is_none());
        let columns = [("a".to_owned(), Type::Double)];
        let set = Evaluation::compile(&of_set, &columns, None, Method::default()).unwrap();
        let mut metrics = set.start();
        let data = [Column::doubles([Some(2.0), Some(2.0)])];
        set.update(&mut metrics, &data, 2);
        let failing = set.failing(&metrics, &data, 2, &[1, 1]).unwrap();
        assert_eq!(failing, [None, Some(vec![0])]);
        let outcomes = set.finish(&metrics).unwrap().into_iter();
        let place = Place { source: "x".into(), line: 9, ..Place::default() };
        let rows = |count| RejectedRows { count, samples: vec![place.clone()], reason: "r".into() };
        let rejected = [
            ("ColumnValues \"a\" > 0".to_owned(), rows(2)),
            ("IsComplete \"a\" labels = [\"action\" = \"halt\"]".to_owned(), rows(1)),
        ];
        let warned = [("IsComplete \"a\" labels = [\"action\" = \"warn\"]".to_owned(), 4)];
        let found = of_sorted_rows(
            &ruleset,
            &rejected.into(),
            &warned.into(),
            outcomes.map(|outcome| RuleResult::new(outcome, Vec::new())),
            dynamic,
        );
        let texts: Vec<_> = ruleset.rules.iter().map(ToString::to_string).collect();
        assert_eq!(found.iter().map(|rule| rule.rule.clone()).collect::<Vec<_>>(), texts);
        let told: Vec<_> = found
            .iter()
            .map(|r| (r.outcome.word(), r.action, r.failed_rows, r.halts(), r.threshold.as_deref()))
            .collect();
        use RowAction::{Halt, Quarantine, Warn};
        assert_eq!(
            told,
            [
                ("Failed", Quarantine, Some(2), false, Some("> 0")),
                ("Passed", Halt, None, false, Some("> 1")),
                ("Failed", Warn, Some(4), false, None),
                ("Skipped", Halt, None, false, Some("> avg(last(3))")),
                ("Failed", Halt, Some(1), true, None),
                ("Failed", Halt, Some(2), true, None),
            ]
        );
        assert_eq!(found[0].reason.as_deref(), Some("2 rows are rejected, the first at x:9"));
        assert_eq!(found[2].reason.as_deref(), Some("4 rows fail it and go on"));
        assert_eq!(found[3].reason.as_deref(), Some("elsewhere"));
        assert_eq!(found[4].samples, [place]);
    }
}
