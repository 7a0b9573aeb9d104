//! What is known of a row's label at the run's logical time: of the labels that came later the latest that was known by
//! then, else the event's own label, else nothing.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use leat::column::{Column, Type, Value};
use leat::decode::Batch;
use leat::engine::Engine;
use leat::recipe::Role;
use leat::record::{Identity, Position, Sequence, identity_of_id};
use leat_lake::parquet::Reader;
use leat_lake::{Folder, Lake};
use serde::{Deserialize, Serialize};

use crate::bucket::bytes;
use crate::error::damaged;
use crate::{BatchError, LabelFiles, Snapshot};

/// How many files are read ahead.
const AT_A_TIME: usize = 4;
/// What is read of a label's coordinates.
const PLACE: [(&str, Type); 5] = [
    ("_sequence", Type::String),
    ("_sub", Type::Long),
    ("_line", Type::Long),
    ("_source", Type::String),
    ("_shard", Type::String),
];

/// Where the labels of some rows came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCounts {
    /// From the data set of labels.
    pub joined: u64,
    /// With the event.
    pub inline: u64,
    /// Unknown at the run's logical time.
    pub none: u64,
}

/// What is known of an event: since when, then the place that decides between labels of one time, and the label.
struct Known {
    since: i64,
    place: (Position, Arc<str>, Arc<str>),
    label: Label,
}

#[derive(Clone, Copy)]
enum Label {
    Bool(bool),
    Long(i64),
    Double(f64),
}

/// Fills the label column of `batch` with what is known at the snapshot's logical time. A recipe without `role: label`
/// has nothing to fill.
pub async fn join(
    lake: &Lake,
    snapshot: &Snapshot,
    engine: &Engine,
    batch: &mut Batch,
) -> Result<LabelCounts, BatchError> {
    let mut counts = LabelCounts::default();
    let Some(slot) = engine.recipe().schema.role(Role::Label) else {
        counts.none = batch.len() as u64;
        return Ok(counts);
    };
    let kind = batch.columns[slot].kind();
    if !matches!(kind, Type::Bool | Type::Long | Type::Double) {
        return Err(BatchError::Recipe(format!(
            "the label `{}` is of type {kind}: a model learns numbers; take long, double or bool",
            engine.recipe().schema.fields[slot].name
        )));
    }
    let known = match &snapshot.labels {
        Some(labels) => known(lake, labels, snapshot.as_of, kind, batch).await?,
        None => HashMap::new(),
    };
    let own = &batch.columns[slot];
    let mut column = Column::new(kind);
    for (at, row) in batch.rows.iter().enumerate() {
        let value = match known.get(&row.identity).and_then(Option::as_ref).map(|known| known.label)
        {
            Some(Label::Bool(x)) => Value::Bool(x),
            Some(Label::Long(x)) => Value::Long(x),
            Some(Label::Double(x)) => Value::Double(x),
            None => own.get(at),
        };
        match value {
            Value::Null => counts.none += 1,
            _ if matches!(known.get(&row.identity), Some(Some(_))) => counts.joined += 1,
            _ => counts.inline += 1,
        }
        column.push(value);
    }
    batch.columns[slot] = column;
    Ok(counts)
}

/// The labels of the events of `batch`: all files are read, and what is of other events is let go at once.
async fn known(
    lake: &Lake,
    labels: &LabelFiles,
    as_of: i64,
    kind: Type,
    batch: &Batch,
) -> Result<HashMap<Identity, Option<Known>>, BatchError> {
    let mut known: HashMap<Identity, Option<Known>> =
        batch.rows.iter().map(|row| (row.identity, None)).collect();
    let folder = lake.folder(&labels.cleansed)?;
    let mut found = stream::iter(&labels.files)
        .map(async |file| Ok::<_, BatchError>((file, bytes(&folder, file).await?)))
        .buffered(AT_A_TIME);
    while let Some((file, bytes)) = found.try_next().await? {
        for columns in columns_of(&folder, &file.path, bytes, labels, kind)? {
            take(&columns?, as_of, &mut known);
        }
    }
    Ok(known)
}

/// The columns that are read of a file of labels, in an order that [`take`] knows.
fn columns_of<'f>(
    folder: &'f Folder,
    path: &'f str,
    bytes: bytes::Bytes,
    labels: &LabelFiles,
    kind: Type,
) -> Result<impl Iterator<Item = Result<Vec<Column>, BatchError>> + use<'f>, BatchError> {
    let wrong = |why: String| damaged(folder.url(path), format!("it is no file of labels: {why}"));
    let mut wanted = vec![&*labels.id, &*labels.known_at, &*labels.label];
    wanted.extend(PLACE.map(|(name, _)| name));
    let reader = Reader::new(bytes, Some(&wanted)).map_err(|why| wrong(why.to_string()))?;
    let place = PLACE.map(|(_, kind)| kind);
    let kinds = [None, Some(Type::Timestamp), Some(kind)].into_iter().chain(place.map(Some));
    for ((name, found), wanted) in reader.columns().iter().zip(kinds) {
        if wanted.is_some_and(|wanted| wanted != *found) {
            let wanted = wanted.map(Type::word).unwrap_or_default();
            return Err(wrong(format!("column `{name}` holds {found}, not {wanted}")));
        }
    }
    Ok(reader.map(move |columns| columns.map_err(|why| damaged(folder.url(path), why))))
}

fn take(columns: &[Column], as_of: i64, known: &mut HashMap<Identity, Option<Known>>) {
    let [id, since, label, sequence, sub, line, source, shard] = columns else { return };
    for row in 0..id.len() {
        let identity = match id.get(row) {
            Value::String(id) => identity_of_id(id),
            Value::Long(id) => identity_of_id(&id.to_string()),
            _ => continue,
        };
        let Some(slot) = known.get_mut(&identity) else { continue };
        let Some(since) = since.timestamp(row).filter(|since| *since <= as_of) else { continue };
        let label = match label.get(row) {
            Value::Bool(x) => Label::Bool(x),
            Value::Long(x) => Label::Long(x),
            Value::Double(x) => Label::Double(x),
            _ => continue,
        };
        let number = |column: &Column| match column.get(row) {
            Value::Long(x) => u64::try_from(x).unwrap_or_default(),
            _ => 0,
        };
        let text = |column: &Column| column.text(row).unwrap_or_default().to_owned();
        let place = (
            Position {
                sequence: Sequence::new(&text(sequence)),
                sub: number(sub),
                line: number(line),
            },
            text(source).into(),
            text(shard).into(),
        );
        let newer = slot.as_ref().is_none_or(|old| (old.since, &old.place) < (since, &place));
        if newer {
            *slot = Some(Known { since, place, label });
        }
    }
}
