//! The measures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ColumnDrift;
use super::distribution::{chi_squared_p, kolmogorov};
use crate::column::Type;
use crate::profile::{ColumnProfile, Numbers};

/// A bin without a value counts as this share.
const EMPTY: f64 = 1e-4;
/// Bins of numbers.
const BINS: usize = 10;
/// Columns of more different values are no categories.
const MOST_CATEGORIES: f64 = 100.0;
/// The same of whole numbers.
const MOST_WHOLE: f64 = 50.0;
/// A value that is expected less often is put together with others.
const EXPECTED: f64 = 5.0;

/// What is measured of a column: see [`drift`](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The share of nulls less that of the first.
    Missing,
    /// The population stability index.
    Psi,
    /// Kolmogorov–Smirnov's distance.
    Ks,
    /// Its p-value.
    KsP,
    /// The chi-squared statistic.
    ChiSquared,
    /// Its p-value.
    ChiSquaredP,
    /// The share of values that the first does not have.
    Unseen,
    /// The share of numbers outside the first's extent.
    Outside,
    /// The difference of the means in standard deviations of the first.
    Mean,
}

impl Measure {
    /// All, in the order of tables.
    pub const ALL: [Measure; 9] = [
        Measure::Missing,
        Measure::Psi,
        Measure::Ks,
        Measure::KsP,
        Measure::ChiSquared,
        Measure::ChiSquaredP,
        Measure::Unseen,
        Measure::Outside,
        Measure::Mean,
    ];

    /// Its name in files and documents.
    pub const fn word(self) -> &'static str {
        match self {
            Measure::Missing => "missing",
            Measure::Psi => "psi",
            Measure::Ks => "ks",
            Measure::KsP => "ks_p",
            Measure::ChiSquared => "chi_squared",
            Measure::ChiSquaredP => "chi_squared_p",
            Measure::Unseen => "unseen",
            Measure::Outside => "outside",
            Measure::Mean => "mean",
        }
    }

    /// True of p-values: a limit is the least that is allowed, not the most.
    pub const fn is_chance(self) -> bool {
        matches!(self, Measure::KsP | Measure::ChiSquaredP)
    }

    /// True if a limit is a share, from 0 to 1.
    pub const fn is_share(self) -> bool {
        !matches!(self, Measure::Psi | Measure::ChiSquared | Measure::Mean)
    }

    /// Whether columns of `kind` can have it.
    pub fn of(self, kind: Type) -> bool {
        match self {
            Measure::Missing => true,
            Measure::Psi => kind != Type::Timestamp,
            Measure::Ks | Measure::KsP | Measure::Outside | Measure::Mean => kind.is_numeric(),
            Measure::ChiSquared | Measure::ChiSquaredP | Measure::Unseen => {
                matches!(kind, Type::String | Type::Bool | Type::Long)
            }
        }
    }

    /// Whether `value` is beyond `limit`: above it in size, or below it if it is a chance.
    pub fn passes(self, value: f64, limit: f64) -> bool {
        if self.is_chance() { value < limit } else { value.abs() > limit }
    }
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Measures numbers.
pub(super) fn numbers(before: &Numbers, now: &Numbers, drift: &mut ColumnDrift) {
    let (Some((low, high)), true) = (before.extent(), now.count() > 0) else {
        drift.note("one of the data sets has no finite number");
        return;
    };
    let mut put = |measure, value: f64| {
        if value.is_finite() {
            drift.measures.insert(measure, value);
        }
    };
    let edges = edges(before);
    let pairs = shares(before, &edges).into_iter().zip(shares(now, &edges));
    put(Measure::Psi, psi(pairs));
    let distance = ks(before, now);
    let (n, m) = (before.count() as f64, now.count() as f64);
    put(Measure::Ks, distance);
    put(Measure::KsP, kolmogorov((n / (n + m) * m).sqrt() * distance));
    let outside: u64 = now.values().filter(|(x, _)| *x < low || *x > high).map(|(_, n)| n).sum();
    put(Measure::Outside, outside as f64 / m);
    let means = before.mean().zip(now.mean()).zip(before.std());
    match means {
        Some(((a, b), std)) if std > 0.0 => put(Measure::Mean, (b - a) / std),
        Some(((a, b), _)) if a == b => put(Measure::Mean, 0.0),
        Some(_) => drift.note(
            "the first data set is constant: `mean` has no standard deviation to be measured in",
        ),
        None => drift.note("a mean is beyond the greatest double"),
    }
    if !before.is_exact() || !now.is_exact() {
        drift.note("`psi` and `ks` come from histograms with bins 0.2 % wide");
    }
}

/// The tenths of `numbers`, without those that have no value below them; those around its one value, if there is but one.
fn edges(numbers: &Numbers) -> Vec<f64> {
    let tenths: Vec<f64> = (1..BINS).map(|i| i as f64 / BINS as f64).collect();
    let (low, _) = numbers.extent().unwrap_or_default();
    let mut edges = numbers.quantiles(&tenths);
    edges.dedup();
    edges.retain(|edge| *edge > low);
    if edges.is_empty() {
        edges = vec![low, low.next_up()];
    }
    edges
}

/// The shares of `numbers` before the first edge, between edges, and from the last on. A bin holds its lower edge.
fn shares(numbers: &Numbers, edges: &[f64]) -> Vec<f64> {
    let mut counts = vec![0u64; edges.len() + 1];
    for (x, count) in numbers.values() {
        if let Some(slot) = counts.get_mut(edges.partition_point(|edge| *edge <= x)) {
            *slot = slot.saturating_add(count);
        }
    }
    let all = numbers.count().max(1) as f64;
    counts.into_iter().map(|count| count as f64 / all).collect()
}

/// Σ (q − p)·ln(q / p); an empty bin counts as [`EMPTY`], one that both have empty as nothing.
pub(super) fn psi(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let term = |(p, q): (f64, f64)| {
        if p == 0.0 && q == 0.0 {
            return 0.0;
        }
        let (p, q) = (p.max(EMPTY), q.max(EMPTY));
        (q - p) * libm::log(q / p)
    };
    pairs.map(term).sum::<f64>() + 0.0
}

/// The greatest distance between the distribution functions.
fn ks(before: &Numbers, now: &Numbers) -> f64 {
    let [a, b] = before.paired(now);
    let (n, m) = (before.count() as f64, now.count() as f64);
    let (mut i, mut j, mut below_a, mut below_b) = (0, 0, 0u64, 0u64);
    let mut most = 0.0f64;
    while i < a.len() || j < b.len() {
        let next = |side: &[(f64, u64)], at: usize| side.get(at).map_or(f64::INFINITY, |(x, _)| *x);
        let x = next(&a, i).min(next(&b, j));
        let pass = |side: &[(f64, u64)], at: &mut usize, below: &mut u64| {
            if let Some((_, count)) = side.get(*at).filter(|(y, _)| *y == x) {
                (*at, *below) = (*at + 1, below.saturating_add(*count));
            }
        };
        pass(&a, &mut i, &mut below_a);
        pass(&b, &mut j, &mut below_b);
        most = most.max((below_a as f64 / n - below_b as f64 / m).abs());
    }
    most
}

/// Measures categories, of columns that have few.
pub(super) fn categories(before: &ColumnProfile, now: &ColumnProfile, drift: &mut ColumnDrift) {
    let most = match before.kind {
        Type::Double | Type::Timestamp => return,
        Type::Long if now.kind != Type::Long => return,
        Type::Long => MOST_WHOLE,
        Type::String | Type::Bool => MOST_CATEGORIES,
    };
    let (distinct, _) = before.distinct();
    if before.kind == Type::Long && distinct > most {
        return;
    }
    let (a, b) = (before.frequencies(), now.frequencies());
    let level = a.level().max(b.level());
    let mut table: BTreeMap<u128, (u64, u64)> = BTreeMap::new();
    let kept = |(hash, _): &(u128, u64)| hash.leading_zeros() >= level;
    a.counts().filter(kept).for_each(|(hash, count)| table.entry(hash).or_default().0 = count);
    b.counts().filter(kept).for_each(|(hash, count)| table.entry(hash).or_default().1 = count);
    let sums = table
        .values()
        .fold((0u64, 0u64), |(a, b), (x, y)| (a.saturating_add(*x), b.saturating_add(*y)));
    if sums.0 == 0 || sums.1 == 0 {
        drift.note("the sample of values holds none of one data set: categories are not measured");
        return;
    }
    let unseen: u64 = table.values().filter(|(a, _)| *a == 0).map(|(_, b)| b).sum();
    drift.measures.insert(Measure::Unseen, unseen as f64 / sums.1 as f64);
    if level > 0 {
        drift.note("`unseen` comes from a sample of the values by hash");
    }
    if distinct > most {
        let note = "`psi` and `chi_squared` are not measured: the first data set has more than 100 different values";
        drift.note(note);
        return;
    }
    let (n, m) = (sums.0 as f64, sums.1 as f64);
    if before.kind != Type::Long {
        let shares = table.values().map(|(a, b)| (*a as f64 / n, *b as f64 / m));
        drift.measures.insert(Measure::Psi, psi(shares));
    }
    let counts: Vec<(u64, u64)> = table.into_values().collect();
    match chi_squared(&counts) {
        Some((statistic, freedom)) => {
            drift.measures.insert(Measure::ChiSquared, statistic);
            drift.measures.insert(Measure::ChiSquaredP, chi_squared_p(statistic, freedom));
        }
        None => drift.note(
            "`chi_squared` is not measured: there are not two values that are expected five times",
        ),
    }
}

/// Pearson's statistic and its degrees of freedom; none of fewer than two values.
pub(super) fn chi_squared(counts: &[(u64, u64)]) -> Option<(f64, u64)> {
    let sum = |of: fn(&(u64, u64)) -> u64| counts.iter().map(|c| of(c) as f64).sum::<f64>();
    let (n, m) = (sum(|c| c.0), sum(|c| c.1));
    let all = n + m;
    let expected = |(a, b): (u64, u64)| {
        let both = a as f64 + b as f64;
        (both * n / all, both * m / all)
    };
    let enough = |c: (u64, u64)| {
        let (a, b) = expected(c);
        a.min(b) >= EXPECTED
    };
    let (mut kept, rare): (Vec<_>, Vec<_>) = counts.iter().copied().partition(|c| enough(*c));
    let add = |a: (u64, u64), b: (u64, u64)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1));
    let mut rest = rare.into_iter().fold((0, 0), add);
    if rest != (0, 0) {
        kept.sort_unstable_by_key(|(a, b)| (std::cmp::Reverse(a.saturating_add(*b)), *a));
        while !enough(rest) {
            rest = add(rest, kept.pop()?);
        }
        kept.push(rest);
    }
    let freedom = kept.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
    let statistic = kept
        .into_iter()
        .map(|c| {
            let (ea, eb) = expected(c);
            let term = |o: u64, e: f64| (o as f64 - e) * (o as f64 - e) / e;
            term(c.0, ea) + term(c.1, eb)
        })
        .sum();
    Some((statistic, freedom as u64))
}
