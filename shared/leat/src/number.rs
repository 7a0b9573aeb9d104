//! The rules of numbers, each in one place: one form of NaN and zero, one parser, one printer, exact sums.

mod exact;

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
pub fn print(x: f64, out: &mut Vec<u8>) {
    // Whole numbers are common, and up to here they are all their digits.
    if x.abs() < 1e15 && (x as i64) as f64 == x {
        print_whole(x as i64, out);
        out.extend_from_slice(b".0");
    } else if x.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(x + 0.0).as_bytes());
    }
}

/// Prints a whole number.
pub fn print_whole(x: i64, out: &mut Vec<u8>) {
    if let digit @ 0..=9 = x {
        return out.push(b'0' + digit as u8);
    }
    let (mut digits, mut at, mut rest) = ([0; 20], 20, x.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if x < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
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
        fn printed_reads_back(bits: u64) {
            let x = f64::from_bits(bits);
            if x.is_finite() {
                assert_eq!(parse(&to_text(x)).map(f64::to_bits), canonical(x).map(f64::to_bits));
            }
        }
    }
}
