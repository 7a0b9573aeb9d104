//! `output`: which columns are features.
//!
//! Without names: all numbers, booleans and sparse vectors that were made, in the order of their making; fields as they came are not
//! among them. With names: what each finds, in the order of the names, each column once. A name is exact, and then also
//! finds a field as it came, or holds `*` for any characters, and then finds what was made.

use super::error::FeatureError;
use super::steps::Named;
use crate::column::Type;
use crate::recipe::pattern::matches;

/// What `patterns` find among `columns`.
pub(super) fn select<'a>(
    columns: &'a [Named],
    patterns: &[String],
) -> Result<Vec<&'a Named>, FeatureError> {
    let feature =
        |c: &&Named| matches!(c.kind, Type::Bool | Type::Long | Type::Double) || c.terms.is_some();
    let mut found: Vec<&Named> = Vec::new();
    if patterns.is_empty() {
        found.extend(columns.iter().filter(|c| c.made).filter(feature));
    }
    for pattern in patterns {
        let mut any = false;
        for column in columns.iter().filter(|c| if pattern.contains('*') { c.made } else { true }) {
            if !matches(pattern, &column.name) {
                continue;
            }
            if feature(&column) {
                any = true;
                if !found.iter().any(|c| c.name == column.name) {
                    found.push(column);
                }
            } else if !pattern.contains('*') {
                let (column, kind) = (column.name.clone(), column.kind);
                return Err(FeatureError::OutputType { column, kind });
            }
        }
        if !any {
            return Err(FeatureError::Output(pattern.clone()));
        }
    }
    if found.is_empty() { Err(FeatureError::Nothing) } else { Ok(found) }
}
