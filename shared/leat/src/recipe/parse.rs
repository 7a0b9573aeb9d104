//! A recipe's text → its model.

use super::check::{self, Places};
use super::keys::RECIPE;
use super::report::Report;
use super::shape::{self, Map, Value};
use super::spec::OperatorSpec;
use super::yaml;
use super::{
    Aggregate, Dedupe, Derive, Dialect, Field, Format, Method, Place, Protect, Recipe, Role,
    Schema, SessionField, Span, UnknownFields, Window, steps,
};
use crate::column::Type;
use crate::diagnostic::Diagnostic;

/// Reads the recipe `text` and checks all that its text allows; `operators` are those that its steps may name. `file`
/// is said in errors. All errors of the text come at once, by place.
pub fn read(file: &str, text: &str, operators: &[OperatorSpec]) -> Result<Recipe, Vec<Diagnostic>> {
    let mut report = Report::new(file);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = yaml::load(text, &mut report);
    let map = root.as_ref().and_then(|root| shape::section(root, &RECIPE, &mut report));
    let Some(map) = map else { return Err(report.finish().err().unwrap_or_default()) };
    let mut places = Places::default();
    let mut recipe = recipe(file, &map, operators, &mut places, &mut report);
    check::check(&mut recipe, &places, operators, &mut report);
    report.finish().map(|()| recipe)
}

fn recipe(
    file: &str,
    map: &Map<'_>,
    operators: &[OperatorSpec],
    places: &mut Places,
    report: &mut Report,
) -> Recipe {
    places.schema = map.get("schema").map_or(map.place, |item| item.place);
    // What names columns and could not be read: whatever names one later may be right.
    places.nameless = loses(map, "derive") || loses(map, "windows") || loses(map, "schema");
    let mut features = Vec::new();
    for item in map.list("features") {
        if let Value::Step(entries) = item.value {
            let (step, whole) = steps::step(item.place, entries, operators, report);
            features.push(step);
            places.whole.push(whole);
        }
    }
    let output = map.map("output").map_or(&[][..], |output| output.list("features"));
    places.output = output.iter().map(|item| item.place).collect();
    Recipe {
        file: file.to_owned(),
        name: map.text("name").unwrap_or_default().to_owned(),
        dialect: match map.text("dialect") {
            Some("spark") => Dialect::Spark,
            _ => Dialect::Sklearn,
        },
        schema: schema(map.map("schema"), places, report),
        quality: map.text("quality").map(str::to_owned),
        protect: map.maps("protect").filter_map(|entry| protect(entry, report)).collect(),
        derive: derive(map.map("derive"), places),
        windows: map.maps("windows").map(|entry| window(entry, places, report)).collect(),
        features,
        output: output.iter().filter_map(|item| item.text().map(str::to_owned)).collect(),
    }
}

/// True if the value of `key`, or an entry of it, was left out.
fn loses(map: &Map<'_>, key: &'static str) -> bool {
    map.failed.contains(&key) || map.get(key).is_some_and(|item| item.lost)
}

fn schema(map: Option<&Map<'_>>, places: &mut Places, report: &mut Report) -> Schema {
    let text = |key| map.and_then(|map| map.text(key));
    let dedupe = map.and_then(|map| map.map("dedupe"));
    places.nameless |= map.is_some_and(|map| loses(map, "fields"));
    Schema {
        format: Format::Json,
        fields: map.map_or_else(Vec::new, |map| {
            map.maps("fields").filter_map(|entry| field(entry, places, report)).collect()
        }),
        unknown_fields: match text("unknown_fields") {
            Some("drop") => UnknownFields::Drop,
            Some("quarantine") => UnknownFields::Quarantine,
            _ => UnknownFields::Keep,
        },
        max_ahead: map.and_then(|map| map.span("max_ahead")).map(|span| span.micros),
        dedupe: dedupe.and_then(|map| {
            Some(Dedupe { within: map.span("within")?.micros, max_ids: map.whole("max_ids") })
        }),
    }
}

/// A field; one without a name is left out, one without a type is text, so that what names it is still checked.
fn field(map: &Map<'_>, places: &mut Places, report: &mut Report) -> Option<Field> {
    places.nameless |= map.get("name").is_none();
    places.untyped |= map.get("type").is_none();
    places.roleless |= map.failed.contains(&"role") || map.get("name").is_none();
    let name = map.get("name")?;
    let tags = map.list("tags");
    if let [_, again, ..] = tags {
        report.error(again.place, "this tag is here a second time", None);
    }
    Some(Field {
        name: name.text()?.to_owned(),
        kind: Type::ALL
            .into_iter()
            .find(|kind| Some(kind.word()) == map.text("type"))
            .unwrap_or(Type::String),
        role: match map.text("role") {
            Some("id") => Some(Role::Id),
            Some("entity") => Some(Role::Entity),
            Some("event_time") => Some(Role::EventTime),
            Some("label") => Some(Role::Label),
            _ => None,
        },
        pii: tags.iter().any(|tag| tag.text() == Some("pii")),
        place: name.place,
    })
}

fn protect(map: &Map<'_>, report: &mut Report) -> Option<Protect> {
    let field = map.get("field")?;
    let method = match map.text("method") {
        Some("mask") => Method::Mask { keep: map.whole("keep") },
        Some("drop") => Method::Drop,
        // Without a good method, which is reported, the field counts as protected.
        _ => Method::Tokenize,
    };
    if let (Some(keep), Some("drop" | "tokenize")) = (map.get("keep"), map.text("method")) {
        report.error(
            keep.place,
            "`keep` goes with `method: mask` only",
            Some("leave it out".into()),
        );
    }
    Some(Protect { field: field.text()?.to_owned(), method, place: field.place })
}

fn derive(map: Option<&Map<'_>>, places: &mut Places) -> Vec<Derive> {
    let mut derives = Vec::new();
    for (name, key_place, item) in map.map_or(&[][..], |map| &map.entries) {
        if let Value::Expression(scalar) = item.value {
            places.derive.push(*key_place);
            derives.push(Derive {
                name: (*name).to_owned(),
                expression: scalar.text.clone(),
                place: scalar.inside.unwrap_or(item.place),
                one_line: scalar.inside.is_some(),
            });
        }
    }
    derives
}

fn window(map: &Map<'_>, places: &mut Places, report: &mut Report) -> Window {
    let mut aggregate_places = Vec::new();
    let keys = map.section.map_or(&[][..], |section| section.keys);
    places.nameless |= keys.iter().any(|key| loses(map, key.name));
    let window = match map.span("session") {
        Some(gap) => Window::Session {
            gap,
            max_duration: map.span("max_duration"),
            emit: emit(map, report),
            place: map.place,
        },
        None => Window::Over {
            aggregates: aggregates(map, &mut aggregate_places, report),
            over: spans(map, report),
            exact: map.bool("exact").then(|| map.whole("max_events")),
            exclude_current: map.bool("exclude_current"),
            place: map.place,
        },
    };
    if let (Some(item), false) = (map.get("max_events"), map.bool("exact")) {
        let hint = Some("write exact: true beside it, or leave it out".into());
        report.error(item.place, "`max_events` goes with `exact: true` only", hint);
    }
    places.windows.push(aggregate_places);
    window
}

/// The spans of `over`, each once.
fn spans(map: &Map<'_>, report: &mut Report) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for item in map.list("over") {
        match item.span() {
            Some(span) if spans.contains(&span) => {
                report.error(item.place, format!("`{}` is here a second time", span.text), None);
            }
            span => spans.extend(span),
        }
    }
    spans
}

/// The aggregates in the order of the manual, so that the order of keys means nothing.
fn aggregates(
    map: &Map<'_>,
    places: &mut Vec<Place>,
    report: &mut Report,
) -> Vec<(Aggregate, Option<String>)> {
    let mut aggregates = Vec::new();
    for aggregate in Aggregate::ALL {
        for item in map.list(aggregate.word()) {
            let column = match item.text() {
                Some("*") if aggregate == Aggregate::Count => None,
                Some("*") => {
                    let message =
                        format!("`{}` takes columns; only `count` takes \"*\"", aggregate.word());
                    report.error(item.place, message, None);
                    continue;
                }
                Some(column) => Some(column.to_owned()),
                None => continue,
            };
            if aggregates.contains(&(aggregate, column.clone())) {
                let name = item.text().unwrap_or_default();
                report.error(item.place, format!("`{name}` is here a second time"), None);
                continue;
            }
            aggregates.push((aggregate, column));
            places.push(item.place);
        }
    }
    let is_over = map.section.is_some_and(|section| section.keys.iter().any(|k| k.name == "over"));
    if is_over && Aggregate::ALL.iter().all(|aggregate| map.get(aggregate.word()).is_none()) {
        let words = Aggregate::ALL.map(Aggregate::word).join(", ");
        report.error(
            map.place,
            "an entry of `windows` aggregates nothing",
            Some(format!("it takes {words}")),
        );
    }
    aggregates
}

/// The columns of a session in the order of the manual; all of them, if none are named.
fn emit(map: &Map<'_>, report: &mut Report) -> Vec<SessionField> {
    let Some(item) = map.get("emit") else { return SessionField::ALL.to_vec() };
    let items = map.list("emit");
    if items.is_empty() {
        report.error(item.place, "`emit` is an empty list", Some("leave it out for all".into()));
    }
    for (i, item) in items.iter().enumerate() {
        if items[..i].iter().any(|before| before.text() == item.text()) {
            report.error(item.place, "this column is here a second time", None);
        }
    }
    let wanted = |field: &SessionField| items.iter().any(|item| item.text() == Some(field.word()));
    SessionField::ALL.into_iter().filter(wanted).collect()
}
