//! Variables to settings: pure, and all that is wrong at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::Failure;

/// The environment's variables, or a test's.
pub type Vars = BTreeMap<String, String>;

/// The environment's variables. Only `main` calls this. A variable that is not UTF-8 is left out.
pub fn vars() -> Vars {
    std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect()
}

/// Reads settings from variables and collects every problem, so that one start names all of them.
///
/// An empty variable counts as absent: that is how a template leaves one out. A setting with a problem reads as its
/// type's default; [`Reader::finish`] then fails, so that nobody uses it.
pub struct Reader<'a> {
    vars: &'a Vars,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of `vars`.
    pub fn new(vars: &'a Vars) -> Self {
        Reader { vars, problems: Vec::new() }
    }

    /// The variables that it reads.
    pub const fn vars(&self) -> &'a Vars {
        self.vars
    }

    /// The text of a variable that may be absent.
    pub fn optional(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name).map(String::as_str).map(str::trim).filter(|v| !v.is_empty())
    }

    /// The text of a variable that must be there; `what` it holds is said if it is not.
    pub fn text(&mut self, name: &str, what: &str) -> String {
        match self.optional(name) {
            Some(text) => text.into(),
            None => {
                self.problem(format!("{name} is missing: set it to {what}"));
                String::new()
            }
        }
    }

    /// A setting that must be there. `None` only if there is a problem.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str, what: &str) -> Option<T> {
        match self.optional(name) {
            Some(text) => self.parse(name, text),
            None => {
                self.problem(format!("{name} is missing: set it to {what}"));
                None
            }
        }
    }

    /// A setting that may be absent.
    pub fn maybe<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.optional(name).and_then(|text| self.parse(name, text))
    }

    /// A setting that has a default.
    pub fn or<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> T {
        self.maybe(name).unwrap_or(default)
    }

    /// A whole number within bounds that has a default.
    pub fn number(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let number = self.or(name, default);
        if !(least..=most).contains(&number) {
            self.problem(format!("{name} is {number}: it must be between {least} and {most}"));
        }
        number
    }

    /// A list with commas; at least one entry, or `default` if the variable is absent.
    pub fn list<T: FromStr<Err: Display>>(&mut self, name: &str, default: &str) -> Vec<T> {
        let text = self.optional(name).unwrap_or(default);
        text.split(',').filter_map(|part| self.parse(name, part.trim())).collect()
    }

    /// Notes a problem that the caller found.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, name: &str, text: &str) -> Option<T> {
        text.parse().map_err(|why: T::Err| self.problem(format!("{name}: {why}"))).ok()
    }

    /// Fails with all problems, if there is one.
    pub fn finish(self) -> Result<(), Failure> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Failure::Config(format!("the configuration is wrong: {}", self.problems.join("; "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Vars {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn all_problems_at_once() {
        let vars = given(&[("AGE", "0"), ("LANES", "many"), ("BLANK", "  ")]);
        let mut reader = Reader::new(&vars);
        reader.text("RECIPE", "a URL");
        reader.text("BLANK", "a URL");
        reader.number("AGE", 21_600, 60, 604_800);
        reader.number("LANES", 1, 1, 10);
        let message = reader.finish().unwrap_err().to_string();
        for part in [
            "RECIPE is missing: set it to a URL",
            "BLANK is missing",
            "AGE is 0",
            "LANES: invalid digit",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }

    #[test]
    fn good_ones() {
        let vars = given(&[("LANES", "2"), ("SINKS", "1, 2")]);
        let mut reader = Reader::new(&vars);
        assert_eq!(reader.number("LANES", 1, 1, 10), 2);
        assert_eq!(reader.number("AGE", 21_600, 60, 604_800), 21_600);
        assert_eq!(reader.list::<u8>("SINKS", "7"), [1, 2]);
        assert_eq!(reader.list::<u8>("OTHER", "7"), [7]);
        assert_eq!(reader.finish(), Ok(()));
    }
}
