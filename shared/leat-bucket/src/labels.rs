//! What is known of a row's label at the run's logical time: of the labels that came later the latest that was known by
//! then, else the event's own label, else nothing.

use std::collections::HashMap;
use std::sync::Arc;

use leat::column::{Column, Type, Value};
use leat::decode::Batch;
use leat::engine::Engine;
use leat::recipe::Role;
use leat::record::{Identity, Position, Sequence, identity_of_id};
use serde::{Deserialize, Serialize};

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

/// Why rows cannot be given labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The recipe's label is no number.
    #[error(
        "the label `{name}` is of type {kind}: a model learns numbers; take long, double or bool"
    )]
    Label {
        /// The label.
        name: String,
        /// Its type.
        kind: Type,
    },
    /// A file of labels has a column of another type.
    #[error("it is no file of labels: column `{name}` holds {found}, not {wanted}")]
    Column {
        /// The column.
        name: String,
        /// What it holds.
        found: Type,
        /// What it should hold.
        wanted: Type,
    },
}

/// What is known of the labels of some rows.
pub struct Labels {
    /// The column of the label, and its type; none if the recipe has no `role: label`: there is nothing to fill.
    label: Option<(usize, Type)>,
    as_of: i64,
    known: HashMap<Identity, Option<Known>>,
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

/// The column of the recipe's label and its type.
pub fn label(engine: &Engine) -> Result<Option<(usize, Type)>, LabelError> {
    let Some(slot) = engine.recipe().schema.role(Role::Label) else { return Ok(None) };
    let field = &engine.recipe().schema.fields[slot];
    match engine.recipe().kind(field) {
        kind @ (Type::Bool | Type::Long | Type::Double) => Ok(Some((slot, kind))),
        kind => Err(LabelError::Label { name: field.name.clone(), kind }),
    }
}

impl Labels {
    /// Of rows whose labels come with the events alone.
    pub fn inline(engine: &Engine) -> Result<Self, LabelError> {
        Ok(Labels { label: label(engine)?, as_of: 0, known: HashMap::new() })
    }

    /// Of the rows of `batch`, whose labels come later as well: what is known of them at `as_of` (microseconds) is to be
    /// [taken](Labels::take), what is of other events is let go at once.
    pub fn later(engine: &Engine, batch: &Batch, as_of: i64) -> Result<Self, LabelError> {
        let label = label(engine)?;
        let known = match label {
            Some(_) => batch.rows.iter().map(|row| (row.identity, None)).collect(),
            None => HashMap::new(),
        };
        Ok(Labels { label, as_of, known })
    }

    /// Whether files of labels are to be read at all.
    pub fn reads(&self) -> bool {
        !self.known.is_empty()
    }

    /// The columns that are read of a file of labels, in the order that [`Labels::take`] wants: the event's id, since when
    /// the label is known, the label, and the label's coordinates.
    pub fn columns<'n>(id: &'n str, known_at: &'n str, label: &'n str) -> Vec<&'n str> {
        [id, known_at, label].into_iter().chain(PLACE.map(|(name, _)| name)).collect()
    }

    /// Errs if `columns`, names and types of those of [`Labels::columns`], are not of the types that a label has.
    pub fn fits<'n>(
        &self,
        columns: impl IntoIterator<Item = (&'n str, Type)>,
    ) -> Result<(), LabelError> {
        let kinds = [None, Some(Type::Timestamp), self.label.map(|(_, kind)| kind)];
        let kinds = kinds.into_iter().chain(PLACE.map(|(_, kind)| Some(kind)));
        for ((name, found), wanted) in columns.into_iter().zip(kinds) {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                return Err(LabelError::Column { name: name.to_owned(), found, wanted });
            }
        }
        Ok(())
    }

    /// Takes what some labels say of the rows. `columns` are those of [`Labels::columns`].
    pub fn take(&mut self, columns: &[Column]) {
        let [id, since, label, sequence, sub, line, source, shard] = columns else { return };
        for row in 0..id.len() {
            let identity = match id.get(row) {
                Value::String(id) => identity_of_id(id),
                Value::Long(id) => identity_of_id(&id.to_string()),
                _ => continue,
            };
            let Some(slot) = self.known.get_mut(&identity) else { continue };
            let since = since.timestamp(row).filter(|since| *since <= self.as_of);
            let Some(since) = since else { continue };
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

    /// Fills the label column of `batch` with what is known.
    pub fn fill(&self, batch: &mut Batch) -> LabelCounts {
        let mut counts = LabelCounts::default();
        let Some((slot, kind)) = self.label else {
            counts.none = batch.len() as u64;
            return counts;
        };
        let own = &batch.columns[slot];
        let mut column = Column::new(kind);
        for (at, row) in batch.rows.iter().enumerate() {
            let known = self.known.get(&row.identity).and_then(Option::as_ref);
            let value = match known.map(|known| known.label) {
                Some(Label::Bool(x)) => Value::Bool(x),
                Some(Label::Long(x)) => Value::Long(x),
                Some(Label::Double(x)) => Value::Double(x),
                None => own.get(at),
            };
            match value {
                Value::Null => counts.none += 1,
                _ if known.is_some() => counts.joined += 1,
                _ => counts.inline += 1,
            }
            column.push(value);
        }
        batch.columns[slot] = column;
        counts
    }
}
