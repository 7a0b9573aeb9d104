//! `land`: what failed in Firehose for another cause than our own refusal lands after all.
//!
//! Firehose's wrapper holds the bytes of a record and not its place in the stream, and without that an event would stand
//! before the whole stream in every replay. So the stream, which keeps its records for days, is read again: a record with a
//! line that is missed lands whole, with its coordinates, as the transform lands it. A line of it that had landed counts once
//! all the same. An object under the error prefix goes when all of its lines were found.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use leat::decode::{Limits, Piece, RawRecord, expand};
use leat::encode::landed;
use leat::protect::Keys;
use leat::record::{Coordinates, Position, Sequence};
use leat_aws::Failure;
use leat_batch::BatchError;
use leat_lake::Folder;
use leat_stream::shards::{Kept, Shards};
use serde::{Deserialize, Serialize};

use crate::handler::Ports;

/// The most objects that one reading of the stream is about, the most bytes of their lines, or one object more, and between
/// which times their records came at most, in milliseconds.
const OBJECTS: usize = 200;
const BYTES: usize = 32 * 1024 * 1024;
const SPAN: i64 = 5 * 60 * 1000;
/// A call reads no further after so long: of the 900 s that it has, the rest is for what it has read.
const PATIENCE: Duration = Duration::from_secs(600);
/// Shards that are read at a time.
const AT_A_TIME: usize = 32;
/// How far the clocks of the stream and of Firehose may lie apart, and a record wait between them, in milliseconds.
const APART: i64 = 5 * 60 * 1000;
/// Where it is not found, how much longer it may have waited: as Firehose itself did not keep up.
const LATE: [i64; 2] = [3600 * 1000, 6 * 3600 * 1000];

/// The code of a record that our own transform refused: nothing of it can be decoded, and the function of the stream puts it
/// into quarantine with its reason. It never lands.
const REFUSED: &str = "Lambda.ProcessingFailedStatus";

/// What `land` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Landed {
    /// The objects under the error prefix whose every line was found in the stream, and that are gone.
    pub objects: u64,
    /// The lines that landed.
    pub lines: u64,
    /// The objects that are left: their records are no longer in the stream, they cannot be read, or they are for the next call.
    pub left: u64,
}

/// What an object under the error prefix misses in landing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// The lines that are to land.
    lines: Vec<Rc<[u8]>>,
    /// When the first and the last of their records came, in milliseconds; none if one does not say.
    came: Option<(i64, i64)>,
}

impl Missed {
    /// Reads an object: wrappers in JSON, a line each (Amazon Data Firehose, "Handle failure in data transformation"). None
    /// if it cannot be read.
    pub fn of(object: &[u8]) -> Option<Missed> {
        let (mut missed, mut readable) = (Missed::default(), true);
        let mut came: Option<Vec<i64>> = Some(Vec::new());
        each_line(object, |line| match line {
            Ok(line) => match serde_json::from_slice::<Wrapper<'_>>(line) {
                Ok(wrapper) if wrapper.code == REFUSED => {}
                Ok(wrapper) => match base64_simd::STANDARD.decode_to_vec(wrapper.data.as_bytes()) {
                    Ok(data) => {
                        each_line(&data, |line| missed.lines.extend(line.ok().map(Rc::from)));
                        came = came.take().zip(wrapper.came()).map(|(mut came, at)| {
                            came.push(at);
                            came
                        });
                    }
                    Err(_) => readable = false,
                },
                Err(_) => readable = false,
            },
            Err(()) => readable &= object.is_empty(),
        });
        let came = came.unwrap_or_default();
        missed.came = came.iter().min().copied().zip(came.iter().max().copied());
        readable.then_some(missed)
    }

    /// True if nothing of the object is to land.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Firehose's wrapper, as far as it is read.
#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow, rename = "errorCode")]
    code: Cow<'a, str>,
    #[serde(borrow, rename = "rawData")]
    data: Cow<'a, str>,
    /// In milliseconds; Firehose writes a number, its documentation shows a text.
    #[serde(default, rename = "arrivalTimestamp")]
    arrival: serde_json::Value,
}

impl Wrapper<'_> {
    fn came(&self) -> Option<i64> {
        self.arrival.as_i64().or_else(|| self.arrival.as_str()?.parse().ok())
    }
}

/// Hands each line of `data` to `each`, and an error for what cannot be opened.
fn each_line(data: &[u8], mut each: impl FnMut(Result<&[u8], ()>)) {
    let nowhere = Coordinates {
        source: "".into(),
        shard: "".into(),
        position: Position::default(),
        arrival: None,
    };
    let record = RawRecord { coordinates: nowhere, data, landed: false };
    expand(&record, &Limits::default(), &mut |_, piece| match piece {
        Piece::Line(line) => each(Ok(line)),
        Piece::Damaged(..) => each(Err(())),
    });
}

/// Lands what failed, as far as the stream still keeps it.
pub async fn land<S, K: Shards, T, J>(ports: &Ports<'_, S, K, T, J>) -> Result<Landed, Failure> {
    let folder = |url: &str| ports.lake.folder(url).map_err(BatchError::from);
    let (failed, landing) = (folder(&ports.config.failed)?, folder(&ports.config.landing)?);
    let keys = ports.keys.as_ref().ok_or_else(|| {
        Failure::Config("LEAT_KEYS is missing: what lands is sealed with it".into())
    })?;
    let (begun, mut landed, mut tried) = (Instant::now(), Landed::default(), HashSet::new());
    loop {
        let mut work = Work::gather(&failed, &tried).await?;
        landed.left = work.others + work.objects.len() as u64;
        if work.objects.is_empty() || begun.elapsed() > PATIENCE {
            break;
        }
        for times in work.times() {
            landed.lines += read(ports, keys, &landing, &work, times, begun).await?;
            landed.objects += work.remove(&failed).await?;
            if work.objects.is_empty() {
                break;
            }
        }
        tried.extend(work.objects.into_iter().map(|(key, _)| key));
    }
    if landed.left > 0 {
        tracing::warn!(
            objects = landed.left,
            "under the error prefix lies what is not in the stream, cannot be read, or waits for the next call"
        );
    }
    Ok(landed)
}

/// Objects that one reading of the stream is about.
#[derive(Debug, Default)]
struct Work {
    objects: Vec<(String, Missed)>,
    wanted: HashSet<Rc<[u8]>>,
    /// Those of `wanted` that are in the stream.
    found: RefCell<HashSet<Rc<[u8]>>>,
    /// When the first and the last record came; none if one does not say.
    came: Option<(i64, i64)>,
    /// How many other objects something is to be done about.
    others: u64,
}

impl Work {
    /// The first objects whose records came within a span, but those that were `tried` in vain.
    async fn gather(failed: &Folder, tried: &HashSet<String>) -> Result<Work, Failure> {
        let (mut work, mut bytes) = (Work::default(), 0);
        for object in failed.list("").await.map_err(BatchError::from)? {
            if tried.contains(&object.key) || bytes >= BYTES || work.objects.len() >= OBJECTS {
                work.others += 1;
                continue;
            }
            let read = failed.get(&object.key).await.map_err(BatchError::from)?;
            let Some(missed) = Missed::of(&read.unwrap_or_default()) else {
                work.others += 1;
                continue;
            };
            if missed.is_empty() {
                continue;
            }
            let both = work.came.zip(missed.came);
            let both = both.map(|((a, b), (c, d))| (a.min(c), b.max(d)));
            let first = work.objects.is_empty();
            if !first && both.is_none_or(|(from, to)| to.saturating_sub(from) > SPAN) {
                work.others += 1;
                continue;
            }
            work.came = if first { missed.came } else { both };
            bytes += missed.lines.iter().map(|line| line.len()).sum::<usize>();
            work.wanted.extend(missed.lines.iter().cloned());
            work.objects.push((object.key, missed));
        }
        Ok(work)
    }

    /// Between which times the stream is to be read, one after the other, as long as something is not found.
    fn times(&self) -> Vec<(Option<i64>, i64)> {
        let Some((first, last)) = self.came else { return vec![(None, i64::MAX)] };
        let mut until = last.saturating_add(APART);
        let before = |before: &i64| {
            let from = first.saturating_sub(*before);
            (Some(from), std::mem::replace(&mut until, from))
        };
        [APART].iter().chain(&LATE).map(before).collect()
    }

    /// Removes the objects whose every line was found; answers how many.
    async fn remove(&mut self, failed: &Folder) -> Result<u64, Failure> {
        let Work { objects, found, .. } = self;
        let found = found.get_mut();
        let is_found = |(_, missed): &mut (String, Missed)| {
            missed.lines.iter().all(|line| found.contains(line))
        };
        let done: Vec<_> = objects.extract_if(.., is_found).collect();
        for (key, _) in &done {
            failed.delete(key).await.map_err(BatchError::from)?;
        }
        Ok(done.len() as u64)
    }

    /// True if a line of the record is wanted. Who sent the same bytes twice sent two records, and each of them may be the one
    /// that failed.
    fn finds(&self, data: &[u8]) -> bool {
        let mut some = false;
        each_line(data, |line| {
            let Some(line) = line.ok().and_then(|line| self.wanted.get(line)) else { return };
            self.found.borrow_mut().insert(line.clone());
            some = true;
        });
        some
    }
}

/// Reads what came to the stream between two times, all shards side by side, and lands what is wanted. Answers how many lines
/// landed. It breaks off where there is no more time: what was found has landed.
async fn read<S, K: Shards, T, J>(
    ports: &Ports<'_, S, K, T, J>,
    keys: &Keys,
    landing: &Folder,
    work: &Work,
    (from, until): (Option<i64>, i64),
    begun: Instant,
) -> Result<u64, Failure> {
    let shards = ports.shards.all().await?;
    let shards = stream::iter(&shards).map(async |shard| {
        let (mut cursor, mut lines) = (ports.shards.stand(shard, from).await?, 0);
        while let Some(kept) = ports.shards.next(&mut cursor).await? {
            let count = kept.len();
            let within = |kept: &Kept| kept.arrival.is_none_or(|at| at <= until);
            let kept: Vec<Kept> = kept.into_iter().take_while(within).collect();
            let over = kept.len() < count;
            let found = kept.into_iter().filter(|kept| work.finds(&kept.data));
            let found: Vec<Kept> = found.collect();
            lines += put(ports, keys, landing, &found).await?;
            if over || begun.elapsed() > PATIENCE {
                break;
            }
        }
        Ok::<u64, Failure>(lines)
    });
    let counts: Vec<u64> = shards.buffer_unordered(AT_A_TIME).try_collect().await?;
    Ok(counts.iter().sum())
}

/// Lands records of a shard, and answers how many lines that are.
async fn put<S, K: Shards, T, J>(
    ports: &Ports<'_, S, K, T, J>,
    keys: &Keys,
    landing: &Folder,
    found: &[Kept],
) -> Result<u64, Failure> {
    let Some(first) = found.first() else { return Ok(0) };
    let records: Vec<RawRecord<'_>> = found
        .iter()
        .map(|kept| {
            let sequence = Sequence::new(&kept.sequence);
            let coordinates = Coordinates {
                source: ports.shards.name().into(),
                shard: kept.shard.as_str().into(),
                position: Position { sequence, ..Position::default() },
                arrival: kept.arrival,
            };
            RawRecord { coordinates, data: &kept.data, landed: false }
        })
        .collect();
    let checked = ports.deployed.check(&records);
    let checked = checked.map_err(|why| Failure::Config(format!("LEAT_KEYS: {why}")))?;
    let mut lines = Vec::new();
    for row in 0..checked.batch.len() {
        landed::line(ports.deployed.recipe(), &checked.batch, row, keys, &mut lines);
    }
    for (_, sentinel) in &checked.sentinels {
        landed::sentinel(sentinel, keys, &mut lines);
    }
    if !lines.is_empty() {
        // By its first record: a repeat writes it again, or other objects with the same lines.
        let key = format!("failed-{}-{}.jsonl", first.shard, first.sequence);
        landing.put(&key, lines).await.map_err(BatchError::from)?;
    }
    Ok((checked.batch.len() + checked.sentinels.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapper(code: &str, arrival: &str, data: &[u8]) -> String {
        let data = base64_simd::STANDARD.encode_to_string(data);
        format!(
            r#"{{"attemptsMade":4,"arrivalTimestamp":{arrival},"errorCode":"{code}","rawData":"{data}"}}"#
        )
    }

    #[test]
    fn what_is_missed() {
        let of = |lines: &[String]| Missed::of(lines.join("\n").as_bytes());
        let refused = wrapper(REFUSED, "1", b"{");
        assert_eq!(of(&[]), Some(Missed::default()));
        assert!(of(&[refused.clone(), refused.clone()]).unwrap().is_empty());
        let other = wrapper("Lambda.FunctionTimedOut", "5", b"a\n\nb\n");
        let texts = |missed: &Missed| -> Vec<String> {
            missed.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
        };
        let missed = of(&[refused.clone(), other.clone()]).unwrap();
        assert_eq!((texts(&missed), missed.came), (vec!["a".into(), "b".into()], Some((5, 5))));
        // As the documentation shows it, and without a time.
        let text = wrapper("x", "\"7\"", b"c");
        assert_eq!(of(&[other.clone(), text]).unwrap().came, Some((5, 7)));
        assert_eq!(of(&[other.clone(), wrapper("x", "null", b"c")]).unwrap().came, None);
        // A record that cannot be opened has nothing that could land.
        assert!(of(&[wrapper("x", "1", b"\x1f\x8b\x08?")]).unwrap().is_empty());
        for unreadable in
            ["{}", "what?", r#"{"errorCode":7}"#, r#"{"errorCode":"x","rawData":"!"}"#]
        {
            assert_eq!(of(&[refused.clone(), unreadable.into()]), None, "{unreadable}");
        }
    }
}
