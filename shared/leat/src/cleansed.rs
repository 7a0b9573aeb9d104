//! Cleansed rows: the columns of a data set's Parquet files, and a batch's way into them and back.
//!
//! A file has the schema's fields (those that are masked or tokenized as text), then what stays with a row: `_source`,
//! `_shard`, `_sequence` (text), `_sub`, `_line` (long), `_arrival` (timestamp), and as JSON text `_protected`,
//! `_verdict`, `_unknown`. What is not there is null.

use std::sync::Arc;

use crate::column::{Column, Type, Value};
use crate::decode::Batch;
use crate::recipe::{Recipe, Role};
use crate::record::{
    Coordinates, Position, ProtectedFields, Row, Sequence, identity_of, identity_of_id,
};

/// The columns after the schema's fields.
pub const META: [(&str, Type); 9] = [
    ("_source", Type::String),
    ("_shard", Type::String),
    ("_sequence", Type::String),
    ("_sub", Type::Long),
    ("_line", Type::Long),
    ("_arrival", Type::Timestamp),
    ("_protected", Type::String),
    ("_verdict", Type::String),
    ("_unknown", Type::String),
];

/// Why columns are no cleansed rows of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CleansedError {
    /// A column is missing or of another type.
    #[error("column `{name}` should hold {wanted} in every row of the file: is it of this recipe?")]
    Column {
        /// The column.
        name: String,
        /// What it should hold.
        wanted: Type,
    },
    /// A row's own column cannot be read.
    #[error("row {row}: column `{name}` cannot be read")]
    Row {
        /// The row, from 0.
        row: usize,
        /// The column.
        name: &'static str,
    },
}

/// Names and types of the columns of `recipe`'s cleansed files.
pub fn columns(recipe: &Recipe) -> Vec<(String, Type)> {
    let fields = recipe.schema.fields.iter().map(|field| (field.name.clone(), recipe.kind(field)));
    fields.chain(META.map(|(name, kind)| (name.to_owned(), kind))).collect()
}

/// The columns of the rows of `batch`, which were checked and protected.
pub fn write(recipe: &Recipe, batch: &Batch) -> Vec<Column> {
    let mut columns = batch.columns[..recipe.schema.fields.len().min(batch.columns.len())].to_vec();
    let mut meta = META.map(|(_, kind)| Column::new(kind));
    for Row { coordinates, verdict, protected, unknown, .. } in &batch.rows {
        let Coordinates { source, shard, position, arrival } = coordinates;
        let long = |x: u64| i64::try_from(x).map_or(Value::Null, Value::Long);
        let json = |text: &str| format!("{{{text}}}");
        let protected =
            (!protected.is_empty()).then(|| serde_json::to_string(protected).unwrap_or_default());
        let verdict =
            verdict.as_ref().map(|verdict| serde_json::to_string(verdict).unwrap_or_default());
        let unknown = unknown.as_deref().map(json);
        let values = [
            Value::String(source),
            Value::String(shard),
            Value::String(position.sequence.as_str()),
            long(position.sub),
            long(position.line),
            arrival.map_or(Value::Null, |ms| Value::Timestamp(ms.saturating_mul(1000))),
        ];
        for (column, value) in meta.iter_mut().zip(values) {
            column.push(value);
        }
        for (column, value) in meta[values.len()..].iter_mut().zip([&protected, &verdict, &unknown])
        {
            column.push(value.as_deref().map_or(Value::Null, Value::String));
        }
    }
    columns.extend(meta);
    columns
}

/// The rows of a file's columns, which are those of [`columns`].
pub fn read(recipe: &Recipe, mut columns: Vec<Column>) -> Result<Batch, CleansedError> {
    let wanted = self::columns(recipe);
    let rows = columns.first().map_or(0, Column::len);
    for (at, (name, kind)) in wanted.iter().enumerate() {
        let fits = columns.get(at).is_some_and(|c| c.kind() == *kind && c.len() == rows);
        if !fits {
            return Err(CleansedError::Column { name: name.clone(), wanted: *kind });
        }
    }
    let meta = columns.split_off(recipe.schema.fields.len());
    let id = recipe.schema.role(Role::Id);
    // What rows mostly have in common is read once, and shared where it can be.
    let (mut source, mut shard): (Arc<str>, Arc<str>) = Default::default();
    let mut said = (None, None);
    let mut protecting = (None, ProtectedFields::default());
    let row = |at: usize| {
        let fail = |column: usize| CleansedError::Row { row: at, name: META[column].0 };
        let text = |column: usize| meta[column].text(at);
        let long = |column: usize| match meta[column].get(at) {
            Value::Long(x) => u64::try_from(x).map_err(|_| fail(column)),
            _ => Ok(0),
        };
        for (shared, found) in [(&mut source, text(0)), (&mut shard, text(1))] {
            let found = found.unwrap_or_default();
            if **shared != *found {
                *shared = found.into();
            }
        }
        let coordinates = Coordinates {
            source: source.clone(),
            shard: shard.clone(),
            position: Position {
                sequence: Sequence::new(text(2).unwrap_or_default()),
                sub: long(3)?,
                line: long(4)?,
            },
            arrival: meta[5].timestamp(at).map(|micros| micros.div_euclid(1000)),
        };
        let identity = match id.map(|slot| columns[slot].get(at)) {
            Some(Value::String(id)) => identity_of_id(id),
            Some(Value::Long(id)) => identity_of_id(&id.to_string()),
            _ => identity_of(&coordinates),
        };
        let unknown = match text(8) {
            Some(json) => {
                let inside = json.strip_prefix('{').and_then(|json| json.strip_suffix('}'));
                Some(inside.ok_or_else(|| fail(8))?.into())
            }
            None => None,
        };
        if text(7) != said.0 {
            let verdict = text(7).map(serde_json::from_str).transpose();
            said = (text(7), verdict.map_err(|_| fail(7))?);
        }
        if text(6) != protecting.0 {
            let protected = text(6).map(serde_json::from_str).transpose();
            protecting = (text(6), protected.map_err(|_| fail(6))?.unwrap_or_default());
        }
        let (verdict, protected) = (said.1.clone(), protecting.1.clone());
        Ok(Row { coordinates, identity, verdict, protected, unknown })
    };
    let rows = (0..rows).map(row).collect::<Result<Vec<_>, _>>()?;
    Ok(Batch { columns, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Protected, Verdict};

    const RECIPE: &str = include_str!("../../../recipes/card-transactions/recipe.yaml");

    fn batch(recipe: &Recipe) -> Batch {
        let kinds = recipe.schema.fields.iter().map(|field| recipe.kind(field));
        let mut columns: Vec<Column> = kinds.map(|kind| Column::nulls(kind, 2)).collect();
        columns[0] = Column::strings([Some("t-1"), Some("t-2")]);
        let row = |n: u64| Row {
            coordinates: Coordinates {
                source: "stream".into(),
                shard: "shardId-0".into(),
                position: Position { sequence: Sequence::new(&n.to_string()), sub: n, line: 1 },
                arrival: (n > 0).then_some(-1),
            },
            identity: identity_of_id(if n == 0 { "t-1" } else { "t-2" }),
            verdict: (n > 0).then(|| Verdict {
                rules: "ab".into(),
                failed: vec!["x \"y\"".into()],
                warned: vec!["z".into()],
            }),
            protected: (0..n)
                .map(|_| ("card".into(), Protected { method: "tokenize".into(), key: Some(1) }))
                .collect(),
            unknown: (n > 0).then(|| "\"memo\":\"é\"".into()),
        };
        Batch { columns, rows: vec![row(0), row(1)] }
    }

    #[test]
    fn rows_come_back() {
        let recipe = crate::recipe::read("recipe.yaml", RECIPE, &crate::features::specs()).unwrap();
        let batch = batch(&recipe);
        let columns = write(&recipe, &batch);
        let kinds: Vec<Type> = columns.iter().map(Column::kind).collect();
        assert_eq!(kinds, self::columns(&recipe).iter().map(|(_, k)| *k).collect::<Vec<_>>());
        assert_eq!(read(&recipe, columns.clone()), Ok(batch));

        let mut wrong = columns.clone();
        wrong.pop();
        assert!(matches!(read(&recipe, wrong), Err(CleansedError::Column { .. })));
        let mut wrong = columns;
        let last = wrong.len() - 2;
        wrong[last] = Column::strings([None, Some("{")]);
        assert_eq!(read(&recipe, wrong), Err(CleansedError::Row { row: 1, name: "_verdict" }));
    }
}
