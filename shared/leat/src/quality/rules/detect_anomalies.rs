//! `DetectAnomalies`: a metric is not far from what it was in earlier runs.
//!
//! - Takes: the name of a metric and its columns, as `"RowCount"`, `"Completeness" "col"`,
//!   `"ColumnCorrelation" "a" "b"`: `RowCount`, `ColumnCount`, `Completeness`, `Uniqueness`, `Mean`, `Sum`,
//!   `StandardDeviation`, `Entropy`, `DistinctValuesCount`, `UniqueValueRatio`, `ColumnLength`, `ColumnValues` (of these
//!   two the least and the greatest), `ColumnCorrelation`, `CustomSql` (of its query the single value).
//! - Gives: the metric, under its own name. Every run keeps it in the history, also if the rule failed.
//! - Method: the median of the last 100 values ± 3·1.4826·MAD, where MAD is the median distance from the median. If
//!   more than half of the values are the same, so that MAD is 0, the mean distance from the median takes its place,
//!   times 1.2533. At both ends of the band a value is no anomaly yet.
//! - With fewer than 7 values the rule passes, and says that there is not enough history. A metric without a value
//!   fails the rule for the reason that the metric's own rule would fail.
//! - Source: AWS Glue's documentation of DetectAnomalies; its method is not published: this one is Leat's own.

use super::{Check, Counted, Found, Preparation, Verdict};
use crate::number;
use crate::quality::history::{History, median};
use crate::quality::metrics::NO_HISTORY;
use crate::quality::names;
use crate::quality::row_test::Refusal;
use crate::quality::tree::{Aside, Single};
use crate::quality::types::RuleType;

/// The metrics that can be watched.
const METRICS: [&str; 14] = [
    "RowCount",
    "ColumnCount",
    "Completeness",
    "Uniqueness",
    "Mean",
    "Sum",
    "StandardDeviation",
    "Entropy",
    "DistinctValuesCount",
    "UniqueValueRatio",
    "ColumnLength",
    "ColumnValues",
    "ColumnCorrelation",
    "CustomSql",
];
/// The least number of earlier values.
pub const LEAST: usize = 7;
/// The most that are looked at.
const MOST: usize = 100;

/// Readies `DetectAnomalies`.
pub fn detect_anomalies(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    let name = on.text(single, 0);
    let kind = RuleType::named(&name).filter(|kind| METRICS.contains(&kind.name));
    let Some(kind) = kind else {
        let near = crate::diagnostic::nearest(&name, METRICS);
        let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
        return Err(Refusal::Unfit(format!(
            "`{name}` is no metric that can be watched{near}, all are {}",
            METRICS.join(", ")
        )));
    };
    let parameters = single.parameters[1..].to_vec();
    if kind.form(parameters.len()).is_none() {
        return Err(Refusal::Unfit(format!("`{name}` does not take {} columns", parameters.len())));
    }
    let watched = Single {
        kind,
        parameters,
        condition: None,
        filter: None,
        labels: Vec::new(),
        threshold: None,
        tags: Vec::new(),
        place: Aside(single.place.0),
    };
    let history = match on.context.history {
        Some(history) => history.clone(),
        None if on.context.draft => History::NONE,
        None => return Err(Refusal::Unfit(NO_HISTORY.into())),
    };
    let check = (kind.prepare)(on, &watched)?;
    // The other name of a query's value is that of every query.
    let only = (kind.name == "CustomSql").then(|| names::metric(on.ruleset, &watched));
    Ok(Box::new(Anomalies { check, history, only }))
}

#[derive(Debug)]
struct Anomalies {
    check: Box<dyn Check>,
    history: History,
    /// Of several metrics the one that is watched; none for all.
    only: Option<String>,
}

impl Check for Anomalies {
    fn finish(&self, counted: &Counted<'_>) -> Found {
        let mut found = self.check.finish(counted);
        if found.metrics.is_empty() {
            return found;
        }
        let (mut few, mut far) = (Vec::new(), Vec::new());
        let watched = |name: &String| self.only.as_ref().is_none_or(|only| only == name);
        for (name, value) in found.metrics.iter().filter(|(name, _)| watched(name)) {
            let earlier = self.history.last(name, MOST);
            match band(&earlier) {
                None => few.push(format!("not enough history: {} of {LEAST} runs", earlier.len())),
                Some((low, high)) if low <= *value && *value <= high => {}
                Some((low, high)) => {
                    let [value, low, high] = [*value, low, high].map(number::to_text);
                    far.push(format!("{name} = {value} is an anomaly: expected {low} to {high}"));
                }
            }
        }
        few.dedup();
        found.verdict = match (far.is_empty(), few.is_empty()) {
            (false, _) => Verdict::Failed(far.join("; ")),
            (true, false) => Verdict::Passed(Some(few.join("; "))),
            (true, true) => Verdict::Passed(None),
        };
        found
    }
}

/// Where a value is expected, after `earlier` ones; none if they are too few.
fn band(earlier: &[f64]) -> Option<(f64, f64)> {
    if earlier.len() < LEAST {
        return None;
    }
    let middle = median(earlier)?;
    let distances: Vec<f64> = earlier.iter().map(|x| (x - middle).abs()).collect();
    let mad = median(&distances)?;
    let width = match mad > 0.0 {
        true => 3.0 * 1.4826 * mad,
        false => 3.0 * 1.2533 * (distances.iter().sum::<f64>() / distances.len() as f64),
    };
    Some((middle - width, middle + width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands() {
        assert_eq!(band(&[1.0; 6]), None);
        assert_eq!(band(&[5.0; 7]), Some((5.0, 5.0)));
        let (low, high) = band(&[8.0, 9.0, 9.5, 10.0, 10.5, 11.0, 12.0]).unwrap();
        assert!((low - (10.0 - 3.0 * 1.4826)).abs() < 1e-12, "{low}");
        assert!((high - (10.0 + 3.0 * 1.4826)).abs() < 1e-12, "{high}");
        // One that was far does not hide the next.
        let (_, high) = band(&[10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 80.0]).unwrap();
        assert!((high - (10.0 + 3.0 * 1.2533 * 10.0)).abs() < 1e-9, "{high}");
    }
}
