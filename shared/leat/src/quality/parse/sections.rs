//! The document: its sections in their order, `Metadata`, `DataSources`, and the lists of rules and analyzers.

use super::super::tree::{Rule, Single, Text, VariableValue};
use super::super::types::RuleType;
use super::rule::In;
use super::{
    MAX_LABELS, ORDER, Parsed, Parser, Place, SECTIONS, Stop, VARIABLES, Word, is_keyword,
    is_section,
};

impl<'a> Parser<'a> {
    pub(super) fn document(&mut self) {
        let mut last = 0;
        while *self.word() != Word::End {
            let place = self.place();
            let name = match *self.word() {
                Word::Name(name) if is_section(name) || self.is_sign(1, "=") => name,
                _ => {
                    let what = match last {
                        rank if rank + 1 < ORDER.len() => {
                            "a variable (`name = \"value\"`) or a section (`Rules = [ … ]`)"
                        }
                        _ => "the end of the document",
                    };
                    self.expected(what);
                    self.skip_to_section();
                    continue;
                }
            };
            let kind = SECTIONS.into_iter().find(|s| *s == name).unwrap_or(VARIABLES);
            let rank = ORDER.iter().position(|s| *s == kind).unwrap_or_default();
            if rank < last {
                let message = format!("{} must stand before `{}`", called(kind), ORDER[last]);
                self.error(place, message, None);
            } else if rank == last && rank > 0 && kind != VARIABLES {
                self.error(place, format!("`{kind}` stands twice"), None);
            }
            last = last.max(rank);
            self.advance();
            let section = match self.expect_sign("=") {
                Ok(()) => match kind {
                    "Metadata" => self.metadata(),
                    "DataSources" => self.data_sources(),
                    "DefaultLabels" => self.labels().map(|l| self.ruleset.default_labels = l),
                    "Rules" => self.rules(),
                    "Analyzers" => self.analyzers(),
                    _ => self.variable(name, place),
                },
                stop => stop,
            };
            if section.is_err() {
                self.skip_to_section();
            }
        }
        self.check_nested_variables();
        let nothing = self.ruleset.rules.is_empty() && self.ruleset.analyzers.is_empty();
        if nothing && self.failures == 0 {
            let hint = Some("write `Rules = [ RowCount > 0 ]`".into());
            self.error(self.place(), "there is no rule and no analyzer", hint);
        }
    }

    /// Goes to the next section, or to a variable at the beginning of a line.
    fn skip_to_section(&mut self) {
        let begins = |parser: &Self| match parser.word() {
            Word::Name(name) if parser.is_sign(1, "=") => {
                let line = parser.tokens[parser.at - 1].place.line;
                is_section(name) || (line < parser.place().line && !is_keyword(name))
            }
            word => *word == Word::End,
        };
        self.advance();
        while !begins(self) {
            self.advance();
        }
    }

    /// `[ item, item ]`, empty too. After an error in an item it goes on with the next.
    fn list<T>(
        &mut self,
        what: &str,
        item: impl Fn(&mut Self) -> Parsed<T>,
        starts: impl Fn(&Word<'a>) -> bool,
    ) -> Parsed<Vec<T>> {
        self.expect_sign("[")?;
        let mut items = Vec::new();
        if self.eat_sign("]") {
            return Ok(items);
        }
        loop {
            let start = self.at;
            match item(self) {
                Ok(item) => {
                    items.push(item);
                    if !self.is_sign(0, ",") && !self.is_sign(0, "]") {
                        self.expected(&format!("`,` and another {what}, or `]`"));
                        self.skip_item(start, &starts);
                    }
                }
                Err(Stop) => self.skip_item(start, &starts),
            }
            if self.eat_sign("]") {
                return Ok(items);
            }
            let comma = self.place();
            if !self.eat_sign(",") {
                // The end of the document was reported where it was found.
                return Err(Stop);
            }
            if self.is_sign(0, "]") {
                self.error(comma, format!("no {what} follows this comma"), None);
            }
            if self.eat_sign("]") {
                return Ok(items);
            }
        }
    }

    /// Goes to the comma or bracket that ends the item which began at `start`.
    fn skip_item(&mut self, start: usize, starts: &impl Fn(&Word<'a>) -> bool) {
        let (mut square, mut round) = (0usize, 0usize);
        for at in start..self.tokens.len() {
            let here = at >= self.at;
            match self.tokens[at].word {
                Word::Sign("[") => square += 1,
                Word::Sign("(") => round += 1,
                Word::Sign(")") => round = round.saturating_sub(1),
                Word::Sign("]") if square == 0 && here => {
                    self.at = at;
                    return;
                }
                Word::Sign("]") => square = square.saturating_sub(1),
                Word::Sign(",") if square == 0 && here => {
                    // A parenthesis that is never closed must not swallow the rules after it.
                    let next = |ahead: usize| self.tokens.get(at + ahead).map(|t| &t.word);
                    let another = match next(1) {
                        Some(Word::Sign("(")) => next(2).is_some_and(starts),
                        Some(word) => starts(word),
                        None => false,
                    };
                    if round == 0 || another {
                        self.at = at;
                        return;
                    }
                }
                _ => {}
            }
        }
        self.at = self.tokens.len() - 1;
        let Place { line, column } = self.place();
        if self.errors.last().is_none_or(|e| (e.line, e.column) != (line, column)) {
            self.expected("`]`");
        }
    }

    fn metadata(&mut self) -> Parsed<()> {
        for (key, place, value) in self.dictionary()? {
            match (key.as_str(), value) {
                ("Version", VariableValue::One(Text::Value(version))) => {
                    self.ruleset.version = Some(version);
                }
                ("Version", _) => {
                    self.error(place, "`Version` takes one text", None);
                }
                _ => {
                    let message = format!("`Metadata` has no key `{key}`");
                    self.error(place, message, Some("its one key is `Version`".into()));
                }
            }
        }
        Ok(())
    }

    fn data_sources(&mut self) -> Parsed<()> {
        for (key, place, value) in self.dictionary()? {
            match (key.as_str(), value) {
                ("Primary", VariableValue::One(Text::Value(name))) => {
                    self.ruleset.primary = Some(name);
                }
                ("AdditionalDataSources", VariableValue::List(names)) => {
                    let name = |value| match value {
                        Text::Value(name) => Some(name),
                        _ => None,
                    };
                    self.ruleset.additional = names.into_iter().filter_map(name).collect();
                }
                ("Primary", _) => {
                    self.error(place, "`Primary` takes one text", None);
                }
                ("AdditionalDataSources", _) => {
                    self.error(place, "`AdditionalDataSources` takes a list of texts", None);
                }
                _ => {
                    let message = format!("`DataSources` has no key `{key}`");
                    let hint = "its keys are `Primary` and `AdditionalDataSources`";
                    self.error(place, message, Some(hint.into()));
                }
            }
        }
        Ok(())
    }

    /// `{ "key": "value", "key": ["value"] }`, not empty.
    fn dictionary(&mut self) -> Parsed<Vec<(String, Place, VariableValue)>> {
        self.expect_sign("{")?;
        let mut pairs: Vec<(String, Place, VariableValue)> = Vec::new();
        loop {
            let (key, place) = self.text("a key in quotes")?;
            if pairs.iter().any(|(other, ..)| *other == key) {
                self.error(place, format!("the key `{key}` stands twice"), None);
            }
            if pairs.len() >= MAX_LABELS {
                return Err(self.error(place, "there are too many keys", None));
            }
            self.expect_sign(":")?;
            let value = if self.eat_sign("[") {
                let mut values = Vec::new();
                loop {
                    values.push(Text::Value(self.text("a text in quotes")?.0));
                    if !self.eat_sign(",") {
                        break;
                    }
                }
                self.expect_sign("]")?;
                VariableValue::List(values)
            } else {
                VariableValue::One(Text::Value(self.text("a text or a list of texts")?.0))
            };
            pairs.push((key, place, value));
            if !self.eat_sign(",") {
                break;
            }
        }
        self.expect_sign("}")?;
        Ok(pairs)
    }

    fn rules(&mut self) -> Parsed<()> {
        let rules = self.list("rule", Self::rule, begins_rule)?;
        self.ruleset.rules.extend(rules);
        Ok(())
    }

    fn analyzers(&mut self) -> Parsed<()> {
        let analyzers = self.list("analyzer", Self::analyzer, begins_rule)?;
        self.ruleset.analyzers.extend(analyzers);
        Ok(())
    }

    fn rule(&mut self) -> Parsed<Rule> {
        self.any()
    }

    fn analyzer(&mut self) -> Parsed<Single> {
        self.single(In::Analyzers)
    }
}

fn begins_rule(word: &Word<'_>) -> bool {
    matches!(word, Word::Name(name) if RuleType::named(name).is_some())
}

fn called(section: &str) -> String {
    if section == VARIABLES { "a variable".into() } else { format!("`{section}`") }
}
