//! Every record answered once: landed, failed whole, or empty. Before the answer, the bad lines of a record whose others are
//! good go to quarantine, and what the answer has no room for is landed by the function itself: under Firehose's error
//! prefix a record loses its place in the stream.

use std::time::Duration;

use leat::engine::Engine;
use leat::protect::Keys;
use leat::record::{Coordinates, Reject};
use leat_aws::{Accounts, Call, Failure};
use leat_lake::{Aside, quarantine};

use crate::answer::{Answer, PartitionKeys, Word};
use crate::request::{Record, records};
use crate::transform::{Transformed, date, transform};

/// What is put beside the answer.
#[derive(Default)]
struct Beside {
    /// Lines that cannot be decoded.
    bad: Vec<Reject>,
    /// The first record that the answer has no room for, and the lines of all of them.
    large: Option<(Coordinates, Vec<u8>)>,
}

/// Transforms the records of one request. `aside` takes what cannot be decoded, `landing` what the answer has no room for. An
/// error hands back all of them: Firehose asks again.
pub async fn handle(
    engine: &Engine,
    keys: &Keys,
    aside: &impl Aside,
    landing: &impl Aside,
    event: &str,
    call: &Call,
) -> Result<(Answer, Accounts), Failure> {
    let found = records(event)?;
    let first = found.first().map(|record| record.coordinates.clone());
    let mut answer = Answer::new(found.iter().map(|record| record.id.as_str()));
    let (mut accounts, mut beside) = (Accounts::default(), Beside::default());
    for record in found {
        one(engine, keys, record, &mut answer, &mut accounts, &mut beside)?;
    }
    if let (Some(first), false) = (first, beside.bad.is_empty()) {
        let mut lines = Vec::new();
        beside.bad.iter().for_each(|reject| quarantine::write(reject, &mut lines));
        let key = format!("quarantine/{}/{}", engine.recipe().name, object(&first));
        put(aside, "quarantine", &key, lines, call).await?;
    }
    if let Some((first, lines)) = beside.large {
        put(landing, "landing", &object(&first), lines, call).await?;
    }
    Ok((answer, accounts))
}

async fn put(
    place: &impl Aside,
    name: &str,
    key: &str,
    lines: Vec<u8>,
    call: &Call,
) -> Result<(), Failure> {
    let time = call.deadline.left().saturating_sub(Duration::from_millis(500));
    let put = tokio::time::timeout(time, place.put(key, lines)).await;
    put.map_err(|_| Failure::Busy(format!("{name}: no answer before the deadline")))?
        .map_err(|why| Failure::service(&why, why.is_transient()))
}

fn one(
    engine: &Engine,
    keys: &Keys,
    record: Record<'_>,
    answer: &mut Answer,
    accounts: &mut Accounts,
    beside: &mut Beside,
) -> Result<(), Failure> {
    let Some(data) = record.data() else {
        accounts.received += 1;
        accounts.quarantined += 1;
        answer.short(record.id, Word::ProcessingFailed);
        return Ok(());
    };
    let transformed = transform(engine, keys, &record.coordinates, &data);
    match transformed.map_err(|why| Failure::Config(format!("LEAT_KEYS: {why}")))? {
        Transformed::Empty => answer.short(record.id, Word::Dropped),
        Transformed::Undecodable(rejects) => {
            accounts.received += rejects.len() as u64;
            accounts.quarantined += rejects.len() as u64;
            answer.short(record.id, Word::ProcessingFailed);
        }
        Transformed::Landed { lines, rows, sentinels, rejected, bad: more } => {
            accounts.received += rows + sentinels + more.len() as u64;
            accounts.written += rows;
            accounts.dropped += sentinels;
            accounts.quarantined += more.len() as u64;
            beside.bad.extend(more);
            if answer.has_room(lines.len()) {
                let quality = if rejected { "rejected" } else { "good" };
                let partition_keys = PartitionKeys { date: date(&record.coordinates), quality };
                answer.landed(record.id, &lines, partition_keys);
            } else {
                let (_, large) =
                    beside.large.get_or_insert_with(|| (record.coordinates, Vec::new()));
                large.extend(lines);
                // There is nothing left for Firehose to deliver.
                answer.short(record.id, Word::Dropped);
            }
        }
    }
    Ok(())
}

/// The key of an object of the request, of which `first` is the first record that it holds: a repeat of the request writes it
/// again. Its name differs from those of the stream's own function, which sees the same records in other batches.
fn object(first: &Coordinates) -> String {
    let position = &first.position;
    let plain = |text: &str| -> String {
        let keep = |c: char| c.is_ascii_alphanumeric() || c == '-';
        text.chars().take(128).map(|c| if keep(c) { c } else { '_' }).collect()
    };
    format!(
        "date={}/firehose-{}-{}-{}.jsonl",
        date(first),
        plain(&first.shard),
        plain(position.sequence.as_str()),
        position.sub
    )
}
