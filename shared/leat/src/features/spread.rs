//! How values are spread: exact up to 100,000 different values, a histogram above.
//!
//! Counts by value are exact for as many rows as there are, while at most [`EXACT`] different values were seen. Above
//! that, values are counted by *bucket*: those whose sign, exponent and first nine bits of mantissa are equal. A bucket
//! is at most 1/512 of its values wide, so its middle is within 0.1 % of each of them; values nearer to 0 than
//! 2^−1031 count as 0. Whether the limit is passed, and every count, depends on the values alone: no order of adding
//! or merging changes a bit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So many different values are counted one by one.
pub const EXACT: usize = 100_000;
/// A bucket is told by the bits of a double above these.
const CUT: u32 = 43;

/// How many times each value, or each bucket of values, was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// True once there were more than [`EXACT`] different values: `counts` is by bucket.
    cut: bool,
    /// By [`rank`], which is cut in a bucket.
    counts: BTreeMap<i64, u64>,
}

/// A whole number that rises with `x`. −0.0 ranks as 0.0.
fn rank(x: f64) -> i64 {
    let bits = (x + 0.0).to_bits() as i64;
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

/// The value of a [`rank`].
fn value(rank: i64) -> f64 {
    f64::from_bits(if rank < 0 { rank ^ i64::MAX } else { rank } as u64)
}

/// The middle of a bucket.
fn middle(bucket: i64) -> f64 {
    match bucket {
        -1 | 0 => 0.0,
        _ => value((bucket << CUT) + (1 << (CUT - 1))),
    }
}

impl Spread {
    /// Adds a value; NaN and infinities are skipped.
    pub fn add(&mut self, x: f64) {
        if x.is_finite() {
            self.add_rank(rank(x), 1);
        }
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Spread) {
        if other.cut && !self.cut {
            self.cut();
        }
        for (&key, &count) in &other.counts {
            if self.cut && other.cut {
                self.count(key, count);
            } else {
                self.add_rank(key, count);
            }
        }
    }

    /// True if every value was counted by itself.
    pub fn is_exact(&self) -> bool {
        !self.cut
    }

    /// The same counts by bucket, whether or not they are exact: to compare with a spread that is not.
    pub fn by_bucket(&self) -> Spread {
        let mut out = self.clone();
        if !out.cut {
            out.cut();
        }
        out
    }

    /// The middle value, or halfway between the two in the middle. `None` of nothing.
    pub fn median(&self) -> Option<f64> {
        let total = self.total();
        let (a, b) = (self.nth(total.checked_sub(1)? / 2)?, self.nth(total / 2)?);
        let both = a + b;
        Some(if both.is_finite() { both / 2.0 } else { a / 2.0 + b / 2.0 })
    }

    /// How many values were added.
    pub fn total(&self) -> u128 {
        self.counts.values().map(|&count| u128::from(count)).sum()
    }

    /// The different values, rising, or a value for each bucket, and how often each was added.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = (f64, u64)> {
        let value = |key| if self.cut { middle(key) } else { value(key) };
        self.counts.iter().map(move |(&key, &count)| (value(key), count))
    }

    /// The value with `n` values before it in ascending order.
    pub fn nth(&self, n: u128) -> Option<f64> {
        let mut before = 0u128;
        let (&key, _) = self.counts.iter().find(|(_, count)| {
            before += u128::from(**count);
            before > n
        })?;
        Some(if self.cut { middle(key) } else { value(key) })
    }

    fn add_rank(&mut self, rank: i64, count: u64) {
        self.count(if self.cut { rank >> CUT } else { rank }, count);
        if !self.cut && self.counts.len() > EXACT {
            self.cut();
        }
    }

    fn count(&mut self, key: i64, count: u64) {
        let total = self.counts.entry(key).or_default();
        *total = total.saturating_add(count);
    }

    fn cut(&mut self) {
        self.cut = true;
        for (rank, count) in std::mem::take(&mut self.counts) {
            self.count(rank >> CUT, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spread(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut out = Spread::default();
        values.into_iter().for_each(|x| out.add(x));
        out
    }

    #[test]
    fn medians() {
        for (values, expected) in [
            (&[][..], None),
            (&[f64::NAN, f64::INFINITY][..], None),
            (&[3.0][..], Some(3.0)),
            (&[4.0, -1.0, 2.0][..], Some(2.0)),
            (&[4.0, -1.0, 2.0, 3.0][..], Some(2.5)),
            (&[-0.0, 0.0][..], Some(0.0)),
            (&[f64::MAX, f64::MAX][..], Some(f64::MAX)),
            (&[-3.0, -2.0, -2.0, 5.0][..], Some(-2.0)),
        ] {
            assert_eq!(spread(values.iter().copied()).median(), expected, "{values:?}");
        }
    }

    #[test]
    fn above_the_limit_the_median_is_near() {
        for (shift, expected) in [(0.0, 75_000.0), (-150_000.0, -75_000.0), (-75_000.0, 0.0)] {
            let many = spread((0..=150_000).map(|i| f64::from(i) + shift));
            assert!(!many.is_exact());
            let median = many.median().unwrap();
            assert!((median - expected).abs() <= 0.001 * f64::abs(expected), "{median}");
        }
    }

    #[test]
    fn the_limit_is_of_different_values_and_in_any_order() {
        let same = spread((0..300_000).map(|i| f64::from(i % 1000)));
        assert!(same.is_exact());
        let part = |from: i32, to: i32| spread((from..to).map(f64::from));
        let whole = part(0, 120_000);
        for cut in [1, 20_000, 60_000, 100_000, 119_999] {
            let (left, right) = (part(0, cut), part(cut, 120_000));
            let (mut a, mut b) = (left.clone(), right.clone());
            a.merge(&right);
            b.merge(&left);
            assert_eq!((&a, &b), (&whole, &whole), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn ranks_rise_and_come_back(a: f64, b: f64) {
            if a.is_finite() && b.is_finite() {
                prop_assert_eq!(a < b, rank(a) < rank(b));
                prop_assert_eq!(value(rank(a)), a);
                let near = middle(rank(a) >> CUT);
                prop_assert!((near - a).abs() <= a.abs() / 1000.0 || a.abs() < 1e-300);
            }
        }
    }
}
