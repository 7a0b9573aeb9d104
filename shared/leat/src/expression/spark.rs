//! The types of predicates: values of different types go together as Spark SQL has it without ANSI mode, where an
//! expression of a recipe would be refused.

use std::borrow::Cow;

use super::{Node, Op};
use crate::calendar::Unit;
use crate::column::Type;
use crate::timestamp;

/// The words of `cast`, with the type that each makes; `date` is a timestamp at midnight.
pub(super) const TARGETS: [(&str, Type); 17] = [
    ("boolean", Type::Bool),
    ("bool", Type::Bool),
    ("tinyint", Type::Long),
    ("smallint", Type::Long),
    ("int", Type::Long),
    ("integer", Type::Long),
    ("long", Type::Long),
    ("bigint", Type::Long),
    ("float", Type::Double),
    ("real", Type::Double),
    ("double", Type::Double),
    ("decimal", Type::Double),
    ("numeric", Type::Double),
    ("string", Type::String),
    ("varchar", Type::String),
    ("char", Type::String),
    ("timestamp", Type::Timestamp),
];

/// The type by which values are compared: text with a number by the number it spells, with a boolean or a timestamp as
/// such.
pub(super) fn compared(kinds: impl Iterator<Item = Type>) -> Type {
    kinds.reduce(pairwise).unwrap_or(Type::Bool)
}

fn pairwise(a: Type, b: Type) -> Type {
    match (a, b) {
        _ if a == b => a,
        (Type::Timestamp, _) | (_, Type::Timestamp) => Type::Timestamp,
        (Type::Bool, Type::String) | (Type::String, Type::Bool) => Type::Bool,
        _ => Type::Double,
    }
}

/// The type that results of different types have together: text, unless all are numbers.
pub(super) fn widest(kinds: impl Iterator<Item = Type>) -> Type {
    let pairwise = |a: Type, b: Type| match (a, b) {
        _ if a == b => a,
        _ if a.is_numeric() && b.is_numeric() => Type::Double,
        _ => Type::String,
    };
    kinds.reduce(pairwise).unwrap_or(Type::Bool)
}

/// `node` as a `kind`; what cannot be read as one is null.
pub(super) fn convert(node: Option<Node>, kind: Type) -> Node {
    let null = Node { kind, op: Op::Null };
    let Some(node) = node else { return null };
    match (node.kind, kind) {
        (from, to) if from == to => node,
        (Type::String, Type::Timestamp) => {
            Node { kind, op: Op::TimeOfText(timestamp_of, Box::new(node)) }
        }
        // A fraction is cut off.
        (Type::String, Type::Long) => {
            let double = Node { kind: Type::Double, op: Op::Cast(Box::new(node.clone())) };
            let whole = Node { kind, op: Op::Cast(Box::new(node)) };
            let cut = Node { kind, op: Op::Cast(Box::new(double)) };
            Node { kind, op: Op::Coalesce(vec![whole, cut]) }
        }
        (Type::Bool | Type::Long | Type::Double, Type::Timestamp)
        | (Type::Timestamp, Type::Bool) => null,
        (Type::Timestamp, Type::String) if is_date(&node) => {
            let text = Node { kind, op: Op::Cast(Box::new(node)) };
            Node { kind, op: Op::OfText(date_part, Box::new(text)) }
        }
        _ => Node { kind, op: Op::Cast(Box::new(node)) },
    }
}

/// The day of a timestamp, or of a text that spells one: its midnight in UTC.
pub(super) fn date(node: Option<Node>) -> Node {
    let time = convert(node, Type::Timestamp);
    Node { kind: Type::Timestamp, op: Op::Truncate(Unit::Day, Box::new(time)) }
}

/// Whether a timestamp is a date, which prints without its time.
fn is_date(node: &Node) -> bool {
    matches!(node.op, Op::Truncate(Unit::Day, _))
}

fn date_part(text: &str) -> Cow<'_, str> {
    text.get(..10).unwrap_or(text).into()
}

/// The microsecond of a date, or of a timestamp that is in UTC where it says no offset.
fn timestamp_of(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    timestamp::parse(text)
        .or_else(|| timestamp::parse(&format!("{text}Z")))
        .or_else(|| timestamp::parse(&format!("{text}T00:00:00Z")))
}
