//! Columns → bytes. Numbers go through [`crate::number::print`] alone, so that a value has one text on every path.
//! Each function appends one line with its line break.

pub mod csv;
mod json;
pub mod jsonl;
pub mod landed;
pub mod prediction;
pub mod quarantine;
