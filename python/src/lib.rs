//! The wheel `leat`: the engine for Python, Arrow in and Arrow out. It is the same code as in every function and in the
//! command line; Spark runs it on Glue by `mapInArrow`.

mod features;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_pyarrow::PyArrowType;
use arrow_schema::{DataType, Schema};
use leat::cleansed;
use leat::column::{Column, Type, Value};
use leat::decode::Batch;
use leat::diagnostic::Diagnostic;
use leat::encode::quarantine;
use leat::engine::{self, Source};
use leat::protect::Keys;
use leat::quality::{Evaluation, Method, Metrics, Outcome, RowRules, Ruleset};
use leat::record::{Coordinates, Position, Reason, Reject, bucket_of};
use leat::sentinel::{self, Sentinel};
use leat::timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::json;

/// The columns that `cleanse` adds to those of the cleansed zone.
const ADDED: [(&str, Type); 5] = [
    ("_date", Type::String),
    ("_bucket", Type::Long),
    ("_rule", Type::String),
    ("_quarantine", Type::String),
    ("_sentinel", Type::String),
];

/// A recipe with its ruleset and keys, ready to run. Making one raises ValueError with every error of the texts, by file,
/// line and column.
#[pyclass(frozen, module = "leat")]
struct Engine {
    engine: engine::Engine,
    /// The rules that are about the data set, not about a row.
    set_rules: Option<Evaluation>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (recipe, *, rules=None, secret=None, recipe_file="recipe.yaml", rules_file="quality.dqdl"))]
    fn new(
        recipe: &str,
        rules: Option<&str>,
        secret: Option<&[u8]>,
        recipe_file: &str,
        rules_file: &str,
    ) -> PyResult<Self> {
        let recipe = Source { file: recipe_file, text: recipe };
        let rules = rules.map(|text| Source { file: rules_file, text });
        let engine = engine_of(recipe, rules, secret)?;
        engine.ready().map_err(refused)?;
        let set_rules = match engine.ruleset() {
            None => None,
            Some(ruleset) => {
                let wrong = |errors: Vec<Diagnostic>| diagnosed(&errors, recipe, rules);
                Some(set_rules(&engine, ruleset).map_err(wrong)?)
            }
        };
        Ok(Engine { engine, set_rules })
    }

    /// The hash of recipe and ruleset: 64 hexadecimal digits.
    #[getter]
    fn hash(&self) -> &str {
        self.engine.hash()
    }

    /// The pyarrow.Schema of rows in the cleansed zone.
    #[getter]
    fn schema(&self) -> PyArrowType<Schema> {
        let columns = cleansed::columns(self.engine.recipe());
        PyArrowType(leat_arrow::schema(columns.iter().map(|(name, kind)| (name.as_str(), *kind))))
    }

    /// Decodes, checks and protects lines.
    ///
    /// `lines` is a RecordBatch of `source` (string), `line` (int64, from 0), `data` (binary or string, without line end),
    /// `trusted` (bool: believe `_leat`) and `damage` (string: not null for a part of an object that cannot be opened, and
    /// why). Answers a RecordBatch with a row for each line that is not blank: the columns of `schema`; `_date` (of the event
    /// time, UTC) and `_bucket` (of the entity, below `buckets`); and for a line that cannot go on `_rule` and `_quarantine`, its
    /// quarantine line, with null in all others but `_source`, `_line` and `_bucket`. A sentinel, which is no event, has
    /// `_sentinel` (`<id>/<shard>`) and the `_rule` that drops it in place of those. No line raises anything.
    fn cleanse(
        &self,
        lines: PyArrowType<RecordBatch>,
        buckets: u32,
    ) -> PyResult<PyArrowType<RecordBatch>> {
        let lines = Lines::of(&lines.0)?;
        let mut decoded = Decoded {
            batch: self.engine.decoder().batch(),
            origins: Vec::new(),
            rejects: Vec::new(),
            sentinels: Vec::new(),
        };
        for at in 0..lines.len() {
            decoded.line(&self.engine, &lines, at);
        }
        self.engine.judge(&mut decoded.batch).map_err(refused)?;
        let batch = self.split(decoded, &lines, buckets)?;
        Ok(PyArrowType(batch))
    }

    /// Counts what the data-set rules ask of rows with the columns of `schema`; JSON for `verdict`.
    fn measure(&self, rows: PyArrowType<RecordBatch>) -> PyResult<String> {
        let Some(rules) = &self.set_rules else { return Ok(String::new()) };
        let count = rows.0.num_rows();
        let fields = self.engine.recipe().schema.fields.len();
        let fields: Vec<usize> = (0..fields.min(rows.0.num_columns())).collect();
        let rows = rows.0.project(&fields).map_err(refused)?;
        let columns = leat_arrow::from_batch(rows).map_err(refused)?;
        let columns: Vec<Column> = columns.into_iter().map(|(_, column)| column).collect();
        let mut metrics = rules.start();
        rules.update(&mut metrics, &columns, count);
        serde_json::to_string(&metrics).map_err(refused)
    }

    /// Merges what `measure` counted, in parts, and judges: JSON of `passed`, false if a rule halts, and of all `outcomes`.
    /// `rejected` is how many rows each row rule rejected: one that is labelled to halt does, and is an outcome, too.
    #[pyo3(signature = (parts, rejected = BTreeMap::new()))]
    fn verdict(&self, parts: Vec<String>, rejected: BTreeMap<String, u64>) -> PyResult<String> {
        let (mut passed, mut all) = (true, Vec::new());
        if let Some(rules) = &self.set_rules {
            let mut metrics = rules.start();
            for part in parts.iter().filter(|part| !part.is_empty()) {
                let part: Metrics = serde_json::from_str(part).map_err(refused)?;
                metrics.merge(&part).map_err(refused)?;
            }
            let outcomes = rules.finish(&metrics).map_err(refused)?;
            passed = !outcomes.iter().any(Outcome::halts);
            all.extend(outcomes.iter().map(|outcome| json!(outcome)));
        }
        for rule in self.engine.rules().into_iter().flat_map(RowRules::halting) {
            if let Some(count @ 1..) = rejected.get(rule) {
                let reason = format!("it rejects {count} rows");
                all.push(
                    json!({"rule": rule, "outcome": "Failed", "reason": reason, "metrics": {}}),
                );
                passed = false;
            }
        }
        Ok(json!({"passed": passed, "outcomes": all}).to_string())
    }

    fn __repr__(&self) -> String {
        format!("leat.Engine({:?}, hash={:?})", self.engine.recipe().name, self.engine.hash())
    }
}

/// Reads a recipe and its ruleset. Raises ValueError with every error of the texts.
fn engine_of(
    recipe: Source<'_>,
    rules: Option<Source<'_>>,
    secret: Option<&[u8]>,
) -> PyResult<engine::Engine> {
    let wrong = |errors: Vec<Diagnostic>| diagnosed(&errors, recipe, rules);
    let keys = secret.map(Keys::from_secret).transpose().map_err(refused)?;
    let read = engine::read(recipe).map_err(wrong)?;
    engine::Engine::new(read, rules, keys).map_err(wrong)
}

/// The name of the ruleset's file, which lies beside the recipe; None if the recipe has none.
#[pyfunction]
#[pyo3(signature = (recipe, *, recipe_file="recipe.yaml"))]
fn quality_file(recipe: &str, recipe_file: &str) -> PyResult<Option<String>> {
    let recipe = Source { file: recipe_file, text: recipe };
    let read = engine::read(recipe).map_err(|errors| diagnosed(&errors, recipe, None))?;
    Ok(read.quality)
}

/// The engine of Leat: the same recipe, the same features, to the bit.
#[pymodule(name = "leat")]
fn wheel(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add("MissingKeys", m.py().get_type::<features::MissingKeys>())?;
    m.add_class::<Engine>()?;
    m.add_class::<features::Features>()?;
    m.add_class::<features::Curation>()?;
    m.add_function(wrap_pyfunction!(quality_file, m)?)
}

/// What `lines` of a call are, by column.
struct Lines {
    source: ArrayRef,
    line: ArrayRef,
    data: ArrayRef,
    trusted: ArrayRef,
    damage: ArrayRef,
}

impl Lines {
    fn of(batch: &RecordBatch) -> PyResult<Self> {
        let column = |name: &str, kind: DataType| {
            let found = batch.column_by_name(name).ok_or_else(|| {
                PyValueError::new_err(format!("the lines have no column `{name}`"))
            })?;
            let text = matches!(found.data_type(), DataType::Utf8) && kind == DataType::Binary;
            if found.data_type() == &kind {
                return Ok(found.clone());
            }
            if text {
                let texts = found.as_string::<i32>();
                let bytes: arrow_array::BinaryArray =
                    texts.iter().map(|t| t.map(str::as_bytes)).collect();
                return Ok(Arc::new(bytes) as ArrayRef);
            }
            Err(PyValueError::new_err(format!(
                "the lines' column `{name}` is {}, not {kind}",
                found.data_type()
            )))
        };
        Ok(Lines {
            source: column("source", DataType::Utf8)?,
            line: column("line", DataType::Int64)?,
            data: column("data", DataType::Binary)?,
            trusted: column("trusted", DataType::Boolean)?,
            damage: column("damage", DataType::Utf8)?,
        })
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn data(&self, at: usize) -> &[u8] {
        let data = self.data.as_binary::<i32>();
        if data.is_null(at) { &[] } else { data.value(at) }
    }

    fn number(&self, at: usize) -> u64 {
        u64::try_from(self.line.as_primitive::<Int64Type>().value(at)).unwrap_or_default()
    }

    fn trusted(&self, at: usize) -> bool {
        let trusted = self.trusted.as_boolean();
        trusted.is_valid(at) && trusted.value(at)
    }

    fn damage(&self, at: usize) -> Option<&str> {
        let damage = self.damage.as_string::<i32>();
        damage.is_valid(at).then(|| damage.value(at))
    }
}

/// Rows, each with the line that it came from; rejects and sentinels, each likewise.
struct Decoded {
    batch: Batch,
    origins: Vec<usize>,
    rejects: Vec<(usize, Reject)>,
    sentinels: Vec<(usize, Sentinel)>,
}

impl Decoded {
    fn line(&mut self, engine: &engine::Engine, lines: &Lines, at: usize) {
        let coordinates = Coordinates {
            source: lines.source.as_string::<i32>().value(at).into(),
            shard: "".into(),
            position: Position { line: lines.number(at), ..Position::default() },
            arrival: None,
        };
        let mut rejects = Vec::new();
        match lines.damage(at) {
            Some(why) => rejects.push(Reject {
                coordinates,
                reason: Reason { rule: "gzip".into(), message: why.into() },
                payload: lines.data(at).to_vec(),
            }),
            None => {
                let (data, trusted) = (lines.data(at), lines.trusted(at));
                let decoder = engine.decoder();
                let found = decoder.line(coordinates, data, trusted, &mut self.batch, &mut rejects);
                self.sentinels.extend(found.map(|sentinel| (at, sentinel)));
            }
        }
        self.origins.resize(self.batch.len(), at);
        self.rejects.extend(rejects.into_iter().map(|reject| (at, reject)));
    }
}

impl Engine {
    /// Good rows first, then what goes to quarantine, then sentinels.
    fn split(&self, decoded: Decoded, lines: &Lines, buckets: u32) -> PyResult<RecordBatch> {
        let Decoded { batch, origins, mut rejects, sentinels } = decoded;
        let (good, refused_rows): (Vec<usize>, Vec<usize>) =
            (0..batch.len()).partition(|&row| !engine::fails(&batch.rows[row]));
        for row in refused_rows {
            let line = lines.data(origins[row]).to_vec();
            rejects.push((origins[row], engine::reject(&batch.rows[row], line)));
        }
        rejects.sort_by_key(|(at, _)| *at);
        let batch = if good.len() == batch.len() { batch } else { batch.gather(&good) };

        let mut added = ADDED.map(|(_, kind)| Column::new(kind));
        let [dates, bucket_column, rules, quarantined, named] = &mut added;
        for row in 0..batch.len() {
            let date = timestamp::to_text(self.engine.event_time(&batch, row));
            let date = date.split_once('T').map_or(date.as_str(), |(date, _)| date);
            dates.push(Value::String(date));
            let bucket = bucket_of(&self.engine.entity(&batch, row), buckets);
            bucket_column.push(Value::Long(i64::from(bucket)));
            rules.push(Value::Null);
            quarantined.push(Value::Null);
            named.push(Value::Null);
        }
        let rows = batch.len();
        let mut columns = cleansed::write(self.engine.recipe(), &batch);
        let names: Vec<(String, Type)> = cleansed::columns(self.engine.recipe());
        let others = rejects.iter().map(|(at, _)| at).chain(sentinels.iter().map(|(at, _)| at));
        for &at in others {
            for ((name, _), column) in names.iter().zip(&mut columns) {
                column.push(match name.as_str() {
                    "_source" => Value::String(lines.source.as_string::<i32>().value(at)),
                    "_line" => Value::Long(i64::try_from(lines.number(at)).unwrap_or(i64::MAX)),
                    _ => Value::Null,
                });
            }
            dates.push(Value::Null);
            // They are spread over the buckets by line.
            let bucket = lines.number(at) % u64::from(buckets.max(1));
            bucket_column.push(Value::Long(i64::try_from(bucket).unwrap_or_default()));
        }
        let mut text = Vec::new();
        for (_, reject) in &rejects {
            text.clear();
            quarantine::write(reject, &mut text);
            let line = String::from_utf8_lossy(&text);
            rules.push(Value::String(&reject.reason.rule));
            quarantined.push(Value::String(line.trim_end()));
            named.push(Value::Null);
        }
        for (_, sentinel) in &sentinels {
            rules.push(Value::String(sentinel::RULE));
            quarantined.push(Value::Null);
            named.push(Value::String(&sentinel.name()));
        }
        let all = rows + rejects.len() + sentinels.len();
        debug_assert_eq!(columns.first().map(Column::len), Some(all));
        let names = names.into_iter().map(|(name, _)| name);
        let added = ADDED.iter().map(|(name, _)| (*name).to_owned()).zip(added);
        leat_arrow::to_batch(names.zip(columns).chain(added)).map_err(refused)
    }
}

/// The rules of `ruleset` that judge no single row, ready for the cleansed fields: row rules were applied already, to raw values.
fn set_rules(engine: &engine::Engine, ruleset: &Ruleset) -> Result<Evaluation, Vec<Diagnostic>> {
    let recipe = engine.recipe();
    let fields: Vec<(String, Type)> =
        recipe.schema.fields.iter().map(|f| (f.name.clone(), recipe.kind(f))).collect();
    Evaluation::compile(&ruleset.about_the_data_set(), &fields, None, Method::default())
}

/// All errors, each with its line and a caret.
fn diagnosed(errors: &[Diagnostic], recipe: Source<'_>, rules: Option<Source<'_>>) -> PyErr {
    let render = |error: &Diagnostic| {
        let of =
            [Some(recipe), rules].into_iter().flatten().find(|source| source.file == error.file);
        error.render(of.map_or("", |source| source.text))
    };
    PyValueError::new_err(errors.iter().map(render).collect::<Vec<_>>().join("\n"))
}

fn refused(why: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(why.to_string())
}
