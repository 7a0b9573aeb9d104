//! Rules about a data set: what they say is computed from mergeable counts.
//!
//! [`Evaluation`] is a ruleset ready for a data set with given columns; [`Metrics`] is what was counted so far. Counts
//! of parts merge into the counts of the whole, in any order. A composite is AND or OR of its parts' outcomes over
//! the whole data set (DQDL's method COLUMN): `(A > 1) OR (A = NULL)` fails where some rows meet one and some the
//! other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evaluated::evaluated;
use super::numbers::NumberTest;
use super::row_test::{Finding, Refusal, RowTest, refuse_modifiers};
use super::rows::diagnostic;
use super::tree::{Condition, Date, Joiner, Rule, Ruleset, Single};
use crate::column::{Column, Type};
use crate::diagnostic::Diagnostic;
use crate::number;

/// A ruleset ready for a data set.
#[derive(Debug)]
pub struct Evaluation {
    rules: Vec<Evaluated>,
    measures: Vec<Measure>,
    hash: String,
    now: Option<i64>,
}

/// What stays the same of a rule's outcome, and how its outcome comes from the measures.
#[derive(Debug)]
struct Evaluated {
    rule: String,
    evaluated: String,
    labels: BTreeMap<String, String>,
    node: Node,
}

#[derive(Debug)]
enum Node {
    /// An index of [`Evaluation::measures`].
    Measure(usize),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// What is counted for a rule of one type.
#[derive(Debug)]
enum Measure {
    RowCount(NumberTest),
    Rows {
        test: RowTest,
        metric: &'static str,
        threshold: Option<NumberTest>,
    },
    /// The rule fails for this reason, whatever the data.
    Fails(String),
}

/// What was counted of a data set or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// The hash of the ruleset.
    rules: String,
    /// What `now()` stood for, in milliseconds.
    now: Option<i64>,
    rows: u64,
    counts: Vec<Counts>,
}

/// What was counted for one measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    passed: u64,
    /// Rows that failed because they are null, no number, no date.
    null: u64,
    no_number: u64,
    no_date: u64,
}

/// Metrics of different rulesets, or of different times of `now()`, do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these metrics were counted for another ruleset, or for another time of `now()`")]
pub struct OtherMetrics;

/// What a rule says of a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The rule as canonical DQDL.
    pub rule: String,
    /// Whether it holds.
    pub outcome: Status,
    /// Why it does not. It holds no value of a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was measured: `Column.<column>.<Metric>`, `Dataset.*.<Metric>`.
    pub metrics: BTreeMap<String, f64>,
    /// The rule with the values that its variables and functions had.
    pub evaluated: String,
    /// The labels that hold for the rule.
    pub labels: BTreeMap<String, String>,
    /// Rows that passed; none where the rule does not look at rows one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_rows: Option<u64>,
    /// Rows that failed; as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_rows: Option<u64>,
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Status {
    /// It does.
    Passed,
    /// It does not.
    Failed,
}

impl Evaluation {
    /// Readies all rules of `ruleset` for a data set with these columns; `now` is what `now()` stands for, in
    /// milliseconds since 1970 UTC. A rule about a column that is not there will fail. Rules that are not evaluated
    /// yet are refused, all at once.
    pub fn compile(
        ruleset: &Ruleset,
        columns: &[(String, Type)],
        now: Option<i64>,
    ) -> Result<Evaluation, Vec<Diagnostic>> {
        let hash = ruleset.hash();
        let mut errors = Vec::new();
        let mut measures = Vec::new();
        let mut rules = Vec::new();
        for rule in &ruleset.rules {
            let mut compiler = Compiler { ruleset, columns, now, measures: &mut measures };
            if let Some(node) = compiler.node(rule, &mut errors) {
                let (text, labels) = (rule.to_string(), ruleset.labels(rule));
                let evaluated = evaluated(ruleset, rule, now).to_string();
                rules.push(Evaluated { rule: text, evaluated, labels, node });
            }
        }
        for analyzer in &ruleset.analyzers {
            let what = format!("the analyzer `{}` is not evaluated yet", analyzer.kind.name);
            let rule = Rule::Single(Box::new(analyzer.clone()));
            errors.push(diagnostic(ruleset, &rule, &Refusal::NotYet(what)));
        }
        if errors.is_empty() { Ok(Evaluation { rules, measures, hash, now }) } else { Err(errors) }
    }

    /// Counts of nothing.
    pub fn start(&self) -> Metrics {
        let counts = vec![Counts::default(); self.measures.len()];
        Metrics { rules: self.hash.clone(), now: self.now, rows: 0, counts }
    }

    /// Counts the first `rows` rows of `columns`, which are those of [`Evaluation::compile`].
    pub fn update(&self, metrics: &mut Metrics, columns: &[Column], rows: usize) {
        metrics.rows += rows as u64;
        for (measure, counts) in self.measures.iter().zip(&mut metrics.counts) {
            if let Measure::Rows { test, .. } = measure {
                (0..rows).for_each(|row| counts.add(test.find(columns, row, self.now)));
            }
        }
    }

    /// What the rules say of all that was counted, in the order of the rules.
    pub fn finish(&self, metrics: &Metrics) -> Result<Vec<Outcome>, OtherMetrics> {
        let fits = metrics.rules == self.hash
            && metrics.now == self.now
            && metrics.counts.len() == self.measures.len();
        if !fits {
            return Err(OtherMetrics);
        }
        let outcome = |rule: &Evaluated| {
            let mut found = BTreeMap::new();
            let mut reasons = Vec::new();
            let passed = self.holds(&rule.node, metrics, &mut found, &mut reasons);
            let rows = match rule.node {
                Node::Measure(at) => match self.measures[at] {
                    Measure::Rows { .. } => Some(metrics.counts[at].passed),
                    _ => None,
                },
                _ => None,
            };
            Outcome {
                rule: rule.rule.clone(),
                outcome: if passed { Status::Passed } else { Status::Failed },
                reason: (!passed).then(|| reasons.join("; ")),
                metrics: found,
                evaluated: rule.evaluated.clone(),
                labels: rule.labels.clone(),
                passed_rows: rows,
                failed_rows: rows.map(|passed| metrics.rows.saturating_sub(passed)),
            }
        };
        Ok(self.rules.iter().map(outcome).collect())
    }

    /// Whether `node` holds; adds its metrics, and the reasons of the parts that do not hold.
    fn holds(
        &self,
        node: &Node,
        metrics: &Metrics,
        found: &mut BTreeMap<String, f64>,
        reasons: &mut Vec<String>,
    ) -> bool {
        match node {
            Node::Measure(at) => {
                match self.measures[*at].outcome(&metrics.counts[*at], metrics.rows, found) {
                    Ok(()) => true,
                    Err(reason) => {
                        reasons.push(reason);
                        false
                    }
                }
            }
            Node::All(parts) | Node::Any(parts) => {
                let mut outcomes = Vec::new();
                for part in parts {
                    outcomes.push(self.holds(part, metrics, found, reasons));
                }
                match node {
                    Node::Any(_) => outcomes.contains(&true),
                    _ => !outcomes.contains(&false),
                }
            }
        }
    }
}

impl Metrics {
    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Metrics) -> Result<(), OtherMetrics> {
        let fits = self.rules == other.rules
            && self.now == other.now
            && self.counts.len() == other.counts.len();
        if !fits {
            return Err(OtherMetrics);
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| mine.merge(theirs));
        Ok(())
    }

    /// How many rows were counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Counts {
    fn add(&mut self, finding: Finding) {
        match finding {
            Finding::Passes => self.passed += 1,
            Finding::Null => self.null += 1,
            Finding::NoNumber => self.no_number += 1,
            Finding::NoDate => self.no_date += 1,
            Finding::Fails | Finding::NoNow => {}
        }
    }

    fn merge(&mut self, other: &Counts) {
        let add = |mine: &mut u64, theirs: u64| *mine = mine.saturating_add(theirs);
        add(&mut self.passed, other.passed);
        add(&mut self.null, other.null);
        add(&mut self.no_number, other.no_number);
        add(&mut self.no_date, other.no_date);
    }
}

impl Measure {
    /// Adds the metric; the reason if the rule does not hold.
    fn outcome(
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
            Measure::Rows { test, .. } if rows == 0 => {
                Err(format!("the input is empty: there is no row of `{}` to check", test.column))
            }
            Measure::Rows { test, metric, threshold } => {
                let share = counts.passed as f64 / rows as f64;
                found.insert(format!("Column.{}.{metric}", test.column), share);
                match threshold {
                    Some(threshold) if threshold.holds(share) => Ok(()),
                    Some(_) => Err(unmet(share)),
                    None if counts.passed == rows => Ok(()),
                    None => Err(counts.reason(&test.column, rows)),
                }
            }
        }
    }
}

impl Counts {
    /// Why not all of `rows` rows pass: how many fail in which way.
    fn reason(&self, column: &str, rows: u64) -> String {
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
        format!("`{column}`: {}", parts.join(", "))
    }
}

struct Compiler<'a> {
    ruleset: &'a Ruleset,
    columns: &'a [(String, Type)],
    now: Option<i64>,
    measures: &'a mut Vec<Measure>,
}

impl Compiler<'_> {
    fn node(&mut self, rule: &Rule, errors: &mut Vec<Diagnostic>) -> Option<Node> {
        match rule {
            Rule::Single(single) => match self.measure(single) {
                Ok(measure) => {
                    self.measures.push(measure);
                    Some(Node::Measure(self.measures.len() - 1))
                }
                Err(refusal) => {
                    errors.push(diagnostic(self.ruleset, rule, &refusal));
                    None
                }
            },
            Rule::Composite(composite) => {
                // All parts, so that all their errors are found.
                let parts: Vec<_> =
                    composite.parts.iter().map(|part| self.node(part, errors)).collect();
                let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
                Some(match composite.joiner {
                    Joiner::And => Node::All(parts),
                    Joiner::Or => Node::Any(parts),
                })
            }
        }
    }

    fn measure(&self, single: &Single) -> Result<Measure, Refusal> {
        if self.now.is_none() && wants_now(single) {
            let what = "`now()` needs the run's time, which was not given";
            return Err(Refusal::NotYet(what.into()));
        }
        match (single.kind.name, &single.condition) {
            ("RowCount", Some(Condition::Number(test))) => {
                refuse_modifiers(single)?;
                NumberTest::new(test).map(Measure::RowCount).map_err(Refusal::NotYet)
            }
            (name, _) => {
                let threshold = single.threshold.as_ref().map(NumberTest::new).transpose();
                let threshold = threshold.map_err(Refusal::NotYet)?;
                match RowTest::new(self.ruleset, single, self.columns) {
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
}

fn wants_now(single: &Single) -> bool {
    match &single.condition {
        Some(Condition::Date(test)) => {
            let now = |date: &&Date| matches!(date, Date::Now | Date::Shifted { .. });
            test.operands().iter().any(now)
        }
        _ => false,
    }
}
