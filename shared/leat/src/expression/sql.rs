//! Text → SQL's tree, by `sqlparser`. Only the words and signs of our expressions pass: whatever else is a keyword of
//! some SQL is a plain name here, so that a column may be called `date` and the parser's other rooms stay shut.

use sqlparser::ast::{Expr, ObjectNamePart};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::{ExpressionError, MAX_BYTES, MAX_DEPTH, MAX_TOKENS};

/// What an expression may hold; the hint of whatever is refused.
pub(super) const ALLOWED: &str = "an expression has + - * / %, comparisons, and, or, not, is [not] null, in, between, \
     like, rlike, case, cast, and the functions abs, cbrt, ceil, coalesce, concat, cos, date_trunc, day, \
     day_of_week, day_of_year, exp, floor, greatest, hour, isnull, least, length, ln, log10, log1p, log2, lower, minute, \
     month, nullif, nvl, pow, quarter, round, second, seconds_between, sign, sin, sqrt, substr, substring, to_date, trim, \
     upper, week, year";

/// The words that are no names.
const KEYWORDS: [Keyword; 18] = [
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::IS,
    Keyword::NULL,
    Keyword::CASE,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::END,
    Keyword::IN,
    Keyword::BETWEEN,
    Keyword::LIKE,
    Keyword::RLIKE,
    Keyword::CAST,
    Keyword::AS,
    Keyword::TRUE,
    Keyword::FALSE,
];

/// Names and quotes as in the SQL of Spark and of the standard; nothing of any vendor.
#[derive(Debug)]
struct Scalar {
    /// A predicate of a rule: `<=>`, and text in double quotes too, as Spark has it.
    predicate: bool,
}

impl Dialect for Scalar {
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '`' || c == '"' && !self.predicate
    }

    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }

    /// Without this a broken `case …` would be tried again as a column of that name, and the error be lost.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        KEYWORDS.contains(&keyword)
    }
}

/// The tree of an expression.
pub(super) fn parse(text: &str) -> Result<Expr, ExpressionError> {
    parse_with(&Scalar { predicate: false }, text)
}

/// The tree of a predicate as `where` of a rule has it. Functions are names with arguments, whatever they are.
pub(super) fn parse_predicate(text: &str) -> Result<Expr, ExpressionError> {
    parse_with(&Scalar { predicate: true }, text)
}

fn parse_with(dialect: &Scalar, text: &str) -> Result<Expr, ExpressionError> {
    let error = |message: String, offset: usize, hint: Option<&str>| ExpressionError {
        message,
        offset,
        hint: hint.map(str::to_owned),
    };
    if text.len() > MAX_BYTES {
        return Err(error(
            format!("the expression has {} bytes; at most {MAX_BYTES} are allowed", text.len()),
            0,
            Some("split it into several derived columns: one may read those before it"),
        ));
    }
    let tokens = Tokenizer::new(dialect, text).tokenize_with_location().map_err(|e| {
        error(lower_first(&e.message), byte_of(text, e.location.line, e.location.column), None)
    })?;
    let words = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).count();
    if words > MAX_TOKENS {
        return Err(error(
            format!("the expression has {words} words and signs; at most {MAX_TOKENS} are allowed"),
            0,
            Some("split it into several derived columns: one may read those before it"),
        ));
    }
    let tokens = tokens
        .into_iter()
        .map(|token| screen(dialect, token, text))
        .collect::<Result<Vec<_>, ExpressionError>>()?;

    let mut parser =
        Parser::new(dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let tree = parser.parse_expr().map_err(|e| refusal(e, text))?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(tree),
        ref token => Err(error(
            format!("`{token}` is not expected here"),
            start_of(text, next.span),
            Some(ALLOWED),
        )),
    }
}

/// Where `expression` begins, in bytes. Iterative, as a chain of operators leans to the left as long as the text is.
pub(super) fn offset(text: &str, expression: &Expr) -> usize {
    let mut expression = expression;
    loop {
        let span = match expression {
            Expr::BinaryOp { left: next, .. }
            | Expr::IsNull(next)
            | Expr::IsNotNull(next)
            | Expr::InList { expr: next, .. }
            | Expr::Between { expr: next, .. }
            | Expr::Like { expr: next, .. }
            | Expr::RLike { expr: next, .. }
            | Expr::Nested(next)
            | Expr::UnaryOp { expr: next, .. }
            | Expr::Cast { expr: next, .. } => {
                expression = next;
                continue;
            }
            Expr::Identifier(name) => name.span,
            Expr::Value(value) => value.span,
            Expr::Case { case_token, .. } => case_token.0.span,
            Expr::Function(call) => match call.name.0.first() {
                Some(ObjectNamePart::Identifier(name)) => name.span,
                _ => Span::empty(),
            },
            _ => Span::empty(),
        };
        return start_of(text, span);
    }
}

/// Where `span` begins, in bytes; 0 if it is not known.
pub(super) fn start_of(text: &str, span: Span) -> usize {
    let Location { line, column } = span.start;
    byte_of(text, line, column)
}

/// Lets a token of our language pass; other keywords become names.
fn screen(
    dialect: &Scalar,
    mut token: TokenWithSpan,
    text: &str,
) -> Result<TokenWithSpan, ExpressionError> {
    let hint = match &mut token.token {
        Token::Word(word) => {
            if !KEYWORDS.contains(&word.keyword) {
                word.keyword = Keyword::NoKeyword;
            }
            return Ok(token);
        }
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::Eq
        | Token::DoubleEq
        | Token::Neq
        | Token::Lt
        | Token::LtEq
        | Token::Gt
        | Token::GtEq
        | Token::Whitespace(_) => return Ok(token),
        Token::Spaceship | Token::DoubleQuotedString(_) if dialect.predicate => return Ok(token),
        Token::DoubleColon => "write cast(x as double)",
        Token::ExclamationMark => "write not",
        Token::SemiColon => "an expression ends without a semicolon",
        Token::Period => "a column has one name; one with a dot stands in quotes: \"a.b\"",
        _ => ALLOWED,
    };
    Err(ExpressionError {
        message: format!("`{}` is not part of an expression", token.token),
        offset: start_of(text, token.span),
        hint: Some(hint.to_owned()),
    })
}

/// The parser's refusal in our words. It says its place at the end of its message.
fn refusal(error: ParserError, text: &str) -> ExpressionError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return ExpressionError {
                message: format!("the expression is nested deeper than {MAX_DEPTH}"),
                offset: 0,
                hint: Some("split it into several derived columns".to_owned()),
            };
        }
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    let place = message.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, byte_of(text, line.parse().ok()?, column.trim().parse().ok()?)))
    });
    let (message, offset) = place.unwrap_or((&message, 0));
    let offset = if message.ends_with("found: EOF") { text.trim_end().len() } else { offset };
    let message = match message.split_once(", found: ") {
        Some((expected, found)) => {
            let expected = expected.trim_start_matches("Expected: ");
            let expected =
                if expected.ends_with("after IS") { "null or not null" } else { expected };
            format!("expected {expected}, found {}", found.replace("EOF", "the end"))
        }
        None => lower_first(message),
    };
    ExpressionError { message, offset, hint: None }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |c| c.to_lowercase().chain(characters).collect())
}

/// The byte at `line` and `column` (in characters, both from 1); the text's length past its end.
fn byte_of(text: &str, line: u64, column: u64) -> usize {
    let lines = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let characters = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(rest) = text.splitn(lines.saturating_add(1), '\n').nth(lines) else {
        return text.len();
    };
    let start = text.len() - rest.len();
    start + rest.char_indices().nth(characters).map_or(rest.len(), |(i, _)| i)
}
