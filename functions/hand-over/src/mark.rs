//! `mark`: one sentinel in each open shard. What came before it has landed once it has.

use std::collections::BTreeMap;

use leat::sentinel;
use leat_aws::Failure;
use leat_batch::Run;
use leat_jobs::object::hash;
use leat_stream::shards::Shards;
use leat_stream::take_over::Sentinels;

/// The key of the sentinels in the attempt's folder.
pub const KEY: &str = "sentinels.json";

/// Puts the sentinels, unless this attempt has. A repeat after a crash puts others that say the same: the mapping was
/// disabled before the first of them, so any of them will do.
pub async fn mark(shards: &impl Shards, run: &Run, now: i64) -> Result<Sentinels, Failure> {
    if let Some(stands) = read(run).await? {
        return Ok(stands);
    }
    let id = id(run);
    let record = sentinel::record(&id)
        .ok_or_else(|| Failure::Config(format!("`{id}` is no name of a sentinel")))?;
    let open = shards.open().await?;
    if open.is_empty() {
        return Err(Failure::Config("the stream has no open shard".into()));
    }
    let puts = open.iter().map(|shard| shards.put(shard, record.as_bytes()));
    let taken = futures::future::try_join_all(puts).await?;
    if open.iter().zip(&taken).any(|(shard, (by, _))| shard.id != *by) {
        return Err(Failure::Busy(
            "the stream was split or merged meanwhile: mark it again".into(),
        ));
    }
    let sentinels = Sentinels { id, shards: BTreeMap::from_iter(taken), at: now };
    run.write_new(KEY, &sentinels).await?;
    Ok(read(run).await?.unwrap_or(sentinels))
}

/// The sentinels of an attempt; none if it has not marked the stream.
pub async fn read(run: &Run) -> Result<Option<Sentinels>, Failure> {
    Ok(run.read(KEY).await?)
}

/// The name of the attempt, or a hash of it where it is too long for a sentinel.
fn id(run: &Run) -> String {
    let name = run.name();
    if sentinel::is_id(name) { name.into() } else { hash([name]) }
}
