//! What was seen of numbers: exact moments, extent, and how they are spread.

use serde::{Deserialize, Serialize};

use crate::features::spread::Spread;
use crate::number::Moments;
use crate::quality::counter::Extent;

/// What was seen of numbers: mergeable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    moments: Moments,
    extent: Extent,
    spread: Spread,
    /// How many are 0.
    pub zeros: u64,
    /// How many are below 0.
    pub negative: u64,
    /// How many are infinite: they have no part in the rest.
    pub infinite: u64,
}

/// Numbers by bins: `counts` has one entry less than `edges`, which rise. A bin holds its lower edge and not its upper
/// one, but for the last, which holds both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// Where bins begin, and where the last ends.
    pub edges: Vec<f64>,
    /// How many values each bin holds.
    pub counts: Vec<u64>,
    /// How many values are below the first edge.
    pub below: u64,
    /// How many values are above the last edge.
    pub above: u64,
}

impl Numbers {
    /// Adds a number; NaN is skipped.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if x.is_infinite() {
            self.infinite = self.infinite.saturating_add(1);
        } else if !x.is_nan() {
            self.moments.add(x);
            self.extent.add(x);
            self.spread.add(x);
            self.zeros = self.zeros.saturating_add(u64::from(x == 0.0));
            self.negative = self.negative.saturating_add(u64::from(x < 0.0));
        }
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Numbers) {
        self.moments.merge(&other.moments);
        self.extent.merge(&other.extent);
        self.spread.merge(&other.spread);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.negative = self.negative.saturating_add(other.negative);
        self.infinite = self.infinite.saturating_add(other.infinite);
    }

    /// How many finite numbers were added.
    pub fn count(&self) -> u64 {
        self.moments.count
    }

    /// The least and the greatest; none of nothing.
    pub fn extent(&self) -> Option<(f64, f64)> {
        self.extent.0
    }

    /// The mean; none of nothing, and none if it is beyond the greatest double.
    pub fn mean(&self) -> Option<f64> {
        self.moments.mean().filter(|mean| mean.is_finite())
    }

    /// The standard deviation of the population; none of nothing.
    pub fn std(&self) -> Option<f64> {
        self.moments.variance(0).map(f64::sqrt).filter(|std| std.is_finite())
    }

    /// True if quantiles, and the counts of [`Numbers::values`], are exact.
    pub fn is_exact(&self) -> bool {
        self.spread.is_exact()
    }

    /// The different numbers, rising, or the middles of buckets 0.2 % wide, and how often each was seen. Middles are
    /// held within the extent.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = (f64, u64)> {
        let (low, high) = self.extent.0.unwrap_or_default();
        self.spread.values().map(move |(x, count)| (x.clamp(low, high.max(low)), count))
    }

    /// Both as [`Numbers::values`], by one rule: by bucket if one of them is not exact.
    pub(crate) fn paired(&self, other: &Numbers) -> [Vec<(f64, u64)>; 2] {
        [self, other].map(|numbers| match self.is_exact() && other.is_exact() {
            true => numbers.spread.values().collect(),
            false => numbers.spread.by_bucket().values().collect(),
        })
    }

    /// The quantiles at `shares`, which rise from 0 to 1: what lies between two values is interpolated, as `numpy.quantile`
    /// does by default. Nothing of nothing.
    pub fn quantiles(&self, shares: &[f64]) -> Vec<f64> {
        let Some(last) = self.count().checked_sub(1) else { return Vec::new() };
        let mut values = self.values();
        let (mut value, mut upto) = (0.0, 0u64);
        let mut nth = |n: u64, value: &mut f64, upto: &mut u64| {
            while *upto <= n {
                let Some((x, count)) = values.next() else { break };
                (*value, *upto) = (x, upto.saturating_add(count));
            }
            *value
        };
        let mut before: Option<(u64, f64)> = None;
        let mut out = Vec::with_capacity(shares.len());
        for share in shares {
            let place = last as f64 * share.clamp(0.0, 1.0);
            let floor = (place as u64).min(last);
            let low = match before {
                // The value one further was read for the quantile before.
                Some((at, low)) if at == floor => low,
                _ => nth(floor, &mut value, &mut upto),
            };
            before = Some((floor, low));
            let gap = place - floor as f64;
            let high = if gap > 0.0 { nth(floor + 1, &mut value, &mut upto) } else { low };
            // As numpy's `_lerp`, which counts from the nearer end.
            let difference = high - low;
            out.push(match () {
                () if low == high => low,
                () if gap >= 0.5 => high - difference * (1.0 - gap),
                () => low + difference * gap,
            });
        }
        out
    }

    /// At most `bins` bins of equal width over what lies between the quantiles 0.005 and 0.995, or over all where that
    /// is not three times as wide; the rest is counted apart. None of nothing; one bin of a constant.
    pub fn histogram(&self, bins: usize) -> Option<Histogram> {
        let (min, max) = self.extent()?;
        let (mut low, mut high) = (min, max);
        if let [a, b] = self.quantiles(&[0.005, 0.995])[..]
            && (max - min) > 3.0 * (b - a)
            && a < b
        {
            (low, high) = (a, b);
        }
        let whole = self.values().all(|(x, _)| libm::trunc(x) == x);
        if whole {
            (low, high) = (libm::floor(low), libm::ceil(high));
        }
        let span = high - low;
        let bins = match whole {
            // Bins of whole numbers have whole edges.
            true if span < bins as f64 => (span as usize + 1).max(1),
            _ if low == high || !span.is_finite() => 1,
            _ => bins.max(1),
        };
        let high = if whole && span < bins as f64 { high + 1.0 } else { high };
        let edge = |i: usize| match i {
            _ if i == bins => high,
            _ => low + (high - low) * (i as f64 / bins as f64),
        };
        let edges: Vec<f64> = (0..=bins).map(edge).collect();
        Some(self.count_into(edges))
    }

    /// How many numbers lie between `edges`, which rise.
    pub fn count_into(&self, edges: Vec<f64>) -> Histogram {
        let bins = edges.len().saturating_sub(1);
        let (mut counts, mut below, mut above) = (vec![0u64; bins], 0u64, 0u64);
        let (first, last) = (edges.first().copied(), edges.last().copied());
        for (x, count) in self.values() {
            let slot = if first.is_none_or(|first| x < first) {
                &mut below
            } else if last.is_none_or(|last| x > last) {
                &mut above
            } else {
                let at = edges.partition_point(|edge| *edge <= x).clamp(1, bins.max(1)) - 1;
                match counts.get_mut(at) {
                    Some(slot) => slot,
                    None => &mut above,
                }
            };
            *slot = slot.saturating_add(count);
        }
        Histogram { edges, counts, below, above }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Numbers {
        let mut numbers = Numbers::default();
        values.iter().for_each(|x| numbers.add(*x));
        numbers
    }

    #[test]
    fn quantiles_as_numpy_has_them() {
        // numpy.quantile([1, 2, 4, 8, 16], [0, .1, .25, .5, .6, .9, 1])
        let found =
            of(&[16.0, 1.0, 4.0, 8.0, 2.0]).quantiles(&[0.0, 0.1, 0.25, 0.5, 0.6, 0.9, 1.0]);
        let expected = [1.0, 1.4, 2.0, 4.0, 5.6, 12.8, 16.0];
        found.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{found:?}"));
        assert_eq!(of(&[3.0]).quantiles(&[0.0, 0.3, 1.0]), [3.0, 3.0, 3.0]);
        assert_eq!(of(&[3.0, 3.0, 5.0]).quantiles(&[0.1, 0.2, 0.5, 0.75]), [3.0, 3.0, 3.0, 4.0]);
        assert!(of(&[]).quantiles(&[0.5]).is_empty());
        assert!(of(&[f64::INFINITY, f64::NAN]).quantiles(&[0.5]).is_empty());
    }

    #[test]
    fn histograms() {
        let whole = of(&[0.0, 1.0, 1.0, 3.0]).histogram(30).unwrap();
        assert_eq!(whole.edges, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(whole.counts, [1, 2, 0, 1]);
        let constant = of(&[2.5, 2.5]).histogram(30).unwrap();
        assert_eq!((constant.edges, constant.counts), (vec![2.5, 2.5], vec![2]));
        // A far value would push all others into one bin.
        let mut far: Vec<f64> = (0..1000).map(|i| f64::from(i) / 10.0).collect();
        far.push(1e9);
        let far = of(&far).histogram(10).unwrap();
        assert!(far.edges[10] < 100.0 && far.above >= 1 && far.below >= 1, "{far:?}");
        assert_eq!(far.counts.iter().sum::<u64>() + far.below + far.above, 1001);
        assert!(of(&[f64::MAX, f64::MIN]).histogram(30).is_some());
        assert!(of(&[]).histogram(30).is_none());
    }
}
