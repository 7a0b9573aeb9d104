//! DQDL's words: names, numbers, texts in double quotes, signs. Comments and blanks go.

use crate::recipe::Place;

/// A word and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Token<'a> {
    /// What it is.
    pub word: Word<'a>,
    /// Where it begins.
    pub place: Place,
    /// True if it follows the word before it without a blank.
    pub joined: bool,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Word<'a> {
    /// `[A-Za-z0-9_.]+` that is no number. Keywords too: the parser tells them apart.
    Name(&'a str),
    /// Digits with or without a fraction, unsigned.
    Number(&'a str),
    /// A text, without its quotes and escapes.
    Text(String),
    /// A text whose closing quote is missing.
    Unclosed,
    /// One of [`SIGNS`].
    Sign(&'static str),
    /// A character that has no place in DQDL.
    Stray(char),
    /// After the last word.
    End,
}

/// The signs; a longer one before its beginning.
const SIGNS: [&str; 19] = [
    "!=", ">=", "<=", "=", ">", "<", "(", ")", "[", "]", "{", "}", ",", ":", "$", "+", "-", "*",
    "/",
];

/// All words of `text`; the last is [`Word::End`]. What is wrong stays in the list for the parser to report.
pub fn lex(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut cursor = Cursor { rest: text, place: Place { line: 1, column: 1 }, unclosed: false };
    // A byte order mark is what some editors put before a text.
    if text.starts_with('\u{feff}') {
        cursor.rest = &text['\u{feff}'.len_utf8()..];
    }
    loop {
        let joined = !cursor.skip_blanks();
        let place = cursor.place;
        let word = cursor.word();
        let end = word == Word::End;
        tokens.push(Token { word, place, joined });
        if end {
            return tokens;
        }
    }
}

struct Cursor<'a> {
    rest: &'a str,
    place: Place,
    /// True after a text without its closing quote.
    unclosed: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.place = Place { line: self.place.line + 1, column: 1 };
            } else {
                self.place.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    /// Takes blanks and comments; false if there was none.
    fn skip_blanks(&mut self) -> bool {
        let mut any = false;
        loop {
            let blanks =
                self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            let bytes = if blanks > 0 {
                blanks
            } else if self.rest.starts_with('#') {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else {
                return any;
            };
            self.take(bytes);
            any = true;
        }
    }

    fn word(&mut self) -> Word<'a> {
        let Some(first) = self.rest.chars().next() else { return Word::End };
        if first == '"' {
            return self.text();
        }
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if named(first) {
            let bytes = self.rest.find(|c| !named(c)).unwrap_or(self.rest.len());
            let word = self.take(bytes);
            return if is_number(word) { Word::Number(word) } else { Word::Name(word) };
        }
        match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            Some(sign) => {
                self.take(sign.len());
                Word::Sign(sign)
            }
            None => {
                self.take(first.len_utf8());
                Word::Stray(first)
            }
        }
    }

    /// A text: `\"` and `\\` stand for `"` and `\`, other backslashes for themselves.
    fn text(&mut self) -> Word<'a> {
        let mut value = String::new();
        let mut characters = self.rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.take(at + 1);
                    return Word::Text(value);
                }
                '\\' => {
                    let escaped = characters.next_if(|(_, c)| matches!(c, '"' | '\\'));
                    value.push(escaped.map_or('\\', |(_, c)| c));
                }
                c => value.push(c),
            }
        }
        // Go on after this line, so that what follows is still checked; but only once, as each such text is read
        // to the end of the document.
        let line = self.rest.find('\n').filter(|_| !self.unclosed).unwrap_or(self.rest.len());
        self.unclosed = true;
        self.take(line);
        Word::Unclosed
    }
}

/// Digits, or digits, a point and digits.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match word.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(word),
    }
}

/// `text` in quotes, so that [`lex`] reads it back. A backslash is doubled only where it would join what follows:
/// regular expressions stay as people write them.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' if matches!(characters.peek(), None | Some('"' | '\\')) => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word<'_>> {
        lex(text).into_iter().map(|token| token.word).collect()
    }

    #[test]
    fn values() {
        use Word::{End, Name, Number, Sign, Stray, Text, Unclosed};
        for (text, expected) in [
            ("", vec![End]),
            (" \r\n\t# a comment", vec![End]),
            ("a.b_1 12 1.5", vec![Name("a.b_1"), Number("12"), Number("1.5"), End]),
            (
                "5. .5 1e3 1_000 1.2.3",
                vec![Name("5."), Name(".5"), Name("1e3"), Name("1_000"), Name("1.2.3"), End],
            ),
            ("-3", vec![Sign("-"), Number("3"), End]),
            ("!=>=<= =", vec![Sign("!="), Sign(">="), Sign("<="), Sign("="), End]),
            ("! é", vec![Stray('!'), Stray('é'), End]),
            (r#""a\"b\\c\d" "#, vec![Text(r#"a"b\c\d"#.into()), End]),
            ("\"a\nb\"", vec![Text("a\nb".into()), End]),
            ("\"a\nb", vec![Unclosed, Name("b"), End]),
            (r#""\"#, vec![Unclosed, End]),
            ("\u{feff}a", vec![Name("a"), End]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn places_count_characters() {
        let places: Vec<_> =
            lex("\"é\" b\r\n  c").iter().map(|t| (t.place.line, t.place.column)).collect();
        assert_eq!(places, [(1, 1), (1, 5), (2, 3), (2, 4)]);
    }

    proptest::proptest! {
        #[test]
        fn a_quoted_text_reads_back(text: String) {
            let mut quoted = String::new();
            quote(&text, &mut quoted);
            assert_eq!(words(&quoted), [Word::Text(text), Word::End]);
        }

        #[test]
        fn backslashes_and_quotes_read_back(text in r#"[\\"nd]{0,12}"#) {
            let mut quoted = String::new();
            quote(&text, &mut quoted);
            assert_eq!(words(&quoted), [Word::Text(text), Word::End]);
        }
    }
}
