//! Columns: Arrow's layout in plain buffers that are reused from batch to batch.
//!
//! Numbers and timestamps are a vector of values; text is one vector of bytes with `i32` offsets; validity is a
//! bit a row, least significant first, 1 for valid. `leat-arrow` turns a column into an Arrow array, and back,
//! without a copy. A null row holds 0, `false` or an empty text, so that equal columns have equal bytes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::number;

/// What a column holds. The words are those of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// Whole number, 64 bits, signed.
    Long,
    /// IEEE 754 double. NaN counts as missing; −0.0 is stored as 0.0.
    Double,
    /// UTF-8 text.
    String,
    /// Microseconds since 1970-01-01T00:00:00 UTC, 64 bits, signed.
    Timestamp,
}

impl Type {
    /// All types, in the order of the manual.
    pub const ALL: [Type; 5] =
        [Type::Bool, Type::Long, Type::Double, Type::String, Type::Timestamp];

    /// The word that a recipe uses.
    pub const fn word(self) -> &'static str {
        match self {
            Type::Bool => "bool",
            Type::Long => "long",
            Type::Double => "double",
            Type::String => "string",
            Type::Timestamp => "timestamp",
        }
    }

    /// True for [`Type::Long`] and [`Type::Double`].
    pub const fn is_numeric(self) -> bool {
        matches!(self, Type::Long | Type::Double)
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// One value of a column, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Missing.
    Null,
    /// See [`Type::Bool`].
    Bool(bool),
    /// See [`Type::Long`].
    Long(i64),
    /// See [`Type::Double`].
    Double(f64),
    /// See [`Type::String`].
    String(&'a str),
    /// See [`Type::Timestamp`].
    Timestamp(i64),
}

/// Bits, least significant first, as Arrow lays them out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    /// `len` bits, all of them `bit`. Bits past the end are 0.
    pub fn filled(len: usize, bit: bool) -> Self {
        let whole = vec![if bit { u8::MAX } else { 0 }; len.div_ceil(8)];
        let mut bits = Bits { len: whole.len() * 8, bytes: whole };
        bits.truncate(len);
        bits
    }

    /// Bits that lie in `bytes`; `None` if `bytes` holds fewer than `len`.
    pub fn from_bytes(bytes: Vec<u8>, len: usize) -> Option<Self> {
        let mut bits = Bits { len: bytes.len().saturating_mul(8), bytes };
        (len <= bits.len).then(|| {
            bits.truncate(len);
            bits
        })
    }

    /// The number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is no bit.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bit at `index`; false past the end.
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        index < self.len && self.bytes[index / 8] >> (index % 8) & 1 == 1
    }

    /// Sets the bit at `index`, which must be below [`Bits::len`].
    #[inline]
    pub fn set(&mut self, index: usize, bit: bool) {
        let mask = 1u8 << (index % 8);
        if bit {
            self.bytes[index / 8] |= mask;
        } else {
            self.bytes[index / 8] &= !mask;
        }
    }

    /// Appends a bit.
    #[inline]
    pub fn push(&mut self, bit: bool) {
        let used = self.len % 8;
        match self.bytes.last_mut() {
            Some(last) if used > 0 => *last |= u8::from(bit) << used,
            _ => self.bytes.push(u8::from(bit)),
        }
        self.len += 1;
    }

    /// Appends the `count` lowest bits of `bits`, whose others are 0; at most 8.
    #[inline]
    fn push_some(&mut self, bits: u8, count: usize) {
        let used = self.len % 8;
        match self.bytes.last_mut() {
            Some(last) if used > 0 => {
                *last |= bits << used;
                if used + count > 8 {
                    self.bytes.push(bits >> (8 - used));
                }
            }
            _ => self.bytes.push(bits),
        }
        self.len += count;
    }

    /// Appends `count` bits, all of them `bit`.
    pub fn extend(&mut self, count: usize, bit: bool) {
        let first = count.min((8 - self.len % 8) % 8);
        let mut left = count;
        while left > 0 {
            let some = if left == count && first > 0 { first } else { left.min(8) };
            self.push_some(if bit { low(some) } else { 0 }, some);
            left -= some;
        }
    }

    /// Appends the bits of `other` at `range`; those past its end are 0.
    pub fn append(&mut self, other: &Bits, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let count = (range.end - at).min(8);
            let (byte, shift) = (at / 8, at % 8);
            let here = other.bytes.get(byte).copied().unwrap_or_default() >> shift;
            let next = other.bytes.get(byte + 1).copied().unwrap_or_default();
            let bits = if shift > 0 { here | next << (8 - shift) } else { here };
            self.push_some(bits & low(count), count);
            at += count;
        }
    }

    /// Removes the bits from `len` on, if there are any.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.bytes.truncate(len.div_ceil(8));
            self.len = len;
            if let (Some(last), used @ 1..) = (self.bytes.last_mut(), len % 8) {
                *last &= low(used);
            }
        }
    }

    /// How many bits are 1.
    pub fn count_ones(&self) -> usize {
        self.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// True if every bit is 1.
    pub fn all(&self) -> bool {
        let whole = self.len / 8;
        // Without a branch, so that several bytes are looked at once.
        let all = |chunk: &[u8]| chunk.iter().fold(u8::MAX, |all, byte| all & byte) == u8::MAX;
        self.bytes[..whole].chunks(64).all(all)
            && self.bytes.get(whole).is_none_or(|last| *last == low(self.len % 8))
    }

    /// Removes all bits and keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.len = 0;
    }

    /// The bytes, least significant bit first.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The bytes, least significant bit first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A byte whose `count` lowest bits are 1; at most 8.
fn low(count: usize) -> u8 {
    if count >= 8 { u8::MAX } else { (1 << count) - 1 }
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let bits = bits.into_iter();
        let mut bytes = Vec::with_capacity(bits.size_hint().0.div_ceil(8));
        let (mut byte, mut len) = (0u8, 0);
        bits.for_each(|bit| {
            byte |= u8::from(bit) << (len % 8);
            len += 1;
            if len % 8 == 0 {
                bytes.push(std::mem::take(&mut byte));
            }
        });
        if len % 8 > 0 {
            bytes.push(byte);
        }
        Bits { bytes, len }
    }
}

/// So many bytes of text room is made for, for each row: most texts are codes, labels and ids.
const TEXT: usize = 8;

/// So many bytes a text has at most that is one of [`short_text`].
pub(crate) const SHORT_TEXT: usize = 15;

/// A text of at most [`SHORT_TEXT`] bytes as a number that no other text has: its bytes, and its length above them.
#[inline]
pub(crate) fn short_text(bytes: &[u8]) -> Option<u128> {
    let mut word = [0; 16];
    word.get_mut(..bytes.len()).filter(|place| place.len() <= SHORT_TEXT)?.copy_from_slice(bytes);
    Some(u128::from_le_bytes(word) | (bytes.len() as u128) << 120)
}

/// Texts, one after another, with `len + 1` offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    offsets: Vec<i32>,
    text: String,
}

impl Default for Texts {
    fn default() -> Self {
        Texts { offsets: vec![0], text: String::new() }
    }
}

impl Texts {
    /// The number of texts.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// True if there is no text.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text at `index`, which must be below [`Texts::len`].
    #[inline]
    pub fn get(&self, index: usize) -> &str {
        let (start, end) = (self.offsets[index] as usize, self.offsets[index + 1] as usize);
        // Only whole `str`s are ever pushed, so each offset is between two characters.
        self.text.get(start..end).unwrap_or_default()
    }

    /// The bytes of the text at `index`, which must be below [`Texts::len`]: for what asks not for characters.
    #[inline]
    pub fn bytes(&self, index: usize) -> &[u8] {
        let (start, end) = (self.offsets[index] as usize, self.offsets[index + 1] as usize);
        self.text.as_bytes().get(start..end).unwrap_or_default()
    }

    /// Where the texts begin in the bytes; the last one ends where one more would begin.
    pub fn offsets(&self) -> &[i32] {
        &self.offsets
    }

    /// The bytes of all texts, and maybe others between them.
    pub(crate) fn all(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// [`short_text`] of the text at `index`, which must be below [`Texts::len`]; none if it is longer.
    #[inline]
    pub(crate) fn short(&self, index: usize) -> Option<u128> {
        let (start, end) = (self.offsets[index] as usize, self.offsets[index + 1] as usize);
        let (all, length) = (self.text.as_bytes(), end.wrapping_sub(start));
        // Mostly there is enough behind it to be read at once, and cut off.
        match all.get(start..).and_then(|rest| rest.first_chunk::<16>()) {
            Some(word) if length <= SHORT_TEXT => {
                let bits = u128::from_le_bytes(*word) & !(u128::MAX << (length * 8));
                Some(bits | (length as u128) << 120)
            }
            _ => short_text(all.get(start..end)?),
        }
    }

    /// Appends a text. A batch holds below 2 GiB of text: its input is bounded long before that.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.offsets.push(i32::try_from(self.text.len()).unwrap_or(i32::MAX));
    }

    /// Appends `count` empty texts.
    fn extend_empty(&mut self, count: usize) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.resize(self.offsets.len() + count, end);
    }

    /// Appends the texts of `other` at `range`, which must be within it.
    fn append(&mut self, other: &Texts, range: Range<usize>) {
        let offsets = &other.offsets[range.start..=range.end];
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let start = self.text.len();
        self.text.push_str(other.text.get(first as usize..last as usize).unwrap_or_default());
        let moved =
            |&offset: &i32| i32::try_from(start + (offset - first) as usize).unwrap_or(i32::MAX);
        self.offsets.extend(offsets[1..].iter().map(moved));
    }

    /// Removes the texts from `len` on, if there are any.
    fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        let end = self.offsets.last().copied().unwrap_or_default() as usize;
        if self.text.is_char_boundary(end) {
            self.text.truncate(end);
        }
    }

    /// Removes all texts and keeps the buffers.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Offsets and bytes, as Arrow's `Utf8` has them.
    pub fn into_parts(self) -> (Vec<i32>, Vec<u8>) {
        (self.offsets, self.text.into_bytes())
    }

    /// Texts from Arrow's parts. `None` if the offsets do not rise within the bytes or a text is not UTF-8.
    pub fn from_parts(offsets: Vec<i32>, bytes: Vec<u8>) -> Option<Self> {
        let rising = offsets.windows(2).all(|w| w[0] <= w[1]);
        let inside = offsets.first().is_some_and(|&o| o >= 0)
            && offsets.last().is_some_and(|&o| usize::try_from(o).is_ok_and(|o| o <= bytes.len()));
        if !(rising && inside) {
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                let texts = Texts { offsets, text };
                texts.are_whole().then_some(texts)
            }
            // What lies between no two offsets can be anything.
            Err(error) => {
                let bytes = error.into_bytes();
                let mut texts = Texts::default();
                for pair in offsets.windows(2) {
                    let text = std::str::from_utf8(&bytes[pair[0] as usize..pair[1] as usize]);
                    texts.push(text.ok()?);
                }
                Some(texts)
            }
        }
    }

    /// True if no offset is within a character.
    fn are_whole(&self) -> bool {
        self.text.is_ascii()
            || self.offsets.iter().all(|&offset| self.text.is_char_boundary(offset as usize))
    }
}

/// Values and which of them are there, in one pass; nothing stands for what is not.
fn collected<T: Default>(values: impl Iterator<Item = Option<T>>) -> (Vec<T>, Bits) {
    let most = values.size_hint().0;
    let mut out = Vec::with_capacity(most);
    let mut valid = Bits { bytes: Vec::with_capacity(most.div_ceil(8)), len: 0 };
    extend(&mut out, &mut valid, values);
    (out, valid)
}

/// Appends values and which of them are there.
fn extend<T: Default>(out: &mut Vec<T>, valid: &mut Bits, values: impl Iterator<Item = Option<T>>) {
    let (mut byte, mut count) = (0u8, 0);
    values.for_each(|value| {
        byte |= u8::from(value.is_some()) << count;
        out.push(value.unwrap_or_default());
        count += 1;
        if count == 8 {
            valid.push_some(std::mem::take(&mut byte), std::mem::take(&mut count));
        }
    });
    if count > 0 {
        valid.push_some(byte, count);
    }
}

/// Eight doubles in canonical form, and which of them are there: without a branch, so that several are made at once.
#[inline(always)]
fn eight(function: impl Fn(usize) -> f64, out: &mut [f64; 8]) -> u8 {
    let mut bits = 0;
    for (at, y) in out.iter_mut().enumerate() {
        let made = function(at);
        bits |= u8::from(!made.is_nan()) << at;
        *y = if made.is_nan() { 0.0 } else { made + 0.0 };
    }
    bits
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// See [`Type::Bool`].
    Bool(Bits),
    /// See [`Type::Long`].
    Long(Vec<i64>),
    /// See [`Type::Double`].
    Double(Vec<f64>),
    /// See [`Type::String`].
    String(Texts),
    /// See [`Type::Timestamp`].
    Timestamp(Vec<i64>),
}

/// A column: values and which of them are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    values: Values,
    valid: Bits,
}

impl Column {
    /// An empty column.
    pub fn new(kind: Type) -> Self {
        let values = match kind {
            Type::Bool => Values::Bool(Bits::default()),
            Type::Long => Values::Long(Vec::new()),
            Type::Double => Values::Double(Vec::new()),
            Type::String => Values::String(Texts::default()),
            Type::Timestamp => Values::Timestamp(Vec::new()),
        };
        Column { values, valid: Bits::default() }
    }

    /// A column of `rows` nulls. Fixed-width columns can then be filled by [`Column::set`].
    pub fn nulls(kind: Type, rows: usize) -> Self {
        let mut column = Column::new(kind);
        column.push_nulls(rows);
        column
    }

    /// A column of doubles; `None`, NaN become null.
    pub fn doubles(values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let (values, valid) = collected(values.into_iter().map(|v| number::canonical(v?)));
        Column { values: Values::Double(values), valid }
    }

    /// What `function` makes of each of `values`, as a number. NaN is missing, on both sides: it is given for a value
    /// without a bit in `valid`, and what it makes NaN of is null.
    pub(crate) fn map_numbers<T: Copy>(
        values: &[T],
        valid: &Bits,
        number: impl Fn(T) -> f64,
        function: impl Fn(f64) -> f64,
    ) -> Column {
        let (mut out, mut bytes) = (vec![0.0; values.len()], vec![0u8; values.len().div_ceil(8)]);
        let (eights, rest) = values.as_chunks::<8>();
        let (made, last) = out.as_chunks_mut::<8>();
        for (((xs, ys), &bits), byte) in eights.iter().zip(made).zip(&valid.bytes).zip(&mut bytes) {
            *byte = if bits == u8::MAX {
                eight(|at| function(number(xs[at])), ys)
            } else {
                let there = |at: usize| bits >> at & 1 == 1;
                eight(|at| function(if there(at) { number(xs[at]) } else { f64::NAN }), ys)
            };
        }
        if let (Some(byte), Some(&bits), true) =
            (bytes.last_mut(), valid.bytes.last(), !rest.is_empty())
        {
            for (at, (x, y)) in rest.iter().zip(last).enumerate() {
                let x = if bits >> at & 1 == 1 { number(*x) } else { f64::NAN };
                let made = number::canonical(function(x));
                *y = made.unwrap_or_default();
                *byte |= u8::from(made.is_some()) << at;
            }
        }
        let valid = Bits { bytes, len: values.len() };
        Column { values: Values::Double(out), valid }
    }

    /// A column of whole numbers.
    pub fn longs(values: impl IntoIterator<Item = Option<i64>>) -> Self {
        let (values, valid) = collected(values.into_iter());
        Column { values: Values::Long(values), valid }
    }

    /// A column of texts.
    pub fn strings<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut column = Column::new(Type::String);
        values.into_iter().for_each(|v| column.push(v.map_or(Value::Null, Value::String)));
        column
    }

    /// A column from its parts. `None` if their lengths differ. The caller vouches for the zero rule of nulls and
    /// for canonical doubles: use [`Column::canonical`] on values from outside.
    pub fn from_parts(values: Values, valid: Bits) -> Option<Self> {
        let column = Column { values, valid };
        (column.values_len() == column.valid.len()).then_some(column)
    }

    /// Values and validity.
    pub fn into_parts(self) -> (Values, Bits) {
        (self.values, self.valid)
    }

    /// The same column with every double in canonical form and zero under every null.
    pub fn canonical(self) -> Self {
        let mut out = Column::new(self.kind());
        (0..self.len()).for_each(|row| out.push(self.get(row)));
        out
    }

    fn values_len(&self) -> usize {
        match &self.values {
            Values::Bool(v) => v.len(),
            Values::Long(v) | Values::Timestamp(v) => v.len(),
            Values::Double(v) => v.len(),
            Values::String(v) => v.len(),
        }
    }

    /// What the column holds.
    pub fn kind(&self) -> Type {
        match self.values {
            Values::Bool(_) => Type::Bool,
            Values::Long(_) => Type::Long,
            Values::Double(_) => Type::Double,
            Values::String(_) => Type::String,
            Values::Timestamp(_) => Type::Timestamp,
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.valid.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.valid.is_empty()
    }

    /// True if the row is there and not null.
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        self.valid.get(row)
    }

    /// The values; under a null lies 0, `false` or "".
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Which rows are not null.
    pub fn validity(&self) -> &Bits {
        &self.valid
    }

    /// The value at `row`; [`Value::Null`] past the end.
    #[inline]
    pub fn get(&self, row: usize) -> Value<'_> {
        if !self.valid.get(row) {
            return Value::Null;
        }
        match &self.values {
            Values::Bool(v) => Value::Bool(v.get(row)),
            Values::Long(v) => Value::Long(v[row]),
            Values::Double(v) => Value::Double(v[row]),
            Values::String(v) => Value::String(v.get(row)),
            Values::Timestamp(v) => Value::Timestamp(v[row]),
        }
    }

    /// The value at `row` as a double: longs are converted (nearest, ties to even), bools are 0 and 1. `None` for
    /// null, text and timestamps.
    #[inline]
    pub fn number(&self, row: usize) -> Option<f64> {
        if !self.valid.get(row) {
            return None;
        }
        match &self.values {
            Values::Double(v) => Some(v[row]),
            Values::Long(v) => Some(v[row] as f64),
            Values::Bool(v) => Some(f64::from(u8::from(v.get(row)))),
            _ => None,
        }
    }

    /// The text at `row`; `None` for null and for other types.
    #[inline]
    pub fn text(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::String(v) if self.valid.get(row) => Some(v.get(row)),
            _ => None,
        }
    }

    /// The timestamp at `row` in microseconds; `None` for null and for other types.
    #[inline]
    pub fn timestamp(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Timestamp(v) if self.valid.get(row) => Some(v[row]),
            _ => None,
        }
    }

    /// Appends `value`. NaN, and a value of another type (a bug of the caller), are appended as null.
    #[inline]
    pub fn push(&mut self, value: Value<'_>) {
        let valid = match (&mut self.values, value) {
            (Values::Bool(v), Value::Bool(x)) => {
                v.push(x);
                true
            }
            (Values::Long(v), Value::Long(x)) | (Values::Timestamp(v), Value::Timestamp(x)) => {
                v.push(x);
                true
            }
            (Values::Double(v), Value::Double(x)) => {
                let x = number::canonical(x);
                v.push(x.unwrap_or_default());
                x.is_some()
            }
            (Values::String(v), Value::String(x)) => {
                v.push(x);
                true
            }
            (values, _) => {
                match values {
                    Values::Bool(v) => v.push(false),
                    Values::Long(v) | Values::Timestamp(v) => v.push(0),
                    Values::Double(v) => v.push(0.0),
                    Values::String(v) => v.push(""),
                }
                false
            }
        };
        self.valid.push(valid);
    }

    /// Appends doubles, as [`Column::doubles`] has them; to a column of another type (a bug of the caller) nulls.
    pub(crate) fn extend_doubles(&mut self, values: impl Iterator<Item = Option<f64>>) {
        match &mut self.values {
            Values::Double(v) => {
                extend(v, &mut self.valid, values.map(|v| number::canonical(v?)));
            }
            _ => self.push_nulls(values.count()),
        }
    }

    /// Appends whole numbers; to a column of another type (a bug of the caller) nulls.
    pub(crate) fn extend_longs(&mut self, values: impl Iterator<Item = Option<i64>>) {
        match &mut self.values {
            Values::Long(v) => extend(v, &mut self.valid, values),
            _ => self.push_nulls(values.count()),
        }
    }

    /// Sets a row of a fixed-width column. NaN, a value of another type, text, and a row past the end change
    /// the row to null or nothing: they are bugs of the caller.
    pub fn set(&mut self, row: usize, value: Value<'_>) {
        if row >= self.len() {
            return;
        }
        let valid = match (&mut self.values, value) {
            (Values::Bool(v), Value::Bool(x)) => {
                v.set(row, x);
                true
            }
            (Values::Long(v), Value::Long(x)) | (Values::Timestamp(v), Value::Timestamp(x)) => {
                v[row] = x;
                true
            }
            (Values::Double(v), Value::Double(x)) => {
                let x = number::canonical(x);
                v[row] = x.unwrap_or_default();
                x.is_some()
            }
            (Values::String(_), _) => return,
            (values, _) => {
                match values {
                    Values::Bool(v) => v.set(row, false),
                    Values::Long(v) | Values::Timestamp(v) => v[row] = 0,
                    Values::Double(v) => v[row] = 0.0,
                    Values::String(_) => {}
                }
                false
            }
        };
        self.valid.set(row, valid);
    }

    /// Makes room for `rows` more rows.
    pub fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(v) => v.bytes.reserve(rows.div_ceil(8)),
            Values::Long(v) | Values::Timestamp(v) => v.reserve(rows),
            Values::Double(v) => v.reserve(rows),
            Values::String(v) => {
                v.offsets.reserve(rows);
                v.text.reserve(rows.saturating_mul(TEXT));
            }
        }
        self.valid.bytes.reserve(rows.div_ceil(8));
    }

    /// Appends `rows` nulls.
    pub fn push_nulls(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(v) => v.extend(rows, false),
            Values::Long(v) | Values::Timestamp(v) => v.resize(v.len() + rows, 0),
            Values::Double(v) => v.resize(v.len() + rows, 0.0),
            Values::String(v) => v.extend_empty(rows),
        }
        self.valid.extend(rows, false);
    }

    /// The rows at `rows`, in that order; a row past the end is null.
    pub fn gather(&self, rows: &[usize]) -> Column {
        let mut out = Column::new(self.kind());
        let mut rest = rows;
        while let [first, ..] = *rest {
            // Rows mostly follow one another, and such runs are copied as a whole.
            let follow = |(at, row): (usize, &usize)| *row == first.saturating_add(at);
            let run = rest.iter().enumerate().take_while(|pair| follow(*pair)).count();
            if first < self.len() {
                let end = first.saturating_add(run).min(self.len());
                out.append_range(self, first..end);
                out.push_nulls(run - (end - first));
            } else {
                out.push_nulls(run);
            }
            rest = &rest[run..];
        }
        out
    }

    /// The rows of `ranges`, which must be within the column, one range after the other.
    pub fn ranges(&self, ranges: &[Range<usize>]) -> Column {
        let mut out = Column::new(self.kind());
        out.reserve(ranges.iter().map(ExactSizeIterator::len).sum());
        ranges.iter().for_each(|range| out.append_range(self, range.clone()));
        out
    }

    /// Appends all rows of `other`, which must be of the same type.
    pub fn append(&mut self, other: &Column) {
        self.append_range(other, 0..other.len());
    }

    /// Appends the rows of `other` at `range`, which must be within it and of the same type: a column of another type
    /// (a bug of the caller) gives nulls.
    fn append_range(&mut self, other: &Column, range: Range<usize>) {
        match (&mut self.values, &other.values) {
            (Values::Bool(v), Values::Bool(x)) => v.append(x, range.clone()),
            (Values::Long(v), Values::Long(x)) | (Values::Timestamp(v), Values::Timestamp(x)) => {
                v.extend_from_slice(&x[range.clone()]);
            }
            (Values::Double(v), Values::Double(x)) => v.extend_from_slice(&x[range.clone()]),
            (Values::String(v), Values::String(x)) => v.append(x, range.clone()),
            _ => return self.push_nulls(range.len()),
        }
        self.valid.append(&other.valid, range);
    }

    /// Removes the rows from `rows` on, if there are any.
    pub fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(v) => v.truncate(rows),
            Values::Long(v) | Values::Timestamp(v) => v.truncate(rows),
            Values::Double(v) => v.truncate(rows),
            Values::String(v) => v.truncate(rows),
        }
        self.valid.truncate(rows);
    }

    /// Removes all rows and keeps the buffers.
    pub fn clear(&mut self) {
        match &mut self.values {
            Values::Bool(v) => v.clear(),
            Values::Long(v) | Values::Timestamp(v) => v.clear(),
            Values::Double(v) => v.clear(),
            Values::String(v) => v.clear(),
        }
        self.valid.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_fill_and_push() {
        for len in [0, 1, 7, 8, 9, 64] {
            assert_eq!(Bits::filled(len, true), (0..len).map(|_| true).collect());
            assert_eq!(Bits::filled(len, false), (0..len).map(|_| false).collect());
            assert_eq!(Bits::filled(len, true).count_ones(), len);
        }
    }

    #[test]
    fn nulls_and_odd_doubles_have_one_form() {
        let column = Column::doubles([Some(-0.0), Some(f64::NAN), None, Some(1.5)]);
        assert_eq!(column.get(0), Value::Double(0.0));
        assert_eq!(column.number(0).map(f64::to_bits), Some(0));
        assert_eq!(column.get(1), Value::Null);
        assert_eq!(column.get(2), Value::Null);
        assert_eq!(column.get(9), Value::Null);
        assert_eq!(column.gather(&[3, 0, 7]), Column::doubles([Some(1.5), Some(0.0), None]));
    }

    #[test]
    fn set_keeps_the_zero_rule() {
        let mut column = Column::nulls(Type::Long, 2);
        column.set(1, Value::Long(7));
        assert_eq!(column, Column::longs([None, Some(7)]));
        column.set(1, Value::Null);
        assert_eq!(column, Column::longs([None, None]));
        column.set(5, Value::Long(1));
        assert_eq!(column.len(), 2);
    }

    #[test]
    fn bits_from_outside_end_where_they_end() {
        let mut bits = Bits::from_bytes(vec![0xff, 0xff, 0xff], 9).unwrap();
        assert_eq!(bits, Bits::filled(9, true));
        bits.push(false);
        assert_eq!((bits.count_ones(), bits.len(), bits.as_bytes().len()), (9, 10, 2));
        assert!(Bits::from_bytes(vec![0xff], 9).is_none());
    }

    proptest::proptest! {
        #[test]
        fn bits_are_a_list(parts in proptest::collection::vec((0usize..20, proptest::bool::ANY), 0..12), cut in 0usize..40, from in 0usize..40, count in 0usize..40) {
            let (mut bits, mut list) = (Bits::default(), Vec::new());
            for (count, bit) in &parts {
                bits.extend(*count, *bit);
                list.extend(vec![*bit; *count]);
                assert_eq!(bits, list.iter().copied().collect());
            }
            let range = from.min(list.len())..(from + count).min(list.len());
            bits.append(&bits.clone(), range.clone());
            list.extend(list[range].to_vec());
            assert_eq!(bits, list.iter().copied().collect());
            bits.truncate(cut);
            list.truncate(cut);
            assert_eq!(bits, list.iter().copied().collect());
            assert_eq!(bits.count_ones(), list.iter().filter(|bit| **bit).count());
        }

        #[test]
        fn rows_are_gathered_and_cut_as_one_by_one(
            texts in proptest::collection::vec(proptest::option::of("\\PC{0,3}"), 0..20),
            rows in proptest::collection::vec(0usize..24, 0..30),
            cut in 0usize..24,
        ) {
            let strings = Column::strings(texts.iter().map(Option::as_deref));
            let longs = Column::longs(texts.iter().map(|t| t.as_ref().map(|t| t.len() as i64)));
            let doubles = Column::doubles(texts.iter().map(|t| t.as_ref().map(|t| t.len() as f64)));
            let mut bools = Column::new(Type::Bool);
            texts.iter().for_each(|t| bools.push(t.as_ref().map_or(Value::Null, |t| Value::Bool(t.len() == 1))));
            for mut column in [strings, longs, doubles, bools] {
                let (mut one_by_one, mut short) = (Column::new(column.kind()), Column::new(column.kind()));
                rows.iter().for_each(|&row| one_by_one.push(column.get(row)));
                (0..cut.min(column.len())).for_each(|row| short.push(column.get(row)));
                let gathered = column.gather(&rows);
                assert_eq!(gathered, one_by_one);
                let (all, middle) = (column.len(), column.len() / 2);
                let turned: Vec<usize> = (middle..all).chain(0..middle).collect();
                assert_eq!(column.ranges(&[middle..all, 0..0, 0..middle]), column.gather(&turned));
                let mut both = gathered.clone();
                both.append(&column);
                assert_eq!(both.len(), rows.len() + column.len());
                (0..column.len()).for_each(|row| one_by_one.push(column.get(row)));
                assert_eq!(both, one_by_one);
                column.truncate(cut);
                assert_eq!(column, short);
            }
        }
    }

    #[test]
    fn texts_from_outside_are_checked() {
        assert!(Texts::from_parts(vec![0, 2, 1], b"ab".to_vec()).is_none());
        assert!(Texts::from_parts(vec![0, 3], b"ab".to_vec()).is_none());
        assert!(Texts::from_parts(vec![0, 1], vec![0xff]).is_none());
        assert!(Texts::from_parts(vec![0, 1, 2], b"ab".to_vec()).is_some());
        assert!(Texts::from_parts(vec![0, 1, 2], "é".into()).is_none()); // half a character
        let among = Texts::from_parts(vec![1, 3], [0xff, b'a', b'b', 0xff].to_vec()).unwrap();
        assert_eq!((among.len(), among.get(0)), (1, "ab"));
    }
}
