//! YAML text → a tree of nodes with places. What a recipe has no use for is refused: anchors, aliases, tags, a second
//! document; and so is what is too large or too deep. A key that comes twice is an error of its own.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::Place;
use super::report::Report;
use crate::number;

/// A recipe has at most so many bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// Lists and maps are nested at most so deep.
const MAX_DEPTH: usize = 16;
/// A recipe has at most so many keys and values.
const MAX_NODES: usize = 20_000;

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub data: Data,
}

#[derive(Debug)]
pub(crate) enum Data {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// It was reported already.
    Refused,
}

/// A key, where it begins, and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

#[derive(Debug)]
pub(crate) struct Scalar {
    /// The text, without quotes.
    pub text: String,
    /// True if it has no quotes, so that it may be a number, a bool or null.
    pub plain: bool,
    /// Where the text itself begins, if it stands on one line as it is: no folding, no escapes.
    pub inside: Option<Place>,
}

/// What a plain scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Meaning<'a> {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    Text(&'a str),
}

impl Scalar {
    /// The meaning, as in YAML 1.2's core schema with decimal numbers only.
    pub fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        if !self.plain {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" => Meaning::Bool(true),
            "false" | "False" | "FALSE" => Meaning::Bool(false),
            _ => text.parse().map(Meaning::Long).unwrap_or_else(|_| {
                let digits = text.bytes().any(|b| b.is_ascii_digit());
                let double = number::parse(text).filter(|x| digits && x.is_finite());
                double.map_or(Meaning::Text(text), Meaning::Double)
            }),
        }
    }
}

impl Node {
    /// What the node is, for a message.
    pub fn describe(&self) -> String {
        match &self.data {
            Data::List(_) => "a list".into(),
            Data::Map(_) => "a map".into(),
            Data::Refused => "nothing".into(),
            Data::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => "nothing".into(),
                Meaning::Bool(bool) => format!("the bool {bool}"),
                Meaning::Long(_) | Meaning::Double(_) => {
                    format!("the number {}", short(&scalar.text))
                }
                Meaning::Text(text) => format!("the text `{}`", short(text)),
            },
        }
    }
}

/// At most 40 characters of `text`, on one line.
pub(crate) fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The tree of `text`; `None` if there is none to go on with. Errors go to `report`.
pub(crate) fn load(text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let message = format!(
            "the {} has {} bytes; at most {MAX_BYTES} are allowed",
            report.what,
            text.len()
        );
        report.error(Place { line: 1, column: 1 }, message, None);
        return None;
    }
    let mut builder = Builder { report, open: Vec::new(), root: None, nodes: 0 };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, span)?,
            Err(e) => {
                let hint = "a value with : or # in it, or that begins with one of * & ! % @ ` { [, stands in quotes";
                builder.report.error(
                    place(e.marker()),
                    format!("no YAML: {}", e.info()),
                    Some(hint.into()),
                );
                return None;
            }
        }
    }
    let root = builder.root;
    if root.is_none() {
        let message = format!("the {} is empty", report.what);
        report.error(Place { line: 1, column: 1 }, message, None);
    }
    root
}

struct Builder<'r> {
    report: &'r mut Report,
    /// Lists and maps that have not ended, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

struct Open {
    place: Place,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The line of each key so far.
        lines: HashMap<String, usize>,
        /// The key whose value comes next; its name is none if it cannot be one.
        key: Option<(Option<String>, Place)>,
    },
}

impl Builder<'_> {
    /// Takes an event; `None` ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let place = place(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    let hint = Some("take out the line ---".into());
                    self.report.error(
                        place,
                        format!("a {} is one document; here begins a second", self.report.what),
                        hint,
                    );
                    return None;
                }
            }
            Event::Alias(_) => {
                let hint = Some("write the value out".into());
                let message = format!("a {} has no aliases (*name)", self.report.what);
                self.report.error(place, message, hint);
                self.add(Node { place, data: Data::Refused })?;
            }
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(place, tag.is_some());
                let plain = style == ScalarStyle::Plain;
                let quote = match style {
                    ScalarStyle::Plain => Some(0),
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Some(1),
                    ScalarStyle::Literal | ScalarStyle::Folded => None,
                };
                let characters = text.chars().count();
                let inside = quote
                    .filter(|quote| {
                        span.start.line() == span.end.line() && span.len() == characters + 2 * quote
                    })
                    .map(|quote| Place { column: place.column + quote, ..place });
                let scalar = Scalar { text: text.into_owned(), plain, inside };
                self.add(Node { place, data: Data::Scalar(scalar) })?;
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(place, tag.is_some());
                self.begin(place, Kind::List(Vec::new()))?;
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(place, tag.is_some());
                let kind = Kind::Map { entries: Vec::new(), lines: HashMap::new(), key: None };
                self.begin(place, kind)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { place, kind } = self.open.pop()?;
                let data = match kind {
                    Kind::List(items) => Data::List(items),
                    Kind::Map { entries, .. } => Data::Map(entries),
                };
                self.add(Node { place, data })?;
            }
        }
        Some(())
    }

    fn begin(&mut self, place: Place, kind: Kind) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("lists and maps are nested deeper than {MAX_DEPTH}");
            self.report.error(place, message, None);
            return None;
        }
        self.open.push(Open { place, kind });
        Some(())
    }

    /// Puts a node where it belongs: into the innermost open list or map, as a key or a value, or at the root.
    fn add(&mut self, node: Node) -> Option<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let what = self.report.what;
            let message = format!("the {what} has more than {MAX_NODES} keys and values");
            self.report.error(node.place, message, None);
            return None;
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map { key: key @ None, .. }) => {
                let name = match node.data {
                    Data::Scalar(scalar) => Some(scalar.text),
                    Data::List(_) | Data::Map(_) | Data::Refused => {
                        self.report.error(node.place, "a key is a text, not a list or a map", None);
                        None
                    }
                };
                *key = Some((name, node.place));
            }
            Some(Kind::Map { entries, lines, key }) => {
                let (name, place) = key.take()?;
                let Some(key) = name else { return Some(()) };
                match lines.get(&key) {
                    Some(line) => {
                        let message = format!("the key `{}` is here a second time", short(&key));
                        let hint = Some(format!("it stands in line {line} already"));
                        self.report.error(place, message, hint);
                    }
                    None => {
                        lines.insert(key.clone(), place.line);
                        entries.push(Entry { key, place, value: node });
                    }
                }
            }
        }
        Some(())
    }

    fn refuse_tag(&mut self, place: Place, tagged: bool) {
        if tagged {
            let hint = Some(
                "write the value without it; a text that looks like a number stands in quotes"
                    .into(),
            );
            let message = format!("a {} has no tags (!name)", self.report.what);
            self.report.error(place, message, hint);
        }
    }
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}
