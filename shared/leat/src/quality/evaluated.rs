//! A rule with the values that its variables and functions had in a run.

use super::column_values::{day_of_now, shift};
use super::dates::date_of_day;
use super::history::History;
use super::names;
use super::numbers::{Last, Wrong, is_dynamic, without_functions};
use super::tree::{
    Composite, Condition, Date, Number, Parameter, Rule, Ruleset, Single, Test, Text, VariableValue,
};

/// `rule` with values in the place of variables and of `now()`, which is in milliseconds. Functions of earlier runs
/// stay.
pub fn evaluated(ruleset: &Ruleset, rule: &Rule, now: Option<i64>) -> Rule {
    match rule {
        Rule::Single(single) => Rule::Single(Box::new(Single {
            parameters: single
                .parameters
                .iter()
                .map(|parameter| Parameter::Text(ruleset.text(parameter).to_owned()))
                .collect(),
            condition: single.condition.as_ref().map(|c| condition(ruleset, single, c, now)),
            ..(**single).clone()
        })),
        Rule::Composite(composite) => Rule::Composite(Composite {
            parts: composite.parts.iter().map(|part| evaluated(ruleset, part, now)).collect(),
            ..composite.clone()
        }),
    }
}

/// `single` with values of `history` in the place of functions; true if some had none.
pub fn with_history(
    ruleset: &Ruleset,
    single: &Single,
    history: &History,
) -> Result<(Single, bool), Wrong> {
    let metric = names::in_history(&names::metric(ruleset, single), single);
    let values = |count: usize| history.last(&metric, count);
    let dynamic = |test: &Test<Number>| test.operands().into_iter().any(is_dynamic);
    let resolved =
        |test: &Test<Number>| test.try_map(|x| without_functions(x, Last(Some(&values))));
    let mut out = single.clone();
    let mut asked = false;
    if let Some(Condition::Number(test)) = &single.condition {
        asked |= dynamic(test);
        out.condition = Some(Condition::Number(resolved(test)?));
    }
    if let Some(test) = &single.threshold {
        asked |= dynamic(test);
        out.threshold = Some(resolved(test)?);
    }
    Ok((out, asked && values(1).is_empty()))
}

fn condition(
    ruleset: &Ruleset,
    single: &Single,
    condition: &Condition,
    now: Option<i64>,
) -> Condition {
    match condition {
        Condition::Text(test) => Condition::Text(mapped(test, |text| match text {
            Text::Variable(name) => match ruleset.variable(name) {
                Some(VariableValue::One(value)) => value.clone(),
                _ => text.clone(),
            },
            _ => text.clone(),
        })),
        Condition::InVariable { not, name } => match ruleset.variable(name) {
            Some(VariableValue::List(values)) => {
                Condition::Text(Test::In { not: *not, values: values.clone() })
            }
            _ => condition.clone(),
        },
        // Of a file the minute counts, which no date can say.
        Condition::Date(test) if single.kind.name != "FileFreshness" => {
            Condition::Date(mapped(test, |date| {
                let by = match date {
                    Date::Now => Some(0),
                    Date::Shifted { back, by } => Some(shift(*back, by.amount, by.unit)),
                    _ => None,
                };
                let day = now.zip(by).and_then(|(now, by)| date_of_day(day_of_now(now, by)));
                day.map_or_else(|| date.clone(), Date::Date)
            }))
        }
        _ => condition.clone(),
    }
}

fn mapped<T>(test: &Test<T>, mut f: impl FnMut(&T) -> T) -> Test<T> {
    match test.try_map(|x| Ok::<_, std::convert::Infallible>(f(x))) {
        Ok(test) => test,
        Err(never) => match never {},
    }
}
