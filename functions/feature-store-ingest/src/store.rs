//! Where records go.

mod local;
mod sagemaker;

use std::path::PathBuf;
use std::str::FromStr;

use leat_aws::{Aws, Failure};
pub use local::FileStore;
#[cfg(test)]
pub use local::MemoryStore;
pub use sagemaker::SageMakerStore;

use crate::records::Record;

/// Which stores take a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The online store, which keeps the record of the greatest event time, and the offline one, which keeps all.
    Both,
    /// The offline store alone.
    Offline,
}

impl Target {
    /// The service's words.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Target::Both => &["OnlineStore", "OfflineStore"],
            Target::Offline => &["OfflineStore"],
        }
    }
}

/// Why a record was not taken. The words hold nothing of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It may be taken later.
    Busy(String),
    /// This record never is.
    Record(String),
    /// None is: a person must change something.
    All(Failure),
}

/// Where records go.
pub trait FeatureStore {
    /// Puts a record. Putting it again does no harm.
    async fn put(&self, record: &Record, target: Target) -> Result<(), Refusal>;
}

/// `LEAT_FEATURE_GROUP`: `sagemaker:<name>`, `file:<folder>` or `log:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupUrl {
    /// A feature group of SageMaker.
    SageMaker(String),
    /// A folder.
    File(PathBuf),
    /// Nowhere: the answer counts them.
    Log,
}

impl FromStr for GroupUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("sagemaker", name)) if !name.is_empty() => Ok(GroupUrl::SageMaker(name.into())),
            Some(("file", path)) if !path.is_empty() => {
                Ok(GroupUrl::File(path.strip_prefix("//").unwrap_or(path).into()))
            }
            Some(("log", "")) => Ok(GroupUrl::Log),
            _ => Err(format!("`{url}` is none of sagemaker:<feature group>, file:<folder>, log:")),
        }
    }
}

/// The store that the settings name.
#[derive(Debug)]
pub enum AnyStore {
    /// `sagemaker:`
    SageMaker(SageMakerStore),
    /// `file:`
    File(FileStore),
    /// `log:`
    Log,
}

impl AnyStore {
    /// The store at `url`.
    pub async fn open(url: &GroupUrl, aws: &Aws) -> Self {
        match url {
            GroupUrl::SageMaker(group) => {
                AnyStore::SageMaker(SageMakerStore::new(aws.config().await, group))
            }
            GroupUrl::File(folder) => AnyStore::File(FileStore::new(folder)),
            GroupUrl::Log => AnyStore::Log,
        }
    }
}

impl FeatureStore for AnyStore {
    async fn put(&self, record: &Record, target: Target) -> Result<(), Refusal> {
        match self {
            AnyStore::SageMaker(store) => Box::pin(store.put(record, target)).await,
            AnyStore::File(store) => store.put(record, target).await,
            AnyStore::Log => Ok(()),
        }
    }
}
