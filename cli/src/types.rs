//! A schema from the data itself: for each field the narrowest type that takes all its values.
//!
//! `bool`, then `long`, `double`, `timestamp`, `string`. `leat infer` also asks for the type that most values have: the
//! rules of AWS SageMaker Data Wrangler, but that whole numbers among others are doubles, as nothing may get lost. A field that holds arrays or objects is left out. Where no
//! type takes all values, as with numbers among texts of JSON, the field is text, and rows that hold something else
//! are rejected.

use std::collections::BTreeMap;

use leat::column::Type;
use leat::decode::{Decoder, Limits};
use leat::profile::Reading;
use leat::recipe::{Dialect, Field, Format, Place, Recipe, Schema, UnknownFields};
use leat::{number, timestamp};
use serde_json::Value;

use crate::answer::Refusal;
use crate::data::Data;

/// From the narrowest.
const TYPES: [Type; 5] = [Type::Bool, Type::Long, Type::Double, Type::Timestamp, Type::String];

/// From this share of the values on a field is told to have a type that not all of them have.
const CONFIDENT: f64 = 0.8;
/// And at least this share of the rows must have a value.
const ENOUGH: f64 = 0.3;

/// What was seen of a field.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How many values there are.
    values: u64,
    /// How many of them each of [`TYPES`] takes.
    takes: [u64; 5],
    /// How many are blank, or a word for nothing.
    nullish: u64,
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
    /// `rows` have a value; else as [`Seen::kind`]. Whole numbers among others are doubles. And what share it takes.
    pub fn likely(&self, rows: u64) -> (Type, f64) {
        let told = self.values.saturating_sub(self.nullish);
        let share = |takes: u64| takes as f64 / told.max(1) as f64;
        let [_, whole, numbers, ..] = self.takes;
        let likely = |(kind, takes): &(Type, u64)| {
            share(*takes) >= CONFIDENT && (*kind != Type::Long || whole == numbers)
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
}

impl Looked {
    /// Fields whose values are lists or maps: Leat has no type for them.
    pub fn nested(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(|(_, seen)| seen.nested).map(|(name, _)| name.as_str())
    }

    /// What was seen of the field, if its values have no type of their own.
    pub fn seen(&self, name: &str) -> Option<&Seen> {
        self.fields.get(name).filter(|_| !self.typed.contains_key(name))
    }

    /// A recipe that has only a schema, with the type that `kind` says of each field.
    fn recipe(&self, kind: impl Fn(&Seen) -> Type) -> Recipe {
        let mut typed = self.typed.clone();
        for (name, seen) in self.fields.iter().filter(|(_, seen)| !seen.nested) {
            typed.entry(name.clone()).or_insert_with(|| kind(seen));
        }
        of(typed.into_iter().collect())
    }

    /// With the narrowest types that take all values.
    pub fn narrow(&self) -> Recipe {
        self.recipe(Seen::kind)
    }

    /// With the types of [`Seen::likely`].
    pub fn likely(&self) -> Recipe {
        self.recipe(|seen| seen.likely(self.rows).0)
    }
}

/// A recipe that has only a schema: that of `data`. What comes from standard input is kept to be read again.
pub fn recipe(data: &mut Data<'_>) -> Result<Recipe, Refusal> {
    look(data).map(|looked| looked.narrow())
}

/// Looks at all values of `data`. What comes from standard input is kept to be read again.
pub fn look(data: &mut Data<'_>) -> Result<Looked, Refusal> {
    data.keep_stdin()?;
    let mut looked = Looked { typed: data.parquet_columns()?, ..Looked::default() };
    let empty = of(Vec::new());
    let decoder = Decoder::new(&empty, None, Limits::default());
    data.each_line("looking", &empty, &decoder, |piece, format| {
        for row in &piece.batch.rows {
            looked.rows += 1;
            let inside = row.unknown.as_deref().unwrap_or_default();
            let object: BTreeMap<String, Value> =
                serde_json::from_str(&format!("{{{inside}}}")).unwrap_or_default();
            for (name, value) in &object {
                let cell = format == Format::Csv;
                match looked.fields.get_mut(name) {
                    Some(seen) => seen.add(value, cell),
                    None => looked.fields.entry(name.clone()).or_default().add(value, cell),
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
            seen.likely(rows)
        };
        for (values, rows, expected) in [
            (&["1", "2", "3", "4", "x"][..], 5, (Type::Long, 0.8)),
            (&["1", "2", "3", "x", "y"][..], 5, (Type::String, 1.0)),
            (&["1", "2", "3", "4.5"][..], 4, (Type::Double, 1.0)),
            (&["1", "2", "n/a", "", "NULL"][..], 5, (Type::Long, 1.0)),
            (&["1", "2"][..], 7, (Type::Long, 1.0)), // too few values, but all of them
            (&["1", "1", "1", "1", "x"][..], 17, (Type::String, 1.0)),
            (&["true", "False", "no", "true", "true"][..], 5, (Type::Bool, 0.8)),
            (&["na", ""][..], 2, (Type::String, 1.0)),
            (&[][..], 5, (Type::String, 1.0)),
        ] {
            assert_eq!(likely(values, rows), expected, "{values:?}");
        }
    }
}
