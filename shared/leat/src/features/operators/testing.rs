//! What the operators' tests share: the only place in them that knows the table's functions.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use crate::column::{Column, Type};
use crate::features::operator::{Apply, Fitted, Lesson, Operator};
use crate::features::{OPERATORS, find};
use crate::recipe::spec::{OperatorSpec, Setting, Wrong};
use crate::recipe::{Dialect, Place, Step};
use crate::record::Identity;

/// For operators that look at their column alone.
pub const LESSON: Lesson<'static> = Lesson { label: None, identities: &[] };

/// A JSON text as a value.
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A step of the operator with `parameters`, a JSON object.
pub fn setting(spec: &OperatorSpec, parameters: &str) -> Step {
    let parameters = serde_json::from_str(parameters).unwrap();
    Step {
        op: spec.name.into(),
        inputs: vec!["x".into()],
        outputs: Vec::new(),
        parameters,
        level: 0,
        place: Place::default(),
        places: Default::default(),
    }
}

fn of(spec: &OperatorSpec) -> &'static Operator {
    assert!(OPERATORS.iter().any(|o| o.spec.name == spec.name));
    find(spec.name).unwrap()
}

fn run(
    setting: &Setting<'_>,
    state: &Value,
    column: &Column,
) -> Result<Vec<(String, Column)>, String> {
    let ready = of(setting.spec).ready(setting, state)?;
    let names = ready.outputs();
    let columns = ready.apply(column);
    assert_eq!(names.len(), columns.len());
    for (output, found) in names.iter().zip(&columns) {
        assert_eq!((output.kind, column.len()), (found.kind(), found.len()), "{output:?}");
    }
    // A row by itself gives what it gives in a column.
    for row in 0..column.len() {
        for (whole, single) in columns.iter().zip(ready.apply(&column.gather(&[row]))) {
            assert_eq!(whole.gather(&[row]), single);
        }
    }
    Ok(names.iter().map(|o| o.name("x")).zip(columns).collect())
}

/// The columns, named for `out: x`, that an operator without state makes of `column`.
pub fn apply(
    spec: &OperatorSpec,
    parameters: &str,
    column: &Column,
) -> Result<Vec<(String, Column)>, String> {
    let step = setting(spec, parameters);
    let kinds = [column.kind()];
    let setting =
        Setting { spec, dialect: Dialect::Sklearn, kind: kinds[0], kinds: &kinds, step: &step };
    run(&setting, &Value::Null, column)
}

/// [`apply`] of an operator that takes its inputs together.
pub fn apply_together(
    spec: &OperatorSpec,
    parameters: &str,
    columns: &[&Column],
) -> Result<Vec<(String, Column)>, String> {
    let step = setting(spec, parameters);
    let kinds: Vec<Type> = columns.iter().map(|column| column.kind()).collect();
    let dialect = Dialect::Sklearn;
    let setting = Setting { spec, dialect, kind: kinds[0], kinds: &kinds, step: &step };
    let ready = of(spec).ready(&setting, &Value::Null)?;
    let (outputs, made) = (ready.outputs(), ready.apply_together(columns));
    let rows = columns[0].len();
    for (output, found) in outputs.iter().zip(&made) {
        assert_eq!((output.kind, rows), (found.kind(), found.len()), "{output:?}");
    }
    for row in 0..rows {
        let single: Vec<Column> = columns.iter().map(|column| column.gather(&[row])).collect();
        let single = ready.apply_together(&single.iter().collect::<Vec<_>>());
        assert!(made.iter().map(|whole| whole.gather(&[row])).eq(single), "row {row}");
    }
    Ok(outputs.iter().map(|o| o.name("x")).zip(made).collect())
}

/// The state learnt from `fit`, and the columns that it makes of `column`.
pub fn fit_apply(
    spec: &OperatorSpec,
    parameters: &str,
    fit: &Column,
    column: &Column,
) -> Result<(Value, Vec<(String, Column)>), String> {
    fit_apply_in(Dialect::Sklearn, spec, parameters, fit, column)
}

/// [`fit_apply`] in a dialect.
pub fn fit_apply_in(
    dialect: Dialect,
    spec: &OperatorSpec,
    parameters: &str,
    fit: &Column,
    column: &Column,
) -> Result<(Value, Vec<(String, Column)>), String> {
    let step = setting(spec, parameters);
    let kinds = [fit.kind()];
    let setting = Setting { spec, dialect, kind: kinds[0], kinds: &kinds, step: &step };
    let mut learner = of(spec).learner(&setting).unwrap().map_err(|wrong| wrong.message)?;
    learner.update(fit, &LESSON);
    let state = learner.finish()?;
    let columns = run(&setting, &state, column)?;
    Ok((state, columns))
}

/// An operator that learnt from labels.
pub struct Taught {
    /// What it learnt.
    pub state: Value,
    ready: Box<dyn Apply>,
}

impl Taught {
    /// The one column that it makes of `column` for rows that serve.
    pub fn serve(&self, column: &Column) -> Column {
        let one = |rows: &[usize]| self.ready.apply(&column.gather(rows)).remove(0);
        let whole = one(&(0..column.len()).collect::<Vec<_>>());
        (0..column.len()).for_each(|row| assert_eq!(whole.gather(&[row]), one(&[row])));
        whole
    }

    /// The same for rows to train on.
    pub fn train(&self, column: &Column, identities: &[Identity]) -> Column {
        let whole = self.ready.apply_train(column, identities).remove(0);
        for (row, identity) in identities.iter().enumerate() {
            let single = self.ready.apply_train(&column.gather(&[row]), &[*identity]).remove(0);
            assert_eq!(whole.gather(&[row]), single);
        }
        whole
    }
}

/// The operator after it learnt from the rows of `column` with their `labels`.
pub fn taught(
    spec: &OperatorSpec,
    parameters: &str,
    column: &Column,
    labels: &Column,
    identities: &[Identity],
) -> Result<Taught, String> {
    let step = setting(spec, parameters);
    let kinds = [column.kind()];
    let setting =
        Setting { spec, dialect: Dialect::Sklearn, kind: kinds[0], kinds: &kinds, step: &step };
    let mut learner = of(spec).learner(&setting).unwrap().map_err(|wrong| wrong.message)?;
    learner.update(column, &Lesson { label: Some(labels), identities });
    let state = learner.finish()?;
    let ready = of(spec).ready(&setting, &state)?;
    Ok(Taught { state, ready })
}

/// What is wrong with `parameters` for a column of `kind`.
#[track_caller]
pub fn wrong(spec: &OperatorSpec, kind: Type, parameters: &str) -> Wrong {
    let step = setting(spec, parameters);
    let setting = Setting { spec, dialect: Dialect::Sklearn, kind, kinds: &[kind], step: &step };
    (spec.outputs)(&setting).expect_err(parameters)
}

/// [`wrong`] for columns of `kinds`, read together.
#[track_caller]
pub fn wrong_together(spec: &OperatorSpec, kinds: &[Type], parameters: &str) -> Wrong {
    let step = setting(spec, parameters);
    let setting = Setting { spec, dialect: Dialect::Sklearn, kind: kinds[0], kinds, step: &step };
    (spec.outputs)(&setting).expect_err(parameters)
}

/// Doubles of any size, missing ones, and small ones that come again.
pub fn number() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        any::<f64>().prop_map(Some),
        (-5i8..5).prop_map(|x| Some(f64::from(x) / 4.0)),
        (-1e6..1e6).prop_map(Some),
    ]
}

/// The law of a fitted operator: apart and merged, through JSON, in any order, equals one pass, to the bit.
pub fn law<F: Fitted>(
    spec: &OperatorSpec,
    parameters: &str,
    column: &Column,
    lesson: &Lesson<'_>,
    cuts: &[usize],
    turn: usize,
) -> Result<(), TestCaseError> {
    let step = setting(spec, parameters);
    let kinds = [column.kind()];
    let setting =
        Setting { spec, dialect: Dialect::Sklearn, kind: kinds[0], kinds: &kinds, step: &step };
    let operator = F::read(&setting).expect(parameters);
    let mut whole = F::Partial::default();
    operator.update(&mut whole, column, lesson);

    let mut ends: Vec<usize> = cuts.iter().map(|&cut| cut.min(column.len())).collect();
    ends.extend([0, column.len()]);
    ends.sort_unstable();
    let mut parts: Vec<F::Partial> = ends
        .windows(2)
        .map(|w| {
            let mut part = F::Partial::default();
            let rows: Vec<usize> = (w[0]..w[1]).collect();
            let label = lesson.label.map(|label| label.gather(&rows));
            let identities = lesson.identities.get(w[0]..w[1]).unwrap_or_default();
            let lesson = Lesson { label: label.as_ref(), identities };
            operator.update(&mut part, &column.gather(&rows), &lesson);
            serde_json::from_value(serde_json::to_value(&part).unwrap()).unwrap()
        })
        .collect();
    let turn = turn % parts.len();
    parts.rotate_left(turn);
    let mut merged = F::Partial::default();
    parts.iter().for_each(|part| operator.merge(&mut merged, part));

    let text = |partial: &F::Partial| serde_json::to_string(partial).unwrap();
    prop_assert_eq!(text(&whole), text(&merged));
    let state = |partial: &F::Partial| {
        operator.finish(partial).map(|state| serde_json::to_string(&state).unwrap())
    };
    prop_assert_eq!(state(&whole), state(&merged));
    Ok(())
}
