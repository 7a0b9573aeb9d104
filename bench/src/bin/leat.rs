//! The engine as `kinesis-features` calls it, without its services: from the payload to CSV rows, with every entity's
//! state in memory.
//!
//! `bench-leat INPUT --recipe RECIPE.yaml --state STATE.json [--variant stages|intake|items] [--repeat 3]
//! [--sums NAME=COLUMN,…] [--dump ROWS.csv]`
//!
//! - `stages`: the calls of [`Engine::intake`] one by one, so that each stage has its time.
//! - `intake`: that very call, as the function makes it; S1 holds S1, S2 and `derive`.
//! - `items`: as `stages`, and each entity's state is read from its bytes and written back once a payload (S4), as
//!   the function does between two invocations.
//!
//! `--sums` names sums over all rows for `check`; a COLUMN that ends in `*` is all columns that begin so.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::process::ExitCode;

use leat::column::Column;
use leat::decode::{RawRecord, kinesis};
use leat::encode::csv;
use leat::engine::{self, Engine, Intake, Replay, Source};
use leat::features::{Features, FittedState};
use leat::protect::Keys;
use leat::record::{Identity, Reject};
use leat::windows::{Applied, EntityState};
use leat_bench::arguments::Arguments;
use leat_bench::clock::{Laps, Times};
use leat_bench::line::rounded;
use leat_bench::program::{self, text};
use leat_bench::runtime::parse;
use serde_json::{Map, Value, json};

/// Only for measurements: what it tokenizes is made up.
const SECRET: &[u8] = b"leat: this secret is public; its tokens hide nothing";

fn main() -> ExitCode {
    program::main("bench-leat", run)
}

/// The benchmark's rule about a batch.
const UNIQUE: &str = "IsUnique \"transaction_id\"";

/// How the stages are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Stages,
    Intake,
    Items,
}

fn run(args: &Arguments) -> Result<String, String> {
    let (word, variant) = match args.after("--variant").unwrap_or("stages") {
        word @ "stages" => (word, Variant::Stages),
        word @ "intake" => (word, Variant::Intake),
        word @ "items" => (word, Variant::Items),
        other => return Err(format!("--variant: `{other}` is none of stages, intake, items")),
    };
    let engine = read_engine(args.wanted("--recipe")?)?;
    let path = args.wanted("--state")?;
    let state = FittedState::from_json(&text(path)?, engine.hash())
        .map_err(|why| format!("{path}: {why}"))?;
    let features = Features::bind(engine.recipe(), engine.plan(), &state)
        .map_err(|why| format!("{path}: {why}"))?;
    let sums = Sums::new(args.after("--sums").unwrap_or_default(), &features)?;
    program::measure(args, ("leat", word), 3, || Ok(Round::new(&engine, &features, &sums, variant)))
}

fn read_engine(path: &str) -> Result<Engine, String> {
    let said = |errors: Vec<leat::diagnostic::Diagnostic>| {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let recipe = engine::read(Source { file: path, text: &text(path)? }).map_err(said)?;
    let rules = match &recipe.quality {
        Some(name) => {
            let file = std::path::Path::new(path).with_file_name(name).display().to_string();
            Some((text(&file)?, file))
        }
        None => None,
    };
    let rules = rules.as_ref().map(|(text, file)| Source { file, text });
    let keys = Keys::from_secret(SECRET).map_err(|why| why.to_string())?;
    Engine::new(recipe, rules, Some(keys)).map_err(said)
}

/// The sums of `check`, each with the feature columns that it is over.
struct Sums(Vec<(String, Vec<usize>)>);

impl Sums {
    fn new(asked: &str, features: &Features) -> Result<Self, String> {
        let one = |asked: &str| {
            let (name, column) =
                asked.split_once('=').ok_or_else(|| format!("--sums: `{asked}` has no `=`"))?;
            let is_it = |found: &str| match column.strip_suffix('*') {
                Some(start) => found.starts_with(start),
                None => found == column,
            };
            let names = features.names().iter().enumerate();
            let at: Vec<usize> = names.filter(|(_, n)| is_it(n)).map(|(at, _)| at).collect();
            match at.is_empty() {
                true => Err(format!("--sums: there is no feature `{column}`")),
                false => Ok((name.to_owned(), at)),
            }
        };
        asked
            .split(',')
            .filter(|word| !word.is_empty())
            .map(one)
            .collect::<Result<_, _>>()
            .map(Sums)
    }
}

/// Of an identity, which is a hash, nothing more is to be hashed.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, identity: u128) {
        self.0 = identity as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One time over all payloads.
struct Round<'e> {
    engine: &'e Engine,
    features: &'e Features,
    sums: &'e Sums,
    variant: Variant,
    replay: Replay<'e>,
    items: HashMap<Box<str>, Vec<u8>>,
    unique: bool,
    ids: HashSet<Identity, BuildHasherDefault<Hashed>>,
    times: Times,
    csv: Vec<u8>,
    events: usize,
    malformed: usize,
    valid: usize,
    csv_bytes: usize,
    failed: HashMap<String, usize>,
    sum: Vec<f64>,
}

impl<'e> Round<'e> {
    fn new(engine: &'e Engine, features: &'e Features, sums: &'e Sums, variant: Variant) -> Self {
        Round {
            engine,
            features,
            sums,
            variant,
            replay: Replay::new(engine),
            items: HashMap::new(),
            unique: engine
                .rules()
                .is_some_and(|rules| rules.dataset_rules().iter().any(|rule| rule == UNIQUE)),
            ids: HashSet::default(),
            times: Times::default(),
            csv: Vec::new(),
            events: 0,
            malformed: 0,
            valid: 0,
            csv_bytes: 0,
            failed: HashMap::new(),
            sum: vec![0.0; sums.0.len()],
        }
    }
}

impl program::Round for Round<'_> {
    fn payload(&mut self, payload: &[u8]) -> Result<(), String> {
        let (engine, times) = (self.engine, &mut self.times);
        let mut laps = Laps::new();
        let event = parse(payload)?;
        let mut arena = Vec::new();
        let found = kinesis::open(event.get(), &mut arena).map_err(|why| why.to_string())?;
        let mut rejects = Vec::new();
        let mut raw = Vec::with_capacity(found.len());
        for record in &found {
            let coordinates = record.coordinates.clone();
            match record.bytes(&arena) {
                Ok(data) => raw.push(RawRecord { coordinates, data, landed: false }),
                Err(reason) => {
                    rejects.push(Reject { coordinates, reason, payload: record.raw().to_vec() });
                }
            }
        }
        let (mut batch, refused);
        if self.variant == Variant::Intake {
            let taken = engine.intake(&raw).map_err(|why| why.to_string())?;
            laps.end(0, times);
            let Intake { batch: good, rejects: more, .. } = taken;
            let (by_rule, damaged): (Vec<_>, Vec<_>) =
                more.into_iter().partition(|reject| is_of_a_rule(engine, reject));
            rejects.extend(damaged);
            refused = by_rule;
            // The rule of a batch, of the rows that no other rule refused: it is no part of the call, and not counted.
            self.ids.clear();
            let is_first = |row: &usize| !self.unique || self.ids.insert(good.rows[*row].identity);
            let first: Vec<usize> = (0..good.len()).filter(is_first).collect();
            *self.failed.entry(UNIQUE.to_owned()).or_default() += good.len() - first.len();
            batch = good.keep(&first);
            laps = Laps::new();
        } else {
            let mut decoded = engine.decoder().batch();
            decoded.reserve(raw.len());
            for record in &raw {
                engine.decoder().record(record, &mut decoded, &mut rejects);
            }
            laps.end(0, times);
            engine.judge(&mut decoded).map_err(|why| why.to_string())?;
            // The twelfth rule is of a batch, and no row's own: the second of two equal ids fails it.
            self.ids.clear();
            for row in decoded.rows.iter_mut().filter(|_| self.unique) {
                if let (false, Some(verdict)) = (self.ids.insert(row.identity), &mut row.verdict) {
                    verdict.failed.push(UNIQUE.to_owned());
                }
            }
            let (good, bad): (Vec<usize>, Vec<usize>) =
                (0..decoded.len()).partition(|&row| !engine::fails(&decoded.rows[row]));
            refused = bad
                .iter()
                .map(|&row| engine::reject(&decoded.rows[row], Vec::new()))
                .collect::<Vec<_>>();
            batch = decoded.keep(&good);
            engine.derive(&mut batch);
            laps.end(1, times);
        }
        if self.variant == Variant::Items {
            let mut rows: HashMap<Box<str>, Vec<usize>> = HashMap::new();
            for row in 0..batch.len() {
                rows.entry(engine.entity(&batch, row).into()).or_default().push(row);
            }
            let mut values = vec![None; batch.len()];
            for (entity, rows) in rows {
                let mut state = match self.items.get(&entity) {
                    Some(bytes) => EntityState::decode(bytes).map_err(|why| why.to_string())?,
                    None => EntityState::default(),
                };
                for row in rows {
                    let identity = batch.rows[row].identity;
                    let applied = engine.windows().apply(&mut state, &batch.columns, row, identity);
                    if let Applied::New { values: new, .. } = applied {
                        values[row] = Some(new);
                    }
                }
                self.items.insert(entity, state.encode());
            }
            engine.windows().fill(&mut batch.columns, &values);
        } else {
            self.replay.apply(&mut batch);
        }
        laps.end(3, times);
        let made = self.features.apply(&batch.columns, batch.len());
        laps.end(2, times);
        self.csv.clear();
        csv::rows(&made, &mut self.csv);
        laps.end(4, times);

        self.events += found.len();
        for reject in &rejects {
            match said_by_a_rule(engine, reject) {
                Some(rule) => *self.failed.entry(rule.to_owned()).or_default() += 1,
                None => self.malformed += 1,
            }
        }
        self.valid += batch.len();
        self.csv_bytes += self.csv.len();
        for reject in &refused {
            let all = reject.reason.message.split_once(" rules: ").map(|(_, all)| all);
            for rule in all.unwrap_or(&reject.reason.rule).split("; ") {
                *self.failed.entry(rule.to_owned()).or_default() += 1;
            }
        }
        for (sum, (_, columns)) in self.sum.iter_mut().zip(&self.sums.0) {
            for row in 0..batch.len() {
                *sum += columns.iter().map(|&at| weight(&made[at], row)).sum::<f64>();
            }
        }
        Ok(())
    }

    fn rows(&self) -> &[u8] {
        &self.csv
    }

    fn times(&self) -> Times {
        self.times
    }

    fn events(&self) -> usize {
        self.events
    }

    fn check(&self) -> Value {
        let texts = self.engine.rules().map_or(&[][..], |rules| rules.texts());
        let failed: Vec<usize> = texts
            .iter()
            .map(String::as_str)
            .chain(self.unique.then_some(UNIQUE))
            .map(|rule| self.failed.get(rule).copied().unwrap_or_default())
            .collect();
        let mut check = Map::new();
        check.insert("malformed".into(), json!(self.malformed));
        check.insert("valid".into(), json!(self.valid));
        check.insert("fail".into(), json!(failed));
        check.insert("csv_bytes".into(), json!(self.csv_bytes));
        for ((name, _), sum) in self.sums.0.iter().zip(&self.sum) {
            check.insert(name.clone(), json!(rounded(*sum, 3)));
        }
        Value::Object(check)
    }
}

/// A number; of a sparse vector (`3:0.5 17:0.25`) the sum.
fn weight(column: &Column, row: usize) -> f64 {
    let terms = || {
        let terms = column.text(row)?.split(' ').filter_map(|term| term.split_once(':'));
        Some(terms.filter_map(|(_, weight)| weight.parse::<f64>().ok()).sum())
    };
    column.number(row).or_else(terms).unwrap_or_default()
}

/// True if a rule refused the row; otherwise it could not be decoded.
fn is_of_a_rule(engine: &Engine, reject: &Reject) -> bool {
    let rule = &reject.reason.rule;
    rule == engine::AHEAD || engine.rules().is_some_and(|rules| rules.texts().contains(rule))
}

/// The rule that says what decode said first: an event without a field that it needs, or with one that is no value of
/// its type, never comes to the rules. The benchmark counts it there.
fn said_by_a_rule<'e>(engine: &'e Engine, reject: &Reject) -> Option<&'e str> {
    let field = reject.reason.message.split('`').nth(1)?;
    let wanted = match &*reject.reason.rule {
        "required" => format!("IsComplete \"{field}\""),
        "type" => format!("ColumnValues \"{field}\""),
        _ => return None,
    };
    let texts = engine.rules()?.texts();
    texts.iter().find(|text| text.contains(&wanted)).map(String::as_str)
}
