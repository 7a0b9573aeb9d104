//! Features of an entity bucket's cleansed rows under a fitted state: what `feature-transform` does, over rows that the
//! caller reads and writes.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_pyarrow::PyArrowType;
use arrow_schema::Schema;
use leat::cleansed;
use leat::column::{Column, Type};
use leat::engine::{self, Source};
use leat::timestamp;
use leat_bucket::{
    Admission, Admitted, Fitted, Labels, Part, Piece, Slice, Slices, TooMuch, in_order, windows,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::{engine_of, refused};

pyo3::create_exception!(
    leat,
    MissingKeys,
    PyValueError,
    "Rows hold what the recipe tokenizes, and no secret was given."
);

/// A recipe with a fitted state, ready to make features of cleansed rows. Making one raises ValueError with what is wrong
/// with the texts. The secret may be left out where all that is tokenized was tokenized before.
#[pyclass(frozen, module = "leat")]
pub struct Features {
    fitted: Arc<Fitted>,
}

/// The features of a bucket, some thousand rows at a time: an iterator of (slice, RecordBatch with the columns of
/// `Features.schema`, the CSV lines of those rows whose label is known).
#[pyclass(module = "leat")]
pub struct Curation {
    names: Vec<String>,
    parts: leat_bucket::Curation,
}

/// A slice, some of its rows, and their lines.
type Made<'p> = (&'static str, PyArrowType<RecordBatch>, Bound<'p, PyBytes>);

#[pymethods]
impl Features {
    #[new]
    #[pyo3(signature = (recipe, state, *, rules=None, secret=None, recipe_file="recipe.yaml", rules_file="quality.dqdl", state_file="state.json"))]
    fn new(
        recipe: &str,
        state: &str,
        rules: Option<&str>,
        secret: Option<&[u8]>,
        recipe_file: &str,
        rules_file: &str,
        state_file: &str,
    ) -> PyResult<Self> {
        let recipe = Source { file: recipe_file, text: recipe };
        let rules = rules.map(|text| Source { file: rules_file, text });
        let engine = engine_of(recipe, rules, secret)?;
        let fitted = Fitted::bind(Arc::new(engine), state)
            .map_err(|why| refused(format!("{state_file}: {why}")))?;
        Ok(Features { fitted: Arc::new(fitted) })
    }

    /// The hash of recipe and ruleset: 64 hexadecimal digits.
    #[getter]
    fn recipe_hash(&self) -> &str {
        self.fitted.recipe_hash()
    }

    /// The hash of the fitted state: 64 hexadecimal digits.
    #[getter]
    fn state_hash(&self) -> &str {
        self.fitted.state_hash()
    }

    /// The pyarrow.Schema of what is made: id, entity, event time and label, `_slice`, the features as they are served,
    /// `_train_<feature>` of those that go back to labels, `_recipe_hash` and `_state_hash`.
    #[getter]
    fn schema(&self) -> PyArrowType<Schema> {
        PyArrowType(schema(self.fitted.columns()))
    }

    /// The pyarrow.Schema of the rows that it is made of, as they lie in the cleansed zone.
    #[getter]
    fn cleansed(&self) -> PyArrowType<Schema> {
        PyArrowType(schema(&cleansed::columns(self.fitted.engine().recipe())))
    }

    /// The columns that `curate` wants of labels, in this order, where the label's data set names the event's id `id`, the
    /// time since when the label is known `known_at`, and the label `label`.
    #[staticmethod]
    fn label_columns(id: &str, known_at: &str, label: &str) -> Vec<String> {
        Labels::columns(id, known_at, label).into_iter().map(str::to_owned).collect()
    }

    /// Takes the rows of a bucket in, replays them, and gives them labels; their features are made as the answer is iterated.
    ///
    /// `rows` iterates over RecordBatches with the columns of `cleansed`, all of the bucket. `labels`, for a run whose labels
    /// come later than its events, over RecordBatches with the columns of `label_columns`; None for labels that come with the
    /// events. What is known is known at `as_of`. The slice `train` has the events before `train_until`, `evaluate` those from
    /// there on and before `evaluate_until` (RFC 3339); `slices` names those wanted. `curated` is the URL of the Parquet files'
    /// folder, for the counts. Raises ValueError if the rows are not the recipe's, or are more than is held in memory;
    /// MissingKeys; and what the iterators raise.
    #[pyo3(signature = (rows, labels, *, as_of, train_until, evaluate_until, slices, curated))]
    #[allow(clippy::too_many_arguments, reason = "named, in Python")]
    fn curate(
        &self,
        rows: &Bound<'_, PyAny>,
        labels: Option<&Bound<'_, PyAny>>,
        as_of: &str,
        train_until: &str,
        evaluate_until: &str,
        slices: Vec<String>,
        curated: &str,
    ) -> PyResult<Curation> {
        let engine = self.fitted.engine();
        let wanted = slices.iter().map(|word| slice(word)).collect::<PyResult<Vec<_>>>()?;
        let ends =
            Slices { train_until: time(train_until)?, evaluate_until: time(evaluate_until)? };
        let mut admission = Admission::new(engine);
        for batch in rows.try_iter()? {
            let piece = piece(engine, batch?.extract::<PyArrowType<RecordBatch>>()?.0)?;
            admission.add(piece).map_err(|why| match why {
                TooMuch::Keys(why) => MissingKeys::new_err(why.to_string()),
                TooMuch::Memory => refused(format!("{why}; cleanse into more buckets")),
            })?;
        }
        let Admitted { parts, rejects, .. } = admission.finish();
        let (batch, order) = in_order(engine, parts);
        let mut replayed = windows(engine, batch, order);
        let known = match labels {
            None => Labels::inline(engine).map_err(refused)?,
            Some(labels) => {
                let mut known =
                    Labels::later(engine, &replayed.batch, time(as_of)?).map_err(refused)?;
                if known.reads() {
                    for batch in labels.try_iter()? {
                        let batch = batch?.extract::<PyArrowType<RecordBatch>>()?.0;
                        take(&mut known, batch)?;
                    }
                }
                known
            }
        };
        let counts = known.fill(&mut replayed.batch);
        let parts = leat_bucket::Curation::new(
            self.fitted.clone(),
            replayed,
            counts,
            rejects,
            ends,
            &wanted,
            curated,
        );
        let names = self.fitted.columns().iter().map(|(name, _)| name.clone()).collect();
        Ok(Curation { names, parts })
    }
}

#[pymethods]
impl Curation {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'p>(&mut self, py: Python<'p>) -> PyResult<Option<Made<'p>>> {
        let Some(Part { slice, columns, csv }) = self.parts.next() else { return Ok(None) };
        let batch =
            leat_arrow::to_batch(self.names.iter().cloned().zip(columns)).map_err(refused)?;
        Ok(Some((slice.word(), PyArrowType(batch), PyBytes::new(py, &csv))))
    }

    /// What was counted, as JSON that ends in a line break: of the whole bucket once all was iterated.
    fn counts(&self) -> PyResult<String> {
        let mut json = serde_json::to_string_pretty(self.parts.counts()).map_err(refused)?;
        json.push('\n');
        Ok(json)
    }
}

fn schema(columns: &[(String, Type)]) -> Schema {
    leat_arrow::schema(columns.iter().map(|(name, kind)| (name.as_str(), *kind)))
}

/// Cleansed rows, whatever the order of their columns.
fn piece(engine: &engine::Engine, rows: RecordBatch) -> PyResult<Piece> {
    let at = |(name, _): (String, Type)| {
        rows.schema_ref().index_of(&name).map_err(|_| {
            PyValueError::new_err(format!(
                "these are no cleansed rows of this recipe: there is no column `{name}`"
            ))
        })
    };
    let wanted = cleansed::columns(engine.recipe());
    let wanted = wanted.into_iter().map(at).collect::<PyResult<Vec<_>>>()?;
    let columns = columns(rows.project(&wanted).map_err(refused)?)?;
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = cleansed::read(engine.recipe(), columns).map_err(refused)?;
    Ok(Piece { batch, ..Piece::default() })
}

fn take(known: &mut Labels, labels: RecordBatch) -> PyResult<()> {
    let wanted = Labels::columns("id", "known_at", "label").len();
    if labels.num_columns() != wanted {
        return Err(PyValueError::new_err(format!(
            "labels have {wanted} columns, see label_columns; these have {}",
            labels.num_columns()
        )));
    }
    let columns = columns(labels)?;
    known
        .fits(columns.iter().map(|(name, column)| (name.as_str(), column.kind())))
        .map_err(refused)?;
    let columns: Vec<Column> = columns.into_iter().map(|(_, column)| column).collect();
    known.take(&columns);
    Ok(())
}

fn columns(batch: RecordBatch) -> PyResult<Vec<(String, Column)>> {
    leat_arrow::from_batch(batch).map_err(refused)
}

fn slice(word: &str) -> PyResult<Slice> {
    Slice::ALL.into_iter().find(|slice| slice.word() == word).ok_or_else(|| {
        PyValueError::new_err(format!("`{word}` is no slice: `train` or `evaluate`"))
    })
}

fn time(text: &str) -> PyResult<i64> {
    timestamp::parse(text).ok_or_else(|| {
        PyValueError::new_err(format!("`{text}` is no RFC 3339 time such as 2026-01-01T00:00:00Z"))
    })
}
