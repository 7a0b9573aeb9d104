//! `output`: which columns are features.
//!
//! Without names: all numbers and booleans that were made, in the order of their making; fields as they came are not
//! among them. With names: what each finds, in the order of the names, each column once. A name is exact, and then also
//! finds a field as it came, or holds `*` for any characters, and then finds what was made.

use super::error::FeatureError;
use super::steps::Named;
use crate::column::Type;

/// What `patterns` find among `columns`.
pub(super) fn select<'a>(
    columns: &'a [Named],
    patterns: &[String],
) -> Result<Vec<&'a Named>, FeatureError> {
    let feature = |c: &&Named| matches!(c.kind, Type::Bool | Type::Long | Type::Double);
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

/// True if `name` is `pattern`, in which `*` stands for any characters or none.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "ab", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*_1h", "amount_sum_1h", true),
            ("*_1h", "amount_sum_24h", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "x", true),
            ("é*", "ék", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
