//! An object of the lake, as an event or a listing names it.
//!
//! **Identity.** An object is (bucket, key, version id). Where a bucket keeps no versions it is (bucket, key, ETag): a key
//! that is written again with the same bytes is then the same landing, as its lines were read already. Notifications,
//! EventBridge and the hourly listing (ListObjectVersions) all carry both, so that an object that is found in several
//! ways is one object. The job reads the version, or asks for the ETag: what a manifest names is what is read.

use leat_lake::manifest::ManifestObject;
use sha2::{Digest, Sha256};

/// The object that an event or a listing names; none if it names neither version nor ETag, as then nobody could tell
/// whether it was seen before. A version `null` is none: the bucket kept no versions when the object was written.
pub fn object(
    bucket: &str,
    key: &str,
    version: Option<&str>,
    etag: Option<&str>,
) -> Option<ManifestObject> {
    let version = version.filter(|id| !id.is_empty() && *id != "null").map(String::from);
    let etag = etag.map(|tag| tag.trim_matches('"')).filter(|tag| !tag.is_empty());
    let object = ManifestObject {
        bucket: bucket.into(),
        key: key.into(),
        version,
        etag: etag.map(String::from),
        size: 0,
        sequencer: None,
        trusted: false,
    };
    (object.version.is_some() || object.etag.is_some()).then_some(object)
}

/// The object's identity within a data set: 128 bits of SHA-256, in hex.
pub fn identity(object: &ManifestObject) -> String {
    let ManifestObject { bucket, key, version, etag, .. } = object;
    let etag = if version.is_none() { etag.as_deref() } else { None };
    hash([bucket, key, version.as_deref().unwrap_or_default(), etag.unwrap_or_default()])
}

/// 128 bits of SHA-256 over `parts` and their lengths, in hex.
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The sequencer in the form that sorts as S3 says: hex of one length, the shorter padded with zeros on the right.
pub fn sequence(object: &ManifestObject) -> String {
    format!("{:0<64}", object.sequencer.as_deref().unwrap_or_default().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities() {
        let id = |version, etag| identity(&object("b", "k", version, etag).unwrap());
        // A version is all that counts where there is one.
        assert_eq!(id(Some("v"), Some("e")), id(Some("v"), None));
        assert_ne!(id(Some("v"), Some("e")), id(Some("w"), Some("e")));
        // Without one, the ETag does, with or without quotes.
        assert_eq!(id(None, Some("\"e\"")), id(Some("null"), Some("e")));
        assert_ne!(id(None, Some("e")), id(None, Some("f")));
        assert_ne!(id(None, Some("e")), id(Some("e"), None));
        assert_eq!(object("b", "k", Some("null"), Some("\"\"")), None);
        // Parts do not run into each other.
        assert_ne!(hash(["a", "bc"]), hash(["ab", "c"]));
    }

    #[test]
    fn sequencers_are_padded_on_the_right() {
        let of = |text: &str| {
            let object = object("b", "k", Some("v"), None).unwrap();
            sequence(&ManifestObject { sequencer: Some(text.into()), ..object })
        };
        assert!(of("0055AED6DCD90281E5") > of("0055AED6DCD90281"));
        assert!(of("0056") > of("0055AED6DCD90281E5"));
        assert_eq!(of("00"), of("0"));
    }
}
