//! Quarantine: events that cannot go on, whole, with their reasons and coordinates, a JSON line each.
//!
//! The lines hold raw payloads, personal data included: they lie in a bucket of their own and are never logged.

use crate::record::{Coordinates, Position, Reason, Reject, Sequence};
use serde::{Deserialize, Serialize};

/// One line of a quarantine object. Readers count distinct coordinates: a retried batch writes its rejects again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    source: String,
    shard: String,
    sequence: String,
    sub: u64,
    line: u64,
    arrival: Option<i64>,
    rule: String,
    reason: String,
    payload: String,
}

/// The line of `reject`, with its line end.
pub fn write(reject: &Reject, out: &mut Vec<u8>) {
    let Coordinates { source, shard, position, arrival } = &reject.coordinates;
    let line = Line {
        source: source.as_ref().into(),
        shard: shard.as_ref().into(),
        sequence: position.sequence.as_str().into(),
        sub: position.sub,
        line: position.line,
        arrival: *arrival,
        rule: reject.reason.rule.clone(),
        reason: reject.reason.message.clone(),
        payload: base64_simd::STANDARD.encode_to_string(&reject.payload),
    };
    // Texts and whole numbers always serialize.
    out.extend(serde_json::to_vec(&line).unwrap_or_default());
    out.push(b'\n');
}

/// The reject of a line, with or without its line end. Errs with what is wrong.
pub fn read(line: &[u8]) -> Result<Reject, String> {
    let line: Line = serde_json::from_slice(line).map_err(|why| why.to_string())?;
    let payload = base64_simd::STANDARD
        .decode_to_vec(line.payload)
        .map_err(|_| "the payload is not base64".to_owned())?;
    Ok(Reject {
        coordinates: Coordinates {
            source: line.source.into(),
            shard: line.shard.into(),
            position: Position {
                sequence: Sequence::new(&line.sequence),
                sub: line.sub,
                line: line.line,
            },
            arrival: line.arrival,
        },
        reason: Reason { rule: line.rule, message: line.reason },
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let reject = Reject {
            coordinates: Coordinates {
                source: "events".into(),
                shard: "shardId-000000000001".into(),
                position: Position { sequence: Sequence::new("00495"), sub: 2, line: 3 },
                arrival: Some(1_767_225_600_123),
            },
            reason: Reason { rule: "decode".into(), message: "byte 3: no value".into() },
            payload: vec![0xff, b'{', b'\n'],
        };
        let mut out = Vec::new();
        write(&reject, &mut out);
        assert_eq!(out.iter().filter(|&&b| b == b'\n').count(), 1);
        assert_eq!(read(&out), Ok(reject));
        assert!(read(b"{}").is_err());
    }
}
