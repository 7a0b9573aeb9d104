//! Which fields may be the event's id, whose event it is, when it happened, and what a model learns.

use leat::column::Type;
use leat::profile::{ColumnProfile, Profile, Reading};
use leat::timestamp;

use super::write::Field;
use crate::html::count;
use crate::types::{is_identifier, words};

/// A field and why it has its role.
#[derive(Clone, Debug)]
pub struct Guess {
    /// The field's name.
    pub name: String,
    /// Why.
    pub evidence: String,
}

/// The roles.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    pub id: Option<Guess>,
    pub entity: Option<Guess>,
    pub event_time: Option<Guess>,
    pub label: Option<Guess>,
}

impl Roles {
    /// The word of the role that the field has, and why.
    pub fn of(&self, name: &str) -> Option<(&'static str, &str)> {
        [
            ("id", &self.id),
            ("entity", &self.entity),
            ("event_time", &self.event_time),
            ("label", &self.label),
        ]
        .into_iter()
        .find_map(|(role, guess)| {
            guess.as_ref().filter(|g| g.name == name).map(|g| (role, g.evidence.as_str()))
        })
    }
}

/// 2000-01-01 and 2100-01-01.
const SINCE: i64 = 946_684_800_000_000;
const UNTIL: i64 = 4_102_444_800_000_000;

/// How many of `wanted` a name has; the first counts most.
fn hits(name: &str, wanted: &[&str]) -> usize {
    let words = words(name);
    wanted
        .iter()
        .rev()
        .enumerate()
        .filter(|(_, wanted)| words.iter().any(|word| word == *wanted))
        .map(|(at, _)| at + 1)
        .sum()
}

/// Guesses the roles of `fields`.
pub fn of(profile: &Profile, fields: &[Field]) -> Roles {
    let columns: Vec<&ColumnProfile> =
        fields.iter().filter_map(|field| profile.column(&field.name)).collect();
    let unix = |column: &ColumnProfile| {
        fields.iter().any(|field| field.loose && field.name == column.name) && is_unix_time(column)
    };
    let mut roles = Roles { event_time: event_time(&columns, unix), ..Roles::default() };
    let free = |roles: &Roles| -> Vec<&ColumnProfile> {
        columns.iter().copied().filter(|column| roles.of(&column.name).is_none()).collect()
    };
    roles.label = label(&free(&roles));
    roles.id = id(&free(&roles));
    roles.entity = entity(&free(&roles));
    roles
}

/// Whether every value of a column of whole numbers is a Unix time of this century.
fn is_unix_time(column: &ColumnProfile) -> bool {
    let within = |x: f64| {
        timestamp::from_unix(x as i64).is_some_and(|micros| (SINCE..UNTIL).contains(&micros))
    };
    column.kind == Type::Long
        && hits(&column.name, &["time", "timestamp", "ts", "at", "date", "epoch"]) > 0
        && column.numbers.extent().is_some_and(|(low, high)| within(low) && within(high))
}

fn event_time(columns: &[&ColumnProfile], unix: impl Fn(&ColumnProfile) -> bool) -> Option<Guess> {
    let score = |column: &ColumnProfile| {
        let words = ["updated", "date", "ts", "created", "at", "timestamp", "time", "event"];
        // The list is from the least to the most telling word.
        let mut words = words;
        words.reverse();
        (column.nulls == 0, hits(&column.name, &words))
    };
    let times =
        columns.iter().filter(|c| c.present() > 0 && (c.kind == Type::Timestamp || unix(c)));
    // The first of equals.
    let best = times.rev().max_by_key(|column| score(column))?;
    let kind = if best.kind == Type::Timestamp { "times" } else { "Unix times" };
    Some(Guess {
        name: best.name.clone(),
        evidence: format!("its values are {kind}{}", rejected(best)),
    })
}

fn label(columns: &[&ColumnProfile]) -> Option<Guess> {
    const NAMES: [&str; 14] = [
        "label",
        "target",
        "outcome",
        "survived",
        "converted",
        "clicked",
        "y",
        "is_fraud",
        "fraud",
        "churn",
        "churned",
        "is_churn",
        "default",
        "defaulted",
    ];
    let two = |column: &&&ColumnProfile| {
        let (distinct, _) = column.distinct();
        let named = NAMES.contains(&column.name.to_lowercase().as_str());
        named && column.kind != Type::Timestamp && (1.0..=20.0).contains(&distinct)
    };
    let found = columns.iter().find(two)?;
    let (distinct, _) = found.distinct();
    let evidence =
        format!("its name says so, and it has {} different values", count(distinct as u64));
    Some(Guess { name: found.name.clone(), evidence })
}

/// A key may be missing in so few rows: they are damaged.
const DAMAGED: f64 = 0.01;
/// An id may stand again so seldom: a producer has tried again.
const AGAIN: f64 = 0.02;

/// Whose events they are may be missing in so many rows.
const NOBODY: f64 = 0.5;
/// A text that no name tells to be somebody has at least so many different values.
const MANY: f64 = 20.0;

/// Whether all texts are dates, which have no time of their own: they are no key.
fn are_dates(column: &ColumnProfile) -> bool {
    column.texts.count() > 0 && column.texts.reading(Reading::Date) == column.texts.count()
}

fn is_key(column: &ColumnProfile) -> bool {
    matches!(column.kind, Type::String | Type::Long) && column.present() > 0
}

fn can_be_key(column: &ColumnProfile) -> bool {
    is_key(column) && column.missing() <= DAMAGED
}

/// That rows which have no key are rejected.
fn rejected(column: &ColumnProfile) -> String {
    match column.nulls {
        0 => String::new(),
        n => format!("; {} rows have none, and are rejected", count(n)),
    }
}

fn id(columns: &[&ColumnProfile]) -> Option<Guess> {
    let words =
        ["id", "uuid", "key", "number", "transaction", "event", "order", "record", "message"];
    let named = |column: &ColumnProfile| hits(&column.name, &words);
    let fits = |c: &&&ColumnProfile| {
        let named_so = named(c) > 0;
        let form = c.kind == Type::String && !are_dates(c) && c.texts.positions.regex().is_some();
        let (distinct, exact) = c.distinct();
        let seldom = exact && distinct >= (1.0 - AGAIN) * c.present() as f64;
        can_be_key(c) && c.rows > 1 && (c.is_unique() && (named_so || form) || seldom && named_so)
    };
    let best = columns.iter().filter(fits).rev().max_by_key(|column| named(column))?;
    let (distinct, _) = best.distinct();
    let again = best.present().saturating_sub(distinct as u64);
    let mut evidence = match again {
        0 => "each value stands once".to_owned(),
        n => format!("{} rows have an id that stands before: retries? see `dedupe`", count(n)),
    };
    evidence += &rejected(best);
    Some(Guess { name: best.name.clone(), evidence })
}

fn entity(columns: &[&ColumnProfile]) -> Option<Guess> {
    let words = [
        "id",
        "customer",
        "user",
        "account",
        "client",
        "member",
        "card",
        "device",
        "patient",
        "person",
        "sensor",
        "machine",
        "household",
        "number",
        "key",
    ];
    let who = |column: &ColumnProfile| hits(&column.name, &words[1..13]) > 0;
    let per = |column: &ColumnProfile| column.rows as f64 / column.distinct().0.max(1.0);
    let repeats = |column: &ColumnProfile| per(column) >= 1.05 && column.distinct().0 >= 2.0;
    let score = |column: &ColumnProfile| {
        let (who, id) = (who(column), is_identifier(&column.name));
        let most = column.distinct().0.min(1e9) as u64;
        (who && id, who, id && repeats(column), repeats(column), most)
    };
    // A number that is not said to number things is measured, and a text of few values describes: neither is somebody.
    let can_be = |column: &&&ColumnProfile| {
        let named = who(column) || is_identifier(&column.name);
        let one_of_many = column.kind == Type::String
            && !are_dates(column)
            && column.distinct().0 >= MANY
            && repeats(column);
        match who(column) && is_identifier(&column.name) {
            // Rows without one may belong to nobody, as of customers without an account.
            true => is_key(column) && column.missing() <= NOBODY,
            false => can_be_key(column) && (named || one_of_many),
        }
    };
    let best = columns.iter().filter(can_be).rev().max_by_key(|c| score(c))?;
    let named = who(best) || is_identifier(&best.name);
    let (distinct, exact) = best.distinct();
    let about = if exact { "" } else { "about " };
    let per = per(best);
    let mut evidence = format!("{about}{per:.1} rows for each value");
    evidence += &rejected(best);
    if distinct < 2.0 || per < 1.05 || !named {
        evidence += "; a guess for want of a better: name the field whose past counts";
    }
    Some(Guess { name: best.name.clone(), evidence })
}
