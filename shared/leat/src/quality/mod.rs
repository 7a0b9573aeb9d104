//! Data quality in DQDL, the language of AWS Glue Data Quality.
//!
//! [`parse()`] reads a ruleset into a [`tree`] that can hold the whole language. [`RowRules`] judge single records,
//! [`Evaluation`] counts what the rules say of a data set. A new rule type is an entry in the table of [`types`] and
//! a file here.

mod column_values;
#[cfg(test)]
mod conformance;
mod dates;
mod evaluated;
mod lexer;
mod metrics;
mod numbers;
mod parse;
mod pattern;
mod print;
mod row_test;
mod rows;
pub mod tree;
pub mod types;

pub use metrics::{Evaluation, Metrics, OtherMetrics, Outcome, Status};
pub use parse::parse;
pub use rows::{RowRules, is_row_rule};
pub use tree::Ruleset;
pub use types::{RULE_TYPES, RuleType};
