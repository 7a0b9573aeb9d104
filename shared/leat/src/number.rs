//! The rules of numbers, each in one place: one form of NaN and zero, one parser, one printer, exact sums.

mod exact;
mod run;

pub use exact::{Comoments, ExactSum, Moments};

/// The one form in which a double is stored: NaN is missing, −0.0 is 0.0.
#[inline]
pub fn canonical(x: f64) -> Option<f64> {
    if x.is_nan() { None } else { Some(x + 0.0) }
}

/// Reads a double from decimal text: the nearest one, ties to even, on every machine. Blanks around are allowed.
/// `None` for anything else, and for `nan`, `inf`, `infinity`, which are no decimal numbers.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim_ascii();
    let decimal = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if decimal { text.parse().ok().and_then(canonical) } else { None }
}

/// Prints a finite double in the shortest form that reads back to the same bits, as JSON has it (`0.1`, `3.0`,
/// `1e+300`). NaN and infinities, which JSON does not have, print nothing.
#[inline]
pub fn print(x: f64, out: &mut Vec<u8>) {
    // Whole numbers are common, and up to here they are all their digits.
    if x.abs() < 1e15 && (x as i64) as f64 == x {
        print_whole(x as i64, out);
        out.extend_from_slice(b".0");
    } else if x.is_finite() {
        append(zmij::Buffer::new().format_finite(x + 0.0).as_bytes(), out);
    }
}

/// [`print`], of a number of at most three decimals that is not large; false, and nothing, of any other. It takes a third
/// of the time where it is one, and is in vain where it is not.
#[inline]
pub(crate) fn print_short(x: f64, out: &mut Vec<u8>) -> bool {
    const MOST: u64 = 1000 * Few::EIGHT_DIGITS as u64;
    let Some(count) = rounded(x * 1000.0) else { return false };
    let all = count.unsigned_abs();
    // As these are fewer than 15 digits, they are the shortest text of their double.
    if all >= MOST || count as f64 / 1000.0 != x {
        return false;
    }
    let after = match (all % 1000) as i64 {
        0 => Some(Few::from(*b"0")),
        part => Few::fraction(part, 3),
    };
    let whole = Few::whole((all / 1000) as u32).and_then(|whole| whole.then(Few::from(*b".")));
    let Some(text) = whole.zip(after).and_then(|(whole, after)| whole.then(after)) else {
        return false;
    };
    if count < 0 {
        out.push(b'-');
    }
    text.append_to(out);
    true
}

/// Prints a whole number.
#[inline]
pub fn print_whole(x: i64, out: &mut Vec<u8>) {
    if let digit @ 0..=9 = x {
        return out.push(b'0' + digit as u8);
    }
    if let Some(digits) = u32::try_from(x).ok().and_then(Few::whole) {
        return digits.append_to(out);
    }
    let mut text = Backward::default();
    text.whole(x.unsigned_abs());
    if x < 0 {
        text.byte(b'-');
    }
    text.append_to(out);
}

/// A text of at most 16 bytes as a number: the first byte is the least significant one. It is put together and written
/// without a branch that hangs on its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Few {
    bytes: u128,
    length: usize,
}

impl Few {
    /// Below it a whole number has at most eight digits.
    const EIGHT_DIGITS: u32 = 100_000_000;
    const ZEROS: u64 = u64::MAX / 255 * b'0' as u64;

    /// The eight last digits of `x` as numbers from 0 to 9, a byte each, the first one least significant. Source: Paul
    /// Khuong, "How to print integers really fast", 2017.
    #[inline]
    fn eight(x: u32) -> u64 {
        let (high, low) = (u64::from(x / 10_000), u64::from(x % 10_000));
        let four = high | low << 32;
        let hundreds = (four * 10_486) >> 20 & (0x7f << 32 | 0x7f);
        let two = ((four - 100 * hundreds) << 16) + hundreds;
        let tens = (two * 103) >> 10 & 0x000f_000f_000f_000f;
        ((two - 10 * tens) << 8) + tens
    }

    /// All digits of a whole number; none if there are more than eight.
    #[inline]
    pub fn whole(x: u32) -> Option<Self> {
        if x >= Few::EIGHT_DIGITS {
            return None;
        }
        let digits = Few::eight(x);
        // Of 0 one digit stays.
        let zeros = (digits | 1 << 56).trailing_zeros() as usize / 8;
        let bytes = u128::from((digits | Few::ZEROS) >> (8 * zeros));
        Some(Few { bytes, length: 8 - zeros })
    }

    /// What [`print_decimal`] prints after the point; none unless that is digits after `0.`, at most eight.
    #[inline]
    pub fn fraction(count: i64, decimals: u32) -> Option<Self> {
        let (power, missing) = (*TENS.get(decimals as usize)?, 8u32.checked_sub(decimals)?);
        let count = u64::try_from(count).ok()?;
        // What is very small has an exponent.
        if count == 0 || count >= power || count < power / 1000 {
            return None;
        }
        let digits = Few::eight((count * TENS[missing as usize]) as u32);
        let length = 8 - digits.leading_zeros() as usize / 8;
        Some(Few { bytes: u128::from(digits | Few::ZEROS), length })
    }

    /// Both texts; none if that is more than 16 bytes.
    #[inline]
    pub fn then(self, after: Few) -> Option<Self> {
        let length = self.length + after.length;
        // What lies beyond a text's length is no part of it.
        let own = self.bytes & !(u128::MAX << (8 * self.length));
        (length <= 16).then(|| Few { bytes: own | after.bytes << (8 * self.length), length })
    }

    /// Appends the text.
    #[inline]
    pub fn append_to(self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        // Of a fixed length, as that is one store, and cut off.
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.truncate(end);
    }
}

impl<const N: usize> From<[u8; N]> for Few {
    /// Of at most 16 bytes.
    #[inline]
    fn from(text: [u8; N]) -> Self {
        const { assert!(N <= 16) };
        let bytes = text.iter().rev().fold(0, |bytes, byte| bytes << 8 | u128::from(*byte));
        Few { bytes, length: N }
    }
}

/// A short text that is written from its end, where the last digits of numbers are known first. It holds 48 bytes; a
/// byte beyond them is none.
pub(crate) struct Backward {
    bytes: [u8; 48],
    at: usize,
}

impl Default for Backward {
    fn default() -> Self {
        Backward { bytes: [0; 48], at: 48 }
    }
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut at = 0;
    while at < pairs.len() {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

impl Backward {
    /// Writes a byte before all others.
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        if let Some(at) = self.at.checked_sub(1) {
            self.bytes[at] = byte;
            self.at = at;
        }
    }

    #[inline]
    fn pair(&mut self, pair: u64) {
        let [high, low] = PAIRS[(pair % 100) as usize];
        self.byte(low);
        self.byte(high);
    }

    /// Writes all digits of a whole number.
    #[inline]
    pub fn whole(&mut self, mut x: u64) {
        while x >= 100 {
            self.pair(x % 100);
            x /= 100;
        }
        if x >= 10 {
            self.pair(x);
        } else {
            self.byte(b'0' + x as u8);
        }
    }

    /// Writes so many of the last digits of a whole number.
    #[inline]
    fn last(&mut self, mut x: u64, digits: usize) {
        for _ in 0..digits / 2 {
            self.pair(x % 100);
            x /= 100;
        }
        if digits % 2 == 1 {
            self.byte(b'0' + (x % 10) as u8);
        }
    }

    /// Writes what [`print_decimal`] prints; false, and nothing, if that is not the digits alone.
    #[inline]
    pub fn decimal(&mut self, count: i64, decimals: u32) -> bool {
        let Some(&power) = TENS.get(decimals as usize) else { return false };
        let all = count.unsigned_abs();
        let (whole, mut part) = if all < power { (0, all) } else { (all / power, all % power) };
        // What is very small has an exponent.
        if all >= MOST_DIGITS as u64 || whole == 0 && part < power / 1000 || part == 0 {
            return false;
        }
        let mut width = decimals as usize;
        while part % 10 == 0 {
            (part, width) = (part / 10, width - 1);
        }
        self.last(part, width);
        self.byte(b'.');
        self.whole(whole);
        if count < 0 {
            self.byte(b'-');
        }
        true
    }

    /// Appends the text.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        append(self.bytes.get(self.at..).unwrap_or_default(), out);
    }
}

/// Appends few bytes in pieces of a fixed length that overlap: each is one store, where any length is a call.
#[inline]
fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let end = out.len() + bytes.len();
    if let (8..=24, Some(last)) = (bytes.len(), bytes.last_chunk::<8>()) {
        match (bytes.first_chunk::<16>(), bytes.first_chunk::<8>()) {
            (Some(first), _) => out.extend_from_slice(first),
            (None, Some(first)) => out.extend_from_slice(first),
            (None, None) => {}
        }
        out.truncate(end - 8);
        out.extend_from_slice(last);
    } else if let (2..8, Some(first), Some(last)) =
        (bytes.len(), bytes.first_chunk::<2>(), bytes.last_chunk::<2>())
    {
        match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                out.extend_from_slice(first);
                out.truncate(end - 4);
                out.extend_from_slice(last);
            }
            _ => {
                out.extend_from_slice(first);
                out.truncate(end - 2);
                out.extend_from_slice(last);
            }
        }
    } else {
        out.extend_from_slice(bytes);
    }
}

/// The whole number nearest to `x`, halves away from 0; none where it would have more than 15 digits.
#[inline]
pub fn rounded(x: f64) -> Option<i64> {
    if x.abs() >= MOST_DIGITS as f64 || x.is_nan() {
        return None;
    }
    let whole = x as i64;
    let part = x - whole as f64; // exact
    Some(whole + i64::from(part >= 0.5) - i64::from(part <= -0.5))
}

/// Below it whole numbers have at most 15 digits. Decimal numbers of as many are those of different doubles, so that
/// the digits of one are the shortest text of its double.
const MOST_DIGITS: i64 = 1_000_000_000_000_000;
/// 10 to so many.
const TENS: [u64; 16] = {
    let mut tens = [1; 16];
    let mut at = 1;
    while at < tens.len() {
        tens[at] = tens[at - 1] * 10;
        at += 1;
    }
    tens
};

/// Prints the double nearest to `count` divided by 10 to `decimals`, of which there are at most 15, as [`print`] does.
pub fn print_decimal(count: i64, decimals: u32, out: &mut Vec<u8>) {
    let mut text = Backward::default();
    if text.decimal(count, decimals) {
        text.append_to(out);
    } else if let Some(&power) = TENS.get(decimals as usize) {
        print(count as f64 / power as f64, out);
    }
}

/// [`print`] into a new text.
pub fn to_text(x: f64) -> String {
    let mut out = Vec::with_capacity(24);
    print(x, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, value) in [
            ("1", Some(1.0)),
            (" 2.5 ", Some(2.5)),
            ("-0.0", Some(0.0)),
            ("1e3", Some(1000.0)),
            ("9007199254740993", Some(9007199254740992.0)),
            ("nan", None),
            ("inf", None),
            ("", None),
            ("1_0", None),
        ] {
            assert_eq!(parse(text), value, "{text}");
        }
        assert_eq!(to_text(0.1), "0.1");
        assert_eq!(to_text(-7.0), "-7.0");
        assert_eq!(to_text(-0.0), "0.0");
        assert_eq!(to_text(f64::INFINITY), "");
        assert_eq!(canonical(-0.0).map(f64::to_bits), Some(0));
    }

    proptest::proptest! {
        #[test]
        fn whole_numbers_are_printed_as_all_others(x: i64, cut in 0..64) {
            for x in [x, x >> cut, i64::MIN, i64::MAX, 0, -1, 999_999_999_999_999, 1_000_000_000_000_000] {
                let mut out = Vec::new();
                print_whole(x, &mut out);
                assert_eq!(out, x.to_string().into_bytes());
                for x in [x as f64, -(x as f64), x as f64 / 1024.0] {
                    assert_eq!(to_text(x), zmij::Buffer::new().format_finite(x + 0.0));
                }
            }
        }

        #[test]
        fn decimals_are_printed_as_all_others(count: i64, cut in 0..64, decimals in 0u32..=15) {
            for count in [count >> cut, count % 1_000_000, count % 100, 0, 1, -1, 999_999_999_999_999] {
                let mut out = Vec::new();
                print_decimal(count, decimals, &mut out);
                let x = count as f64 / TENS[decimals as usize] as f64;
                assert_eq!(String::from_utf8(out).unwrap(), to_text(x), "{count} {decimals}");
            }
        }

        #[test]
        fn few_bytes_are_put_together(x: u32, cut in 0..32, count: i64, decimals in 0u32..=15) {
            for x in [x, x >> cut, 0, 9, 10, 99_999_999, 100_000_000] {
                let whole = Few::whole(x);
                assert_eq!(whole.is_some(), x < 100_000_000);
                let Some(whole) = whole else { continue };
                let mut out = b"before".to_vec();
                whole.append_to(&mut out);
                assert_eq!(String::from_utf8(out).unwrap(), format!("before{x}"));
                for count in [count >> cut, count.rem_euclid(1_000_000), 1, 0, -1, 100] {
                    let Some(fraction) = Few::fraction(count, decimals) else { continue };
                    let mut expected = format!("{x}:0.").into_bytes();
                    expected.truncate(expected.len() - 2);
                    print_decimal(count, decimals, &mut expected);
                    let all = whole.then(Few::from(*b":0.")).and_then(|text| text.then(fraction));
                    assert_eq!(all.is_some(), expected.len() <= 16);
                    let mut out = Vec::new();
                    let Some(all) = all else { continue };
                    all.append_to(&mut out);
                    assert_eq!(out, expected, "{x} {count} {decimals}");
                }
            }
        }

        #[test]
        fn short_numbers_are_printed_as_all_others(bits: u64, count: i64, cut in 0..64) {
            let count = (count >> cut) as f64;
            let odd = f64::from_bits(bits);
            let all = [count, count / 8.0, count / 10.0, count / 1000.0, count / 1024.0, 0.1 + 0.2, -0.0, 0.001, 1e8];
            for x in all.into_iter().chain([odd, 99_999_999.999, 1e-4, f64::INFINITY, f64::NAN]) {
                let mut out = b"before".to_vec();
                if print_short(x, &mut out) {
                    assert_eq!(String::from_utf8(out).unwrap(), format!("before{}", to_text(x)));
                } else {
                    assert_eq!(out, b"before");
                }
            }
            if count.abs() < 1e11 {
                assert!(print_short(count / 1000.0, &mut Vec::new()), "{count}");
            }
        }

        #[test]
        fn halves_are_rounded_away_from_0(x: f64, count in -1_000_000i64..1_000_000) {
            for x in [x, count as f64 / 2.0, count as f64 / 7.0, 0.49999999999999994, -0.5, 999_999_999_999_999.9] {
                let expected = (x.abs() < 1e15).then(|| libm::round(x) + 0.0);
                assert_eq!(rounded(x).map(|n| n as f64), expected, "{x}");
            }
        }

        #[test]
        fn few_bytes_are_appended(before: Vec<u8>, bytes in proptest::collection::vec(0u8.., 0..40)) {
            let mut out = before.clone();
            append(&bytes, &mut out);
            assert_eq!(out, [before, bytes].concat());
        }

        #[test]
        fn printed_reads_back(bits: u64) {
            let x = f64::from_bits(bits);
            if x.is_finite() {
                assert_eq!(parse(&to_text(x)).map(f64::to_bits), canonical(x).map(f64::to_bits));
            }
        }
    }
}
