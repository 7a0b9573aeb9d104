//! A schema from the data itself: for each field the narrowest type that takes all its values.
//!
//! `bool`, then `long`, `double`, `timestamp`, `string`. `leat infer` also asks for the type that most values have: the
//! rules of AWS SageMaker Data Wrangler, but that whole numbers among others are doubles, as nothing may get lost, and that
//! codes and numbers of things, by their names, are numbers only if all are. A field that holds arrays or objects is left
//! out. Where no type takes all values, as with numbers among texts of JSON, the field is text, and rows that hold something else
//! are rejected.

use std::collections::BTreeMap;
use std::fmt;

use leat::column::Type;
use leat::decode::{Decoder, Limits};
use leat::profile::Reading;
use leat::recipe::{Dialect, Field, Format, Place, Recipe, Schema, UnknownFields};
use leat::{number, timestamp};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::answer::Refusal;
use crate::data::Data;

/// From the narrowest.
const TYPES: [Type; 5] = [Type::Bool, Type::Long, Type::Double, Type::Timestamp, Type::String];

/// From this share of the values on a field is told to have a type that not all of them have.
const CONFIDENT: f64 = 0.8;
/// And at least this share of the rows must have a value.
const ENOUGH: f64 = 0.3;
/// Whole numbers below are exact as doubles: 2^53.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// What was seen of a field.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How many values there are.
    values: u64,
    /// How many of them each of [`TYPES`] takes.
    takes: [u64; 5],
    /// How many are blank, or a word for nothing.
    nullish: u64,
    /// How many are whole numbers, be they written as `17` or as `17.0`.
    whole: u64,
    nested: bool,
}

impl Seen {
    fn add(&mut self, value: &Value, cell: bool) {
        let text = |text: &str| {
            let number = number::parse(text);
            [
                cell && matches!(text.to_ascii_lowercase().as_str(), "true" | "false"),
                cell && text.trim_ascii().parse::<i64>().is_ok(),
                cell && number.is_some_and(f64::is_finite),
                timestamp::parse(text.trim_ascii()).is_some(),
                true,
            ]
        };
        let takes = match value {
            Value::Null => return,
            Value::Bool(_) => [true, false, false, false, false],
            Value::Number(n) => [false, n.is_i64(), true, false, false],
            Value::String(s) => text(s),
            Value::Array(_) | Value::Object(_) => {
                self.nested = true;
                return;
            }
        };
        self.values += 1;
        let number = match value {
            Value::String(text) => number::parse(text).filter(|_| cell),
            other => other.as_f64(),
        };
        self.whole += u64::from(number.is_some_and(|x| x.trunc() == x && x.abs() < MOST_WHOLE));
        self.takes.iter_mut().zip(takes).for_each(|(count, takes)| *count += u64::from(takes));
        if let Value::String(text) = value {
            let nullish = Reading::Blank.takes(text) || Reading::Nullish.takes(text);
            self.nullish += u64::from(nullish);
        }
    }

    /// The narrowest type that takes all values.
    fn kind(&self) -> Type {
        let all = |(_, takes): &(Type, u64)| self.values > 0 && *takes == self.values;
        TYPES.into_iter().zip(self.takes).find(all).map_or(Type::String, |(kind, _)| kind)
    }

    /// The narrowest type that takes at least 80 % of the values, words for nothing left out, where at least 30 % of the
    /// `rows` have a value; else as [`Seen::kind`]. Whole numbers among others are doubles. And what share it takes. Of an
    /// `identifier` all must fit: `C536379` among numbers of invoices is one of them. It is whole if its numbers are, as
    /// `17850.0` is where a table had holes.
    pub fn likely(&self, rows: u64, identifier: bool) -> (Type, f64) {
        let told = self.values.saturating_sub(self.nullish);
        let share = |takes: u64| takes as f64 / told.max(1) as f64;
        let [_, whole, numbers, ..] = self.takes;
        let confident = if identifier { 1.0 } else { CONFIDENT };
        if identifier && told > 0 && numbers == told && self.whole == told {
            return (Type::Long, 1.0);
        }
        let likely = |(kind, takes): &(Type, u64)| {
            share(*takes) >= confident && (*kind != Type::Long || whole == numbers)
        };
        if told as f64 >= ENOUGH * rows as f64
            && let Some((kind, takes)) = TYPES.into_iter().zip(self.takes).find(likely)
        {
            return (kind, share(takes).min(1.0));
        }
        (self.kind(), 1.0)
    }
}

/// What was seen of the fields of data.
#[derive(Debug, Default)]
pub struct Looked {
    /// How many rows have no types of their own.
    pub rows: u64,
    /// The fields of lines.
    fields: BTreeMap<String, Seen>,
    /// The columns of Parquet files.
    typed: BTreeMap<String, Type>,
    /// The names of both, as they came.
    order: Vec<String>,
}

/// The members of an object, in its order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

impl Looked {
    /// Fields whose values are lists or maps: Leat has no type for them.
    pub fn nested(&self) -> impl Iterator<Item = &str> {
        let nested = |name: &&str| self.fields.get(*name).is_some_and(|seen| seen.nested);
        self.order.iter().map(String::as_str).filter(nested)
    }

    /// What was seen of the field, if its values have no type of their own.
    pub fn seen(&self, name: &str) -> Option<&Seen> {
        self.fields.get(name).filter(|_| !self.typed.contains_key(name))
    }

    /// A recipe that has only a schema, in the data's order, with the type that `kind` says of each field.
    fn recipe(&self, kind: impl Fn(&str, &Seen) -> Type) -> Recipe {
        let told = |name: &String| {
            let seen = || self.fields.get(name).filter(|seen| !seen.nested);
            let typed = self.typed.get(name).copied();
            Some((name.clone(), typed.or_else(|| seen().map(|seen| kind(name, seen)))?))
        };
        of(self.order.iter().filter_map(told).collect())
    }

    /// With the narrowest types that take all values.
    pub fn narrow(&self) -> Recipe {
        self.recipe(|_, seen| seen.kind())
    }

    /// With the types of [`Seen::likely`].
    pub fn likely(&self) -> Recipe {
        self.recipe(|name, seen| seen.likely(self.rows, is_identifier(name)).0)
    }
}

/// The words of a name.
pub fn words(name: &str) -> Vec<String> {
    let mut spread = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            spread.push(' ');
        }
        spread.extend(if c.is_alphanumeric() { c.to_lowercase().next() } else { Some(' ') });
        before = c;
    }
    spread.split_whitespace().map(str::to_owned).collect()
}

/// Whether a field is said to number things by its name: its values are not measured, and say nothing by their size.
pub fn is_identifier(name: &str) -> bool {
    const WORDS: [&str; 14] = [
        "id", "uuid", "guid", "key", "code", "no", "nr", "number", "zip", "zipcode", "postcode",
        "sku", "isbn", "ean",
    ];
    words(name).last().is_some_and(|word| WORDS.contains(&word.as_str()))
}

/// A recipe that has only a schema: that of `data`. What comes from standard input is kept to be read again.
pub fn recipe(data: &mut Data<'_>) -> Result<Recipe, Refusal> {
    look(data).map(|looked| looked.narrow())
}

/// Looks at all values of `data`. What comes from standard input is kept to be read again.
pub fn look(data: &mut Data<'_>) -> Result<Looked, Refusal> {
    data.keep_stdin()?;
    let typed = data.parquet_columns()?;
    let order = typed.iter().map(|(name, _)| name.clone()).collect();
    let mut looked = Looked { typed: typed.into_iter().collect(), order, ..Looked::default() };
    let empty = of(Vec::new());
    let decoder = Decoder::new(&empty, None, Limits::default());
    data.each_line("looking", &empty, &decoder, |piece, format| {
        for row in &piece.batch.rows {
            looked.rows += 1;
            let inside = row.unknown.as_deref().unwrap_or_default();
            let Ok(Members(members)) = serde_json::from_str(&format!("{{{inside}}}")) else {
                continue;
            };
            for (name, value) in members {
                let cell = format == Format::Csv;
                if let Some(seen) = looked.fields.get_mut(&name) {
                    seen.add(&value, cell);
                    continue;
                }
                looked.fields.entry(name.clone()).or_default().add(&value, cell);
                if !looked.typed.contains_key(&name) {
                    looked.order.push(name);
                }
            }
        }
        Ok(())
    })?;
    Ok(looked)
}

fn of(fields: Vec<(String, Type)>) -> Recipe {
    let place = Place::default();
    let field = |(name, kind)| Field { name, kind, role: None, pii: false, place };
    Recipe {
        file: String::new(),
        name: "data".into(),
        dialect: Dialect::default(),
        schema: Schema {
            format: Format::Json,
            fields: fields.into_iter().map(field).collect(),
            unknown_fields: UnknownFields::Keep,
            max_ahead: None,
            dedupe: None,
        },
        quality: None,
        protect: Vec::new(),
        derive: Vec::new(),
        windows: Vec::new(),
        features: Vec::new(),
        output: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types() {
        let kind = |values: &[Value], cell| {
            let mut seen = Seen::default();
            values.iter().for_each(|value| seen.add(value, cell));
            seen.kind()
        };
        for (values, cell, expected) in [
            (vec![json!(null)], false, Type::String),
            (vec![json!(1), json!(null), json!(2)], false, Type::Long),
            (vec![json!(1), json!(2.5)], false, Type::Double),
            (vec![json!(true)], false, Type::Bool),
            (vec![json!(true), json!(1)], false, Type::String),
            (vec![json!("2026-01-01T00:00:00Z")], false, Type::Timestamp),
            (vec![json!("2026-01-01T00:00:00Z"), json!("x")], false, Type::String),
            (vec![json!("1")], false, Type::String),
            (vec![json!("1"), json!("2")], true, Type::Long),
            (vec![json!("1"), json!("2.5")], true, Type::Double),
            (vec![json!("true"), json!("False")], true, Type::Bool),
            (vec![json!("1"), json!("x")], true, Type::String),
        ] {
            assert_eq!(kind(&values, cell), expected, "{values:?}");
        }
    }

    #[test]
    fn likely_types() {
        let likely = |values: &[&str], rows: u64| {
            let mut seen = Seen::default();
            values.iter().for_each(|value| seen.add(&json!(value), true));
            [false, true].map(|identifier| seen.likely(rows, identifier))
        };
        let text = (Type::String, 1.0);
        let whole = (Type::Long, 1.0);
        // As any field, and as one whose name says that it numbers things.
        for (values, rows, any, identifier) in [
            (&["1", "2", "3", "4", "x"][..], 5, (Type::Long, 0.8), text),
            (&["1", "2", "3", "x", "y"][..], 5, text, text),
            (&["1", "2", "3", "4.5"][..], 4, (Type::Double, 1.0), (Type::Double, 1.0)),
            (&["1", "2.0", "3.0"][..], 3, (Type::Double, 1.0), whole),
            (&["1", "2", "n/a", "", "NULL"][..], 5, whole, whole),
            (&["1", "2"][..], 7, whole, whole), // too few values, but all of them
            (&["1", "1", "1", "1", "x"][..], 17, text, text),
            (&["true", "False", "no", "true", "true"][..], 5, (Type::Bool, 0.8), text),
            (&["na", ""][..], 2, text, text),
            (&[][..], 5, text, text),
        ] {
            assert_eq!(likely(values, rows), [any, identifier], "{values:?}");
        }
        for (name, is) in [
            ("StockCode", true),
            ("InvoiceNo", true),
            ("CustomerID", true),
            ("customer_id", true),
            ("number_of_items", false),
            ("parch", false),
            ("idle", false),
            ("", false),
        ] {
            assert_eq!(is_identifier(name), is, "{name}");
        }
    }
}
