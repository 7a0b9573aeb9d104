//! An hour of a stream: what its environments counted, each by itself, and what the rules about the data set say of it.
//!
//! Each environment of a function keeps an [`HourPart`] and puts it, cumulative, to one object of its own; [`judge`]
//! merges the parts of an hour that is over and writes what the rules say, once. The data set of a stream has the name
//! of its recipe. What `now()` stands for is the hour's end.
//!
//! Where limits of drift lie beside the recipe, parts hold a profile of the columns that have limits, and the hour is held
//! against the fitted state that served most of its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use futures::{StreamExt, TryStreamExt, stream};
use leat::column::Column;
use leat::drift::{self, DriftResult, Judged, Limits};
use leat::engine::Engine;
use leat::features::FittedState;
use leat::profile::Profile;
use leat::quality::over::is_about_row_count;
use leat::quality::result::{Findings, RuleResult, RuleStatus, of_rows_and_set};
use leat::quality::{
    Context, Evaluation, History, Method, Metrics, OtherMetrics, Over, QualityResult, Report,
    Ruleset, is_row_rule,
};
use leat::record::Reject;
use leat::timestamp;
use leat_lake::{Folder, Lake, Put, recipe_of_hash};
use serde::{Deserialize, Serialize};

use crate::drift::{beside, limited, read as read_limits};
use crate::error::damaged;
use crate::{BatchError, Rejects, Workshop, names};

/// The version of a part's form.
const VERSION: u32 = 1;
/// So many distinct values an environment keeps, over all rules that count values, and as many over all columns with
/// limits: some 10 MB each, and 3 MB as JSON.
pub const MOST_VALUES: usize = 1 << 17;
/// A rule that asks for what was measured before sees the hours of a week.
const HOURS_BEFORE: i64 = 168;
/// How many objects are read at a time.
const AT_A_TIME: usize = 8;
/// Milliseconds of an hour.
const MILLIS: i64 = 3_600_000;
/// The record's name in the folder of its hour.
const RESULT: &str = "result.json";
const NO_ROW: &str = "no row came in this hour";
const NO_STATE: &str = "no fitted state served: there is nothing to compare with";

/// An hour in UTC, by the clock of whoever works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(i64);

impl Hour {
    /// The hour of a time in milliseconds since 1970 UTC.
    pub fn of(millis: i64) -> Self {
        Hour(millis.div_euclid(MILLIS))
    }

    /// The hour that `text` names, such as `2026-11-23T06`.
    pub fn parse(text: &str) -> Option<Self> {
        let hour = Hour::of(timestamp::parse(&format!("{text}:00:00Z"))?.div_euclid(1000));
        (hour.to_string() == text).then_some(hour)
    }

    /// The hour so many hours before.
    pub fn before(self, hours: i64) -> Self {
        Hour(self.0.saturating_sub(hours))
    }

    /// True if it is over at `now`, in milliseconds since 1970 UTC.
    pub fn is_over(self, now: i64) -> bool {
        self.end() <= now
    }

    /// When it is over, in milliseconds: what `now()` stands for.
    fn end(self) -> i64 {
        self.0.saturating_add(1).saturating_mul(MILLIS)
    }
}

impl Display for Hour {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = timestamp::to_text(self.0.saturating_mul(MILLIS).saturating_mul(1000));
        f.write_str(text.split(':').next().unwrap_or_default())
    }
}

/// Where the hours of a data set lie, below the folder of artifacts.
pub fn folder(dataset: &str) -> String {
    format!("quality/{dataset}/hours/")
}

/// What one environment counted of an hour. Parts merge into the hour, in any order, to the bit, but for whose reject
/// is told as the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HourPart {
    /// The version of this form: 1.
    pub leat: u32,
    /// The hash of the recipe and its ruleset.
    pub recipe_hash: String,
    /// The rows that the recipe admits, without repeats.
    pub rows: u64,
    /// The rows that repeat an identity.
    pub repeats: u64,
    /// The rows that the recipe does not admit.
    pub rejects: Rejects,
    /// By rule that only warns, how many of the rows fail it.
    pub warned: BTreeMap<String, u64>,
    /// What the rules count; none where the recipe asks nothing of an hour.
    pub metrics: Option<Metrics>,
    /// The columns that have limits of drift; none where there are no limits.
    pub profile: Option<Profile>,
    /// Of each fitted state, by its URL, the rows that came while it served.
    pub states: BTreeMap<String, u64>,
}

/// Rows of a stream that count for the first time.
#[derive(Debug)]
pub struct News<'a> {
    /// Their columns: those of the schema, and perhaps others after them.
    pub columns: &'a [Column],
    /// How many there are.
    pub rows: usize,
    /// How many rows beside them repeat an identity.
    pub repeats: u64,
    /// What the recipe does not admit.
    pub rejects: &'a [Reject],
    /// The rules that rows fail which go on, once for each such row.
    pub warned: Vec<&'a str>,
    /// The URL of the fitted state that serves.
    pub state: Option<&'a str>,
}

/// The limits of drift that lie beside the recipe at `url`; none where there are none.
pub async fn limits(lake: &Lake, url: &str) -> Result<Option<Limits>, BatchError> {
    beside(lake, url).await?.map(|text| read_limits(&text)).transpose()
}

/// What a recipe asks of an hour, ready for its rows.
#[derive(Debug)]
pub struct HourRules {
    evaluation: Option<Evaluation>,
    /// An empty profile of the columns that have limits, and their slots.
    profile: Option<(Profile, Vec<usize>)>,
    recipe_hash: String,
}

impl HourRules {
    /// The rules of `engine` that are asked of `hour`, after `history`, and the columns that have `limits`; none if there
    /// is neither. What is counted does not depend on the history.
    pub fn of(
        engine: &Engine,
        limits: Option<&Limits>,
        hour: Hour,
        history: &History,
    ) -> Result<Option<Self>, BatchError> {
        let fields = engine.recipe().columns();
        let context =
            Context { history: Some(history), ..Context::new(Some(hour.end()), Method::default()) };
        let live = engine.ruleset().and_then(|ruleset| ruleset.live(Over::Hour, &fields));
        let evaluation =
            live.map(|live| Evaluation::within(&live, &fields, &context)).transpose()?;
        let profile = limits.map(|limits| limited(limits, &fields));
        let profile = profile.filter(|(_, slots)| !slots.is_empty());
        let some = evaluation.is_some() || profile.is_some();
        let recipe_hash = engine.hash().to_owned();
        Ok(some.then_some(HourRules { evaluation, profile, recipe_hash }))
    }

    /// The slots of the columns that are counted. What stands in the place of another column makes no difference.
    pub fn reads(&self) -> BTreeSet<usize> {
        let mut reads = self.evaluation.as_ref().map(Evaluation::reads).unwrap_or_default();
        reads.extend(self.profile.iter().flat_map(|(_, slots)| slots));
        reads
    }

    /// Nothing counted yet.
    pub fn start(&self) -> HourPart {
        HourPart {
            leat: VERSION,
            recipe_hash: self.recipe_hash.clone(),
            rows: 0,
            repeats: 0,
            rejects: Rejects::default(),
            warned: BTreeMap::new(),
            metrics: self.evaluation.as_ref().map(Evaluation::start),
            profile: self.profile.as_ref().map(|(profile, _)| profile.clone()),
            states: BTreeMap::new(),
        }
    }

    /// Counts `news`, and keeps at most `most` distinct values, once for rules and once for limits.
    pub fn count(&self, part: &mut HourPart, news: &News<'_>, most: usize) {
        part.rows = part.rows.saturating_add(news.rows as u64);
        part.repeats = part.repeats.saturating_add(news.repeats);
        part.rejects.add(news.rejects);
        for rule in &news.warned {
            *part.warned.entry((*rule).to_owned()).or_default() += 1;
        }
        if let (Some(evaluation), Some(metrics)) = (&self.evaluation, &mut part.metrics) {
            evaluation.update(metrics, news.columns, news.rows);
            metrics.bound(most);
        }
        if let (Some((_, slots)), Some(profile)) = (&self.profile, &mut part.profile) {
            profile.update_at(news.columns, slots, news.rows);
            profile.bound(most);
        }
        if let Some(state) = news.state {
            *part.states.entry(state.to_owned()).or_default() += news.rows as u64;
        }
    }
}

impl HourPart {
    /// Adds what another environment counted; if its rules were others nothing is added, and it comes back.
    pub fn merge(&mut self, other: HourPart) -> Result<(), Box<HourPart>> {
        let same_rules = match (&self.metrics, &other.metrics) {
            (Some(mine), Some(theirs)) => mine.fits(theirs),
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        };
        let same = match (&mut self.profile, &other.profile) {
            _ if !same_rules || self.recipe_hash != other.recipe_hash => false,
            (Some(mine), Some(theirs)) => mine.merge(theirs).is_ok(),
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        };
        if !same {
            return Err(Box::new(other));
        }
        if let (Some(mine), Some(theirs)) = (&mut self.metrics, &other.metrics) {
            // They fit.
            let _ = mine.merge(theirs);
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.repeats = self.repeats.saturating_add(other.repeats);
        self.rejects.merge(other.rejects);
        for (rule, count) in other.warned {
            let known = self.warned.entry(rule).or_default();
            *known = known.saturating_add(count);
        }
        for (state, rows) in other.states {
            let known = self.states.entry(state).or_default();
            *known = known.saturating_add(rows);
        }
        Ok(())
    }

    /// The bytes of its object.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// What the rules said of an hour, and where that is written.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedHour {
    /// What they said.
    pub result: QualityResult,
    /// The record's URL.
    pub url: String,
    /// The ruleset's file.
    pub ruleset: Option<String>,
}

/// Merges what was counted of `hour` by the recipe at `url`, judges it, and writes the record. A repeat finds it. None if
/// the recipe asks nothing of an hour, or if nothing was ever counted of the stream.
///
/// Where several recipes served in the hour, that is judged which admitted most rows. Of an hour without rows only rules
/// about their number are asked. What cannot be said (`Error`) is skipped with its reason: nothing waits for it.
pub async fn judge(
    shop: &Workshop,
    artifacts: &str,
    url: &str,
    hour: Hour,
) -> Result<Option<JudgedHour>, BatchError> {
    let mut engine = shop.read_engine(url).await?;
    let dataset = engine.recipe().name.clone();
    let hours = shop.lake().folder(&format!("{}{}", names::folder(artifacts), folder(&dataset)))?;
    let key = format!("{hour}/{RESULT}");
    if let Some(stands) = read(&hours, &key).await? {
        return Ok(Some(judged(stands, &hours, &key, &engine)));
    }
    let (part, others) = merged(&hours, hour).await?;
    // A stream that nobody has started yet is no stream that stands still.
    if part.is_none() && hours.list("").await?.is_empty() {
        return Ok(None);
    }
    if let Some(hash) = part.as_ref().map(|part| &part.recipe_hash)
        && hash != engine.hash()
    {
        let wrong = || BatchError::Input(format!("a part of {hour} names the recipe `{hash}`"));
        engine = shop.engine(&recipe_of_hash(url, hash).ok_or_else(wrong)?, hash).await?;
    }
    let asks = engine.ruleset().is_some_and(Ruleset::asks_for_history);
    let history = if asks { history(&hours, hour).await? } else { History::NONE };
    let limits = limits(shop.lake(), url).await?;
    let rules = HourRules::of(&engine, limits.as_ref(), hour, &history)?;
    let Some(rules) = rules else { return Ok(None) };
    let part = part.unwrap_or_else(|| rules.start());
    let drift = match (&limits, &part.profile) {
        (Some(limits), Some(profile)) => {
            Some(drifted(shop.lake(), &engine, limits, profile, &part.states).await?)
        }
        _ => None,
    };
    let result = result(&engine, &rules, part, others, drift, hour)?;
    let broken = |why: serde_json::Error| damaged(hours.url(&key), why);
    let json = result.to_json().map_err(broken)?;
    let stands = match hours.put_new(&key, json).await? {
        Put::Created => None,
        // Another one was first, and may have seen more or less.
        Put::Exists => read(&hours, &key).await?,
    };
    Ok(Some(judged(stands.unwrap_or(result), &hours, &key, &engine)))
}

fn judged(result: QualityResult, hours: &Folder, key: &str, engine: &Engine) -> JudgedHour {
    JudgedHour { result, url: hours.url(key), ruleset: engine.recipe().quality.clone() }
}

/// The record at `key`; none if there is none.
async fn read(hours: &Folder, key: &str) -> Result<Option<QualityResult>, BatchError> {
    let Some(bytes) = hours.get(key).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|why| damaged(hours.url(key), why))
}

/// What the recipe counted that admitted most rows of `hour`, and how many rows others did; none if nothing was counted.
async fn merged(hours: &Folder, hour: Hour) -> Result<(Option<HourPart>, u64), BatchError> {
    let listed = hours.list(&hour.to_string()).await?;
    let keys = listed.into_iter().map(|object| object.key).filter(|key| !key.ends_with(RESULT));
    let read = async |key: String| -> Result<Option<HourPart>, BatchError> {
        let Some(bytes) = hours.get(&key).await? else { return Ok(None) };
        let part: HourPart =
            serde_json::from_slice(&bytes).map_err(|why| damaged(hours.url(&key), why))?;
        match part.leat {
            VERSION => Ok(Some(part)),
            other => {
                let why = format!("it is of version {other}; this Leat reads version {VERSION}");
                Err(damaged(hours.url(&key), why))
            }
        }
    };
    let mut parts = std::pin::pin!(stream::iter(keys).map(read).buffered(AT_A_TIME));
    let mut kinds: Vec<HourPart> = Vec::new();
    while let Some(part) = parts.try_next().await? {
        let mut left = part;
        for kind in &mut kinds {
            let Some(part) = left.take() else { break };
            left = kind.merge(part).err().map(|part| *part);
        }
        kinds.extend(left);
    }
    // Of equals the first by its hash.
    kinds.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.recipe_hash.cmp(&b.recipe_hash)));
    let mut kinds = kinds.into_iter();
    let most = kinds.next();
    Ok((most, kinds.fold(0, |sum, kind| sum.saturating_add(kind.rows))))
}

/// What the hours of a week before `hour` measured, the newest first.
async fn history(hours: &Folder, hour: Hour) -> Result<History, BatchError> {
    let keys = (1..=HOURS_BEFORE).map(|before| format!("{}/{RESULT}", hour.before(before)));
    let found: Vec<Option<QualityResult>> = stream::iter(keys)
        .map(async |key| read(hours, &key).await)
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    Ok(History::new(found.into_iter().flatten().map(|result| result.measured)))
}

/// How far the rows of an hour have moved from what the state learnt that served most of them.
async fn drifted(
    lake: &Lake,
    engine: &Engine,
    limits: &Limits,
    profile: &Profile,
    states: &BTreeMap<String, u64>,
) -> Result<DriftResult, BatchError> {
    if profile.rows() == 0 {
        return Ok(DriftResult::nothing(limits, NO_ROW));
    }
    // Of equals the first by its URL.
    let most = states.iter().rev().max_by_key(|(_, rows)| **rows);
    let Some((url, _)) = most else {
        return Ok(DriftResult::nothing(limits, NO_STATE));
    };
    let state = FittedState::from_json(&lake.read_text(url).await?, engine.hash())
        .map_err(|why| BatchError::Input(format!("{url}: {why}")))?;
    let recipe = engine.recipe();
    let moved = drift::against(&state, |field| recipe.method(field).is_some(), profile);
    let mut result = DriftResult::new(limits, url, &moved);
    // As of rules: nothing waits for what cannot be said.
    let (unsaid, said): (Vec<Judged>, _) =
        result.judged.into_iter().partition(|judged| judged.outcome == RuleStatus::Error);
    result.judged = said;
    result.reason = (!unsaid.is_empty())
        .then(|| unsaid.iter().map(Judged::told).collect::<Vec<_>>().join("; "));
    Ok(result)
}

fn result(
    engine: &Engine,
    rules: &HourRules,
    part: HourPart,
    others: u64,
    drift: Option<DriftResult>,
    hour: Hour,
) -> Result<QualityResult, BatchError> {
    let fields = engine.recipe().columns();
    let no_ruleset = Ruleset::default();
    let ruleset = engine.ruleset().unwrap_or(&no_ruleset);
    let other = |why: OtherMetrics| {
        let what = format!("what was counted of {hour} is of another version of Leat");
        BatchError::Input(format!("{what}: {why}"))
    };
    let report = match (&rules.evaluation, &part.metrics) {
        (Some(evaluation), Some(metrics)) => evaluation.report(metrics).map_err(other)?,
        (None, None) => Report::default(),
        _ => return Err(other(OtherMetrics)),
    };
    let of_set = report.outcomes.into_iter().map(|outcome| RuleResult::new(outcome, Vec::new()));
    let rejected = part.rejects.recorded();
    let unasked = |rule: &_| match is_row_rule(rule) {
        true => None,
        false => ruleset.unasked_live(Over::Hour, rule, &fields),
    };
    let mut outcomes = of_rows_and_set(ruleset, &rejected, &part.warned, of_set, unasked);
    for (rule, found) in ruleset.rules.iter().zip(&mut outcomes) {
        if part.rows == 0 && !is_row_rule(rule) && !is_about_row_count(rule) {
            found.reason = Some(NO_ROW.to_owned());
            found.outcome = RuleStatus::Skipped;
        }
        if found.outcome == RuleStatus::Error {
            found.outcome = RuleStatus::Skipped;
        }
    }
    let now = hour.end().saturating_mul(1000);
    let about = engine.about(&engine.recipe().name, &hour.to_string(), now);
    let read = part.rows.saturating_add(part.repeats).saturating_add(part.rejects.count());
    let counts = [("read", read), ("already_applied", part.repeats), ("of_other_recipes", others)];
    let findings = Findings {
        outcomes,
        rows: part.rows,
        rejected,
        counts: counts.map(|(name, count)| (name.to_owned(), count)).into(),
        analyzers: report.analyzers,
        measured: report.measured,
        drift,
        ..Findings::default()
    };
    Ok(QualityResult::new(about, findings))
}
