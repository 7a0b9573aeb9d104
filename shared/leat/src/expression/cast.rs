//! `cast(x as type)`: what each pair of types does. What cannot be read is null, as in Spark's `try_cast`; departures:
//! text is trimmed and must be a decimal number as a whole, a double prints in its shortest form, a timestamp prints
//! as RFC 3339 in UTC, and a whole number is read as unix time by its magnitude.

use crate::column::{Column, Type, Value};
use crate::{number, timestamp};

/// Appends `value` to `out`, cast to the type of `out`.
pub(super) fn cast_into(value: Value<'_>, out: &mut Column) {
    let kind = out.kind();
    if kind == Type::String {
        return match value {
            Value::Bool(true) => out.push(Value::String("true")),
            Value::Bool(false) => out.push(Value::String("false")),
            Value::Long(x) => out.push(Value::String(&x.to_string())),
            Value::Double(x) => out.push(Value::String(&number::to_text(x))),
            Value::Timestamp(x) => out.push(Value::String(&timestamp::to_text(x))),
            text_or_null => out.push(text_or_null),
        };
    }
    out.push(match kind {
        Type::Bool => to_bool(value).map_or(Value::Null, Value::Bool),
        Type::Long => to_long(value).map_or(Value::Null, Value::Long),
        Type::Double => to_double(value).map_or(Value::Null, Value::Double),
        Type::Timestamp => to_timestamp(value).map_or(Value::Null, Value::Timestamp),
        Type::String => Value::Null,
    });
}

fn to_bool(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(x) => Some(x),
        Value::Long(x) => Some(x != 0),
        Value::Double(x) => Some(x != 0.0),
        Value::String(text) => match text.trim_ascii().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
        Value::Null | Value::Timestamp(_) => None,
    }
}

/// A double is cut towards zero; text must be whole (`3`, `3.0`); a timestamp gives whole seconds, rounded down.
fn to_long(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Bool(x) => Some(i64::from(x)),
        Value::Long(x) => Some(x),
        Value::Double(x) => whole(x),
        Value::String(text) => text
            .trim_ascii()
            .parse()
            .ok()
            .or_else(|| number::parse(text).filter(|x| x.trunc() == *x).and_then(whole)),
        Value::Timestamp(x) => Some(x.div_euclid(1_000_000)),
        Value::Null => None,
    }
}

/// A timestamp gives seconds with their fraction.
fn to_double(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Bool(x) => Some(f64::from(u8::from(x))),
        Value::Long(x) => Some(x as f64),
        Value::Double(x) => Some(x),
        Value::String(text) => number::parse(text),
        Value::Timestamp(x) => Some(x as f64 / 1e6),
        Value::Null => None,
    }
    .filter(|x| x.is_finite())
}

fn to_timestamp(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Timestamp(x) => Some(x),
        Value::Long(x) => timestamp::from_unix(x),
        Value::String(text) => timestamp::parse(text.trim_ascii()),
        Value::Null | Value::Bool(_) | Value::Double(_) => None,
    }
}

/// `x` cut towards zero, if a long holds it. 2^63 itself is the first that it does not.
fn whole(x: f64) -> Option<i64> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    (-BOUND..BOUND).contains(&x).then_some(x as i64)
}
