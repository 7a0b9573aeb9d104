//! From the event to rows that are ready for windows, and rejects.

use leat::decode::{Batch, RawRecord, kinesis};
use leat::engine::{Engine, Intake};
use leat::record::{Coordinates, Position, Reject};
use leat_aws::Failure;

/// What an invocation was given.
#[derive(Debug)]
pub struct Delivery {
    /// For each record of the event, its sequence number as it came, and its coordinates.
    pub records: Vec<(String, Coordinates)>,
    /// The events that may go on.
    pub batch: Batch,
    /// For each row of the batch, the record that it came from.
    pub origins: Vec<usize>,
    /// The events that cannot go on.
    pub rejects: Vec<Reject>,
    /// How many sentinels there are: no events, dropped by the rule of that name.
    pub sentinels: usize,
}

/// Reads the event of a Kinesis mapping with `lanes` batches of a shard at a time.
pub fn read(engine: &Engine, event: &str, lanes: u64) -> Result<Delivery, Failure> {
    let mut arena = Vec::new();
    let found = kinesis::open(event, &mut arena).map_err(|why| Failure::Input(why.to_string()))?;
    let (mut origin, mut raw) = (Vec::with_capacity(found.len()), Vec::with_capacity(found.len()));
    let mut rejects = Vec::new();
    for (index, record) in found.iter().enumerate() {
        let coordinates = record.coordinates.clone();
        match record.bytes(&arena) {
            Ok(data) => {
                origin.push(index);
                raw.push(RawRecord { coordinates, data, landed: false });
            }
            Err(reason) => {
                rejects.push(Reject { coordinates, reason, payload: record.raw().to_vec() });
            }
        }
    }
    let Intake { batch, origins, rejects: refused, sentinels } =
        engine.intake(&raw).map_err(|why| Failure::Config(why.to_string()))?;
    rejects.extend(refused);
    let origins: Vec<usize> = origins.into_iter().map(|at| origin[at]).collect();
    if lanes > 1 {
        let keys = origins.iter().map(|&at| found[at].partition_key.as_ref());
        one_lane(engine, &batch, keys, lanes)?;
    }
    let records =
        found.into_iter().map(|r| (r.sequence_number.into_owned(), r.coordinates)).collect();
    Ok(Delivery { records, batch, origins, rejects, sentinels: sentinels.len() })
}

/// With several lanes a shard's batches are cut by the outer partition key: an entity that is not that key would be
/// in two lanes at once, and its marks would skip events.
fn one_lane<'a>(
    engine: &Engine,
    batch: &Batch,
    keys: impl Iterator<Item = &'a str>,
    lanes: u64,
) -> Result<(), Failure> {
    match keys.enumerate().find(|(row, key)| engine.entity(batch, *row) != **key) {
        None => Ok(()),
        Some((row, _)) => {
            let Position { sequence, .. } = &batch.rows[row].coordinates.position;
            Err(Failure::Config(format!(
                "LEAT_LANES is {lanes}, but the partition key of record {} is not its entity: set the mapping's \
                 ParallelizationFactor and LEAT_LANES to 1, or let producers use the entity as partition key",
                sequence.as_str()
            )))
        }
    }
}
