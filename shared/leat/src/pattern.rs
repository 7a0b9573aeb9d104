//! Regular expressions: linear in time and bounded in size, whatever the pattern.

use regex::{Regex, RegexBuilder};

/// A compiled pattern takes at most so many bytes.
const SIZE_LIMIT: usize = 1 << 20;
const NEST_LIMIT: u32 = 64;

/// A regular expression that must match a whole value, unless it was made to [`find`](Pattern::find).
///
/// The syntax is that of the crate `regex`: no look-around and no back-references, as they have no linear bound;
/// `\d`, `\w`, `\s` and `\b` are Unicode's.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles `pattern`, or says what is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        // By itself first: `a)(b` would be balanced by the parentheses around it.
        compile(pattern)?;
        compile(&format!(r"\A(?:{pattern})\z")).map(Pattern)
    }

    /// Compiles `pattern` to match wherever in a value, or says what is wrong with it.
    pub fn find(pattern: &str) -> Result<Self, String> {
        compile(pattern).map(Pattern)
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
        self.0.is_match(text)
    }
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
