//! Records that the Kinesis Producer Library packed into one: magic, protobuf message, MD5 of the message.
//!
//! Source: the aggregation format of awslabs/amazon-kinesis-producer. What does not keep to it byte for byte is a plain
//! record, passed on whole, as the client library does.

use md5::{Digest, Md5};
use prost::Message;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST: usize = 16;

// proto2. Tags are skipped like unknown fields. Table entries are bytes: the client library does not check that they are
// UTF-8. `required` fields are options here, since only so is an absent one told from a default.
#[derive(Clone, PartialEq, Message)]
struct Aggregated {
    #[prost(bytes = "vec", repeated, tag = "1")]
    partition_keys: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    explicit_hash_keys: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    #[prost(uint64, optional, tag = "1")]
    partition_key_index: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

/// The data of the user records in order; the first whose table index is out of range is an error, and the last.
/// None: `data` is a plain record.
pub(super) fn user_records(data: &[u8]) -> Option<Vec<Result<Vec<u8>, &'static str>>> {
    let body = data.strip_prefix(&MAGIC)?;
    let (message, digest) = body.split_at_checked(body.len().checked_sub(DIGEST)?)?;
    if message.is_empty() || Md5::digest(message)[..] != *digest {
        return None;
    }
    let Aggregated { partition_keys, explicit_hash_keys, records } =
        Aggregated::decode(message).ok()?;
    if records.iter().any(|r| r.partition_key_index.is_none() || r.data.is_none()) {
        return None;
    }
    let within = |index: Option<u64>, table: &[Vec<u8>]| {
        index.is_none_or(|index| usize::try_from(index).is_ok_and(|index| index < table.len()))
    };
    let mut out = Vec::with_capacity(records.len());
    for record in records {
        if !within(record.partition_key_index, &partition_keys) {
            out.push(Err("a partition key"));
            break;
        }
        if !within(record.explicit_hash_key_index, &explicit_hash_keys) {
            out.push(Err("an explicit hash key"));
            break;
        }
        out.push(Ok(record.data.unwrap_or_default()));
    }
    Some(out)
}
