//! Every key of a recipe, once: the parser, `leat schema` and the hints read these tables. The parameters of steps
//! stand in the operators' own tables ([`super::spec`]).

/// A map with known keys.
#[derive(Debug)]
pub(super) struct Section {
    /// What the map is, for messages.
    pub name: &'static str,
    pub keys: &'static [Key],
}

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// The default as JSON; empty: none.
    pub default: &'static str,
    /// One sentence: what it says.
    pub help: &'static str,
}

/// What a key takes.
#[derive(Debug)]
pub(super) enum Kind {
    /// The number 1.
    Version,
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    Word(&'static [&'static str]),
    Text(&'static Form),
    /// An SQL scalar expression, whatever YAML would take it for (`1`, `true`).
    Expression,
    /// A length of time: `30s`, `5m`, `1h`, `7d`.
    Span,
    /// A value, or a list of such values.
    OneOrMany(&'static Kind),
    /// A list of at most so many.
    List(&'static Kind, usize),
    /// The word `all`, or a list.
    AllOr(&'static Kind),
    Section(&'static Section),
    /// The section whose first key is there; else the last.
    Either(&'static [&'static Section]),
    /// A map of at most so many names to such values.
    Named(&'static Kind, usize),
    /// A step: its operator decides the keys beside `op`, `in` and `out`.
    Step,
}

/// What a text must look like.
#[derive(Debug)]
pub(super) struct Form {
    /// In words.
    pub expected: &'static str,
    /// As a regular expression of JSON Schema.
    pub pattern: &'static str,
    /// Why a text does not fit, where that does not go without saying.
    pub why: fn(&str) -> Option<&'static str>,
    pub fits: fn(&str) -> bool,
}

/// Columns are named by at most so many characters.
const MAX_NAME: usize = 100;

pub(super) static RECIPE_NAME: Form = Form {
    expected: "at most 40 lower-case letters, digits and dashes, a letter first",
    pattern: "^[a-z][a-z0-9-]{0,39}$",
    why: |_| None,
    fits: |text| {
        text.len() <= 40
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    },
};

/// What is said of a name that begins with `_`.
const OWN: &str = "names that begin with _ are Leat's own: _leat, _source, _line and others";

/// `_` leads our own columns in the lake, `*` stands for any in `output`, and quotes quote.
pub(super) static COLUMN: Form = Form {
    expected: "1 to 100 characters, not _ first, without * ` \" and control characters",
    pattern: "^[^_*`\"\\x00-\\x1f\\x7f][^*`\"\\x00-\\x1f\\x7f]{0,99}$",
    why: |text| text.starts_with('_').then_some(OWN),
    fits: |text| {
        !text.is_empty()
            && text.chars().count() <= MAX_NAME
            && text.trim() == text
            && !text.starts_with('_')
            && !text.contains(|c: char| matches!(c, '*' | '`' | '"') || c.is_control())
    },
};

pub(super) static REFERENCE: Form = Form {
    expected: "the name of a column",
    pattern: "^.{1,200}$",
    why: |_| None,
    fits: |text| !text.is_empty() && text.chars().count() <= 2 * MAX_NAME,
};

pub(super) static FILE: Form = Form {
    expected: "the name of a file beside the recipe: letters, digits, dots, dashes and underscores, no dot first",
    pattern: "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
    why: |_| None,
    fits: |text| {
        (1..=100).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    },
};

pub(super) static RECIPE: Section = Section {
    name: "the recipe",
    keys: &[
        Key {
            name: "leat",
            kind: Kind::Version,
            required: true,
            default: "",
            help: "The version of this format: 1.",
        },
        Key {
            name: "name",
            kind: Kind::Text(&RECIPE_NAME),
            required: true,
            default: "",
            help: "The recipe's name; a part of AWS names.",
        },
        Key {
            name: "dialect",
            kind: Kind::Word(&["sklearn", "spark"]),
            required: false,
            default: "\"sklearn\"",
            help: "Whose conventions hold where scikit-learn and Spark differ: n or n-1, ties, constant columns.",
        },
        Key {
            name: "schema",
            kind: Kind::Section(&SCHEMA),
            required: true,
            default: "",
            help: "The fields of an event and how it is told from others.",
        },
        Key {
            name: "quality",
            kind: Kind::Text(&FILE),
            required: false,
            default: "",
            help: "The DQDL ruleset, a file beside the recipe; AWS Glue Data Quality reads it too.",
        },
        Key {
            name: "protect",
            kind: Kind::List(&Kind::Section(&PROTECT), 500),
            required: false,
            default: "",
            help: "How personal data is protected. A field tagged `pii` must be here.",
        },
        Key {
            name: "derive",
            kind: Kind::Named(&Kind::Expression, 200),
            required: false,
            default: "",
            help: "Columns computed from a row by SQL scalar expressions; each may read those before it.",
        },
        Key {
            name: "windows",
            kind: Kind::List(&Kind::Either(&[&SESSION, &OVER]), 50),
            required: false,
            default: "",
            help: "Columns computed from an entity's past, by event time.",
        },
        Key {
            name: "features",
            kind: Kind::List(&Kind::Step, 200),
            required: false,
            default: "",
            help: "The steps, in order; each reads columns and gives columns.",
        },
        Key {
            name: "output",
            kind: Kind::Section(&OUTPUT),
            required: false,
            default: "",
            help: "Which columns are features.",
        },
    ],
};

pub(super) static SCHEMA: Section = Section {
    name: "`schema`",
    keys: &[
        Key {
            name: "format",
            kind: Kind::Word(&["json"]),
            required: false,
            default: "\"json\"",
            help: "The format of the data: a JSON object a line.",
        },
        Key {
            name: "fields",
            kind: Kind::List(&Kind::Section(&FIELD), 500),
            required: true,
            default: "",
            help: "The fields of an event, in order.",
        },
        Key {
            name: "unknown_fields",
            kind: Kind::Word(&["keep", "drop", "quarantine"]),
            required: false,
            default: "\"keep\"",
            help: "What is done with fields that are not named here; no step reads them.",
        },
        Key {
            name: "max_ahead",
            kind: Kind::Span,
            required: false,
            default: "",
            help: "An event time further ahead of arrival than this is quarantined.",
        },
        Key {
            name: "dedupe",
            kind: Kind::Section(&DEDUPE),
            required: false,
            default: "",
            help: "The same id again counts as already applied.",
        },
    ],
};

pub(super) static DEDUPE: Section = Section {
    name: "`dedupe`",
    keys: &[
        Key {
            name: "within",
            kind: Kind::Span,
            required: true,
            default: "",
            help: "How long an id is held, in event time of its entity.",
        },
        Key {
            name: "max_ids",
            kind: Kind::Integer { min: 1, max: 4096 },
            required: false,
            default: "256",
            help: "How many ids an entity holds at most; the oldest go first.",
        },
    ],
};

pub(super) static FIELD: Section = Section {
    name: "a field",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Text(&COLUMN),
            required: true,
            default: "",
            help: "The field's name in the data.",
        },
        Key {
            name: "type",
            kind: Kind::Word(&["bool", "long", "double", "string", "timestamp"]),
            required: true,
            default: "",
            help: "The field's type; an event in which it has another is quarantined.",
        },
        Key {
            name: "role",
            kind: Kind::Word(&["id", "entity", "event_time", "label"]),
            required: false,
            default: "",
            help: "What the field is for: the event's id, whose event it is, when it happened, what a model learns.",
        },
        Key {
            name: "tags",
            kind: Kind::List(&Kind::Word(&["pii"]), 1),
            required: false,
            default: "",
            help: "`pii`: personal data, which `protect` must name.",
        },
    ],
};

pub(super) static PROTECT: Section = Section {
    name: "an entry of `protect`",
    keys: &[
        Key {
            name: "field",
            kind: Kind::Text(&REFERENCE),
            required: true,
            default: "",
            help: "The field.",
        },
        Key {
            name: "method",
            kind: Kind::Word(&["drop", "mask", "tokenize"]),
            required: true,
            default: "",
            help: "drop: it becomes null; mask: only its last characters stay; tokenize: equal values have equal tokens.",
        },
        Key {
            name: "keep",
            kind: Kind::Integer { min: 0, max: 64 },
            required: false,
            default: "4",
            help: "With `mask`: how many characters stay.",
        },
    ],
};

const COLUMNS: Kind = Kind::OneOrMany(&Kind::Text(&REFERENCE));

pub(super) static OVER: Section = Section {
    name: "an entry of `windows`",
    keys: &[
        Key {
            name: "over",
            kind: Kind::OneOrMany(&Kind::Span),
            required: true,
            default: "",
            help: "The spans, which end with the event.",
        },
        Key {
            name: "count",
            kind: COLUMNS,
            required: false,
            default: "",
            help: "\"*\" counts events, a column its values that are not missing.",
        },
        Key {
            name: "sum",
            kind: COLUMNS,
            required: false,
            default: "",
            help: "The sum of these columns.",
        },
        Key {
            name: "mean",
            kind: COLUMNS,
            required: false,
            default: "",
            help: "The mean of these columns.",
        },
        Key {
            name: "max",
            kind: COLUMNS,
            required: false,
            default: "",
            help: "The greatest value of these columns.",
        },
        Key {
            name: "exact",
            kind: Kind::Bool,
            required: false,
            default: "false",
            help: "True: the span to the microsecond, its far end left out, over at most `max_events`; false: its far end moves in hops.",
        },
        Key {
            name: "max_events",
            kind: Kind::Integer { min: 1, max: 10_000 },
            required: false,
            default: "256",
            help: "With `exact`: how many events an entity keeps at most.",
        },
        Key {
            name: "exclude_current",
            kind: Kind::Bool,
            required: false,
            default: "false",
            help: "True: the event itself is left out.",
        },
    ],
};

pub(super) static SESSION: Section = Section {
    name: "a session of `windows`",
    keys: &[
        Key {
            name: "session",
            kind: Kind::Span,
            required: true,
            default: "",
            help: "The gap: a longer one between two events begins a new session.",
        },
        Key {
            name: "max_duration",
            kind: Kind::Span,
            required: false,
            default: "",
            help: "A session that grows longer than this ends.",
        },
        Key {
            name: "emit",
            kind: Kind::List(
                &Kind::Word(&["id", "count", "duration", "since_previous", "number"]),
                5,
            ),
            required: false,
            default: "[\"id\",\"count\",\"duration\",\"since_previous\"]",
            help: "Which columns it makes: session_id, session_count, …; session_number, if asked, counts the entity's sessions before.",
        },
    ],
};

pub(super) static OUTPUT: Section = Section {
    name: "`output`",
    keys: &[Key {
        name: "features",
        kind: Kind::AllOr(&Kind::Text(&REFERENCE)),
        required: true,
        default: "\"all\"",
        help: "all: every number and bool that derive, windows and features made; or names, * for any characters.",
    }],
};

/// The keys of every step; its operator's parameters come beside them.
pub(super) static STEP: Section = Section {
    name: "a step",
    keys: &[
        Key {
            name: "op",
            kind: Kind::Text(&REFERENCE),
            required: true,
            default: "",
            help: "The operator.",
        },
        Key {
            name: "in",
            kind: COLUMNS,
            required: true,
            default: "",
            help: "The columns that it reads.",
        },
        Key {
            name: "out",
            kind: Kind::OneOrMany(&Kind::Text(&COLUMN)),
            required: false,
            default: "",
            help: "The names it gives, one for each column it reads, or one for all it reads together; without it a column takes its input's place.",
        },
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Type;
    use crate::recipe::{Aggregate, SessionField};

    fn word(section: &Section, key: &str) -> &'static [&'static str] {
        let key = section.keys.iter().find(|k| k.name == key).unwrap();
        match key.kind {
            Kind::Word(words) | Kind::List(&Kind::Word(words), _) => words,
            _ => panic!("{key:?}"),
        }
    }

    #[test]
    fn the_tables_have_the_words_of_the_model() {
        assert_eq!(word(&FIELD, "type"), Type::ALL.map(Type::word));
        assert_eq!(word(&SESSION, "emit"), SessionField::ALL.map(SessionField::word));
        for aggregate in Aggregate::ALL {
            assert!(OVER.keys.iter().any(|k| k.name == aggregate.word()));
        }
    }

    #[test]
    fn every_key_is_documented_and_stands_once() {
        for section in
            [&RECIPE, &SCHEMA, &DEDUPE, &FIELD, &PROTECT, &OVER, &SESSION, &OUTPUT, &STEP]
        {
            for (i, key) in section.keys.iter().enumerate() {
                assert!(key.help.len() > 8, "{}", key.name);
                assert!(section.keys[..i].iter().all(|k| k.name != key.name), "{}", key.name);
                assert!(
                    key.default.is_empty()
                        || serde_json::from_str::<serde_json::Value>(key.default).is_ok()
                );
            }
        }
    }
}
