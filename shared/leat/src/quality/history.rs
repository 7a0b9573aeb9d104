//! What earlier runs measured: for dynamic rules (`last(k)`) and for anomalies. It comes in as data and goes out as data.

use std::collections::BTreeMap;

use super::numbers::is_dynamic;
use super::tree::{Condition, Rule, Ruleset};

/// The metrics of earlier runs by name, the newest run first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History(Vec<BTreeMap<String, f64>>);

impl History {
    /// No earlier run.
    pub const NONE: History = History(Vec::new());

    /// Of `runs`, the newest first; a value that is not finite counts as not there.
    pub fn new(runs: impl IntoIterator<Item = BTreeMap<String, f64>>) -> Self {
        let finite = |mut run: BTreeMap<String, f64>| {
            run.retain(|_, value| value.is_finite());
            run
        };
        History(runs.into_iter().map(finite).collect())
    }

    /// The last `count` values of `metric`, newest first: all there are where there are fewer.
    pub fn last(&self, metric: &str, count: usize) -> Vec<f64> {
        self.0.iter().filter_map(|run| run.get(metric).copied()).take(count).collect()
    }
}

/// Whether `rule` asks for what earlier runs measured: `DetectAnomalies`, or a function of `last(k)`.
pub fn asks_for_history(rule: &Rule) -> bool {
    match rule {
        Rule::Single(single) => {
            let condition = match &single.condition {
                Some(Condition::Number(test)) => Some(test),
                _ => None,
            };
            let mut tests = condition.into_iter().chain(&single.threshold);
            single.kind.name == "DetectAnomalies"
                || tests.any(|test| test.operands().into_iter().any(is_dynamic))
        }
        Rule::Composite(composite) => composite.parts.iter().any(asks_for_history),
    }
}

impl Ruleset {
    /// Whether a rule asks for what earlier runs measured.
    pub fn asks_for_history(&self) -> bool {
        self.rules.iter().any(asks_for_history)
    }

    /// The ruleset without the rules that ask for what earlier runs measured, for a place that keeps no history.
    pub fn without_history(&self) -> Ruleset {
        let mut ruleset = self.clone();
        ruleset.rules.retain(|rule| !asks_for_history(rule));
        ruleset
    }
}

/// The middle one of `values`, or the mean of the two in the middle; none of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(match sorted.len() % 2 {
        1 => upper,
        _ => (sorted[middle - 1] + upper) / 2.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_ask_for_history() {
        let text = "Rules = [ RowCount > last(), DetectAnomalies \"RowCount\", RowCount > 1,
            ColumnValues \"a\" > 0 with threshold > 0.9 * avg(last(3)), (RowCount > 1) OR (Mean \"a\" < max(last(2))) ]";
        let ruleset = crate::quality::parse("q", text).unwrap();
        let asks: Vec<bool> = ruleset.rules.iter().map(asks_for_history).collect();
        assert_eq!(asks, [true, true, false, true, true]);
        let rest = ruleset.without_history();
        assert_eq!((rest.rules.len(), rest.asks_for_history()), (1, false));
        assert!(ruleset.asks_for_history());
    }

    #[test]
    fn the_newest_first() {
        let run = |pairs: &[(&str, f64)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<BTreeMap<_, _>>()
        };
        let history = History::new([
            run(&[("a", 3.0)]),
            run(&[("a", f64::NAN), ("b", 1.0)]),
            run(&[("a", 1.0)]),
        ]);
        assert_eq!(history.last("a", 1), [3.0]);
        assert_eq!(history.last("a", 5), [3.0, 1.0]);
        assert!(history.last("c", 5).is_empty());
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
