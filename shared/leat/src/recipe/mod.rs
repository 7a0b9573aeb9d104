//! What a recipe says. This module reads and checks the text; it knows nothing of how a step is computed: the
//! operators hand it their [`spec`]ifications.

mod check;
mod keys;
mod parse;
pub mod pattern;
pub mod plan;
pub(crate) mod report;
pub mod schema;
mod shape;
mod span;
pub mod spec;
mod steps;
#[cfg(test)]
mod tests;
pub(crate) mod yaml;

pub use parse::read;
pub use plan::{Origin, Plan, PlanColumn, plan};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::column::Type;

/// A place in the recipe's text, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// A recipe that was read and checked as far as its text alone allows. See DESIGN, "The recipe".
///
/// Serialized (without places) it is the canonical form whose SHA-256 is the recipe's hash: comments, blanks and the
/// order of keys do not change it (the order of fields, derived columns, windows and steps does).
#[derive(Clone, Debug, Serialize)]
pub struct Recipe {
    /// The file's name, for diagnostics.
    #[serde(skip)]
    pub file: String,
    /// The recipe's name: `[a-z0-9]` and dashes, at most 40 characters, as it is a part of AWS names.
    pub name: String,
    /// Which library's conventions hold where they differ.
    pub dialect: Dialect,
    /// The fields of an event.
    pub schema: Schema,
    /// The file of the DQDL ruleset, relative to the recipe.
    pub quality: Option<String>,
    /// How personal data is protected.
    pub protect: Vec<Protect>,
    /// Columns computed from a row, in order.
    pub derive: Vec<Derive>,
    /// Columns computed from an entity's past.
    pub windows: Vec<Window>,
    /// The steps, in order.
    pub features: Vec<Step>,
    /// Which columns are features: names with `*`, or empty for all.
    pub output: Vec<String>,
}

impl Recipe {
    /// The recipe's hash: SHA-256, in hex, of its canonical JSON and of the canonical DQDL of its ruleset.
    pub fn hash(&self, rules: Option<&str>) -> String {
        hash_of(&(self, rules))
    }

    /// The field `name`.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.schema.fields.iter().find(|f| f.name == name)
    }

    /// True if there is a label that an operator can learn from: a number or a boolean.
    pub fn has_numeric_label(&self) -> bool {
        let label = self.schema.role(Role::Label).and_then(|slot| self.schema.fields.get(slot));
        label.is_some_and(|label| label.kind.is_numeric() || label.kind == Type::Bool)
    }

    /// How the field named `field` is protected.
    pub fn method(&self, field: &str) -> Option<Method> {
        self.protect.iter().find(|p| p.field == field).map(|p| p.method)
    }

    /// The type of `field`'s column in a batch. A masked or tokenized field is text from the first.
    pub fn kind(&self, field: &Field) -> Type {
        match self.method(&field.name) {
            Some(Method::Mask { .. } | Method::Tokenize) => Type::String,
            Some(Method::Drop) | None => field.kind,
        }
    }

    /// The fields' names with the types of their columns, in the schema's order: the columns of a batch.
    pub fn columns(&self) -> Vec<(String, Type)> {
        self.schema.fields.iter().map(|field| (field.name.clone(), self.kind(field))).collect()
    }
}

/// SHA-256, in hex, of `value` as JSON. Of structs, lists and sorted maps only: their order is fixed.
fn hash_of(value: &impl Serialize) -> String {
    // A recipe's JSON has no keys but text and no numbers but finite ones, so that it can always be written.
    let json = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whose conventions hold: n or n−1, idf, ties, hash seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// scikit-learn's.
    #[default]
    Sklearn,
    /// Spark ML's.
    Spark,
}

/// The format of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON object a line.
    #[default]
    Json,
    /// Comma separated, with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// What is done with fields that the schema does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownFields {
    /// They stay with the line on its way through the lake; no step reads them.
    #[default]
    Keep,
    /// They are left out.
    Drop,
    /// The event is quarantined.
    Quarantine,
}

/// The fields of an event and how it is told from others.
#[derive(Clone, Debug, Serialize)]
pub struct Schema {
    /// See [`Format`].
    pub format: Format,
    /// The fields, in order. Their index is their slot in a batch.
    pub fields: Vec<Field>,
    /// See [`UnknownFields`].
    pub unknown_fields: UnknownFields,
    /// An event time further ahead of arrival than this is quarantined. Microseconds; none: no bound.
    pub max_ahead: Option<i64>,
    /// How long an id is held to find a repeat; none: repeats are not looked for.
    pub dedupe: Option<Dedupe>,
}

impl Schema {
    /// The slot of the field with `role`.
    pub fn role(&self, role: Role) -> Option<usize> {
        self.fields.iter().position(|f| f.role == Some(role))
    }
}

/// A repeat of an id within `within` of event time counts as already applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dedupe {
    /// Microseconds of event time.
    pub within: i64,
    /// At most so many ids are held for an entity; the oldest by event time go first.
    pub max_ids: usize,
}

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Tells an event from all others.
    Id,
    /// Whose event it is: the key of windows.
    Entity,
    /// When it happened.
    EventTime,
    /// What a model learns; never present when serving.
    Label,
}

impl Role {
    /// The word that a recipe uses.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Id => "id",
            Role::Entity => "entity",
            Role::EventTime => "event_time",
            Role::Label => "label",
        }
    }

    /// The types that a field with this role may have.
    pub const fn types(self) -> &'static [Type] {
        match self {
            Role::Id | Role::Entity => &[Type::String, Type::Long],
            Role::EventTime => &[Type::Timestamp],
            Role::Label => &[Type::Long, Type::Double, Type::Bool, Type::String],
        }
    }
}

/// A field of an event.
#[derive(Clone, Debug, Serialize)]
pub struct Field {
    /// Its name in the data.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// What it is for.
    pub role: Option<Role>,
    /// True if it is tagged `pii`: it must be protected.
    pub pii: bool,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// How one field is protected.
#[derive(Clone, Debug, Serialize)]
pub struct Protect {
    /// The field.
    pub field: String,
    /// How.
    pub method: Method,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// A way to protect a value. Missing stays missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The value becomes null.
    Drop,
    /// All but the last `keep` characters become `*`.
    Mask {
        /// How many characters stay.
        keep: usize,
    },
    /// HMAC-SHA-256 under the recipe's token key: equal values have equal tokens. The field becomes text.
    Tokenize,
}

/// A column computed from a row.
#[derive(Clone, Debug, Serialize)]
pub struct Derive {
    /// The column's name.
    pub name: String,
    /// The SQL scalar expression.
    pub expression: String,
    /// Where the expression stands.
    #[serde(skip)]
    pub place: Place,
    /// True if the expression stands on one line as it is, so that a place within it is a place in the file.
    #[serde(skip)]
    pub one_line: bool,
}

/// A function over the events of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// How many rows, or how many values that are not missing. Never missing.
    Count,
    /// Their sum, folded in applied order; missing of nothing.
    Sum,
    /// Sum by count; missing of nothing.
    Mean,
    /// The greatest; missing of nothing.
    Max,
}

impl Aggregate {
    /// All, in the order of the manual.
    pub const ALL: [Aggregate; 4] =
        [Aggregate::Count, Aggregate::Sum, Aggregate::Mean, Aggregate::Max];

    /// The word that a recipe uses.
    pub const fn word(self) -> &'static str {
        match self {
            Aggregate::Count => "count",
            Aggregate::Sum => "sum",
            Aggregate::Mean => "mean",
            Aggregate::Max => "max",
        }
    }

    /// The type of its column.
    pub const fn kind(self) -> Type {
        match self {
            Aggregate::Count => Type::Long,
            Aggregate::Sum | Aggregate::Mean | Aggregate::Max => Type::Double,
        }
    }
}

/// One entry of `windows`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Aggregates over spans that end with the event.
    Over {
        /// The functions and the column each reads; none is `*`: rows.
        aggregates: Vec<(Aggregate, Option<String>)>,
        /// The spans.
        over: Vec<Span>,
        /// Exact sliding windows over at most so many events; none: sawtooth.
        exact: Option<usize>,
        /// True if the event itself is left out.
        exclude_current: bool,
        /// Where it stands.
        #[serde(skip)]
        place: Place,
    },
    /// Events with no gap longer than `gap` between them.
    Session {
        /// The gap.
        gap: Span,
        /// A session that grows longer than this ends; none: no bound.
        max_duration: Option<Span>,
        /// What becomes a column.
        emit: Vec<SessionField>,
        /// Where it stands.
        #[serde(skip)]
        place: Place,
    },
}

impl Window {
    /// The columns that it makes, in order: for each span its aggregates, as `amount_sum_1h` and `count_1h`; for a
    /// session the fields it emits, as `session_id`.
    pub fn columns(&self) -> Vec<(String, Type)> {
        match self {
            Window::Over { aggregates, over, .. } => over
                .iter()
                .flat_map(|span| aggregates.iter().map(move |(a, column)| (a, column, &span.text)))
                .map(|(aggregate, column, span)| match column {
                    Some(column) => {
                        (format!("{column}_{}_{span}", aggregate.word()), aggregate.kind())
                    }
                    None => (format!("{}_{span}", aggregate.word()), aggregate.kind()),
                })
                .collect(),
            Window::Session { emit, .. } => {
                emit.iter().map(|field| (field.column().to_owned(), field.kind())).collect()
            }
        }
    }

    /// How many columns it makes.
    pub fn width(&self) -> usize {
        match self {
            Window::Over { aggregates, over, .. } => aggregates.len().saturating_mul(over.len()),
            Window::Session { emit, .. } => emit.len(),
        }
    }

    /// The columns that the entry reads.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        let aggregates = match self {
            Window::Over { aggregates, .. } => aggregates.as_slice(),
            Window::Session { .. } => &[],
        };
        aggregates.iter().filter_map(|(_, column)| column.as_deref())
    }
}

/// A length of time as it was written (`1h`), which names columns, and in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// As it was written.
    pub text: String,
    /// Microseconds.
    pub micros: i64,
}

/// A column of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionField {
    /// `session_id`: text, hash of entity and start.
    Id,
    /// `session_count`: long, its events so far with this one.
    Count,
    /// `session_duration`: double, seconds from its start to this event.
    Duration,
    /// `session_since_previous`: double, seconds since the entity's greatest event time before this event; missing
    /// for its first event.
    SincePrevious,
    /// `session_number`: long, how many sessions the entity had before this one; missing for an event before the open
    /// session.
    Number,
}

impl SessionField {
    /// All, in the order of the manual.
    pub const ALL: [SessionField; 5] = [
        SessionField::Id,
        SessionField::Count,
        SessionField::Duration,
        SessionField::SincePrevious,
        SessionField::Number,
    ];

    /// The word that a recipe uses.
    pub fn word(self) -> &'static str {
        self.column().trim_start_matches("session_")
    }

    /// The name of its column.
    pub const fn column(self) -> &'static str {
        match self {
            SessionField::Id => "session_id",
            SessionField::Count => "session_count",
            SessionField::Duration => "session_duration",
            SessionField::SincePrevious => "session_since_previous",
            SessionField::Number => "session_number",
        }
    }

    /// The type of its column.
    pub const fn kind(self) -> Type {
        match self {
            SessionField::Id => Type::String,
            SessionField::Count | SessionField::Number => Type::Long,
            SessionField::Duration | SessionField::SincePrevious => Type::Double,
        }
    }
}

/// One entry of `features`.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The operator's name.
    pub op: String,
    /// The columns that it reads.
    pub inputs: Vec<String>,
    /// The names it gives: one for each input, where they are not the inputs' own. Empty: the operator's rule.
    pub outputs: Vec<String>,
    /// Parameters that were written, by name; those left out have the operator's default.
    pub parameters: std::collections::BTreeMap<String, serde_json::Value>,
    /// Its fit level, from 1; 0 if the operator learns nothing. A step that reads what a fitted step made is one later.
    #[serde(skip)]
    pub level: usize,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
    /// Where each parameter's value stands.
    #[serde(skip)]
    pub places: std::collections::BTreeMap<String, Place>,
}
