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

/// The value of an operand; none is NULL, and what is computed from it. All signs have the same precedence.
fn fold(number: &Number) -> Result<Option<f64>, String> {
    match number {
        Number::Literal(text) => Ok(number::parse(text)),
        Number::Null => Ok(None),
        Number::Group(inner) => fold(inner),
        Number::Call { name, .. } => Err(format!("the function `{name}` is not evaluated yet")),
        Number::Chain { first, rest } => {
            let mut value = fold(first)?;
            for (sign, operand) in rest {
                let pair = value.zip(fold(operand)?);
                value = pair.map(|(x, y)| match sign {
                    Arithmetic::Add => x + y,
                    Arithmetic::Subtract => x - y,
                    Arithmetic::Multiply => x * y,
                    Arithmetic::Divide => x / y,
                });
                if value.is_some_and(|x| !x.is_finite()) {
                    return Err(format!("`{number}` has no finite value"));
                }
            }
            Ok(value.and_then(number::canonical))
        }
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
            ("> avg(last(3))", "`avg` is not evaluated yet"),
        ] {
            assert!(test(condition).unwrap_err().contains(why), "{condition}");
        }
    }
}
