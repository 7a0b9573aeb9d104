//! Reads a DQDL document: a hand-written, recursive descent whose depth is bounded. After an error it goes on with
//! the next rule or section, so that all errors of a document come at once.

mod condition;
mod labels;
mod rule;
mod sections;
#[cfg(test)]
mod tests;
mod tokens;
mod variables;

use std::collections::HashSet;

use super::lexer::{Token, Word, lex};
use super::tree::{Aside, Labels, Ruleset};
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
