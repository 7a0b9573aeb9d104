//! Evaluation: a column for each part of an expression, row by row in order.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::cast::cast_into;
use super::{Arithmetic, Compare, Node, Op};
use crate::calendar::Moment;
use crate::column::{Column, Type, Value};

/// The values of `node` for `rows` rows. As deep as the expression is, which [`super::MAX_DEPTH`] bounds.
pub(super) fn evaluate<'c>(node: &Node, columns: &'c [Column], rows: usize) -> Cow<'c, Column> {
    let of = |node: &Node| evaluate(node, columns, rows);
    let make = |value: &mut dyn FnMut(usize, &mut Column)| {
        let mut out = Column::new(node.kind);
        (0..rows).for_each(|row| value(row, &mut out));
        Cow::Owned(out)
    };
    let truths = |truth: &dyn Fn(usize) -> Option<bool>| {
        make(&mut |row, out| out.push(truth(row).map_or(Value::Null, Value::Bool)))
    };
    let constant = |value: Value<'_>| make(&mut |_, out| out.push(value));

    match &node.op {
        Op::Column(slot) => read(columns.get(*slot), node.kind, rows),
        Op::Raw(slot) => match columns.get(*slot).filter(|column| column.kind() == node.kind) {
            Some(column) if column.len() == rows => Cow::Borrowed(column),
            Some(column) => make(&mut |row, out| out.push(column.get(row))),
            None => constant(Value::Null),
        },
        Op::Null => constant(Value::Null),
        Op::Bool(x) => constant(Value::Bool(*x)),
        Op::Long(x) => constant(Value::Long(*x)),
        Op::Double(x) => constant(Value::Double(*x)),
        Op::String(x) => constant(Value::String(x)),
        Op::Cast(inner) => {
            let inner = of(inner);
            make(&mut |row, out| cast_into(inner.get(row), out))
        }
        Op::Negate(inner) => {
            let inner = of(inner);
            make(&mut |row, out| {
                out.push(match inner.get(row) {
                    Value::Long(x) => x.checked_neg().map_or(Value::Null, Value::Long),
                    Value::Double(x) => Value::Double(-x),
                    _ => Value::Null,
                });
            })
        }
        Op::Abs(inner) => {
            let inner = of(inner);
            make(&mut |row, out| {
                out.push(match inner.get(row) {
                    Value::Long(x) => x.checked_abs().map_or(Value::Null, Value::Long),
                    Value::Double(x) => Value::Double(x.abs()),
                    _ => Value::Null,
                });
            })
        }
        Op::Arithmetic(op, a, b) => {
            let (a, b) = (of(a), of(b));
            make(&mut |row, out| out.push(calculate(*op, a.get(row), b.get(row))))
        }
        Op::Compare(op, a, b) => {
            let (a, b) = (of(a), of(b));
            truths(&|row| compare(a.get(row), b.get(row)).map(|order| holds(*op, order)))
        }
        Op::And(a, b) => {
            let (a, b) = (of(a), of(b));
            truths(&|row| and(truth(&a, row), truth(&b, row)))
        }
        Op::Or(a, b) => {
            let (a, b) = (of(a), of(b));
            truths(&|row| or(truth(&a, row), truth(&b, row)))
        }
        Op::Not(inner) => {
            let inner = of(inner);
            truths(&|row| truth(&inner, row).map(|x| !x))
        }
        Op::IsNull(inner) => {
            let inner = of(inner);
            truths(&|row| Some(!inner.is_valid(row)))
        }
        Op::In(value, list) => {
            let (value, list) = (of(value), list.iter().map(of).collect::<Vec<_>>());
            truths(&|row| {
                let mut found = Some(false);
                list.iter().for_each(|item| found = or(found, equal(&value, item, row)));
                found
            })
        }
        Op::Between(value, low, high) => {
            let (value, low, high) = (of(value), of(low), of(high));
            truths(&|row| {
                let value = value.get(row);
                and(
                    compare(value, low.get(row)).map(Ordering::is_ge),
                    compare(value, high.get(row)).map(Ordering::is_le),
                )
            })
        }
        Op::Case { operand, arms, otherwise } => {
            let operand = operand.as_ref().map(|operand| of(operand));
            let arms: Vec<_> = arms.iter().map(|(when, then)| (of(when), of(then))).collect();
            let otherwise = of(otherwise);
            make(&mut |row, out| {
                let met = |when: &Column| match &operand {
                    Some(operand) => equal(operand, when, row) == Some(true),
                    None => truth(when, row) == Some(true),
                };
                let arm = arms.iter().find(|(when, _)| met(when));
                out.push(arm.map_or_else(|| otherwise.get(row), |(_, then)| then.get(row)));
            })
        }
        Op::Coalesce(items) => {
            let items: Vec<_> = items.iter().map(of).collect();
            make(&mut |row, out| {
                let first = items.iter().find(|item| item.is_valid(row));
                out.push(first.map_or(Value::Null, |item| item.get(row)));
            })
        }
        Op::Number(function, inner) => {
            let inner = of(inner);
            let value = |row| Some(function(inner.number(row)?)).filter(|x| x.is_finite());
            Cow::Owned(Column::doubles((0..rows).map(value)))
        }
        Op::Numbers(function, a, b) => {
            let (a, b) = (of(a), of(b));
            let value = |row| Some(function(a.number(row)?, b.number(row)?));
            Cow::Owned(Column::doubles((0..rows).map(|row| value(row).filter(|x| x.is_finite()))))
        }
        Op::Extreme(order, items) => {
            let items: Vec<_> = items.iter().map(of).collect();
            make(&mut |row, out| {
                let mut best = Value::Null;
                for item in &items {
                    let value = item.get(row);
                    if best == Value::Null || compare(value, best) == Some(*order) {
                        best = value;
                    }
                }
                out.push(best);
            })
        }
        Op::OfTime(function, inner) => {
            let inner = of(inner);
            let value = |row| Some(function(Moment(inner.timestamp(row)?)));
            Cow::Owned(Column::longs((0..rows).map(value)))
        }
        Op::Truncate(unit, inner) => {
            let inner = of(inner);
            make(&mut |row, out| {
                let floor = inner.timestamp(row).and_then(|time| Moment(time).floor(*unit));
                out.push(floor.map_or(Value::Null, |moment| Value::Timestamp(moment.0)));
            })
        }
        Op::SecondsBetween(from, to) => {
            let (from, to) = (of(from), of(to));
            let micros = |row| {
                Some((i128::from(to.timestamp(row)?) - i128::from(from.timestamp(row)?)) as f64)
            };
            Cow::Owned(Column::doubles((0..rows).map(|row| Some(micros(row)? / 1e6))))
        }
        Op::OfText(function, inner) => {
            let inner = of(inner);
            make(&mut |row, out| match inner.text(row) {
                Some(text) => out.push(Value::String(&function(text))),
                None => out.push(Value::Null),
            })
        }
        Op::Concat(parts) => {
            let parts: Vec<_> = parts.iter().map(of).collect();
            let mut text = String::new();
            make(&mut |row, out| {
                text.clear();
                let whole =
                    parts.iter().all(|part| part.text(row).map(|t| text.push_str(t)).is_some());
                out.push(if whole { Value::String(&text) } else { Value::Null });
            })
        }
        Op::Substring(text, from, count) => {
            let (text, from) = (of(text), of(from));
            let count = count.as_deref().map(of);
            let long = |column: &Column, row| match column.get(row) {
                Value::Long(x) => Some(x),
                _ => None,
            };
            make(&mut |row, out| {
                let count = match &count {
                    None => Some(None),
                    Some(count) => long(count, row).map(Some),
                };
                out.push(match (text.text(row), long(&from, row), count) {
                    (Some(text), Some(from), Some(count)) => {
                        Value::String(substring(text, from, count))
                    }
                    _ => Value::Null,
                });
            })
        }
        Op::TimeOfText(function, inner) => {
            let inner = of(inner);
            let time = |row| inner.text(row).and_then(function);
            make(&mut |row, out| out.push(time(row).map_or(Value::Null, Value::Timestamp)))
        }
        Op::Length(inner) => {
            let inner = of(inner);
            let length = |row| i64::try_from(inner.text(row)?.chars().count()).ok();
            Cow::Owned(Column::longs((0..rows).map(length)))
        }
        Op::Matches(pattern, inner) => {
            let inner = of(inner);
            truths(&|row| Some(pattern.matches(inner.text(row)?)))
        }
        Op::NullIf(a, b) => {
            let (a, b) = (of(a), of(b));
            make(&mut |row, out| {
                out.push(if equal(&a, &b, row) == Some(true) { Value::Null } else { a.get(row) });
            })
        }
    }
}

/// A column of the batch, with infinite doubles as null.
fn read(column: Option<&Column>, kind: Type, rows: usize) -> Cow<'_, Column> {
    let Some(column) = column.filter(|column| column.kind() == kind) else {
        return Cow::Owned(Column::nulls(kind, rows));
    };
    let finite = |row| column.number(row).is_none_or(f64::is_finite);
    if column.len() == rows && (kind != Type::Double || (0..rows).all(finite)) {
        return Cow::Borrowed(column);
    }
    let mut out = Column::new(kind);
    (0..rows).for_each(|row| out.push(if finite(row) { column.get(row) } else { Value::Null }));
    Cow::Owned(out)
}

/// The characters of `text` from `from` on, so many or all: 1 is the first, as is 0; below 0 it counts from the end.
fn substring(text: &str, from: i64, count: Option<i64>) -> &str {
    let length = text.chars().count() as i64;
    let start = match from {
        1.. => from - 1,
        0 => 0,
        _ => length.saturating_add(from),
    };
    let end = count.map_or(length, |count| start.saturating_add(count.max(0)).clamp(0, length));
    let start = start.clamp(0, length);
    let byte = |character: i64| {
        let character = usize::try_from(character).unwrap_or_default();
        text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte)
    };
    text.get(byte(start)..byte(end.max(start))).unwrap_or_default()
}

fn truth(column: &Column, row: usize) -> Option<bool> {
    match column.get(row) {
        Value::Bool(x) => Some(x),
        _ => None,
    }
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

fn equal(a: &Column, b: &Column, row: usize) -> Option<bool> {
    compare(a.get(row), b.get(row)).map(Ordering::is_eq)
}

/// The order of two values of one type, or of two numbers (as doubles, as Spark has it). Text goes by its bytes.
fn compare(a: Value<'_>, b: Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
        (Value::Long(a), Value::Long(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => {
            Some(a.cmp(&b))
        }
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(&b),
        (Value::Long(a), Value::Double(b)) => (a as f64).partial_cmp(&b),
        (Value::Double(a), Value::Long(b)) => a.partial_cmp(&(b as f64)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn holds(op: Compare, order: Ordering) -> bool {
    match op {
        Compare::Equal => order.is_eq(),
        Compare::NotEqual => order.is_ne(),
        Compare::Less => order.is_lt(),
        Compare::LessOrEqual => order.is_le(),
        Compare::Greater => order.is_gt(),
        Compare::GreaterOrEqual => order.is_ge(),
    }
}

/// Two longs or two doubles, as the compiler settled them.
fn calculate(op: Arithmetic, a: Value<'_>, b: Value<'_>) -> Value<'static> {
    match (a, b) {
        (Value::Long(a), Value::Long(b)) => match op {
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            Arithmetic::Remainder => match b {
                0 => None,
                -1 => Some(0), // i64::MIN % -1 is 0, though its division overflows
                _ => Some(a % b),
            },
            Arithmetic::Divide => None,
        }
        .map_or(Value::Null, Value::Long),
        (Value::Double(a), Value::Double(b)) => {
            let x = match op {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                Arithmetic::Multiply => a * b,
                Arithmetic::Divide => a / b,
                Arithmetic::Remainder => a % b,
            };
            if x.is_finite() { Value::Double(x) } else { Value::Null }
        }
        _ => Value::Null,
    }
}
