//! What a recipe comes to: the columns of a batch and their slots, compiled expressions, fit levels, the state plan.

use crate::column::Type;

/// Where a column of a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A field of the schema.
    Field,
    /// An entry of `derive`.
    Derive,
    /// An entry of `windows`.
    Window,
}

/// A column of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanColumn {
    /// Its name.
    pub name: String,
    /// Its type, after `protect`: a masked or tokenized field is text.
    pub kind: Type,
    /// Where it comes from.
    pub origin: Origin,
}
