//! How the rules of each type are evaluated over a data set: a file for each family, named by DQDL's terms. The table of
//! [`super::types`] names for each type the function here that readies it.

pub mod aggregate_match;
pub mod column_correlation;
pub mod completeness;
pub mod custom_sql;
pub mod dataset_match;
pub mod detect_anomalies;
pub mod files;
pub mod referential_integrity;
pub mod row_count;
pub mod row_share;
pub mod schema;
pub mod statistics;
#[cfg(test)]
mod tests;
pub mod uniqueness;

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::counter::{Count, Counter, Extent, Findings, Rows, State};
use super::frequencies::{Frequencies, ValueHasher};
use super::metrics::Context;
use super::names;
use super::numbers::NumberTest;
use super::predicate::Predicate;
use super::reference::Reference;
use super::row_test::{Refusal, refuse_tags, slot_of};
use super::sql::{Answer, Query};
use super::tree::{Condition, Number, Ruleset, Single, Test};
use crate::column::Type;
use crate::number::{self, Comoments, Moments};

/// A rule of one type, ready for a data set.
pub trait Check: Debug + Send + Sync {
    /// What the rule says of all that was counted.
    fn finish(&self, counted: &Counted<'_>) -> Found;

    /// What the rule says of a row, when all rows were counted; none where it does not look at rows one by one.
    fn judge(&self, _: &mut Judge<'_>) -> Option<RowOutcome> {
        None
    }
}

/// What a rule says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// It meets the rule.
    Passed,
    /// It does not.
    Failed,
    /// `where` left it out.
    Skipped,
}

/// A row, and all that was counted.
pub struct Judge<'a> {
    /// What was counted.
    pub counted: Counted<'a>,
    /// What counted it.
    pub counters: &'a [Counter],
    /// The rows.
    pub rows: &'a Rows<'a>,
    /// The row.
    pub row: usize,
    /// Hashes values.
    pub hasher: &'a mut ValueHasher,
}

impl Judge<'_> {
    /// The verdict `passes`, if the counter `at` looks at the row.
    pub fn of(
        &mut self,
        at: usize,
        passes: impl FnOnce(&mut Self, &Count) -> bool,
    ) -> Option<RowOutcome> {
        let counter = self.counters.get(at)?;
        if !self.rows.keeps(counter.filter, self.row) {
            return Some(RowOutcome::Skipped);
        }
        let passes = passes(self, &counter.what);
        Some(if passes { RowOutcome::Passed } else { RowOutcome::Failed })
    }

    /// Whether a counter of rows counts the row.
    pub fn takes(&mut self, at: usize) -> Option<RowOutcome> {
        self.of(at, |judge, what| what.takes(judge.hasher, judge.rows.columns, judge.row))
    }
}

/// What was found of a rule.
#[derive(Debug, PartialEq)]
pub struct Found {
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was measured.
    pub metrics: Vec<(String, f64)>,
    /// Rows that passed and rows that failed, where the rule looks at rows one by one.
    pub rows: Option<(u64, u64)>,
}

/// Whether a rule holds, and why.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It does; perhaps there is something to say.
    Passed(Option<String>),
    /// It does not.
    Failed(String),
    /// It cannot be said.
    Error(String),
}

impl Found {
    /// Nothing but a verdict.
    pub fn verdict(verdict: Verdict) -> Self {
        Found { verdict, metrics: Vec::new(), rows: None }
    }
}

/// What was counted of a data set.
#[derive(Clone, Copy)]
pub struct Counted<'a> {
    /// By counter.
    pub states: &'a [State],
    /// By query.
    pub answers: &'a BTreeMap<usize, Answer>,
}

/// A counter of rows of the kind that rules about one column have.
macro_rules! state {
    ($name:ident, $kind:ident, $type:ty) => {
        /// What this counter counted; nothing if it counts something else (a bug of the caller).
        pub fn $name(&self, at: usize) -> Option<&$type> {
            match self.states.get(at) {
                Some(State::$kind(state)) => Some(state),
                _ => None,
            }
        }
    };
}

impl Counted<'_> {
    state!(findings, Findings, Findings);
    state!(moments, Moments, Moments);
    state!(comoments, Comoments, Comoments);
    state!(extent, Extent, Extent);
    state!(frequencies, Frequencies, Frequencies);

    /// A number of rows.
    pub fn number(&self, at: usize) -> u64 {
        match self.states.get(at) {
            Some(State::Number(number)) => *number,
            _ => 0,
        }
    }
}

/// What rules are readied with.
pub struct Preparation<'a> {
    /// The ruleset.
    pub ruleset: &'a Ruleset,
    /// The columns of the data.
    pub columns: &'a [(String, Type)],
    /// All else that is known.
    pub context: &'a Context<'a>,
    /// What is counted.
    pub counters: &'a mut Vec<Counter>,
    /// The predicates of `where`, each once.
    pub predicates: &'a mut Vec<(String, Predicate)>,
    /// The queries, each once.
    pub queries: &'a mut Vec<Query>,
}

/// How a rule is readied.
pub type Prepare = fn(&mut Preparation<'_>, &Single) -> Result<Box<dyn Check>, Refusal>;

impl Preparation<'_> {
    /// A parameter's text.
    pub fn text(&self, single: &Single, at: usize) -> String {
        single.parameters.get(at).map(|p| self.ruleset.text(p).to_owned()).unwrap_or_default()
    }

    /// The slots of all parameters, which are columns.
    pub fn slots(&self, single: &Single) -> Result<Vec<usize>, Refusal> {
        let texts = single.parameters.iter().map(|p| self.ruleset.text(p));
        texts.map(|name| slot_of(self.columns, name)).collect()
    }

    /// The slots of `names`.
    pub fn slots_of(&self, names: &[String]) -> Result<Vec<usize>, Refusal> {
        names.iter().map(|name| slot_of(self.columns, name)).collect()
    }

    /// The predicate of `where`, compiled once for all rules that have it.
    pub fn filter(&mut self, single: &Single) -> Result<Option<usize>, Refusal> {
        let Some(text) = &single.filter else { return Ok(None) };
        if let Some(at) = self.predicates.iter().position(|(other, _)| other == text) {
            return Ok(Some(at));
        }
        let predicate = Predicate::new(text, self.columns).map_err(Refusal::Filter)?;
        self.predicates.push((text.clone(), predicate));
        Ok(Some(self.predicates.len() - 1))
    }

    /// The counter of `what`, one for all rules that ask for it.
    pub fn count(&mut self, what: Count, filter: Option<usize>) -> usize {
        let name = match &what {
            // Each its own.
            Count::Found(_) | Count::Composite(_) | Count::Known(..) | Count::Matched { .. } => {
                self.counters.len().to_string()
            }
            shared => format!("{shared:?} {filter:?}"),
        };
        if let Some(at) = self.counters.iter().position(|counter| counter.name == name) {
            return at;
        }
        self.counters.push(Counter { name, what, filter });
        self.counters.len() - 1
    }

    /// The query, run once for all rules that ask the same of it.
    pub fn query(&mut self, query: Query) -> usize {
        let same = |other: &Query| (&other.sql, other.form) == (&query.sql, query.form);
        if let Some(at) = self.queries.iter().position(same) {
            return at;
        }
        self.queries.push(query);
        self.queries.len() - 1
    }

    /// The rule's number condition; none for an analyzer.
    pub fn test(&self, single: &Single) -> Result<Option<NumberTest>, Refusal> {
        match &single.condition {
            None => Ok(None),
            Some(Condition::Number(test)) => number_test(test).map(Some),
            Some(other) => {
                Err(Refusal::Unfit(format!("`{}` has no condition `{other}`", single.kind.name)))
            }
        }
    }

    /// The rule's threshold.
    pub fn threshold(&self, single: &Single) -> Result<Option<NumberTest>, Refusal> {
        single.threshold.as_ref().map(number_test).transpose()
    }

    /// The reference data set `alias`; none where it is not known yet.
    pub fn reference(&self, alias: &str) -> Result<Option<&Reference>, Refusal> {
        match self.context.references.get(alias) {
            Some(reference) => Ok(Some(reference)),
            None if self.context.draft => Ok(None),
            None => Err(Refusal::Unfit(format!(
                "the reference data set `{alias}` is not given (`leat validate --reference {alias}=DATA`)"
            ))),
        }
    }

    /// A rule about one number.
    pub fn metric(
        &mut self,
        single: &Single,
        of: impl Fn(&Counted<'_>) -> Result<f64, String> + Send + Sync + 'static,
    ) -> Result<Metric, Refusal> {
        refuse_tags(single)?;
        let filter = self.filter(single)?;
        let rows = self.count(Count::Rows, filter);
        Ok(Metric {
            name: names::metric(self.ruleset, single),
            test: self.test(single)?,
            of: Box::new(of),
            filtered: filter.map(|_| rows),
            counts_nothing: false,
            estimated: None,
            row: None,
        })
    }
}

fn number_test(test: &Test<Number>) -> Result<NumberTest, Refusal> {
    NumberTest::new(test).map_err(Refusal::Unfit)
}

/// Computes a number from what was counted, or says why there is none.
type Measure = Box<dyn Fn(&Counted<'_>) -> Result<f64, String> + Send + Sync>;

/// A rule about one number.
pub struct Metric {
    /// The metric's name.
    pub name: String,
    /// What it must meet; none for an analyzer.
    pub test: Option<NumberTest>,
    of: Measure,
    /// The counter of the rows that `where` keeps.
    filtered: Option<usize>,
    /// Whether the number of nothing is compared too.
    pub counts_nothing: bool,
    /// The counter of values from which it is computed.
    pub estimated: Option<usize>,
    /// The counter that takes the rows that pass.
    pub row: Option<usize>,
}

impl Debug for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metric({})", self.name)
    }
}

/// `where` left no row.
pub const NONE_LEFT: &str = "No rows matched the filter";
/// There was no row.
pub const EMPTY: &str = "the input is empty: there is no row to check";

/// That a value does not meet its condition, in the words of AWS Glue.
pub fn unmet(value: f64) -> String {
    format!("Value: {} does not meet the constraint requirement!", number::to_text(value))
}

/// Whether `value` meets `test`.
pub fn met(test: Option<&NumberTest>, value: f64) -> Verdict {
    match test {
        Some(test) if !test.holds(value) => Verdict::Failed(unmet(value)),
        _ => Verdict::Passed(None),
    }
}

impl Check for Metric {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        let nothing_left = self.filtered.is_some_and(|rows| counted.number(rows) == 0);
        if nothing_left && !self.counts_nothing {
            return Found::verdict(Verdict::Passed(Some(NONE_LEFT.into())));
        }
        let value = match (self.of)(counted) {
            Ok(value) => value,
            Err(why) => return Found::verdict(Verdict::Failed(why)),
        };
        let mut verdict = met(self.test.as_ref(), value);
        let frequencies = self.estimated.and_then(|at| counted.frequencies(at));
        if frequencies.is_some_and(|frequencies| !frequencies.is_exact()) {
            let note = "estimated from a sample of the values, as there are too many to count";
            verdict = match verdict {
                Verdict::Passed(_) => Verdict::Passed(Some(note.into())),
                Verdict::Failed(why) => Verdict::Failed(format!("{why} ({note})")),
                error => error,
            };
        }
        Found { verdict, metrics: vec![(self.name.clone(), value)], rows: None }
    }

    fn judge(&self, judge: &mut Judge<'_>) -> Option<RowOutcome> {
        judge.takes(self.row?)
    }
}

/// A rule whose verdict is known before any row is read.
#[derive(Debug)]
pub struct Known(pub Verdict, pub Vec<(String, f64)>);

impl Check for Known {
    fn finish(&self, _: &Counted<'_>) -> Found {
        Found { verdict: self.0.clone(), metrics: self.1.clone(), rows: None }
    }
}

/// A rule that fails for this reason, whatever the data.
pub fn fails(reason: String) -> Box<dyn Check> {
    Box::new(Known(Verdict::Failed(reason), Vec::new()))
}

/// A rule whose second data set, or whose files, are not known yet.
pub fn later() -> Box<dyn Check> {
    let what = "what it compares with is not known yet";
    Box::new(Known(Verdict::Error(what.into()), Vec::new()))
}
