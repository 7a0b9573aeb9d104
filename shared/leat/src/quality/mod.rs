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
mod measure;
mod metrics;
mod numbers;
mod parse;
mod print;
mod row_rule;
mod row_test;
mod rows;
pub mod tree;
pub mod types;

pub use metrics::{Evaluation, Method, Metrics, OtherMetrics, Outcome, Status};
pub use parse::parse;
pub use row_rule::is_row_rule;
pub use rows::{RowAction, RowRules};
pub use tree::Ruleset;
pub use types::{RULE_TYPES, RuleType};
