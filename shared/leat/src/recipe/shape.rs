//! A tree of nodes against the tables of keys: what comes out has the shape that the tables say; what has not is
//! reported and left out.

use super::keys::{Key, Kind, Section};
use super::report::{Report, did_you_mean};
use super::yaml::{Data, Entry, Meaning, Node, Scalar, short};
use super::{Place, Span};
use crate::diagnostic::nearest;

/// A list of names or spans has at most so many.
const MAX_ITEMS: usize = 500;

/// A value of the shape that its key says, and where it begins.
#[derive(Debug)]
pub(super) struct Item<'n> {
    pub place: Place,
    pub value: Value<'n>,
    /// True if it is a list or a map of names from which an entry was left out.
    pub lost: bool,
}

#[derive(Debug)]
pub(super) enum Value<'n> {
    Bool(bool),
    Integer(i64),
    Text(&'n str),
    Span(Span),
    Expression(&'n Scalar),
    List(Vec<Item<'n>>),
    /// The word `all`.
    All,
    Map(Map<'n>),
    Step(&'n [Entry]),
}

/// The entries of a section or of a map of names.
#[derive(Debug)]
pub(super) struct Map<'n> {
    pub place: Place,
    pub section: Option<&'static Section>,
    pub entries: Vec<(&'n str, Place, Item<'n>)>,
    /// Keys of the section that were written and left out, as their values did not fit.
    pub failed: Vec<&'static str>,
}

impl<'n> Map<'n> {
    fn new(place: Place, section: Option<&'static Section>) -> Self {
        Map { place, section, entries: Vec::new(), failed: Vec::new() }
    }

    pub fn get(&self, key: &str) -> Option<&Item<'n>> {
        self.entries.iter().find(|(name, ..)| *name == key).map(|(.., item)| item)
    }

    pub fn text(&self, key: &str) -> Option<&'n str> {
        match self.get(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn span(&self, key: &str) -> Option<Span> {
        self.get(key)?.span()
    }

    /// The bool, or the default that the table has.
    pub fn bool(&self, key: &str) -> bool {
        match self.get(key).map(|item| &item.value) {
            Some(Value::Bool(bool)) => *bool,
            _ => self.default(key) == Some("true"),
        }
    }

    /// The whole number, or the default that the table has.
    pub fn whole(&self, key: &str) -> usize {
        let written = match self.get(key).map(|item| &item.value) {
            Some(Value::Integer(integer)) => usize::try_from(*integer).ok(),
            _ => None,
        };
        written.or_else(|| self.default(key)?.parse().ok()).unwrap_or_default()
    }

    pub fn map(&self, key: &str) -> Option<&Map<'n>> {
        match &self.get(key)?.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items of a list; none if it is not there.
    pub fn list(&self, key: &str) -> &[Item<'n>] {
        match self.get(key).map(|item| &item.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// The maps of a list of sections.
    pub fn maps(&self, key: &str) -> impl Iterator<Item = &Map<'n>> {
        self.list(key).iter().filter_map(|item| match &item.value {
            Value::Map(map) => Some(map),
            _ => None,
        })
    }

    fn default(&self, key: &str) -> Option<&'static str> {
        self.section?.keys.iter().find(|k| k.name == key).map(|k| k.default)
    }
}

impl<'n> Item<'n> {
    pub fn span(&self) -> Option<Span> {
        match &self.value {
            Value::Span(span) => Some(span.clone()),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&'n str> {
        match self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// `node` as a map with the keys of `section`.
pub(super) fn section<'n>(
    node: &'n Node,
    section: &'static Section,
    report: &mut Report,
) -> Option<Map<'n>> {
    let Data::Map(entries) = &node.data else {
        let message = format!("{} is a map of keys; this is {}", section.name, node.describe());
        report.error(node.place, message, Some(keys_of(section.keys)));
        return None;
    };
    let mut map =
        Map { place: node.place, section: Some(section), entries: Vec::new(), failed: Vec::new() };
    for Entry { key, place, value } in entries {
        match section.keys.iter().find(|k| k.name == key) {
            None => unknown_key(key, *place, section.name, section.keys, report),
            Some(known) => match item(value, *place, known.name, &known.kind, report) {
                Some(item) => map.entries.push((key, *place, item)),
                None => map.failed.push(known.name),
            },
        }
    }
    require(node.place, entries, section, report);
    Some(map)
}

/// Reports a key that no table knows.
pub(super) fn unknown_key(key: &str, place: Place, owner: &str, keys: &[Key], report: &mut Report) {
    let near = did_you_mean(nearest(key, keys.iter().map(|k| k.name)));
    let hint = near.unwrap_or_else(|| keys_of(keys));
    report.error(place, format!("`{}` is not a key of {owner}", short(key)), Some(hint));
}

/// Reports the keys of `section` that must be there and are not.
pub(super) fn require(place: Place, entries: &[Entry], section: &Section, report: &mut Report) {
    for key in section.keys.iter().filter(|k| k.required) {
        if entries.iter().all(|entry| entry.key != key.name) {
            let message = format!("{} lacks the key `{}`", section.name, key.name);
            report.error(place, message, Some(key.help.to_owned()));
        }
    }
}

/// `node`, the value of `key`, as a `kind`. A value that is nothing is reported at the key's own place.
pub(super) fn item<'n>(
    node: &'n Node,
    key_place: Place,
    key: &str,
    kind: &'static Kind,
    report: &mut Report,
) -> Option<Item<'n>> {
    match &node.data {
        Data::Refused => return None,
        Data::Scalar(scalar) if scalar.meaning() == Meaning::Null => {
            let hint = format!("it takes {}", kind.expected());
            report.error(key_place, format!("`{key}` has no value"), Some(hint));
            return None;
        }
        _ => {}
    }
    let value = match (kind, &node.data) {
        (Kind::Section(known), _) => Value::Map(section(node, known, report)?),
        (Kind::Either(sections), _) => Value::Map(either(node, sections, report)?),
        (Kind::OneOrMany(kind) | Kind::AllOr(kind), Data::List(items)) => {
            bounded(items.len(), MAX_ITEMS, key, node, report)?;
            if items.is_empty() {
                report.error(node.place, format!("`{key}` is an empty list"), None);
            }
            Value::List(all(items, key, kind, report))
        }
        (Kind::OneOrMany(kind), _) => Value::List(vec![item(node, key_place, key, kind, report)?]),
        (Kind::List(kind, max), Data::List(items)) => {
            bounded(items.len(), *max, key, node, report)?;
            Value::List(all(items, key, kind, report))
        }
        (Kind::Named(kind, max), Data::Map(entries)) => {
            bounded(entries.len(), *max, key, node, report)?;
            let mut map = Map::new(node.place, None);
            for Entry { key, place, value } in entries {
                let item = item(value, *place, key, kind, report);
                map.entries.extend(item.map(|item| (key.as_str(), *place, item)));
            }
            Value::Map(map)
        }
        (Kind::Step, Data::Map(entries)) => Value::Step(entries),
        (Kind::Expression, Data::Scalar(scalar)) => Value::Expression(scalar),
        (_, data) => {
            let fit = match data {
                Data::Scalar(value) => scalar(value.meaning(), kind),
                _ => Err(None),
            };
            let refused = |hint| {
                let message =
                    format!("`{key}` takes {}; this is {}", kind.expected(), node.describe());
                report.error(node.place, message, hint);
            };
            fit.map_err(refused).ok()?
        }
    };
    let lost = match (&value, &node.data) {
        (Value::List(kept), Data::List(items)) => kept.len() < items.len(),
        (Value::Map(kept), Data::Map(entries)) => {
            kept.section.is_none() && kept.entries.len() < entries.len()
        }
        _ => false,
    };
    Some(Item { place: node.place, value, lost })
}

fn bounded(len: usize, max: usize, key: &str, node: &Node, report: &mut Report) -> Option<()> {
    if len > max {
        let message = format!("`{key}` has {len} entries; at most {max} are allowed");
        report.error(node.place, message, None);
        return None;
    }
    Some(())
}

fn all<'n>(
    items: &'n [Node],
    key: &str,
    kind: &'static Kind,
    report: &mut Report,
) -> Vec<Item<'n>> {
    items.iter().filter_map(|node| item(node, node.place, key, kind, report)).collect()
}

fn either<'n>(
    node: &'n Node,
    sections: &'static [&'static Section],
    report: &mut Report,
) -> Option<Map<'n>> {
    let has = |key: &str| match &node.data {
        Data::Map(entries) => entries.iter().any(|entry| entry.key == key),
        _ => false,
    };
    let first = |section: &Section| section.keys.first().is_some_and(|key| has(key.name));
    let chosen = sections.iter().find(|section| first(section)).or(sections.last())?;
    section(node, chosen, report)
}

/// A plain value; what is not one is an error with a hint.
fn scalar<'n>(meaning: Meaning<'n>, kind: &Kind) -> Result<Value<'n>, Option<String>> {
    match (kind, meaning) {
        (Kind::Version, Meaning::Long(1)) => Ok(Value::Integer(1)),
        (Kind::Bool, Meaning::Bool(bool)) => Ok(Value::Bool(bool)),
        (Kind::Integer { min, max }, Meaning::Long(integer))
            if (*min..=*max).contains(&integer) =>
        {
            Ok(Value::Integer(integer))
        }
        (Kind::Word(words), Meaning::Text(text)) => match words.contains(&text) {
            true => Ok(Value::Text(text)),
            false => Err(did_you_mean(nearest(text, words.iter().copied()))),
        },
        (Kind::Text(form), Meaning::Text(text)) => match (form.fits)(text) {
            true => Ok(Value::Text(text)),
            false => Err((form.why)(text).map(str::to_owned)),
        },
        (Kind::Text(_), Meaning::Long(_) | Meaning::Double(_) | Meaning::Bool(_)) => {
            Err(Some("put it in quotes if it is a text".into()))
        }
        (Kind::AllOr(_), Meaning::Text("all")) => Ok(Value::All),
        (Kind::Span, Meaning::Text(text)) => {
            Span::parse(text).map(Value::Span).ok_or_else(|| Some(Span::HINT.into()))
        }
        (Kind::Span, Meaning::Long(_)) => Err(Some(Span::HINT.into())),
        _ => Err(None),
    }
}

impl Kind {
    /// What the key takes, in words.
    pub fn expected(&self) -> String {
        match self {
            Kind::Version => "the number 1".into(),
            Kind::Bool => "true or false".into(),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Word([word]) => format!("`{word}`"),
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Text(form) => form.expected.into(),
            Kind::Expression => "an SQL expression".into(),
            Kind::Span => "a length of time".into(),
            Kind::OneOrMany(kind) => format!("{}, or a list of such", kind.expected()),
            Kind::List(..) => "a list".into(),
            Kind::AllOr(_) => "all, or a list of names".into(),
            Kind::Section(_) | Kind::Either(_) => "a map of keys".into(),
            Kind::Step => "steps, each a map of keys".into(),
            Kind::Named(..) => "a map of names".into(),
        }
    }
}

fn keys_of(keys: &[Key]) -> String {
    format!("its keys are {}", keys.iter().map(|k| k.name).collect::<Vec<_>>().join(", "))
}
