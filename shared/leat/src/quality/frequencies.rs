//! How often each value of a column, or each combination of values, stands in a data set: mergeable, bounded.
//!
//! - A value is kept as its 128-bit hash (XXH3), so that no value leaves the process that read it. Two values of a
//!   thousand million share a hash with a chance below 10⁻²⁰.
//! - Up to [`EXACT_UP_TO`] distinct values all is exact. Above, only values whose hash begins with so many zero bits
//!   (the level) are kept that they are not more: a sample of the values by their hash, each still with its exact
//!   count. Numbers of values are then estimates, nearer than 0.3 % in 99 of 100 cases; rules that need certainty
//!   say that they have none.
//! - Merging is adding. The level follows from the set of values alone, so that any cut and order gives the same bits.
//! - Source: the level is that of P. Gibbons, "Distinct sampling for highly-accurate answers" (2001).

mod table;

use std::collections::BTreeMap;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::column::{Column, Texts, Value, Values};
use table::Table;

/// So many distinct values are counted exactly: about 36 MB.
pub const EXACT_UP_TO: usize = 1 << 20;

/// Counts by the hash of the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Packed", into = "Packed")]
pub struct Frequencies {
    rows: u64,
    level: u32,
    counts: Table,
}

/// The hash of a hash is its lower half.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// The hashes ascending, 16 bytes each, and the count of each; in base64.
#[derive(Serialize, Deserialize)]
struct Packed {
    rows: u64,
    level: u32,
    counts: String,
}

impl From<Frequencies> for Packed {
    fn from(values: Frequencies) -> Packed {
        let mut counts: Vec<(u128, u64)> = values.counts().collect();
        counts.sort_unstable();
        let mut bytes = Vec::with_capacity(counts.len() * 18);
        for (hash, mut count) in counts {
            bytes.extend_from_slice(&hash.to_be_bytes());
            while count >= 0x80 {
                bytes.push(count as u8 | 0x80);
                count >>= 7;
            }
            bytes.push(count as u8);
        }
        let counts = base64_simd::STANDARD.encode_to_string(&bytes);
        Packed { rows: values.rows, level: values.level, counts }
    }
}

impl TryFrom<Packed> for Frequencies {
    type Error = &'static str;

    fn try_from(packed: Packed) -> Result<Frequencies, Self::Error> {
        const BROKEN: &str = "these counts of values are broken";
        let bytes = base64_simd::STANDARD.decode_to_vec(&packed.counts).map_err(|_| BROKEN)?;
        let mut values = Frequencies {
            rows: packed.rows,
            level: packed.level.min(128),
            ..Frequencies::default()
        };
        let mut rest = bytes.as_slice();
        while let Some((hash, after)) = rest.split_first_chunk::<16>() {
            let (mut count, mut shift) = (0u64, 0);
            rest = after;
            loop {
                let (&byte, after) = rest.split_first().ok_or(BROKEN)?;
                rest = after;
                if shift > 63 {
                    return Err(BROKEN);
                }
                count |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            values.put(u128::from_be_bytes(*hash), count);
        }
        if rest.is_empty() { Ok(values) } else { Err(BROKEN) }
    }
}

impl Frequencies {
    /// Counts a value by its hash.
    #[inline]
    pub fn add(&mut self, hash: u128) {
        self.rows = self.rows.saturating_add(1);
        self.put(hash, 1);
    }

    /// Counts values by their hashes.
    pub fn add_each(&mut self, hashes: &[u128]) {
        self.add_all(hashes, |_| 1);
    }

    /// Counts values by their hashes, each as often as `counts`, which are as many, says.
    pub fn add_times(&mut self, hashes: &[u128], counts: &[u64]) {
        if hashes.len() == counts.len() && counts.iter().all(|count| *count > 0) {
            return self.add_all(hashes, |at| counts[at]);
        }
        for (hash, count) in hashes.iter().zip(counts) {
            self.rows = self.rows.saturating_add(*count);
            self.put(*hash, *count);
        }
    }

    #[inline]
    fn add_all(&mut self, hashes: &[u128], count: impl Fn(usize) -> u64) {
        let rows = (0..hashes.len()).fold(0u64, |rows, at| rows.saturating_add(count(at)));
        self.rows = self.rows.saturating_add(rows);
        if self.level == 0 && self.counts.len().saturating_add(hashes.len()) <= EXACT_UP_TO {
            return self.counts.add_each(hashes, count);
        }
        hashes.iter().enumerate().for_each(|(at, hash)| self.put(*hash, count(at)));
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Frequencies) {
        self.rows = self.rows.saturating_add(other.rows);
        self.raise(other.level);
        other.counts().for_each(|(hash, count)| self.put(hash, count));
    }

    #[inline]
    fn put(&mut self, hash: u128, count: u64) {
        if count == 0 || hash.leading_zeros() < self.level {
            return;
        }
        self.counts.add(hash, count);
        while self.counts.len() > EXACT_UP_TO && self.level < 128 {
            self.raise(self.level + 1);
        }
    }

    fn raise(&mut self, level: u32) {
        if level > self.level {
            self.level = level;
            self.counts.retain(|hash| hash.leading_zeros() >= level);
        }
    }

    /// How many values are kept.
    pub fn kept(&self) -> usize {
        self.counts.len()
    }

    /// Keeps about half of the values, by their hash: numbers of values are estimates from now on.
    pub fn thin(&mut self) {
        // Beyond the last level nothing is left to tell values by.
        match self.level {
            128.. => self.counts = Table::default(),
            level => self.raise(level + 1),
        }
    }

    /// How many rows were counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// False if numbers of values are estimates.
    pub fn is_exact(&self) -> bool {
        self.level == 0
    }

    /// The values that are kept, by hash, and how often each stands; in no order.
    pub fn counts(&self) -> impl Iterator<Item = (u128, u64)> {
        self.counts.iter()
    }

    /// Only values whose hash begins with so many zero bits are kept.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// What one kept value stands for.
    fn weight(&self) -> f64 {
        f64::from_bits((1023 + u64::from(self.level)) << 52)
    }

    /// The number of distinct values.
    pub fn distinct(&self) -> f64 {
        self.counts.len() as f64 * self.weight()
    }

    /// The number of values that stand once.
    pub fn once(&self) -> f64 {
        self.counts.once() as f64 * self.weight()
    }

    /// Whether any value stands more than once, as far as is known.
    pub fn repeats(&self) -> bool {
        self.counts.once() < self.counts.len()
    }

    /// How often the value stands; none if it is not in the sample.
    pub fn count(&self, hash: u128) -> Option<u64> {
        self.counts.get(hash).or_else(|| self.is_exact().then_some(0))
    }

    /// −Σ p·ln p over the values, by ascending counts; none of nothing.
    pub fn entropy(&self) -> Option<f64> {
        let mut alike: BTreeMap<u64, u64> = BTreeMap::new();
        self.counts().for_each(|(_, count)| *alike.entry(count).or_default() += 1);
        (self.rows > 0).then(|| {
            let rows = self.rows as f64;
            let term = |(count, values): (u64, u64)| {
                let p = count as f64 / rows;
                values as f64 * self.weight() * p * -libm::log(p)
            };
            // An empty sum is -0.0.
            alike.into_iter().map(term).sum::<f64>() + 0.0
        })
    }
}

/// What tells texts from other values.
const TEXT: u8 = 5;
/// Texts of at most so many bytes are hashed without a buffer: ids, codes and labels.
const SHORT: usize = 39;

/// Hashes values of rows. Equal numbers have equal hashes, whether they are longs or doubles.
#[derive(Debug, Default)]
pub struct ValueHasher {
    bytes: Vec<u8>,
}

impl ValueHasher {
    /// The hash of the values of `row` in `slots`, and how many of them are null.
    #[inline]
    pub fn row(&mut self, columns: &[Column], slots: &[usize], row: usize) -> (u128, usize) {
        self.bytes.clear();
        let mut nulls = 0;
        for slot in slots {
            let value = columns.get(*slot).map_or(Value::Null, |column| column.get(row));
            nulls += usize::from(value == Value::Null);
            self.push(value);
        }
        (xxh3_128(&self.bytes), nulls)
    }

    /// The hashes of the values of `column` in `rows` that are not null, as [`ValueHasher::row`] makes them.
    pub fn column(
        &mut self,
        column: &Column,
        rows: impl Iterator<Item = usize>,
        mut visit: impl FnMut(u128),
    ) {
        let valid = column.validity();
        let all = valid.all();
        let rows = rows.filter(|row| *row < column.len() && (all || valid.get(*row)));
        match column.values() {
            Values::String(texts) => rows.for_each(|row| visit(self.text(texts, row))),
            _ => rows.for_each(|row| {
                self.bytes.clear();
                self.push(column.get(row));
                visit(xxh3_128(&self.bytes));
            }),
        }
    }

    /// The hash of a text.
    #[inline]
    fn text(&mut self, texts: &Texts, row: usize) -> u128 {
        let bytes = texts.bytes(row);
        let mut short = [0; 9 + SHORT];
        let Some(place) = short.get_mut(9..9 + bytes.len()) else {
            self.bytes.clear();
            self.push(Value::String(texts.get(row)));
            return xxh3_128(&self.bytes);
        };
        place.copy_from_slice(bytes);
        short[0] = TEXT;
        short[1..9].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        xxh3_128(&short[..9 + bytes.len()])
    }

    fn push(&mut self, value: Value<'_>) {
        let (tag, bits) = match value {
            Value::Null => (0, 0),
            Value::Bool(x) => (1, u64::from(x)),
            Value::Long(x) if x.unsigned_abs() <= 1 << 53 => (2, (x as f64).to_bits()),
            Value::Double(x) => (2, x.to_bits()),
            Value::Long(x) => (3, x as u64),
            Value::Timestamp(x) => (4, x as u64),
            Value::String(text) => {
                self.bytes.push(TEXT);
                self.bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                self.bytes.extend_from_slice(text.as_bytes());
                return;
            }
        };
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&bits.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(value: Value<'_>) -> u128 {
        let mut hasher = ValueHasher::default();
        hasher.push(value);
        xxh3_128(&hasher.bytes)
    }

    fn of(values: &[i64]) -> Frequencies {
        let mut frequencies = Frequencies::default();
        values.iter().for_each(|x| frequencies.add(hash(Value::Long(*x))));
        frequencies
    }

    #[test]
    fn exact() {
        let counted = of(&[1, 2, 2, 3]);
        assert_eq!((counted.rows(), counted.distinct(), counted.once()), (4, 3.0, 2.0));
        assert!(counted.repeats() && counted.is_exact());
        assert_eq!(counted.count(hash(Value::Long(2))), Some(2));
        assert_eq!(counted.count(hash(Value::Long(9))), Some(0));
        // Half ln 2 and half ln 4.
        assert_eq!(counted.entropy(), Some(0.5 * libm::log(2.0) + 0.5 * libm::log(4.0)));
        assert_eq!(of(&[]).entropy(), None);
        assert_eq!(of(&[1, 1]).entropy().map(f64::to_bits), Some(0));
        assert_eq!(hash(Value::Long(1)), hash(Value::Double(1.0)));
        assert_ne!(hash(Value::String("1")), hash(Value::Double(1.0)));
    }

    #[test]
    fn above_the_bound_a_sample_by_hash() {
        let many = EXACT_UP_TO as i64 * 5 / 2;
        let mut whole = Frequencies::default();
        let mut parts = [Frequencies::default(), Frequencies::default()];
        for x in 0..many {
            for _ in 0..=(x % 2) {
                let hash = hash(Value::Long(x));
                whole.add(hash);
                parts[usize::from(x % 3 == 0)].add(hash);
            }
        }
        assert!(!whole.is_exact() && parts[1].is_exact());
        assert!(whole.counts.len() <= EXACT_UP_TO);
        let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.003;
        assert!(near(whole.distinct(), many as f64), "{}", whole.distinct());
        assert!(near(whole.once(), many as f64 / 2.0), "{}", whole.once());
        let [mut left, right] = parts;
        left.merge(&right);
        assert!(left == whole);
    }

    #[test]
    fn broken_text_is_refused() {
        for text in [
            r#"{"rows":1,"level":0,"counts":"AAAA"}"#,
            r#"{"rows":1,"level":0,"counts":"?"}"#,
            r#"{"rows":1,"level":0,"counts":"AAAAAAAAAAAAAAAAAAAAAP////////////8="}"#,
        ] {
            assert!(serde_json::from_str::<Frequencies>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_merge_into_the_whole(values in prop::collection::vec(0i64..20, 0..60), cut in 0usize..60) {
            let whole = of(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let text = serde_json::to_string(&of(right)).unwrap();
            let mut merged: Frequencies = serde_json::from_str(&text).unwrap();
            merged.merge(&of(left));
            prop_assert_eq!(merged.entropy().map(f64::to_bits), whole.entropy().map(f64::to_bits));
            prop_assert_eq!(serde_json::to_string(&merged).unwrap(), serde_json::to_string(&whole).unwrap());
            prop_assert_eq!(merged, whole);
        }
    }
}
