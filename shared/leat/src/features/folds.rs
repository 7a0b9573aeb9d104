//! Labels by category and fold: what an operator keeps of them, so that no row sees its own.
//!
//! A row's fold is its identity, a number of 128 bits, modulo the number of folds. The identity is a hash (XXH3) of the
//! event's id, else of its coordinates: it is the same on every machine and path, in any order, and when fitted again.

use serde::{Deserialize, Serialize};

use super::counts::Tally;
use crate::number::ExactSum;
use crate::record::Identity;

/// Whole numbers up to this size are summed as such; 2^43 rows of them cannot overflow.
const SMALL: f64 = 1_048_576.0;

/// The fold of a row, below `folds`.
pub fn fold_of(identity: Identity, folds: usize) -> usize {
    usize::try_from(identity % (folds.max(1) as u128)).unwrap_or_default()
}

/// How many labels, and their sum without rounding: which bits come out depends on the labels alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    count: u64,
    /// Of the labels that are small whole numbers, which most are.
    whole: i64,
    /// Of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest: Option<Box<ExactSum>>,
}

impl Sum {
    /// Adds a finite label.
    pub fn add(&mut self, label: f64) {
        self.count = self.count.saturating_add(1);
        if label.abs() <= SMALL && label == libm::trunc(label) {
            self.whole = self.whole.saturating_add(label as i64);
        } else {
            self.rest.get_or_insert_default().add(label);
        }
    }

    /// How many labels.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, rounded once.
    pub fn total(&self) -> f64 {
        let Some(rest) = &self.rest else { return self.whole as f64 };
        let mut sum = ExactSum::clone(rest);
        // Two halves, each of which a double holds.
        sum.add_product((self.whole >> 32) as f64, 4_294_967_296.0);
        sum.add((self.whole & 0xffff_ffff) as f64);
        sum.round()
    }

    /// Their mean; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.total() / self.count as f64)
    }
}

impl Tally for Sum {
    fn merge(&mut self, other: &Sum) {
        self.count = self.count.saturating_add(other.count);
        self.whole = self.whole.saturating_add(other.whole);
        if let Some(rest) = &other.rest {
            self.rest.get_or_insert_default().merge(rest);
        }
    }
}

/// Sums by fold, up to the last fold of which a label was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Folds(Vec<Sum>);

impl Folds {
    /// Adds a finite label of a row in `fold`.
    pub fn add(&mut self, fold: usize, label: f64) {
        if self.0.len() <= fold {
            self.0.resize_with(fold + 1, Sum::default);
        }
        self.0[fold].add(label);
    }

    /// All of them.
    pub fn all(&self) -> Sum {
        self.but(usize::MAX)
    }

    /// All but those of `fold`.
    pub fn but(&self, fold: usize) -> Sum {
        let mut sum = Sum::default();
        let others = self.0.iter().enumerate().filter(|(index, _)| *index != fold);
        others.for_each(|(_, other)| sum.merge(other));
        sum
    }
}

impl Tally for Folds {
    fn merge(&mut self, other: &Folds) {
        if self.0.len() < other.0.len() {
            self.0.resize_with(other.0.len(), Sum::default);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| sum.merge(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::identity_of_id;
    use proptest::prelude::*;

    #[test]
    fn folds_are_the_same_everywhere() {
        let folds: Vec<_> = ["t-1", "t-2", "t-3", "t-4", "t-5", "t-6"]
            .map(|id| fold_of(identity_of_id(id), 5))
            .to_vec();
        assert_eq!(folds, FIVE);
        assert_eq!((fold_of(u128::MAX, 5), fold_of(7, 0), fold_of(9, 1)), (0, 0, 0));
        let mut counts = [0; 5];
        (0..10_000).for_each(|i| counts[fold_of(identity_of_id(&format!("t-{i}")), 5)] += 1);
        assert!(counts.iter().all(|count| (1850..2150).contains(count)), "{counts:?}");
    }

    /// Worked out by another XXH3.
    const FIVE: [usize; 6] = [1, 2, 1, 0, 4, 2];

    #[test]
    fn sums_are_of_any_labels() {
        for (labels, total) in [
            (&[][..], 0.0),
            (&[1.0, 0.0, 1.0][..], 2.0),
            (&[0.1, 0.2, -0.1, 1.0][..], 1.2),
            (&[1e300, 3.0, -1e300][..], 3.0),
            (&[-1_048_576.0, -0.5, -1_048_577.0][..], -2_097_153.5),
        ] {
            let mut sum = Sum::default();
            labels.iter().for_each(|y| sum.add(*y));
            assert_eq!((sum.total(), sum.count()), (total, labels.len() as u64), "{labels:?}");
        }
        assert_eq!(Sum::default().mean(), None);
    }

    proptest! {
        #[test]
        fn a_sum_is_that_of_an_exact_one(labels: Vec<f64>, wholes: Vec<i16>) {
            let labels = labels.into_iter().filter(|y| y.is_finite());
            let (mut sum, mut exact) = (Sum::default(), ExactSum::default());
            for y in labels.chain(wholes.into_iter().map(f64::from)) {
                sum.add(y);
                exact.add(y);
            }
            prop_assert_eq!(sum.total().to_bits(), exact.round().to_bits());
        }
    }
}
