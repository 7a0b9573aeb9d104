//! `tf_idf`: how often each word is in a text, by how rare it is, as a sparse vector whose places are hashes of words.
//!
//! - Takes: a column of text.
//! - Gives: a sparse vector of `dimensions` numbers: a text `place:value place:value …`, places from 0 and rising, those
//!   of value 0 left out; see `tokens` for what a word is. A missing text, and one without words, gives the empty text.
//! - Words: `words` are of two or more letters, digits and underscores; `alphanumeric` of one or more ASCII letters and
//!   digits; `blanks` whatever stands between blanks. By default `words` in dialect `sklearn`, `blanks` in `spark`.
//!   Capitals become small first, unless `lowercase: false`. With `ngrams: [1, 2]` words that follow each other are
//!   terms too, with one blank between them.
//! - Place: MurmurHash3 (x86, 32 bits) of a term's bytes in UTF-8. In `sklearn` the seed is 0 and the place the hash's
//!   size as a signed number, modulo `dimensions`; in `spark` the seed is 42 and the place the signed hash, never
//!   negative modulo. Terms that meet in a place count together; with `signed` those of a negative hash count −1.
//! - Value: tf · idf, divided by the norm of all values. tf is the count, with `sublinear` 1 + ln count. idf is
//!   ln((1 + n)/(1 + df)) + 1 with `idf: sklearn`, ln((1 + n)/(1 + df)) with `spark`, 1 with `none`: n rows, df of which
//!   have a term in the place. `norm` is l2, l1 or none. By default `idf: sklearn` and `norm: l2` in dialect `sklearn`,
//!   `idf: spark` and `norm: none` in `spark`.
//! - Edges: with `decimals` a value is rounded to so many, halves away from 0. Missing texts count as rows without words
//!   in `fit`. A row whose values are all 0 has no norm, and is empty.
//! - State: rows, and idf by place. Counts are by place, so parts of the data are fitted and merged in any order.
//! - Errors: `signed` with `sublinear`, as a count below 0 has no logarithm.
//! - Source: scikit-learn `HashingVectorizer(norm=None)` and `TfidfTransformer`; Spark `HashingTF` and `IDF`. Departs: what
//!   a letter is says Rust's Unicode, which counts vowel signs among them; a value that is cancelled to 0 is left out.

use serde::{Deserialize, Serialize};

use crate::column::{Bits, Column, Texts, Type, Values};
use crate::features::columnwise::Key;
use crate::features::manual::manual;
use crate::features::murmur3::Buckets;
use crate::features::operator::{Apply, Fitted, Lesson, fitted_outputs};
use crate::number::{self, Few};
use crate::recipe::Dialect;
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "tf_idf",
    summary: "A sparse vector of a text's words, by how often and how rare they are.",
    manual: manual!("tf_idf.rs"),
    version: 1,
    fitted: true,
    supervised: false,
    takes: &[Type::String],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "dimensions",
            kind: ParameterKind::Integer { min: 1, max: 1 << 18 },
            default: "256",
            required: false,
            help: "How many places the vector has.",
        },
        Parameter {
            name: "tokens",
            kind: ParameterKind::Word(&["words", "alphanumeric", "blanks"]),
            default: "",
            required: false,
            help: "What a word is. By default `words` in dialect sklearn, `blanks` in spark.",
        },
        Parameter {
            name: "lowercase",
            kind: ParameterKind::Bool,
            default: "true",
            required: false,
            help: "Make capitals small first.",
        },
        Parameter {
            name: "ngrams",
            kind: ParameterKind::Range { min: 1, max: 5 },
            default: "[1, 1]",
            required: false,
            help: "How many words a term has, at least and at most.",
        },
        Parameter {
            name: "signed",
            kind: ParameterKind::Bool,
            default: "false",
            required: false,
            help: "Count terms of a negative hash down, so that those that meet cancel out on average.",
        },
        Parameter {
            name: "sublinear",
            kind: ParameterKind::Bool,
            default: "false",
            required: false,
            help: "Take 1 + ln of a count for the count.",
        },
        Parameter {
            name: "idf",
            kind: ParameterKind::Word(&["sklearn", "spark", "none"]),
            default: "",
            required: false,
            help: "How the rarity of a place counts. By default that of the dialect.",
        },
        Parameter {
            name: "norm",
            kind: ParameterKind::Word(&["l2", "l1", "none"]),
            default: "",
            required: false,
            help: "What a row is divided by. By default l2 in dialect sklearn, none in spark.",
        },
        Parameter {
            name: "decimals",
            kind: ParameterKind::Integer { min: 0, max: 9 },
            default: "",
            required: false,
            help: "Round values to so many decimals. By default they keep all their digits.",
        },
    ],
    outputs: fitted_outputs::<TfIdf>,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tokens {
    Words,
    Alphanumeric,
    Blanks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idf {
    Sklearn,
    Spark,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Norm {
    L2,
    L1,
    None,
}

/// The parameters.
#[derive(Clone, Copy, Debug)]
pub struct TfIdf {
    terms: Terms,
    dimensions: u32,
    sublinear: bool,
    idf: Idf,
    norm: Norm,
    /// To so many decimals, and 10 to their number.
    round: Option<(u32, f64)>,
}

/// How a text becomes places.
#[derive(Clone, Copy, Debug)]
struct Terms {
    tokens: Tokens,
    lowercase: bool,
    least: usize,
    most: usize,
    signed: bool,
    buckets: Buckets,
}

/// What was seen: in how many of the rows each place had a term; empty if there was none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    rows: u64,
    frequencies: Vec<u64>,
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    rows: u64,
    /// By place; empty with `idf: none`.
    idf: Vec<f64>,
}

/// Ready to run.
#[derive(Debug)]
pub struct Ready {
    operator: TfIdf,
    idf: Vec<f64>,
}

/// What one text after another is counted in: its buffers are reused.
#[derive(Debug, Default)]
struct Counter {
    /// By place: the count. Between texts all are 0.
    counts: Vec<i32>,
    held: Held,
    /// The places of a text that have a term, rising.
    touched: Vec<u32>,
    /// The text in small letters, and zeros after it, so that sixteen bytes can be read wherever a word begins.
    text: Vec<u8>,
    /// How long the text is.
    length: usize,
    /// Where its words are.
    words: Vec<(usize, usize)>,
}

/// A set of places that gives them in order: a bit for each, and a bit for each 64 of them, of which one is there.
#[derive(Debug, Default)]
struct Held {
    places: Vec<u64>,
    some: Vec<u64>,
}

impl Held {
    fn new(places: u32) -> Self {
        let places = (places as usize).div_ceil(64);
        Held { places: vec![0; places], some: vec![0; places.div_ceil(64)] }
    }

    #[inline]
    fn insert(&mut self, place: u32) {
        let place = place as usize;
        self.places[place / 64] |= 1 << (place % 64);
        self.some[place / 4096] |= 1 << (place / 64 % 64);
    }

    /// Appends the places to `out`; none is left.
    #[inline]
    fn drain(&mut self, out: &mut Vec<u32>) {
        for (at, some) in self.some.iter_mut().enumerate() {
            let mut some = std::mem::take(some);
            while some != 0 {
                let word = at * 64 + some.trailing_zeros() as usize;
                some &= some - 1;
                let mut places = std::mem::take(&mut self.places[word]);
                while places != 0 {
                    out.push((word * 64) as u32 + places.trailing_zeros());
                    places &= places - 1;
                }
            }
        }
    }
}

/// A bit for each of eight bytes that are of a word, the first one's lowest. Of bytes beyond ASCII none is.
#[inline]
fn of_words(tokens: Tokens, bytes: [u8; 8]) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let bytes = u64::from_le_bytes(bytes);
    let (ascii, low) = (!bytes & HIGH, bytes & !HIGH);
    // The high bit of each byte from `first` on, to `last`.
    let from = |low: u64, first: u8| low + ONES * u64::from(0x80 - first);
    let within = |low, first: u8, last: u8| from(low, first) & !from(low, last + 1) & HIGH;
    let letters = within(low | ONES << 5, b'a', b'z') | within(low, b'0', b'9');
    let found = match tokens {
        Tokens::Alphanumeric => letters,
        Tokens::Words => letters | within(low, b'_', b'_'),
        Tokens::Blanks => !(within(low, b'\t', b'\r') | within(low, b' ', b' ')),
    };
    // Each bit moves to a place of its own in the highest byte.
    ((found & ascii) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

impl Counter {
    fn new(dimensions: u32) -> Self {
        let counts = vec![0; dimensions as usize];
        Counter { counts, held: Held::new(dimensions), ..Counter::default() }
    }

    #[inline]
    fn hit(&mut self, terms: &Terms, hash: u32) {
        let (place, negative) = terms.buckets.bucket(hash);
        let count = &mut self.counts[place as usize];
        *count = count.saturating_add(if negative && terms.signed { -1 } else { 1 });
        self.held.insert(place);
    }

    /// Counts the terms of `text`; `touched` are their places, rising.
    fn count(&mut self, terms: &Terms, text: &[u8]) {
        self.fold(terms, text);
        self.split(terms.tokens);
        for length in terms.least..=terms.most {
            for at in 0..(self.words.len() + 1).saturating_sub(length) {
                self.hit(terms, self.hash(terms, &self.words[at..at + length]));
            }
        }
        self.held.drain(&mut self.touched);
    }

    /// The hash of the term of these words.
    #[inline]
    fn hash(&self, terms: &Terms, words: &[(usize, usize)]) -> u32 {
        if let &[(start, end)] = words
            && let (1..=16, Some(word)) =
                (end - start, self.text.get(start..).and_then(|rest| rest.first_chunk()))
        {
            return terms.buckets.of_short(word, end - start);
        }
        let mut hash = terms.buckets.hasher();
        for (i, &(start, end)) in words.iter().enumerate() {
            if i > 0 {
                hash.add(b" ");
            }
            hash.add(&self.text[start..end]);
        }
        hash.finish()
    }

    /// Forgets the text.
    fn clear(&mut self) {
        for place in self.touched.drain(..) {
            self.counts[place as usize] = 0;
        }
    }

    /// The text in small letters.
    fn fold(&mut self, terms: &Terms, text: &[u8]) {
        self.text.clear();
        if !terms.lowercase || text.is_ascii() {
            self.text.extend_from_slice(text);
            if terms.lowercase {
                self.text.make_ascii_lowercase();
            }
        } else {
            let text = std::str::from_utf8(text).unwrap_or_default();
            self.text.extend_from_slice(text.to_lowercase().as_bytes());
        }
        self.length = self.text.len();
        self.text.resize((self.length + 16).next_multiple_of(8), 0);
    }

    fn split(&mut self, tokens: Tokens) {
        self.words.clear();
        let least = match tokens {
            Tokens::Alphanumeric => 1,
            // Of other text characters must be asked, not bytes.
            _ if !self.text.is_ascii() => return self.split_unicode(tokens),
            Tokens::Words => 2,
            Tokens::Blanks => 1,
        };
        let (mut word, mut last) = (None, 0);
        for (at, chunk) in self.text.chunks(64).enumerate() {
            let (eights, _) = chunk.as_chunks();
            let all = eights.iter().rev().fold(0, |all, eight| all << 8 | of_words(tokens, *eight));
            let left = self.length.saturating_sub(at * 64);
            let all = if left < 64 { all & ((1 << left) - 1) } else { all };
            // A bit where a word begins, and where it has ended: the zeros after the text end the last one.
            let mut turns = all ^ (all << 1 | last);
            last = all >> 63;
            while turns != 0 {
                let turn = at * 64 + turns.trailing_zeros() as usize;
                turns &= turns - 1;
                match word.take() {
                    None => word = Some(turn),
                    Some(start) if turn - start >= least => self.words.push((start, turn)),
                    Some(_) => {}
                }
            }
        }
    }

    fn split_unicode(&mut self, tokens: Tokens) {
        let text = self.text.get(..self.length).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        let of_word = |c: char| match tokens {
            Tokens::Blanks => !c.is_whitespace(),
            _ => c.is_alphanumeric() || c == '_',
        };
        for word in text.split(|c| !of_word(c)) {
            let long = tokens == Tokens::Blanks || word.chars().nth(1).is_some();
            if !word.is_empty() && long {
                let start = word.as_ptr() as usize - text.as_ptr() as usize;
                self.words.push((start, start + word.len()));
            }
        }
    }
}

impl Fitted for TfIdf {
    type Partial = Seen;
    type State = State;
    type Ready = Ready;

    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let sklearn = setting.dialect == Dialect::Sklearn;
        let tokens = match setting.text("tokens").as_deref() {
            Some("words") => Tokens::Words,
            Some("alphanumeric") => Tokens::Alphanumeric,
            None if sklearn => Tokens::Words,
            _ => Tokens::Blanks,
        };
        let idf = match setting.text("idf").as_deref() {
            Some("sklearn") => Idf::Sklearn,
            Some("none") => Idf::None,
            None if sklearn => Idf::Sklearn,
            _ => Idf::Spark,
        };
        let norm = match setting.text("norm").as_deref() {
            Some("l2") => Norm::L2,
            Some("l1") => Norm::L1,
            None if sklearn => Norm::L2,
            _ => Norm::None,
        };
        let (signed, sublinear) =
            (setting.bool("signed").unwrap_or(false), setting.bool("sublinear").unwrap_or(false));
        if signed && sublinear {
            let message = "with `signed` counts can be below 0, which have no logarithm";
            return Err(Wrong::at("sublinear", message, "leave one of them out"));
        }
        let dimensions = setting.whole("dimensions").unwrap_or(256);
        let (least, most) = setting.range("ngrams").unwrap_or((1, 1));
        let terms = Terms {
            tokens,
            lowercase: setting.bool("lowercase").unwrap_or(true),
            least: usize::try_from(least).unwrap_or(1),
            most: usize::try_from(most).unwrap_or(1),
            signed,
            buckets: Buckets::new(setting.dialect, None, dimensions),
        };
        let decimals = setting.whole("decimals").and_then(|decimals| u32::try_from(decimals).ok());
        let round = decimals.map(|n| (n, (0..n).fold(1.0, |power, _| power * 10.0)));
        let dimensions = u32::try_from(dimensions).unwrap_or(1);
        Ok(TfIdf { terms, dimensions, sublinear, idf, norm, round })
    }

    fn outputs(&self) -> Option<Vec<Output>> {
        Some(vec![Output::terms(self.dimensions)])
    }

    fn update(&self, seen: &mut Seen, column: &Column, _: &Lesson<'_>) {
        seen.rows = seen.rows.saturating_add(column.len() as u64);
        if self.idf == Idf::None {
            return;
        }
        let mut counter = Counter::new(self.dimensions);
        for row in 0..column.len() {
            let Some(text) = Key::at(column, row) else { continue };
            counter.count(&self.terms, text.bytes());
            if !counter.touched.is_empty() {
                seen.frequencies.resize(self.dimensions as usize, 0);
            }
            for &place in &counter.touched {
                seen.frequencies[place as usize] += 1;
            }
            counter.clear();
        }
    }

    fn merge(&self, seen: &mut Seen, other: &Seen) {
        seen.rows = seen.rows.saturating_add(other.rows);
        if seen.frequencies.len() < other.frequencies.len() {
            seen.frequencies.resize(other.frequencies.len(), 0);
        }
        for (sum, more) in seen.frequencies.iter_mut().zip(&other.frequencies) {
            *sum = sum.saturating_add(*more);
        }
    }

    fn finish(&self, seen: &Seen) -> Result<State, String> {
        let rows = seen.rows;
        let idf = |place| {
            let frequency = seen.frequencies.get(place).copied().unwrap_or_default();
            let ratio = (1.0 + rows as f64) / (1.0 + frequency as f64);
            libm::log(ratio) + if self.idf == Idf::Sklearn { 1.0 } else { 0.0 }
        };
        let places = if self.idf == Idf::None { 0 } else { self.dimensions as usize };
        Ok(State { rows, idf: (0..places).map(idf).collect() })
    }

    fn ready(self, state: State) -> Result<Ready, String> {
        let places = self.dimensions as usize;
        let idf = match self.idf {
            Idf::None if state.idf.is_empty() => vec![1.0; places],
            Idf::None => return Err("it has an idf, and the step has `idf: none`".into()),
            _ if state.idf.len() != places => {
                let found = state.idf.len();
                return Err(format!("it has {found} places, and the step has {places}"));
            }
            _ => state.idf,
        };
        if !idf.iter().all(|idf| idf.is_finite()) {
            return Err("its idf is not finite".into());
        }
        Ok(Ready { operator: self, idf })
    }
}

impl Ready {
    /// The values of the places that `counter` holds, divided by their norm.
    fn values(&self, counter: &Counter, values: &mut Vec<f64>) {
        let value = |&place: &u32| {
            let count = f64::from(counter.counts[place as usize]);
            let tf = if self.operator.sublinear { 1.0 + libm::log(count) } else { count };
            tf * self.idf[place as usize]
        };
        values.clear();
        values.extend(counter.touched.iter().map(value));
        let norm = match self.operator.norm {
            Norm::L2 => values.iter().fold(0.0, |sum, x| sum + x * x).sqrt(),
            Norm::L1 => values.iter().fold(0.0, |sum, x| sum + x.abs()),
            Norm::None => 1.0,
        };
        if norm > 0.0 {
            values.iter_mut().for_each(|x| *x /= norm);
        }
    }

    /// Appends a term and a blank after it.
    #[inline]
    fn print(&self, place: u32, value: f64, out: &mut Vec<u8>) {
        let count =
            self.operator.round.map(|(n, power)| (number::rounded(value * power), n, power));
        if let Some((Some(count), decimals, _)) = count
            && let Some(fraction) = Few::fraction(count, decimals)
            && let Some(term) = Few::whole(place)
                .and_then(|place| place.then(Few::from(*b":0.")))
                .and_then(|start| start.then(fraction))
        {
            // Mostly the whole term is a few digits.
            term.append_to(out);
        } else {
            let value = count.map_or(value, |(.., power)| libm::round(value * power) / power);
            if value == 0.0 || !value.is_finite() {
                return;
            }
            number::print_whole(i64::from(place), out);
            out.push(b':');
            match count {
                Some((Some(count), decimals, _)) => number::print_decimal(count, decimals, out),
                _ => number::print(value, out),
            }
        }
        out.push(b' ');
    }
}

impl Apply for Ready {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::terms(self.operator.dimensions)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        let mut counter = Counter::new(self.operator.dimensions);
        let (mut values, mut text) = (Vec::new(), Vec::new());
        let mut offsets = Vec::with_capacity(column.len() + 1);
        offsets.push(0);
        for row in 0..column.len() {
            if let Some(words) = Key::at(column, row) {
                counter.count(&self.operator.terms, words.bytes());
                self.values(&counter, &mut values);
                let start = text.len();
                for (&place, &value) in counter.touched.iter().zip(&values) {
                    self.print(place, value, &mut text);
                }
                if text.len() > start {
                    text.pop();
                }
                counter.clear();
            }
            offsets.push(i32::try_from(text.len()).unwrap_or(i32::MAX));
        }
        let valid = Bits::filled(column.len(), true);
        let made = Texts::from_parts(offsets, text)
            .and_then(|texts| Column::from_parts(Values::String(texts), valid));
        vec![made.unwrap_or_else(|| Column::nulls(Type::String, column.len()))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{
        LESSON, fit_apply, fit_apply_in, law, setting, wrong,
    };
    use proptest::prelude::*;

    fn words(tokens: Tokens, text: &str) -> Vec<String> {
        let buckets = Buckets::new(Dialect::Sklearn, None, 8);
        let (lowercase, signed) = (true, false);
        let terms = Terms { tokens, lowercase, least: 1, most: 1, signed, buckets };
        let mut counter = Counter::new(8);
        counter.fold(&terms, text.as_bytes());
        counter.split(tokens);
        let word = |&(start, end): &(usize, usize)| counter.text[start..end].to_vec();
        counter.words.iter().map(|w| String::from_utf8(word(w)).unwrap()).collect()
    }

    #[test]
    fn what_a_word_is() {
        use Tokens::{Alphanumeric, Blanks, Words};
        for (tokens, text, expected) in [
            (Words, "Kowloon  Station, a 7-eleven x_1", "kowloon station eleven x_1"),
            (Words, "CAFÉ à 東京 ŁÓDŹ", "café 東京 łódź"),
            (Words, "", ""),
            (Words, "ΣΑΣ", "σας"),
            (Alphanumeric, "Kowloon a 7-eleven x_1 é", "kowloon a 7 eleven x 1"),
            (Blanks, " A,b\tc\u{3000}d ", "a,b c d"),
            (Blanks, " A,b\tc\u{b}d ", "a,b c d"),
        ] {
            assert_eq!(words(tokens, text).join(" "), expected, "{tokens:?} {text}");
        }
    }

    fn check(parameters: &str, fit: &[Option<&str>], of: Option<&str>, expected: &str) {
        let fit = Column::strings(fit.iter().copied());
        let of = Column::strings([of]);
        let (_, columns) = fit_apply(&SPEC, parameters, &fit, &of).unwrap();
        assert_eq!(columns, [("x".to_owned(), Column::strings([Some(expected)]))], "{parameters}");
    }

    #[test]
    fn vectors() {
        // cat is in 7 of 16 with +, dog in 5 with −, as scikit-learn has it.
        let plain = r#"{"dimensions":16,"idf":"none","norm":"none"}"#;
        let fit = [Some("cat dog"), Some("cat"), None];
        check(plain, &fit, Some("cat dog Cat"), "5:1.0 7:2.0");
        check(plain, &fit, None, "");
        check(plain, &fit, Some(" "), "");
        check(plain, &fit, Some("a !"), "");
        let signed = r#"{"dimensions":16,"idf":"none","norm":"none","signed":true}"#;
        check(signed, &fit, Some("cat dog Cat"), "5:-1.0 7:2.0");
        let l1 = r#"{"dimensions":16,"idf":"none","norm":"l1","signed":true}"#;
        check(l1, &fit, Some("cat dog cat cat"), "5:-0.25 7:0.75");
        let l2 = r#"{"dimensions":16,"idf":"none","lowercase":false,"tokens":"blanks"}"#;
        check(l2, &fit, Some("dog dog dog cat cat cat cat"), "5:0.6 7:0.8");
        let sublinear = r#"{"dimensions":16,"idf":"none","norm":"none","sublinear":true}"#;
        check(sublinear, &fit, Some("cat"), "7:1.0");
        // Of three rows one has a dog: idf ln(4/2) + 1; two have a cat: ln(4/3) + 1.
        let idf = r#"{"dimensions":16,"norm":"none","decimals":3}"#;
        check(idf, &fit, Some("cat dog"), "5:1.693 7:1.288");
        check(r#"{"dimensions":1,"norm":"none","idf":"spark"}"#, &[Some("cat")], Some("cat"), "");
        let pairs = r#"{"dimensions":1,"idf":"none","norm":"none","ngrams":[2,3]}"#;
        check(pairs, &fit, Some("one two three four"), "0:5.0"); // 3 of two words, 2 of three
    }

    #[test]
    fn the_dialect_decides() {
        let fit = Column::strings([Some("a b"), Some("a"), None]);
        let made = |dialect, parameters: &str| {
            let (_, columns) = fit_apply_in(dialect, &SPEC, parameters, &fit, &fit).unwrap();
            columns
        };
        let written = r#"{"tokens":"blanks","idf":"spark","norm":"none"}"#;
        assert_eq!(made(Dialect::Spark, "{}"), made(Dialect::Spark, written));
        let written = r#"{"tokens":"words","idf":"sklearn","norm":"l2"}"#;
        assert_eq!(made(Dialect::Sklearn, "{}"), made(Dialect::Sklearn, written));
    }

    #[test]
    fn a_foreign_state_is_refused() {
        for (parameters, state) in [
            (r#"{"dimensions":2}"#, r#"{"rows":1,"idf":[1.0]}"#),
            (r#"{"dimensions":2}"#, r#"{"rows":1,"idf":[]}"#),
            (r#"{"dimensions":2,"idf":"none"}"#, r#"{"rows":1,"idf":[1.0,1.0]}"#),
        ] {
            let step = setting(&SPEC, parameters);
            let (dialect, kind) = (Dialect::Sklearn, Type::String);
            let setting = Setting { spec: &SPEC, dialect, kind, kinds: &[kind], step: &step };
            let operator = TfIdf::read(&setting).unwrap();
            assert!(operator.ready(serde_json::from_str(state).unwrap()).is_err(), "{state}");
        }
    }

    #[test]
    fn wrong_parameters() {
        wrong(&SPEC, Type::String, r#"{"signed":true,"sublinear":true}"#);
    }

    /// As the plain way has them: words between what is none, places sorted, each value printed by itself.
    fn terms(tokens: Tokens, dimensions: u32, decimals: Option<u32>, text: &str) -> String {
        let buckets = Buckets::new(Dialect::Sklearn, None, u64::from(dimensions));
        let mut counts = std::collections::BTreeMap::new();
        for word in words(tokens, text) {
            let mut hash = buckets.hasher();
            hash.add(word.as_bytes());
            *counts.entry(buckets.bucket(hash.finish()).0).or_insert(0f64) += 1.0;
        }
        let norm = counts.values().fold(0f64, |sum, x| sum + x * x).sqrt();
        let power = decimals.map(|n| (0..n).fold(1.0, |power, _| power * 10.0));
        let value = |x: f64| power.map_or(x, |power| libm::round(x * power) / power);
        let all = counts.into_iter().map(|(place, x): (u32, f64)| (place, value(x / norm)));
        let texts = all.filter(|(_, x)| *x != 0.0);
        let texts: Vec<_> = texts.map(|(p, x)| format!("{p}:{}", number::to_text(x))).collect();
        texts.join(" ")
    }

    proptest! {
        #[test]
        fn terms_are_those_of_the_plain_way(
            text in "([a-zA-Z0-9_é,. ]{0,30} ){0,6}[a-zà]{0,40}", dimensions in 1u32..300_000,
            decimals in proptest::option::of(0u32..=9),
        ) {
            for (tokens, word) in [(Tokens::Alphanumeric, "alphanumeric"), (Tokens::Blanks, "blanks")] {
                let round = decimals.map_or(String::new(), |n| format!(r#","decimals":{n}"#));
                let parameters = format!(r#"{{"dimensions":{dimensions},"idf":"none","tokens":"{word}"{round}}}"#);
                check(&parameters, &[], Some(&text), &terms(tokens, dimensions, decimals, &text));
            }
        }

        /// Letters and digits of ASCII, whatever stands between them.
        #[test]
        fn alphanumeric_words_are_those_between_all_others(text in "([a-zA-Z0-9]{0,9}[ -/:-@\\[-`{-~é\u{3000}]{1,2}){0,20}[a-z0-9]{0,70}") {
            let lower = text.to_lowercase();
            let parts = lower.split(|c: char| !c.is_ascii_alphanumeric());
            let expected: Vec<_> = parts.filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(words(Tokens::Alphanumeric, &text), expected);
        }

        #[test]
        fn merged_is_one_pass(
            values in proptest::collection::vec(proptest::option::of("[a-dé ]{0,12}"), 0..20),
            cuts in proptest::collection::vec(0usize..20, 0..4), turn in 0usize..5,
        ) {
            let column = Column::strings(values.iter().map(Option::as_deref));
            for parameters in [r#"{"dimensions":8}"#, r#"{"dimensions":8,"tokens":"alphanumeric","idf":"none"}"#] {
                law::<TfIdf>(&SPEC, parameters, &column, &LESSON, &cuts, turn)?;
            }
        }

        /// Of ASCII text the words are those of the way for all text.
        #[test]
        fn the_fast_way_is_the_slow_one(text in "[ -~\t\n\u{b}]{0,140}") {
            for tokens in [Tokens::Words, Tokens::Blanks] {
                let fast = words(tokens, &text);
                let slow = words(tokens, &format!("{text} é"));
                let slow: Vec<String> = slow.into_iter().filter(|w| w != "é").collect();
                prop_assert_eq!(fast, slow);
            }
        }
    }
}
