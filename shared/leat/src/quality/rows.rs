//! Row rules: what a ruleset says of one record, without any other.
//!
//! `IsComplete`, `ColumnValues`, and composites of them are row rules; a rule with a threshold is not, as it speaks
//! of a share. A row passes a composite if AND or OR of its parts' outcomes for this row does (DQDL's method ROW).
//! `now()` is the record's arrival; a record without one fails the rule.

use super::row_test::{Finding, Refusal, RowTest};
use super::tree::{Composite, Joiner, Rule, Ruleset};
use super::types::LooksAt;
use crate::column::{Column, Type};
use crate::diagnostic::Diagnostic;
use crate::record::Row;

/// The row rules of a ruleset, ready for rows.
#[derive(Debug)]
pub struct RowRules {
    nodes: Vec<Node>,
    texts: Vec<String>,
    dataset_rules: Vec<String>,
    hash: String,
}

#[derive(Debug)]
enum Node {
    Test(RowTest),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// Whether a single record is enough for `rule`.
pub fn is_row_rule(rule: &Rule) -> bool {
    match rule {
        Rule::Single(single) => single.kind.looks_at == LooksAt::Row && single.threshold.is_none(),
        Rule::Composite(composite) => composite.parts.iter().all(is_row_rule),
    }
}

impl RowRules {
    /// Readies the row rules of `ruleset` for rows with these columns. Refuses, all at once, rules whose column is
    /// not there and row rules that are not evaluated yet. Rules about the data set are listed, not judged.
    pub fn compile(
        ruleset: &Ruleset,
        columns: &[(String, Type)],
    ) -> Result<RowRules, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let mut rules = RowRules {
            nodes: Vec::new(),
            texts: Vec::new(),
            dataset_rules: Vec::new(),
            hash: ruleset.hash(),
        };
        for rule in &ruleset.rules {
            if !is_row_rule(rule) {
                rules.dataset_rules.push(rule.to_string());
            } else if let Some(node) = node(ruleset, rule, columns, &mut errors) {
                rules.nodes.push(node);
                rules.texts.push(rule.to_string());
            }
        }
        if errors.is_empty() { Ok(rules) } else { Err(errors) }
    }

    /// For each row the row rules that it fails, by index, ascending; empty for a good row.
    pub fn judge(&self, columns: &[Column], rows: &[Row]) -> Vec<Vec<usize>> {
        let failed = |(at, row): (usize, &Row)| {
            let now = row.coordinates.arrival;
            (0..self.nodes.len())
                .filter(|rule| !self.nodes[*rule].passes(columns, at, now))
                .collect()
        };
        rows.iter().enumerate().map(failed).collect()
    }

    /// Why row `at` fails the row rule `rule`, without any value; empty if it passes.
    pub fn reason(&self, rule: usize, columns: &[Column], at: usize, row: &Row) -> String {
        let mut reasons = Vec::new();
        if let Some(node) = self.nodes.get(rule) {
            node.reasons(columns, at, row.coordinates.arrival, &mut reasons);
        }
        reasons.join("; ")
    }

    /// The row rules as canonical DQDL, by index.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The ruleset's rules about the data set, as canonical DQDL: these are not judged here.
    pub fn dataset_rules(&self) -> &[String] {
        &self.dataset_rules
    }

    /// [`Ruleset::hash`] of the whole ruleset.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

fn node(
    ruleset: &Ruleset,
    rule: &Rule,
    columns: &[(String, Type)],
    errors: &mut Vec<Diagnostic>,
) -> Option<Node> {
    match rule {
        Rule::Single(single) => match RowTest::new(ruleset, single, columns) {
            Ok(test) => Some(Node::Test(test)),
            Err(refusal) => {
                errors.push(diagnostic(ruleset, rule, &refusal));
                None
            }
        },
        Rule::Composite(Composite { joiner, parts, .. }) => {
            // All parts, so that all their errors are found.
            let parts: Vec<_> =
                parts.iter().map(|part| node(ruleset, part, columns, errors)).collect();
            let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
            Some(match joiner {
                Joiner::And => Node::All(parts),
                Joiner::Or => Node::Any(parts),
            })
        }
    }
}

/// A refusal of `rule` with its place and text.
pub fn diagnostic(ruleset: &Ruleset, rule: &Rule, refusal: &Refusal) -> Diagnostic {
    let place = rule.place();
    Diagnostic {
        file: ruleset.file.0.clone(),
        line: place.line,
        column: place.column,
        message: format!("{} (rule `{rule}`)", refusal.message()),
        hint: refusal.hint(),
    }
}

impl Node {
    fn passes(&self, columns: &[Column], row: usize, now: Option<i64>) -> bool {
        match self {
            Node::Test(test) => test.find(columns, row, now) == Finding::Passes,
            Node::All(parts) => parts.iter().all(|part| part.passes(columns, row, now)),
            Node::Any(parts) => parts.iter().any(|part| part.passes(columns, row, now)),
        }
    }

    fn reasons(&self, columns: &[Column], row: usize, now: Option<i64>, out: &mut Vec<String>) {
        match self {
            Node::Test(test) => {
                let finding = test.find(columns, row, now);
                if finding != Finding::Passes {
                    out.push(format!("`{}`: {}", test.column, finding.reason()));
                }
            }
            Node::All(parts) => {
                parts.iter().for_each(|part| part.reasons(columns, row, now, out));
            }
            Node::Any(parts) => {
                if !self.passes(columns, row, now) {
                    parts.iter().for_each(|part| part.reasons(columns, row, now, out));
                }
            }
        }
    }
}
