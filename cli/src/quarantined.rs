//! `leat replay`: what went to quarantine, through the recipe as it is now.
//!
//! Each line keeps its first coordinates. What failed in Firehose is not taken: its wrapper has none, and in a replay an event
//! without them stands before the whole stream.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leat::decode::RawRecord;
use leat::encode::{landed, quarantine};
use leat::engine::{Engine, fails, reject};
use leat::protect::Keys;
use leat::recipe::Format;
use leat::record::{Identity, Reject, identity_of};
use leat::timestamp;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::data::DataArguments;
use crate::output::Output;
use crate::places::Places;
use crate::recipe::{self, KeysArgument};
use crate::show;

/// See `leat replay --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The recipe as it is now.
    recipe: String,
    /// What lies in quarantine: files, folders, URLs, or `-`.
    #[arg(required = true, value_name = "QUARANTINE")]
    quarantine: Vec<String>,
    /// Only what arrived at this time or later: `2026-11-23` or `2026-11-23T06:30:00Z`. What has no time of arrival is left out.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Only what arrived before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// Only what this rule refused, as the quarantine names it: `decode`, `type`, …, or the text of a rule. May be repeated.
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<String>,
    /// Where the events go that pass now: lines as Leat's Firehose lands them, protected, with their first coordinates.
    /// Needs --keys. Without it nothing is written: the answer tells what would pass.
    #[arg(long, value_name = "OUT.jsonl")]
    output: Option<PathBuf>,
    /// Where that goes which is refused again, with the reason of now: quarantine lines, raw as they are.
    #[arg(long, value_name = "OUT.jsonl")]
    refused: Option<PathBuf>,
    #[command(flatten)]
    keys: KeysArgument,
}

/// A time as an argument, in milliseconds since 1970 UTC.
fn time(text: &str) -> Result<i64, String> {
    let midnight = format!("{text}T00:00:00Z");
    let micros = timestamp::parse(text).or_else(|| timestamp::parse(&midnight));
    micros.map(|micros| micros.div_euclid(1000)).ok_or_else(|| {
        "this is no time: write a date, 2026-11-23, or a moment, 2026-11-23T06:30:00Z".to_owned()
    })
}

/// What became of the events that one rule had refused.
#[derive(Debug, Default)]
struct Fate {
    records: u64,
    passed: u64,
    refused: u64,
}

/// Quarantined records on their way through the engine.
struct Replay<'a> {
    engine: &'a Engine,
    keys: Option<&'a Keys>,
    /// Whose coordinates were seen: a batch that came again wrote its rejects again, and two functions see one stream.
    seen: HashSet<Identity>,
    /// By the rule that had refused them.
    fates: BTreeMap<String, Fate>,
    /// Refused again, by the rule of now.
    again: BTreeMap<String, u64>,
    repeated: u64,
    passed: Vec<u8>,
    refused: Vec<u8>,
}

impl Replay<'_> {
    fn take(&mut self, found: &Reject) -> Result<(), Refusal> {
        if !self.seen.insert(identity_of(&found.coordinates)) {
            self.repeated += 1;
            return Ok(());
        }
        let record = RawRecord {
            coordinates: found.coordinates.clone(),
            data: &found.payload,
            landed: self.keys.is_some(),
        };
        let checked = self.engine.check(&[record]).map_err(|why| Refusal::new(why.to_string()))?;
        let fate = self.fates.entry(found.reason.rule.clone()).or_default();
        fate.records += 1;
        let mut refuse = |found: &Reject| {
            fate.refused += 1;
            *self.again.entry(found.reason.rule.clone()).or_default() += 1;
            quarantine::write(found, &mut self.refused);
        };
        checked.rejects.iter().for_each(&mut refuse);
        let mut passed = 0;
        for (at, row) in checked.batch.rows.iter().enumerate() {
            if fails(row) {
                refuse(&reject(row, found.payload.clone()));
                continue;
            }
            passed += 1;
            if let Some(keys) = self.keys {
                landed::line(self.engine.recipe(), &checked.batch, at, keys, &mut self.passed);
            }
        }
        fate.passed += passed;
        Ok(())
    }
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    let engine = recipe::load(&places, &args.recipe, &args.keys)?;
    let keys = args.keys.secret()?;
    if args.output.is_some() && keys.is_none() {
        return Err(Refusal::new("--output needs --keys: the lines carry a code that is made with the secret").hint(
            "give the secret that the Firehose transform has: --keys file:PATH; without --output the answer tells what would pass",
        ));
    }
    let data = DataArguments::of(&args.quarantine).find(&places, Format::Json, false)?;
    let create = |path: &Option<PathBuf>| path.as_deref().map(Output::create).transpose();
    let (mut output, mut refused) = (create(&args.output)?, create(&args.refused)?);
    let mut replay = Replay {
        engine: &engine,
        keys: keys.as_ref(),
        seen: HashSet::new(),
        fates: BTreeMap::new(),
        again: BTreeMap::new(),
        repeated: 0,
        passed: Vec::new(),
        refused: Vec::new(),
    };
    let (mut other, mut rules) = (0, BTreeMap::<String, u64>::new());
    data.lines("replaying", |file, number, line| {
        let found = quarantine::read(line).map_err(|why| {
            Refusal::new(format!("{file}, line {number} is no line of a quarantine object: {why}"))
        })?;
        *rules.entry(found.reason.rule.clone()).or_default() += 1;
        if !args.asks_for(&found) {
            other += 1;
            return Ok(());
        }
        replay.take(&found)?;
        pour(&mut output, &mut replay.passed)?;
        pour(&mut refused, &mut replay.refused)
    })?;
    if let Some(unknown) = args.rules.iter().find(|rule| !rules.contains_key(*rule)) {
        let known: Vec<_> = rules.keys().map(|rule| format!("`{rule}`")).collect();
        return Err(Refusal::new(format!("nothing here was refused by `{unknown}`"))
            .hint(format!("what lies here was refused by {}", known.join(", "))));
    }
    for output in [output, refused].into_iter().flatten() {
        output.finish()?;
    }
    Ok(args.answer(&replay, other))
}

/// Writes what there is, if there is a file for it.
fn pour(output: &mut Option<Output>, bytes: &mut Vec<u8>) -> Result<(), Refusal> {
    if let Some(output) = output {
        output.write_all(bytes).map_err(|why| output.failed(&why))?;
    }
    bytes.clear();
    Ok(())
}

impl Arguments {
    fn asks_for(&self, found: &Reject) -> bool {
        let arrival = found.coordinates.arrival;
        let within = match (self.since, self.until) {
            (None, None) => true,
            (since, until) => arrival.is_some_and(|arrival| {
                since.is_none_or(|since| since <= arrival)
                    && until.is_none_or(|until| arrival < until)
            }),
        };
        within && (self.rules.is_empty() || self.rules.contains(&found.reason.rule))
    }

    fn answer(&self, replay: &Replay<'_>, other: u64) -> Answer {
        let sum = |of: fn(&Fate) -> u64| replay.fates.values().map(of).sum::<u64>();
        let (records, passed, refused) =
            (sum(|f| f.records), sum(|f| f.passed), sum(|f| f.refused));
        let rows = replay.fates.iter().map(|(rule, fate)| {
            let counts = [fate.records, fate.passed, fate.refused].map(|count| count.to_string());
            [rule.clone()].into_iter().chain(counts).collect()
        });
        let mut text = show::table(&["refused by", "records", "pass now", "refused again"], rows);
        for (rule, count) in &replay.again {
            let _ = write!(text, "\n{count} refused again by `{rule}`");
        }
        let _ = write!(
            text,
            "\n{records} records: {passed} pass now, {refused} do not; {} stood there more than once, {other} were not asked for",
            replay.repeated
        );
        if let Some(output) = &self.output {
            let _ = write!(text, "\nthe events that pass are in {}", output.display());
        }
        let by_rule = replay.fates.iter().map(|(rule, fate)| {
            json!({"rule": rule, "records": fate.records, "passed": fate.passed, "refused": fate.refused})
        });
        let document = json!({
            "recipe": replay.engine.recipe().name, "recipe_hash": replay.engine.hash(), "records": records, "passed": passed,
            "refused": refused, "repeated": replay.repeated, "not_asked_for": other, "rules": by_rule.collect::<Vec<_>>(),
            "refused_by": replay.again, "output": self.output, "refused_output": self.refused,
        });
        Answer { passed: refused == 0, ..Answer::good(text, document) }
            .beside(self.output.as_deref().unwrap_or("".as_ref()))
    }
}
