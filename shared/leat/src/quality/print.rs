//! Canonical DQDL: names in quotes, AND, OR, NULL in upper case, one blank around signs, a rule a line. Read again
//! it gives the same tree.

use std::fmt::{Display, Formatter, Result};

use super::lexer::quote;
use super::tree::{
    Composite, Condition, Date, Duration, Joiner, Labels, Number, Parameter, Rule, Ruleset, Single,
    Size, Test, Text, VariableValue,
};

pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote(text, &mut out);
    out
}

fn joined<T: Display>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn labels(labels: &Labels) -> String {
    let pairs: Vec<_> =
        labels.iter().map(|(key, value)| format!("{} = {}", quoted(key), quoted(value))).collect();
    format!("[{}]", pairs.join(", "))
}

fn section(name: &str, brackets: [char; 2], lines: &[String]) -> Option<String> {
    let [open, close] = brackets;
    (!lines.is_empty())
        .then(|| format!("{name} = {open}\n    {}\n{close}\n", lines.join(",\n    ")))
}

impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let pair = |key: &str, value: &String| format!("\"{key}\": {}", quoted(value));
        let metadata: Vec<_> = self.version.iter().map(|v| pair("Version", v)).collect();
        let mut sources: Vec<_> = self.primary.iter().map(|v| pair("Primary", v)).collect();
        if !self.additional.is_empty() {
            let names: Vec<_> = self.additional.iter().map(|name| quoted(name)).collect();
            sources.push(format!("\"AdditionalDataSources\": [{}]", names.join(", ")));
        }
        let variables = self.variables.iter().map(|v| format!("{} = {}\n", v.name, v.value));
        let defaults = (!self.default_labels.is_empty())
            .then(|| format!("DefaultLabels = {}\n", labels(&self.default_labels)));
        let rules: Vec<_> = self.rules.iter().map(Rule::to_string).collect();
        let analyzers: Vec<_> = self.analyzers.iter().map(Single::to_string).collect();
        let sections = [
            section("Metadata", ['{', '}'], &metadata),
            section("DataSources", ['{', '}'], &sources),
            Some(variables.collect::<String>()).filter(|text| !text.is_empty()),
            defaults,
            section("Rules", ['[', ']'], &rules),
            section("Analyzers", ['[', ']'], &analyzers),
        ];
        f.write_str(&sections.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    }
}

impl Display for VariableValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            VariableValue::One(value) => write!(f, "{value}"),
            VariableValue::List(values) => write!(f, "[{}]", joined(values)),
        }
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Rule::Single(single) => write!(f, "{single}"),
            Rule::Composite(composite) if composite.labels.is_empty() => write!(f, "{composite}"),
            Rule::Composite(composite) => {
                write!(f, "({composite}) labels = {}", labels(&composite.labels))
            }
        }
    }
}

/// Without its labels.
impl Display for Composite {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                f.write_str(match self.joiner {
                    Joiner::And => " AND ",
                    Joiner::Or => " OR ",
                })?;
            }
            match part {
                // Its labels follow its own parenthesis.
                Rule::Composite(inner) if !inner.labels.is_empty() => write!(f, "{part}")?,
                _ => write!(f, "({part})")?,
            }
        }
        Ok(())
    }
}

impl Display for Single {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.kind.name)?;
        for parameter in &self.parameters {
            write!(f, " {parameter}")?;
        }
        if let Some(condition) = &self.condition {
            write!(f, " {condition}")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " where {}", quoted(filter))?;
        }
        if !self.labels.is_empty() {
            write!(f, " labels = {}", labels(&self.labels))?;
        }
        if let Some(threshold) = &self.threshold {
            write!(f, " with threshold {threshold}")?;
        }
        self.tags.iter().try_for_each(|(tag, value)| write!(f, " with {tag} = {}", quoted(value)))
    }
}

impl Display for Parameter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Parameter::Text(text) => f.write_str(&quoted(text)),
            Parameter::Variable(name) => write!(f, "${name}"),
        }
    }
}

fn not(not: bool) -> &'static str {
    if not { "not " } else { "" }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Condition::Number(test) => write!(f, "{test}"),
            Condition::Text(test) => write!(f, "{test}"),
            Condition::Date(test) => write!(f, "{test}"),
            Condition::Duration(test) => write!(f, "{test}"),
            Condition::Size(test) => write!(f, "{test}"),
            Condition::InVariable { not: n, name } => write!(f, "{}in ${name}", not(*n)),
            Condition::Matches { not: n, pattern } => {
                write!(f, "{}matches {}", not(*n), quoted(pattern))
            }
        }
    }
}

impl<T: Display> Display for Test<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Test::Compare(comparison, x) => write!(f, "{} {x}", comparison.sign()),
            Test::Between { not: n, low, high } => {
                write!(f, "{}between {low} and {high}", not(*n))
            }
            Test::In { not: n, values } => write!(f, "{}in [{}]", not(*n), joined(values)),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Number::Literal(text) => f.write_str(text),
            Number::Null => f.write_str("NULL"),
            Number::Call { name, arguments } => write!(f, "{name}({})", joined(arguments)),
            Number::Group(inner) => write!(f, "({inner})"),
            Number::Chain { first, rest } => {
                write!(f, "{first}")?;
                rest.iter().try_for_each(|(sign, x)| write!(f, " {} {x}", sign.sign()))
            }
        }
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Text::Value(text) => f.write_str(&quoted(text)),
            Text::Null => f.write_str("NULL"),
            Text::Empty => f.write_str("EMPTY"),
            Text::WhitespacesOnly => f.write_str("WHITESPACES_ONLY"),
            Text::Variable(name) => write!(f, "${name}"),
        }
    }
}

impl Display for Date {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Date::Date(text) | Date::Time(text) => f.write_str(&quoted(text)),
            Date::Now => f.write_str("now()"),
            Date::Shifted { back, by } => {
                write!(f, "(now() {} {by})", if *back { "-" } else { "+" })
            }
            Date::Null => f.write_str("NULL"),
        }
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}", self.amount, self.unit.word())
    }
}

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}", self.amount, self.unit.word())
    }
}
