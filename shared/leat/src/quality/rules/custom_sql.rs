//! `CustomSql`: a query in SQL over the data, which it calls `primary`, and over reference data sets by their aliases.
//!
//! - Takes: a query, and a number condition on its single value; or no condition: then the rows of `primary` that the
//!   query answers are those that pass, and their share must be 1 or meet the threshold. A row is answered if the
//!   query has a row with its values, in all columns of the query; null is like null. Not both.
//! - Gives: `Dataset.*.CustomSQL`, without a condition `Dataset.*.CustomSQL.Compliance`; and the same with the SHA-256
//!   of the query in place of `*`, as two rules have two queries: that is what `last(k)` speaks of. An analyzer gives
//!   the single value.
//! - Fails: where the query has no row or several, no column or several, a value that is null, not finite, or of a
//!   column that is not of numbers; without a condition, where it has a column that `primary` has not, or `primary` has
//!   no row. A query that cannot be run to its end is an `Error`.
//! - It needs an engine for whole queries, which this one is not: Spark's SQL runs it where `cleanse` makes a unit, and
//!   DataFusion in a `leat` that was built with it (`make sql`). Elsewhere it is refused when the ruleset is loaded, not
//!   passed over, as is a query which that engine cannot read.
//! - A query begins with `select` or `with`, has at most 65,536 bytes, and calls neither `reflect` nor `java_method` nor a
//!   script. In DQDL a quote within a query is written `\"`.
//! - Source: AWS Glue's documentation of CustomSql; where it is silent awslabs/deequ: one row and one column, and which
//!   rows pass. Departs: null is no 0, a text that looks like a number is none, and a row that stands twice in the
//!   query's answer counts once.

use super::{Check, Counted, EMPTY, Found, Preparation, Verdict, later, met, unmet};
use crate::quality::names;
use crate::quality::numbers::NumberTest;
use crate::quality::reference::singles;
use crate::quality::row_test::Refusal;
use crate::quality::sql::{self, Answer, Form, Query};
use crate::quality::tree::{Rule, Single};

/// Readies `CustomSql`.
pub fn custom_sql(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let sql = on.text(single, 0);
    sql::check(&sql).map_err(Refusal::Unfit)?;
    if single.condition.is_some() && single.threshold.is_some() {
        let why = "`CustomSql` takes a condition on the query's value, or a threshold for the rows it answers; not both";
        return Err(Refusal::Unfit(why.into()));
    }
    let form = sql::form(on.ruleset, single);
    let test = match form {
        Form::Value => on.test(single)?,
        Form::Rows => on.threshold(single)?,
    };
    if on.context.draft {
        return Ok(later());
    }
    if !on.context.sql {
        return Err(Refusal::Unfit(
            "`CustomSql` needs an engine for SQL queries, which is not here: Spark has one, in `cleanse`, and so has a \
             `leat` that was built with its feature `sql` (`make sql`); or say it with `where`"
                .into(),
        ));
    }
    let metrics = names::custom_sql(&sql, form);
    // As it is written, before values of earlier runs took the place of functions.
    let written = singles(on.ruleset).into_iter().find(|other| other.place.0 == single.place.0);
    let rule = Rule::Single(Box::new(written.unwrap_or(single).clone()));
    let query = on.query(Query {
        sql,
        form,
        rule: rule.to_string(),
        file: on.ruleset.file.0.clone(),
        place: single.place.0,
    });
    Ok(Box::new(CustomSql { query, metrics, test }))
}

#[derive(Debug)]
struct CustomSql {
    /// Its query.
    query: usize,
    metrics: [String; 2],
    test: Option<NumberTest>,
}

impl CustomSql {
    fn found(&self, value: f64, verdict: Verdict, rows: Option<(u64, u64)>) -> Found {
        let metrics = self.metrics.iter().map(|name| (name.clone(), value)).collect();
        Found { verdict, metrics, rows }
    }
}

impl Check for CustomSql {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        let failed = |why: String| Found::verdict(Verdict::Failed(why));
        match counted.answers.get(&self.query) {
            None => Found::verdict(Verdict::Error("its query was not run".into())),
            Some(Answer::Error(why)) => {
                Found::verdict(Verdict::Error(format!("the query failed: {why}")))
            }
            Some(Answer::Value(value)) => self.found(*value, met(self.test.as_ref(), *value), None),
            Some(Answer::NotFinite) => failed("the query's value is not finite".into()),
            Some(Answer::Null) => failed("the query's value is NULL".into()),
            Some(Answer::NoNumber) => failed("the query's value is no number".into()),
            Some(Answer::Columns(columns)) => {
                failed(format!("the query has {columns} columns where one is wanted"))
            }
            Some(Answer::Results(0)) => failed("the query has no row where one is wanted".into()),
            Some(Answer::Results(_)) => {
                failed("the query has several rows where one is wanted".into())
            }
            Some(Answer::Unknown(columns)) => {
                let names: Vec<_> = columns.iter().map(|name| format!("`{name}`")).collect();
                failed(format!(
                    "the query's columns must be those of `primary`, which has not {}",
                    names.join(", ")
                ))
            }
            Some(Answer::Rows { rows: 0, .. }) => failed(EMPTY.into()),
            Some(Answer::Rows { passed, rows }) => {
                let (passed, rows) = (*passed.min(rows), *rows);
                let share = passed as f64 / rows as f64;
                let verdict = match &self.test {
                    Some(threshold) => met(Some(threshold), share),
                    None if passed == rows => Verdict::Passed(None),
                    None => Verdict::Failed(unmet(share)),
                };
                self.found(share, verdict, Some((passed, rows.saturating_sub(passed))))
            }
        }
    }
}
