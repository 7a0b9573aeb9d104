//! The parser's hands: it looks at tokens, takes them, and says what it found instead of what it expected.

use super::{KEYWORDS, MAX_DEPTH, MAX_ERRORS, Parsed, Parser, Stop, Token, Word};
use crate::diagnostic::Diagnostic;
use crate::recipe::Place;

impl<'a> Parser<'a> {
    pub(super) fn token(&self, ahead: usize) -> &Token<'a> {
        // The last token is `End`, and never passed.
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)]
    }

    pub(super) fn word(&self) -> &Word<'a> {
        &self.token(0).word
    }

    pub(super) fn place(&self) -> Place {
        self.token(0).place
    }

    pub(super) fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    pub(super) fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.token(ahead).word, Word::Sign(s) if s == sign)
    }

    pub(super) fn is_name(&self, ahead: usize, names: &[&str]) -> bool {
        matches!(self.token(ahead).word, Word::Name(n) if names.contains(&n))
    }

    pub(super) fn eat_sign(&mut self, sign: &str) -> bool {
        let is = self.is_sign(0, sign);
        if is {
            self.advance();
        }
        is
    }

    pub(super) fn eat_name(&mut self, names: &[&str]) -> bool {
        let is = self.is_name(0, names);
        if is {
            self.advance();
        }
        is
    }

    pub(super) fn error(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Stop {
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
    pub(super) fn expected(&mut self, what: &str) -> Stop {
        let (message, hint) = match self.word() {
            Word::Unclosed => ("this text has no closing quote".to_owned(), None),
            word => (format!("found {}, expected {what}", found(word)), hint_for(word)),
        };
        self.error(self.place(), message, hint)
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Parsed<()> {
        if self.eat_sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    pub(super) fn text(&mut self, what: &str) -> Parsed<(String, Place)> {
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
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("this stands in more than {MAX_DEPTH} parentheses");
            return Err(self.error(self.place(), message, None));
        }
        self.depth += 1;
        let out = inner(self);
        self.depth -= 1;
        out
    }
}

pub(super) fn found(word: &Word<'_>) -> String {
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
pub(super) fn cut(text: &str) -> String {
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
