//! Rows of a curated Parquet file, and the records of the Feature Store that they are.
//!
//! A record is a list of (feature, text): "PutRecord" in the API reference of the Feature Store runtime. A missing value is
//! a feature left out. A feature's name is the column's, with what the service takes in a name: `_state_hash` is
//! `state_hash`.

use std::collections::{HashMap, HashSet};

use leat::column::{Column, Type, Value};
use leat::recipe::Role;
use leat_aws::Failure;
use leat_lake::parquet::Reader;
use leat_lake::{Lake, read_recipe};

/// The longest name of a feature, in characters.
const NAME_MAX: usize = 64;
/// The longest value of a feature, in bytes.
const VALUE_MAX: usize = 358_400;

/// A record: features and their values, identifier and event time among them.
pub type Record = Vec<(String, String)>;

/// Which columns have a part of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// The recipe's name.
    pub recipe: String,
    /// The event's id, where the recipe has one.
    pub id: Option<String>,
    /// The record's identifier.
    pub entity: String,
    /// The record's event time.
    pub event_time: String,
}

impl Roles {
    /// What the recipe at `url` says.
    pub async fn read(lake: &Lake, url: &str) -> Result<Self, Failure> {
        let engine = read_recipe(lake, url, None).await.map_err(|why| match why {
            leat_lake::RecipeError::Lake(why) => Failure::service(&why, why.is_transient()),
            wrong @ leat_lake::RecipeError::Wrong(_) => Failure::Recipe(wrong.to_string()),
        })?;
        let recipe = engine.recipe();
        let name = |role| recipe.schema.role(role).map(|at| recipe.schema.fields[at].name.clone());
        match (name(Role::Entity), name(Role::EventTime)) {
            (Some(entity), Some(event_time)) => {
                Ok(Roles { recipe: recipe.name.clone(), id: name(Role::Id), entity, event_time })
            }
            _ => Err(Failure::Recipe(format!(
                "{url}: a record of the Feature Store needs a field of role `entity` and one of role `event_time`"
            ))),
        }
    }
}

/// The rows of a file.
#[derive(Debug)]
pub struct Rows {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
    id: Option<usize>,
    entity: usize,
    event_time: usize,
    /// The columns that become features, identifier and event time among them.
    features: Vec<usize>,
    /// For each row, whether it is the last of its entity by event time.
    last: Vec<bool>,
}

impl Rows {
    /// Reads a file; of its columns become features those that `wanted` names, or all if it names none.
    pub fn read(bytes: bytes::Bytes, roles: &Roles, wanted: &[String]) -> Result<Self, Failure> {
        let wrong =
            |why: &dyn std::fmt::Display| Failure::Input(format!("the curated file: {why}"));
        let reader = Reader::new(bytes, None).map_err(|why| wrong(&why))?;
        let kinds = reader.columns().to_vec();
        let mut columns: Vec<Column> = kinds.iter().map(|(_, kind)| Column::new(*kind)).collect();
        for batch in reader {
            let batch = batch.map_err(|why| wrong(&why))?;
            columns.iter_mut().zip(&batch).for_each(|(column, more)| column.append(more));
        }
        let at = |name: &str| kinds.iter().position(|(found, _)| found == name);
        let need = |name: &str, kind: Type| match at(name) {
            Some(found) if kinds[found].1 == kind => Ok(found),
            Some(_) => Err(wrong(&format!("the column `{name}` must hold {kind}"))),
            None => Err(wrong(&format!("it has no column `{name}`; is it of another recipe?"))),
        };
        let (entity, event_time) =
            (need(&roles.entity, Type::String)?, need(&roles.event_time, Type::Timestamp)?);
        let names = kinds.iter().map(|(name, _)| feature_name(name)).collect::<Vec<_>>();
        let mut features = vec![entity, event_time];
        let others = (0..kinds.len()).filter(|at| !features.contains(at)).collect::<Vec<_>>();
        match wanted {
            [] => features.extend(others),
            wanted => {
                for name in wanted {
                    let found = names.iter().position(|found| found == name).ok_or_else(|| {
                        Failure::Config(format!(
                            "LEAT_FEATURES names `{name}`, which no column of the curated file gives; it gives {}",
                            names.join(", ")
                        ))
                    })?;
                    if !features.contains(&found) {
                        features.push(found);
                    }
                }
            }
        }
        let mut seen = HashSet::new();
        for &feature in &features {
            if !seen.insert(&names[feature]) || names[feature].is_empty() {
                return Err(Failure::Config(format!(
                    "the columns of the curated file do not give features of distinct names: `{}` from `{}`; list the wanted ones in LEAT_FEATURES",
                    names[feature], kinds[feature].0
                )));
            }
        }
        let rows = columns[entity].len();
        let last = last_of_each(&columns[entity], &columns[event_time]);
        let id = roles.id.as_deref().and_then(at);
        Ok(Rows { names, columns, rows, id, entity, event_time, features, last })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True if no other row of its entity has a later event time: it is what the online store keeps.
    pub fn is_last(&self, row: usize) -> bool {
        self.last[row]
    }

    /// The event's id, to name the row by; none if the recipe has none.
    pub fn id(&self, row: usize) -> Option<&str> {
        self.columns[self.id?].text(row)
    }

    /// The record of a row; else why it can be none.
    pub fn record(&self, row: usize) -> Result<Record, String> {
        for at in [self.entity, self.event_time] {
            if !self.columns[at].is_valid(row) {
                return Err(format!("`{}` is missing", self.names[at]));
            }
        }
        let mut record = Record::with_capacity(self.features.len());
        for &feature in &self.features {
            let Some(text) = text(self.columns[feature].get(row)) else { continue };
            if text.len() > VALUE_MAX {
                return Err(format!("`{}` has more than {VALUE_MAX} bytes", self.names[feature]));
            }
            record.push((self.names[feature].clone(), text));
        }
        Ok(record)
    }
}

/// Marks, of each entity, the row of the greatest event time; of several such, the last one.
fn last_of_each(entities: &Column, times: &Column) -> Vec<bool> {
    let mut last = HashMap::<&str, (i64, usize)>::new();
    for row in 0..entities.len() {
        if let (Some(entity), Some(time)) = (entities.text(row), times.timestamp(row)) {
            let best = last.entry(entity).or_insert((time, row));
            if time >= best.0 {
                *best = (time, row);
            }
        }
    }
    let mut marks = vec![false; entities.len()];
    last.into_values().for_each(|(_, row)| marks[row] = true);
    marks
}

/// What the service takes as a feature's name: `[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}`.
fn feature_name(column: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let ends = |c: char| c == '_' || c == '-';
    let name: String = column.chars().map(plain).collect();
    let name = name.trim_start_matches(ends);
    name[..name.len().min(NAME_MAX)].trim_end_matches(ends).to_owned()
}

/// A value as the service takes it; none if it is missing.
fn text(value: Value<'_>) -> Option<String> {
    match value {
        Value::Null | Value::String("") => None,
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Long(number) => Some(number.to_string()),
        Value::Double(number) => Some(leat::number::to_text(number)),
        Value::String(text) => Some(text.to_owned()),
        Value::Timestamp(micros) => Some(event_time(micros)),
    }
}

/// ISO 8601 in UTC with milliseconds, the finest that the service takes.
fn event_time(micros: i64) -> String {
    let millis = micros.div_euclid(1000);
    let seconds = leat::timestamp::to_text(millis.div_euclid(1000).saturating_mul(1_000_000));
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), millis.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (column, name) in [
            ("amount_sum_1h", "amount_sum_1h"),
            ("_state_hash", "state_hash"),
            ("channel=web", "channel_web"),
            ("channel_<null>", "channel__null"),
            ("größe", "gr__e"),
            ("_", ""),
        ] {
            assert_eq!(feature_name(column), name, "{column}");
        }
        assert_eq!(feature_name(&format!("{}_b", "a".repeat(63))), "a".repeat(63));
    }

    #[test]
    fn values() {
        for (value, want) in [
            (Value::Null, None),
            (Value::String(""), None),
            (Value::Double(0.1), Some("0.1")),
            (Value::Long(-7), Some("-7")),
            (Value::Bool(true), Some("true")),
            (Value::Timestamp(1_767_225_600_123_999), Some("2026-01-01T00:00:00.123Z")),
            (Value::Timestamp(-1), Some("1969-12-31T23:59:59.999Z")),
        ] {
            assert_eq!(text(value).as_deref(), want);
        }
    }

    #[test]
    fn the_last_row_of_an_entity_is_that_of_the_greatest_time() {
        let entities = ["a", "b", "a", "a", "c", "b"].map(Some);
        let entities = Column::strings(entities.into_iter().chain([None]));
        let mut times = Column::new(Type::Timestamp);
        for time in [1, 5, 3, 3, 0, 4, 9] {
            times.push(Value::Timestamp(time));
        }
        let last = last_of_each(&entities, &times);
        assert_eq!(last, [false, true, false, true, true, false, false]);
    }
}
