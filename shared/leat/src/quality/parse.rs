//! Reads a DQDL document: a hand-written, recursive descent whose depth is bounded. After an error it goes on with
//! the next rule or section, so that all errors of a document come at once.

mod condition;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::lexer::{Token, Word, lex};
use super::tree::{Aside, Labels, Rule, Ruleset, Single, Text, Variable, VariableValue};
use crate::diagnostic::{Diagnostic, nearest};
use crate::recipe::Place;

/// Parentheses, calls and lists stand at most so deep in each other.
const MAX_DEPTH: usize = 32;
/// A document is at most so many bytes.
const MAX_BYTES: usize = 1 << 20;
/// At most so many errors are reported at once.
const MAX_ERRORS: usize = 100;
/// A rule has at most so many labels, defaults among them.
const MAX_LABELS: usize = 10;

/// The sections, in the order in which they stand; variables stand before `DefaultLabels`.
const SECTIONS: [&str; 5] = ["Metadata", "DataSources", "DefaultLabels", "Rules", "Analyzers"];
/// Where variables stand among the sections.
const VARIABLES: &str = "variables";
const ORDER: [&str; 6] =
    ["Metadata", "DataSources", VARIABLES, "DefaultLabels", "Rules", "Analyzers"];

/// Words that cannot be a name without quotes, beside the sections.
const KEYWORDS: [&str; 26] = [
    "and",
    "AND",
    "or",
    "OR",
    "of",
    "OF",
    "null",
    "NULL",
    "empty",
    "EMPTY",
    "whitespaces_only",
    "WHITESPACES_ONLY",
    "between",
    "in",
    "not",
    "matches",
    "where",
    "with",
    "labels",
    "days",
    "hours",
    "minutes",
    "KB",
    "MB",
    "GB",
    "TB",
];

fn is_keyword(name: &str) -> bool {
    name == "B" || KEYWORDS.contains(&name) || is_section(name)
}

fn is_section(name: &str) -> bool {
    SECTIONS.contains(&name)
}

/// Reads and checks the DQDL document `text`; `file` is its name in the errors, all of which are reported.
///
/// Beside the language's own checks: regular expressions compile, dates are in the calendar, time zones are known,
/// nothing follows the last section.
pub fn parse(file: &str, text: &str) -> Result<Ruleset, Vec<Diagnostic>> {
    let mut parser = Parser {
        file,
        tokens: Vec::new(),
        at: 0,
        depth: 0,
        errors: Vec::new(),
        failures: 0,
        ruleset: Ruleset { file: Aside(file.to_owned()), ..Ruleset::default() },
        broken: HashSet::new(),
        texts: Vec::new(),
    };
    if text.len() > MAX_BYTES {
        let message = format!("the ruleset is {} bytes; at most {MAX_BYTES} are read", text.len());
        parser.error(Place { line: 1, column: 1 }, message, Some("split it".into()));
    } else {
        parser.tokens = lex(text);
        parser.document();
    }
    if parser.errors.is_empty() { Ok(parser.ruleset) } else { Err(parser.errors) }
}

/// An error was reported; the caller goes on where it can.
struct Stop;

type Parsed<T> = Result<T, Stop>;

struct Parser<'a> {
    file: &'a str,
    /// Ends with [`Word::End`].
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    errors: Vec<Diagnostic>,
    /// How many errors there were, reported or beyond [`MAX_ERRORS`].
    failures: usize,
    ruleset: Ruleset,
    /// Variables whose value could not be read: their use is no further error.
    broken: HashSet<&'a str>,
    /// The texts that variables hold.
    texts: Vec<(Place, String)>,
}

impl<'a> Parser<'a> {
    fn token(&self, ahead: usize) -> &Token<'a> {
        // The last token is `End`, and never passed.
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)]
    }

    fn word(&self) -> &Word<'a> {
        &self.token(0).word
    }

    fn place(&self) -> Place {
        self.token(0).place
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.token(ahead).word, Word::Sign(s) if s == sign)
    }

    fn is_name(&self, ahead: usize, names: &[&str]) -> bool {
        matches!(self.token(ahead).word, Word::Name(n) if names.contains(&n))
    }

    fn eat_sign(&mut self, sign: &str) -> bool {
        let is = self.is_sign(0, sign);
        if is {
            self.advance();
        }
        is
    }

    fn eat_name(&mut self, names: &[&str]) -> bool {
        let is = self.is_name(0, names);
        if is {
            self.advance();
        }
        is
    }

    fn error(&mut self, place: Place, message: impl Into<String>, hint: Option<String>) -> Stop {
        self.failures += 1;
        if self.errors.len() < MAX_ERRORS {
            let Place { line, column } = place;
            let (file, message) = (self.file.to_owned(), message.into());
            self.errors.push(Diagnostic { file, line, column, message, hint });
        } else {
            // Enough: nothing more is read.
            self.at = self.tokens.len().saturating_sub(1);
        }
        Stop
    }

    /// Reports that `what` should stand here.
    fn expected(&mut self, what: &str) -> Stop {
        let (message, hint) = match self.word() {
            Word::Unclosed => ("this text has no closing quote".to_owned(), None),
            word => (format!("found {}, expected {what}", found(word)), hint_for(word)),
        };
        self.error(self.place(), message, hint)
    }

    fn expect_sign(&mut self, sign: &str) -> Parsed<()> {
        if self.eat_sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    fn text(&mut self, what: &str) -> Parsed<(String, Place)> {
        let place = self.place();
        match self.word() {
            Word::Text(text) => {
                let text = text.clone();
                self.advance();
                Ok((text, place))
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Runs `inner` one level deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("this stands in more than {MAX_DEPTH} parentheses");
            return Err(self.error(self.place(), message, None));
        }
        self.depth += 1;
        let out = inner(self);
        self.depth -= 1;
        out
    }

    fn document(&mut self) {
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

    fn variable(&mut self, name: &'a str, place: Place) -> Parsed<()> {
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
    fn check_nested_variables(&mut self) {
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

    /// `[ "key" = "value", … ]`, not empty.
    fn labels(&mut self) -> Parsed<Labels> {
        self.expect_sign("[")?;
        let mut labels = Labels::new();
        loop {
            let (key, place) = self.text("a label's key in quotes")?;
            self.expect_sign("=")?;
            let (value, value_place) = self.text("a label's value in quotes")?;
            if key.is_empty() || key.chars().count() > 128 {
                self.error(place, "a label's key has 1 to 128 characters", None);
            }
            if value.chars().count() > 256 {
                self.error(value_place, "a label's value has at most 256 characters", None);
            }
            self.add_label(&mut labels, key, value, place)?;
            if !self.eat_sign(",") {
                break;
            }
        }
        self.expect_sign("]")?;
        Ok(labels)
    }

    fn add_label(
        &mut self,
        labels: &mut Labels,
        key: String,
        value: String,
        place: Place,
    ) -> Parsed<()> {
        if labels.iter().any(|(other, _)| *other == key) {
            self.error(place, format!("the label `{key}` stands twice"), None);
            return Ok(());
        }
        labels.push((key, value));
        let defaults = &self.ruleset.default_labels;
        let others = defaults.iter().filter(|(key, _)| !labels.iter().any(|(own, _)| own == key));
        if labels.len() + others.count() > MAX_LABELS {
            let message =
                format!("a rule has at most {MAX_LABELS} labels, `DefaultLabels` among them");
            return Err(self.error(place, message, None));
        }
        Ok(())
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
        self.single(rule::In::Analyzers)
    }
}

fn begins_rule(word: &Word<'_>) -> bool {
    matches!(word, Word::Name(name) if super::types::RuleType::named(name).is_some())
}

fn called(section: &str) -> String {
    if section == VARIABLES { "a variable".into() } else { format!("`{section}`") }
}

fn found(word: &Word<'_>) -> String {
    match word {
        Word::Name(text) | Word::Number(text) => format!("`{}`", cut(text)),
        Word::Text(text) => format!("the text \"{}\"", cut(text)),
        Word::Unclosed => "a text without its closing quote".into(),
        Word::Sign(sign) => format!("`{sign}`"),
        Word::Stray(c) => format!("`{}`", cut(c.encode_utf8(&mut [0; 4]))),
        Word::End => "the end of the document".into(),
    }
}

/// At most 40 characters of `text`, on one line.
fn cut(text: &str) -> String {
    let mut out: String =
        text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(40).is_some() {
        out.push('…');
    }
    out
}

fn hint_for(word: &Word<'_>) -> Option<String> {
    match word {
        Word::Stray('\'' | '‘' | '’' | '“' | '”' | '`') => {
            Some("texts stand in double quotes: \"…\"".into())
        }
        Word::Name(name) => {
            let lower = |word: &&&str| word.eq_ignore_ascii_case(name) && **word != *name;
            KEYWORDS.iter().find(lower).map(|word| format!("it is written `{word}`"))
        }
        _ => None,
    }
}
