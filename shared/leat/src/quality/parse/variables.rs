//! Variables: their names and values.

use std::collections::HashSet;

use super::super::tree::{Text, Variable, VariableValue};
use super::{Parsed, Parser, Place, SECTIONS, Stop, Word, is_keyword, nearest};

impl<'a> Parser<'a> {
    pub(super) fn variable(&mut self, name: &'a str, place: Place) -> Parsed<()> {
        let fails = self.failures;
        if is_keyword(name) {
            self.error(
                place,
                format!("`{name}` is a word of DQDL and no name of a variable"),
                None,
            );
        } else if name.starts_with(['.', '_']) {
            let message = format!("the variable `{name}` begins with `.` or `_`");
            self.error(place, message, Some("begin with a letter or a digit".into()));
        } else if self.ruleset.variable(name).is_some() || self.broken.contains(name) {
            self.error(place, format!("the variable `{name}` is declared twice"), None);
        }
        // A rule's section whose name is misspelt looks like a variable with a list.
        let meant =
            nearest(name, SECTIONS).filter(|_| self.is_sign(0, "[") || self.is_sign(0, "{"));
        match self.variable_value() {
            Ok(value) if fails == self.failures => {
                self.ruleset.variables.push(Variable { name: name.to_owned(), value });
                Ok(())
            }
            value => {
                self.broken.insert(name);
                if let (Some(meant), Some(error), Err(Stop)) =
                    (meant, self.errors.last_mut(), &value)
                {
                    error.hint.get_or_insert_with(|| format!("is `{name}` the section `{meant}`?"));
                }
                value.map(|_| ())
            }
        }
    }

    fn variable_value(&mut self) -> Parsed<VariableValue> {
        if !self.eat_sign("[") {
            return Ok(VariableValue::One(self.variable_text()?));
        }
        let mut values = vec![self.variable_text()?];
        while self.eat_sign(",") {
            values.push(self.variable_text()?);
        }
        self.expect_sign("]")?;
        Ok(VariableValue::List(values))
    }

    fn variable_text(&mut self) -> Parsed<Text> {
        let place = self.place();
        let value = match self.word() {
            Word::Text(text) => Text::Value(text.clone()),
            Word::Name("null" | "NULL") => Text::Null,
            Word::Name("empty" | "EMPTY") => Text::Empty,
            Word::Name("whitespaces_only" | "WHITESPACES_ONLY") => Text::WhitespacesOnly,
            Word::Sign("$") => {
                let message = "a variable's value refers to no other variable";
                return Err(self.error(place, message, Some("write the value out".into())));
            }
            _ => return Err(self.expected("a text in quotes, NULL, EMPTY or WHITESPACES_ONLY")),
        };
        self.advance();
        if let Text::Value(text) = &value {
            self.texts.push((place, text.clone()));
        }
        Ok(value)
    }

    /// A variable's text that names another variable after `$` would not be replaced: it is an error.
    pub(super) fn check_nested_variables(&mut self) {
        let names: HashSet<_> = self.ruleset.variables.iter().map(|v| v.name.clone()).collect();
        for (place, text) in std::mem::take(&mut self.texts) {
            let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let nested = text.split('$').skip(1).find_map(|after| {
                let name = &after[..after.find(|c| !named(c)).unwrap_or(after.len())];
                names.contains(name).then(|| name.to_owned())
            });
            if let Some(name) = nested {
                let message = format!("a variable's value refers to the variable `{name}`");
                self.error(place, message, Some("write the value out".into()));
            }
        }
    }
}
