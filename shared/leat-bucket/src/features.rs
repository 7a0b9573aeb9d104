//! Features of a bucket's rows under a fitted state: columns for Parquet, CSV for SageMaker, and counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use leat::column::{Column, Type, Value};
use leat::decode::Batch;
use leat::encode::csv;
use leat::engine::Engine;
use leat::features::{Features, FittedState, Mode};
use leat::recipe::Role;
use serde::{Deserialize, Serialize};

use crate::{LabelCounts, Rejects, Replayed, Slice, Slices, labels};

/// The column of the slice.
pub const SLICE: &str = "_slice";
/// The column of the recipe's hash.
pub const RECIPE_HASH: &str = "_recipe_hash";
/// The column of the fitted state's hash.
pub const STATE_HASH: &str = "_state_hash";
/// What stands before the name of a feature's second column.
pub const TRAIN: &str = "_train_";
/// Rows that become features at a time.
const ROWS: usize = 8192;

/// A fitted state bound to its recipe.
#[derive(Debug)]
pub struct Fitted {
    engine: Arc<Engine>,
    state_hash: String,
    features: Features,
    /// For each feature, whether it goes back to labels.
    of_labels: Vec<bool>,
    /// Id, entity, event time, label, as far as the recipe has them.
    slots: Vec<usize>,
    label: Option<usize>,
    /// Which features are no columns of the row itself.
    keep: Vec<bool>,
    columns: Vec<(String, Type)>,
}

/// What was made of a bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// The version of this form: 1.
    pub leat: u32,
    /// See [`RECIPE_HASH`].
    pub recipe_hash: String,
    /// See [`STATE_HASH`].
    pub state_hash: String,
    /// Where the Parquet files lie.
    pub curated: String,
    /// The rows of the slices that were wanted.
    pub slices: BTreeMap<Slice, SliceCounts>,
    /// Where the labels of all rows of the bucket came from.
    pub labels: LabelCounts,
    /// The rows that repeat an identity.
    pub repeats: u64,
    /// The rows that came too late for a window.
    pub late: u64,
    /// The rows that the recipe does not admit.
    pub rejects: Rejects,
}

/// The rows of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SliceCounts {
    /// All.
    pub rows: u64,
    /// Those whose label is known.
    pub labelled: u64,
    /// Those whose label is above 0.
    pub positives: u64,
    /// The least label.
    pub least: Option<f64>,
    /// The greatest.
    pub greatest: Option<f64>,
}

/// The features of a bucket's rows, some thousand at a time: those of a slice after those of the slice before, each in the
/// order of the replay.
pub struct Curation {
    fitted: Arc<Fitted>,
    batch: Batch,
    /// What is to come of each slice, the first at the end.
    parts: Vec<(Slice, Vec<usize>)>,
    counts: Counts,
}

/// Some rows of a slice.
#[derive(Debug)]
pub struct Part {
    /// The slice.
    pub slice: Slice,
    /// Their values, by [`Fitted::columns`].
    pub columns: Vec<Column>,
    /// A line for each of them whose label is known: the label, then the features.
    pub csv: Vec<u8>,
}

impl Fitted {
    /// Binds the fitted state whose JSON is `state` to the recipe of `engine`. Errs, in words, if it is of another recipe,
    /// or if the recipe's label is no number.
    pub fn bind(engine: Arc<Engine>, state: &str) -> Result<Self, String> {
        labels::label(&engine).map_err(|why| why.to_string())?;
        let state = FittedState::from_json(state, engine.hash()).map_err(|why| why.to_string())?;
        let features = Features::bind(engine.recipe(), engine.plan(), &state)
            .map_err(|why| why.to_string())?;
        let (schema, plan) = (&engine.recipe().schema, engine.plan());
        let roles = [Role::Id, Role::Entity, Role::EventTime, Role::Label];
        let slots: Vec<usize> = roles.iter().filter_map(|role| schema.role(*role)).collect();
        let label = schema.role(Role::Label);
        let text = |name: &str| (name.to_owned(), Type::String);
        let mut columns: Vec<(String, Type)> = slots
            .iter()
            .map(|&slot| (plan.columns[slot].name.clone(), plan.columns[slot].kind))
            .collect();
        columns.push(text(SLICE));
        let own: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let keep: Vec<bool> = features.names().iter().map(|name| !own.contains(name)).collect();
        let kept =
            features.names().iter().zip(features.kinds()).zip(&keep).filter(|(_, keep)| **keep);
        columns.extend(kept.map(|((name, kind), _)| (name.clone(), *kind)));
        let of_labels: Vec<bool> = state.columns.iter().map(|column| column.out_of_fold).collect();
        let second = features.names().iter().zip(features.kinds()).zip(&of_labels);
        let second = second.filter(|(_, of_labels)| **of_labels);
        columns.extend(second.map(|((name, kind), _)| (format!("{TRAIN}{name}"), *kind)));
        columns.extend([text(RECIPE_HASH), text(STATE_HASH)]);
        let state_hash = state.hash;
        Ok(Fitted { engine, state_hash, features, of_labels, slots, label, keep, columns })
    }

    /// The recipe.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The hash of the recipe.
    pub fn recipe_hash(&self) -> &str {
        self.engine.hash()
    }

    /// The hash of the fitted state.
    pub fn state_hash(&self) -> &str {
        &self.state_hash
    }

    /// Names and types of the columns of what is made: id, entity, event time and label under the names that the recipe
    /// gives them, [`SLICE`], the features as they are served, [`TRAIN`] columns of those that go back to labels (what a model
    /// is trained on; null outside of the training slice), [`RECIPE_HASH`] and [`STATE_HASH`].
    pub fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    fn rows(
        &self,
        batch: &Batch,
        served: Vec<Column>,
        trained: Option<Vec<Column>>,
        slice: Slice,
    ) -> Vec<Column> {
        let all = |text: &str| {
            let mut column = Column::new(Type::String);
            (0..batch.len()).for_each(|_| column.push(Value::String(text)));
            column
        };
        let mut columns: Vec<Column> =
            self.slots.iter().map(|&slot| batch.columns[slot].clone()).collect();
        columns.push(all(slice.word()));
        let nulls = || {
            let kinds = self.features.kinds().iter();
            kinds.map(|kind| Column::nulls(*kind, batch.len())).collect()
        };
        let trained = trained.unwrap_or_else(nulls);
        for (some, which) in [(served, &self.keep), (trained, &self.of_labels)] {
            let some = some.into_iter().zip(which).filter(|(_, is_stored)| **is_stored);
            columns.extend(some.map(|(column, _)| column));
        }
        columns.extend([all(self.engine.hash()), all(&self.state_hash)]);
        columns
    }

    /// Counts the rows, and gives the lines of those whose label is known.
    fn csv(&self, batch: &Batch, features: &[Column], count: &mut SliceCounts) -> Vec<u8> {
        count.rows += batch.len() as u64;
        let mut out = Vec::new();
        let Some(label) = self.label.map(|slot| &batch.columns[slot]) else { return out };
        for row in 0..batch.len() {
            let Some(value) = label.number(row) else { continue };
            count.labelled += 1;
            count.positives += u64::from(value > 0.0);
            count.least = Some(count.least.map_or(value, |least| least.min(value)));
            count.greatest = Some(count.greatest.map_or(value, |greatest| greatest.max(value)));
            csv::row(std::iter::once(label).chain(features), row, &mut out);
        }
        out
    }
}

impl Curation {
    /// Of the rows of `replayed`, whose labels were filled, those of the slices `wanted`. `curated` is the folder of the
    /// Parquet files, for the counts.
    pub fn new(
        fitted: Arc<Fitted>,
        replayed: Replayed,
        labels: LabelCounts,
        rejects: Rejects,
        slices: Slices,
        wanted: &[Slice],
        curated: &str,
    ) -> Self {
        let Replayed { batch, repeats, late, .. } = replayed;
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let rows_of = |slice: Slice| {
            let time = |row: &usize| fitted.engine.event_time(&batch, *row);
            (0..batch.len()).filter(|row| slices.of(time(row)) == Some(slice)).collect()
        };
        let parts = wanted.iter().rev().map(|&slice| (slice, rows_of(slice))).collect();
        let counts = Counts {
            leat: 1,
            recipe_hash: fitted.recipe_hash().to_owned(),
            state_hash: fitted.state_hash.clone(),
            curated: curated.to_owned(),
            slices: wanted.iter().map(|&slice| (slice, SliceCounts::default())).collect(),
            labels,
            repeats,
            late,
            rejects,
        };
        Curation { fitted, batch, parts, counts }
    }

    /// What was made so far: of the whole bucket after the last part.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Iterator for Curation {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let (slice, rows) = loop {
            let (slice, rows) = self.parts.last_mut()?;
            if rows.is_empty() {
                self.parts.pop();
                continue;
            }
            let rest = rows.split_off(rows.len().min(ROWS));
            break (*slice, std::mem::replace(rows, rest));
        };
        // What a model learns of holds no label of a row's own; what it is judged by is what it would be served.
        let mode = match slice {
            Slice::Train => Mode::Train,
            Slice::Evaluate => Mode::Serve,
        };
        let part = self.batch.gather(&rows);
        let fitted = &*self.fitted;
        let features = fitted.features.apply_in(mode, &part.columns, &part.identities());
        let count = self.counts.slices.entry(slice).or_default();
        let csv = fitted.csv(&part, &features, count);
        let (served, trained) = match mode {
            Mode::Serve => (features, None),
            Mode::Train if !fitted.of_labels.contains(&true) => (features, None),
            Mode::Train => (fitted.features.apply(&part.columns, part.len()), Some(features)),
        };
        Some(Part { slice, columns: fitted.rows(&part, served, trained, slice), csv })
    }
}

impl SliceCounts {
    /// Adds what another bucket has.
    pub fn merge(&mut self, other: &SliceCounts) {
        self.rows += other.rows;
        self.labelled += other.labelled;
        self.positives += other.positives;
        let both = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (one, other) => one.or(other),
        };
        self.least = both(self.least, other.least, f64::min);
        self.greatest = both(self.greatest, other.greatest, f64::max);
    }

    /// Whether there are two labels to tell apart.
    pub fn has_classes(&self) -> bool {
        self.least.zip(self.greatest).is_some_and(|(least, greatest)| least < greatest)
    }
}
