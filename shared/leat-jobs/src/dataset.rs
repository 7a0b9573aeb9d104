//! `LEAT_DATASETS`: which objects belong to which data set, and what starts when they land.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The arguments that the starter sets itself.
pub const OWN_ARGUMENTS: [&str; 3] = ["--leat-manifest", "--leat-claim", "--leat-cleansed"];
/// The most characters of a data set's name: with manifest and run it names an execution, of 80 at most.
const NAME_MAX: usize = 32;

/// A data set: where its objects land and what reads them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Lower-case letters, digits and `-`; it names folders and ledger rows.
    pub name: String,
    /// The bucket that objects land in: its name, or for a local folder its URL, such as `file:/tmp/lake`.
    pub bucket: String,
    /// Where in the bucket.
    pub prefixes: Vec<Prefix>,
    /// Only keys that end so.
    #[serde(default)]
    pub suffix: Option<String>,
    /// Only keys whose part after the prefix matches: `*` and `?` stay within a folder, `**` does not.
    #[serde(default)]
    pub glob: Option<String>,
    /// What reads the objects.
    pub start: Start,
    /// The URL of the data set's folder in the cleansed zone: there, `_published/<manifest id>.json` says what became of a
    /// manifest.
    cleansed: String,
}

/// A place where objects of a data set land.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefix {
    /// Ends in `/`.
    pub prefix: String,
    /// True where Firehose alone may write: there `_leat` in a line is believed.
    #[serde(default)]
    pub trusted: bool,
}

/// What a data set starts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// A Glue job.
    Glue {
        /// Its name.
        job: String,
        /// Its arguments; the starter adds [`OWN_ARGUMENTS`].
        #[serde(default)]
        arguments: BTreeMap<String, String>,
    },
    /// A Step Functions state machine, by ARN. Its input has the members `manifest`, `claim`, `cleansed` and `dataset`.
    StateMachine(String),
}

impl Start {
    /// The Glue job of this name.
    pub fn job(name: impl Into<String>) -> Self {
        Start::Glue { job: name.into(), arguments: BTreeMap::new() }
    }

    /// True if both start the same job, or the same state machine.
    pub fn same_target(&self, other: &Start) -> bool {
        match (self, other) {
            (Start::Glue { job, .. }, Start::Glue { job: other, .. }) => job == other,
            (Start::StateMachine(arn), Start::StateMachine(other)) => arn == other,
            _ => false,
        }
    }
}

/// Why an object is not landed, though it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// No data set takes this bucket and key.
    Unrouted,
    /// The key ends in `/` and the object is empty: a folder, as consoles make them.
    DirectoryMarker,
    /// A folder or the name below the prefix starts with `_` or `.`: `_temporary/`, `_SUCCESS`, `.part.crc`.
    Hidden,
}

impl Skip {
    /// The rule's word in logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Skip::Unrouted => "unrouted",
            Skip::DirectoryMarker => "directory_marker",
            Skip::Hidden => "hidden",
        }
    }
}

/// All data sets of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datasets(Vec<Dataset>);

impl Datasets {
    /// Reads `LEAT_DATASETS`. All that is wrong is told at once.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let sets: Vec<Dataset> = serde_json::from_str(text).map_err(|why| {
            vec![format!(
                "LEAT_DATASETS is no list of data sets: {why}; see the README of s3-glue-trigger"
            )]
        })?;
        let mut wrong = Vec::new();
        let mut names = BTreeSet::new();
        for set in &sets {
            set.check(&mut wrong);
            if !names.insert(&set.name) {
                wrong.push(format!("LEAT_DATASETS: two data sets are named `{}`", set.name));
            }
            for other in &sets {
                for (prefix, output) in set.overlaps(other) {
                    wrong.push(format!(
                        "LEAT_DATASETS: prefix `{prefix}` of `{}` and the output `{output}` of `{}` lie within each other, which would start jobs without end; move one",
                        set.name, other.name
                    ));
                }
            }
        }
        if sets.is_empty() {
            wrong.push("LEAT_DATASETS names no data set".into());
        }
        if wrong.is_empty() { Ok(Datasets(sets)) } else { Err(wrong) }
    }

    /// The data sets, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Dataset> {
        self.0.iter()
    }

    /// The data set named `name`.
    pub fn get(&self, name: &str) -> Option<&Dataset> {
        self.0.iter().find(|set| set.name == name)
    }

    /// The data set that takes the object, the first in the order of the configuration, and whether its lines may be
    /// believed; else why no one takes it.
    pub fn route(&self, bucket: &str, key: &str, size: u64) -> Result<(&Dataset, bool), Skip> {
        let mut why = Skip::Unrouted;
        for set in self.0.iter().filter(|set| set.bucket == bucket) {
            match set.takes(key, size) {
                Ok(trusted) => return Ok((set, trusted)),
                Err(skip) => why = why.max(skip),
            }
        }
        Err(why)
    }
}

impl Dataset {
    /// Whether the object is one of this data set, and, if so, whether its prefix is trusted.
    pub fn takes(&self, key: &str, size: u64) -> Result<bool, Skip> {
        let prefix = self.prefixes.iter().filter(|p| key.starts_with(&p.prefix));
        let prefix = prefix.max_by_key(|p| p.prefix.len()).ok_or(Skip::Unrouted)?;
        let below = &key[prefix.prefix.len()..];
        if key.ends_with('/') && size == 0 || below.is_empty() {
            return Err(Skip::DirectoryMarker);
        }
        if below.split('/').any(|part| part.starts_with(['_', '.'])) {
            return Err(Skip::Hidden);
        }
        let suffix = self.suffix.as_ref().is_none_or(|suffix| key.ends_with(suffix));
        let glob = self.glob.as_ref().is_none_or(|glob| matches(glob, below));
        if suffix && glob { Ok(prefix.trusted) } else { Err(Skip::Unrouted) }
    }

    /// The URL of the data set's folder in the cleansed zone, without a `/` at its end.
    pub fn cleansed(&self) -> &str {
        self.cleansed.trim_end_matches('/')
    }

    /// The URL of the bucket, without a `/` at its end.
    pub fn bucket_url(&self) -> String {
        let url = if self.bucket.contains(':') { "" } else { "s3://" };
        format!("{url}{}", self.bucket.trim_end_matches('/'))
    }

    fn check(&self, wrong: &mut Vec<String>) {
        let mut say = |what: String| wrong.push(format!("LEAT_DATASETS, `{}`: {what}", self.name));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.chars().all(plain) {
            say(format!("a name has 1 to {NAME_MAX} of a-z, 0-9 and `-`"));
        }
        if self.bucket.is_empty() {
            say("`bucket` is empty".into());
        }
        if self.prefixes.is_empty() {
            say("`prefixes` is empty".into());
        }
        for Prefix { prefix, .. } in &self.prefixes {
            if prefix.starts_with('/') || !prefix.ends_with('/') {
                say(format!("prefix `{prefix}` must end in `/` and not begin with it"));
            }
        }
        if self.cleansed().is_empty() {
            say("`cleansed` is empty".into());
        }
        match &self.start {
            Start::Glue { job, arguments } => {
                if job.is_empty() || job.len() > 255 {
                    say("`start.glue.job` has 1 to 255 characters".into());
                }
                for name in arguments.keys() {
                    if !name.starts_with("--") {
                        say(format!("argument `{name}` must begin with `--`"));
                    }
                    if OWN_ARGUMENTS.contains(&name.as_str()) {
                        say(format!("argument `{name}` is set by the starter; take it out"));
                    }
                }
            }
            Start::StateMachine(arn) => {
                let parts: Vec<_> = arn.split(':').collect();
                if parts.len() != 7 || parts[2] != "states" || parts[5] != "stateMachine" {
                    say(format!("`start.state_machine` is no state machine's ARN: `{arn}`"));
                }
            }
        }
    }

    /// Prefixes of this data set and outputs of `other` of which one lies within the other.
    fn overlaps<'a>(&'a self, other: &'a Dataset) -> Vec<(&'a str, &'a str)> {
        let output = format!("{}/", other.cleansed());
        let Some(path) = output.strip_prefix(&format!("{}/", self.bucket_url())) else {
            return Vec::new();
        };
        let within = |p: &&Prefix| p.prefix.starts_with(path) || path.starts_with(&p.prefix);
        let hits = self.prefixes.iter().filter(within);
        hits.map(|p| (p.prefix.as_str(), other.cleansed())).collect()
    }
}

/// True if `glob` matches the whole of `text`: `?` is one character and `*` any number of them, but for `/`; `**` is
/// any number of any characters. Time is the product of the two lengths at most.
fn matches(glob: &str, text: &str) -> bool {
    // `at[i]`: what of the glob was read so far matches the first `i` characters of the text.
    let text: Vec<char> = text.chars().collect();
    let mut at = vec![false; text.len() + 1];
    at[0] = true;
    let mut glob = glob.chars().peekable();
    while let Some(c) = glob.next() {
        if c == '*' {
            let any = glob.next_if_eq(&'*').is_some();
            for i in 0..text.len() {
                at[i + 1] |= at[i] && (any || text[i] != '/');
            }
        } else {
            for i in (0..text.len()).rev() {
                at[i + 1] = at[i] && (c == text[i] || c == '?' && text[i] != '/');
            }
            at[0] = false;
        }
    }
    at[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: &str = r#"[
        {"name": "cards", "bucket": "lake", "suffix": ".jsonl", "prefixes": [
            {"prefix": "landing/stream/cards/", "trusted": true}, {"prefix": "landing/files/cards/"}],
         "cleansed": "s3://lake/cleansed/cards/", "start": {"glue": {"job": "cleanse", "arguments": {"--x": "y"}}}},
        {"name": "labels", "bucket": "lake", "glob": "**/label-?.csv", "cleansed": "file:/tmp/out",
         "prefixes": [{"prefix": "landing/files/"}],
         "start": {"state_machine": "arn:aws:states:eu-west-1:1:stateMachine:m"}}]"#;

    #[test]
    fn routes() {
        let sets = Datasets::parse(SETS).unwrap();
        for (key, size, want) in [
            ("landing/stream/cards/date=1/a.jsonl", 1, Ok(("cards", true))),
            ("landing/files/cards/a.jsonl", 1, Ok(("cards", false))),
            ("landing/files/cards/x/label-1.csv", 1, Ok(("labels", false))),
            ("landing/files/cards/x/label-12.csv", 1, Err(Skip::Unrouted)),
            ("landing/files/cardsx/a.jsonl", 1, Err(Skip::Unrouted)),
            ("xlanding/stream/cards/a.jsonl", 1, Err(Skip::Unrouted)),
            ("landing/stream/cards/date=1/", 0, Err(Skip::DirectoryMarker)),
            ("landing/stream/cards/", 0, Err(Skip::DirectoryMarker)),
            ("landing/stream/cards/_temporary/0/a.jsonl", 1, Err(Skip::Hidden)),
            ("landing/stream/cards/_SUCCESS", 0, Err(Skip::Hidden)),
            ("landing/stream/cards/.a.jsonl", 1, Err(Skip::Hidden)),
            ("landing/stream/cards/../../cleansed/a.jsonl", 1, Err(Skip::Hidden)),
            ("cleansed/cards/date=1/a.jsonl", 1, Err(Skip::Unrouted)),
            ("landing/stream/cards/%2F+é.jsonl", 1, Ok(("cards", true))),
        ] {
            let got = sets.route("lake", key, size);
            assert_eq!(got.map(|(set, trusted)| (set.name.as_str(), trusted)), want, "{key}");
        }
        assert_eq!(sets.route("other", "landing/files/a.jsonl", 1), Err(Skip::Unrouted));
    }

    #[test]
    fn globs() {
        for (glob, text, want) in [
            ("*", "a.csv", true),
            ("*", "a/b.csv", false),
            ("**", "a/b.csv", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("*.csv", ".csv", true),
            ("**/x", "a/b/x", true),
            ("", "", true),
            ("", "a", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(glob, text), want, "{glob} {text}");
        }
        let (glob, text) = ("*a".repeat(100), "a".repeat(1000) + "b");
        assert!(!matches(&glob, &text)); // no exponential time
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let text = r#"[
            {"name": "A", "bucket": "", "prefixes": [{"prefix": "x"}], "cleansed": "",
             "start": {"glue": {"job": ""}}},
            {"name": "b", "bucket": "lake", "prefixes": [], "cleansed": "file:/o",
             "start": {"glue": {"job": "j", "arguments": {"--leat-claim": "1", "x": "y"}}}},
            {"name": "b", "bucket": "lake", "prefixes": [{"prefix": "cleansed/b/in/"}], "cleansed": "s3://lake/cleansed/",
             "start": {"state_machine": "m"}}]"#;
        let wrong = Datasets::parse(text).unwrap_err().join("\n");
        for part in [
            "`A`: a name has",
            "`bucket` is empty",
            "prefix `x` must end",
            "`A`: `cleansed` is empty",
            "1 to 255",
            "`b`: `prefixes` is empty",
            "`--leat-claim` is set by the starter",
            "`x` must begin with `--`",
            "two data sets are named `b`",
            "no state machine's ARN",
            "lie within each other",
        ] {
            assert!(wrong.contains(part), "{part} not in:\n{wrong}");
        }
        assert!(Datasets::parse("{}").unwrap_err()[0].contains("no list of data sets"));
        assert!(Datasets::parse("[]").unwrap_err()[0].contains("names no data set"));
    }
}
