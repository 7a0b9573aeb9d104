//! `hash_encode`: a bucket for each label, by a hash: nothing is learnt, and no label is ever unseen.
//!
//! - Takes: a column of text, whole numbers or booleans. Missing is null, and text that is blank.
//! - Gives: a column of whole numbers from 0 to `buckets` − 1.
//! - Hash: MurmurHash3 (x86, 32 bits) of a text's bytes in UTF-8, of the eight bytes of a whole number, least significant
//!   first, or of the one byte 0 or 1 of a boolean. In dialect `sklearn` the seed is 0 and the bucket the hash's size as
//!   a signed number, modulo the buckets; in `spark` the seed is 42 and the bucket the signed hash, never negative
//!   modulo. `seed` can be written.
//! - Edges: with `missing: keep` a missing value has bucket 0 for itself, and labels have 1 to `buckets` − 1: the hash
//!   modulo `buckets` − 1, and 1. With `missing: missing` it gives null, and labels have all buckets.
//! - State: none.
//! - Errors: none.
//! - Source: scikit-learn `FeatureHasher`, Spark `HashingTF`, of which this is the index. Departs: there is no sign, which
//!   an index does not have; a whole number is hashed as its bytes, not as its text.

use crate::column::{Column, Type};
use crate::features::columnwise::Key;
use crate::features::manual::manual;
use crate::features::murmur3::Buckets;
use crate::features::operator::{Apply, Local, local_outputs};
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "hash_encode",
    summary: "A bucket for each label, by a hash.",
    manual: manual!("hash_encode.rs"),
    version: 1,
    fitted: false,
    supervised: false,
    takes: &[Type::String, Type::Long, Type::Bool],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "buckets",
            kind: ParameterKind::Integer { min: 2, max: i32::MAX as i64 },
            default: "",
            required: true,
            help: "How many buckets there are.",
        },
        Parameter {
            name: "seed",
            kind: ParameterKind::Integer { min: 0, max: u32::MAX as i64 },
            default: "",
            required: false,
            help: "The seed of the hash. By default 0 in dialect sklearn, 42 in spark.",
        },
        Parameter {
            name: "missing",
            kind: ParameterKind::Word(&["keep", "missing"]),
            default: "\"keep\"",
            required: false,
            help: "What a missing value gives: `keep` bucket 0, which no label has then, `missing` null.",
        },
    ],
    outputs: local_outputs::<HashEncode>,
};

/// The parameters; ready to run.
#[derive(Debug)]
pub struct HashEncode {
    buckets: Buckets,
    missing: Option<i64>,
}

impl Local for HashEncode {
    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let keep = setting.text("missing").as_deref() != Some("missing");
        let count = setting.whole("buckets").unwrap_or(2) - u64::from(keep);
        let buckets = Buckets::new(setting.dialect, setting.whole("seed"), count);
        Ok(HashEncode { buckets, missing: keep.then_some(0) })
    }
}

impl Apply for HashEncode {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(Type::Long)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        let first = i64::from(self.missing.is_some());
        let bucket = |row| match Key::at(column, row) {
            Some(key) => {
                let mut hash = self.buckets.hasher();
                hash.add(key.bytes());
                Some(first + i64::from(self.buckets.bucket(hash.finish()).0))
            }
            None => self.missing,
        };
        vec![Column::longs((0..column.len()).map(bucket))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::apply;

    #[track_caller]
    fn check(parameters: &str, column: &Column, expected: &[Option<i64>]) {
        let columns = apply(&SPEC, parameters, column).unwrap();
        let expected = Column::longs(expected.iter().copied());
        assert_eq!(columns, [("x".to_owned(), expected)], "{parameters}");
    }

    #[test]
    fn buckets() {
        let texts = Column::strings([Some("cat"), Some("dog"), None, Some(" ")]);
        // scikit-learn has cat in 7 and dog in 5 of 16.
        check(r#"{"buckets":17}"#, &texts, &[Some(8), Some(6), Some(0), Some(0)]);
        let all = r#"{"buckets":16,"missing":"missing"}"#;
        check(all, &texts, &[Some(7), Some(5), None, None]);
        check(r#"{"buckets":2}"#, &texts, &[Some(1), Some(1), Some(0), Some(0)]);
    }

    #[test]
    fn numbers_are_hashed_as_bytes() {
        let longs = Column::longs([Some(0x7461_6300_0000_0000), Some(7), None]);
        let bytes = longs.get(0);
        assert_eq!(bytes, crate::column::Value::Long(i64::from_le_bytes(*b"\0\0\0\0\0cat")));
        let text = Column::strings([Some("\0\0\0\0\0cat")]);
        let all = r#"{"buckets":1000003,"missing":"missing"}"#;
        let of = |column: &Column| apply(&SPEC, all, column).unwrap()[0].1.number(0);
        assert_eq!(of(&longs), of(&text));
    }
}
