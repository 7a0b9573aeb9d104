//! What follows when a rule does not hold, as the rule's label `action` says, or that of `DefaultLabels`.

use serde::{Deserialize, Serialize};

use super::row_rule::{diagnostic, is_row_rule};
use super::row_test::Refusal;
use super::tree::{Rule, Ruleset};
use crate::diagnostic::{Diagnostic, nearest};

/// The label's name. AWS Glue knows no such label: to it, labels are notes.
const LABEL: &str = "action";

/// What follows from a row that fails a rule, or from a data set that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowAction {
    /// `halt`: the row is rejected, and a run over a data set with such a row goes no further. What a rule about the data
    /// set does that says nothing else.
    Halt,
    /// The row is rejected, and put into quarantine: what a row rule does that says nothing else.
    Quarantine,
    /// `warn`: the row goes on, and its verdict says so.
    Warn,
}

impl RowAction {
    const ALL: [RowAction; 3] = [RowAction::Halt, RowAction::Quarantine, RowAction::Warn];

    /// The word that a label says.
    pub fn word(self) -> &'static str {
        match self {
            RowAction::Halt => "halt",
            RowAction::Quarantine => "quarantine",
            RowAction::Warn => "warn",
        }
    }

    /// What follows if `rule` does not hold. A word that is no action, which [`RowAction::check`] refuses, says nothing.
    pub(super) fn of(ruleset: &Ruleset, rule: &Rule) -> RowAction {
        let said = ruleset.labels(rule).get(LABEL).and_then(|word| RowAction::named(word));
        said.unwrap_or(if is_row_rule(rule) { RowAction::Quarantine } else { RowAction::Halt })
    }

    fn named(word: &str) -> Option<RowAction> {
        RowAction::ALL.into_iter().find(|action| action.word() == word)
    }

    /// Refuses a rule whose label is no action: a misspelt `warn` would silently reject.
    pub(super) fn check(ruleset: &Ruleset, rule: &Rule) -> Result<(), Diagnostic> {
        let labels = ruleset.labels(rule);
        let Some(word) = labels.get(LABEL).filter(|word| RowAction::named(word).is_none()) else {
            return Ok(());
        };
        let words = RowAction::ALL.map(RowAction::word);
        let message = format!("the label `{LABEL}` is none of {}", words.join(", "));
        let hint = match nearest(word, words) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "another label holds any note".to_owned(),
        };
        let wrong = diagnostic(ruleset, rule, &Refusal::Unfit(message));
        Err(Diagnostic { hint: Some(hint), ..wrong })
    }
}

#[cfg(test)]
mod tests {
    use crate::column::Type;
    use crate::quality::{Evaluation, Method, RowRules, parse};

    #[test]
    fn a_word_that_is_no_action_is_refused_everywhere() {
        let columns = [("a".to_owned(), Type::Double)];
        for (defaults, rule, hint) in [
            ("", "IsComplete \"a\" labels = [\"action\" = \"wran\"]", "did you mean `warn`?"),
            ("", "RowCount > 0 labels = [\"action\" = \"hlt\"]", "did you mean `halt`?"),
            (
                "",
                "RowCount > 0 labels = [\"action\" = \"page us\"]",
                "another label holds any note",
            ),
            ("DefaultLabels = [\"action\" = \"Warn\"]", "IsComplete \"a\"", "did you mean `warn`?"),
        ] {
            let ruleset = parse("q.dqdl", &format!("{defaults} Rules = [ {rule} ]")).unwrap();
            let of_rows = RowRules::compile(&ruleset, &columns).unwrap_err();
            let of_data =
                Evaluation::compile(&ruleset, &columns, None, Method::Column).unwrap_err();
            assert_eq!(of_rows, of_data, "{rule}");
            let [wrong] = of_rows.as_slice() else { panic!("{of_rows:?}") };
            assert!(wrong.message.starts_with("the label `action` is none of halt, "), "{wrong}");
            assert_eq!(wrong.hint.as_deref(), Some(hint));
        }
    }
}
