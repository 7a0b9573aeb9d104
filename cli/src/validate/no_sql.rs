//! Without an engine for queries `CustomSql` is refused with its ruleset, and no data set is kept for one.

use leat::column::{Column, Type};
use leat::quality::{Evaluation, Metrics};

use crate::answer::Refusal;

/// Whether queries are run.
pub const HERE: bool = false;

/// No data set.
#[derive(Default)]
pub struct Tables {}

impl Tables {
    /// Nothing is kept.
    pub fn add(&mut self, _: &str, _: &[(String, Type)]) -> Result<(), Refusal> {
        Ok(())
    }

    /// There is no query.
    pub fn begin(
        &mut self,
        _: &Evaluation,
        _: &[(String, Type)],
        _: impl FnOnce(Vec<leat::diagnostic::Diagnostic>) -> Refusal,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// Nothing is kept.
    pub fn update(&mut self, _: &str, _: &[Column], _: usize) -> Result<(), Refusal> {
        Ok(())
    }

    /// There is no query.
    pub fn answer(&self, _: &Evaluation, _: &mut Metrics) -> Result<(), Refusal> {
        Ok(())
    }
}
