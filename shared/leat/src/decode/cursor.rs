//! A place in a JSON text, and the plain pieces that can stand there.
//!
//! Each piece is taken only in its plain form and answers `None` otherwise: what is left to the strict parser is never
//! judged here. What is taken is valid JSON, so that a text taken piece by piece to its end is one too.

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// The place, in bytes: always between two characters.
    pub at: usize,
}

/// ASCII or whole characters to look for, compared eight bytes at a time.
#[derive(Clone, Debug)]
pub(super) struct Name {
    text: Box<[u8]>,
    words: Box<[u64]>,
    /// What is left of `text` after `words`, and which of its bits count.
    last: u64,
    mask: u64,
}

impl Name {
    pub fn new(text: &str) -> Self {
        let (words, rest) = text.as_bytes().as_chunks();
        let (mut last, mut mask) = ([0; 8], [0; 8]);
        for ((last, mask), byte) in last.iter_mut().zip(&mut mask).zip(rest) {
            (*last, *mask) = (*byte, u8::MAX);
        }
        Name {
            text: text.as_bytes().into(),
            words: words.iter().map(|word| u64::from_le_bytes(*word)).collect(),
            last: u64::from_le_bytes(last),
            mask: u64::from_le_bytes(mask),
        }
    }
}

/// A JSON number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Long(i64),
    Double(f64),
}

/// A JSON text without its quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Text<'a> {
    /// It stands for itself.
    Plain(&'a str),
    /// It holds a backslash. Quotes and all, for serde_json.
    Escaped(&'a str),
}

/// Powers of ten that are doubles: a whole number below 2^53 divided by one of them is rounded once, and so is the
/// double nearest to the decimal number (Clinger, "How to read floating point numbers accurately", 1990).
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// True at the end of the text.
    pub fn is_done(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Takes `byte`, which is ASCII, if it is next.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes `bytes`, which are whole characters, if they are next.
    #[inline]
    pub fn take_all(&mut self, bytes: &[u8]) -> bool {
        let is_next = self.rest().starts_with(bytes);
        if is_next {
            self.at += bytes.len();
        }
        is_next
    }

    /// Takes these texts if they are next, one after the other.
    #[inline]
    pub fn take_each<const N: usize>(&mut self, texts: [&str; N]) -> bool {
        let start = self.at;
        let all = texts.iter().all(|text| self.take_all(text.as_bytes()));
        if !all {
            self.at = start;
        }
        all
    }

    /// Takes `name` if it is next.
    #[inline]
    pub fn take_name(&mut self, name: &Name) -> bool {
        let rest = self.rest();
        let (chunks, _) = rest.as_chunks();
        let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
        let whole = chunks.len() >= name.words.len()
            && name.words.iter().zip(chunks).all(|(name, text)| *name == word(text));
        let is_next = whole
            && match rest.get(name.words.len() * 8..).and_then(<[u8]>::first_chunk) {
                Some(last) => word(last) & name.mask == name.last,
                None => rest.starts_with(&name.text),
            };
        if is_next {
            self.at += name.text.len();
        }
        is_next
    }

    /// Takes white space.
    #[inline]
    pub fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes a text.
    #[inline]
    pub fn text(&mut self) -> Option<Text<'a>> {
        if !self.take(b'"') {
            return None;
        }
        let start = self.at;
        self.special();
        if self.take(b'"') {
            return self.text.get(start..self.at - 1).map(Text::Plain);
        }
        while self.take(b'\\') {
            // The escaped character cannot end the text; serde_json judges it.
            self.at += 1;
            self.special();
            if self.take(b'"') {
                return self.text.get(start - 1..self.at).map(Text::Escaped);
            }
        }
        None
    }

    /// Takes what looks like a text up to the next quote, whatever is in it.
    #[inline]
    pub fn until_quote(&mut self) -> Option<&'a str> {
        if !self.take(b'"') {
            return None;
        }
        let (start, end) = (self.at, self.at + memchr::memchr(b'"', self.rest())?);
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// Takes a text without a backslash.
    #[inline]
    pub fn plain_text(&mut self) -> Option<&'a str> {
        match self.text()? {
            Text::Plain(text) => Some(text),
            Text::Escaped(_) => None,
        }
    }

    /// Goes to the next quote, backslash or control character; to the end if there is none.
    #[inline]
    fn special(&mut self) {
        const ONES: u64 = u64::MAX / 255;
        const HIGH: u64 = ONES << 7;
        // A byte's high bit is set where it is below `by`, and maybe in bytes after such a one.
        let below = |word: u64, by: u64| word.wrapping_sub(ONES * by) & !word & HIGH;
        let (words, last) = self.rest().as_chunks();
        for word in words {
            let word = u64::from_le_bytes(*word);
            let quote = below(word ^ (ONES * u64::from(b'"')), 1);
            let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
            let found = quote | backslash | below(word, 0x20);
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let is_special = |b: &u8| matches!(b, b'"' | b'\\' | 0..0x20);
        self.at += last.iter().position(is_special).unwrap_or(last.len());
    }

    /// Takes a number of at most 18 digits, or any that is no whole number.
    #[inline]
    pub fn number(&mut self) -> Option<Number> {
        let start = self.at;
        let negative = self.take(b'-');
        let first = self.at;
        let (mut digits, mut fraction) = (0u64, 0);
        self.digits(&mut digits);
        let whole = self.at - first;
        if whole == 0 || whole > 1 && self.text.as_bytes().get(first) == Some(&b'0') {
            return None;
        }
        if self.take(b'.') {
            let first = self.at;
            self.digits(&mut digits);
            fraction = self.at - first;
            if fraction == 0 {
                return None;
            }
        } else if !matches!(self.peek(), Some(b'e' | b'E')) {
            let value = i64::try_from(digits).ok().filter(|_| whole <= 18)?;
            return Some(Number::Long(if negative { -value } else { value }));
        }
        let exact = whole + fraction <= 18 && digits < 1 << 53;
        if let (true, Some(ten), false) =
            (exact, TENS.get(fraction), matches!(self.peek(), Some(b'e' | b'E')))
        {
            let value = digits as f64 / ten;
            return Some(Number::Double(if negative { -value } else { value }));
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let _signed = self.take(b'-') || self.take(b'+');
            let first = self.at;
            self.digits(&mut 0);
            if self.at == first {
                return None;
            }
        }
        let value: f64 = self.text.get(start..self.at)?.parse().ok()?;
        value.is_finite().then_some(Number::Double(value))
    }

    /// Takes digits and adds them to `value`, which is right if they are at most 19.
    #[inline]
    fn digits(&mut self, value: &mut u64) {
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            *value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
    }

    /// Takes a value that holds no other: what it is does not matter.
    pub fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => drop(self.plain_text()?),
            b't' if self.take_all(b"true") => {}
            b'f' if self.take_all(b"false") => {}
            b'n' if self.take_all(b"null") => {}
            b'-' | b'0'..=b'9' => drop(self.number()?),
            _ => return None,
        }
        Some(())
    }

    /// The text between two places; empty if they are none.
    pub fn between(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        use Number::{Double, Long};
        for (text, number, rest) in [
            ("0,", Some(Long(0)), ","),
            ("-0", Some(Long(0)), ""),
            ("-12}", Some(Long(-12)), "}"),
            ("999999999999999999", Some(Long(999_999_999_999_999_999)), ""),
            ("1000000000000000000", None, ""), // 19 digits
            ("1.50", Some(Double(1.5)), ""),
            ("-0.0", Some(Double(-0.0)), ""),
            ("0.1234567890123456789", Some(Double(0.123_456_789_012_345_68)), ""),
            ("1e3", Some(Double(1000.0)), ""),
            ("1E-2 ", Some(Double(0.01)), " "),
            ("2.5e+1", Some(Double(25.0)), ""),
            ("1e999", None, ""),
            ("01", None, ""),
            ("1.", None, ""),
            ("1.e1", None, ""),
            ("1e", None, ""),
            ("1e+", None, ""),
            ("-", None, ""),
            (".5", None, ""),
            ("+1", None, ""),
        ] {
            let mut cursor = Cursor::new(text);
            let found = cursor.number();
            assert_eq!(format!("{found:?}"), format!("{number:?}"), "{text}");
            if found.is_some() {
                assert_eq!(cursor.rest(), rest.as_bytes(), "{text}");
            }
        }
    }

    #[test]
    fn names() {
        for length in 0..40 {
            let name: String = "0123456789".chars().cycle().take(length).collect();
            for end in 0..=length + 9 {
                let text: String = "0123456789".chars().cycle().take(end).collect();
                for text in [text.clone(), text + "x"] {
                    let mut cursor = Cursor::new(&text);
                    assert_eq!(cursor.take_name(&Name::new(&name)), text.starts_with(&name));
                    assert_eq!(cursor.at, if text.starts_with(&name) { length } else { 0 });
                }
            }
        }
    }

    #[test]
    fn texts() {
        for (json, text) in [
            ("\"\"", Some(Text::Plain(""))),
            ("\"abc\" ", Some(Text::Plain("abc"))),
            ("\"1234567\"", Some(Text::Plain("1234567"))),
            ("\"12345678é\"x", Some(Text::Plain("12345678é"))),
            ("\"a\\\"b\"c", Some(Text::Escaped("\"a\\\"b\""))),
            ("\"\\\\\"\"", Some(Text::Escaped("\"\\\\\""))),
            ("\"a\tb\"", None),
            ("\"a", None),
            ("\"a\\", None),
            ("\"a\\\"", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(Cursor::new(json).text(), text, "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn numbers_are_serde_json_s(text in "-?[0-9]{0,20}(\\.[0-9]{0,25})?([eE][+-]?[0-9]{0,3})?", x: f64) {
            for text in [text, format!("{x:?}"), format!("{x}")] {
                let mut cursor = Cursor::new(&text);
                let found = cursor.number().filter(|_| cursor.is_done());
                let strict = serde_json::from_str::<f64>(&text).ok();
                if let Some(found) = found {
                    let found = match found {
                        Number::Long(x) => x as f64,
                        Number::Double(x) => x,
                    };
                    assert_eq!(Some((found + 0.0).to_bits()), strict.map(|x| (x + 0.0).to_bits()), "{text}");
                }
            }
        }
    }
}
