//! Every record answered once: landed, failed whole, or empty. The bad lines of a record whose others are good go to
//! quarantine before the answer.

use std::time::Duration;

use leat::engine::Engine;
use leat::protect::Keys;
use leat::record::Reject;
use leat_aws::{Accounts, Call, Failure};
use leat_lake::{Aside, quarantine};

use crate::answer::{Answer, PartitionKeys, Word};
use crate::request::{Record, records};
use crate::transform::{Transformed, date, transform};

/// Transforms the records of one request. An error hands back all of them: Firehose asks again.
pub async fn handle(
    engine: &Engine,
    keys: &Keys,
    aside: &impl Aside,
    event: &str,
    call: &Call,
) -> Result<(Answer, Accounts), Failure> {
    let found = records(event)?;
    let first = found.first().cloned();
    let mut answer = Answer::new(found.iter().map(|record| record.id.as_str()));
    let (mut accounts, mut bad) = (Accounts::default(), Vec::new());
    for record in found {
        one(engine, keys, record, &mut answer, &mut accounts, &mut bad)?;
    }
    if let (Some(first), false) = (first, bad.is_empty()) {
        let mut lines = Vec::new();
        bad.iter().for_each(|reject| quarantine::write(reject, &mut lines));
        let key = object(engine, &first);
        let time = call.deadline.left().saturating_sub(Duration::from_millis(500));
        let put = tokio::time::timeout(time, aside.put(&key, lines)).await;
        put.map_err(|_| Failure::Busy("quarantine: no answer before the deadline".into()))?
            .map_err(|why| Failure::service(&why, why.is_transient()))?;
    }
    Ok((answer, accounts))
}

fn one(
    engine: &Engine,
    keys: &Keys,
    record: Record<'_>,
    answer: &mut Answer,
    accounts: &mut Accounts,
    bad: &mut Vec<Reject>,
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
            let all = rows + sentinels + more.len() as u64;
            accounts.received += all;
            if answer.has_room(lines.len()) {
                accounts.written += rows;
                accounts.dropped += sentinels;
                accounts.quarantined += more.len() as u64;
                bad.extend(more);
                let quality = if rejected { "rejected" } else { "good" };
                let partition_keys = PartitionKeys { date: date(&record.coordinates), quality };
                answer.landed(record.id, &lines, partition_keys);
            } else {
                // It lies whole under the error prefix and is put through again from there.
                accounts.handed_back += all;
                answer.short(record.id, Word::ProcessingFailed);
            }
        }
    }
    Ok(())
}

/// The key of the request's quarantine object: a repeat of the request writes it again. Its name differs from those
/// of the stream's own function, which sees the same records in other batches.
fn object(engine: &Engine, first: &Record<'_>) -> String {
    let position = &first.coordinates.position;
    let plain = |text: &str| -> String {
        let keep = |c: char| c.is_ascii_alphanumeric() || c == '-';
        text.chars().take(128).map(|c| if keep(c) { c } else { '_' }).collect()
    };
    format!(
        "quarantine/{}/date={}/firehose-{}-{}-{}.jsonl",
        engine.recipe().name,
        date(&first.coordinates),
        plain(&first.coordinates.shard),
        plain(position.sequence.as_str()),
        position.sub
    )
}
