//! The queries of `CustomSql`: what a ruleset asks of an engine for SQL, and what that engine answers. This crate runs
//! none: who evaluates a ruleset takes [`Evaluation::queries`](super::Evaluation::queries), has them run over the rows
//! that were counted, and hands each answer to [`Evaluation::answer`](super::Evaluation::answer).

use serde::{Deserialize, Serialize};
use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Token, Tokenizer, Word};

use super::tree::{Rule, Ruleset, Single};
use crate::diagnostic::Diagnostic;
use crate::recipe::Place;

/// The most bytes of a query.
pub const MAX_BYTES: usize = 65_536;
/// Functions of Spark that call other code than SQL.
const CALLS: [&str; 3] = ["reflect", "try_reflect", "java_method"];

/// A query of a ruleset.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The query. It reads `primary`, the data, and reference data sets by their aliases.
    pub sql: String,
    /// What is asked of its rows.
    pub form: Form,
    /// The first rule with this query, as canonical DQDL.
    pub rule: String,
    /// The ruleset's file, as its reader named it.
    pub file: String,
    /// Where the rule stands in it.
    pub place: Place,
}

/// What is asked of a query's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One row with one number.
    Value,
    /// Which rows of `primary` it answers: those whose values are those of a row of the query, in all columns of the
    /// query; null is like null, and names are compared without regard to case.
    Rows,
}

/// What a query answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Of [`Form::Value`]: its number.
    Value(f64),
    /// Its number is NaN or infinite.
    NotFinite,
    /// Its value is null.
    Null,
    /// Its column is not of numbers: a text, a time, a truth value, nothing but null.
    NoNumber,
    /// It has so many columns, not one.
    Columns(u64),
    /// It has no row (0), or more than one (2).
    Results(u64),
    /// Of [`Form::Rows`]: how many rows of `primary` it answers, of how many there are.
    Rows {
        /// Those that it answers.
        passed: u64,
        /// All.
        rows: u64,
    },
    /// It has these columns, which `primary` has not.
    Unknown(Vec<String>),
    /// It could not be run to its end. The text holds no value of a row.
    Error(String),
}

/// Numbers here are finite.
impl Eq for Answer {}

impl Answer {
    /// The number `x`.
    pub fn number(x: f64) -> Self {
        if x.is_finite() { Answer::Value(x) } else { Answer::NotFinite }
    }
}

impl Query {
    /// The error that this query cannot be run, with the engine's reason.
    pub fn refused(&self, why: &str) -> Diagnostic {
        Diagnostic {
            file: self.file.clone(),
            line: self.place.line,
            column: self.place.column,
            message: format!("{why} (rule `{}`)", self.rule),
            hint: None,
        }
    }
}

/// What `single`, a rule, an analyzer, or what `DetectAnomalies` watches, asks of its query's rows: without a condition a
/// rule asks which rows of `primary` they are.
pub fn form(ruleset: &Ruleset, single: &Single) -> Form {
    let here = |other: &&Single| other.place.0 == single.place.0;
    let rule = super::reference::singles(ruleset).into_iter().find(here);
    let analyzes = rule.is_some_and(|rule| rule.kind.name != single.kind.name)
        || ruleset.analyzers.iter().any(|other| here(&other));
    match &single.condition {
        None if !analyzes => Form::Rows,
        _ => Form::Value,
    }
}

/// Refuses what is no query that reads: of its words and signs alone, whatever tables there are.
pub fn check(sql: &str) -> Result<(), String> {
    if sql.len() > MAX_BYTES {
        return Err(format!("the query has {} bytes; at most {MAX_BYTES} are allowed", sql.len()));
    }
    let tokens = tokens(sql)?;
    let begins = tokens.iter().find(|token| **token != Token::LParen);
    let reads = |word: &&Word| {
        word.value.eq_ignore_ascii_case("select") || word.value.eq_ignore_ascii_case("with")
    };
    if begins.and_then(word).filter(|word| reads(word)).is_none() {
        return Err("a query of `CustomSql` begins with `select` or `with`: it reads, and does nothing else".into());
    }
    // Who runs a query may put it into parentheses: it does not end them.
    let mut depth = 0_usize;
    for token in &tokens {
        depth = match token {
            Token::LParen => depth.saturating_add(1),
            Token::RParen => {
                depth.checked_sub(1).ok_or("the query closes a parenthesis that it did not open")?
            }
            _ => depth,
        };
    }
    for pair in tokens.windows(2) {
        let [Token::Word(word), next] = pair else { continue };
        let is = |name: &&str| word.value.eq_ignore_ascii_case(name);
        let text = matches!(next, Token::SingleQuotedString(_) | Token::DoubleQuotedString(_));
        if *next == Token::LParen && CALLS.iter().any(is) {
            return Err(format!(
                "`{}` calls code that is not SQL, which a query may not",
                word.value
            ));
        }
        if text && is(&"using") {
            return Err("`using` before a text runs a script, which a query may not".into());
        }
        if text && word.quote_style.is_none() && is(&"r") {
            return Err("raw texts (`r'…'`) are not taken: write `\\\\` for a backslash".into());
        }
    }
    Ok(())
}

/// Whether a query of `ruleset` names `alias`.
pub fn names(ruleset: &Ruleset, alias: &str) -> bool {
    let queries = super::reference::singles(ruleset)
        .into_iter()
        .filter_map(|single| text_of(ruleset, single));
    let names =
        |token: &Token| word(token).is_some_and(|word| word.value.eq_ignore_ascii_case(alias));
    queries.filter_map(|sql| tokens(sql).ok()).flatten().any(|token| names(&token))
}

impl Ruleset {
    /// Whether `rule` asks a query in SQL: `CustomSql`, `DetectAnomalies` of one, or a composite with such a part.
    pub fn asks_sql(&self, rule: &Rule) -> bool {
        match rule {
            Rule::Single(single) => text_of(self, single).is_some(),
            Rule::Composite(composite) => composite.parts.iter().any(|part| self.asks_sql(part)),
        }
    }
}

/// The query of a rule, an analyzer, or of what `DetectAnomalies` watches.
fn text_of<'r>(ruleset: &'r Ruleset, single: &'r Single) -> Option<&'r str> {
    let texts: Vec<&str> = single.parameters.iter().map(|p| ruleset.text(p)).collect();
    match (single.kind.name, &texts[..]) {
        ("CustomSql", [sql]) | ("DetectAnomalies", ["CustomSql", sql]) => Some(sql),
        _ => None,
    }
}

fn word(token: &Token) -> Option<&Word> {
    match token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

fn tokens(sql: &str) -> Result<Vec<Token>, String> {
    let read = Tokenizer::new(&Spark, sql).tokenize();
    let mut tokens = read.map_err(|why| format!("the query cannot be read: {}", why.message))?;
    tokens.retain(|token| !matches!(token, Token::Whitespace(_)));
    Ok(tokens)
}

/// How Spark's SQL is cut into words and signs.
#[derive(Debug)]
struct Spark;

impl Dialect for Spark {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_queries_that_read() {
        for good in [
            "select count(*) from primary",
            " -- why\n/* and */ WITH a AS (select 1) select * from a",
            "(select 1) union all (select 2)",
            "select a from primary join r using (a) where b = 'reflect(' and `using` = 'x'",
            "select 'it\\'s', \"using 'sh'\" from primary",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "begins with `select`"),
            ("drop table primary", "begins with `select`"),
            ("insert into primary select 1", "begins with `select`"),
            ("select reflect('java.lang.System', 'exit', 1)", "not SQL"),
            ("select `Java_Method` /* */ ('a', 'b')", "not SQL"),
            // The first text ends where Spark ends it.
            ("select '\\'' || reflect('a', 'b') || ''", "not SQL"),
            ("select r'\\' || reflect('a', 'b') --'", "raw texts"),
            ("select transform(a) using 'sh' from primary", "runs a script"),
            ("select 1) as a, (select 2", "a parenthesis that it did not open"),
            ("select 'a", "cannot be read"),
        ] {
            assert!(check(bad).unwrap_err().contains(why), "{bad}: {:?}", check(bad));
        }
        let long = format!("select '{}'", "x".repeat(MAX_BYTES));
        assert!(check(&long).unwrap_err().contains("at most 65536"));
    }

    #[test]
    fn names_of_data_sets() {
        let text = "q = \"select 1 from Third\"\n\
            Rules = [ CustomSql \"select count(*) from primary join `refs` on a = 'text'\" > 1, CustomSql $q,\n\
            DetectAnomalies \"CustomSql\" \"select 1 from fourth\" ]";
        let ruleset = crate::quality::parse("q", text).unwrap();
        for (alias, named) in
            [("refs", true), ("third", true), ("fourth", true), ("text", false), ("fifth", false)]
        {
            assert_eq!(names(&ruleset, alias), named, "{alias}");
        }
    }
}
