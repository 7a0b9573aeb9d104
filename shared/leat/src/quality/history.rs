//! What earlier runs measured: for dynamic rules (`last(k)`) and for anomalies. It comes in as data and goes out as data.

use std::collections::BTreeMap;

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
