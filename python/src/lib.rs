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
use leat::quality::history::asks_for_history;
use leat::quality::result::{Findings, RejectedBy, RuleResult, SAMPLES, of_sorted_rows};
use leat::quality::sql::{Form, Query};
use leat::quality::tree::Rule;
use leat::quality::{
    Context, Evaluation, Method, Metrics, Place, QualityResult, Report, Ruleset, Status,
};
use leat::record::{self, Coordinates, Position, Reason, Reject, bucket_of};
use leat::sentinel::{self, Sentinel};
use leat::timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

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
    /// The rules that are about the data set, not about a row, and ask for no earlier runs.
    set_rules: Option<Evaluation>,
    /// The run's logical time, in microseconds.
    now: Option<i64>,
}

/// Why a rule is not asked here.
const ELSEWHERE: &str =
    "it asks for what earlier runs measured: the gate of a training run keeps that and asks it";
/// Why no rule about the data set is asked of sentinels alone.
const NO_ROW: &str = "no event came: there is nothing to judge";

/// What was counted of some rows.
#[derive(Default, Serialize, Deserialize)]
struct Part {
    /// How many there are.
    rows: u64,
    /// What the rules about the data set count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics>,
    /// Where rows stand that fail a rule about the data set which does not hold of these rows, by its index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    samples: BTreeMap<usize, Vec<Place>>,
    /// By rule that only warns, how many rows fail it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    warned: BTreeMap<String, u64>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (recipe, *, rules=None, secret=None, recipe_file="recipe.yaml", rules_file="quality.dqdl", now=None))]
    fn new(
        recipe: &str,
        rules: Option<&str>,
        secret: Option<&[u8]>,
        recipe_file: &str,
        rules_file: &str,
        now: Option<&str>,
    ) -> PyResult<Self> {
        let now = now.map(|now| {
            timestamp::parse(now).ok_or_else(|| refused(format!("`{now}` is no RFC 3339 time")))
        });
        let now = now.transpose()?;
        let recipe = Source { file: recipe_file, text: recipe };
        let rules = rules.map(|text| Source { file: rules_file, text });
        let engine = engine_of(recipe, rules, secret)?;
        engine.ready().map_err(refused)?;
        let set_rules = match engine.ruleset() {
            None => None,
            Some(ruleset) => {
                let wrong = |errors: Vec<Diagnostic>| diagnosed(&errors, recipe, rules);
                Some(set_rules(&engine, ruleset, now).map_err(wrong)?)
            }
        };
        Ok(Engine { engine, set_rules, now })
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

    /// The names of the fields that rules about the data set see: those of the recipe's schema.
    #[getter]
    fn fields(&self) -> Vec<String> {
        self.engine.recipe().schema.fields.iter().map(|field| field.name.clone()).collect()
    }

    /// The queries of `CustomSql` that `verdict` wants answers to, in their order: each as its SQL, whether it asks which
    /// rows of `primary` it answers (else for a number), its rule, and `file:line:column` of the rule.
    fn queries(&self) -> Vec<(String, bool, String, String)> {
        let queries = self.set_rules.iter().flat_map(Evaluation::queries);
        let told = |query: &Query| {
            let place = format!("{}:{}:{}", query.file, query.place.line, query.place.column);
            (query.sql.clone(), query.form == Form::Rows, query.rule.clone(), place)
        };
        queries.map(told).collect()
    }

    /// Counts what the data-set rules ask of rows with the columns of `schema`; JSON for `verdict`.
    fn measure(&self, rows: PyArrowType<RecordBatch>) -> PyResult<String> {
        let count = rows.0.num_rows();
        let columns = leat_arrow::from_batch(rows.0).map_err(refused)?;
        let warned = warned(&columns, count)?;
        let mut part = Part { rows: count as u64, warned, ..Part::default() };
        if let Some(rules) = &self.set_rules {
            let columns: Vec<Column> = columns.into_iter().map(|(_, column)| column).collect();
            let mut metrics = rules.start();
            rules.update(&mut metrics, &columns, count);
            let outcomes = rules.finish(&metrics).map_err(refused)?;
            let most: Vec<usize> = outcomes
                .iter()
                .map(|rule| if rule.outcome == Status::Passed { 0 } else { SAMPLES })
                .collect();
            let failing = rules.failing(&metrics, &columns, count, &most).map_err(refused)?;
            if failing.iter().flatten().any(|rows| !rows.is_empty()) {
                let batch = cleansed::read(self.engine.recipe(), columns).map_err(refused)?;
                for (rule, rows) in failing.into_iter().enumerate() {
                    let rows = rows.unwrap_or_default().into_iter();
                    let places: Vec<Place> =
                        rows.map(|row| Place::from(&batch.rows[row].coordinates)).collect();
                    if !places.is_empty() {
                        part.samples.insert(rule, places);
                    }
                }
            }
            part.metrics = Some(metrics);
        }
        serde_json::to_string(&part).map_err(refused)
    }

    /// Merges what `measure` counted, in parts, and judges: the record of the run, as JSON. Its `decision` is `halt` if a rule
    /// halts, and `halted_by` says which and why. `rejected` is JSON of the rows that each rule rejected: by rule `count`,
    /// `reason` and `samples` (`source`, `line` from 1). `answers` has the answer to each of `queries`, as JSON: `{"value": 1.5}`, `{"rows": {"passed": 3, "rows": 4}}`,
    /// `"null"`, `"not_finite"`, `"no_number"`, `{"columns": 2}`, `{"results": 0}`, `{"unknown": ["column"]}`, `{"error": "why"}`.
    /// `events` is false where no event came, but sentinels: rules about the data set are not asked then, as those are
    /// not that ask for earlier runs.
    #[pyo3(signature = (parts, rejected="{}", *, dataset="", run="", dropped=0, events=true, answers=Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "Python names them")]
    fn verdict(
        &self,
        parts: Vec<String>,
        rejected: &str,
        dataset: &str,
        run: &str,
        dropped: u64,
        events: bool,
        answers: Vec<String>,
    ) -> PyResult<String> {
        let rejected: RejectedBy = serde_json::from_str(rejected).map_err(refused)?;
        let (mut samples, mut warned) = (BTreeMap::<usize, Vec<Place>>::new(), BTreeMap::new());
        let (mut metrics, mut rows) = (self.set_rules.as_ref().map(Evaluation::start), 0);
        for part in parts {
            let part: Part = serde_json::from_str(&part).map_err(refused)?;
            rows += part.rows;
            if let (Some(metrics), Some(part)) = (&mut metrics, &part.metrics) {
                metrics.merge(part).map_err(refused)?;
            }
            for (rule, places) in part.samples {
                samples.entry(rule).or_default().extend(places);
            }
            for (rule, count) in part.warned {
                *warned.entry(rule).or_default() += count;
            }
        }
        if let (Some(rules), Some(metrics)) = (&self.set_rules, &mut metrics) {
            for (query, answer) in answers.iter().enumerate() {
                rules.answer(metrics, query, serde_json::from_str(answer).map_err(refused)?);
            }
        }
        let report = match (&self.set_rules, &metrics) {
            (Some(rules), Some(metrics)) if events => rules.report(metrics).map_err(refused)?,
            _ => Report::default(),
        };
        let of_set = report.outcomes.into_iter().enumerate().map(|(rule, outcome)| {
            let mut places = samples.remove(&rule).unwrap_or_default();
            places.sort();
            places.truncate(if outcome.outcome == Status::Passed { 0 } else { SAMPLES });
            RuleResult::new(outcome, places)
        });
        let skipped = |rule: &Rule| match (events, asks_for_history(rule)) {
            (false, _) => Some(NO_ROW),
            (true, true) => Some(ELSEWHERE),
            (true, false) => None,
        };
        let outcomes = self
            .engine
            .ruleset()
            .map(|ruleset| of_sorted_rows(ruleset, &rejected, &warned, of_set, skipped));
        let about = self.engine.about(dataset, run, self.now.unwrap_or_default());
        let sentinels = (dropped > 0).then(|| (sentinel::RULE.to_owned(), dropped));
        let findings = Findings {
            outcomes: outcomes.unwrap_or_default(),
            rows,
            rejected,
            dropped: sentinels.into_iter().collect(),
            analyzers: report.analyzers,
            measured: report.measured,
            ..Findings::default()
        };
        serde_json::to_string(&QualityResult::new(about, findings)).map_err(refused)
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

/// The rules of `ruleset` that judge no single row and ask for no earlier runs, ready for the cleansed fields: row rules were
/// applied already, to raw values.
fn set_rules(
    engine: &engine::Engine,
    ruleset: &Ruleset,
    now: Option<i64>,
) -> Result<Evaluation, Vec<Diagnostic>> {
    let ruleset = ruleset.about_the_data_set().without_history();
    let now = now.map(|now| now.div_euclid(1000));
    let context = Context { sql: true, ..Context::new(now, Method::default()) };
    Evaluation::within(&ruleset, &engine.recipe().columns(), &context)
}

/// By rule that only warns, how many of the cleansed rows say that they fail it.
fn warned(columns: &[(String, Column)], rows: usize) -> PyResult<BTreeMap<String, u64>> {
    let mut warned = BTreeMap::new();
    let Some((_, verdicts)) = columns.iter().find(|(name, _)| name == "_verdict") else {
        return Ok(warned);
    };
    for row in 0..rows {
        // Mostly there is nothing to count.
        let text = verdicts.text(row).filter(|text| text.contains("\"warned\""));
        let Some(text) = text else { continue };
        let verdict: record::Verdict = serde_json::from_str(text).map_err(refused)?;
        for rule in verdict.warned {
            *warned.entry(rule).or_default() += 1;
        }
    }
    Ok(warned)
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
