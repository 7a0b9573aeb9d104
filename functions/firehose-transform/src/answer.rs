//! The answer to Firehose: each record once, and never more bytes than Lambda lets through.

use serde::Serialize;

/// The response of a function has at most so many bytes; some are left for what the runtime adds.
const MAX_BYTES: usize = 6 * 1024 * 1024 - 16 * 1024;

/// The answer to Firehose.
#[derive(Debug, Serialize)]
pub struct Answer {
    records: Vec<Answered>,
    #[serde(skip)]
    bytes: usize,
}

/// What became of a record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    record_id: String,
    result: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

/// The word that Firehose reads; case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Word {
    /// It is delivered.
    Ok,
    /// There is nothing to deliver.
    Dropped,
    /// It goes under the error prefix, as it came.
    ProcessingFailed,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    partition_keys: PartitionKeys,
}

/// The parts of the prefix that a record is delivered under.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionKeys {
    /// The day of arrival.
    pub date: String,
    /// `rejected` if every line failed a rule, else `good`.
    pub quality: &'static str,
}

impl Answer {
    /// An empty answer to a request of records with these ids. Room is kept for a short answer to each of them.
    pub fn new<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        Answer {
            records: Vec::new(),
            bytes: ids.map(short).sum::<usize>() + r#"{"records":[]}"#.len(),
        }
    }

    /// Answers a record without data.
    pub fn short(&mut self, id: String, result: Word) {
        self.records.push(Answered { record_id: id, result, data: None, metadata: None });
    }

    /// True if lines of so many bytes can still be answered.
    pub fn has_room(&self, lines: usize) -> bool {
        self.bytes + long(lines) <= MAX_BYTES
    }

    /// Answers a record with its lines. Ask [`Answer::has_room`] before.
    pub fn landed(&mut self, id: String, lines: &[u8], partition_keys: PartitionKeys) {
        self.bytes += long(lines.len());
        self.records.push(Answered {
            record_id: id,
            result: Word::Ok,
            data: Some(base64_simd::STANDARD.encode_to_string(lines)),
            metadata: Some(Metadata { partition_keys }),
        });
    }
}

/// The bytes of a record without data, at most: its id may be escaped.
fn short(id: &str) -> usize {
    r#"{"recordId":"","result":"ProcessingFailed"},"#.len()
        + id.bytes()
            .map(|b| if b.is_ascii_alphanumeric() || b == b'-' { 1 } else { 6 })
            .sum::<usize>()
}

/// What lines of so many bytes add to that.
fn long(lines: usize) -> usize {
    r#","data":"","metadata":{"partitionKeys":{"date":"2026-01-01","quality":"rejected"}}"#.len()
        + base64_simd::STANDARD.encoded_length(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_never_below_the_bytes() {
        let ids = ["49546986683135544286507457936321625675700192471156785154", "a\"\n", ""];
        let mut answer = Answer::new(ids.into_iter());
        assert!(answer.has_room(1000));
        let keys = PartitionKeys { date: "2026-01-01".into(), quality: "rejected" };
        answer.landed(ids[0].into(), &[b'x'; 1000], keys);
        answer.short(ids[1].into(), Word::ProcessingFailed);
        answer.short(ids[2].into(), Word::Dropped);
        let json = serde_json::to_string(&answer).unwrap();
        assert!(
            json.len() <= answer.bytes && answer.bytes < json.len() + 100,
            "{} {}",
            json.len(),
            answer.bytes
        );
        assert!(json.starts_with(r#"{"records":[{"recordId":"4954"#), "{json}");
        assert!(json.contains(
            r#""metadata":{"partitionKeys":{"date":"2026-01-01","quality":"rejected"}}"#
        ));
        assert!(!answer.has_room(5_000_000));
    }
}
