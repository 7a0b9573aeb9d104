//! Data quality in DQDL, the language of AWS Glue Data Quality.
//!
//! [`parse()`] reads a ruleset into a [`tree`] that can hold the whole language. [`RowRules`] judge single records,
//! [`Evaluation`] counts what the rules say of a data set. A new rule type is an entry in the table of [`types`] and
//! a file in `rules`.

mod action;
mod column_data_type;
mod column_length;
mod column_values;
#[cfg(test)]
mod conformance;
pub(crate) mod counter;
mod data_freshness;
pub(crate) mod dates;
pub mod distributions;
mod evaluated;
pub(crate) mod frequencies;
pub mod history;
mod lexer;
pub mod listing;
mod metrics;
mod names;
mod numbers;
pub mod over;
mod parse;
mod predicate;
mod print;
pub mod reference;
pub mod report;
pub mod result;
mod row_rule;
mod row_test;
mod rows;
mod rules;
pub mod sql;
mod tally;
pub mod tree;
pub mod types;

pub use action::RowAction;
pub use counter::Rows;
pub use history::History;
pub use listing::Listings;
pub use metrics::{
    Context, Counting, Evaluation, FilteredRow, Method, Metrics, OtherMetrics, Outcome, Report,
    RowVerdicts, Status,
};
pub use over::Over;
pub use parse::parse;
pub use reference::{Reference, References};
pub use result::{PastRun, Place, QualityResult};
pub use row_rule::is_row_rule;
pub use rows::RowRules;
pub use rules::RowOutcome;
pub use tally::Tally;
pub use tree::Ruleset;
pub use types::{RULE_TYPES, RuleType};
