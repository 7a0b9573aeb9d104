//! One record to what becomes of it: pure.

use leat::decode::RawRecord;
use leat::encode::landed;
use leat::engine::{Engine, fails};
use leat::protect::{Keys, MissingKeys};
use leat::record::{Coordinates, Reject};
use leat::timestamp;

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Transformed {
    /// It has lines to land.
    Landed {
        /// The lines, each with its line end.
        lines: Vec<u8>,
        /// How many of them are events.
        rows: u64,
        /// How many are sentinels: no events, and landed to show how far landing has come.
        sentinels: u64,
        /// True if every one of them is an event that failed a rule.
        rejected: bool,
        /// The lines among them that cannot be decoded.
        bad: Vec<Reject>,
    },
    /// Nothing of it can be decoded: Firehose puts it under its error prefix, whole.
    Undecodable(Vec<Reject>),
    /// There is no event in it: an aggregate of no user records.
    Empty,
}

/// Decodes, checks and protects a record and writes its lines.
pub fn transform(
    engine: &Engine,
    keys: &Keys,
    coordinates: &Coordinates,
    data: &[u8],
) -> Result<Transformed, MissingKeys> {
    let record = RawRecord { coordinates: coordinates.clone(), data, landed: false };
    let checked = engine.check(&[record])?;
    let (rows, sentinels) = (checked.batch.len(), checked.sentinels);
    if rows == 0 && sentinels.is_empty() {
        let bad = checked.rejects;
        return Ok(if bad.is_empty() { Transformed::Empty } else { Transformed::Undecodable(bad) });
    }
    let mut lines = Vec::with_capacity(data.len() * 2);
    for row in 0..rows {
        landed::line(engine.recipe(), &checked.batch, row, keys, &mut lines);
    }
    for (_, sentinel) in &sentinels {
        landed::sentinel(sentinel, keys, &mut lines);
    }
    let rejected = sentinels.is_empty() && checked.batch.rows.iter().all(fails);
    let (rows, sentinels) = (rows as u64, sentinels.len() as u64);
    Ok(Transformed::Landed { lines, rows, sentinels, rejected, bad: checked.rejects })
}

/// The partition key `date`: the day of arrival, in UTC.
pub fn date(coordinates: &Coordinates) -> String {
    let Some(millis) = coordinates.arrival else { return "unknown".into() };
    let mut text = Vec::new();
    timestamp::print(millis.saturating_mul(1000), &mut text);
    String::from_utf8_lossy(&text[..10]).into_owned()
}
