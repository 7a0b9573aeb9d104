//! A schema from the data itself: for each field the narrowest type that takes all its values.
//!
//! `bool`, then `long`, `double`, `timestamp`, `string`. A field that holds arrays or objects is left out. Where no
//! type takes all values, as with numbers among texts of JSON, the field is text, and rows that hold something else
//! are rejected.

use std::collections::BTreeMap;

use leat::column::Type;
use leat::decode::{Decoder, Limits};
use leat::recipe::{Dialect, Field, Format, Place, Recipe, Schema, UnknownFields};
use leat::{number, timestamp};
use serde_json::Value;

use crate::answer::Refusal;
use crate::data::Data;

/// From the narrowest.
const TYPES: [Type; 5] = [Type::Bool, Type::Long, Type::Double, Type::Timestamp, Type::String];

/// What was seen of a field.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Which of [`TYPES`] took every value; none before the first.
    takes: Option<[bool; 5]>,
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
        let before = self.takes.unwrap_or([true; 5]);
        self.takes = Some(std::array::from_fn(|i| before[i] && takes[i]));
    }

    fn kind(&self) -> Type {
        let takes = self.takes.unwrap_or_default();
        TYPES
            .into_iter()
            .zip(takes)
            .find(|(_, takes)| *takes)
            .map_or(Type::String, |(kind, _)| kind)
    }
}

/// A recipe that has only a schema: that of `data`. What comes from standard input is kept to be read again.
pub fn recipe(data: &mut Data<'_>) -> Result<Recipe, Refusal> {
    data.keep_stdin()?;
    let mut fields: BTreeMap<String, Seen> = BTreeMap::new();
    let mut typed: BTreeMap<String, Type> = data.parquet_columns()?;
    let empty = of(Vec::new());
    let decoder = Decoder::new(&empty, None, Limits::default());
    data.each_line("looking", &empty, &decoder, |piece, format| {
        for row in &piece.batch.rows {
            let inside = row.unknown.as_deref().unwrap_or_default();
            let object: BTreeMap<String, Value> =
                serde_json::from_str(&format!("{{{inside}}}")).unwrap_or_default();
            for (name, value) in &object {
                let cell = format == Format::Csv;
                match fields.get_mut(name) {
                    Some(seen) => seen.add(value, cell),
                    None => fields.entry(name.clone()).or_default().add(value, cell),
                }
            }
        }
        Ok(())
    })?;
    for (name, seen) in fields.iter().filter(|(_, seen)| !seen.nested) {
        typed.entry(name.clone()).or_insert_with(|| seen.kind());
    }
    Ok(of(typed.into_iter().collect()))
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
}
