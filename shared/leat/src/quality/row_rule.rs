//! A row rule ready for rows: one test, or AND and OR of such.

use std::collections::BTreeSet;

use super::over::Over;
use super::row_test::{Refusal, RowTest};
use super::tree::{Composite, Joiner, Rule, Ruleset};
use super::types::LooksAt;
use crate::column::{Column, Type};
use crate::diagnostic::Diagnostic;
use crate::record::Row;

/// A row rule. A row passes a composite if AND or OR of its parts' outcomes for this row does.
#[derive(Debug)]
pub enum RowRule {
    Test(RowTest),
    All(Vec<RowRule>),
    Any(Vec<RowRule>),
}

/// Whether a single record is enough for `rule`.
pub fn is_row_rule(rule: &Rule) -> bool {
    match rule {
        Rule::Single(single) => single.kind.looks_at == LooksAt::Row && single.threshold.is_none(),
        Rule::Composite(composite) => composite.parts.iter().all(is_row_rule),
    }
}

impl Ruleset {
    /// The rules that are asked of the data that a run reads: without those that judge single records, which are applied
    /// where records pass, and those that their label [`Over`] keeps for a stream.
    pub fn about_the_data_set(&self) -> Ruleset {
        let asked = |rule: &&Rule| !is_row_rule(rule) && self.unasked(Over::Run, rule).is_none();
        let rules = self.rules.iter().filter(asked).cloned().collect();
        Ruleset { rules, ..self.clone() }
    }
}

impl RowRule {
    /// Readies the row rule `rule` for rows with these columns, or adds all that is wrong with it to `refusals`.
    pub fn new<'r>(
        ruleset: &Ruleset,
        rule: &'r Rule,
        columns: &[(String, Type)],
        refusals: &mut Vec<(&'r Rule, Refusal)>,
    ) -> Option<RowRule> {
        match rule {
            Rule::Single(single) => match RowTest::new(ruleset, single, columns) {
                Ok(test) => Some(RowRule::Test(test)),
                Err(refusal) => {
                    refusals.push((rule, refusal));
                    None
                }
            },
            Rule::Composite(Composite { joiner, parts, .. }) => {
                // All parts, so that all that is wrong is found.
                let parts: Vec<_> = parts
                    .iter()
                    .map(|part| RowRule::new(ruleset, part, columns, refusals))
                    .collect();
                let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
                Some(match joiner {
                    Joiner::And => RowRule::All(parts),
                    Joiner::Or => RowRule::Any(parts),
                })
            }
        }
    }

    /// Adds the slots that it reads to `reads`.
    pub fn reads(&self, reads: &mut BTreeSet<usize>) {
        match self {
            RowRule::Test(test) => test.reads(reads),
            RowRule::All(parts) | RowRule::Any(parts) => {
                parts.iter().for_each(|part| part.reads(reads));
            }
        }
    }

    /// Whether `row` passes. `now` is in milliseconds since 1970 UTC.
    pub fn passes(&self, columns: &[Column], row: usize, now: Option<i64>) -> bool {
        match self {
            RowRule::Test(test) => test.find(columns, row, now).stays(),
            RowRule::All(parts) => parts.iter().all(|part| part.passes(columns, row, now)),
            RowRule::Any(parts) => parts.iter().any(|part| part.passes(columns, row, now)),
        }
    }

    /// Whether each of the first `rows` rows passes, all at the same `now`: a `where` is asked once of all of them.
    pub fn passing(&self, columns: &[Column], rows: usize, now: Option<i64>) -> Vec<bool> {
        let mut passed = vec![!matches!(self, RowRule::Any(_)); rows];
        match self {
            RowRule::Test(test) => {
                test.find_all(columns, rows, |_| now, |at, found| passed[at] = found.stays());
            }
            RowRule::All(parts) => parts.iter().for_each(|part| {
                let of_part = part.passing(columns, rows, now);
                passed.iter_mut().zip(of_part).for_each(|(all, part)| *all &= part);
            }),
            RowRule::Any(parts) => parts.iter().for_each(|part| {
                let of_part = part.passing(columns, rows, now);
                passed.iter_mut().zip(of_part).for_each(|(any, part)| *any |= part);
            }),
        }
        passed
    }

    /// Whether each of `rows` passes: [`RowRule::passes`] of all, a column at a time. `passed` has a place for each.
    pub fn judge(&self, columns: &[Column], rows: &[Row], passed: &mut [bool]) {
        match self {
            RowRule::Test(test) => test.judge(columns, rows, passed),
            RowRule::All(parts) => {
                passed.fill(true);
                join(parts, columns, rows, passed, |all, part| *all &= part);
            }
            RowRule::Any(parts) => {
                passed.fill(false);
                join(parts, columns, rows, passed, |any, part| *any |= part);
            }
        }
    }

    /// Adds why `row` fails, without any value; nothing if it passes.
    pub fn reasons(&self, columns: &[Column], row: usize, now: Option<i64>, out: &mut Vec<String>) {
        match self {
            RowRule::Test(test) => {
                let finding = test.find(columns, row, now);
                if !finding.stays() {
                    out.push(format!("`{}`: {}", test.column, finding.reason()));
                }
            }
            RowRule::All(parts) => {
                parts.iter().for_each(|part| part.reasons(columns, row, now, out));
            }
            RowRule::Any(parts) => {
                if !self.passes(columns, row, now) {
                    parts.iter().for_each(|part| part.reasons(columns, row, now, out));
                }
            }
        }
    }
}

fn join(
    parts: &[RowRule],
    columns: &[Column],
    rows: &[Row],
    passed: &mut [bool],
    with: impl Fn(&mut bool, bool),
) {
    let mut of_part = vec![false; passed.len()];
    for part in parts {
        part.judge(columns, rows, &mut of_part);
        passed.iter_mut().zip(&of_part).for_each(|(passed, part)| with(passed, *part));
    }
}

/// A refusal of `rule` with its place and text.
pub fn diagnostic(ruleset: &Ruleset, rule: &Rule, refusal: &Refusal) -> Diagnostic {
    let place = rule.place();
    Diagnostic {
        file: ruleset.file.0.clone(),
        line: place.line,
        column: place.column,
        message: format!("{} (rule `{rule}`)", refusal.message()),
        hint: refusal.hint(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_at_once_are_each_row() {
        let columns = [("a".to_owned(), Type::Double), ("b".to_owned(), Type::String)];
        let rules = [
            "(ColumnValues \"a\" > 1 where \"b = 'x'\") and (IsComplete \"b\")",
            "(ColumnValues \"a\" > 1 where \"b = 'x'\") or (IsComplete \"b\")",
            "((IsComplete \"a\") or (IsComplete \"b\")) and (ColumnLength \"b\" = 1 where \"a < 3\")",
        ];
        let data = [
            Column::doubles([Some(0.0), Some(2.0), None, Some(2.0), Some(0.0)]),
            Column::strings([Some("x"), Some("x"), Some("x"), None, Some("yy")]),
        ];
        for (text, expected) in rules.into_iter().zip(["-+--+", "+++++", "+++--"]) {
            let ruleset = crate::quality::parse("q", &format!("Rules = [ {text} ]")).unwrap();
            let mut refusals = Vec::new();
            let rule = RowRule::new(&ruleset, &ruleset.rules[0], &columns, &mut refusals).unwrap();
            let passing = rule.passing(&data, 5, None);
            let each: Vec<bool> = (0..5).map(|row| rule.passes(&data, row, None)).collect();
            assert_eq!(passing, each, "{text}");
            let signs: String = passing.iter().map(|p| if *p { '+' } else { '-' }).collect();
            assert_eq!(signs, expected, "{text}");
        }
    }
}
