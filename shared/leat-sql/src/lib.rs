//! `CustomSql` on one machine: the queries of a ruleset over rows in memory, by DataFusion, read as Spark's SQL as far as
//! that goes ([`dialect`]). `docs/dqdl.md` lists where the two engines differ.
//!
//! [`Tables`] takes the rows, [`Tables::check`] refuses queries that cannot be read before any row is there, and
//! [`Tables::answer`] answers the others as [`leat::quality::Evaluation::answer`] wants it. A query reads the tables
//! that were added and nothing else: no file, no network, no statement that changes anything. Memory and time are
//! bounded. One thread computes, in the order of the rows, so that the same rows give the same answer to the bit.

mod arrays;
pub mod dialect;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use leat::column::{Column, Type};
use leat::diagnostic::Diagnostic;
use leat::quality::reference::PRIMARY;
use leat::quality::sql::{Answer, Form, Query};

/// The most bytes that the rows of all tables may take, and again what queries may take beside them.
pub const MEMORY: usize = 4 << 30;
/// The longest that a query may take.
pub const TIME: Duration = Duration::from_secs(600);
/// Of the thread that plans: plans are trees, walked by functions that call themselves.
const STACK: usize = 512 << 20;

/// What cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// Queries that cannot be run, each with its place.
    #[error("{} queries cannot be run", .0.len())]
    Queries(Vec<Diagnostic>),
    /// Two columns whose names differ in case alone.
    #[error(
        "the columns `{0}` and `{1}` of `{2}` are one to SQL, which does not tell case apart: rename one"
    )]
    Columns(String, String, String),
    /// Two data sets, likewise.
    #[error(
        "the data sets `{0}` and `{1}` are one to SQL, which does not tell case apart: rename one"
    )]
    Aliases(String, String),
    /// There are too many rows.
    #[error(
        "the rows take more than {MEMORY} bytes, the most that `CustomSql` may hold: run it in Spark, by `cleanse`"
    )]
    Memory,
    /// The engine itself cannot be used.
    #[error("the engine for SQL does not work: {0}")]
    Engine(String),
}

/// The data sets that queries read.
#[derive(Debug, Default)]
pub struct Tables {
    tables: BTreeMap<String, Table>,
    bytes: usize,
}

#[derive(Debug)]
struct Table {
    alias: String,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Tables {
    /// Adds the data set `alias`, with these columns and without a row. The data itself is [`PRIMARY`].
    pub fn add(&mut self, alias: &str, columns: &[(String, Type)]) -> Result<(), SqlError> {
        let mut seen = BTreeMap::new();
        for (name, _) in columns {
            if let Some(other) = seen.insert(name.to_lowercase(), name) {
                let [a, b, of] = [other, name, alias].map(|name: &str| name.to_owned());
                return Err(SqlError::Columns(a, b, of));
            }
        }
        let table =
            Table { alias: alias.to_owned(), schema: arrays::schema(columns), batches: Vec::new() };
        match self.tables.insert(alias.to_lowercase(), table) {
            None => Ok(()),
            Some(other) => Err(SqlError::Aliases(other.alias, alias.to_owned())),
        }
    }

    /// Adds the first `rows` rows of `columns`, which are those of [`Tables::add`]; of an alias that was not added, nothing.
    pub fn update(&mut self, alias: &str, columns: &[Column], rows: usize) -> Result<(), SqlError> {
        let Some(table) = self.tables.get_mut(&alias.to_lowercase()) else { return Ok(()) };
        let batch = arrays::batch(&table.schema, columns, rows)
            .map_err(|why| SqlError::Engine(why.to_string()))?;
        self.bytes = self.bytes.saturating_add(batch.get_array_memory_size());
        if self.bytes > MEMORY {
            return Err(SqlError::Memory);
        }
        table.batches.push(batch);
        Ok(())
    }

    /// Refuses queries that cannot be read or name what is not there, all at once. No row needs to be there yet.
    pub fn check(&self, queries: &[Query]) -> Result<(), SqlError> {
        self.run(async |engine| {
            let mut errors = Vec::new();
            for query in queries {
                let planned = async {
                    let found = engine.query(&query.sql).await?;
                    match query.form {
                        Form::Value => {
                            found.create_physical_plan().await.map_err(|why| told(&why))?;
                        }
                        Form::Rows => {
                            if let Ok(matching) = engine.matching(found).await? {
                                matching.create_physical_plan().await.map_err(|why| told(&why))?;
                            }
                        }
                    }
                    Ok::<(), String>(())
                };
                errors.extend(planned.await.err().map(|why| query.refused(&why)));
            }
            if errors.is_empty() { Ok(()) } else { Err(SqlError::Queries(errors)) }
        })?
    }

    /// What each query answers over all rows, in the order of the queries.
    pub fn answer(&self, queries: &[Query]) -> Result<Vec<Answer>, SqlError> {
        self.run(async |engine| {
            let mut answers = Vec::with_capacity(queries.len());
            for query in queries {
                let answered = tokio::time::timeout(TIME, engine.answer(query)).await;
                answers.push(answered.unwrap_or_else(|_| {
                    Answer::Error(format!("it takes longer than {} s", TIME.as_secs()))
                }));
            }
            answers
        })
    }

    /// Runs `work` on a thread with a stack that is deep enough.
    fn run<T: Send>(&self, work: impl AsyncFnOnce(Engine) -> T + Send) -> Result<T, SqlError> {
        let engine = |why: &dyn std::fmt::Display| SqlError::Engine(why.to_string());
        std::thread::scope(|scope| {
            let run = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                let runtime = runtime.map_err(|why| engine(&why))?;
                Ok(runtime.block_on(work(Engine::new(self).map_err(|why| engine(&why))?)))
            };
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
            let done = thread.map_err(|why| engine(&why))?.join();
            done.unwrap_or_else(|_| Err(engine(&"it broke off")))
        })
    }
}

/// DataFusion with the tables, and with nothing else.
struct Engine {
    context: SessionContext,
    /// The columns of the data, by their names in lower case: those that queries know.
    primary: Vec<String>,
}

impl Engine {
    fn new(tables: &Tables) -> Result<Self, DataFusionError> {
        // One partition: sums are in the order of the rows.
        let mut config =
            SessionConfig::new().with_target_partitions(1).with_information_schema(false);
        // As to Spark, null is the least value.
        config.options_mut().sql_parser.default_null_ordering = "nulls_min".into();
        let no_files = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(MEMORY, 1.0)
            .with_disk_manager_builder(no_files)
            .build_arc()?;
        let mut context = SessionContext::new_with_config_rt(config, runtime);
        context.register_expr_planner(Arc::new(dialect::Operators))?;
        for (name, table) in &tables.tables {
            let rows = MemTable::try_new(table.schema.clone(), vec![table.batches.clone()])?;
            context.register_table(
                datafusion::common::TableReference::bare(name.as_str()),
                Arc::new(rows),
            )?;
        }
        let primary = tables
            .tables
            .get(PRIMARY)
            .map(|table| table.schema.fields().iter().map(|field| field.name().clone()).collect());
        Ok(Engine { context, primary: primary.unwrap_or_default() })
    }

    async fn query(&self, sql: &str) -> Result<DataFrame, String> {
        let statement = dialect::read(sql)?;
        let plan = self.context.state().statement_to_plan(statement).await;
        let plan = plan.map_err(|why| told(&why))?;
        let reads = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        reads.verify_plan(&plan).map_err(|why| told(&why))?;
        self.context.execute_logical_plan(plan).await.map_err(|why| told(&why))
    }

    /// The rows of `primary` that have the values of a row of `found`; else the columns that `primary` has not.
    async fn matching(&self, found: DataFrame) -> Result<Result<DataFrame, Vec<String>>, String> {
        let named = found.schema().columns();
        let unknown = |name: &&str| !self.primary.iter().any(|other| other == name);
        let lower: Vec<String> = named.iter().map(|column| column.name.to_lowercase()).collect();
        let strange: Vec<String> =
            lower.iter().map(String::as_str).filter(unknown).map(str::to_owned).collect();
        if !strange.is_empty() {
            return Ok(Err(strange));
        }
        let both = async {
            let ours = lower.iter().enumerate().map(|(at, name)| {
                Expr::Column(datafusion::common::Column::from_name(name)).alias(format!("_{at}"))
            });
            let theirs = named.into_iter().enumerate();
            let theirs = theirs.map(|(at, column)| Expr::Column(column).alias(format!("_{at}")));
            let ours = self.context.table(PRIMARY).await?.select(ours.collect::<Vec<_>>())?;
            // All rows of the left that are on the right; null is like null.
            ours.intersect(found.select(theirs.collect::<Vec<_>>())?)
        };
        both.await.map(Ok).map_err(|why| told(&why))
    }

    async fn answer(&self, query: &Query) -> Answer {
        let found = match self.query(&query.sql).await {
            Ok(found) => found,
            Err(why) => return Answer::Error(why),
        };
        match query.form {
            Form::Value => value(found).await.unwrap_or_else(|why| Answer::Error(broke(&why))),
            Form::Rows => match self.matching(found).await {
                Err(why) => Answer::Error(why),
                Ok(Err(unknown)) => Answer::Unknown(unknown),
                Ok(Ok(matching)) => {
                    self.share(matching).await.unwrap_or_else(|why| Answer::Error(broke(&why)))
                }
            },
        }
    }

    async fn share(&self, matching: DataFrame) -> Result<Answer, DataFusionError> {
        let passed = matching.count().await? as u64;
        let rows = self.context.table(PRIMARY).await?.count().await? as u64;
        Ok(Answer::Rows { passed, rows })
    }
}

async fn value(found: DataFrame) -> Result<Answer, DataFusionError> {
    let kinds: Vec<DataType> =
        found.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    let [kind] = &kinds[..] else { return Ok(Answer::Columns(kinds.len() as u64)) };
    if !kind.is_numeric() {
        return Ok(Answer::NoNumber);
    }
    let batches = found.limit(0, Some(2))?.collect().await?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let column = batches.iter().find(|batch| batch.num_rows() > 0).map(|batch| batch.column(0));
    let (1, Some(column)) = (rows, column) else { return Ok(Answer::Results(rows as u64)) };
    if column.is_null(0) {
        return Ok(Answer::Null);
    }
    let value = ScalarValue::try_from_array(column, 0)?.cast_to(&DataType::Float64)?;
    Ok(match value {
        ScalarValue::Float64(Some(value)) => Answer::number(value),
        _ => Answer::Null,
    })
}

/// Why a query cannot be planned: it speaks of names and types, not of values.
fn told(why: &DataFusionError) -> String {
    why.strip_backtrace().lines().next().unwrap_or_default().to_owned()
}

/// Why a query broke off. The engine's own text may hold values.
fn broke(why: &DataFusionError) -> String {
    match why.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            format!("it takes more than {MEMORY} bytes beside the rows")
        }
        DataFusionError::ArrowError(why, _) => match **why {
            ArrowError::DivideByZero => "a division by zero".into(),
            ArrowError::ArithmeticOverflow(_) => "a number is too large for its type".into(),
            ArrowError::CastError(_) | ArrowError::ParseError(_) => {
                "a value is none of the type that is wanted".into()
            }
            _ => "an error over the values".into(),
        },
        _ => "an error over the values".into(),
    }
}

#[cfg(test)]
mod tests;
