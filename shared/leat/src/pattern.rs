//! Regular expressions: linear in time and bounded in size, whatever the pattern.

use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A compiled pattern takes at most so many bytes.
const SIZE_LIMIT: usize = 1 << 20;
const NEST_LIMIT: u32 = 64;
/// The most bytes of a text that is compared byte by byte.
const FIXED: usize = 128;

/// A regular expression that must match a whole value, unless it was made to [`find`](Pattern::find).
///
/// The syntax is that of the crate `regex`: no look-around and no back-references, as they have no linear bound;
/// `\d`, `\w`, `\s` and `\b` are Unicode's.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// For a pattern of a fixed number of bytes: which can stand in each place.
    fixed: Option<Vec<Bytes>>,
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes([u64; 4]);

impl Bytes {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
    }

    fn contains(self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }
}

impl Pattern {
    /// Compiles `pattern`, or says what is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        // By itself first: `a)(b` would be balanced by the parentheses around it.
        compile(pattern)?;
        let regex = compile(&format!(r"\A(?:{pattern})\z"))?;
        let parsed = ParserBuilder::new().nest_limit(NEST_LIMIT).build().parse(pattern);
        let fixed = parsed.ok().and_then(|parsed| {
            let mut places = Vec::new();
            fixed(&parsed, &mut places).map(|()| places)
        });
        Ok(Pattern { regex, fixed })
    }

    /// Compiles `pattern` to match wherever in a value, or says what is wrong with it.
    pub fn find(pattern: &str) -> Result<Self, String> {
        compile(pattern).map(|regex| Pattern { regex, fixed: None })
    }

    /// Compiles a pattern of SQL's `like`: `%` is any text, `_` one character, and `\` takes what follows as it is.
    pub fn like(pattern: &str) -> Result<Self, String> {
        let (mut regex, mut rest) = (String::from("(?s)"), pattern.chars());
        while let Some(c) = rest.next() {
            let literal = match c {
                '%' => {
                    regex.push_str(".*");
                    continue;
                }
                '_' => {
                    regex.push('.');
                    continue;
                }
                '\\' => rest.next().ok_or(r"nothing follows the last \ of this pattern")?,
                c => c,
            };
            regex.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
        }
        Pattern::new(&regex)
    }

    /// Whether the whole of `text` matches, or some of it.
    pub fn matches(&self, text: &str) -> bool {
        match &self.fixed {
            Some(places) => {
                let mut pairs = places.iter().zip(text.as_bytes());
                places.len() == text.len() && pairs.all(|(place, byte)| place.contains(*byte))
            }
            None => self.regex.is_match(text),
        }
    }
}

/// Appends the places of `hir` to `places`. None if its matches differ in length, or in more than single ASCII characters.
fn fixed(hir: &Hir, places: &mut Vec<Bytes>) -> Option<()> {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => {
            for byte in &literal.0 {
                let mut place = Bytes::default();
                place.insert(*byte);
                places.push(place);
            }
        }
        HirKind::Class(class) => {
            let mut place = Bytes::default();
            let mut insert = |from: u8, to: u8| {
                (from..=to).for_each(|byte| place.insert(byte));
                to.is_ascii().then_some(())
            };
            match class {
                Class::Unicode(class) => class.iter().try_for_each(|range| {
                    let end = u8::try_from(range.end()).ok()?;
                    insert(u8::try_from(range.start()).ok()?, end)
                })?,
                Class::Bytes(class) => {
                    class.iter().try_for_each(|range| insert(range.start(), range.end()))?;
                }
            }
            places.push(place);
        }
        HirKind::Repetition(repeat) if repeat.max == Some(repeat.min) => {
            for _ in 0..repeat.min {
                fixed(&repeat.sub, places)?;
                if places.len() > FIXED {
                    return None;
                }
            }
        }
        HirKind::Capture(group) => fixed(&group.sub, places)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| fixed(part, places))?,
        HirKind::Repetition(_) | HirKind::Look(_) | HirKind::Alternation(_) => return None,
    }
    (places.len() <= FIXED).then_some(())
}

fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .nest_limit(NEST_LIMIT)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "this regular expression is too great".to_owned(),
            // Its last line says what; the lines before it repeat the pattern.
            other => {
                let text = other.to_string();
                let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("this regular expression does not compile: {what}")
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_matches() {
        for (pattern, text, matches) in [
            ("[a-z]+", "abc", true),
            ("[a-z]+", "abc1", false),
            ("a|bc", "abc", false),
            ("a|bc", "bc", true),
            ("^a$", "a", true),
            ("a", "a\n", false),
            ("", "", true),
            (r"\d{3}", "123", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn like() {
        for (pattern, text, matches) in [
            ("a%", "abc", true),
            ("a%", "xabc", false),
            ("%b_", "ab\n", true),
            ("_", "é", true),
            ("_", "", false),
            (r"100\%", "100%", true),
            (r"100\%", "1000", false),
            ("a.c", "abc", false),
            ("", "", true),
        ] {
            assert_eq!(Pattern::like(pattern).unwrap().matches(text), matches, "{pattern} {text}");
        }
        assert!(Pattern::like(r"a\").unwrap_err().contains("last"));
        let found = |pattern| Pattern::find(pattern).unwrap().matches("abc");
        assert!(found("b") && !found("^b"));
    }

    #[test]
    fn a_pattern_of_a_fixed_length_needs_no_automaton() {
        for (pattern, is_fixed) in [
            ("t-[0-9]{8}", true),
            ("(?i)ab[c-e]", true),
            ("é[xy]", true),
            ("(a)(?:b{2}){3}", true),
            ("", true),
            ("a{0}", true),
            ("[a-z]{128}", true),
            ("[a-z]{129}", false),
            ("(a{100}){100}", false),
            ("a?", false),
            ("a|b", true), // a class by another name
            ("a|bc", false),
            ("^a$", false),
            (r"\d", false), // Unicode's
            ("[^a]", false),
            ("k(?i:k)", false), // the Kelvin sign is a K too
            (".", false),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().fixed.is_some(), is_fixed, "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn either_way_is_the_same(
            pattern in "([a-cé]|[a-c]\\{[0-3]\\}|\\[[a-c]-[d-f]\\]|\\([ab]\\)|\\(\\?i:[ab]\\)){0,5}",
            text in "[a-fA-Fé]{0,8}",
        ) {
            let pattern = Pattern::new(&pattern).unwrap();
            assert!(pattern.fixed.is_some());
            assert_eq!(pattern.matches(&text), pattern.regex.is_match(&text));
        }
    }

    #[test]
    fn what_does_not_compile_says_why() {
        for (pattern, why) in [
            ("[invalid(", "unclosed character class"),
            ("a)(b", "unopened group"),
            ("(?=a)", "look-around"),
            (r"(a)\1", "backreferences are not supported"),
            ("((((a{100}){100}){100}){100})", "too great"),
            (&format!("{}a{}", "(".repeat(100), ")".repeat(100)), "nested"),
            ("(?x) # ", "does not compile"),
        ] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }
}
