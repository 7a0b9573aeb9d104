//! Which data a rule about the data set is asked of, as the rule's label `over` says, or that of `DefaultLabels`.
//!
//! A rule says nothing by itself of how much data it means: `RowCount between 100 and 1000` is about a day's batch, and
//! holds of no minute of a stream. Rules about single records are asked of each record, whatever the label says.

use super::history::{History, asks_for_history};
use super::metrics::{Context, Evaluation, Method};
use super::numbers::is_dynamic;
use super::row_rule::{diagnostic, is_row_rule};
use super::row_test::Refusal;
use super::tree::{Condition, Rule, Ruleset};
use super::types::LooksAt;
use crate::column::Type;
use crate::diagnostic::{Diagnostic, nearest};

/// The label's name. AWS Glue knows no such label: to it, labels are notes.
const LABEL: &str = "over";

/// What a rule about the data set is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// `run`: the data that a run reads, as a training run or a unit that is cleansed.
    Run,
    /// `hour`: what a stream brought in an hour.
    Hour,
    /// `batch`: what one invocation took from a stream. Only a rule that says so: such a batch may have one record.
    Batch,
}

/// What follows for a rule that is not asked.
const ELSEWHERE: [&str; 3] = [
    "its label `over` says that it is not asked of a run",
    "its label `over` says that it is not asked of an hour",
    "its label `over` says that it is not asked of a micro-batch",
];
const BY_ROW: &str = "it compares each row with earlier runs, and those are not known while the rows of an hour come";
const MORE: &str = "it needs more than the rows of a stream";

impl Over {
    const ALL: [Over; 3] = [Over::Run, Over::Hour, Over::Batch];

    /// The word that a label says.
    pub fn word(self) -> &'static str {
        match self {
            Over::Run => "run",
            Over::Hour => "hour",
            Over::Batch => "batch",
        }
    }

    /// Whether `rule` is asked of this. A word that [`Over::check`] refuses says nothing.
    fn takes(self, ruleset: &Ruleset, rule: &Rule) -> bool {
        match ruleset.labels(rule).get(LABEL) {
            Some(said) => words(said).any(|word| word == self.word()),
            None => self != Over::Batch,
        }
    }

    /// Refuses a rule whose label says what there is not, and one that a micro-batch cannot answer.
    pub(super) fn check(ruleset: &Ruleset, rule: &Rule) -> Result<(), Diagnostic> {
        let labels = ruleset.labels(rule);
        let Some(said) = labels.get(LABEL) else { return Ok(()) };
        let refuse = |message: String, hint: String| {
            let wrong = diagnostic(ruleset, rule, &Refusal::Unfit(message));
            Err(Diagnostic { hint: Some(hint), ..wrong })
        };
        let known = Over::ALL.map(Over::word);
        let wrong = words(said).find(|word| !known.contains(word));
        if wrong.is_some() || words(said).next().is_none() {
            let message = format!("the label `{LABEL}` says more than {}", known.join(", "));
            return refuse(
                message,
                match wrong.and_then(|word| nearest(word, known)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "say one of them, or several with commas; another label holds any note"
                        .into(),
                },
            );
        }
        if Over::Batch.takes(ruleset, rule) && asks_for_history(rule) {
            let message = "a micro-batch has no earlier runs to compare with".to_owned();
            return refuse(message, format!("leave `batch` out of the label `{LABEL}`"));
        }
        Ok(())
    }
}

fn words(said: &str) -> impl Iterator<Item = &str> {
    said.split([',', ' ']).filter(|word| !word.is_empty())
}

impl Ruleset {
    /// Why `rule`, one about the data set, is not asked `over`; none if it is.
    pub fn unasked(&self, over: Over, rule: &Rule) -> Option<&'static str> {
        (!over.takes(self, rule)).then(|| ELSEWHERE[over as usize])
    }

    /// Why `rule`, one about the data set, is not asked `over` a stream of rows with these columns; none if it is. What
    /// is counted of a part of an hour must not depend on what earlier hours measured, nor on anything but rows.
    pub fn unasked_live(
        &self,
        over: Over,
        rule: &Rule,
        columns: &[(String, Type)],
    ) -> Option<&'static str> {
        let alone = || Ruleset { rules: vec![rule.clone()], analyzers: Vec::new(), ..self.clone() };
        self.unasked(over, rule)
            .or_else(|| by_row_of_history(rule).then_some(BY_ROW))
            .or_else(|| (!counted_by_rows(&alone(), columns)).then_some(MORE))
    }

    /// The rules about the data set that are asked `over` a stream of rows with these columns, with the analyzers that
    /// rows alone can answer. None if no rule is left.
    pub fn live(&self, over: Over, columns: &[(String, Type)]) -> Option<Ruleset> {
        let asked =
            |rule: &&Rule| !is_row_rule(rule) && self.unasked_live(over, rule, columns).is_none();
        let rules: Vec<Rule> = self.rules.iter().filter(asked).cloned().collect();
        let mut live = Ruleset { rules, ..self.clone() };
        live.analyzers.retain(|analyzer| {
            let analyzers = vec![analyzer.clone()];
            over == Over::Hour
                && counted_by_rows(
                    &Ruleset { rules: Vec::new(), analyzers, ..self.clone() },
                    columns,
                )
        });
        (!live.rules.is_empty()).then_some(live)
    }
}

/// Whether all that the ruleset asks can be counted of rows alone.
fn counted_by_rows(ruleset: &Ruleset, columns: &[(String, Type)]) -> bool {
    let context =
        Context { history: Some(&History::NONE), ..Context::new(Some(0), Method::Column) };
    Evaluation::within(ruleset, columns, &context).is_ok()
}

/// Whether the rule's test of a single row asks for earlier runs.
fn by_row_of_history(rule: &Rule) -> bool {
    match rule {
        Rule::Single(single) => match &single.condition {
            Some(Condition::Number(test)) => {
                single.kind.looks_at == LooksAt::Row && test.operands().into_iter().any(is_dynamic)
            }
            _ => false,
        },
        Rule::Composite(composite) => composite.parts.iter().any(by_row_of_history),
    }
}

/// Whether the rule is about how many rows there are and nothing else: what can be said of no row.
pub fn is_about_row_count(rule: &Rule) -> bool {
    match rule {
        Rule::Single(single) => single.kind.name == "RowCount",
        Rule::Composite(composite) => composite.parts.iter().all(is_about_row_count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::{RowRules, parse};

    fn columns() -> Vec<(String, Type)> {
        [("a", Type::Double), ("b", Type::String)].map(|(n, t)| (n.to_owned(), t)).to_vec()
    }

    #[test]
    fn a_label_says_of_what() {
        let text = r#"Rules = [
            RowCount > 1,
            RowCount > 2 labels = ["over" = "run"],
            RowCount > 3 labels = ["over" = "hour"],
            Completeness "a" > 0.5 labels = ["over" = "batch, hour"],
            IsComplete "a" labels = ["over" = "batch"],
            RowCount > avg(last(3)),
            ColumnValues "a" < max(last(3)) with threshold > 0.9,
            ColumnValues "a" > 0 with threshold > avg(last(3)),
            RowCountMatch "other" = 1.0
        ] Analyzers = [ Mean "a", RowCountMatch "other" ]"#;
        let ruleset = parse("q", text).unwrap();
        let of = |over| {
            let live = ruleset.live(over, &columns()).unwrap();
            let rules = live
                .rules
                .iter()
                .map(|rule| ruleset.rules.iter().position(|other| other == rule).unwrap());
            (rules.collect::<Vec<_>>(), live.analyzers.len())
        };
        assert_eq!(of(Over::Hour), (vec![0, 2, 3, 5, 7], 1));
        assert_eq!(of(Over::Batch), (vec![3], 0));
        let run: Vec<String> =
            ruleset.about_the_data_set().rules.iter().map(ToString::to_string).collect();
        assert_eq!(run.len(), 6, "{run:?}");
        assert!(!run.iter().any(|rule| rule.contains("> 3") || rule.contains("0.5")));
        let why = |rule: usize| ruleset.unasked_live(Over::Hour, &ruleset.rules[rule], &columns());
        assert_eq!((why(1), why(6), why(8)), (Some(ELSEWHERE[1]), Some(BY_ROW), Some(MORE)));
        let defaults = parse("q", "DefaultLabels = [\"over\" = \"run\"] Rules = [ RowCount > 1 ]");
        assert_eq!(defaults.unwrap().live(Over::Hour, &columns()), None);
    }

    #[test]
    fn a_word_that_is_none_is_refused_everywhere() {
        for (said, rule, message, hint) in [
            ("huor", "RowCount > 0", "says more than run, hour, batch", "did you mean `hour`?"),
            ("run, bach", "IsComplete \"a\"", "says more than", "did you mean `batch`?"),
            ("", "RowCount > 0", "says more than", "say one of them"),
            ("batch", "RowCount > last()", "has no earlier runs", "leave `batch` out"),
        ] {
            let text = format!("Rules = [ {rule} labels = [\"over\" = \"{said}\"] ]");
            let ruleset = parse("q.dqdl", &text).unwrap();
            let of_rows = RowRules::compile(&ruleset, &columns()).unwrap_err();
            let context =
                Context { history: Some(&History::NONE), ..Context::new(None, Method::Column) };
            let of_data = Evaluation::within(&ruleset, &columns(), &context).unwrap_err();
            assert_eq!(of_rows, of_data, "{said}");
            let [wrong] = of_rows.as_slice() else { panic!("{of_rows:?}") };
            assert!(wrong.message.contains(message), "{wrong}");
            assert!(wrong.hint.as_deref().is_some_and(|h| h.starts_with(hint)), "{wrong}");
        }
    }
}
