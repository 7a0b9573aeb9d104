//! The one pipeline: decode → check → protect → derive → windows → features. Every path calls this and nothing else,
//! so that there is one answer: the stream function, the Firehose transform, the wheel in Spark, the command line.
//!
//! Stages stand alone where a path ends earlier: Firehose and `cleanse` stop after [`Engine::check`]; the stream
//! function goes on with [`Engine::intake`], its own stored windows, and [`Features`](crate::features::Features);
//! batch replays with [`Replay`].

#[cfg(test)]
mod bench_recipe;
mod replay;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::column::{Column, Value};
use crate::decode::{self, Batch, Decoder, Limits, Piece, RawRecord};
use crate::diagnostic::Diagnostic;
use crate::features;
use crate::number;
use crate::protect::{self, Keys, MissingKeys};
use crate::quality::result::About;
use crate::quality::{self, RowAction, RowRules, Ruleset};
use crate::recipe::plan::{Plan, plan};
use crate::recipe::{Recipe, Role};
use crate::record::{Coordinates, Reason, Reject, Row, Verdict};
use crate::sentinel::Sentinel;
use crate::timestamp;
use crate::windows::Windows;

pub use replay::{Marks, Order, Outcomes, Replay, Replayed, compare, fill, order};

/// A file that a person wrote: its name, for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The name.
    pub file: &'a str,
    /// The text.
    pub text: &'a str,
}

/// Reads a recipe's text, checked as far as the text alone allows. Its `quality` names the ruleset's file, which
/// [`Engine::new`] wants.
pub fn read(recipe: Source<'_>) -> Result<Recipe, Vec<Diagnostic>> {
    crate::recipe::read(recipe.file, recipe.text, &features::specs())
}

/// A recipe with its ruleset, checked and ready to run.
#[derive(Debug)]
pub struct Engine {
    recipe: Recipe,
    plan: Plan,
    ruleset: Option<Ruleset>,
    rules: Option<RowRules>,
    decoder: Decoder,
    windows: Windows,
    keys: Option<Keys>,
    hash: String,
    roles: Roles,
}

/// The slots of the fields that have a role.
#[derive(Clone, Copy, Debug)]
struct Roles {
    id: Option<usize>,
    entity: Option<usize>,
    event_time: Option<usize>,
}

/// Records after decode, check and protect.
#[derive(Debug, Default)]
pub struct Checked {
    /// All rows that could be decoded, protected. A row that failed a rule says so in its verdict.
    pub batch: Batch,
    /// For each row the record, by index, that it came from.
    pub origins: Vec<usize>,
    /// What could not be decoded.
    pub rejects: Vec<Reject>,
    /// Each sentinel with the record, by index, that it came from. It is dropped by the rule
    /// [`sentinel::RULE`](crate::sentinel::RULE).
    pub sentinels: Vec<(usize, Sentinel)>,
}

/// Records that are ready for windows and features.
#[derive(Debug, Default)]
pub struct Intake {
    /// The rows that every rule let pass, with fields and derived columns; window columns are null.
    pub batch: Batch,
    /// For each row the record, by index, that it came from.
    pub origins: Vec<usize>,
    /// What could not be decoded, and what a rule refused.
    pub rejects: Vec<Reject>,
    /// As in [`Checked`].
    pub sentinels: Vec<(usize, Sentinel)>,
}

/// Rows of a file that are ready for windows.
#[derive(Debug, Default)]
pub struct Admitted {
    /// The rows that every rule let pass, as in [`Intake`].
    pub batch: Batch,
    /// What a rule refused. The payload is empty: the file is still there.
    pub rejects: Vec<Reject>,
    /// The entities of the rows that a rule refused, protected as those of the others are.
    pub refused: BTreeSet<String>,
}

/// The rule that a row fails whose event time is too far ahead of its arrival, as it stands in a verdict.
pub const AHEAD: &str = "max_ahead";

impl Engine {
    /// Checks `recipe` with `rules` as a whole: types, names, reachability, expressions, row rules. All errors at once.
    /// `keys` may be left out where nothing is read from data, and where the recipe tokenizes nothing.
    pub fn new(
        recipe: Recipe,
        rules: Option<Source<'_>>,
        keys: Option<Keys>,
    ) -> Result<Engine, Vec<Diagnostic>> {
        let ruleset = rules.map(|rules| quality::parse(rules.file, rules.text)).transpose()?;
        let fields = recipe.columns();
        let rules = ruleset.as_ref().map(|ruleset| RowRules::compile(ruleset, &fields)).transpose();
        let mut errors = Vec::new();
        let rules = rules.unwrap_or_else(|more| {
            errors.extend(more);
            None
        });
        let quarantining = rules.as_ref().map(quarantining);
        let plan = match plan(&recipe, quarantining.as_deref()) {
            Ok(plan) => plan,
            Err(more) => {
                errors.extend(more);
                return Err(errors);
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let decoder = Decoder::new(&recipe, keys.clone(), Limits::default());
        let windows = Windows::new(&recipe, &plan.columns);
        let hash = recipe.hash(ruleset.as_ref().map(ToString::to_string).as_deref());
        let roles = Roles {
            id: recipe.schema.role(Role::Id),
            entity: recipe.schema.role(Role::Entity),
            event_time: recipe.schema.role(Role::EventTime),
        };
        Ok(Engine { recipe, plan, ruleset, rules, decoder, windows, keys, hash, roles })
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What the recipe comes to.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The ruleset, with data-set rules and row rules.
    pub fn ruleset(&self) -> Option<&Ruleset> {
        self.ruleset.as_ref()
    }

    /// The rules that judge a row by itself.
    pub fn rules(&self) -> Option<&RowRules> {
        self.rules.as_ref()
    }

    /// What a record of quality says first: a run over `dataset` at `now`, in microseconds since 1970 UTC, by this recipe.
    pub fn about(&self, dataset: &str, run: &str, now: i64) -> About {
        About {
            dataset: dataset.to_owned(),
            run: run.to_owned(),
            now,
            recipe: Some((self.recipe.name.clone(), self.hash.clone())),
            ruleset_hash: self.rules.as_ref().map(|rules| rules.hash().to_owned()),
        }
    }

    /// The way from lines to rows.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The windows.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The recipe's hash with its ruleset's: 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The keys, if there are any.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// Errs if the recipe tokenizes and the engine was given no keys: asked at start, not at the first record.
    pub fn ready(&self) -> Result<(), MissingKeys> {
        if protect::needs_keys(&self.recipe) && self.keys.is_none() {
            return Err(MissingKeys);
        }
        Ok(())
    }

    /// Decodes, checks and protects `records`: as far as Firehose and `cleanse` go. No row is left out by a rule.
    pub fn check(&self, records: &[RawRecord<'_>]) -> Result<Checked, MissingKeys> {
        let mut checked = Checked { batch: self.decoder.batch(), ..Checked::default() };
        checked.batch.reserve(records.len());
        for (index, record) in records.iter().enumerate() {
            let found = self.decoder.record(record, &mut checked.batch, &mut checked.rejects);
            checked.sentinels.extend(found.into_iter().map(|sentinel| (index, sentinel)));
            checked.origins.resize(checked.batch.len(), index);
        }
        self.judge(&mut checked.batch)?;
        Ok(checked)
    }

    /// Checks and protects rows that were decoded: each gets a verdict, and what is personal is protected. The verdict
    /// of a landed line stands if this ruleset gave it, but for [`AHEAD`], which is no rule of a ruleset; else the row is
    /// judged anew. Errs if a row has something to tokenize and there are no keys.
    pub fn judge(&self, batch: &mut Batch) -> Result<(), MissingKeys> {
        // A text of this batch's own: cores that share one would wait for each other to count its users.
        let hash: Arc<str> =
            self.rules.as_ref().map_or_else(Arc::default, |rules| rules.hash().into());
        let failed = match &self.rules {
            Some(rules) => rules.judge(&batch.columns, &batch.rows),
            None => vec![Vec::new(); batch.len()],
        };
        let times = self.recipe.schema.role(Role::EventTime).map(|slot| &batch.columns[slot]);
        for (at, (row, failed)) in batch.rows.iter_mut().zip(failed).enumerate() {
            let mut verdict = match row.verdict.take() {
                Some(mut stands) if stands.rules == hash => {
                    stands.failed.retain(|rule| rule != AHEAD);
                    stands
                }
                _ => self.verdict(failed, &hash),
            };
            let time = times.and_then(|column| column.timestamp(at));
            let (arrival, bound) = (row.coordinates.arrival, self.recipe.schema.max_ahead);
            if time.is_some_and(|time| decode::ahead(time, arrival, bound).is_some()) {
                verdict.failed.push(AHEAD.to_owned());
            }
            row.verdict = Some(verdict);
        }
        protect::protect(batch, &self.recipe, self.keys.as_ref())
    }

    /// What is said of a row that fails these rules, by index; `hash` is the ruleset's.
    fn verdict(&self, mut failed: Vec<usize>, hash: &Arc<str>) -> Verdict {
        let good = Verdict { rules: hash.clone(), ..Verdict::default() };
        let Some(rules) = self.rules.as_ref().filter(|_| !failed.is_empty()) else { return good };
        let (actions, text) = (rules.actions(), |&rule: &usize| rules.texts()[rule].clone());
        failed.sort_by_key(|&rule| actions[rule]);
        let warned = failed.partition_point(|&rule| actions[rule] < RowAction::Warn);
        Verdict {
            failed: failed[..warned].iter().map(text).collect(),
            warned: failed[warned..].iter().map(text).collect(),
            ..good
        }
    }

    /// Decodes, checks, protects and derives `records`: ready for windows. What a rule refuses is a reject with the
    /// line as it came.
    pub fn intake(&self, records: &[RawRecord<'_>]) -> Result<Intake, MissingKeys> {
        let Checked { batch, origins, mut rejects, sentinels } = self.check(records)?;
        let (good, refused): (Vec<usize>, Vec<usize>) =
            (0..batch.len()).partition(|&row| !fails(&batch.rows[row]));
        for &row in &refused {
            let line = self.line(&records[origins[row]], &batch.rows[row].coordinates);
            rejects.push(reject(&batch.rows[row], line));
        }
        let origins = match refused[..] {
            [] => origins,
            _ => good.iter().map(|&row| origins[row]).collect(),
        };
        let mut batch = batch.keep(&good);
        self.derive(&mut batch);
        Ok(Intake { batch, origins, rejects, sentinels })
    }

    /// Checks, protects and derives rows that were decoded from a file: ready for windows.
    pub fn admit(&self, mut batch: Batch) -> Result<Admitted, MissingKeys> {
        self.judge(&mut batch)?;
        let (good, bad): (Vec<usize>, Vec<usize>) =
            (0..batch.len()).partition(|&row| !fails(&batch.rows[row]));
        let rejects = bad.iter().map(|&row| reject(&batch.rows[row], Vec::new())).collect();
        let refused = bad.iter().map(|&row| self.entity(&batch, row).into_owned()).collect();
        let mut batch = batch.keep(&good);
        self.derive(&mut batch);
        Ok(Admitted { batch, rejects, refused })
    }

    /// Appends derived columns, and window columns of nulls. Rows that were checked before, such as cleansed ones, enter
    /// here.
    pub fn derive(&self, batch: &mut Batch) {
        let rows = batch.len();
        batch.columns.truncate(self.recipe.schema.fields.len());
        for program in &self.plan.derives {
            let column = program.evaluate(&batch.columns, rows);
            batch.columns.push(column);
        }
        for column in &self.plan.columns[batch.columns.len()..] {
            batch.columns.push(Column::nulls(column.kind, rows));
        }
    }

    /// The entity of a row, a number in its one printed form; empty past the end.
    pub fn entity<'b>(&self, batch: &'b Batch, row: usize) -> Cow<'b, str> {
        text_of(self.roles.entity, batch, row).unwrap_or_default()
    }

    /// The id of a row, likewise; none where the schema has no `role: id`.
    pub fn id<'b>(&self, batch: &'b Batch, row: usize) -> Option<Cow<'b, str>> {
        text_of(self.roles.id, batch, row)
    }

    /// The event time of a row, in microseconds. Decode refuses an event without one.
    pub fn event_time(&self, batch: &Batch, row: usize) -> i64 {
        let slot = self.roles.event_time;
        slot.and_then(|slot| batch.columns.get(slot)?.timestamp(row)).unwrap_or_default()
    }

    /// The line that a row came from, found again in its record.
    fn line(&self, record: &RawRecord<'_>, coordinates: &Coordinates) -> Vec<u8> {
        let mut found = Vec::new();
        decode::expand(record, &self.decoder.limits, &mut |at, piece| {
            if let (Piece::Line(line), true) = (piece, at.position == coordinates.position) {
                found = line.to_vec();
            }
        });
        found
    }
}

/// The texts of the rules that keep a row out of the windows.
fn quarantining(rules: &RowRules) -> String {
    let all = rules.texts().iter().zip(rules.actions());
    let texts = all.filter(|(_, action)| **action != RowAction::Warn).map(|(text, _)| &**text);
    texts.collect::<Vec<_>>().join("\n")
}

/// The value in the column at `slot` as text, in its one printed form.
fn text_of(slot: Option<usize>, batch: &Batch, row: usize) -> Option<Cow<'_, str>> {
    match batch.columns.get(slot?)?.get(row) {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Long(x) => Some(Cow::Owned(x.to_string())),
        Value::Double(x) => Some(Cow::Owned(number::to_text(x))),
        Value::Bool(x) => Some(Cow::Owned(x.to_string())),
        Value::Timestamp(x) => Some(Cow::Owned(timestamp::to_text(x))),
        Value::Null => None,
    }
}

/// True if a rule that does not only warn said no.
pub fn fails(row: &Row) -> bool {
    row.verdict.as_ref().is_some_and(|verdict| !verdict.failed.is_empty())
}

/// The reject of a row that a rule refused.
pub fn reject(row: &Row, payload: Vec<u8>) -> Reject {
    let failed = row.verdict.as_ref().map_or(&[][..], |verdict| &verdict.failed);
    let reason = Reason {
        rule: failed.first().cloned().unwrap_or_default(),
        message: match failed {
            [_] => "the row fails this rule".to_owned(),
            _ => format!("the row fails {} rules: {}", failed.len(), failed.join("; ")),
        },
    };
    Reject { coordinates: row.coordinates.clone(), reason, payload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Features, Fit, FittedState};
    use crate::record::{Position, Sequence};

    const RECIPE: &str = include_str!("../../../recipes/card-transactions/recipe.yaml");
    const RULES: &str = include_str!("../../../recipes/card-transactions/quality.dqdl");

    fn engine() -> Engine {
        let recipe = read(Source { file: "recipe.yaml", text: RECIPE }).unwrap();
        let keys = Keys::from_secret(&[7; 32]).unwrap();
        let rules = Source { file: "quality.dqdl", text: RULES };
        Engine::new(recipe, Some(rules), Some(keys)).unwrap()
    }

    fn coordinates(n: u64) -> Coordinates {
        Coordinates {
            source: "events".into(),
            shard: "shardId-0".into(),
            position: Position { sequence: Sequence::new(&n.to_string()), sub: 0, line: 0 },
            arrival: Some(1_767_229_200_000), // 2026-01-01T01:00:00Z
        }
    }

    fn event(id: &str, time: &str, amount: &str) -> String {
        format!(
            r#"{{"transaction_id":"{id}","customer_id":"c-1","event_time":"{time}","card_number":"4111111111111111","amount":{amount},"customer_age":40,"channel":"web","merchant_id":"m-1","merchant_category":"food","country":"HK","is_fraud":0}}"#
        )
    }

    #[test]
    fn an_event_goes_through_every_stage() {
        let engine = engine();
        let lines = [
            event("t-1", "2026-01-01T00:00:00Z", "10"),
            event("t-2", "2026-01-01T00:10:00Z", "30"),
            event("t-1", "2026-01-01T00:00:00Z", "10"), // a producer's retry
            event("t-3", "2026-01-01T09:00:00Z", "1"),  // ahead of its arrival
            event("t-4", "2026-01-01T00:20:00Z", "-1"), // against a rule
            "{".to_owned(),
            crate::sentinel::record("s-1").unwrap(),
        ];
        let records: Vec<RawRecord> = lines
            .iter()
            .zip(1..)
            .map(|(line, n)| RawRecord {
                coordinates: coordinates(n),
                data: line.as_bytes(),
                landed: false,
            })
            .collect();
        let Intake { mut batch, rejects, sentinels, .. } = engine.intake(&records).unwrap();
        assert_eq!((sentinels.len(), sentinels[0].0), (1, 6));
        let rules: Vec<&str> = rejects.iter().map(|reject| &*reject.reason.rule).collect();
        assert_eq!(rejects.len(), 3, "{rules:?}");
        assert!(rules.contains(&AHEAD) && rules.contains(&"decode"), "{rules:?}");
        let refused = rejects.iter().find(|reject| reject.reason.rule.contains("amount")).unwrap();
        assert_eq!(refused.payload, lines[4].as_bytes(), "quarantine gets the line as it came");
        let card = engine.plan().slot("card_number").unwrap();
        assert!(batch.columns[card].text(0).unwrap().starts_with("t1_"));

        let replayed = Replay::new(&engine).apply(&mut batch);
        assert_eq!(replayed.repeats, [2]);
        let sum = engine.plan().slot("amount_sum_1h").unwrap();
        assert_eq!(batch.columns[sum].number(1), Some(40.0));

        let mut so_far = vec![None; engine.recipe().features.len()];
        for level in 1..=engine.plan().passes() {
            let mut fit = Fit::new(engine.recipe(), engine.plan(), level, &so_far).unwrap();
            fit.update(&batch.columns, &batch.identities());
            so_far = fit.finish().unwrap();
        }
        let (recipe, plan) = (engine.recipe(), engine.plan());
        let state =
            FittedState::new(recipe, plan, engine.hash(), batch.len() as u64, &so_far).unwrap();
        let features = Features::bind(recipe, plan, &state).unwrap();
        let columns = features.apply(&batch.columns, batch.len());
        assert_eq!(columns.len(), features.names().len());
        assert!(features.names().iter().any(|name| name == "session_count"));
    }

    #[test]
    fn a_landed_verdict_stands() {
        let engine = engine();
        let line = event("t-1", "2026-01-01T00:00:00Z", "-1");
        let raw = RawRecord { coordinates: coordinates(1), data: line.as_bytes(), landed: false };
        let checked = engine.check(&[raw]).unwrap();
        assert!(fails(&checked.batch.rows[0]));
        let mut landed = Vec::new();
        let keys = engine.keys().unwrap();
        crate::encode::landed::line(engine.recipe(), &checked.batch, 0, keys, &mut landed);
        let elsewhere =
            Coordinates { source: "s3://lake/x".into(), shard: "".into(), ..coordinates(0) };
        let again = RawRecord { coordinates: elsewhere, data: &landed, landed: true };
        let again = engine.check(&[again]).unwrap();
        assert_eq!(again.batch, checked.batch, "protected once, judged once, with its coordinates");
    }

    #[test]
    fn a_rule_that_warns_rejects_no_row() {
        let text = "{leat: 1, name: r, schema: {fields: [
            {name: who, type: string, role: entity}, {name: at, type: timestamp, role: event_time},
            {name: x, type: double}]}}";
        let engine = |rules: &str| {
            let recipe = read(Source { file: "recipe.yaml", text }).unwrap();
            Engine::new(recipe, Some(Source { file: "quality.dqdl", text: rules }), None).unwrap()
        };
        let line = br#"{"who":"c-1","at":"2026-01-01T00:00:00Z","x":9}"#;
        let raw = RawRecord { coordinates: coordinates(1), data: line, landed: false };
        let rule = |most: u32, action: &str| {
            format!("ColumnValues \"x\" < {most} labels = [\"action\" = \"{action}\"]")
        };
        let warns = engine(&format!("Rules = [ {} ]", rule(5, "warn")));
        let Intake { batch, rejects, .. } = warns.intake(std::slice::from_ref(&raw)).unwrap();
        assert_eq!((batch.len(), rejects.len()), (1, 0));
        let verdict = batch.rows[0].verdict.as_ref().unwrap();
        assert_eq!((verdict.failed.len(), &*verdict.warned), (0, &[rule(5, "warn")][..]));
        // Nor does it change what state is; a rule that rejects does.
        let plan = |engine: &Engine| engine.plan().state_plan.clone();
        assert_eq!(plan(&warns), plan(&engine("Rules = [ RowCount > 0 ]")));
        assert_ne!(plan(&warns), plan(&engine(&format!("Rules = [ {} ]", rule(5, "halt")))));

        let rules = [rule(8, "warn"), rule(7, "quarantine"), rule(6, "halt"), rule(99, "halt")];
        let all = engine(&format!("Rules = [ {} ]", rules.join(", ")));
        let rejects = all.intake(std::slice::from_ref(&raw)).unwrap().rejects;
        // The rule that halts is the reason.
        assert_eq!(rejects[0].reason.rule, rule(6, "halt"));
        assert!(rejects[0].reason.message.contains("2 rules"), "{}", rejects[0].reason.message);
    }

    #[test]
    fn how_far_ahead_an_event_may_be_is_what_this_recipe_says() {
        let text = "{leat: 1, name: r, schema: {fields: [
            {name: who, type: string, role: entity}, {name: at, type: timestamp, role: event_time}]}}";
        let engine = |bound: &str| {
            let text = text.replace("schema: {", &format!("schema: {{{bound}"));
            let recipe = read(Source { file: "recipe.yaml", text: &text }).unwrap();
            Engine::new(recipe, None, None).unwrap()
        };
        let (none, hour, day) = (engine(""), engine("max_ahead: 1h, "), engine("max_ahead: 1d, "));
        let line = br#"{"who":"c-1","at":"2026-01-01T03:00:00Z"}"#; // two hours ahead
        let raw = RawRecord { coordinates: coordinates(1), data: line, landed: false };
        for (before, after, fails) in
            [(&none, &hour, true), (&hour, &none, false), (&hour, &day, false)]
        {
            // Both have the same rules: none.
            let mut rows = before.check(std::slice::from_ref(&raw)).unwrap().batch;
            after.judge(&mut rows).unwrap();
            assert_eq!(super::fails(&rows.rows[0]), fails);
        }
    }
}
