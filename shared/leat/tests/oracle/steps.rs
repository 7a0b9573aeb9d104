//! Operators from their definitions, one value at a time.

use std::collections::BTreeMap;

use leat::timestamp;
use serde_json::Value;

use crate::model::Cells;
use crate::random::Random;
use crate::value::{Kind, V};

#[derive(Clone, Debug)]
pub struct Step {
    pub op: Op,
    pub input: String,
    pub out: String,
}

#[derive(Clone, Debug)]
pub enum Op {
    /// The strategy, and the value of `constant`.
    Impute(&'static str, Option<V>),
    StandardScale {
        center: Option<bool>,
        scale: bool,
    },
    Log {
        base: Option<f64>,
        offset: f64,
        signed: bool,
    },
    OneHot {
        unseen: &'static str,
        missing: &'static str,
        most: Option<usize>,
    },
    TargetEncode {
        smooth: f64,
    },
    DateParts {
        parts: Vec<&'static str>,
        cyclic: bool,
    },
    MinMaxScale {
        low: f64,
        high: f64,
        clip: bool,
    },
    KBins {
        strategy: &'static str,
        keep: bool,
    },
    Ordinal {
        unseen: &'static str,
        missing: &'static str,
    },
    HashEncode {
        buckets: u32,
        keep: bool,
    },
    TimeSince {
        from: i64,
        unit: (&'static str, i64),
        clip: bool,
    },
    /// With another column.
    Cross(&'static str, String),
    /// By a hash.
    CrossHash(u32, String),
    TfIdf {
        dimensions: u32,
    },
}

/// With what each part of a date begins and ends; none: it does not come around.
const PARTS: [(&str, Option<(i64, i64)>); 10] = [
    ("year", None),
    ("quarter", Some((1, 4))),
    ("month", Some((1, 12))),
    ("day", Some((1, 31))),
    ("day_of_week", Some((1, 7))),
    ("day_of_year", Some((1, 366))),
    ("hour", Some((0, 23))),
    ("minute", Some((0, 59))),
    ("second", Some((0, 59))),
    ("is_weekend", None),
];

impl Step {
    /// Steps over `columns` and over what earlier ones made.
    pub fn some(r: &mut Random, columns: &mut Vec<(String, Kind)>) -> Vec<Step> {
        let mut steps = Vec::new();
        for at in 0..r.below(7) {
            let (input, kind) = r.pick(columns).clone();
            let (other, other_kind) = r.pick(columns).clone();
            let numbers = |kind| matches!(kind, Kind::Long | Kind::Double | Kind::Bool);
            let policy = |r: &mut Random| *r.pick(&["keep", "minus_one", "missing"]);
            let op = match (kind, r.below(8)) {
                (Kind::Time, 0..=3) => Op::TimeSince {
                    from: 1_767_225_600_000_000,
                    unit: *r.pick(&[("second", 1_000_000), ("day", 86_400_000_000)]),
                    clip: r.one_in(2),
                },
                (Kind::Double | Kind::Long, 3) => {
                    let (low, high) = *r.pick(&[(0.0, 1.0), (-1.0, 2.5)]);
                    Op::MinMaxScale { low, high, clip: r.one_in(2) }
                }
                (Kind::Double | Kind::Long, 4) => {
                    Op::KBins { strategy: *r.pick(&["quantile", "uniform"]), keep: r.one_in(2) }
                }
                (kind, 5) if numbers(kind) && numbers(other_kind) && input != other => {
                    Op::Cross(*r.pick(&["multiply", "add", "subtract", "divide"]), other)
                }
                (Kind::Text | Kind::Bool, 3) => {
                    Op::Ordinal { unseen: policy(r), missing: policy(r) }
                }
                (Kind::Text | Kind::Bool | Kind::Long, 6) => {
                    Op::HashEncode { buckets: *r.pick(&[2, 10, 1024]), keep: r.one_in(2) }
                }
                (kind, 7) if kind != Kind::Time && other_kind != Kind::Time && input != other => {
                    Op::CrossHash(*r.pick(&[2, 1000]), other)
                }
                (Kind::Text, 4) => Op::TfIdf { dimensions: *r.pick(&[4, 256]) },
                (Kind::Time, _) => {
                    let from = r.below(PARTS.len());
                    let parts = PARTS[from..].iter().take(1 + r.below(4)).map(|(part, _)| *part);
                    Op::DateParts { parts: parts.collect(), cyclic: r.one_in(2) }
                }
                (Kind::Double | Kind::Long, 0) => Op::StandardScale {
                    center: r.one_in(2).then(|| r.one_in(2)),
                    scale: !r.one_in(4),
                },
                (Kind::Double | Kind::Long, 1) => {
                    let signed = r.one_in(2);
                    let offset = *r.pick(&[1.0, 2.5]);
                    let base = *r.pick(&[None, Some(2.0), Some(10.0), Some(3.0)]);
                    Op::Log { base, offset: if signed { offset } else { offset - 1.0 }, signed }
                }
                (Kind::Double, _) => {
                    let strategy = *r.pick(&["mean", "median", "min", "max", "constant"]);
                    Op::Impute(strategy, (strategy == "constant").then_some(V::Double(2.5)))
                }
                (Kind::Long, _) => {
                    let strategy = *r.pick(&["mean", "median", "min", "max", "mode", "constant"]);
                    Op::Impute(strategy, (strategy == "constant").then_some(V::Long(-7)))
                }
                (Kind::Text | Kind::Bool, 0) => Op::Impute("mode", None),
                (Kind::Text | Kind::Bool, 1) => Op::TargetEncode { smooth: *r.pick(&[0.0, 20.0]) },
                (Kind::Text | Kind::Bool, _) => Op::OneHot {
                    unseen: *r.pick(&["ignore", "keep", "missing"]),
                    missing: *r.pick(&["ignore", "keep", "missing"]),
                    most: r.one_in(2).then(|| 1 + r.below(3)),
                },
            };
            let out = format!("f{at}");
            // Not what goes back to labels: steps learn from its training values, the oracle knows what serves.
            let made = match (&op, kind) {
                (Op::Impute("mode" | "constant", _), kind) => Some(kind),
                (Op::Impute(..) | Op::StandardScale { .. } | Op::Log { .. }, _) => {
                    Some(Kind::Double)
                }
                (Op::MinMaxScale { .. } | Op::TimeSince { .. } | Op::Cross(..), _) => {
                    Some(Kind::Double)
                }
                (Op::KBins { .. } | Op::Ordinal { .. } | Op::HashEncode { .. }, _)
                | (Op::CrossHash(..), _) => Some(Kind::Long),
                _ => None,
            };
            columns.extend(made.map(|kind| (out.clone(), kind)));
            steps.push(Step { op, input, out });
        }
        steps
    }

    pub fn yaml(&self) -> String {
        let parameters = match &self.op {
            Op::Impute(strategy, value) => {
                let value = match value {
                    Some(V::Double(x)) => format!(", value: {x}"),
                    Some(V::Long(x)) => format!(", value: {x}"),
                    _ => String::new(),
                };
                format!("op: impute, strategy: {strategy}{value}")
            }
            Op::StandardScale { center, scale } => {
                let center = center.map(|center| format!(", center: {center}")).unwrap_or_default();
                format!("op: standard_scale, scale: {scale}{center}")
            }
            Op::Log { base, offset, signed } => {
                let base = base.map(|base| format!(", base: {base}")).unwrap_or_default();
                format!("op: log, offset: {offset}, signed: {signed}{base}")
            }
            Op::OneHot { unseen, missing, most } => {
                let most = most.map(|most| format!(", max_categories: {most}")).unwrap_or_default();
                format!("op: one_hot, unseen: {unseen}, missing: {missing}{most}")
            }
            Op::TargetEncode { smooth } => format!("op: target_encode, smooth: {smooth}"),
            Op::DateParts { parts, cyclic } => {
                format!("op: date_parts, parts: [{}], cyclic: {cyclic}", parts.join(", "))
            }
            Op::MinMaxScale { low, high, clip } => {
                format!("op: min_max_scale, low: {low}, high: {high}, clip: {clip}")
            }
            Op::KBins { strategy, keep } => {
                let missing = if *keep { "keep" } else { "missing" };
                format!("op: k_bins, bins: 4, strategy: {strategy}, missing: {missing}")
            }
            Op::Ordinal { unseen, missing } => {
                format!("op: ordinal, unseen: {unseen}, missing: {missing}")
            }
            Op::HashEncode { buckets, keep } => {
                let missing = if *keep { "keep" } else { "missing" };
                format!("op: hash_encode, buckets: {buckets}, missing: {missing}")
            }
            Op::TimeSince { from, unit: (unit, _), clip } => {
                let from = timestamp::to_text(*from);
                format!("op: time_since, from: \"{from}\", unit: {unit}, clip: {clip}")
            }
            Op::Cross(operation, _) => format!("op: cross, operation: {operation}"),
            Op::CrossHash(buckets, _) => {
                format!("op: cross, buckets: {buckets}, missing: keep")
            }
            Op::TfIdf { dimensions } => format!("op: tf_idf, dimensions: {dimensions}"),
        };
        let input = match &self.op {
            Op::Cross(_, other) | Op::CrossHash(_, other) => format!("[{}, {other}]", self.input),
            _ => self.input.clone(),
        };
        format!("{{{parameters}, in: {input}, out: {}}}", self.out)
    }

    /// Whether what was learnt from `column` is what there was to learn.
    pub fn check(
        &self,
        spark: bool,
        column: &[V],
        labels: &[V],
        learnt: &Value,
    ) -> Result<(), String> {
        let mut numbers: Vec<f64> =
            column.iter().filter_map(V::number).filter(|x| x.is_finite()).collect();
        numbers.sort_by(f64::total_cmp);
        let n = numbers.len();
        // Sums of numbers that are not too far apart are known well enough without exact arithmetic.
        let tame = numbers.iter().all(|x| x.abs() < 1e9);
        let mean = numbers.iter().sum::<f64>() / n as f64;
        let is = |name: &str, expected: f64, exact: bool| {
            let found = learnt[name].as_f64();
            let near = |x: f64| (x - expected).abs() <= 1e-9 * (1.0 + expected.abs());
            match found {
                Some(x) if x == expected || !exact && near(x) => Ok(()),
                _ => Err(format!("`{}`: {name} is {expected}, it learnt {found:?}", self.out)),
            }
        };
        match &self.op {
            Op::Impute("mean", _) if tame => is("value", mean, false),
            Op::Impute("median", _) => {
                let (low, high) = (numbers[(n - 1) / 2], numbers[n / 2]);
                // Half the sum, were it not for its overflow.
                is("value", low / 2.0 + high / 2.0, false)
            }
            Op::MinMaxScale { .. } if n > 0 => {
                is("min", numbers[0], true)?;
                is("max", numbers[n - 1], true)
            }
            Op::Impute("min", _) => is("value", numbers[0], true),
            Op::Impute("max", _) => is("value", numbers[n - 1], true),
            Op::Impute("mode", _) => {
                let counts = counts(column);
                let most = counts.values().max().copied();
                let mode = counts.iter().find(|(_, count)| Some(**count) == most);
                let expected = mode.map(|(label, _)| label.json()).unwrap_or_default();
                match learnt["value"] == expected {
                    true => Ok(()),
                    false => Err(format!("`{}`: the mode is {expected}, not {learnt}", self.out)),
                }
            }
            Op::StandardScale { .. } if n > 0 && tame => {
                is("mean", mean, false)?;
                let ddof = f64::from(u8::from(spark));
                let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
                let degrees = n as f64 - ddof;
                let variance = if degrees > 0.0 { squares / degrees } else { 0.0 };
                // The deviation of numbers of about 1e9 that hardly differ is all rounding.
                if variance > 1e-3 { is("std", variance.sqrt(), false) } else { Ok(()) }
            }
            Op::OneHot { most, .. } => {
                let counts = counts(column);
                let mut by_count: Vec<(&Label, &usize)> = counts.iter().collect();
                // The most frequent first; of labels equally frequent the greater stays.
                by_count.sort_by(|a, b| (b.1, b.0).cmp(&(a.1, a.0)));
                // The bucket of the others is one of the columns.
                let keep = most.map_or(by_count.len(), |most| by_count.len().min(most - 1));
                let mut kept: Vec<(&Label, &usize)> = by_count[..keep].to_vec();
                kept.sort_by_key(|(label, _)| *label);
                if spark {
                    kept.sort_by(|a, b| b.1.cmp(a.1));
                }
                let expected: Vec<Value> = kept.iter().map(|(label, _)| label.json()).collect();
                match learnt["labels"] == Value::Array(expected.clone()) {
                    true => Ok(()),
                    false => {
                        Err(format!("`{}`: the labels are {expected:?}, not {learnt}", self.out))
                    }
                }
            }
            Op::TargetEncode { smooth } => {
                let ys: Vec<f64> = labels.iter().filter_map(V::number).collect();
                let mean = ys.iter().sum::<f64>() / ys.len() as f64;
                for (label, learnt) in pairs(&learnt["categories"]) {
                    let of = column
                        .iter()
                        .zip(labels)
                        .filter(|(value, _)| Label::of(value) == Some(label.clone()));
                    let own: Vec<f64> = of.filter_map(|(_, y)| y.number()).collect();
                    let (sum, count) = (own.iter().sum::<f64>(), own.len() as f64);
                    let expected = (sum + smooth * mean) / (count + smooth);
                    let found = learnt["serve"].as_f64().unwrap_or(f64::NAN);
                    if (found - expected).abs() > 1e-12 || own.is_empty() {
                        return Err(format!(
                            "`{}`: {label:?} is {expected}, not {found}",
                            self.out
                        ));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Adds the columns of this step to a row.
    pub fn apply(&self, spark: bool, cells: &mut Cells, learnt: &Value) -> Result<(), String> {
        let value = cells[&self.input].clone();
        let number = value.number().filter(|x| x.is_finite());
        let made = match &self.op {
            Op::Impute(strategy, _) => {
                let doubles = matches!(*strategy, "mean" | "median" | "min" | "max");
                match (Label::of(&value), value.number()) {
                    (_, Some(x)) if doubles => V::double(x),
                    (Some(_), _) | (_, Some(_)) => value.clone(),
                    _ => fill(&learnt["value"], &self.op, &value, doubles),
                }
            }
            Op::StandardScale { center, scale } => {
                let std = learnt["std"].as_f64();
                let constant = learnt["constant"] == Value::Bool(true);
                let mean = learnt["mean"].as_f64().unwrap_or_default();
                let mean = if center.unwrap_or(!spark) { mean } else { 0.0 };
                match (number, std) {
                    (Some(x), Some(_)) if !scale => V::finite(x - mean),
                    (Some(_), Some(_)) if constant && spark => V::Double(0.0),
                    (Some(x), Some(_)) if constant => V::finite(x - mean),
                    (Some(x), Some(std)) => V::finite((x - mean) / std),
                    _ => V::Null,
                }
            }
            Op::Log { base, offset, signed } => number.map_or(V::Null, |x| {
                let size = if *signed { x.abs() } else { x };
                if size + offset <= 0.0 {
                    return V::Null;
                }
                let ln = if *offset == 1.0 { libm::log1p(size) } else { libm::log(size + offset) };
                let log = match base {
                    None => ln,
                    Some(2.0) => libm::log2(size + offset),
                    Some(10.0) => libm::log10(size + offset),
                    Some(base) => ln / libm::log(*base),
                };
                V::finite(if *signed && x < 0.0 { -log } else { log })
            }),
            Op::MinMaxScale { low, high, clip } => {
                match (number, learnt["min"].as_f64(), learnt["max"].as_f64()) {
                    (Some(x), Some(min), Some(max)) => {
                        let span = match max - min {
                            0.0 if spark => {
                                cells.insert(self.out.clone(), V::double((low + high) / 2.0));
                                return Ok(());
                            }
                            span if !spark && span < 10.0 * f64::EPSILON => 1.0,
                            span => span,
                        };
                        let y = low + (x - min) / span * (high - low);
                        V::finite(if *clip { y.clamp(*low, *high) } else { y })
                    }
                    _ => V::Null,
                }
            }
            Op::KBins { keep, .. } => {
                let edges: Option<Vec<f64>> = learnt["edges"]
                    .as_array()
                    .map(|edges| edges.iter().filter_map(Value::as_f64).collect());
                match (number, edges) {
                    (None, None) if *keep => V::Long(0), // the number of bins
                    (_, None) => V::Null,
                    (Some(x), Some(edges)) => {
                        V::Long(edges.iter().filter(|edge| **edge <= x).count() as i64)
                    }
                    (None, Some(edges)) if *keep => V::Long(edges.len() as i64 + 1),
                    (None, _) => V::Null,
                }
            }
            Op::Ordinal { unseen, missing } => {
                let labels: Vec<Label> =
                    learnt["labels"].as_array().into_iter().flatten().map(Label::read).collect();
                let count = labels.len() as i64;
                let other = |policy: &str, kept: i64| match policy {
                    "keep" => V::Long(kept),
                    "minus_one" => V::Long(-1),
                    _ => V::Null,
                };
                match Label::of(&value) {
                    None => other(missing, count + 1),
                    Some(label) => match labels.iter().position(|other| *other == label) {
                        Some(at) => V::Long(at as i64),
                        None => other(unseen, count),
                    },
                }
            }
            Op::HashEncode { buckets, keep } => match Label::of(&value).and(bytes(&value)) {
                Some(bytes) => bucket(spark, &bytes, *buckets, *keep),
                None if *keep => V::Long(0),
                None => V::Null,
            },
            Op::CrossHash(buckets, other) => match (bytes(&value), bytes(&cells[other])) {
                (Some(a), Some(b)) => {
                    bucket(spark, &[a.as_slice(), &b].join(&b'|'), *buckets, true)
                }
                _ => V::Long(0),
            },
            Op::Cross(operation, other) => {
                let number = |value: &V| match value {
                    V::Bool(x) => Some(f64::from(u8::from(*x))),
                    value => value.number().filter(|x| x.is_finite()),
                };
                match (number(&value), number(&cells[other]), *operation) {
                    (Some(a), Some(b), "multiply") => V::finite(a * b),
                    (Some(a), Some(b), "add") => V::finite(a + b),
                    (Some(a), Some(b), "subtract") => V::finite(a - b),
                    (Some(a), Some(b), _) => V::finite(a / b),
                    _ => V::Null,
                }
            }
            Op::TimeSince { from, unit: (_, unit), clip } => match value {
                V::Time(time) => {
                    let since = (time - from) as f64 / *unit as f64;
                    V::double(if *clip { since.max(0.0) } else { since })
                }
                _ => V::Null,
            },
            Op::TfIdf { dimensions } => {
                let text = match &value {
                    V::Text(text) => text.as_str(),
                    _ => "",
                };
                V::Text(tf_idf(spark, text, *dimensions, &learnt["idf"]))
            }
            Op::TargetEncode { .. } => {
                let own = Label::of(&value).map(|label| {
                    pairs(&learnt["categories"]).into_iter().find(|(other, _)| *other == label)
                });
                let encoded = match own {
                    Some(Some((_, encoded))) => encoded,
                    None if !learnt["missing"].is_null() => learnt["missing"].clone(),
                    _ => learnt["unseen"].clone(),
                };
                V::double(encoded["serve"].as_f64().ok_or("no `serve`")?)
            }
            Op::OneHot { unseen, missing, .. } => {
                let read = |list: &Value| -> Vec<Label> {
                    list.as_array().into_iter().flatten().map(Label::read).collect()
                };
                let (labels, rare) = (read(&learnt["labels"]), read(&learnt["infrequent"]));
                let own = Label::of(&value);
                // The column that is 1; none: all are null.
                let hit = match &own {
                    None if *missing == "missing" => None,
                    None if *missing == "keep" => Some("missing".to_owned()),
                    None => Some(String::new()),
                    Some(label) if labels.contains(label) => Some(label.text()),
                    Some(label) if rare.contains(label) => Some("infrequent".to_owned()),
                    Some(_) if *unseen == "missing" => None,
                    Some(_) if *unseen == "keep" => Some("infrequent".to_owned()),
                    Some(_) => Some(String::new()),
                };
                let dropped = if spark { labels.last().map(Label::text) } else { None };
                let bucket = !rare.is_empty() || *unseen == "keep";
                let names =
                    labels.iter().map(Label::text).filter(|name| Some(name) != dropped.as_ref());
                let extra = [("infrequent", bucket), ("missing", *missing == "keep")];
                let extra =
                    extra.iter().filter(|(_, there)| *there).map(|(name, _)| (*name).to_owned());
                for name in names.chain(extra) {
                    let one = hit.as_ref().map_or(V::Null, |hit| V::Long(i64::from(*hit == name)));
                    cells.insert(format!("{}_{name}", self.out), one);
                }
                return Ok(());
            }
            Op::DateParts { parts, cyclic } => {
                for part in parts {
                    let x = match &value {
                        V::Time(micros) => Some(of_calendar(part, *micros)),
                        _ => None,
                    };
                    let period = PARTS.iter().find(|(name, _)| name == part).and_then(|(_, p)| *p);
                    let name = format!("{}_{part}", self.out);
                    match (period, x) {
                        (Some((least, greatest)), x) if *cyclic => {
                            let turn = |x: i64| {
                                2.0 * std::f64::consts::PI * (x - least) as f64
                                    / (1 + greatest - least) as f64
                            };
                            let of =
                                |f: fn(f64) -> f64| x.map_or(V::Null, |x| V::double(f(turn(x))));
                            cells.insert(format!("{name}_sin"), of(libm::sin));
                            cells.insert(format!("{name}_cos"), of(libm::cos));
                        }
                        (_, x) if *part == "is_weekend" => {
                            cells.insert(name, x.map_or(V::Null, |x| V::Bool(x == 1)));
                        }
                        (_, x) => drop(cells.insert(name, x.map_or(V::Null, V::Long))),
                    }
                }
                return Ok(());
            }
        };
        cells.insert(self.out.clone(), made);
        Ok(())
    }
}

/// What stands for a missing value, in the type of the step's output.
fn fill(learnt: &Value, op: &Op, of: &V, doubles: bool) -> V {
    let given = match op {
        Op::Impute(_, Some(value)) => return value.clone(),
        _ => learnt,
    };
    match given {
        Value::Number(x) if doubles => x.as_f64().map_or(V::Null, V::double),
        Value::Number(x) => x.as_i64().map_or(V::Null, V::Long),
        Value::String(x) => V::Text(x.clone()),
        Value::Bool(x) => V::Bool(*x),
        _ => of.clone(),
    }
}

/// A value as it is hashed; nothing of what is missing.
fn bytes(value: &V) -> Option<Vec<u8>> {
    match value {
        V::Text(x) if !x.trim().is_empty() => Some(x.as_bytes().to_vec()),
        V::Long(x) => Some(x.to_le_bytes().to_vec()),
        V::Double(x) if x.is_finite() => Some(x.to_bits().to_le_bytes().to_vec()),
        V::Bool(x) => Some(vec![u8::from(*x)]),
        _ => None,
    }
}

/// With `keep`, bucket 0 is that of missing values.
fn bucket(spark: bool, bytes: &[u8], buckets: u32, keep: bool) -> V {
    let (first, buckets) = if keep { (1, buckets - 1) } else { (0, buckets) };
    V::Long(first + place(spark, bytes, buckets))
}

/// The size of the signed hash modulo `of`; in Spark the signed hash, never negative modulo.
fn place(spark: bool, bytes: &[u8], of: u32) -> i64 {
    let hash = i64::from(murmur3(bytes, if spark { 42 } else { 0 }) as i32);
    let hash = if spark { hash } else { hash.abs() };
    hash.rem_euclid(i64::from(of))
}

/// MurmurHash3_x86_32 as Austin Appleby wrote it down.
fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mix =
        |block: u32| block.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
    let mut hash = seed;
    for block in bytes.chunks(4) {
        let word = block.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        hash ^= mix(word);
        if block.len() == 4 {
            hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64);
        }
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
    hash ^ hash >> 16
}

/// Words by the dialect's rule, counted by place, times the place's idf; in scikit-learn's dialect divided by their norm.
fn tf_idf(spark: bool, text: &str, dimensions: u32, idf: &Value) -> String {
    let text = text.to_lowercase();
    let words: Vec<&str> = if spark {
        text.split_whitespace().collect()
    } else {
        let inside = |c: char| c.is_alphanumeric() || c == '_';
        text.split(|c| !inside(c)).filter(|word| word.chars().count() >= 2).collect()
    };
    let mut places: BTreeMap<i64, f64> = BTreeMap::new();
    for word in words {
        *places.entry(place(spark, word.as_bytes(), dimensions)).or_default() += 1.0;
    }
    for (place, value) in &mut places {
        *value *= idf[*place as usize].as_f64().unwrap_or(f64::NAN);
    }
    places.retain(|_, value| *value != 0.0);
    let norm = places.values().map(|x| x * x).sum::<f64>().sqrt();
    let terms = places.iter().map(|(place, x)| {
        let x = if spark { *x } else { x / norm };
        format!("{place}:{}", leat::number::to_text(x))
    });
    terms.collect::<Vec<_>>().join(" ")
}

/// A value that is counted; blank text is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Bool(bool),
    Long(i64),
    Text(String),
}

impl Label {
    fn of(value: &V) -> Option<Label> {
        match value {
            V::Bool(x) => Some(Label::Bool(*x)),
            V::Long(x) => Some(Label::Long(*x)),
            V::Text(x) if !x.trim().is_empty() => Some(Label::Text(x.clone())),
            _ => None,
        }
    }

    fn read(value: &Value) -> Label {
        match value {
            Value::Bool(x) => Label::Bool(*x),
            Value::String(x) => Label::Text(x.clone()),
            other => Label::Long(other.as_i64().unwrap_or_default()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Label::Bool(x) => Value::from(*x),
            Label::Long(x) => Value::from(*x),
            Label::Text(x) => Value::from(x.as_str()),
        }
    }

    fn text(&self) -> String {
        match self {
            Label::Bool(x) => x.to_string(),
            Label::Long(x) => x.to_string(),
            Label::Text(x) => x.clone(),
        }
    }
}

fn counts(column: &[V]) -> BTreeMap<Label, usize> {
    let mut counts = BTreeMap::new();
    column.iter().filter_map(Label::of).for_each(|label| *counts.entry(label).or_default() += 1);
    counts
}

fn pairs(list: &Value) -> Vec<(Label, Value)> {
    let pairs = list.as_array().into_iter().flatten();
    pairs.map(|pair| (Label::read(&pair[0]), pair[1].clone())).collect()
}

/// A part of the time that a clock and a calendar in UTC show.
fn of_calendar(part: &str, micros: i64) -> i64 {
    let text = timestamp::to_text(micros);
    let digits = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap_or_default();
    let (year, month, day) = (digits(0, 4), digits(5, 7), digits(8, 10));
    let days = micros.div_euclid(86_400_000_000);
    let week_day = (days + 3).rem_euclid(7) + 1; // 1970 began on a Thursday
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
    match part {
        "year" => year,
        "quarter" => (month - 1) / 3 + 1,
        "month" => month,
        "day" => day,
        "day_of_week" => week_day,
        "day_of_year" => before + day + i64::from(leap && month > 2),
        "hour" => digits(11, 13),
        "minute" => digits(14, 16),
        "second" => digits(17, 19),
        _ => i64::from(week_day >= 6),
    }
}
