//! The rows that queries of `CustomSql` read, in a `leat` that was built with an engine for them.

use leat::column::{Column, Type};
use leat::quality::reference::PRIMARY;
use leat::quality::{Evaluation, Metrics};
use leat_sql::SqlError;

use crate::answer::Refusal;

/// Whether queries are run.
pub const HERE: bool = true;

/// See [`leat_sql::Tables`]: those data sets that a query reads.
#[derive(Default)]
pub struct Tables(leat_sql::Tables);

impl Tables {
    /// A reference data set that a query names.
    pub fn add(&mut self, alias: &str, columns: &[(String, Type)]) -> Result<(), Refusal> {
        self.0.add(alias, columns).map_err(refusal)
    }

    /// The data itself, with these columns, if `evaluation` has a query; a query that cannot be read is refused by `refuse`.
    pub fn begin(
        &mut self,
        evaluation: &Evaluation,
        columns: &[(String, Type)],
        refuse: impl FnOnce(Vec<leat::diagnostic::Diagnostic>) -> Refusal,
    ) -> Result<(), Refusal> {
        let queries = evaluation.queries();
        if queries.is_empty() {
            return Ok(());
        }
        self.0.add(PRIMARY, columns).map_err(refusal)?;
        match self.0.check(queries) {
            Err(SqlError::Queries(errors)) => Err(refuse(errors)),
            checked => checked.map_err(refusal),
        }
    }

    /// The first `rows` rows of `columns` of a data set; nothing of one that no query reads.
    pub fn update(&mut self, alias: &str, columns: &[Column], rows: usize) -> Result<(), Refusal> {
        self.0.update(alias, columns, rows).map_err(refusal)
    }

    /// Runs the queries of `evaluation` over all rows.
    pub fn answer(&self, evaluation: &Evaluation, metrics: &mut Metrics) -> Result<(), Refusal> {
        let queries = evaluation.queries();
        if queries.is_empty() {
            return Ok(());
        }
        for (query, answer) in self.0.answer(queries).map_err(refusal)?.into_iter().enumerate() {
            evaluation.answer(metrics, query, answer);
        }
        Ok(())
    }
}

fn refusal(why: SqlError) -> Refusal {
    Refusal::new(why.to_string())
}
