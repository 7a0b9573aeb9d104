//! Conditions: the operands are read as what they look like, then the operator and the rule's type say what kind of
//! condition they make.

use super::super::dates;
use super::super::tree::{
    Arithmetic, Comparison, Condition, Date, Duration, Number, Size, SizeUnit, Test, Text,
    TimeUnit, VariableValue,
};
use super::super::types::ConditionKind;
use super::{KEYWORDS, Parsed, Parser, Stop, Word, is_keyword, is_section, nearest};
use crate::pattern::Pattern;
use crate::recipe::Place;

/// An operand as it looks.
#[derive(Clone)]
enum Operand {
    Null,
    Empty,
    WhitespacesOnly,
    Text(String),
    Variable(String),
    Number(Number),
    /// `now()` and its shifts.
    Date(Date),
    Duration(Duration),
    Size(Size),
}

impl Operand {
    fn kind(&self) -> ConditionKind {
        match self {
            Operand::Null => ConditionKind::None,
            Operand::Number(_) => ConditionKind::Number,
            Operand::Date(_) => ConditionKind::Date,
            Operand::Duration(_) => ConditionKind::Duration,
            Operand::Size(_) => ConditionKind::Size,
            _ => ConditionKind::Text,
        }
    }
}

/// The units that a hint names.
const UNITS: [&str; 7] = ["days", "hours", "minutes", "KB", "MB", "GB", "TB"];

/// Whether a name after a number is a unit, or meant to be one.
fn measures(name: &str) -> bool {
    let keyword = |word: &&str| word.eq_ignore_ascii_case(name) && !UNITS.contains(word);
    name == "B" || !(is_section(name) || KEYWORDS.iter().any(keyword))
}

type Placed = (Operand, Place);

impl<'a> Parser<'a> {
    /// A condition, if one begins here. `allowed` says what texts, NULL and whole numbers are read as.
    pub(super) fn condition(&mut self, allowed: &[ConditionKind]) -> Parsed<Option<Condition>> {
        if let Word::Sign(sign) = *self.word() {
            let Some(comparison) = Comparison::ALL.into_iter().find(|c| c.sign() == sign) else {
                return Ok(None);
            };
            self.advance();
            let test = Test::Compare(comparison, self.operand()?);
            return self.typed(test, allowed).map(Some);
        }
        if !self.is_name(0, &["not", "between", "in", "matches"]) {
            return Ok(None);
        }
        let not = self.eat_name(&["not"]);
        if self.eat_name(&["between"]) {
            let low = self.operand()?;
            if !self.eat_name(&["and", "AND"]) {
                return Err(self.expected("`and` with the upper end"));
            }
            let high = self.operand()?;
            return self.typed(Test::Between { not, low, high }, allowed).map(Some);
        }
        if self.eat_name(&["matches"]) {
            let (pattern, place) = self.text("a regular expression in quotes")?;
            if let Err(why) = check_pattern(&pattern) {
                return Err(self.error(place, why, None));
            }
            return Ok(Some(Condition::Matches { not, pattern }));
        }
        if !self.eat_name(&["in"]) {
            return Err(self.expected("`between`, `in` or `matches`"));
        }
        if self.is_sign(0, "$") {
            let place = self.place();
            let name = self.variable_name()?;
            if let Some(VariableValue::One(_)) = self.resolve(name, place)? {
                let message = format!("the variable `{name}` is one value, `in` takes a list");
                let hint = format!("write `in [${name}]`");
                return Err(self.error(place, message, Some(hint)));
            }
            return Ok(Some(Condition::InVariable { not, name: name.to_owned() }));
        }
        if !self.eat_sign("[") {
            return Err(self.expected("a list, `[ … ]` or `$name`"));
        }
        let mut values = vec![self.operand()?];
        while self.eat_sign(",") {
            values.push(self.operand()?);
        }
        if !self.eat_sign("]") {
            return Err(self.expected("`,` or `]`"));
        }
        self.typed(Test::In { not, values }, allowed).map(Some)
    }

    fn operand(&mut self) -> Parsed<Placed> {
        let place = self.place();
        let operand = match self.word() {
            Word::Text(text) => Some(Operand::Text(text.clone())),
            Word::Name("null" | "NULL") if !self.is_arithmetic(1) => Some(Operand::Null),
            Word::Name("empty" | "EMPTY") => Some(Operand::Empty),
            Word::Name("whitespaces_only" | "WHITESPACES_ONLY") => Some(Operand::WhitespacesOnly),
            _ => None,
        };
        if let Some(operand) = operand {
            self.advance();
            return Ok((operand, place));
        }
        let operand = match self.word() {
            Word::Sign("$") => {
                let name = self.variable_name()?;
                if let Some(VariableValue::List(_)) = self.resolve(name, place)? {
                    let message =
                        format!("the variable `{name}` is a list, which stands only after `in`");
                    return Err(self.error(place, message, None));
                }
                Operand::Variable(name.to_owned())
            }
            Word::Name("now") if self.is_sign(1, "(") => {
                self.now()?;
                Operand::Date(Date::Now)
            }
            Word::Sign("(") if self.is_name(1, &["now"]) && self.is_sign(2, "(") => {
                Operand::Date(self.shifted()?)
            }
            Word::Number(amount) if matches!(self.token(1).word, Word::Name(n) if measures(n)) => {
                let amount = *amount;
                self.measure(amount)?
            }
            _ => Operand::Number(self.number()?),
        };
        Ok((operand, place))
    }

    /// `now()`.
    fn now(&mut self) -> Parsed<()> {
        self.advance();
        self.expect_sign("(")?;
        self.expect_sign(")")
    }

    /// `(now() - 3 days)`.
    fn shifted(&mut self) -> Parsed<Date> {
        self.advance();
        self.now()?;
        let back = self.is_sign(0, "-");
        if !back && !self.is_sign(0, "+") {
            return Err(self.expected("`+` or `-` and a duration, as in `(now() - 3 days)`"));
        }
        self.advance();
        let Word::Number(amount) = *self.word() else {
            return Err(self.expected("a whole number of days, hours or minutes"));
        };
        let place = self.place();
        match self.measure(amount)? {
            Operand::Duration(by) => {
                self.expect_sign(")")?;
                Ok(Date::Shifted { back, by })
            }
            _ => Err(self.error(place, "a date is shifted by days, hours or minutes", None)),
        }
    }

    /// A whole number and its unit.
    fn measure(&mut self, amount: &str) -> Parsed<Operand> {
        let place = self.place();
        self.advance();
        let Word::Name(unit) = *self.word() else {
            return Err(self.expected("`days`, `hours` or `minutes`"));
        };
        let operand = |amount| {
            let time = TimeUnit::ALL.into_iter().find(|u| u.word() == unit);
            let size = SizeUnit::ALL.into_iter().find(|u| u.word() == unit);
            match (time, size) {
                (Some(unit), _) => Some(Operand::Duration(Duration { amount, unit })),
                (_, Some(unit)) => Some(Operand::Size(Size { amount, unit })),
                _ => None,
            }
        };
        // A duration of more than 10^12 minutes lies outside of any calendar; a size is a 64-bit number.
        let Some(whole) = amount.parse::<u64>().ok().filter(|n| *n <= 1_000_000_000_000) else {
            let message =
                format!("`{}` is no whole number up to 10^12", super::tokens::cut(amount));
            return Err(self.error(place, message, None));
        };
        match operand(whole) {
            Some(operand) => {
                self.advance();
                Ok(operand)
            }
            None => {
                let hint = nearest(unit, UNITS).map_or_else(
                    || "after a value stand AND, OR, where, labels or with".to_owned(),
                    |near| format!("the nearest is `{near}`"),
                );
                let message = format!(
                    "`{unit}` is no unit; there are days, hours, minutes, and B, KB, MB, GB, TB"
                );
                Err(self.error(self.place(), message, Some(hint)))
            }
        }
    }

    fn is_arithmetic(&self, ahead: usize) -> bool {
        matches!(self.token(ahead).word, Word::Sign(s) if Arithmetic::ALL.iter().any(|a| a.sign() == s))
    }

    /// `x + y * z`, from left to right.
    fn number(&mut self) -> Parsed<Number> {
        let first = self.number_part()?;
        let mut rest = Vec::new();
        while let Word::Sign(sign) = *self.word() {
            let Some(arithmetic) = Arithmetic::ALL.into_iter().find(|a| a.sign() == sign) else {
                break;
            };
            self.advance();
            rest.push((arithmetic, self.number_part()?));
        }
        Ok(if rest.is_empty() { first } else { Number::Chain { first: Box::new(first), rest } })
    }

    fn number_part(&mut self) -> Parsed<Number> {
        match *self.word() {
            Word::Sign("-") => {
                self.advance();
                match *self.word() {
                    Word::Number(digits) if self.token(0).joined => self.literal("-", digits),
                    _ => Err(self.expected("digits right after the sign `-`")),
                }
            }
            Word::Number(digits) => self.literal("", digits),
            Word::Name("null" | "NULL") => {
                self.advance();
                Ok(Number::Null)
            }
            Word::Name(name) if self.is_sign(1, "(") && !is_keyword(name) => {
                self.advance();
                self.deeper(|parser| parser.call(name))
            }
            Word::Sign("(") => self.deeper(|parser| {
                parser.advance();
                let inner = parser.number()?;
                parser.expect_sign(")")?;
                Ok(Number::Group(Box::new(inner)))
            }),
            Word::Name(name) if name.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                let message = format!("`{}` is no number of DQDL", super::tokens::cut(name));
                let hint = "digits, perhaps with a point and digits; a blank before a unit";
                Err(self.error(self.place(), message, Some(hint.into())))
            }
            _ => Err(self.expected("a value")),
        }
    }

    fn literal(&mut self, sign: &str, digits: &str) -> Parsed<Number> {
        let text = format!("{sign}{digits}");
        if !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(self.error(self.place(), "this number is too great", None));
        }
        self.advance();
        Ok(Number::Literal(text))
    }

    fn call(&mut self, name: &str) -> Parsed<Number> {
        self.advance();
        let mut arguments = Vec::new();
        if !self.eat_sign(")") {
            arguments.push(self.number()?);
            while self.eat_sign(",") {
                arguments.push(self.number()?);
            }
            if !self.eat_sign(")") {
                return Err(self.expected("`,` or `)`"));
            }
        }
        Ok(Number::Call { name: name.to_owned(), arguments })
    }

    /// The kind of the condition: that of its operands, which must be one; NULL joins any.
    fn typed(&mut self, test: Test<Placed>, allowed: &[ConditionKind]) -> Parsed<Condition> {
        let ordering = !matches!(
            test,
            Test::Compare(Comparison::Equal | Comparison::Unequal, _) | Test::In { .. }
        );
        let kinds: Vec<_> = test.operands().iter().map(|(operand, _)| operand.kind()).collect();
        let first =
            |kinds: &[ConditionKind]| kinds.iter().copied().find(|k| *k != ConditionKind::None);
        let kind = match first(&kinds) {
            None => first(allowed).unwrap_or(ConditionKind::Number),
            Some(_) if kinds.contains(&ConditionKind::Date) => ConditionKind::Date,
            Some(_) if kinds.contains(&ConditionKind::Size) => ConditionKind::Size,
            // A whole number alone is a size in bytes.
            Some(ConditionKind::Number) if allowed == [ConditionKind::Size] => ConditionKind::Size,
            Some(ConditionKind::Text) if ordering => ConditionKind::Date,
            Some(ConditionKind::Text)
                if allowed.contains(&ConditionKind::Date)
                    && !allowed.contains(&ConditionKind::Text) =>
            {
                ConditionKind::Date
            }
            Some(kind) => kind,
        };
        match kind {
            ConditionKind::Text => self.each(&test, text_of).map(Condition::Text),
            ConditionKind::Date => self.each(&test, date_of).map(Condition::Date),
            ConditionKind::Duration => self.each(&test, duration_of).map(Condition::Duration),
            ConditionKind::Size => self.each(&test, size_of).map(Condition::Size),
            ConditionKind::Number | ConditionKind::None => {
                self.each(&test, number_of).map(Condition::Number)
            }
        }
    }

    /// Each operand as `T`; each that cannot be one is an error.
    fn each<T>(
        &mut self,
        test: &Test<Placed>,
        convert: fn(&Operand) -> Result<T, String>,
    ) -> Parsed<Test<T>> {
        let failures = self.failures;
        for (operand, place) in test.operands() {
            if let Err(why) = convert(operand) {
                self.error(*place, why, None);
            }
        }
        if failures != self.failures {
            return Err(Stop);
        }
        test.try_map(|(operand, _)| convert(operand)).map_err(|_| Stop)
    }
}

fn mixed(operand: &Operand, wanted: &str) -> String {
    let found = match operand {
        Operand::Null => "NULL",
        Operand::Empty => "EMPTY",
        Operand::WhitespacesOnly => "WHITESPACES_ONLY",
        Operand::Text(_) => "a text",
        Operand::Variable(_) => "a variable, which is a text",
        Operand::Number(_) => "a number",
        Operand::Date(_) => "a date",
        Operand::Duration(_) => "a duration",
        Operand::Size(_) => "a size",
    };
    format!("found {found}, expected {wanted}")
}

fn number_of(operand: &Operand) -> Result<Number, String> {
    match operand {
        Operand::Number(number) => Ok(number.clone()),
        Operand::Null => Ok(Number::Null),
        other => Err(mixed(other, "a number like the other values")),
    }
}

fn text_of(operand: &Operand) -> Result<Text, String> {
    match operand {
        Operand::Text(text) => Ok(Text::Value(text.clone())),
        Operand::Variable(name) => Ok(Text::Variable(name.clone())),
        Operand::Null => Ok(Text::Null),
        Operand::Empty => Ok(Text::Empty),
        Operand::WhitespacesOnly => Ok(Text::WhitespacesOnly),
        other => Err(mixed(other, "a text like the other values")),
    }
}

fn date_of(operand: &Operand) -> Result<Date, String> {
    match operand {
        Operand::Date(date) => Ok(date.clone()),
        Operand::Null => Ok(Date::Null),
        Operand::Text(text) if dates::is_date_shaped(text) => match dates::day_of_date(text) {
            Some(_) => Ok(Date::Date(text.clone())),
            None => Err(format!("\"{text}\" is not in the calendar")),
        },
        Operand::Text(text) if dates::is_time_of_day(text) => Ok(Date::Time(text.clone())),
        Operand::Text(text) => Err(format!(
            "\"{}\" is no date (\"yyyy-MM-dd\") and no time of day (\"HH:mm\", \"h:mm AM\"); a number stands \
             without quotes",
            super::tokens::cut(text)
        )),
        other => Err(mixed(other, "a date (\"yyyy-MM-dd\", \"HH:mm\", `now()`)")),
    }
}

fn duration_of(operand: &Operand) -> Result<Duration, String> {
    match operand {
        Operand::Duration(duration) => Ok(*duration),
        other => Err(mixed(other, "a duration, such as `3 days`")),
    }
}

fn size_of(operand: &Operand) -> Result<Size, String> {
    match operand {
        Operand::Size(size) => Ok(*size),
        Operand::Number(Number::Literal(digits)) => match digits.parse() {
            Ok(amount) => Ok(Size { amount, unit: SizeUnit::B }),
            Err(_) => Err(format!("`{}` is no whole number of bytes", super::tokens::cut(digits))),
        },
        other => Err(mixed(other, "a size, such as `10 MB`")),
    }
}

/// What is wrong with a regular expression.
pub(super) fn check_pattern(pattern: &str) -> Result<(), String> {
    Pattern::new(pattern).map(|_| ())
}
