//! `where` of a rule: an SQL predicate over a row's columns, which says of which rows the rule speaks.
//!
//! - Takes: `= != <> < <= > >= <=>`, `and`, `or`, `not`, `is [not] null`, `[not] in`, `[not] between` (both ends
//!   included: it is SQL), `[not] like`, `[not] rlike`, `+ - * / %`, `case`, `cast`, the functions of [`FUNCTIONS`], a
//!   boolean column alone, names in back quotes, names without regard to case, text in single or double quotes.
//! - Null: three-valued, as in SQL. A row is kept where the predicate is true; null is not true. A null in the list of
//!   `in` makes `not in` never true.
//! - Types: as Spark SQL without ANSI mode compares them: text with a number by the number it spells, with a boolean, a
//!   date or a timestamp as such; what spells none is null. `/` divides doubles; division by zero, and a long that
//!   overflows, is null.
//! - Errors: what does not parse, or names no column. The rule then fails with the error's text.
//! - Source: AWS Glue's documentation of `where`; Spark SQL for the meaning of operators.

use std::borrow::Cow;
use std::cmp::Ordering;

use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, Expr, Function as Call, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectNamePart, UnaryOperator, Value as Literal,
};

use super::dates;
use super::tree::Comparison;
use crate::column::{Column, Type, Value};
use crate::diagnostic::nearest;
use crate::expression::sql;
use crate::pattern::Pattern;
use crate::{number, timestamp};

/// A predicate is nested at most so deep: `a and b and c` is two deep.
const MAX_DEPTH: usize = 256;

/// A predicate ready for rows.
#[derive(Debug)]
pub struct Predicate(Node);

#[derive(Debug)]
enum Node {
    Column(usize, Type),
    Literal(Cell<'static>),
    Negate(Box<Node>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    /// `<=>`: null is like null.
    Same(Box<Node>, Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    IsNull(Box<Node>),
    In(Box<Node>, Vec<Node>),
    Between(Box<Node>, Box<Node>, Box<Node>),
    Matches(Box<Node>, Pattern),
    Case {
        operand: Option<Box<Node>>,
        arms: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Cast(Box<Node>, Target),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What `cast` makes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Bool,
    Long,
    Double,
    Text,
    Date,
    Timestamp,
}

const TARGETS: [(&str, Target); 18] = [
    ("boolean", Target::Bool),
    ("bool", Target::Bool),
    ("tinyint", Target::Long),
    ("smallint", Target::Long),
    ("int", Target::Long),
    ("integer", Target::Long),
    ("long", Target::Long),
    ("bigint", Target::Long),
    ("float", Target::Double),
    ("real", Target::Double),
    ("double", Target::Double),
    ("decimal", Target::Double),
    ("numeric", Target::Double),
    ("string", Target::Text),
    ("varchar", Target::Text),
    ("char", Target::Text),
    ("date", Target::Date),
    ("timestamp", Target::Timestamp),
];

#[derive(Clone, Copy, Debug)]
enum Function {
    Lower,
    Upper,
    Trim,
    Length,
    Substring,
    Concat,
    Coalesce,
    Abs,
    IsNull,
    ToDate,
}

/// The functions of predicates: name, least and greatest number of arguments.
const FUNCTIONS: [(&str, Function, usize, usize); 12] = [
    ("lower", Function::Lower, 1, 1),
    ("upper", Function::Upper, 1, 1),
    ("trim", Function::Trim, 1, 1),
    ("length", Function::Length, 1, 1),
    ("substring", Function::Substring, 2, 3),
    ("substr", Function::Substring, 2, 3),
    ("concat", Function::Concat, 1, 64),
    ("coalesce", Function::Coalesce, 1, 64),
    ("nvl", Function::Coalesce, 2, 2),
    ("abs", Function::Abs, 1, 1),
    ("isnull", Function::IsNull, 1, 1),
    ("to_date", Function::ToDate, 1, 1),
];

/// A value while a predicate is evaluated.
#[derive(Clone, Debug, PartialEq)]
enum Cell<'a> {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    Text(Cow<'a, str>),
    /// Days since 1970.
    Day(i64),
    /// Microseconds since 1970 UTC.
    Time(i64),
}

impl Predicate {
    /// Compiles `text` over `columns`, whose index is their slot, or says what is wrong with it.
    pub fn new(text: &str, columns: &[(String, Type)]) -> Result<Self, String> {
        let refused = |why: &str| format!("`where` cannot be evaluated: {why}");
        let tree = sql::parse_predicate(text).map_err(|error| refused(&error.message))?;
        let node = Compiler { columns, depth: 0 }.node(&tree).map_err(|why| refused(&why))?;
        if node.is_condition() {
            Ok(Predicate(node))
        } else {
            Err(refused("it is a value and no condition: compare it, as in `x > 0`"))
        }
    }

    /// Whether `row` is kept.
    pub fn keeps(&self, columns: &[Column], row: usize) -> bool {
        self.0.value(columns, row).truth() == Some(true)
    }
}

struct Compiler<'a> {
    columns: &'a [(String, Type)],
    depth: usize,
}

impl Compiler<'_> {
    fn node(&mut self, tree: &Expr) -> Result<Node, String> {
        if self.depth >= MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        let node = self.within(tree);
        self.depth -= 1;
        node
    }

    fn boxed(&mut self, tree: &Expr) -> Result<Box<Node>, String> {
        self.node(tree).map(Box::new)
    }

    fn nodes<'e>(
        &mut self,
        trees: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<Vec<Node>, String> {
        trees.into_iter().map(|tree| self.node(tree)).collect()
    }

    fn within(&mut self, tree: &Expr) -> Result<Node, String> {
        Ok(match tree {
            Expr::Identifier(name) => self.column(name)?,
            Expr::Value(value) => Node::Literal(literal(&value.value)?),
            Expr::Nested(inner) => self.node(inner)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Node::Not(self.boxed(expr)?),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Node::Negate(self.boxed(expr)?),
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => self.node(expr)?,
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right)?,
            Expr::IsNull(inner) => Node::IsNull(self.boxed(inner)?),
            Expr::IsNotNull(inner) => not(Node::IsNull(self.boxed(inner)?)),
            Expr::InList { expr, list, negated } => {
                not_if(*negated, Node::In(self.boxed(expr)?, self.nodes(list)?))
            }
            Expr::Between { expr, negated, low, high } => not_if(
                *negated,
                Node::Between(self.boxed(expr)?, self.boxed(low)?, self.boxed(high)?),
            ),
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                let pattern = Pattern::like(literal_text("like", pattern)?)?;
                not_if(*negated, Node::Matches(self.boxed(expr)?, pattern))
            }
            Expr::RLike { negated, expr, pattern, .. } => {
                let pattern = Pattern::find(literal_text("rlike", pattern)?)?;
                not_if(*negated, Node::Matches(self.boxed(expr)?, pattern))
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let arm = |CaseWhen { condition, result }: &CaseWhen| {
                    Ok((self.node(condition)?, self.node(result)?))
                };
                let arms = conditions.iter().map(arm).collect::<Result<_, String>>()?;
                let operand = operand.as_ref().map(|e| self.boxed(e)).transpose()?;
                let otherwise = else_result.as_ref().map(|e| self.boxed(e)).transpose()?;
                Node::Case { operand, arms, otherwise }
            }
            Expr::Cast { kind: CastKind::Cast, expr, data_type, format: None } => {
                let word = data_type.to_string().to_lowercase();
                let word = word.split('(').next().unwrap_or_default();
                let target = TARGETS.iter().find(|(name, _)| *name == word).map(|(_, t)| *t);
                let target = target.ok_or_else(|| format!("there is no type `{word}`"))?;
                Node::Cast(self.boxed(expr)?, target)
            }
            Expr::Function(call) => self.call(call)?,
            other => return Err(format!("`{other}` is not part of a predicate")),
        })
    }

    /// A column by its exact name, else the only one that differs by case alone.
    fn column(&self, name: &Ident) -> Result<Node, String> {
        let name = &name.value;
        let exact = self.columns.iter().position(|(column, _)| column == name);
        let folded = || {
            let lower = name.to_lowercase();
            let like = |at: &usize| self.columns[*at].0.to_lowercase() == lower;
            let mut found = (0..self.columns.len()).filter(like);
            found.next().filter(|_| found.next().is_none())
        };
        match exact.or_else(folded) {
            Some(slot) => Ok(Node::Column(slot, self.columns[slot].1)),
            None => {
                let names = self.columns.iter().map(|(name, _)| name.as_str());
                let near = nearest(name, names).map(|near| format!("; the nearest is `{near}`"));
                Err(format!("there is no column `{name}`{}", near.unwrap_or_default()))
            }
        }
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Node, String> {
        use BinaryOperator as B;
        let (a, b) = (self.boxed(left)?, self.boxed(right)?);
        let comparison = match op {
            B::And => return Ok(Node::And(a, b)),
            B::Or => return Ok(Node::Or(a, b)),
            B::Spaceship => return Ok(Node::Same(a, b)),
            B::Eq => Some(Comparison::Equal),
            B::NotEq => Some(Comparison::Unequal),
            B::Lt => Some(Comparison::Less),
            B::LtEq => Some(Comparison::LessOrEqual),
            B::Gt => Some(Comparison::Greater),
            B::GtEq => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            return Ok(Node::Compare(comparison, a, b));
        }
        let arithmetic = match op {
            B::Plus => Arithmetic::Add,
            B::Minus => Arithmetic::Subtract,
            B::Multiply => Arithmetic::Multiply,
            B::Divide => Arithmetic::Divide,
            B::Modulo => Arithmetic::Remainder,
            other => return Err(format!("`{other}` is not part of a predicate")),
        };
        Ok(Node::Arithmetic(arithmetic, a, b))
    }

    fn call(&mut self, call: &Call) -> Result<Node, String> {
        let [ObjectNamePart::Identifier(name)] = call.name.0.as_slice() else {
            return Err(format!("there is no function `{}`", call.name));
        };
        let name = name.value.to_lowercase();
        let Some((_, function, least, most)) = FUNCTIONS.iter().find(|f| f.0 == name) else {
            let near = nearest(&name, FUNCTIONS.iter().map(|f| f.0));
            let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
            return Err(format!("there is no function `{name}`{near}"));
        };
        let refused = || format!("`{name}` takes plain arguments, {least} to {most} of them");
        let FunctionArguments::List(list) = &call.args else { return Err(refused()) };
        let plain = list.duplicate_treatment.is_none()
            && list.clauses.is_empty()
            && call.filter.is_none()
            && call.over.is_none()
            && (*least..=*most).contains(&list.args.len());
        let arguments = list.args.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) if plain => Ok(expression),
            _ => Err(refused()),
        });
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        if !plain {
            return Err(refused());
        }
        Ok(Node::Call(*function, self.nodes(arguments)?))
    }
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn not_if(negated: bool, node: Node) -> Node {
    if negated { not(node) } else { node }
}

fn literal(value: &Literal) -> Result<Cell<'static>, String> {
    Ok(match value {
        Literal::Null => Cell::Null,
        Literal::Boolean(x) => Cell::Bool(*x),
        Literal::SingleQuotedString(text) | Literal::DoubleQuotedString(text) => {
            Cell::Text(text.clone().into())
        }
        Literal::Number(digits, _) => match digits.parse() {
            Ok(long) => Cell::Long(long),
            Err(_) => number::parse(digits)
                .filter(|x| x.is_finite())
                .map(Cell::Double)
                .ok_or_else(|| format!("`{digits}` is no finite number"))?,
        },
        other => return Err(format!("`{other}` is not part of a predicate")),
    })
}

fn literal_text<'e>(what: &str, tree: &'e Expr) -> Result<&'e str, String> {
    match tree {
        Expr::Value(value) => match &value.value {
            Literal::SingleQuotedString(text) | Literal::DoubleQuotedString(text) => Ok(text),
            _ => Err(format!("`{what}` takes a pattern in quotes")),
        },
        _ => Err(format!("`{what}` takes a pattern in quotes")),
    }
}

impl Node {
    /// Whether it is true, false or null, and nothing else.
    fn is_condition(&self) -> bool {
        match self {
            Node::Column(_, kind) => *kind == Type::Bool,
            Node::Literal(cell) => matches!(cell, Cell::Null | Cell::Bool(_)),
            Node::Negate(_) | Node::Arithmetic(..) => false,
            Node::Cast(_, target) => *target == Target::Bool,
            Node::Call(Function::Coalesce, arguments) => arguments.iter().all(Node::is_condition),
            Node::Call(function, _) => matches!(function, Function::IsNull),
            Node::Case { arms, otherwise, .. } => {
                let results = arms.iter().map(|(_, result)| result);
                results.chain(otherwise.as_deref()).all(Node::is_condition)
            }
            _ => true,
        }
    }

    fn value<'a>(&'a self, columns: &'a [Column], row: usize) -> Cell<'a> {
        let of = |node: &'a Node| node.value(columns, row);
        let truth = |node: &'a Node| of(node).truth();
        match self {
            Node::Column(slot, _) => {
                columns.get(*slot).map_or(Cell::Null, |column| Cell::of(column.get(row)))
            }
            Node::Literal(cell) => cell.clone(),
            Node::Negate(inner) => match of(inner) {
                Cell::Long(x) => x.checked_neg().map_or(Cell::Null, Cell::Long),
                other => other.number().map_or(Cell::Null, |x| Cell::double(-x)),
            },
            Node::Not(inner) => Cell::truth_of(truth(inner).map(|x| !x)),
            Node::And(a, b) => Cell::truth_of(match truth(a) {
                Some(false) => Some(false),
                a => match (a, truth(b)) {
                    (_, Some(false)) => Some(false),
                    (Some(true), b) => b,
                    _ => None,
                },
            }),
            Node::Or(a, b) => Cell::truth_of(match truth(a) {
                Some(true) => Some(true),
                a => match (a, truth(b)) {
                    (_, Some(true)) => Some(true),
                    (Some(false), b) => b,
                    _ => None,
                },
            }),
            Node::Compare(comparison, a, b) => {
                let order = of(a).order(&of(b));
                Cell::truth_of(order.map(|order| comparison.holds(order, Ordering::Equal)))
            }
            Node::Same(a, b) => {
                let (a, b) = (of(a), of(b));
                let nulls = (a == Cell::Null, b == Cell::Null);
                Cell::Bool(match nulls {
                    (false, false) => a.order(&b) == Some(Ordering::Equal),
                    (a, b) => a == b,
                })
            }
            Node::Arithmetic(sign, a, b) => arithmetic(*sign, &of(a), &of(b)),
            Node::IsNull(inner) => Cell::Bool(of(inner) == Cell::Null),
            Node::In(value, list) => {
                let value = of(value);
                let mut unknown = value == Cell::Null;
                for other in list {
                    match value.order(&of(other)) {
                        Some(Ordering::Equal) => return Cell::Bool(true),
                        Some(_) => {}
                        None => unknown = true,
                    }
                }
                Cell::truth_of((!unknown).then_some(false))
            }
            Node::Between(value, low, high) => {
                let value = of(value);
                let above = value.order(&of(low)).map(Ordering::is_ge);
                let below = value.order(&of(high)).map(Ordering::is_le);
                Cell::truth_of(match (above, below) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                })
            }
            Node::Matches(value, pattern) => {
                Cell::truth_of(of(value).text().map(|text| pattern.matches(&text)))
            }
            Node::Case { operand, arms, otherwise } => {
                let operand = operand.as_deref().map(of);
                let met = |condition: &'a Node| match &operand {
                    Some(operand) => operand.order(&of(condition)) == Some(Ordering::Equal),
                    None => truth(condition) == Some(true),
                };
                match arms.iter().find(|(condition, _)| met(condition)) {
                    Some((_, result)) => of(result),
                    None => otherwise.as_deref().map_or(Cell::Null, of),
                }
            }
            Node::Cast(inner, target) => of(inner).cast(*target),
            Node::Call(function, arguments) => {
                let mut values = arguments.iter().map(of);
                call(*function, &mut values)
            }
        }
    }
}

fn arithmetic<'a>(sign: Arithmetic, a: &Cell<'_>, b: &Cell<'_>) -> Cell<'a> {
    if let (Cell::Long(x), Cell::Long(y)) = (a, b) {
        let whole = match sign {
            Arithmetic::Add => x.checked_add(*y),
            Arithmetic::Subtract => x.checked_sub(*y),
            Arithmetic::Multiply => x.checked_mul(*y),
            Arithmetic::Remainder => x.checked_rem(*y),
            Arithmetic::Divide => {
                return if *y == 0 { Cell::Null } else { Cell::double(*x as f64 / *y as f64) };
            }
        };
        return whole.map_or(Cell::Null, Cell::Long);
    }
    let (Some(x), Some(y)) = (a.number(), b.number()) else { return Cell::Null };
    Cell::double(match sign {
        Arithmetic::Add => x + y,
        Arithmetic::Subtract => x - y,
        Arithmetic::Multiply => x * y,
        Arithmetic::Divide => x / y,
        Arithmetic::Remainder => x % y,
    })
}

fn call<'a>(function: Function, arguments: &mut impl Iterator<Item = Cell<'a>>) -> Cell<'a> {
    let mut next = || arguments.next().unwrap_or(Cell::Null);
    let texted = |cell: Cell<'a>, f: &dyn Fn(&str) -> String| match cell.text() {
        Some(text) => Cell::Text(f(&text).into()),
        None => Cell::Null,
    };
    match function {
        Function::Lower => texted(next(), &str::to_lowercase),
        Function::Upper => texted(next(), &str::to_uppercase),
        Function::Trim => texted(next(), &|text| text.trim_matches(' ').to_owned()),
        Function::Length => {
            next().text().map_or(Cell::Null, |text| Cell::Long(text.chars().count() as i64))
        }
        Function::Substring => {
            let (text, from, count) = (next(), next(), arguments.next());
            let count = match count {
                None => Some(i64::MAX),
                Some(count) => count.whole(),
            };
            match (text.text(), from.whole(), count) {
                (Some(text), Some(from), Some(count)) => {
                    Cell::Text(substring(&text, from, count).into())
                }
                _ => Cell::Null,
            }
        }
        Function::Concat => {
            let mut out = String::new();
            for cell in arguments {
                match cell.text() {
                    Some(text) => out.push_str(&text),
                    None => return Cell::Null,
                }
            }
            Cell::Text(out.into())
        }
        Function::Coalesce => arguments.find(|cell| *cell != Cell::Null).unwrap_or(Cell::Null),
        Function::Abs => match next() {
            Cell::Long(x) => x.checked_abs().map_or(Cell::Null, Cell::Long),
            other => other.number().map_or(Cell::Null, |x| Cell::double(x.abs())),
        },
        Function::IsNull => Cell::Bool(next() == Cell::Null),
        Function::ToDate => next().cast(Target::Date),
    }
}

/// Spark's `substring`: from 1; 0 is as 1; below 0 from the end.
fn substring(text: &str, from: i64, count: i64) -> String {
    let length = text.chars().count() as i64;
    let start = match from {
        1.. => from - 1,
        0 => 0,
        _ => length.saturating_add(from),
    };
    let end = start.saturating_add(count.max(0)).clamp(0, length);
    let start = start.clamp(0, length);
    text.chars().skip(start as usize).take((end - start).max(0) as usize).collect()
}

impl<'a> Cell<'a> {
    fn of(value: Value<'a>) -> Self {
        match value {
            Value::Null => Cell::Null,
            Value::Bool(x) => Cell::Bool(x),
            Value::Long(x) => Cell::Long(x),
            Value::Double(x) => Cell::Double(x),
            Value::String(text) => Cell::Text(text.into()),
            Value::Timestamp(x) => Cell::Time(x),
        }
    }

    /// Null where it is not finite.
    fn double(x: f64) -> Self {
        number::canonical(x).filter(|x| x.is_finite()).map_or(Cell::Null, Cell::Double)
    }

    fn truth_of(truth: Option<bool>) -> Self {
        truth.map_or(Cell::Null, Cell::Bool)
    }

    fn truth(&self) -> Option<bool> {
        match self {
            Cell::Bool(x) => Some(*x),
            Cell::Long(x) => Some(*x != 0),
            Cell::Double(x) => Some(*x != 0.0),
            Cell::Text(text) => match text.trim_ascii().to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "1" => Some(true),
                "false" | "f" | "no" | "n" | "0" => Some(false),
                _ => None,
            },
            Cell::Null | Cell::Day(_) | Cell::Time(_) => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Cell::Bool(x) => Some(f64::from(u8::from(*x))),
            Cell::Long(x) => Some(*x as f64),
            Cell::Double(x) => Some(*x),
            Cell::Text(text) => number::parse(text).filter(|x| x.is_finite()),
            Cell::Null | Cell::Day(_) | Cell::Time(_) => None,
        }
    }

    /// Cut towards zero.
    fn whole(&self) -> Option<i64> {
        const BOUND: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Cell::Long(x) => Some(*x),
            Cell::Text(text) if text.trim_ascii().parse::<i64>().is_ok() => {
                text.trim_ascii().parse().ok()
            }
            other => other.number().filter(|x| (-BOUND..BOUND).contains(x)).map(|x| x as i64),
        }
    }

    fn micros(&self) -> Option<i64> {
        match self {
            Cell::Time(x) => Some(*x),
            Cell::Day(day) => day.checked_mul(dates::MICROSECONDS_A_DAY),
            Cell::Text(text) => match dates::day_of_date(text.trim_ascii()) {
                Some(day) => day.checked_mul(dates::MICROSECONDS_A_DAY),
                None => dates::micros_of_text(text),
            },
            _ => None,
        }
    }

    fn text(&self) -> Option<Cow<'a, str>> {
        Some(match self {
            Cell::Null => return None,
            Cell::Bool(x) => Cow::Borrowed(if *x { "true" } else { "false" }),
            Cell::Long(x) => x.to_string().into(),
            Cell::Double(x) => number::to_text(*x).into(),
            Cell::Text(text) => text.clone(),
            Cell::Day(day) => dates::date_of_day(*day)?.into(),
            Cell::Time(x) => timestamp::to_text(*x).into(),
        })
    }

    fn order(&self, other: &Cell<'_>) -> Option<Ordering> {
        use Cell::{Bool, Day, Long, Null, Text, Time};
        match (self, other) {
            (Null, _) | (_, Null) => None,
            (Text(a), Text(b)) => Some(a.as_ref().cmp(b.as_ref())),
            (Long(a), Long(b)) => Some(a.cmp(b)),
            (Bool(_), Bool(_) | Text(_)) | (Text(_), Bool(_)) => {
                Some(self.truth()?.cmp(&other.truth()?))
            }
            (Day(_) | Time(_), _) | (_, Day(_) | Time(_)) => {
                Some(self.micros()?.cmp(&other.micros()?))
            }
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    fn cast(self, target: Target) -> Cell<'a> {
        match target {
            Target::Bool => Cell::truth_of(self.truth()),
            Target::Long => self.whole().map_or(Cell::Null, Cell::Long),
            Target::Double => self.number().map_or(Cell::Null, Cell::double),
            Target::Text => self.text().map_or(Cell::Null, Cell::Text),
            Target::Date => match &self {
                Cell::Text(text) => dates::day_of_text(text).map_or(Cell::Null, Cell::Day),
                other => other
                    .micros()
                    .map_or(Cell::Null, |micros| Cell::Day(dates::day_of_micros(micros))),
            },
            Target::Timestamp => self.micros().map_or(Cell::Null, Cell::Time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<(String, Type)> {
        [("a", Type::Long), ("B", Type::String), ("ok", Type::Bool), ("at", Type::Timestamp)]
            .map(|(name, kind)| (name.to_owned(), kind))
            .to_vec()
    }

    fn data() -> [Column; 4] {
        let mut ok = Column::new(Type::Bool);
        [Value::Bool(true), Value::Bool(false), Value::Null].into_iter().for_each(|v| ok.push(v));
        let mut at = Column::new(Type::Timestamp);
        let times = ["2026-01-01T10:00:00Z", "2026-01-02T00:00:00Z"];
        times.iter().for_each(|t| at.push(Value::Timestamp(timestamp::parse(t).unwrap())));
        at.push(Value::Null);
        [
            Column::longs([Some(1), Some(2), None]),
            Column::strings([Some("x1"), Some("7"), None]),
            ok,
            at,
        ]
    }

    /// A row kept is `+`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let predicate = Predicate::new(text, &columns()).unwrap();
        let data = data();
        let kept: String =
            (0..3).map(|row| if predicate.keeps(&data, row) { '+' } else { '-' }).collect();
        assert_eq!(kept, expected, "{text}");
    }

    #[test]
    fn values() {
        for (text, kept) in [
            ("a > 1", "-+-"),
            ("A >= 1 and a <= 2", "++-"),
            ("a <> 1", "-+-"),
            ("a != 1 or ok", "++-"),
            ("a <=> null", "--+"),
            ("a <=> 1", "+--"),
            ("b = 7", "-+-"), // text with a number: by the number it spells
            ("b = '7'", "-+-"),
            ("b = \"7\"", "-+-"),
            ("`B` is not null", "++-"),
            ("a is null", "--+"),
            ("isnull(a)", "--+"),
            ("a in (1, 3)", "+--"),
            ("a not in (1, 3)", "-+-"),
            ("a not in (1, null)", "---"), // a null in the list
            ("a between 1 and 2", "++-"),  // both ends are included
            ("a not between 2 and 3", "+--"),
            ("b like 'x%'", "+--"),
            ("b like '_'", "-+-"),
            ("b not like 'x_'", "-+-"),
            ("b rlike '[0-9]'", "++-"),
            ("not b rlike '^[0-9]'", "+--"),
            ("ok", "+--"),
            ("not ok", "-+-"),
            ("ok = 'true'", "+--"),
            ("a + 1 = 3", "-+-"),
            ("a * 2 - 1 > 2", "-+-"),
            ("a / 2 = 0.5", "+--"),
            ("a % 2 = 1", "+--"),
            ("a / 0 is null", "+++"),
            ("a % 0 is null", "+++"),
            ("-a = -1", "+--"),
            ("case when a = 1 then 'p' else 'q' end = 'q'", "-++"),
            ("case a when 1 then true end", "+--"),
            ("cast(b as int) = 7", "-+-"),
            ("cast(a as string) = '1'", "+--"),
            ("cast(b as decimal(3, 1)) > 1", "-+-"),
            ("lower(upper(b)) = 'x1'", "+--"),
            ("length(trim(concat(' ', b, ' '))) = 2", "+--"),
            ("substring(b, 1, 1) = 'x'", "+--"),
            ("substr(b, -1) = '1'", "+--"),
            ("coalesce(a, 9) = 9", "--+"),
            ("nvl(a, 9) > 8", "--+"),
            ("abs(-a) = 1", "+--"),
            ("to_date(at) = '2026-01-01'", "+--"),
            ("at > '2026-01-01'", "++-"),
            ("at >= cast('2026-01-02' as date)", "-+-"),
            ("null", "---"),
            ("true", "+++"),
        ] {
            check(text, kept);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("invalid%%clause", "expected"),
            ("c > 1", "there is no column `c`"),
            ("a >", "expected"),
            ("a", "it is a value and no condition"),
            ("a + 1", "it is a value and no condition"),
            ("lowr(b) = 'x'", "there is no function `lowr`; the nearest is `lower`"),
            ("lower() = 'x'", "`lower` takes plain arguments"),
            ("b rlike '('", "does not compile"),
            ("b like a", "takes a pattern in quotes"),
            ("cast(a as uuid) = 1", "there is no type `uuid`"),
            ("a = 1; drop table x", "not part of"),
            ("a = (select 1)", ""),
        ] {
            let error = Predicate::new(text, &columns()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let deep = vec!["a = 1"; 400].join(" and ");
        assert!(Predicate::new(&deep, &columns()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String) {
            if let Ok(predicate) = Predicate::new(&text, &columns()) {
                (0..4).for_each(|row| { predicate.keeps(&data(), row); });
            }
        }

        #[test]
        fn no_value_panics(from: i64, count: i64, text: String) {
            substring(&text, from, count);
        }
    }
}
