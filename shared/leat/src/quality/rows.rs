//! Row rules: what a ruleset says of one record, without any other.
//!
//! `IsComplete`, `ColumnExists`, `ColumnValues`, `ColumnLength`, `ColumnDataType`, `DataFreshness`, and composites of
//! them are row rules; a rule with a threshold is not, as it speaks of a share. A row passes a composite if AND or OR of its parts' outcomes for this row does (DQDL's method ROW).
//! `now()` is the record's arrival; a record without one fails the rule.
//!
//! What follows from a row that fails is said by the rule's label `action`: see [`RowAction`].

use std::sync::Arc;

use super::action::RowAction;
use super::evaluated::evaluated;
use super::over::Over;
use super::row_rule::{RowRule, diagnostic, is_row_rule};
use super::tree::Ruleset;
use crate::column::{Column, Type};
use crate::diagnostic::Diagnostic;
use crate::record::Row;

/// The row rules of a ruleset, ready for rows.
#[derive(Debug)]
pub struct RowRules {
    rules: Vec<RowRule>,
    texts: Vec<String>,
    actions: Vec<RowAction>,
    dataset_rules: Vec<String>,
    hash: Arc<str>,
}

impl RowRules {
    /// Readies the row rules of `ruleset` for rows with these columns. Refuses, all at once, rules whose column is
    /// not there, whose `where` is wrong, or that ask for earlier runs. Rules about the data set are listed, not judged.
    pub fn compile(
        ruleset: &Ruleset,
        columns: &[(String, Type)],
    ) -> Result<RowRules, Vec<Diagnostic>> {
        let (mut refusals, mut wrong) = (Vec::new(), Vec::new());
        let mut rules = RowRules {
            rules: Vec::new(),
            texts: Vec::new(),
            actions: Vec::new(),
            dataset_rules: Vec::new(),
            hash: ruleset.hash().into(),
        };
        for rule in &ruleset.rules {
            wrong.extend(RowAction::check(ruleset, rule).err());
            wrong.extend(Over::check(ruleset, rule).err());
            // With the values of variables: what decides of a row stands in its rule's text.
            let text = evaluated(ruleset, rule, None).to_string();
            if !is_row_rule(rule) {
                rules.dataset_rules.push(text);
            } else if let Some(compiled) = RowRule::new(ruleset, rule, columns, &mut refusals) {
                rules.rules.push(compiled);
                rules.texts.push(text);
                rules.actions.push(RowAction::of(ruleset, rule));
            }
        }
        wrong.extend(refusals.iter().map(|(rule, r)| diagnostic(ruleset, rule, r)));
        if wrong.is_empty() { Ok(rules) } else { Err(wrong) }
    }

    /// For each row the row rules that it fails, by index, ascending; empty for a good row.
    pub fn judge(&self, columns: &[Column], rows: &[Row]) -> Vec<Vec<usize>> {
        let mut failed = vec![Vec::new(); rows.len()];
        let mut passed = vec![true; rows.len()];
        for (index, rule) in self.rules.iter().enumerate() {
            rule.judge(columns, rows, &mut passed);
            // Mostly there is nothing to note.
            if passed.contains(&false) {
                let refused = failed.iter_mut().zip(&passed).filter(|(_, passed)| !**passed);
                refused.for_each(|(failed, _)| failed.push(index));
            }
        }
        failed
    }

    /// Why row `at` fails the row rule `rule`, without any value; empty if it passes.
    pub fn reason(&self, rule: usize, columns: &[Column], at: usize, row: &Row) -> String {
        let mut reasons = Vec::new();
        if let Some(rule) = self.rules.get(rule) {
            rule.reasons(columns, at, row.coordinates.arrival, &mut reasons);
        }
        reasons.join("; ")
    }

    /// The row rules as canonical DQDL, by index, with the values of their variables.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// What follows from a row that fails the rule, by index.
    pub fn actions(&self) -> &[RowAction] {
        &self.actions
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Coordinates, Position};

    fn columns() -> Vec<(String, Type)> {
        [("a", Type::Double), ("b", Type::String), ("at", Type::Timestamp)]
            .map(|(name, kind)| (name.to_owned(), kind))
            .to_vec()
    }

    fn row(arrival: Option<i64>) -> Row {
        let position = Position::default();
        Row {
            coordinates: Coordinates { source: "s".into(), shard: "".into(), position, arrival },
            identity: 0,
            verdict: None,
            protected: Default::default(),
            unknown: None,
        }
    }

    fn compile(rules: &str) -> Result<RowRules, Vec<Diagnostic>> {
        let ruleset = crate::quality::parse("q.dqdl", &format!("Rules = [\n{rules}\n]")).unwrap();
        RowRules::compile(&ruleset, &columns())
    }

    #[test]
    fn row_rules_are_told_from_rules_about_the_data_set() {
        let rules = compile(
            "RowCount > 0, IsComplete \"a\", Mean \"a\" > 0,
             ColumnValues \"a\" > 0 with threshold > 0.9,
             (IsComplete \"a\") OR (RowCount > 0),
             (IsComplete \"a\") OR (ColumnValues \"b\" = \"x\")",
        )
        .unwrap();
        assert_eq!(
            rules.texts(),
            ["IsComplete \"a\"", "(IsComplete \"a\") OR (ColumnValues \"b\" = \"x\")"]
        );
        assert_eq!(rules.dataset_rules().len(), 4);
        assert_eq!(rules.hash().len(), 64);
    }

    #[test]
    fn a_rule_has_an_action() {
        use RowAction::{Halt, Quarantine, Warn};
        let actions = |defaults: &str, rules: &str| {
            let text = format!("{defaults} Rules = [ {rules} ]");
            let ruleset = crate::quality::parse("q", &text).unwrap();
            RowRules::compile(&ruleset, &columns()).unwrap().actions().to_vec()
        };
        let labelled = |action| format!("IsComplete \"a\" labels = [\"action\" = \"{action}\"]");
        let rules = [labelled("warn"), labelled("halt"), "IsComplete \"b\"".into()].join(", ");
        assert_eq!(actions("", &rules), [Warn, Halt, Quarantine]);
        let defaults = "DefaultLabels = [\"action\" = \"warn\"]";
        assert_eq!(actions(defaults, &rules), [Warn, Halt, Warn]);
        assert_eq!(actions(defaults, &labelled("quarantine")), [Quarantine]);
    }

    #[test]
    fn a_text_says_what_a_variable_holds() {
        let text = "l = [\"x\"] Rules = [ ColumnValues \"b\" in $l, ColumnValues \"at\" <= now() ]";
        let ruleset = crate::quality::parse("q", text).unwrap();
        let rules = RowRules::compile(&ruleset, &columns()).unwrap();
        assert_eq!(
            rules.texts(),
            ["ColumnValues \"b\" in [\"x\"]", "ColumnValues \"at\" <= now()"]
        );
    }

    #[test]
    fn rows_are_judged_by_themselves() {
        let rules = compile(
            "IsComplete \"a\",
             (ColumnValues \"a\" > 1) OR (ColumnValues \"a\" = NULL),
             (ColumnValues \"a\" > 1 AND ColumnValues \"b\" = \"x\") OR IsComplete \"b\",
             ColumnValues \"at\" <= now()",
        )
        .unwrap();
        let day = 86_400_000_000;
        let columns = [
            Column::doubles([Some(2.0), None, Some(0.0), Some(2.0)]),
            Column::strings([Some("x"), None, None, Some("x")]),
            {
                let mut at = Column::nulls(Type::Timestamp, 4);
                (0..4).for_each(|row| at.set(row, crate::column::Value::Timestamp(day)));
                at
            },
        ];
        let rows =
            [row(Some(86_400_000)), row(Some(86_399_999)), row(Some(172_800_000)), row(None)];
        assert_eq!(rules.judge(&columns, &rows), [vec![], vec![0, 2, 3], vec![1, 2], vec![3]]);
        let null = "Value: NULL does not meet the constraint requirement!";
        let fails = "Value does not meet the constraint requirement!";
        for (rule, at, reason) in [
            (0, 1, format!("`a`: {null}")),
            (1, 2, format!("`a`: {fails}; `a`: {fails}")),
            (2, 1, format!("`a`: {null}; `b`: {null}; `b`: {null}")),
            (3, 1, format!("`at`: {fails}")),
            (3, 3, "`at`: the record has no arrival time, which `now()` stands for".to_owned()),
            (0, 0, String::new()),
            (1, 1, String::new()),
            (99, 0, String::new()),
        ] {
            assert_eq!(rules.reason(rule, &columns, at, &rows[at]), reason, "{rule} {at}");
        }
        assert_eq!(rules.judge(&columns, &[]), Vec::<Vec<usize>>::new());
        assert_eq!(rules.judge(&[], &rows[..1]), [vec![0, 2, 3]]); // no columns: all null
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_its_place() {
        let errors = compile(
            "IsComplete \"A\",
             ColumnLength \"b\" > 1 / 0,
             ColumnValues \"a\" > 0 where \"c = 'x'\",
             (ColumnExists \"zip\" AND DataFreshness \"at\" <= 3 days),
             ColumnValues \"b\" in [\"x\"] with ignoreCase = \"true\",
             ColumnValues \"a\" > avg(last(3)),
             ColumnDataType \"b\" = \"Integr\"",
        )
        .unwrap_err();
        let texts: Vec<_> = errors.iter().map(Diagnostic::to_string).collect();
        for (text, expected) in texts.iter().zip([
            "q.dqdl:2:1: there is no column `A` (rule `IsComplete \"A\"`) (the nearest is `a`)",
            "q.dqdl:3:14: `1 / 0` has no finite value (rule `ColumnLength \"b\" > 1 / 0`)",
            "q.dqdl:4:14: `where` cannot be evaluated: there is no column `c`",
            "q.dqdl:5:15: there is no column `zip`",
            "q.dqdl:6:14: the tag `ignoreCase` of `ColumnValues` is not evaluated by Leat",
            "q.dqdl:7:14: `avg(last(3))`: a single record has no earlier runs to compare with",
            "q.dqdl:8:14: there is no type `Integr`; the nearest is `Integer`",
        ]) {
            assert!(text.starts_with(expected), "{text}");
        }
        assert_eq!(texts.len(), 7);
    }

    #[test]
    fn a_row_that_where_leaves_out_passes() {
        let rules = compile(
            "ColumnValues \"a\" > 1 where \"b = 'x'\", ColumnLength \"b\" = 1, ColumnExists \"b\",
             ColumnDataType \"b\" = \"Integer\", DataFreshness \"at\" <= 1 days",
        )
        .unwrap();
        let mut at = Column::nulls(Type::Timestamp, 3);
        at.set(0, crate::column::Value::Timestamp(0));
        let columns = [
            Column::doubles([Some(1.0), Some(1.0), Some(2.0)]),
            Column::strings([Some("x"), Some("12"), None]),
            at,
        ];
        let rows = [row(Some(86_400_000)), row(Some(0)), row(Some(0))];
        assert_eq!(rules.judge(&columns, &rows), [vec![0, 3], vec![1, 4], vec![1, 3, 4]]);
        assert_eq!(rules.reason(0, &columns, 1, &rows[1]), "");
    }

    proptest::proptest! {
        #[test]
        fn a_reason_holds_no_value(value in "[A-Z]{8,12}") {
            let rules = compile(
                "ColumnValues \"b\" = \"x\", ColumnValues \"b\" > 3, ColumnValues \"b\" matches \"[0-9]\",
                 ColumnValues \"b\" > \"2024-01-01\"",
            ).unwrap();
            let columns = [Column::doubles([None]), Column::strings([Some(value.as_str())]), Column::nulls(Type::Timestamp, 1)];
            let row = row(None);
            assert_eq!(rules.judge(&columns, std::slice::from_ref(&row)), [vec![0, 1, 2, 3]]);
            for rule in 0..4 {
                let reason = rules.reason(rule, &columns, 0, &row);
                assert!(!reason.is_empty() && !reason.contains(&value), "{reason}");
            }
        }
    }
}
