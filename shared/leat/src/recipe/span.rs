//! Lengths of time as a recipe writes them.

use super::Span;

/// A span is at most so long: 366 days.
const MAX_SECONDS: i64 = 366 * 86_400;

impl Span {
    /// What a span looks like, for a hint.
    pub const HINT: &'static str =
        "write a whole number and s, m, h or d, as 30s, 5m, 1h, 7d; at most 366d";

    /// Reads `30s`, `5m`, `1h`, `7d`: a whole number above 0 without leading zeros, and a unit; at most 366 days.
    pub fn parse(text: &str) -> Option<Span> {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        let number: i64 = if plain { digits.parse().ok()? } else { return None };
        let seconds = number.checked_mul(seconds).filter(|s| *s <= MAX_SECONDS)?;
        Some(Span { text: text.to_owned(), micros: seconds * 1_000_000 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h", Some(3600)),
            ("7d", Some(604_800)),
            ("366d", Some(31_622_400)),
            ("367d", None),
            ("9223372036854775807d", None),
            ("0s", None),
            ("01h", None),
            ("+1h", None),
            ("-1h", None),
            ("1.5h", None),
            ("1 h", None),
            ("h", None),
            ("1", None),
            ("1w", None),
            ("1é", None),
            ("", None),
        ] {
            let micros = Span::parse(text).map(|span| span.micros);
            assert_eq!(micros, seconds.map(|s: i64| s * 1_000_000), "{text}");
        }
    }
}
