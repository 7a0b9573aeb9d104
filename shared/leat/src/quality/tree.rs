//! A ruleset as a tree that can hold the whole language. [`super::parse()`] makes it, `Display` prints it.

use std::collections::BTreeMap;

use super::types::RuleType;
use crate::recipe::Place;

/// What is known of a thing without being a part of it: any two are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aside<T>(pub T);

impl<T> PartialEq for Aside<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A DQDL document that was read and checked as far as its text alone allows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ruleset {
    /// The file's name, as its reader gave it.
    pub file: Aside<String>,
    /// `Metadata`: its `Version`.
    pub version: Option<String>,
    /// `DataSources`: its `Primary`.
    pub primary: Option<String>,
    /// `DataSources`: its `AdditionalDataSources`; empty for none.
    pub additional: Vec<String>,
    /// The variables, in order.
    pub variables: Vec<Variable>,
    /// Labels of each rule that has none of its own under the same key.
    pub default_labels: Labels,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// The analyzers, in order: metrics without a condition.
    pub analyzers: Vec<Single>,
}

impl Ruleset {
    /// The value of the variable `name`.
    pub fn variable(&self, name: &str) -> Option<&VariableValue> {
        self.variables.iter().find(|v| v.name == name).map(|v| &v.value)
    }

    /// The text that `parameter` stands for; empty for a variable that does not exist, which parsing refuses.
    pub fn text<'a>(&'a self, parameter: &'a Parameter) -> &'a str {
        match parameter {
            Parameter::Text(text) => text,
            Parameter::Variable(name) => match self.variable(name) {
                Some(VariableValue::One(Text::Value(text))) => text,
                _ => "",
            },
        }
    }

    /// The labels that hold for `rule`: its own, and the defaults under other keys.
    pub fn labels(&self, rule: &Rule) -> BTreeMap<String, String> {
        let own = match rule {
            Rule::Single(single) => &single.labels,
            Rule::Composite(composite) => &composite.labels,
        };
        self.default_labels.iter().chain(own).cloned().collect()
    }

    /// SHA-256 of the canonical text, in hex: comments, blanks and the way of writing do not change it.
    pub fn hash(&self) -> String {
        use sha2::{Digest, Sha256};
        Sha256::digest(self.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// `"key" = "value"` pairs, in order, each key once.
pub type Labels = Vec<(String, String)>;

/// `name = value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name, without `$`.
    pub name: String,
    /// What it stands for.
    pub value: VariableValue,
}

/// What a variable stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum VariableValue {
    /// One value.
    One(Text),
    /// A list, not empty, to stand after `in`.
    List(Vec<Text>),
}

/// One entry of `Rules`.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// A rule of one type.
    Single(Box<Single>),
    /// Rules joined by AND or OR.
    Composite(Composite),
}

impl Rule {
    /// Where it stands.
    pub fn place(&self) -> Place {
        match self {
            Rule::Single(single) => single.place.0,
            Rule::Composite(composite) => composite.place.0,
        }
    }
}

/// Rules joined by AND or OR.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    /// By which.
    pub joiner: Joiner,
    /// At least two.
    pub parts: Vec<Rule>,
    /// Its own labels: they stood after its closing parenthesis.
    pub labels: Labels,
    /// Where it stands.
    pub place: Aside<Place>,
}

/// How a composite joins its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joiner {
    /// All must hold.
    And,
    /// One must hold.
    Or,
}

/// A rule of one type, or an analyzer.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// Its type.
    pub kind: &'static RuleType,
    /// As many as one of the type's forms has.
    pub parameters: Vec<Parameter>,
    /// What must hold.
    pub condition: Option<Condition>,
    /// `where`: an SQL predicate, not empty.
    pub filter: Option<String>,
    /// Its own labels.
    pub labels: Labels,
    /// `with threshold`: what the share of passing rows must meet.
    pub threshold: Option<Test<Number>>,
    /// The other tags, in order: `with format = "yyyy-MM-dd"`.
    pub tags: Vec<(String, String)>,
    /// Where its type stands.
    pub place: Aside<Place>,
}

impl Single {
    /// The texts of its parameters, variables resolved.
    pub fn texts<'a>(&'a self, ruleset: &'a Ruleset) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().map(|parameter| ruleset.text(parameter))
    }
}

/// A parameter of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A text or a name.
    Text(String),
    /// `$name`, a variable with one text.
    Variable(String),
}

/// What a rule's value must meet.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `> 3`, `in [1, NULL]`, `= avg(last(3))`.
    Number(Test<Number>),
    /// `= "a"`, `in ["a", EMPTY]`.
    Text(Test<Text>),
    /// `in $name`.
    InVariable {
        /// True for `not in`.
        not: bool,
        /// The variable: a list.
        name: String,
    },
    /// `matches "[a-z]+"`.
    Matches {
        /// True for `not matches`.
        not: bool,
        /// A regular expression that compiles.
        pattern: String,
    },
    /// `> "2024-01-01"`, `<= now()`.
    Date(Test<Date>),
    /// `<= 3 days`.
    Duration(Test<Duration>),
    /// `< 10 KB`.
    Size(Test<Size>),
}

/// A comparison with operands of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Test<T> {
    /// `= x` and its kin.
    Compare(Comparison, T),
    /// `between low and high`, both ends excluded, or its complement.
    Between {
        /// True for `not between`.
        not: bool,
        /// The lower end.
        low: T,
        /// The upper end.
        high: T,
    },
    /// `in [..]`, not empty.
    In {
        /// True for `not in`.
        not: bool,
        /// The list.
        values: Vec<T>,
    },
}

impl<T> Test<T> {
    /// The same test of other operands; the first error ends it.
    pub fn try_map<U, E>(&self, mut f: impl FnMut(&T) -> Result<U, E>) -> Result<Test<U>, E> {
        Ok(match self {
            Test::Compare(comparison, x) => Test::Compare(*comparison, f(x)?),
            Test::Between { not, low, high } => {
                Test::Between { not: *not, low: f(low)?, high: f(high)? }
            }
            Test::In { not, values } => {
                Test::In { not: *not, values: values.iter().map(f).collect::<Result<_, _>>()? }
            }
        })
    }

    /// The operands, in order.
    pub fn operands(&self) -> Vec<&T> {
        match self {
            Test::Compare(_, x) => vec![x],
            Test::Between { low, high, .. } => vec![low, high],
            Test::In { values, .. } => values.iter().collect(),
        }
    }
}

/// A sign of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Comparison {
    /// All, in the order of the manual.
    pub const ALL: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::Unequal,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
    ];

    /// The sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Unequal => "!=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
        }
    }

    /// Whether `x sign y` holds.
    pub fn holds<T: PartialOrd>(self, x: T, y: T) -> bool {
        match self {
            Comparison::Equal => x == y,
            Comparison::Unequal => x != y,
            Comparison::Greater => x > y,
            Comparison::GreaterOrEqual => x >= y,
            Comparison::Less => x < y,
            Comparison::LessOrEqual => x <= y,
        }
    }
}

/// An operand of a number condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// As it was written: `-`? digits [ `.` digits ], finite.
    Literal(String),
    /// `NULL`.
    Null,
    /// `avg(last(10))`.
    Call {
        /// The function's name.
        name: String,
        /// What it is given.
        arguments: Vec<Number>,
    },
    /// `(x)`.
    Group(Box<Number>),
    /// `x + y * z`: from left to right, all signs of the same precedence.
    Chain {
        /// The first operand.
        first: Box<Number>,
        /// The signs, each with the operand after it; not empty.
        rest: Vec<(Arithmetic, Number)>,
    },
}

/// A sign of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

impl Arithmetic {
    /// All.
    pub const ALL: [Arithmetic; 4] =
        [Arithmetic::Add, Arithmetic::Subtract, Arithmetic::Multiply, Arithmetic::Divide];

    /// The sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
        }
    }
}

/// An operand of a text condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// `"a"`.
    Value(String),
    /// `NULL`.
    Null,
    /// `EMPTY`: the text of no characters.
    Empty,
    /// `WHITESPACES_ONLY`: blanks, at least one.
    WhitespacesOnly,
    /// `$name`: a variable with one value.
    Variable(String),
}

/// An operand of a date condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Date {
    /// `"yyyy-MM-dd"`, a date of the calendar.
    Date(String),
    /// `"HH:mm"` or `"h:mm AM"`.
    Time(String),
    /// `now()`.
    Now,
    /// `(now() - 3 days)`.
    Shifted {
        /// True for `-`.
        back: bool,
        /// By how much.
        by: Duration,
    },
    /// `NULL`.
    Null,
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    /// How many.
    pub amount: u64,
    /// Of what.
    pub unit: TimeUnit,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// 24 hours.
    Days,
    /// 60 minutes.
    Hours,
    /// 60 seconds.
    Minutes,
}

impl TimeUnit {
    /// All.
    pub const ALL: [TimeUnit; 3] = [TimeUnit::Days, TimeUnit::Hours, TimeUnit::Minutes];

    /// DQDL's word.
    pub const fn word(self) -> &'static str {
        match self {
            TimeUnit::Days => "days",
            TimeUnit::Hours => "hours",
            TimeUnit::Minutes => "minutes",
        }
    }

    /// Its length.
    pub const fn milliseconds(self) -> i64 {
        match self {
            TimeUnit::Days => 86_400_000,
            TimeUnit::Hours => 3_600_000,
            TimeUnit::Minutes => 60_000,
        }
    }
}

/// A file's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many.
    pub amount: u64,
    /// Of what.
    pub unit: SizeUnit,
}

/// A unit of size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeUnit {
    /// Bytes.
    B,
    /// 1024 bytes.
    KB,
    /// 1024 KB.
    MB,
    /// 1024 MB.
    GB,
    /// 1024 GB.
    TB,
}

impl SizeUnit {
    /// All.
    pub const ALL: [SizeUnit; 5] =
        [SizeUnit::B, SizeUnit::KB, SizeUnit::MB, SizeUnit::GB, SizeUnit::TB];

    /// DQDL's word.
    pub const fn word(self) -> &'static str {
        match self {
            SizeUnit::B => "B",
            SizeUnit::KB => "KB",
            SizeUnit::MB => "MB",
            SizeUnit::GB => "GB",
            SizeUnit::TB => "TB",
        }
    }
}
