//! The place for what cannot go on: quarantined events and undelivered rows, in objects of JSON lines.

use std::str::FromStr;

use crate::{Folder, Lake, LakeError};

/// Takes objects of JSON lines.
#[expect(async_fn_in_trait, reason = "a function works on one invocation, on one thread")]
pub trait Aside {
    /// Writes `lines` as the object `key`, over what was there: a repeated invocation writes the same.
    async fn put(&self, key: &str, lines: Vec<u8>) -> Result<(), LakeError>;
}

/// Where objects are put aside: a folder of the lake, or `log:`.
#[derive(Clone, Debug)]
pub enum Asides {
    /// A folder. It can hold personal data: it has a bucket of its own.
    Folder(Folder),
    /// The log, without the lines' content: for trials alone, as the events themselves are lost.
    Log,
}

impl Asides {
    /// The place at `url`.
    pub fn open(url: &AsideUrl, lake: &Lake) -> Result<Self, LakeError> {
        match url.0.as_str() {
            "log:" => Ok(Asides::Log),
            url => lake.folder(url).map(Asides::Folder),
        }
    }
}

impl Aside for Asides {
    async fn put(&self, key: &str, lines: Vec<u8>) -> Result<(), LakeError> {
        match self {
            Asides::Folder(folder) => folder.put(key, lines).await,
            Asides::Log => {
                let count = lines.iter().filter(|&&b| b == b'\n').count();
                tracing::warn!(key, lines = count, "put aside to `log:`: the content is not kept");
                Ok(())
            }
        }
    }
}

/// The URL of such a place: `s3://bucket/prefix/`, `file:<directory>`, `memory:` or `log:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsideUrl(String);

impl FromStr for AsideUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known =
            ["s3://", "file:", "memory:"].iter().any(|s| text.starts_with(s)) || text == "log:";
        if known {
            return Ok(AsideUrl(text.into()));
        }
        Err(format!(
            "`{text}` is no place for what cannot go on: give `s3://bucket/prefix/`, `file:<directory>`, `memory:` or `log:`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places() {
        let lake = Lake::new(&Default::default());
        let aside = Asides::open(&"memory:q/".parse().unwrap(), &lake).unwrap();
        aside.put("quarantine/r/date=2026-01-01/s-1.jsonl", b"{}\n".into()).await.unwrap();
        let kept = lake.read("memory:q/quarantine/r/date=2026-01-01/s-1.jsonl").await.unwrap();
        assert_eq!(kept, b"{}\n".as_slice());
        Asides::open(&"log:".parse().unwrap(), &lake).unwrap().put("k", vec![]).await.unwrap();
        assert!("kinesis:x".parse::<AsideUrl>().is_err());
    }
}
