//! SQL scalar expressions over the columns of a batch: parsed, typed, evaluated. Recipes derive columns by them
//! ([`compile`]); rules choose their rows ([`compile_predicate`]).
//!
//! What there is: columns, literals, `+ - * / %`, comparisons, `and`, `or`, `not`, `is [not] null`, `in`, `between`,
//! `like` and `rlike` with a literal pattern, `case` in both forms, `cast`, and the functions of [`FUNCTIONS`]. All else
//! of SQL is refused with its place.
//!
//! - Missing (null) is three-valued as in SQL: a missing operand makes a missing result, but `false and null` is
//!   false and `true or null` is true. A condition of `case` that is missing is not met.
//! - A long with a long stays long under `+ - * %` and [`abs`](FUNCTIONS); `/` gives a double; with a double
//!   everything is a double. Overflow of longs and division by zero give null.
//! - `like` matches a whole text: `%` is any text, `_` one character, `\` takes what follows as it is. `rlike` finds a
//!   regular expression in it, of the crate `regex`: without look-around and back-references.
//! - A double that is not finite is null, wherever it arises or comes from.
//! - Names of columns are exact; `"…"` or `` `…` `` quotes a name that is no word or is a keyword. Text stands in `'…'`.

mod cast;
mod compile;
mod evaluate;
mod functions;
mod spark;
mod sql;
#[cfg(test)]
mod tests;

pub use compile::{compile, compile_predicate};
pub use functions::{FUNCTIONS, Function};

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::calendar::{Moment, Unit};
use crate::column::{Column, Type};
use crate::pattern::Pattern;

/// An expression has at most so many bytes.
pub const MAX_BYTES: usize = 4096;
/// An expression has at most so many words and signs.
pub const MAX_TOKENS: usize = 1000;
/// An expression is nested at most so deep; `a + b + c` is two deep.
pub const MAX_DEPTH: usize = 48;
/// A predicate of a rule is nested at most so deep: what AWS Glue takes has no bound, and chains of `or` are long.
const MAX_PREDICATE_DEPTH: usize = 256;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Program {
    root: Node,
    reads: Vec<usize>,
    places: Vec<usize>,
}

impl Program {
    /// What the expression gives.
    pub fn kind(&self) -> Type {
        self.root.kind
    }

    /// The slots that it reads, each once, ascending.
    pub fn reads(&self) -> &[usize] {
        &self.reads
    }

    /// Where each of [`Program::reads`] is first read, in bytes from the start of the expression.
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// The values for `rows` rows of `columns`, by slot. A column that is not there or not of the type for which the
    /// expression was compiled (a bug of the caller) reads as missing.
    pub fn evaluate(&self, columns: &[Column], rows: usize) -> Column {
        evaluate::evaluate(&self.root, columns, rows).into_owned()
    }

    /// The value for one row, as a column of one: for the few rows that are looked at by themselves.
    pub fn evaluate_row(&self, columns: &[Column], row: usize) -> Column {
        let slots = self.reads.last().map_or(0, |last| last + 1);
        let mut of_row = vec![Column::new(Type::Bool); slots];
        for &slot in &self.reads {
            if let Some(column) = columns.get(slot).filter(|column| row < column.len()) {
                of_row[slot] = column.gather(&[row]);
            }
        }
        self.evaluate(&of_row, 1)
    }
}

/// Why an expression cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes from the start of the expression.
    pub offset: usize,
    /// What to do.
    pub hint: Option<String>,
}

/// A part of an expression and the type that it gives.
#[derive(Clone, Debug)]
struct Node {
    kind: Type,
    op: Op,
}

#[derive(Clone, Debug)]
enum Op {
    Column(usize),
    /// A column as it is, with doubles that are not finite.
    Raw(usize),
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    String(String),
    /// To the node's type.
    Cast(Box<Node>),
    Negate(Box<Node>),
    /// Both sides have the node's type.
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Compare(Compare, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    IsNull(Box<Node>),
    In(Box<Node>, Vec<Node>),
    Between(Box<Node>, Box<Node>, Box<Node>),
    Case {
        /// What the conditions are compared with; none: they are conditions themselves.
        operand: Option<Box<Node>>,
        /// Condition and result; every result has the node's type.
        arms: Vec<(Node, Node)>,
        otherwise: Box<Node>,
    },
    Abs(Box<Node>),
    /// Every argument has the node's type.
    Coalesce(Vec<Node>),
    NullIf(Box<Node>, Box<Node>),
    /// Arguments and result are doubles.
    Number(fn(f64) -> f64, Box<Node>),
    Numbers(fn(f64, f64) -> f64, Box<Node>, Box<Node>),
    /// Every argument has the node's type.
    Extreme(Ordering, Vec<Node>),
    OfTime(fn(Moment) -> i64, Box<Node>),
    Truncate(Unit, Box<Node>),
    SecondsBetween(Box<Node>, Box<Node>),
    OfText(fn(&str) -> Cow<'_, str>, Box<Node>),
    Concat(Vec<Node>),
    /// Text, first character from 1 (from the end below 0), and how many; without it, all.
    Substring(Box<Node>, Box<Node>, Option<Box<Node>>),
    TimeOfText(fn(&str) -> Option<i64>, Box<Node>),
    Length(Box<Node>),
    Matches(Pattern, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
