//! A value as it was written → a value of the schema's type. One set of rules for JSON and CSV.

use std::borrow::Cow;

use crate::column::{Type, Value};
use crate::{number, timestamp};

/// A value as its line has it.
#[derive(Debug)]
pub(super) enum Raw<'a> {
    /// Left out, or JSON's null, or an empty cell.
    Missing,
    /// JSON's `true` and `false`.
    Bool(bool),
    /// A whole JSON number.
    Long(i64),
    /// A whole JSON number above the greatest long.
    Big(u64),
    /// Any other JSON number.
    Double(f64),
    /// A JSON text.
    Text(Cow<'a, str>),
    /// An array or an object.
    Nested,
    /// A CSV cell: text that only the schema's type gives a meaning.
    Cell(Cow<'a, str>),
}

/// A value of a type.
#[derive(Debug)]
pub(super) enum Typed<'a> {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    Timestamp(i64),
    String(Cow<'a, str>),
}

/// From here on a double no longer tells every whole number from its neighbours.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl<'a> Raw<'a> {
    /// What the value is, in words.
    fn found(&self) -> &'static str {
        match self {
            Raw::Missing => "nothing",
            Raw::Bool(_) => "a boolean",
            Raw::Long(_) | Raw::Big(_) => "a whole number",
            Raw::Double(_) => "a number",
            Raw::Text(_) | Raw::Cell(_) => "text",
            Raw::Nested => "an array or an object",
        }
    }

    /// The bytes of a text.
    pub fn text_len(&self) -> usize {
        match self {
            Raw::Text(text) | Raw::Cell(text) => text.len(),
            _ => 0,
        }
    }

    /// The value as `kind`, or what is wrong with it.
    pub fn typed(self, kind: Type) -> Result<Typed<'a>, String> {
        if let Raw::Missing = self {
            return Ok(Typed::Null);
        }
        let found = self.found();
        let typed = match kind {
            Type::Bool => self.bool().map(Typed::Bool),
            Type::Long => self.long().map(Typed::Long),
            Type::Double => self.double().map(Typed::Double),
            Type::Timestamp => self.timestamp().map(Typed::Timestamp),
            Type::String => match self {
                Raw::Text(text) | Raw::Cell(text) => Some(Typed::String(text)),
                _ => None,
            },
        };
        let takes = match kind {
            Type::Bool => "`true` or `false`",
            Type::Long => "a whole number of 64 bits, exact",
            Type::Double => "a finite number",
            Type::Timestamp => "RFC 3339 text, `yyyy-MM-dd HH:mm:ss` in UTC, or whole Unix time",
            Type::String => "text",
        };
        typed.ok_or_else(|| format!("holds {found} where `{kind}` takes {takes}"))
    }

    fn bool(self) -> Option<bool> {
        match self {
            Raw::Bool(value) => Some(value),
            Raw::Cell(text) => match text.trim_ascii() {
                "1" => Some(true),
                "0" => Some(false),
                text if text.eq_ignore_ascii_case("true") => Some(true),
                text if text.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    fn long(self) -> Option<i64> {
        match self {
            Raw::Long(value) => Some(value),
            Raw::Double(value) => whole(value),
            Raw::Cell(text) => long_of(&text),
            _ => None,
        }
    }

    fn double(self) -> Option<f64> {
        match self {
            Raw::Long(value) => Some(value as f64),
            Raw::Big(value) => Some(value as f64),
            Raw::Double(value) => Some(value),
            Raw::Cell(text) => number::parse(&text).filter(|value| value.is_finite()),
            _ => None,
        }
    }

    fn timestamp(self) -> Option<i64> {
        match self {
            Raw::Text(text) => timestamp::parse(&text),
            Raw::Long(value) => timestamp::from_unix(value),
            Raw::Double(value) => whole(value).and_then(timestamp::from_unix),
            Raw::Cell(text) => timestamp::parse(text.trim_ascii())
                .or_else(|| long_of(&text).and_then(timestamp::from_unix)),
            _ => None,
        }
    }
}

impl<'a> Typed<'a> {
    /// The value as a column takes it.
    pub fn value(&self) -> Value<'_> {
        match self {
            Typed::Null => Value::Null,
            Typed::Bool(value) => Value::Bool(*value),
            Typed::Long(value) => Value::Long(*value),
            Typed::Double(value) => Value::Double(*value),
            Typed::Timestamp(value) => Value::Timestamp(*value),
            Typed::String(value) => Value::String(value),
        }
    }

    /// The value in its one form as text; none of nothing.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Typed::Null => None,
            Typed::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
            Typed::Long(value) => Some(value.to_string().into()),
            Typed::Double(value) => Some(number::to_text(*value).into()),
            Typed::Timestamp(value) => Some(timestamp::to_text(*value).into()),
            Typed::String(value) => Some(value.as_ref().into()),
        }
    }

    /// The value as text.
    pub fn into_text(self) -> Typed<'a> {
        match self {
            Typed::Null | Typed::String(_) => self,
            other => other.text().map_or(Typed::Null, |t| Typed::String(t.into_owned().into())),
        }
    }
}

/// A double that is a whole number and told from its neighbours.
pub(super) fn whole(value: f64) -> Option<i64> {
    (value.abs() < EXACT && value.trunc() == value).then_some(value as i64)
}

fn long_of(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    text.parse().ok().or_else(|| number::parse(text).and_then(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: Raw<'_>, kind: Type, text: Option<&str>) {
        let shown = format!("{raw:?} as {kind}");
        let typed = raw.typed(kind).unwrap_or(Typed::Null);
        assert_eq!(typed.text().as_deref(), text, "{shown}");
    }

    #[test]
    fn json_values() {
        check(Raw::Long(3), Type::Long, Some("3"));
        check(Raw::Double(3.0), Type::Long, Some("3"));
        check(Raw::Double(-0.0), Type::Long, Some("0"));
        check(Raw::Double(3.5), Type::Long, None);
        check(Raw::Double(EXACT), Type::Long, None);
        check(Raw::Big(u64::MAX), Type::Long, None);
        check(Raw::Big(u64::MAX), Type::Double, Some("1.8446744073709552e+19"));
        check(Raw::Long(3), Type::Double, Some("3.0"));
        check(Raw::Text("3".into()), Type::Double, None);
        check(Raw::Long(3), Type::String, None);
        check(Raw::Bool(true), Type::Bool, Some("true"));
        check(Raw::Long(1), Type::Bool, None);
        check(Raw::Nested, Type::String, None);
        check(Raw::Long(0), Type::Timestamp, Some("1970-01-01T00:00:00Z"));
        check(Raw::Double(1e9), Type::Timestamp, Some("2001-09-09T01:46:40Z"));
        check(Raw::Double(0.5), Type::Timestamp, None);
        check(
            Raw::Text("2026-01-01 00:00:00".into()),
            Type::Timestamp,
            Some("2026-01-01T00:00:00Z"),
        );
    }

    #[test]
    fn csv_cells() {
        let cell = |text: &'static str| Raw::Cell(text.into());
        check(cell(" 3 "), Type::Long, Some("3"));
        check(cell("3.0"), Type::Long, Some("3"));
        check(cell("3.5"), Type::Long, None);
        check(cell("9223372036854775807"), Type::Long, Some("9223372036854775807"));
        check(cell("9223372036854775808"), Type::Long, None);
        check(cell("1e999"), Type::Double, None);
        check(cell("nan"), Type::Double, None);
        check(cell("0.1"), Type::Double, Some("0.1"));
        check(cell("True"), Type::Bool, Some("true"));
        check(cell("0"), Type::Bool, Some("false"));
        check(cell("yes"), Type::Bool, None);
        check(cell(" a "), Type::String, Some(" a "));
        check(cell("0"), Type::Timestamp, Some("1970-01-01T00:00:00Z"));
        check(cell("2026-01-01"), Type::Timestamp, None);
        check(Raw::Missing, Type::Long, None);
    }
}
