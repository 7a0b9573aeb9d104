//! The functions of expressions: an entry each.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::calendar::Moment;

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

/// How a function is typed and evaluated. Where an argument is missing the result is, unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) enum Builtin {
    Abs,
    Coalesce,
    NullIf,
    /// A number to a double, missing where that is not finite.
    Number(fn(f64) -> f64),
    /// Two numbers to a double, likewise.
    Numbers(fn(f64, f64) -> f64),
    /// A number to a whole one of its type: a long is one.
    Whole(fn(f64) -> f64),
    /// Of the arguments that are there, the one that has this order to the others.
    Extreme(Ordering),
    /// A timestamp, in UTC, to a long.
    OfTime(fn(Moment) -> i64),
    /// A literal unit and a timestamp.
    Truncate,
    /// Two timestamps.
    SecondsBetween,
    /// Texts to their sequence.
    Concat,
    /// Text, long and perhaps long.
    Substring,
    /// Anything to whether it is missing.
    IsNull,
    /// A timestamp to its midnight.
    ToDate,
    /// A text to a text.
    OfText(fn(&str) -> Cow<'_, str>),
    /// A text to a long.
    Length,
}

const fn number(
    name: &'static str,
    signature: &'static str,
    summary: &'static str,
    function: fn(f64) -> f64,
) -> Function {
    Function { name, min: 1, max: 1, signature, summary, builtin: Builtin::Number(function) }
}

const fn whole(
    name: &'static str,
    signature: &'static str,
    summary: &'static str,
    function: fn(f64) -> f64,
) -> Function {
    Function { name, min: 1, max: 1, signature, summary, builtin: Builtin::Whole(function) }
}

const fn of_time(
    name: &'static str,
    signature: &'static str,
    summary: &'static str,
    function: fn(Moment) -> i64,
) -> Function {
    Function { name, min: 1, max: 1, signature, summary, builtin: Builtin::OfTime(function) }
}

const fn of_text(
    name: &'static str,
    signature: &'static str,
    summary: &'static str,
    function: fn(&str) -> Cow<'_, str>,
) -> Function {
    Function { name, min: 1, max: 1, signature, summary, builtin: Builtin::OfText(function) }
}

/// −1, 0 or 1.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { libm::copysign(1.0, x) }
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
    number("cbrt", "cbrt(number) → double", "The cube root.", libm::cbrt),
    whole("ceil", "ceil(number) → the same type", "The least whole number not below.", libm::ceil),
    Function {
        name: "coalesce",
        min: 1,
        max: 64,
        signature: "coalesce(a, b, …) → their common type",
        summary: "The first argument that is not missing.",
        builtin: Builtin::Coalesce,
    },
    Function {
        name: "concat",
        min: 1,
        max: 64,
        signature: "concat(text, …) → string",
        summary: "One text after the other; missing where one of them is.",
        builtin: Builtin::Concat,
    },
    number("cos", "cos(number) → double", "The cosine of an angle in radians.", libm::cos),
    Function {
        name: "date_trunc",
        min: 2,
        max: 2,
        signature: "date_trunc('unit', timestamp) → timestamp",
        summary: "The beginning of the second, minute, hour, day, week (Monday), month, quarter or year, in UTC.",
        builtin: Builtin::Truncate,
    },
    of_time("day", "day(timestamp) → long", "The day of the month in UTC.", Moment::day),
    of_time(
        "day_of_week",
        "day_of_week(timestamp) → long",
        "The day of the week in UTC, 1 for Monday.",
        Moment::day_of_week,
    ),
    of_time(
        "day_of_year",
        "day_of_year(timestamp) → long",
        "The day of the year in UTC.",
        Moment::day_of_year,
    ),
    number("exp", "exp(number) → double", "e to the power of it.", libm::exp),
    whole(
        "floor",
        "floor(number) → the same type",
        "The greatest whole number not above.",
        libm::floor,
    ),
    Function {
        name: "greatest",
        min: 2,
        max: 64,
        signature: "greatest(a, b, …) → their common type",
        summary: "The greatest of the arguments that are not missing.",
        builtin: Builtin::Extreme(Ordering::Greater),
    },
    of_time("hour", "hour(timestamp) → long", "The hour in UTC.", Moment::hour),
    Function {
        name: "isnull",
        min: 1,
        max: 1,
        signature: "isnull(a) → bool",
        summary: "Whether it is missing.",
        builtin: Builtin::IsNull,
    },
    Function {
        name: "least",
        min: 2,
        max: 64,
        signature: "least(a, b, …) → their common type",
        summary: "The least of the arguments that are not missing.",
        builtin: Builtin::Extreme(Ordering::Less),
    },
    Function {
        name: "length",
        min: 1,
        max: 1,
        signature: "length(text) → long",
        summary: "How many characters it has.",
        builtin: Builtin::Length,
    },
    number(
        "ln",
        "ln(number) → double",
        "The natural logarithm; missing of 0 and below.",
        libm::log,
    ),
    number(
        "log10",
        "log10(number) → double",
        "The logarithm to base 10; missing of 0 and below.",
        libm::log10,
    ),
    number("log1p", "log1p(number) → double", "The natural logarithm of 1 and it.", libm::log1p),
    number(
        "log2",
        "log2(number) → double",
        "The logarithm to base 2; missing of 0 and below.",
        libm::log2,
    ),
    of_text("lower", "lower(text) → string", "In small letters.", |text| {
        text.to_lowercase().into()
    }),
    of_time("minute", "minute(timestamp) → long", "The minute in UTC.", Moment::minute),
    of_time("month", "month(timestamp) → long", "The month in UTC.", Moment::month),
    Function {
        name: "nullif",
        min: 2,
        max: 2,
        signature: "nullif(a, b) → the type of a",
        summary: "Missing where a equals b, else a.",
        builtin: Builtin::NullIf,
    },
    Function {
        name: "nvl",
        min: 2,
        max: 2,
        signature: "nvl(a, b) → their common type",
        summary: "a, or b where a is missing.",
        builtin: Builtin::Coalesce,
    },
    Function {
        name: "pow",
        min: 2,
        max: 2,
        signature: "pow(a, b) → double",
        summary: "a to the power of b.",
        builtin: Builtin::Numbers(libm::pow),
    },
    of_time("quarter", "quarter(timestamp) → long", "The quarter in UTC.", Moment::quarter),
    whole(
        "round",
        "round(number) → the same type",
        "The nearest whole number; a half goes away from zero.",
        libm::round,
    ),
    of_time("second", "second(timestamp) → long", "The second in UTC.", Moment::second),
    Function {
        name: "seconds_between",
        min: 2,
        max: 2,
        signature: "seconds_between(from, to) → double",
        summary: "The seconds from one timestamp to another, with their fraction.",
        builtin: Builtin::SecondsBetween,
    },
    number("sign", "sign(number) → double", "-1, 0 or 1.", sign),
    number("sin", "sin(number) → double", "The sine of an angle in radians.", libm::sin),
    number("sqrt", "sqrt(number) → double", "The square root; missing below 0.", libm::sqrt),
    Function {
        name: "substr",
        min: 2,
        max: 3,
        signature: "substr(text, from[, count]) → string",
        summary: "So many characters, all without count; 1 is the first, −1 the last.",
        builtin: Builtin::Substring,
    },
    Function {
        name: "substring",
        min: 2,
        max: 3,
        signature: "substring(text, from[, count]) → string",
        summary: "So many characters, all without count; 1 is the first, −1 the last.",
        builtin: Builtin::Substring,
    },
    Function {
        name: "to_date",
        min: 1,
        max: 1,
        signature: "to_date(timestamp) → timestamp",
        summary: "The beginning of its day in UTC.",
        builtin: Builtin::ToDate,
    },
    of_text("trim", "trim(text) → string", "Without spaces around it.", |text| {
        text.trim_matches(' ').into()
    }),
    of_text("upper", "upper(text) → string", "In capitals.", |text| text.to_uppercase().into()),
    of_time("week", "week(timestamp) → long", "The week of ISO 8601 in UTC.", Moment::week),
    of_time("year", "year(timestamp) → long", "The year in UTC.", Moment::year),
];

/// The function `name`, whatever its case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
}
