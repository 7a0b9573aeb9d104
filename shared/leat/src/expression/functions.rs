//! The functions of expressions.

/// A function of expressions: how it is called and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name; in an expression, upper and lower case are the same.
    pub name: &'static str,
    /// The least number of arguments.
    pub min: usize,
    /// The greatest number of arguments.
    pub max: usize,
    /// What it takes and gives.
    pub signature: &'static str,
    /// One sentence.
    pub summary: &'static str,
    pub(super) builtin: Builtin,
}

/// How a function is typed and evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Builtin {
    Abs,
    Coalesce,
    NullIf,
}

/// All functions, by name.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "abs",
        min: 1,
        max: 1,
        signature: "abs(number) → the same type",
        summary: "The distance from zero; missing where a long has none.",
        builtin: Builtin::Abs,
    },
    Function {
        name: "coalesce",
        min: 1,
        max: 64,
        signature: "coalesce(a, b, …) → their common type",
        summary: "The first argument that is not missing.",
        builtin: Builtin::Coalesce,
    },
    Function {
        name: "nullif",
        min: 2,
        max: 2,
        signature: "nullif(a, b) → the type of a",
        summary: "Missing where a equals b, else a.",
        builtin: Builtin::NullIf,
    },
];

/// The function `name`, whatever its case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
}
