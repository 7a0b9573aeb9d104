//! The files that file rules speak of. The engine reads none: who can list and hash them gives what [`wanted`] asks for.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::singles;
use super::tree::{Ruleset, Single};

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Its path or URL.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written, in milliseconds since 1970 UTC, if that is known.
    pub modified: Option<i64>,
    /// Its hashes, in lower-case hex, as far as they were wanted.
    pub hashes: BTreeMap<HashAlgorithm, String>,
}

/// How a file is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256, if a rule does not say otherwise.
    Sha256,
}

impl HashAlgorithm {
    /// All, with DQDL's words.
    pub const ALL: [(&'static str, HashAlgorithm); 3] = [
        ("MD5", HashAlgorithm::Md5),
        ("SHA-1", HashAlgorithm::Sha1),
        ("SHA-256", HashAlgorithm::Sha256),
    ];

    /// That of a rule; none if its tag names none that is known.
    pub fn of(single: &Single) -> Option<HashAlgorithm> {
        match single.tags.iter().find(|(tag, _)| tag == "hashAlgorithm") {
            None => Some(HashAlgorithm::Sha256),
            Some((_, word)) => {
                HashAlgorithm::ALL.iter().find(|(name, _)| name == word).map(|(_, found)| *found)
            }
        }
    }
}

/// The files by the path that rules name; under [`DATA`] those that the data was read from.
pub type Listings = BTreeMap<String, Vec<File>>;

/// The path of rules that name none: the files of the data itself.
pub const DATA: &str = "";

/// The paths that the rules of `ruleset` name, and how their files are to be hashed.
pub fn wanted(ruleset: &Ruleset) -> BTreeMap<String, BTreeSet<HashAlgorithm>> {
    let mut wanted: BTreeMap<String, BTreeSet<HashAlgorithm>> = BTreeMap::new();
    for single in singles(ruleset) {
        let hash = match single.kind.name {
            "FileMatch" => HashAlgorithm::of(single),
            "FileUniqueness" => Some(HashAlgorithm::Sha256),
            "FileFreshness" | "FileSize" => None,
            _ => continue,
        };
        let mut paths: Vec<&str> = single.parameters.iter().map(|p| ruleset.text(p)).collect();
        if paths.is_empty() {
            paths.push(DATA);
        }
        for path in paths {
            wanted.entry(path.to_owned()).or_default().extend(hash);
        }
    }
    wanted
}
