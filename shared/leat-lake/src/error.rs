//! What can go wrong with an object, in words: which one, why, and whether to try again.

use object_store::Error as StoreError;

/// Why an object could not be read, written or understood. It names the object and holds nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LakeError {
    /// The URL is of no form that a lake knows.
    #[error("`{url}` is no place: {why}; give s3://bucket/prefix/, file:path or memory:name/")]
    Url {
        /// The URL.
        url: String,
        /// Why.
        why: String,
    },
    /// There is no such object.
    #[error("{url} does not exist")]
    Missing {
        /// The object.
        url: String,
    },
    /// The caller may not do this.
    #[error("{url}: access is denied; check the role's policy and the key's: {why}")]
    Denied {
        /// The object.
        url: String,
        /// What the store said.
        why: String,
    },
    /// The store is busy, slow or away: the same call may succeed later.
    #[error("{url}: {why}")]
    Busy {
        /// The object.
        url: String,
        /// What the store said.
        why: String,
    },
    /// The object is there and is not what it should be.
    #[error("{url} cannot be read: {why}")]
    Damaged {
        /// The object.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

impl LakeError {
    /// True if the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, LakeError::Busy { .. })
    }

    pub(crate) fn from_store(url: String, error: StoreError) -> Self {
        let why = || {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                let inner_text = inner.to_string();
                if !text.contains(&inner_text) {
                    text.push_str(": ");
                    text.push_str(&inner_text);
                }
                source = inner.source();
            }
            text
        };
        match &error {
            StoreError::NotFound { .. } => LakeError::Missing { url },
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
                LakeError::Denied { url, why: why() }
            }
            StoreError::InvalidPath { .. } => LakeError::Url { url, why: why() },
            _ => LakeError::Busy { url, why: why() },
        }
    }
}
