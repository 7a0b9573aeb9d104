//! Number conditions: their operands folded into numbers, and whether a number meets them.

use super::tree::{Arithmetic, Comparison, Number, Test};
use crate::number;

/// A number condition ready for numbers.
#[derive(Clone, Debug)]
pub enum NumberTest {
    /// A comparison; none is NULL, which no number is like.
    Compare(Comparison, Option<f64>),
    /// `between`, both ends excluded, or its complement.
    Between(bool, Option<(f64, f64)>),
    /// The list, ascending, without NULL; true for `not in`.
    In(bool, Vec<f64>),
}

impl NumberTest {
    /// Folds the operands of `test`, or says what is wrong with one of them.
    pub fn new(test: &Test<Number>) -> Result<Self, String> {
        Ok(match test.try_map(fold)? {
            Test::Compare(comparison, x) => NumberTest::Compare(comparison, x),
            Test::Between { not, low, high } => NumberTest::Between(not, low.zip(high)),
            Test::In { not, values } => {
                let mut values: Vec<f64> = values.into_iter().flatten().collect();
                values.sort_by(f64::total_cmp);
                NumberTest::In(not, values)
            }
        })
    }

    /// Whether `x` meets the condition. `x` is in canonical form, and so are the operands.
    #[inline]
    pub fn holds(&self, x: f64) -> bool {
        match self {
            NumberTest::Compare(comparison, Some(y)) => comparison.holds(x, *y),
            NumberTest::Compare(comparison, None) => *comparison == Comparison::Unequal,
            NumberTest::Between(not, Some((low, high))) => (*low < x && x < *high) != *not,
            NumberTest::Between(_, None) => false,
            NumberTest::In(not, values) => {
                values.binary_search_by(|value| value.total_cmp(&x)).is_ok() != *not
            }
        }
    }
}

/// The value of an operand without functions; none is NULL, and what is computed from it.
fn fold(number: &Number) -> Result<Option<f64>, String> {
    match fold_term(number, &NONE) {
        Ok(term) => term.one(number).map_err(Wrong::message),
        Err(wrong) => Err(wrong.message()),
    }
}

const NONE: Last<'static> = Last(None);

/// Gives the last values of the metric of a rule; without it there is no history.
#[derive(Clone, Copy)]
pub struct Last<'a>(pub Option<&'a dyn Fn(usize) -> Vec<f64>>);

/// The most values that `last(k)` asks for.
const MOST: f64 = 10_000.0;

/// The functions of dynamic rules, in the order of the manual.
const FUNCTIONS: [&str; 9] = ["last", "avg", "median", "max", "min", "sum", "std", "abs", "index"];

/// What is wrong with a dynamic operand.
#[derive(Debug, PartialEq)]
pub enum Wrong {
    /// Whatever the history.
    Always(String),
    /// With this history.
    Now(String),
}

impl Wrong {
    /// The text.
    pub fn message(self) -> String {
        match self {
            Wrong::Always(text) | Wrong::Now(text) => text,
        }
    }
}

/// Numbers while an operand is evaluated.
enum Term {
    /// None is NULL.
    One(Option<f64>),
    List(Vec<f64>),
}

impl Term {
    fn one(self, number: &Number) -> Result<Option<f64>, Wrong> {
        match self {
            Term::One(value) => Ok(value),
            Term::List(_) => {
                let why = format!("`{number}` is a list of values where one is wanted");
                Err(Wrong::Always(format!("{why}: take one of it, as in `avg({number})`")))
            }
        }
    }
}

/// `number` with values in the place of its functions.
pub fn without_functions(number: &Number, last: Last<'_>) -> Result<Number, Wrong> {
    Ok(match number {
        Number::Literal(_) | Number::Null => number.clone(),
        Number::Group(inner) => Number::Group(Box::new(without_functions(inner, last)?)),
        Number::Call { .. } => match fold_term(number, &last)?.one(number)? {
            Some(value) => Number::Literal(number::to_text(value)),
            None => Number::Null,
        },
        Number::Chain { first, rest } => {
            let values = Number::Chain {
                first: Box::new(without_functions(first, last)?),
                rest: rest
                    .iter()
                    .map(|(sign, x)| Ok((*sign, without_functions(x, last)?)))
                    .collect::<Result<_, Wrong>>()?,
            };
            // `10 / last()` has no value until an earlier run gives it one: nothing is wrong with the rule.
            if is_dynamic(number) {
                fold_term(&values, &NONE)?;
            }
            values
        }
    })
}

/// Whether an operand asks for values of earlier runs.
pub fn is_dynamic(number: &Number) -> bool {
    match number {
        Number::Literal(_) | Number::Null => false,
        Number::Group(inner) => is_dynamic(inner),
        Number::Call { .. } => true,
        Number::Chain { first, rest } => {
            is_dynamic(first) || rest.iter().any(|(_, x)| is_dynamic(x))
        }
    }
}

/// All signs have the same precedence.
fn fold_term(number: &Number, last: &Last<'_>) -> Result<Term, Wrong> {
    match number {
        Number::Literal(text) => Ok(Term::One(number::parse(text))),
        Number::Null => Ok(Term::One(None)),
        Number::Group(inner) => fold_term(inner, last),
        Number::Call { name, arguments } => call(number, name, arguments, last),
        Number::Chain { first, rest } => {
            let mut value = fold_term(first, last)?.one(first)?;
            for (sign, operand) in rest {
                let pair = value.zip(fold_term(operand, last)?.one(operand)?);
                value = pair.map(|(x, y)| match sign {
                    Arithmetic::Add => x + y,
                    Arithmetic::Subtract => x - y,
                    Arithmetic::Multiply => x * y,
                    Arithmetic::Divide => x / y,
                });
                if value.is_some_and(|x| !x.is_finite()) {
                    return Err(Wrong::Now(format!("`{number}` has no finite value")));
                }
            }
            Ok(Term::One(value.and_then(number::canonical)))
        }
    }
}

fn call(number: &Number, name: &str, arguments: &[Number], last: &Last<'_>) -> Result<Term, Wrong> {
    let wrong = |why: &str| Err(Wrong::Always(format!("`{number}`: {why}")));
    if !FUNCTIONS.contains(&name) {
        return wrong(&format!(
            "there is no function `{name}`; there are {}",
            FUNCTIONS.join(", ")
        ));
    }
    let Some(history) = last.0 else {
        return wrong("a single record has no earlier runs to compare with");
    };
    if name == "last" {
        let count = match arguments {
            [] => Some(1.0),
            [Number::Literal(text)] => number::parse(text),
            _ => None,
        };
        let whole = |count: &f64| (1.0..=MOST).contains(count) && count.trunc() == *count;
        return match count.filter(whole) {
            Some(count) => {
                let mut values = history(count as usize);
                if values.is_empty() {
                    values.push(0.0);
                }
                Ok(if count == 1.0 { Term::One(Some(values[0])) } else { Term::List(values) })
            }
            None => wrong(&format!("`last` takes a whole number from 1 to {MOST}")),
        };
    }
    let terms = arguments.iter().map(|x| fold_term(x, last)).collect::<Result<Vec<_>, _>>()?;
    if name == "index" {
        let Ok([list, at]) = <[Term; 2]>::try_from(terms) else {
            return wrong("`index` takes a list and a number from 0");
        };
        let list = match list {
            Term::List(list) => list,
            Term::One(value) => value.into_iter().collect(),
        };
        let at = at.one(number)?.filter(|at| *at >= 0.0 && at.trunc() == *at);
        let Some(at) = at else { return wrong("`index` takes a list and a number from 0") };
        return match list.get(at as usize) {
            Some(value) => Ok(Term::One(Some(*value))),
            None => Err(Wrong::Now(format!(
                "`{number}`: there are {} values of earlier runs, from 0",
                list.len()
            ))),
        };
    }
    let mut values = Vec::new();
    for term in terms {
        match term {
            Term::One(Some(value)) => values.push(value),
            Term::One(None) => return wrong("NULL is no number to compute with"),
            Term::List(list) => values.extend(list),
        }
    }
    let count = values.len() as f64;
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let value = match (name, values.as_slice()) {
        (_, []) => return wrong(&format!("`{name}` takes numbers")),
        ("abs", [x]) => x.abs(),
        ("abs", _) => return Ok(Term::List(values.iter().map(|x| x.abs()).collect())),
        ("median", values) => super::history::median(values).unwrap_or_default(),
        ("max", values) => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ("min", values) => values.iter().copied().fold(f64::INFINITY, f64::min),
        ("sum", values) => sum(values),
        ("std", values) => {
            let mean = sum(values) / count;
            let squares: Vec<f64> = values.iter().map(|x| (x - mean) * (x - mean)).collect();
            (sum(&squares) / count).sqrt()
        }
        (_, values) => sum(values) / count,
    };
    match number::canonical(value).filter(|x| x.is_finite()) {
        Some(value) => Ok(Term::One(Some(value))),
        None => Err(Wrong::Now(format!("`{number}` has no finite value"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Condition, Rule};
    use super::*;

    fn test(condition: &str) -> Result<NumberTest, String> {
        let ruleset =
            crate::quality::parse("t", &format!("Rules = [ RowCount {condition} ]")).unwrap();
        match &ruleset.rules[0] {
            Rule::Single(single) => match &single.condition {
                Some(Condition::Number(test)) => NumberTest::new(test),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values() {
        for (condition, passing, failing) in [
            ("= 3", &[3.0][..], &[2.0, 4.0][..]),
            ("!= 3", &[2.0], &[3.0]),
            ("> 3", &[3.5], &[3.0]),
            (">= 3", &[3.0], &[2.9]),
            ("< 3", &[2.9], &[3.0]),
            ("<= 3", &[3.0], &[3.1]),
            ("between 1 and 3", &[1.1, 2.9], &[1.0, 3.0]), // both ends are excluded
            ("not between 1 and 3", &[1.0, 3.0], &[2.0]),
            ("between 3 and 1", &[], &[1.0, 2.0, 3.0]),
            ("not between 3 and 1", &[1.0, 2.0, 3.0], &[]),
            ("in [3, 1, 2.5]", &[1.0, 2.5, 3.0], &[2.0]),
            ("not in [3, 1]", &[2.0], &[1.0, 3.0]),
            ("in [1, NULL]", &[1.0], &[0.0]),
            ("= NULL", &[], &[0.0]),
            ("!= NULL", &[0.0], &[]),
            ("> NULL", &[], &[0.0]),
            ("between NULL and 3", &[], &[1.0]),
            ("= 2 + 3 * 2", &[10.0], &[8.0]), // no precedence
            ("= 2 + (3 * 2)", &[8.0], &[10.0]),
            ("= 8.0 * (5.0 - (1.0 + (4.0 / 2.0)))", &[16.0], &[]),
            ("= 10 -3", &[7.0], &[]),
            ("= -0.0", &[0.0], &[]),
            ("in [-0.0]", &[0.0], &[]),
            ("= 0.1 + 0.2", &[0.1 + 0.2], &[0.3]), // exactly
            ("= NULL + 1", &[], &[1.0]),
        ] {
            let test = test(condition).unwrap();
            passing.iter().for_each(|x| assert!(test.holds(*x), "{x} {condition}"));
            failing.iter().for_each(|x| assert!(!test.holds(*x), "{x} {condition}"));
        }
    }

    #[test]
    fn refusals() {
        for (condition, why) in [
            ("= 1 / 0", "no finite value"),
            ("= 0 / 0", "no finite value"),
            ("> avg(last(3))", "`avg(last(3))`: a single record has no earlier runs"),
            ("> average(last(3))", "there is no function `average`; there are last, avg"),
        ] {
            assert!(test(condition).unwrap_err().contains(why), "{condition}");
        }
    }

    #[test]
    fn functions_of_earlier_runs() {
        let last = |count: usize| [4.0, 8.0, 3.0].into_iter().take(count).collect::<Vec<_>>();
        let nothing = |_: usize| Vec::new();
        let value = |operand: &str, history: &dyn Fn(usize) -> Vec<f64>| {
            let text = format!("Rules = [ RowCount > {operand} ]");
            let ruleset = crate::quality::parse("t", &text).unwrap();
            let Rule::Single(single) = &ruleset.rules[0] else { panic!("{text}") };
            let Some(Condition::Number(Test::Compare(_, number))) = &single.condition else {
                panic!("{text}")
            };
            without_functions(number, Last(Some(history))).map(|number| number.to_string())
        };
        for (operand, expected) in [
            ("last()", "4.0"),
            ("last(1)", "4.0"),
            ("avg(last(3))", "5.0"),
            ("avg(last(9))", "5.0"), // fewer: all there are
            ("median(last(3))", "4.0"),
            ("max(last(2))", "8.0"),
            ("min(last(2))", "4.0"),
            ("sum(last(2))", "12.0"),
            ("std(last(2))", "2.0"),
            ("abs(last() - 9)", "5.0"),
            ("index(last(3), 0)", "4.0"),
            ("index(last(3), 2)", "3.0"),
            ("avg(std(last(2)))", "2.0"),
            ("0.9 * avg(last(3))", "0.9 * 5.0"),
            ("(last() + 1) * 2", "(4.0 + 1) * 2"),
        ] {
            assert_eq!(value(operand, &last), Ok(expected.into()), "{operand}");
        }
        assert_eq!(value("avg(last(3))", &nothing), Ok("0.0".into()));
        for (operand, always, why) in [
            ("last(5)", true, "is a list of values where one is wanted"),
            ("last(0)", true, "a whole number from 1"),
            ("last(1.5)", true, "a whole number from 1"),
            ("average(last(2))", true, "there are last, avg"),
            ("avg()", true, "`avg` takes numbers"),
            ("avg(NULL)", true, "NULL"),
            ("index(last(3))", true, "`index` takes"),
            ("index(last(3), 3)", false, "there are 3 values"),
        ] {
            match value(operand, &last) {
                Err(wrong) => {
                    assert_eq!(matches!(wrong, Wrong::Always(_)), always, "{operand}");
                    let text = wrong.message();
                    assert!(text.contains(why), "{operand}: {text}");
                }
                Ok(value) => panic!("{operand}: {value}"),
            }
        }
    }
}
