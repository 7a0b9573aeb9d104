//! The rule types of DQDL, once: parser, hints, manual and evaluation read this table.

mod table;

pub use table::RULE_TYPES;

use super::rules::Prepare;

/// What DQDL says of a rule type.
#[derive(Debug)]
pub struct RuleType {
    /// The word in a ruleset.
    pub name: &'static str,
    /// The ways to write it, told apart by their parameters.
    pub forms: &'static [Form],
    /// True if it takes `where`.
    pub filter: bool,
    /// True if it takes `with threshold`.
    pub threshold: bool,
    /// Where it may stand.
    pub section: Section,
    /// What it looks at.
    pub looks_at: LooksAt,
    /// One sentence.
    pub summary: &'static str,
    /// The manual: the head of the family's own file.
    pub manual: &'static str,
    /// How it is readied for a data set.
    pub(super) prepare: Prepare,
}

/// A type is its name.
impl PartialEq for RuleType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// One way to write a rule: parameters, and the conditions that go with them.
#[derive(Debug)]
pub struct Form {
    /// The parameters, in order.
    pub parameters: &'static [ParameterKind],
    /// True if the last parameter may stand again and again.
    pub repeats: bool,
    /// The kinds of conditions. [`ConditionKind::None`] is among them where the rule stands without one.
    pub conditions: &'static [ConditionKind],
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// A column's name, not empty.
    Column,
    /// A regular expression.
    Pattern,
    /// The alias of another data set.
    Alias,
    /// `sum(column)`, `avg(alias.column)`.
    Aggregate,
    /// Columns, perhaps with those of another data set.
    Columns,
    /// An SQL query.
    Sql,
    /// A metric's name.
    Metric,
    /// A file or folder.
    Path,
}

impl ParameterKind {
    /// The manual's word.
    pub const fn word(self) -> &'static str {
        match self {
            ParameterKind::Column => "column",
            ParameterKind::Pattern => "regex",
            ParameterKind::Alias => "alias",
            ParameterKind::Aggregate => "aggregate",
            ParameterKind::Columns => "columns",
            ParameterKind::Sql => "sql",
            ParameterKind::Metric => "metric",
            ParameterKind::Path => "path",
        }
    }
}

/// What a condition compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionKind {
    /// There is no condition.
    None,
    /// Numbers.
    Number,
    /// Texts.
    Text,
    /// Dates.
    Date,
    /// Lengths of time.
    Duration,
    /// Sizes of files.
    Size,
}

impl ConditionKind {
    /// What it is, for people.
    pub const fn word(self) -> &'static str {
        match self {
            ConditionKind::None => "no condition",
            ConditionKind::Number => "a number condition (`> 0.9`)",
            ConditionKind::Text => "a text condition (`in [\"a\", \"b\"]`)",
            ConditionKind::Date => "a date condition (`> \"2024-01-31\"`)",
            ConditionKind::Duration => "a duration condition (`<= 3 days`)",
            ConditionKind::Size => "a size condition (`< 10 MB`)",
        }
    }
}

/// Where a type may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Only under `Rules`: it says yes or no, so there is nothing to analyze.
    Rules,
    /// Only under `Analyzers`.
    Analyzers,
    /// Under both.
    Both,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooksAt {
    /// A single record is enough: a row rule, unless it has a threshold.
    Row,
    /// The whole data set.
    Dataset,
}

impl RuleType {
    /// The type named `name`.
    pub fn named(name: &str) -> Option<&'static RuleType> {
        RULE_TYPES.iter().find(|kind| kind.name == name)
    }

    /// The form with `count` parameters.
    pub fn form(&self, count: usize) -> Option<&'static Form> {
        self.forms.iter().find(|form| match form.repeats {
            true => count >= form.parameters.len(),
            false => count == form.parameters.len(),
        })
    }

    /// How it is written: `ColumnCorrelation "column" "column" <condition>`, a line a form.
    pub fn usage(&self) -> Vec<String> {
        let form = |form: &Form| {
            let mut text = self.name.to_owned();
            form.parameters.iter().for_each(|p| text.push_str(&format!(" \"{}\"", p.word())));
            if form.repeats {
                text.push_str(" …");
            }
            if form.conditions != [ConditionKind::None] {
                let optional = form.conditions.contains(&ConditionKind::None);
                text.push_str(if optional { " [condition]" } else { " condition" });
            }
            text
        };
        self.forms.iter().map(form).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        for (at, kind) in RULE_TYPES.iter().enumerate() {
            assert!(RULE_TYPES[..at].iter().all(|other| other.name != kind.name), "{}", kind.name);
            assert!(kind.summary.ends_with('.'), "{}", kind.name);
            assert!(kind.manual.contains(&format!("`{}`", kind.name)), "{}", kind.name);
            assert!(kind.forms.iter().all(|form| !form.conditions.is_empty()), "{}", kind.name);
            assert!(kind.forms.iter().all(|form| !form.repeats || !form.parameters.is_empty()));
            assert_eq!(RuleType::named(kind.name).map(|k| k.name), Some(kind.name));
        }
    }

    #[test]
    fn usage() {
        let usage = |name| RuleType::named(name).unwrap().usage();
        assert_eq!(usage("Uniqueness"), ["Uniqueness \"column\" … condition"]);
        assert_eq!(usage("CustomSql"), ["CustomSql \"sql\" [condition]"]);
        assert_eq!(usage("FileMatch").len(), 3);
    }
}
