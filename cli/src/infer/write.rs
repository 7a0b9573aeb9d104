//! The texts of the recipe and of the ruleset.

use std::fmt::Write;

use leat::column::Type;
use leat::profile::{ColumnProfile, Personal, Profile};

use super::Candidate;
use super::roles::Roles;
use crate::html::{count, percent};
use crate::types::{Looked, is_identifier};

/// A recipe has at most so many fields.
const MOST_FIELDS: usize = 500;
/// No feature is proposed of columns that are missing more often.
const MOST_MISSING: f64 = 0.5;
/// A feature for each value is proposed of columns with at most so many.
const MOST_HOT: f64 = 20.0;

/// A field of the recipe.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type in the recipe, before roles.
    pub kind: Type,
    /// What personal data it may hold, and why.
    pub personal: Option<(Personal, String)>,
    /// True if the data has no type for it, as lines have not.
    pub loose: bool,
}

/// A recipe's text and what is to be said of it.
pub struct Draft {
    pub text: String,
    /// Fields that are protected.
    pub personal: Vec<String>,
    /// Roles that no field can have.
    pub missing: Vec<&'static str>,
}

/// Whether a recipe can name a field so.
fn can_be_named(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= 100
        && name.trim() == name
        && !name.starts_with('_')
        && !name.contains(|c: char| matches!(c, '*' | '`' | '"') || c.is_control())
}

/// The fields that a recipe can have.
pub fn fields(profile: &Profile, looked: &Looked) -> Vec<Field> {
    let columns = profile.columns().iter().filter(|column| can_be_named(&column.name));
    let field = |column: &ColumnProfile| Field {
        name: column.name.clone(),
        kind: column.kind,
        personal: personal(column),
        loose: looked.seen(&column.name).is_some(),
    };
    columns.take(MOST_FIELDS).map(field).collect()
}

fn personal(column: &ColumnProfile) -> Option<(Personal, String)> {
    let (kind, found) = column.personal()?;
    let words = kind.words();
    let why = match found {
        Some(found) => {
            format!("{} of {} values have the form: {words}", count(found), count(column.present()))
        }
        None => format!("its name says so: {words}"),
    };
    Some((kind, why))
}

/// How personal data of this kind is protected: what tells people apart by a token, what only describes them not at all.
fn method(kind: Personal) -> &'static str {
    match kind {
        Personal::Name | Personal::Address | Personal::Birth => "drop",
        _ => "tokenize",
    }
}

/// A name or a text in YAML, in a list or a map on one line.
fn yaml(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A name that no field has.
fn free(name: &str, fields: &[Field]) -> String {
    let mut free = name.to_owned();
    while fields.iter().any(|field| field.name == free) {
        free.push_str("_x");
    }
    free
}

/// The recipe's text, with steps or without.
pub fn recipe(
    name: &str,
    profile: &Profile,
    fields: &[Field],
    roles: &Roles,
    looked: &Looked,
    steps: bool,
) -> Draft {
    let mut text = format!(
        "# A starting recipe, made by `leat infer` of {} rows. Each comment is the evidence for its line: read it, mend the\n\
         # line, take the comment out. `leat check` says what it comes to.\nleat: 1\nname: {name}\n\nschema:\n  \
         format: json\n  fields:\n",
        count(profile.rows())
    );
    let mut lines: Vec<(String, String)> = Vec::new();
    let (mut personal, mut protect) = (Vec::new(), String::new());
    // Roles first: they say what an event is.
    let order = |field: &&Field| match roles.of(&field.name) {
        Some(("id", _)) => 0,
        Some(("entity", _)) => 1,
        Some(("event_time", _)) => 2,
        Some(_) => 4,
        None => 3,
    };
    let mut sorted: Vec<&Field> = fields.iter().collect();
    sorted.sort_by_key(order);
    let mut missing = Vec::new();
    for (role, word, kind, other) in [
        (&roles.entity, "entity", "string", "entity_id"),
        (&roles.event_time, "event_time", "timestamp", "event_time"),
    ] {
        if role.is_none() {
            missing.push(word);
            let line =
                format!("{{name: {}, type: {kind}, role: {word}}}", yaml(&free(other, fields)));
            let why = "NOT IN THE DATA, and every recipe needs it: add it to the data, or name the field that it is";
            lines.push((line, why.to_owned()));
        }
    }
    for field in sorted {
        let Some(column) = profile.column(&field.name) else { continue };
        let role = roles.of(&field.name);
        let used_as_it_is = matches!(role, Some(("event_time" | "label", _)));
        let own = field.personal.as_ref().filter(|_| !used_as_it_is);
        let kind = match role {
            Some(("event_time", _)) => Type::Timestamp,
            _ => field.kind,
        };
        let mut line = format!("{{name: {}, type: {kind}", yaml(&field.name));
        let mut why = vec![evidence(column, looked)];
        if let Some((role, evidence)) = role {
            line += &format!(", role: {role}");
            why.push(evidence.to_owned());
        }
        if let Some((kind, evidence)) = own {
            line += ", tags: [pii]";
            let method = match role {
                Some(("id" | "entity", _)) => "tokenize",
                _ => method(*kind),
            };
            let _ = writeln!(
                protect,
                "  - {{field: {}, method: {method}}}   # {evidence}",
                yaml(&field.name)
            );
            personal.push(field.name.clone());
        }
        lines.push((line + "}", why.join("; ")));
    }
    let width =
        lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default().min(70);
    for (line, why) in lines {
        let _ = writeln!(text, "    - {line:width$}   # {why}");
    }
    for name in looked.nested() {
        let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        let _ = writeln!(text, "    # {name} holds lists or maps, for which there is no type");
    }
    let left: usize = profile.columns().len() - fields.len();
    if left > 0 {
        let _ = writeln!(
            text,
            "    # {left} columns are left out: a recipe cannot name them, or has too many fields"
        );
    }
    text += "  unknown_fields: keep\n\nquality: rules.dqdl\n";
    if !protect.is_empty() {
        text += "\n# Candidates by form and by name: look at each. tokenize: equal values have equal tokens; drop: it becomes null.\n";
        text += &format!("protect:\n{protect}");
    }
    if steps {
        text += &features(profile, fields, roles);
    }
    Draft { text, personal, missing }
}

/// What was seen of a column, without a value.
fn evidence(column: &ColumnProfile, looked: &Looked) -> String {
    let mut parts = Vec::new();
    if let Some(seen) = looked.seen(&column.name) {
        let (_, share) = seen.likely(looked.rows, is_identifier(&column.name));
        if share < 1.0 {
            parts.push(format!("{} of its values fit, the others are rejected", percent(share)));
        }
    }
    let (distinct, exact) = column.distinct();
    let about = if exact { "" } else { "about " };
    parts.push(format!("{about}{} different", count(distinct as u64)));
    parts.push(match column.nulls {
        0 => "never missing".to_owned(),
        _ => format!("{} missing", percent(column.missing())),
    });
    parts.join(", ")
}

/// The steps to start with.
fn features(profile: &Profile, fields: &[Field], roles: &Roles) -> String {
    let usable = |field: &&Field| {
        field.personal.is_none()
            && roles.of(&field.name).is_none()
            && !is_identifier(&field.name)
            && profile.column(&field.name).is_some_and(|c| {
                !(c.is_unique() && c.kind == Type::Long) && c.missing() <= MOST_MISSING
            })
    };
    let (mut holes, mut numbers, mut hot) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields.iter().filter(usable) {
        let Some(column) = profile.column(&field.name) else { continue };
        let (distinct, exact) = column.distinct();
        match field.kind {
            Type::Long | Type::Double if column.numbers.count() > 0 => {
                numbers.push(yaml(&field.name));
                if column.nulls > 0 {
                    holes.push(yaml(&field.name));
                }
            }
            Type::String if exact && (2.0..=MOST_HOT).contains(&distinct) => {
                hot.push(yaml(&field.name));
            }
            _ => {}
        }
    }
    let mut steps = String::new();
    for (names, step, why) in [
        (&holes, "{op: impute, in: [], strategy: median}", "numbers that can be missing"),
        (&numbers, "{op: standard_scale, in: []}", "numbers"),
        (&hot, "{op: one_hot, in: [], unseen: ignore}", "texts of few different values"),
    ] {
        for some in names.chunks(MOST_FIELDS) {
            let step = step.replace("[]", &format!("[{}]", some.join(", ")));
            let _ = writeln!(steps, "  - {step}   # {why}");
        }
    }
    match steps.is_empty() {
        true => String::new(),
        false => format!(
            "\n# Steps to start with: `leat operators` lists all.\nfeatures:\n{steps}\noutput:\n  features: all\n"
        ),
    }
}

/// The ruleset's text: a rule a line, after its evidence.
pub fn rules(rows: u64, kept: &[Candidate]) -> String {
    let mut text = format!(
        "# A starting ruleset, made by `leat infer` of {} rows, which pass it. Each comment is the evidence for the rule below\n\
         # it. AWS Glue Data Quality reads this file too.\nRules = [\n",
        count(rows)
    );
    for (at, Candidate { rule, evidence }) in kept.iter().enumerate() {
        let comma = if at + 1 < kept.len() { "," } else { "" };
        let _ = writeln!(text, "    # {evidence}\n    {rule}{comma}");
    }
    text + "]\n"
}
