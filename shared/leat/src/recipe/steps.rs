//! A step of `features`: its keys are those of every step and its operator's parameters.

use jiff::tz::TimeZoneDatabase;
use serde_json::Value as Json;

use super::keys::STEP;
use super::report::{Report, did_you_mean};
use super::shape::{self, Item, Value};
use super::spec::{OperatorSpec, Parameter, ParameterKind};
use super::yaml::{Data, Entry, Meaning, Node, short};
use super::{Place, Step};
use crate::diagnostic::nearest;

/// The step, and whether all of it could be read.
pub(super) fn step(
    place: Place,
    entries: &[Entry],
    operators: &[OperatorSpec],
    report: &mut Report,
) -> (Step, bool) {
    let before = report.len();
    let mut step = Step {
        op: String::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        parameters: Default::default(),
        level: 0,
        place,
        places: Default::default(),
    };
    shape::require(place, entries, &STEP, report);
    let mut others = Vec::new();
    for entry in entries {
        let Some(key) = STEP.keys.iter().find(|k| k.name == entry.key) else {
            others.push(entry);
            continue;
        };
        let Some(item) = shape::item(&entry.value, entry.place, key.name, &key.kind, report) else {
            continue;
        };
        step.places.insert(key.name.to_owned(), item.place);
        match (key.name, item.value) {
            ("op", Value::Text(op)) => step.op = op.to_owned(),
            ("in", Value::List(items)) => step.inputs = names("in", &items, &mut step.places),
            ("out", Value::List(items)) => step.outputs = names("out", &items, &mut step.places),
            _ => {}
        }
    }
    match operators.iter().find(|operator| operator.name == step.op) {
        Some(operator) => parameters(&mut step, &others, operator, report),
        None if step.op.is_empty() => {}
        None => {
            let names: Vec<_> = operators.iter().map(|o| o.name).collect();
            let near = did_you_mean(nearest(&step.op, names.iter().copied()));
            let hint = near.unwrap_or_else(|| format!("the operators are {}", names.join(", ")));
            let at = step.places.get("op").copied().unwrap_or(place);
            report.error(at, format!("there is no operator `{}`", short(&step.op)), Some(hint));
        }
    }
    (step, report.len() == before)
}

/// The names in a list; the place of each is kept as `in.0`, `in.1`, ….
fn names(
    key: &str,
    items: &[Item<'_>],
    places: &mut std::collections::BTreeMap<String, Place>,
) -> Vec<String> {
    let mut names = Vec::new();
    for item in items {
        if let Some(name) = item.text() {
            places.insert(format!("{key}.{}", names.len()), item.place);
            names.push(name.to_owned());
        }
    }
    names
}

/// Reads what stands beside `op`, `in` and `out` as the operator's parameters.
fn parameters(step: &mut Step, entries: &[&Entry], operator: &OperatorSpec, report: &mut Report) {
    for entry in entries {
        let Some(parameter) = operator.parameters.iter().find(|p| p.name == entry.key) else {
            let mut names: Vec<_> = operator.parameters.iter().map(|p| p.name).collect();
            names.extend(STEP.keys.iter().map(|k| k.name));
            let near = did_you_mean(nearest(&entry.key, names.iter().copied()));
            let hint = near.unwrap_or_else(|| format!("its keys are {}", names.join(", ")));
            let message =
                format!("`{}` is not a parameter of `{}`", short(&entry.key), operator.name);
            report.error(entry.place, message, Some(hint));
            continue;
        };
        match value(&entry.value, parameter.kind) {
            Ok(value) => {
                step.parameters.insert(entry.key.clone(), value);
                step.places.insert(entry.key.clone(), entry.value.place);
            }
            Err((node, hint)) => {
                let message = format!(
                    "`{}` takes {}; this is {}",
                    parameter.name,
                    parameter.kind.expected(),
                    node.describe()
                );
                if matches!(node.data, Data::Refused) {
                    continue;
                }
                let nothing = matches!(&node.data, Data::Scalar(s) if s.meaning() == Meaning::Null);
                let at = if nothing { entry.place } else { node.place };
                report.error(at, message, hint.or_else(|| Some(parameter.help.to_owned())));
            }
        }
    }
    let missing = |p: &&Parameter| p.required && entries.iter().all(|e| e.key != p.name);
    for parameter in operator.parameters.iter().filter(missing) {
        let message = format!("`{}` lacks the parameter `{}`", operator.name, parameter.name);
        report.error(step.place, message, Some(parameter.help.to_owned()));
    }
}

/// The value of a parameter as JSON; or the node that does not fit, and a hint.
fn value(node: &Node, kind: ParameterKind) -> Result<Json, (&Node, Option<String>)> {
    let refused = |hint: Option<String>| Err((node, hint));
    if let (ParameterKind::Words(_) | ParameterKind::Texts, Data::List(items)) = (kind, &node.data)
    {
        return values(node, items, kind);
    }
    if let (ParameterKind::Range { min, max }, Data::List(items)) = (kind, &node.data) {
        return range(node, items, min..=max);
    }
    let Data::Scalar(scalar) = &node.data else { return refused(None) };
    if matches!(kind, ParameterKind::Words(_) | ParameterKind::Texts) {
        return refused(Some(format!("write a list: [{}]", short(&scalar.text))));
    }
    match (kind, scalar.meaning()) {
        (ParameterKind::Bool | ParameterKind::Scalar, Meaning::Bool(bool)) => Ok(Json::from(bool)),
        (ParameterKind::Integer { min, max }, Meaning::Long(long))
            if (min..=max).contains(&long) =>
        {
            Ok(Json::from(long))
        }
        (ParameterKind::Scalar, Meaning::Long(long)) => Ok(Json::from(long)),
        (ParameterKind::Number { min, max }, Meaning::Long(long))
            if (min..=max).contains(&(long as f64)) =>
        {
            Ok(Json::from(long as f64))
        }
        (ParameterKind::Number { min, max }, Meaning::Double(double))
            if (min..=max).contains(&double) =>
        {
            Ok(Json::from(double))
        }
        (ParameterKind::Scalar, Meaning::Double(double)) => Ok(Json::from(double)),
        (ParameterKind::Scalar | ParameterKind::Text, Meaning::Text(text)) => Ok(Json::from(text)),
        (ParameterKind::Text, Meaning::Long(_) | Meaning::Double(_) | Meaning::Bool(_)) => {
            refused(Some("put it in quotes".into()))
        }
        (ParameterKind::Word(words), Meaning::Text(text)) => match words.contains(&text) {
            true => Ok(Json::from(text)),
            false => refused(did_you_mean(nearest(text, words.iter().copied()))),
        },
        (ParameterKind::TimeZone, Meaning::Text(text)) => {
            let zones = TimeZoneDatabase::bundled();
            if zones.get(text).is_ok() {
                return Ok(Json::from(text));
            }
            let names: Vec<_> = zones.available().map(|name| name.as_str().to_owned()).collect();
            refused(did_you_mean(nearest(text, names.iter().map(String::as_str))))
        }
        _ => refused(None),
    }
}

/// Two whole numbers within `bounds`, the second not below the first.
fn range<'n>(
    node: &'n Node,
    items: &'n [Node],
    bounds: std::ops::RangeInclusive<i64>,
) -> Result<Json, (&'n Node, Option<String>)> {
    let whole = |item: &Node| match &item.data {
        Data::Scalar(scalar) => match scalar.meaning() {
            Meaning::Long(long) => bounds.contains(&long).then_some(long),
            _ => None,
        },
        _ => None,
    };
    match items {
        [least, most] => match (whole(least), whole(most)) {
            (Some(a), Some(b)) if a <= b => Ok(Json::from(vec![a, b])),
            (Some(_), Some(_)) => Err((node, Some("the second is below the first".into()))),
            _ => Err((node, None)),
        },
        _ => Err((node, None)),
    }
}

/// A list of words or texts: not empty, each once.
fn values<'n>(
    node: &'n Node,
    items: &'n [Node],
    kind: ParameterKind,
) -> Result<Json, (&'n Node, Option<String>)> {
    let one = match kind {
        ParameterKind::Words(words) => ParameterKind::Word(words),
        _ => ParameterKind::Text,
    };
    let mut values: Vec<Json> = Vec::new();
    for item in items {
        let value = value(item, one)?;
        if values.contains(&value) {
            return Err((item, Some("it is here a second time".into())));
        }
        values.push(value);
    }
    if values.is_empty() {
        return Err((node, Some("the list is empty".into())));
    }
    Ok(Json::Array(values))
}

impl ParameterKind {
    /// What the parameter takes, in words.
    pub fn expected(self) -> String {
        match self {
            ParameterKind::Bool => "true or false".into(),
            ParameterKind::Integer { min, max: i64::MAX } => format!("a whole number from {min}"),
            ParameterKind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            ParameterKind::Number { min, max } => match (min > f64::MIN, max < f64::MAX) {
                (true, true) => format!("a number from {min} to {max}"),
                (true, false) => format!("a number from {min}"),
                (false, true) => format!("a number up to {max}"),
                (false, false) => "a number".into(),
            },
            ParameterKind::Range { min, max } => {
                format!("a list of two whole numbers from {min} to {max}, as [{min}, {max}]")
            }
            ParameterKind::Scalar => "a number, a text or a bool".into(),
            ParameterKind::Text => "a text".into(),
            ParameterKind::Word(words) => format!("one of {}", words.join(", ")),
            ParameterKind::Words(words) => format!("a list of {}", words.join(", ")),
            ParameterKind::Texts => "a list of texts".into(),
            ParameterKind::TimeZone => "a time zone of the IANA database, as Asia/Hong_Kong".into(),
        }
    }
}
