//! The oracle: one event after the other, each against its entity's whole history.

use std::collections::{BTreeMap, HashMap};

use leat::features::FittedState;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use crate::events::Event;
use crate::recipe::{FIELDS, Recipe, Rule, SECOND, Window};
use crate::value::{Kind, V};

/// The cells of a row, by column.
pub type Cells = BTreeMap<String, V>;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Malformed,
    /// It fails this rule first.
    Rule(usize),
    Ahead,
    Good,
}

/// A row that went on.
#[derive(Debug)]
pub struct Row {
    pub event: usize,
    pub late: bool,
    pub repeat: bool,
    pub cells: Cells,
}

#[derive(Debug, Default)]
pub struct Out {
    pub fates: Vec<Fate>,
    pub rows: Vec<Row>,
    pub fitted: Option<FittedState>,
    /// By the oracle: repeats of an id that is held for the last time.
    pub last_held: usize,
}

/// What the oracle makes of `events`; features with what the engine has learnt, if it has.
pub fn oracle(
    recipe: &Recipe,
    events: &[Event],
    fitted: &Option<FittedState>,
) -> Result<Out, String> {
    let mut out = Out::default();
    let mut histories: HashMap<String, History> = HashMap::new();
    for (at, event) in events.iter().enumerate() {
        let cells = decode(recipe, &event.bytes);
        let fate = cells.as_ref().map_or(Fate::Malformed, |cells| judge(recipe, cells, event));
        out.fates.push(fate);
        let Some(mut cells) = cells.filter(|_| fate == Fate::Good) else { continue };
        for (name, e) in &recipe.derives {
            let value = e.of(&cells);
            cells.insert(name.clone(), value);
        }
        let entity = text(&cells, "who");
        let late = histories.entry(entity).or_default().take(recipe, &mut cells);
        let repeat = late.is_none();
        if repeat {
            cells.clear();
        }
        out.rows.push(Row { event: at, late: late.unwrap_or_default(), repeat, cells });
    }
    out.last_held = histories.values().map(|history| history.last_held).sum();
    if let Some(state) = fitted {
        let half = out.rows.iter().filter(|row| !row.repeat).count().div_ceil(2);
        for (step, learnt) in recipe.steps.iter().zip(&state.steps) {
            let columns: Vec<V> = {
                let fresh = out.rows.iter().filter(|row| !row.repeat);
                fresh.map(|row| row.cells[&step.input].clone()).collect()
            };
            let labels: Vec<V> = {
                let fresh = out.rows.iter().filter(|row| !row.repeat);
                fresh.map(|row| row.cells["label"].clone()).collect()
            };
            let learnt = learnt.state.get(&step.out).unwrap_or(&Value::Null);
            step.check(recipe.spark, &columns[..half], &labels[..half], learnt)?;
            for row in out.rows.iter_mut().filter(|row| !row.repeat) {
                step.apply(recipe.spark, &mut row.cells, learnt)?;
            }
        }
    }
    Ok(out)
}

fn text(cells: &Cells, name: &str) -> String {
    match &cells[name] {
        V::Text(text) => text.clone(),
        other => panic!("`{name}` is text, not {other:?}"),
    }
}

/// The members of an object, in order, equal names too.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// The fields of a line, or nothing if it is no event.
fn decode(recipe: &Recipe, line: &[u8]) -> Option<Cells> {
    let line = std::str::from_utf8(line).ok()?;
    let mut json = serde_json::Deserializer::from_str(line);
    let members = json.deserialize_map(Members).ok()?;
    json.end().ok()?;
    let mut cells: Cells = FIELDS.iter().map(|(name, _)| ((*name).to_owned(), V::Null)).collect();
    let mut values: HashMap<String, Value> = HashMap::new();
    for (name, value) in members {
        if !cells.contains_key(&name) {
            // What is kept as it was written must be JSON too; no double has to hold its numbers.
            let number = value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
            let json = number || serde_json::from_str::<Value>(value.get()).is_ok();
            if recipe.unknown == "quarantine" || !json {
                return None;
            }
            continue;
        }
        // The last of equal names wins, but each must be JSON.
        values.insert(name, serde_json::from_str(value.get()).ok()?);
    }
    for (name, kind) in FIELDS {
        let value = typed(values.get(name).unwrap_or(&Value::Null), kind)?;
        let needed = matches!(name, "id" | "who" | "at");
        if needed && (value == V::Null || value == V::Text(String::new())) {
            return None;
        }
        cells.insert(name.to_owned(), value);
    }
    Some(cells)
}

fn typed(value: &Value, kind: Kind) -> Option<V> {
    // Whole, and told from its neighbours.
    let whole =
        |x: f64| (x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0).then_some(x as i64);
    let long = |n: &serde_json::Number| match n.is_u64() || n.is_i64() {
        true => n.as_i64(),
        false => n.as_f64().and_then(whole),
    };
    Some(match (kind, value) {
        (_, Value::Null) => V::Null,
        (Kind::Bool, Value::Bool(x)) => V::Bool(*x),
        (Kind::Text, Value::String(x)) => V::Text(x.clone()),
        (Kind::Double, Value::Number(n)) => V::double(n.as_f64()?),
        (Kind::Long, Value::Number(n)) => V::Long(long(n)?),
        (Kind::Time, Value::Number(n)) => V::Time(leat::timestamp::from_unix(long(n)?)?),
        (Kind::Time, Value::String(x)) => V::Time(leat::timestamp::parse(x)?),
        _ => return None,
    })
}

fn judge(recipe: &Recipe, cells: &Cells, event: &Event) -> Fate {
    if let Some(rule) = recipe.rules.iter().position(|rule| !passes(rule, cells)) {
        return Fate::Rule(rule);
    }
    let V::Time(time) = cells["at"] else { panic!("an event has a time") };
    match (event.arrival, recipe.max_ahead) {
        (Some(arrival), Some(bound)) if time > arrival * 1000 + bound => Fate::Ahead,
        _ => Fate::Good,
    }
}

fn passes(rule: &Rule, cells: &Cells) -> bool {
    match rule {
        Rule::Complete(column) => cells[*column] != V::Null,
        Rule::Number(column, sign, x, null) => match cells[*column].number() {
            None => *null || *sign == "!=",
            Some(y) => match *sign {
                "=" => y == *x,
                "!=" => y != *x,
                "<" => y < *x,
                "<=" => y <= *x,
                ">" => y > *x,
                _ => y >= *x,
            },
        },
        Rule::Between(column, low, high) => {
            cells[*column].number().is_some_and(|x| *low < x && x < *high)
        }
        Rule::In(column, texts, null) => match &cells[*column] {
            V::Text(text) => texts.contains(&text.as_str()),
            _ => *null,
        },
        Rule::Matches(column, _) => match &cells[*column] {
            V::Text(text) => text.chars().all(|c| c.is_ascii_lowercase() || c == '\''),
            _ => false,
        },
    }
}

/// All that an entity did.
#[derive(Default)]
struct History {
    events: Vec<Past>,
    /// Times and ids that are held, as they were applied.
    held: Vec<(i64, String)>,
    /// By window: the events that an exact one keeps.
    kept: HashMap<usize, Vec<usize>>,
    /// The start and the count of the open session.
    session: Option<(i64, i64)>,
    /// How many there were before it.
    sessions: i64,
    /// See [`Out::last_held`].
    last_held: usize,
}

struct Past {
    time: i64,
    /// The entity's greatest time, with this event.
    clock: i64,
    cells: Cells,
}

impl History {
    /// Takes an event in and adds its window columns. Whether it came late; nothing of a repeat.
    fn take(&mut self, recipe: &Recipe, cells: &mut Cells) -> Option<bool> {
        let V::Time(time) = cells["at"] else { panic!("an event has a time") };
        let id = text(cells, "id");
        let before = self.events.last().map(|past| past.clock);
        if let Some((within, _)) = recipe.dedupe
            && let Some((held, _)) = self.held.iter().find(|(_, held)| *held == id)
        {
            self.last_held += usize::from(before == Some(held + within));
            return None;
        }
        let clock = before.map_or(time, |before| before.max(time));
        self.events.push(Past { time, clock, cells: cells.clone() });
        let mut late = false;
        for (at, window) in recipe.windows.iter().enumerate() {
            match window {
                Window::Session { gap, max } => {
                    late |= self.session(*gap, *max, time, before, cells);
                }
                Window::Over { aggregates, over, exact, exclude_current } => {
                    let kept = exact.map(|most| self.keep(at, over, most, *exclude_current));
                    late |= kept.as_ref().is_some_and(|kept| kept.late);
                    for size in over {
                        let seen = match &kept {
                            Some(kept) => {
                                let first = time - size * SECOND;
                                let within = |&&at: &&usize| {
                                    first < self.events[at].time && self.events[at].time <= time
                                };
                                vec![kept.events.iter().filter(within).copied().collect()]
                            }
                            None => {
                                let (tiles, gone) = self.tiles(recipe, *size, *exclude_current);
                                late |= gone;
                                tiles
                            }
                        };
                        for (function, column) in aggregates {
                            let value = self.aggregate(function, column.as_deref(), &seen);
                            let name = match column {
                                Some(column) => format!("{column}_{function}_{size}s"),
                                None => format!("{function}_{size}s"),
                            };
                            cells.insert(name, value);
                        }
                    }
                }
            }
        }
        if let Some((within, most)) = recipe.dedupe {
            self.held.push((time, id));
            self.held.retain(|(held, _)| held + within >= clock);
            if self.held.len() > most {
                let oldest = (0..self.held.len()).min_by_key(|&at| self.held[at].0);
                self.held.remove(oldest.unwrap_or_default());
            }
        }
        Some(late)
    }

    /// The events of a sawtooth window that ends with the last event, by tile; and whether the event came too late.
    fn tiles(&self, recipe: &Recipe, size: i64, exclude_current: bool) -> (Vec<Vec<usize>>, bool) {
        let hop = hop(size);
        let sawteeth = recipe.windows.iter().flat_map(|window| match window {
            Window::Over { over, exact: None, .. } => over.clone(),
            _ => Vec::new(),
        });
        // A tile lives until no window of its hop reaches it any more.
        let reach = sawteeth.filter(|other| self::hop(*other) == hop).max().unwrap_or(size);
        let tile = |time: i64| time.div_euclid(hop * SECOND);
        let lives = |past: &Past, clock: i64| tile(past.time) >= tile(clock - reach * SECOND);
        let last = self.events.len() - 1;
        let now = &self.events[last];
        let mut tiles: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (at, past) in self.events.iter().enumerate() {
            let covered = tile(now.time - size * SECOND) <= tile(past.time)
                && tile(past.time) <= tile(now.time);
            let taken = lives(past, past.clock) && lives(past, now.clock);
            if covered && taken && at != last || at == last && !exclude_current {
                tiles.entry(tile(past.time)).or_default().push(at);
            }
        }
        (tiles.into_values().collect(), !lives(now, now.clock))
    }

    /// What the exact window `window` keeps when the last event has come, and sees of it.
    fn keep(&mut self, window: usize, over: &[i64], most: usize, exclude_current: bool) -> Kept {
        let last = self.events.len() - 1;
        let Past { time, clock, .. } = self.events[last];
        let oldest = clock - over.iter().max().unwrap_or(&0) * SECOND;
        let kept = self.kept.entry(window).or_default();
        kept.retain(|&at| self.events[at].time > oldest);
        let before = kept.clone();
        let late = time <= oldest;
        if !late {
            kept.push(last);
            if kept.len() > most {
                let least = (0..kept.len()).min_by_key(|&at| self.events[kept[at]].time);
                kept.remove(least.unwrap_or_default());
            }
        }
        let mut events = if exclude_current { before } else { kept.clone() };
        if !exclude_current && !events.contains(&last) {
            events.push(last); // it sees itself, whatever is kept
        }
        Kept { events, late }
    }

    fn session(
        &mut self,
        gap: i64,
        max: Option<i64>,
        time: i64,
        before: Option<i64>,
        cells: &mut Cells,
    ) -> bool {
        let late = self.session.is_some_and(|(start, _)| time < start);
        let (start, count) = match (self.session, before) {
            _ if late => (time, 1),
            (Some((start, count)), Some(before))
                if time - before <= gap * SECOND
                    && max.is_none_or(|max| time - start <= max * SECOND) =>
            {
                (start, count + 1)
            }
            _ => (time, 1),
        };
        if !late {
            let is_first = self.session.is_none();
            self.session = Some((start, count));
            self.sessions += i64::from(count == 1 && !is_first);
        }
        let id = xxh3_128(format!("{}\0{start}", text(cells, "who")).as_bytes());
        let seconds = |from: i64| V::double((time - from) as f64 / 1e6);
        cells.insert("session_id".into(), V::Text(format!("{id:032x}")));
        cells.insert("session_count".into(), V::Long(count));
        cells.insert("session_duration".into(), seconds(start));
        let number = if late { V::Null } else { V::Long(self.sessions) };
        cells.insert("session_number".into(), number);
        cells.insert("session_since_previous".into(), before.map_or(V::Null, seconds));
        late
    }

    /// An aggregate of events that come in groups: each group's sum first, then the sum of sums.
    fn aggregate(&self, function: &str, column: Option<&str>, groups: &[Vec<usize>]) -> V {
        let Some(column) = column else {
            return V::Long(groups.iter().map(|group| group.len() as i64).sum());
        };
        let (mut count, mut sum, mut max) = (0, 0.0, f64::NEG_INFINITY);
        for group in groups {
            let mut of_group = 0.0;
            for &at in group {
                let value = &self.events[at].cells[column];
                count += i64::from(*value != V::Null);
                if let Some(x) = value.number() {
                    of_group += x;
                    max = if x > max { x } else { max };
                }
            }
            sum += of_group;
        }
        match function {
            "count" => V::Long(count),
            _ if count == 0 => V::Null,
            "sum" => V::finite(sum),
            "mean" => V::finite(sum / count as f64),
            _ => V::finite(max),
        }
    }
}

struct Kept {
    /// What the event sees, as it was applied.
    events: Vec<usize>,
    late: bool,
}

/// The tile's length in seconds for a window of `size` seconds.
fn hop(size: i64) -> i64 {
    match size / 3600 {
        hours if hours >= 12 * 24 => 86_400,
        hours if hours >= 12 => 3_600,
        hours if hours >= 1 => 300,
        _ => 60,
    }
}
