//! What is told of a column.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::column::ColumnProfile;
use super::mask::mask;
use super::numbers::Histogram;
use super::personal::Personal;
use super::texts::Reading;
use crate::column::Type;
use crate::timestamp;

/// So many of the most frequent values and patterns are told.
const TOP: usize = 10;
/// A histogram has at most so many bins.
const BINS: usize = 30;
/// The quantiles that are told.
const SHARES: [(&str, f64); 7] = [
    ("p01", 0.01),
    ("p05", 0.05),
    ("p25", 0.25),
    ("p50", 0.5),
    ("p75", 0.75),
    ("p95", 0.95),
    ("p99", 0.99),
];

/// What is told of a column. What a column of its type does not have is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// How many rows there are.
    pub rows: u64,
    /// How many of them are null.
    pub nulls: u64,
    /// How many distinct values there are, null left out.
    pub distinct: f64,
    /// False if that is an estimate.
    pub distinct_exact: bool,
    /// True if every value surely stands once.
    pub unique: bool,
    /// The least number or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Json>,
    /// The greatest number or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Json>,
    /// The mean of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Their standard deviation, of the population.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// Quantiles of numbers and times, `p50` and others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quantiles: BTreeMap<&'static str, Json>,
    /// False if quantiles are within 0.1 % of the true ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles_exact: Option<bool>,
    /// How many numbers are 0, below 0, infinite.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub signs: BTreeMap<&'static str, u64>,
    /// The most frequent values.
    pub top: Vec<TopValue>,
    /// False if the top values are those of a sample of the values: others may be as frequent.
    pub top_exact: bool,
    /// Characters of the shortest and the longest text, and of a text in the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Json>,
    /// The most frequent patterns of texts: see [`mask`](mod@super::mask); empty also if there are too many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<TopValue>,
    /// What shares of the texts can be read as something else: see [`Reading`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub readings: BTreeMap<&'static str, f64>,
    /// What the values look like, or what the column's name says: values are then shown by their pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal>,
    /// True if values are not shown: they may be personal, or the recipe says that they are.
    pub hidden: bool,
    /// Numbers and times by bins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
}

/// A value or a pattern and how often it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopValue {
    /// The value as text, cut after 100 characters.
    pub value: String,
    /// How often it stands.
    pub count: u64,
}

impl TopValue {
    fn new(value: &str, count: u64) -> Self {
        TopValue { value: value.to_owned(), count }
    }
}

/// The patterns of `values`, the most frequent first.
fn masked(values: &[(&str, u64)]) -> Vec<TopValue> {
    let mut masks: BTreeMap<String, u64> = BTreeMap::new();
    for (value, count) in values {
        let slot = masks.entry(mask(value)).or_default();
        *slot = slot.saturating_add(*count);
    }
    let mut top: Vec<TopValue> =
        masks.into_iter().map(|(value, count)| TopValue { value, count }).collect();
    top.sort_by_key(|top| std::cmp::Reverse(top.count));
    top.truncate(TOP);
    top
}

impl Summary {
    /// What is told of `column`; `hidden` if its values must not be shown.
    pub fn of(column: &ColumnProfile, hidden: bool) -> Summary {
        let (numbers, texts, kind) = (&column.numbers, &column.texts, column.kind);
        let personal = column.personal().map(|(kind, _)| kind);
        let hidden = hidden || personal.is_some();
        // What a person's own value would show.
        let cell = |x: f64| match kind {
            Type::Timestamp => json!(timestamp::to_text(x as i64)),
            Type::Long if x.abs() < 9e15 => json!(x as i64),
            _ => json!(x),
        };
        let shown = |x: f64| (!hidden).then(|| cell(x));
        let extent = numbers.extent();
        let quantiles = numbers.quantiles(&SHARES.map(|(_, share)| share));
        let named = SHARES.iter().map(|(name, _)| *name).zip(quantiles);
        let of_numbers = |x: Option<f64>| x.filter(|_| kind.is_numeric() && !hidden);
        let (top, top_exact) = column.top();
        let top_values = match hidden {
            false => top.into_iter().take(TOP).map(|(v, n)| TopValue::new(v, n)).collect(),
            true => masked(&top),
        };
        let patterns = texts.masks.all().unwrap_or_default();
        let of_texts = texts.count().max(1) as f64;
        let readings = Reading::ALL
            .into_iter()
            .filter(|reading| texts.reading(*reading) > 0)
            .map(|reading| (reading.word(), texts.reading(reading) as f64 / of_texts));
        let signs = [
            ("zero", numbers.zeros),
            ("negative", numbers.negative),
            ("infinite", numbers.infinite),
        ];
        let (distinct, distinct_exact) = column.distinct();
        Summary {
            name: column.name.clone(),
            kind,
            rows: column.rows,
            nulls: column.nulls,
            distinct,
            distinct_exact,
            unique: column.is_unique(),
            min: extent.and_then(|(min, _)| shown(min)),
            max: extent.and_then(|(_, max)| shown(max)),
            mean: of_numbers(numbers.mean()),
            std: of_numbers(numbers.std()),
            quantiles: named.filter_map(|(name, x)| Some((name, shown(x)?))).collect(),
            quantiles_exact: extent.map(|_| numbers.is_exact()),
            signs: match kind.is_numeric() {
                true => signs.into_iter().filter(|(_, count)| *count > 0).collect(),
                false => BTreeMap::new(),
            },
            top: top_values,
            top_exact,
            lengths: texts.lengths().map(
                |(least, most)| json!({"min": least, "max": most, "mean": texts.mean_length()}),
            ),
            patterns: patterns
                .into_iter()
                .take(TOP)
                .map(|(pattern, count)| TopValue::new(pattern, count))
                .collect(),
            readings: readings.collect(),
            personal,
            hidden,
            histogram: numbers.histogram(BINS).filter(|_| !hidden),
        }
    }
}
