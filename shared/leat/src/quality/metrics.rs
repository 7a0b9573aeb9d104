//! Rules about a data set: what they say is computed from mergeable counts.
//!
//! [`Evaluation`] is a ruleset ready for a data set with given columns; [`Metrics`] is what was counted so far. Counts
//! of parts merge into the counts of the whole, in any order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evaluated::evaluated;
use super::measure::{Counts, Measure, NO_NOW, wants_now};
use super::row_rule::{RowRule, diagnostic, is_row_rule};
use super::row_test::Refusal;
use super::tree::{Joiner, Rule, Ruleset};
use crate::column::{Column, Type};
use crate::diagnostic::Diagnostic;

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

/// How a composite is evaluated over a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// AND or OR of its parts' outcomes over the whole data set: `(A > 1) OR (A = NULL)` fails where some rows meet
    /// one and some the other. DQDL's default.
    #[default]
    Column,
    /// A row passes if AND or OR of its own outcomes does, and all rows must, as where single records are judged.
    /// Rules that are no row rules, those with a threshold among them, cannot take part.
    Row,
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

/// What follows from a rule that fails, as its label `action` says: `halt`, `warn` or `quarantine`.
impl Outcome {
    /// The action's word: `halt` for a rule about the data set that says nothing.
    pub fn action(&self) -> &str {
        match self.labels.get("action").map(String::as_str) {
            Some(action @ ("warn" | "quarantine")) => action,
            _ => "halt",
        }
    }

    /// Whether the rule failed, and nothing may go on.
    pub fn halts(&self) -> bool {
        self.outcome == Status::Failed && self.action() == "halt"
    }
}

impl Evaluation {
    /// Readies all rules of `ruleset` for a data set with these columns; `now` is what `now()` stands for, in
    /// milliseconds since 1970 UTC. A rule about a column that is not there will fail. Rules that are not evaluated
    /// yet are refused, all at once.
    pub fn compile(
        ruleset: &Ruleset,
        columns: &[(String, Type)],
        now: Option<i64>,
        method: Method,
    ) -> Result<Evaluation, Vec<Diagnostic>> {
        let hash = ruleset.hash();
        let mut errors = Vec::new();
        let mut measures = Vec::new();
        let mut rules = Vec::new();
        for rule in &ruleset.rules {
            let mut compiler = Compiler { ruleset, columns, now, method, measures: &mut measures };
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
        metrics.rows = metrics.rows.saturating_add(rows as u64);
        for (measure, counts) in self.measures.iter().zip(&mut metrics.counts) {
            measure.count(counts, columns, rows, self.now);
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
                    Measure::Rows { .. } | Measure::Composite(_) => Some(metrics.counts[at].passed),
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

struct Compiler<'a> {
    ruleset: &'a Ruleset,
    columns: &'a [(String, Type)],
    now: Option<i64>,
    method: Method,
    measures: &'a mut Vec<Measure>,
}

impl Compiler<'_> {
    /// A composite by [`Method::Row`].
    fn by_rows(
        &mut self,
        rule: &Rule,
        parts: &[Rule],
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Node> {
        let mut refusals = Vec::new();
        self.refuse_parts(parts, &mut refusals);
        let compiled = match refusals.is_empty() {
            true => RowRule::new(self.ruleset, rule, self.columns, &mut refusals),
            false => None,
        };
        let missing = |refusal: &Refusal| matches!(refusal, Refusal::Column { .. });
        if !refusals.iter().all(|(_, refusal)| missing(refusal)) {
            refusals.retain(|(_, refusal)| !missing(refusal));
            errors.extend(refusals.iter().map(|(rule, r)| diagnostic(self.ruleset, rule, r)));
            return None;
        }
        let reasons: Vec<_> = refusals.iter().map(|(_, refusal)| refusal.message()).collect();
        let fails = || Measure::Fails(reasons.join("; "));
        self.measures.push(compiled.map_or_else(fails, Measure::Composite));
        Some(Node::Measure(self.measures.len() - 1))
    }

    /// Refuses the parts that say nothing of a single row, and `now()` where there is none.
    fn refuse_parts<'r>(&self, parts: &'r [Rule], refusals: &mut Vec<(&'r Rule, Refusal)>) {
        for part in parts {
            match part {
                Rule::Composite(composite) => self.refuse_parts(&composite.parts, refusals),
                Rule::Single(single) if !is_row_rule(part) => {
                    let what =
                        if single.threshold.is_some() { "a threshold" } else { single.kind.name };
                    let what = format!("{what} cannot take part in a composite by rows");
                    refusals.push((part, Refusal::NotYet(what)));
                }
                Rule::Single(single) if self.now.is_none() && wants_now(single) => {
                    refusals.push((part, Refusal::NotYet(NO_NOW.into())));
                }
                Rule::Single(_) => {}
            }
        }
    }

    fn node(&mut self, rule: &Rule, errors: &mut Vec<Diagnostic>) -> Option<Node> {
        match rule {
            Rule::Single(single) => {
                match Measure::new(self.ruleset, single, self.columns, self.now) {
                    Ok(measure) => {
                        self.measures.push(measure);
                        Some(Node::Measure(self.measures.len() - 1))
                    }
                    Err(refusal) => {
                        errors.push(diagnostic(self.ruleset, rule, &refusal));
                        None
                    }
                }
            }
            Rule::Composite(composite) if self.method == Method::Row => {
                self.by_rows(rule, &composite.parts, errors)
            }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_772_325_000_000; // 2026-03-01T00:30:00Z

    fn columns() -> Vec<(String, Type)> {
        [("a", Type::Double), ("b", Type::String)].map(|(n, t)| (n.to_owned(), t)).to_vec()
    }

    fn compile(rules: &str, now: Option<i64>) -> Result<Evaluation, Vec<Diagnostic>> {
        compile_by(rules, now, Method::Column)
    }

    fn compile_by(
        rules: &str,
        now: Option<i64>,
        method: Method,
    ) -> Result<Evaluation, Vec<Diagnostic>> {
        let text = format!("l = [\"x\"]\nDefaultLabels = [\"team\" = \"t\"]\nRules = [ {rules} ]");
        Evaluation::compile(&crate::quality::parse("q", &text).unwrap(), &columns(), now, method)
    }

    type Rows<'a> = &'a [(Option<f64>, Option<&'a str>)];

    fn batch(rows: Rows<'_>) -> [Column; 2] {
        let numbers = Column::doubles(rows.iter().map(|(a, _)| *a));
        [numbers, Column::strings(rows.iter().map(|(_, b)| *b))]
    }

    fn outcomes(rules: &str, rows: Rows<'_>) -> Vec<Outcome> {
        evaluate(&compile(rules, Some(NOW)).unwrap(), rows)
    }

    fn evaluate(evaluation: &Evaluation, rows: Rows<'_>) -> Vec<Outcome> {
        let mut metrics = evaluation.start();
        evaluation.update(&mut metrics, &batch(rows), rows.len());
        evaluation.finish(&metrics).unwrap()
    }

    const ROWS: Rows<'static> =
        &[(Some(1.0), Some("x")), (Some(2.0), Some("y")), (None, Some("")), (Some(4.0), None)];

    /// `rule` over `rows`: none if it passes, else the reason; and the metrics.
    #[track_caller]
    fn check(rule: &str, rows: Rows<'_>, reason: Option<&str>, metrics: &[(&str, f64)]) {
        let outcomes = outcomes(rule, rows);
        let [outcome] = &outcomes[..] else { panic!("{outcomes:?}") };
        let status = if reason.is_none() { Status::Passed } else { Status::Failed };
        assert_eq!((outcome.outcome, outcome.reason.as_deref()), (status, reason), "{rule}");
        let found: Vec<_> = outcome.metrics.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(found, metrics, "{rule}");
    }

    #[test]
    fn values() {
        let count = [("Dataset.*.RowCount", 4.0)];
        let complete = [("Column.a.Completeness", 0.75)];
        check("RowCount = 4", ROWS, None, &count);
        let unmet = Some("Value: 4.0 does not meet the constraint requirement!");
        check("RowCount between 4 and 10", ROWS, unmet, &count); // the ends are excluded
        let null = "`a`: Value: NULL does not meet the constraint requirement! (1 of 4 rows)";
        check("IsComplete \"a\"", ROWS, Some(null), &complete);
        check("IsComplete \"a\"", &ROWS[..2], None, &[("Column.a.Completeness", 1.0)]);
        let half = [("Column.a.ColumnValues.Compliance", 0.5)];
        let both = "`a`: Value: NULL does not meet the constraint requirement! (1 of 4 rows), \
                    Value does not meet the constraint requirement! (1 of 4 rows)";
        check("ColumnValues \"a\" > 1", ROWS, Some(both), &half);
        check("ColumnValues \"a\" > 1 with threshold >= 0.5", ROWS, None, &half);
        let unmet = Some("Value: 0.5 does not meet the constraint requirement!");
        check("ColumnValues \"a\" > 1 with threshold > 0.5", ROWS, unmet, &half);
        let kinds = "`b`: Value: NULL does not meet the constraint requirement! (1 of 4 rows), \
                     Value is no date, as the constraint requires (3 of 4 rows)";
        let none = [("Column.b.ColumnValues.Compliance", 0.0)];
        check("ColumnValues \"b\" < now()", ROWS, Some(kinds), &none);
        check("IsComplete \"zip\"", ROWS, Some("there is no column `zip`"), &[]);
    }

    #[test]
    fn composites_are_of_whole_outcomes() {
        let metrics = [("Column.a.ColumnValues.Compliance", 0.25), ("Dataset.*.RowCount", 4.0)];
        check("(ColumnValues \"a\" = NULL) OR (RowCount > 3)", ROWS, None, &metrics);
        // Some rows meet one part and some the other: neither part holds for all.
        let outcome = &outcomes("(ColumnValues \"a\" > 0) OR (ColumnValues \"a\" = NULL)", ROWS)[0];
        assert_eq!(outcome.outcome, Status::Failed);
        assert_eq!(outcome.passed_rows, None);
        let outcome = &outcomes("(RowCount > 3) AND (RowCount > 4)", ROWS)[0];
        assert_eq!(
            outcome.reason.as_deref(),
            Some("Value: 4.0 does not meet the constraint requirement!")
        );
    }

    #[test]
    fn composites_by_rows() {
        let rules = "(ColumnValues \"a\" > 0) OR (ColumnValues \"a\" = NULL), \
                     (IsComplete \"a\") AND (IsComplete \"b\"), (IsComplete \"a\") OR (IsComplete \"zip\")";
        let found = evaluate(&compile_by(rules, None, Method::Row).unwrap(), ROWS);
        let reasons: Vec<_> = found.iter().map(|outcome| outcome.reason.as_deref()).collect();
        let unmet = "Value does not meet the constraint requirement! (2 of 4 rows)";
        assert_eq!(reasons, [None, Some(unmet), Some("there is no column `zip`")]);
        assert_eq!((found[0].passed_rows, found[1].failed_rows), (Some(4), Some(2)));
        assert_eq!(
            evaluate(&compile_by(rules, None, Method::Row).unwrap(), &[])[0].outcome,
            Status::Failed
        );
        let errors = compile_by(
            "(RowCount > 0) AND ((IsComplete \"zip\") OR (ColumnValues \"a\" > 0 with threshold > 0.5)), \
             (IsComplete \"a\") OR (ColumnValues \"b\" > now()), (IsComplete \"a\") OR (ColumnLength \"b\" > 0)",
            None,
            Method::Row,
        )
        .unwrap_err();
        let found: Vec<_> =
            errors.iter().map(|e| e.message.split(" (rule").next().unwrap()).collect();
        assert_eq!(
            found,
            [
                "RowCount cannot take part in a composite by rows",
                "a threshold cannot take part in a composite by rows",
                NO_NOW,
                "the rule `ColumnLength` is not evaluated yet",
            ]
        );
    }

    #[test]
    fn an_empty_input_has_no_share() {
        let empty = Some("the input is empty: there is no row to check");
        check("IsComplete \"a\"", &[], empty, &[]);
        check("ColumnValues \"a\" != 1 with threshold >= 0", &[], empty, &[]);
        check("RowCount = 0", &[], None, &[("Dataset.*.RowCount", 0.0)]);
    }

    #[test]
    fn an_outcome_says_what_was_evaluated() {
        let found = outcomes(
            "ColumnValues b in $l labels=[\"k\"=\"v\"], (ColumnValues b < (now() - 31 minutes)) and (RowCount > 1)",
            ROWS,
        );
        assert_eq!(found[0].rule, "ColumnValues \"b\" in $l labels = [\"k\" = \"v\"]");
        assert_eq!(found[0].evaluated, "ColumnValues \"b\" in [\"x\"] labels = [\"k\" = \"v\"]");
        assert_eq!(found[0].labels.len(), 2);
        assert_eq!((found[0].passed_rows, found[0].failed_rows), (Some(1), Some(3)));
        assert_eq!(found[1].evaluated, "(ColumnValues \"b\" < \"2026-02-28\") AND (RowCount > 1)");
        let json = serde_json::to_value(&found[0]).unwrap();
        assert_eq!(json["outcome"], "Failed");
    }

    #[test]
    fn what_is_not_evaluated_is_refused_with_its_place() {
        let text = "Rules = [ RowCount > 0,\nMean \"a\" > 0, RowCount > 0 where \"a > 1\", RowCount = 1 / 0,\n\
                    ColumnValues \"b\" > now(), (RowCount > 0) AND (IsUnique \"a\") ]\nAnalyzers = [ Sum \"a\" ]";
        let ruleset = crate::quality::parse("q", text).unwrap();
        let errors = Evaluation::compile(&ruleset, &columns(), None, Method::Column).unwrap_err();
        let found: Vec<_> = errors.iter().map(|e| (e.line, e.column, e.message.as_str())).collect();
        assert_eq!(
            found,
            [
                (2, 1, "the rule `Mean` is not evaluated yet (rule `Mean \"a\" > 0`)"),
                (
                    2,
                    15,
                    "`where` of `RowCount` is not evaluated yet (rule `RowCount > 0 where \"a > 1\"`)"
                ),
                (2, 43, "`1 / 0` has no finite value (rule `RowCount = 1 / 0`)"),
                (
                    3,
                    1,
                    "`now()` needs the run's time, which was not given (rule `ColumnValues \"b\" > now()`)"
                ),
                (3, 47, "the rule `IsUnique` is not evaluated yet (rule `IsUnique \"a\"`)"),
                (4, 15, "the analyzer `Sum` is not evaluated yet (rule `Sum \"a\"`)"),
            ]
        );
    }

    #[test]
    fn metrics_of_another_ruleset_or_time_are_refused() {
        let one = compile("RowCount > 0", Some(NOW)).unwrap();
        for other in [compile("RowCount > 1", Some(NOW)), compile("RowCount > 0", Some(NOW + 1))] {
            let other = other.unwrap();
            assert_eq!(one.finish(&other.start()), Err(OtherMetrics));
            assert_eq!(one.start().merge(&other.start()), Err(OtherMetrics));
        }
        let forged =
            r#"{"rules":"HASH","now":1772325000000,"rows":18446744073709551615,"counts":[]}"#
                .replace("HASH", &one.hash);
        let forged: Metrics = serde_json::from_str(&forged).unwrap();
        assert_eq!(one.finish(&forged), Err(OtherMetrics));
    }

    proptest! {
        #[test]
        fn parts_merge_into_the_whole(
            rows in prop::collection::vec((prop::option::of(-3.0..3.0), prop::option::of("[xy7]?")), 0..30),
            cut in 0usize..30,
        ) {
            let rules = "RowCount > 10, IsComplete \"a\", ColumnValues \"a\" > 0 with threshold > 0.5, \
                ColumnValues \"b\" = 7, (ColumnValues \"b\" != EMPTY) OR (ColumnValues \"a\" <= 0), \
                ColumnValues \"b\" >= now()";
            let evaluation = compile(rules, Some(NOW)).unwrap();
            let rows: Vec<_> = rows.iter().map(|(a, b)| (*a, b.as_deref())).collect();
            let count = |rows: Rows<'_>| {
                let mut metrics = evaluation.start();
                evaluation.update(&mut metrics, &batch(rows), rows.len());
                metrics
            };
            let whole = count(&rows);
            let (left, right) = rows.split_at(cut.min(rows.len()));
            // Back to front, and through JSON as between workers.
            let mut merged: Metrics =
                serde_json::from_str(&serde_json::to_string(&count(right)).unwrap()).unwrap();
            merged.merge(&count(left)).unwrap();
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(evaluation.finish(&merged), evaluation.finish(&whole));
            prop_assert_eq!(whole.rows(), rows.len() as u64);
        }
    }
}
