//! `k_bins`: the number of the bin that a value falls into; the bins are learnt.
//!
//! - Takes: a column of numbers. Null, NaN and infinite values are skipped in `fit`.
//! - Gives: a column of whole numbers, 0 for the first bin; with `encode: one_hot` a column `{out}_{bin}` of 0 and 1 for
//!   each bin, which `fit` freezes. Null or not finite in, null out; with `missing: keep` it has a bin of its own: the
//!   number of bins, or the column `{out}_missing`.
//! - Bins: a bin holds its lower edge and not its upper one. What is below the first edge is in the first bin, what is
//!   above the last in the last.
//! - Strategies: `quantile` edges at the quantiles, so that bins are equally full; `uniform` bins of equal width;
//!   `kmeans` edges halfway between the means of clusters that begin evenly spaced.
//! - Quantiles: `averaged_inverted_cdf` is a value that was seen, or halfway between two if the quantile lies between
//!   them; `linear` is between the two values around it.
//! - Edges: edges nearer to each other than 1e−8 are one (not with `uniform`), so that there can be fewer bins. A constant
//!   column has one bin. Where nothing was fitted there is no bin: a number gives null, and with `missing: keep` the bin
//!   of its own is bin 0. Above 100,000 different values edges come from a histogram and are within 0.1 %.
//! - State: the edges between bins, how many values they come from, and whether they are `exact`. Counts are by value, so
//!   parts of the data are fitted and merged in any order.
//! - Errors: `quantiles` without `strategy: quantile`.
//! - Source: scikit-learn `KBinsDiscretizer(subsample=None)`, of which the defaults are `strategy: quantile` and
//!   `averaged_inverted_cdf`. Departs: `uniform` bins of a range beyond the greatest double are one; where clusters run
//!   empty and several values are equally far, scikit-learn takes any, this the least.

use serde::{Deserialize, Serialize};

use crate::column::{Column, Type};
use crate::features::columnwise::to_longs;
use crate::features::kmeans;
use crate::features::manual::manual;
use crate::features::operator::{Apply, Fitted, Lesson, fitted_outputs};
use crate::features::spread::Spread;
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// So many bins at most.
const MOST: i64 = 1_000;
/// Edges nearer to each other are one.
const NEAR: f64 = 1e-8;

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "k_bins",
    summary: "The number of the bin that a value falls into.",
    manual: manual!("k_bins.rs"),
    version: 1,
    fitted: true,
    supervised: false,
    takes: &[Type::Double, Type::Long],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "bins",
            kind: ParameterKind::Integer { min: 2, max: MOST },
            default: "5",
            required: false,
            help: "How many bins there are at most.",
        },
        Parameter {
            name: "strategy",
            kind: ParameterKind::Word(&["quantile", "uniform", "kmeans"]),
            default: "\"quantile\"",
            required: false,
            help: "Equally full bins, bins of equal width, or clusters.",
        },
        Parameter {
            name: "quantiles",
            kind: ParameterKind::Word(&["averaged_inverted_cdf", "linear"]),
            default: "",
            required: false,
            help: "With `strategy: quantile`: what lies between two values. By default averaged_inverted_cdf.",
        },
        Parameter {
            name: "encode",
            kind: ParameterKind::Word(&["ordinal", "one_hot"]),
            default: "\"ordinal\"",
            required: false,
            help: "The bin's number, or a column of 0 and 1 for each bin.",
        },
        Parameter {
            name: "missing",
            kind: ParameterKind::Word(&["missing", "keep"]),
            default: "\"missing\"",
            required: false,
            help: "What a missing value gives: null, or a bin of its own.",
        },
    ],
    outputs: fitted_outputs::<KBins>,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    /// Linear between two values; else their middle, or one of them.
    Quantile {
        linear: bool,
    },
    Uniform,
    Kmeans,
}

/// The parameters.
#[derive(Clone, Copy, Debug)]
pub struct KBins {
    bins: usize,
    strategy: Strategy,
    one_hot: bool,
    keep: bool,
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Between the bins, rising: one less than there are bins. None if nothing was seen.
    edges: Option<Vec<f64>>,
    count: u64,
    exact: bool,
}

/// Ready to run.
#[derive(Debug)]
pub struct Ready {
    operator: KBins,
    edges: Option<Vec<f64>>,
}

impl Fitted for KBins {
    type Partial = Spread;
    type State = State;
    type Ready = Ready;

    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let quantiles = setting.text("quantiles");
        let strategy = match setting.text("strategy").as_deref() {
            Some("uniform") => Strategy::Uniform,
            Some("kmeans") => Strategy::Kmeans,
            _ => Strategy::Quantile { linear: quantiles.as_deref() == Some("linear") },
        };
        if quantiles.is_some() && !matches!(strategy, Strategy::Quantile { .. }) {
            let message = "`quantiles` goes with `strategy: quantile`";
            return Err(Wrong::at("quantiles", message, "leave it out"));
        }
        let bins = setting.whole("bins").and_then(|bins| usize::try_from(bins).ok()).unwrap_or(5);
        let one_hot = setting.text("encode").as_deref() == Some("one_hot");
        let keep = setting.text("missing").as_deref() == Some("keep");
        Ok(KBins { bins, strategy, one_hot, keep })
    }

    fn outputs(&self) -> Option<Vec<Output>> {
        (!self.one_hot).then(|| vec![Output::plain(Type::Long)])
    }

    fn update(&self, seen: &mut Spread, column: &Column, _: &Lesson<'_>) {
        (0..column.len()).filter_map(|row| column.number(row)).for_each(|x| seen.add(x));
    }

    fn merge(&self, seen: &mut Spread, other: &Spread) {
        seen.merge(other);
    }

    fn finish(&self, seen: &Spread) -> Result<State, String> {
        let count = u64::try_from(seen.total()).unwrap_or(u64::MAX);
        let ends = seen.values().next().zip(seen.values().next_back());
        let edges = ends.map(|((min, _), (max, _))| self.edges(seen, min, max));
        Ok(State { edges, count, exact: seen.is_exact() })
    }

    fn ready(self, state: State) -> Result<Ready, String> {
        if let Some(edges) = &state.edges {
            if edges.len() >= self.bins {
                return Err(format!("it has {} bins, and the step {}", edges.len() + 1, self.bins));
            }
            if !edges.is_sorted_by(|a, b| a <= b) {
                return Err("its edges do not rise".into());
            }
        }
        Ok(Ready { operator: self, edges: state.edges })
    }
}

impl KBins {
    /// The edges between the bins of what was seen.
    fn edges(&self, seen: &Spread, min: f64, max: f64) -> Vec<f64> {
        if min == max || !(max - min).is_finite() {
            return Vec::new();
        }
        let inner = 1..self.bins;
        let edges: Vec<f64> = match self.strategy {
            Strategy::Uniform => {
                let step = (max - min) / self.bins as f64;
                return inner.map(|i| i as f64 * step + min).collect();
            }
            Strategy::Quantile { linear } => {
                let total = seen.total();
                inner.map(|i| quantile(seen, total, i, self.bins, linear)).collect()
            }
            Strategy::Kmeans => {
                let values: Vec<_> = seen.values().collect();
                let centres = kmeans::centres(&values, self.bins);
                centres.windows(2).map(|pair| (pair[1] + pair[0]) * 0.5).collect()
            }
        };
        // Of all edges, the outer ones too, those go that follow too near; the last that stays is an outer one.
        let mut kept: Vec<f64> = Vec::new();
        let mut before = min;
        for edge in edges.into_iter().chain([max]) {
            if edge - before > NEAR {
                kept.push(edge);
            }
            before = edge;
        }
        kept.pop();
        kept
    }
}

/// The `i`th of `bins` quantiles, as numpy's `percentile` finds it.
fn quantile(seen: &Spread, total: u128, i: usize, bins: usize, linear: bool) -> f64 {
    let share = (i as f64 * (100.0 / bins as f64)) / 100.0;
    let n = total as f64;
    let place = if linear { (n - 1.0) * share } else { n * share - 1.0 };
    let at = |place: f64| {
        let place = (place.max(0.0) as u128).min(total.saturating_sub(1));
        seen.nth(place).unwrap_or_default()
    };
    let floor = libm::floor(place);
    let (low, high) = (at(floor), at(floor + 1.0));
    let gap = match (linear, place - floor) {
        (true, gap) => gap,
        (false, 0.0) => 0.5,
        (false, _) => 1.0,
    };
    if place < 0.0 || low == high {
        return if place < 0.0 { at(0.0) } else { low };
    }
    // As numpy's `_lerp`, which counts from the nearer end.
    let difference = high - low;
    if gap >= 0.5 { high - difference * (1.0 - gap) } else { low + difference * gap }
}

impl Ready {
    /// The bin of a number.
    #[inline]
    fn bin(edges: &[f64], x: f64) -> i64 {
        let below = match edges.len() {
            // Without a branch on a value it is faster than a search.
            0..=32 => edges.iter().map(|edge| usize::from(*edge <= x)).sum(),
            _ => edges.partition_point(|edge| *edge <= x),
        };
        below as i64
    }
}

impl Apply for Ready {
    fn outputs(&self) -> Vec<Output> {
        if !self.operator.one_hot {
            return vec![Output::plain(Type::Long)];
        }
        let bins = self.edges.as_ref().map_or(0, |edges| edges.len() + 1);
        let bins = (0..bins).map(|bin| Output::suffixed(bin.to_string(), Type::Long));
        let missing = self.operator.keep.then(|| Output::suffixed("missing", Type::Long));
        bins.chain(missing).collect()
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        let edges = self.edges.as_deref();
        let own = edges.map_or(0, |edges| edges.len() as i64 + 1);
        let missing = self.operator.keep.then_some(own);
        let bins = to_longs(column, |x| match (x.filter(|x| x.is_finite()), edges) {
            (Some(x), Some(edges)) => Some(Ready::bin(edges, x)),
            (Some(_), None) => None,
            (None, _) => missing,
        });
        if !self.operator.one_hot {
            return vec![bins];
        }
        let one = |bin: i64| to_longs(&bins, move |x| Some(i64::from(x? == bin as f64)));
        (0..own + i64::from(self.operator.keep)).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{
        LESSON, fit_apply, json, law, number, setting, wrong,
    };
    use crate::recipe::Dialect;
    use proptest::prelude::*;

    #[track_caller]
    fn check(
        parameters: &str,
        fit: &[f64],
        edges: &str,
        of: &[Option<f64>],
        expected: &[Option<i64>],
    ) {
        let fit = Column::doubles(fit.iter().copied().map(Some));
        let of = Column::doubles(of.iter().copied());
        let (state, columns) = fit_apply(&SPEC, parameters, &fit, &of).unwrap();
        assert_eq!(state["edges"], json(edges), "{parameters}");
        let expected = Column::longs(expected.iter().copied());
        assert_eq!(columns, [("x".to_owned(), expected)], "{parameters}");
    }

    const SEEN: [f64; 8] = [5.0, 1.0, 2.0, f64::NAN, 3.0, 4.0, 100.0, f64::INFINITY];

    #[test]
    fn bins() {
        let of = [Some(-9.0), Some(2.5), Some(3.49), Some(3.5), Some(1e9), None];
        let expected = [Some(0), Some(0), Some(0), Some(1), Some(1), None];
        check(r#"{"bins":2}"#, &SEEN, "[3.5]", &of, &expected);
        let of = [Some(2.0), Some(3.0), Some(4.0), Some(f64::NEG_INFINITY)];
        let thirds = r#"{"bins":3,"quantiles":"linear"}"#;
        let edges = "[2.666666666666667,4.333333333333334]";
        check(thirds, &SEEN, edges, &of, &[Some(0), Some(1), Some(1), None]);
        let uniform = r#"{"bins":3,"strategy":"uniform","missing":"keep"}"#;
        let expected = [Some(0), Some(0), Some(0), Some(3)];
        check(uniform, &SEEN, "[34.0,67.0]", &of, &expected);
        check(r#"{"bins":2,"strategy":"kmeans"}"#, &SEEN, "[51.5]", &[Some(51.5)], &[Some(1)]);
    }

    #[test]
    fn fewer_bins_than_asked() {
        let many = [1.0, 1.0, 1.0, 1.0, 2.0, 3.0];
        check(r#"{"bins":4}"#, &many, "[2.0]", &[Some(1.0), Some(2.0)], &[Some(0), Some(1)]);
        check("{}", &[7.0, 7.0], "[]", &[Some(7.0), Some(9.0), None], &[Some(0), Some(0), None]);
        check("{}", &[], "null", &[Some(7.0), None], &[None, None]);
        check(r#"{"missing":"keep"}"#, &[], "null", &[Some(7.0), None], &[None, Some(0)]);
        check(r#"{"strategy":"uniform"}"#, &[f64::MAX, -f64::MAX], "[]", &[Some(7.0)], &[Some(0)]);
    }

    #[test]
    fn one_hot() {
        let fit = Column::longs([Some(1), Some(2), Some(3), Some(4)]);
        let of = Column::longs([Some(4), None, Some(0)]);
        for (parameters, expected) in [
            (
                r#"{"bins":2,"encode":"one_hot"}"#,
                vec![("x_0", [Some(0), None, Some(1)]), ("x_1", [Some(1), None, Some(0)])],
            ),
            (
                r#"{"bins":2,"encode":"one_hot","missing":"keep"}"#,
                vec![
                    ("x_0", [Some(0), Some(0), Some(1)]),
                    ("x_1", [Some(1), Some(0), Some(0)]),
                    ("x_missing", [Some(0), Some(1), Some(0)]),
                ],
            ),
        ] {
            let (_, columns) = fit_apply(&SPEC, parameters, &fit, &of).unwrap();
            let expected: Vec<_> =
                expected.into_iter().map(|(n, v)| (n.to_owned(), Column::longs(v))).collect();
            assert_eq!(columns, expected);
        }
    }

    #[test]
    fn few_and_many_edges_agree() {
        let edges: Vec<f64> = (0..100).map(f64::from).collect();
        for x in [-1.0, 0.0, 0.5, 31.0, 31.5, 32.0, 99.0, 1e9] {
            let few = edges.chunks(20).map(|edges| Ready::bin(edges, x)).sum::<i64>();
            assert_eq!(Ready::bin(&edges, x), few, "{x}");
        }
    }

    #[test]
    fn wrong_parameters_and_states() {
        wrong(&SPEC, Type::Double, r#"{"strategy":"uniform","quantiles":"linear"}"#);
        let step = setting(&SPEC, r#"{"bins":3}"#);
        let (dialect, kind) = (Dialect::Sklearn, Type::Double);
        let setting = Setting { spec: &SPEC, dialect, kind, kinds: &[kind], step: &step };
        for edges in [vec![1.0, 2.0, 3.0], vec![2.0, 1.0]] {
            let state = State { edges: Some(edges), count: 9, exact: true };
            assert!(KBins::read(&setting).unwrap().ready(state).is_err());
        }
    }

    proptest! {
        #[test]
        fn merged_is_one_pass(
            values in proptest::collection::vec(number(), 0..30), cuts in proptest::collection::vec(0usize..30, 0..4),
            turn in 0usize..5,
        ) {
            for strategy in ["quantile", "uniform", "kmeans"] {
                let parameters = format!(r#"{{"bins":4,"strategy":"{strategy}"}}"#);
                law::<KBins>(&SPEC, &parameters, &Column::doubles(values.iter().copied()), &LESSON, &cuts, turn)?;
            }
        }
    }
}
