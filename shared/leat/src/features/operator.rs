//! What an operator is made of, and how its typed halves come into one table.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::column::Column;
use crate::recipe::spec::{OperatorSpec, Output, Setting, Wrong};
use crate::record::Identity;

/// An operator that is ready to run: its parameters, and what it learned if it learns.
pub trait Apply: Send + Sync + std::fmt::Debug {
    /// The columns it gives, in order.
    fn outputs(&self) -> Vec<Output>;
    /// The columns of `outputs`, each with a row for each row of `column`. The stream calls this with one row, the
    /// batch job with many: there is no second formula, and no row depends on another.
    fn apply(&self, column: &Column) -> Vec<Column>;
    /// As [`Apply::apply`], of all columns that the operator reads at once. Only an operator that takes its inputs
    /// [`Together`](crate::recipe::spec::Arity::Together) is asked for more than one.
    fn apply_together(&self, columns: &[&Column]) -> Vec<Column> {
        columns.first().map(|column| self.apply(column)).unwrap_or_default()
    }
    /// As [`Apply::apply`], of rows that a model is trained on: what an operator learnt from labels must not tell a row
    /// its own. `identities` are those of the rows.
    fn apply_train(&self, column: &Column, identities: &[Identity]) -> Vec<Column> {
        let _ = identities; // most operators know nothing of labels
        self.apply(column)
    }
}

/// What is known of the rows that an operator learns from, beside its column.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// The label of each row; none where the recipe has no label.
    pub label: Option<&'a Column>,
    /// Who each row is, which decides its fold.
    pub identities: &'a [Identity],
}

/// An operator without a state.
pub trait Local: Apply + Sized + 'static {
    /// Its parameters.
    fn read(setting: &Setting<'_>) -> Result<Self, Wrong>;
}

/// An operator that learns: a monoid of partial states, from which a state is made at the end.
///
/// Law: learnt apart and merged equals one pass, at every cut and in any order, to the bit.
pub trait Fitted: Send + Sized + 'static {
    /// What is learnt so far. Two of the same content have the same JSON.
    type Partial: Clone + Default + Serialize + DeserializeOwned + Send;
    /// What is learnt, as it stands in the fitted state.
    type State: Serialize + DeserializeOwned;
    /// The operator with its state.
    type Ready: Apply + 'static;

    /// Its parameters.
    fn read(setting: &Setting<'_>) -> Result<Self, Wrong>;
    /// The columns it will give; `None` if that too is learnt.
    fn outputs(&self) -> Option<Vec<Output>>;
    /// Learns from the rows of `column`. `lesson` is read by an operator that is
    /// [`supervised`](OperatorSpec::supervised).
    fn update(&self, partial: &mut Self::Partial, column: &Column, lesson: &Lesson<'_>);
    /// Adds what `other` learnt.
    fn merge(&self, partial: &mut Self::Partial, other: &Self::Partial);
    /// What was learnt. An error says what is wrong with the data, and what to do.
    fn finish(&self, partial: &Self::Partial) -> Result<Self::State, String>;
    /// Ready to run. An error says what is wrong with the state.
    fn ready(self, state: Self::State) -> Result<Self::Ready, String>;
}

/// An operator at work in a fit; its partial state is JSON outside.
pub trait Learn: Send {
    /// See [`Fitted::update`].
    fn update(&mut self, column: &Column, lesson: &Lesson<'_>);
    /// Adds what another learnt; an error if it is no partial state of this operator.
    fn merge(&mut self, partial: &Value) -> Result<(), String>;
    /// What is learnt so far.
    fn partial(&self) -> Result<Value, String>;
    /// What was learnt.
    fn finish(&self) -> Result<Value, String>;
}

struct Learner<F: Fitted> {
    operator: F,
    partial: F::Partial,
}

impl<F: Fitted> Learn for Learner<F> {
    fn update(&mut self, column: &Column, lesson: &Lesson<'_>) {
        self.operator.update(&mut self.partial, column, lesson);
    }

    fn merge(&mut self, partial: &Value) -> Result<(), String> {
        let other = F::Partial::deserialize(partial).map_err(|e| e.to_string())?;
        self.operator.merge(&mut self.partial, &other);
        Ok(())
    }

    fn partial(&self) -> Result<Value, String> {
        serde_json::to_value(&self.partial).map_err(|e| e.to_string())
    }

    fn finish(&self) -> Result<Value, String> {
        let state = self.operator.finish(&self.partial)?;
        serde_json::to_value(&state).map_err(|e| e.to_string())
    }
}

/// [`OperatorSpec::outputs`] of an operator that learns.
pub(super) fn fitted_outputs<F: Fitted>(
    setting: &Setting<'_>,
) -> Result<Option<Vec<Output>>, Wrong> {
    Ok(F::read(setting)?.outputs())
}

/// [`OperatorSpec::outputs`] of an operator without a state.
pub(super) fn local_outputs<L: Local>(setting: &Setting<'_>) -> Result<Option<Vec<Output>>, Wrong> {
    Ok(Some(L::read(setting)?.outputs()))
}

type LearnerOf = fn(&Setting<'_>) -> Result<Box<dyn Learn>, Wrong>;
type ReadyOf = fn(&Setting<'_>, &Value) -> Result<Box<dyn Apply>, String>;

/// An entry of [`OPERATORS`](super::OPERATORS).
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// What it says of itself.
    pub spec: OperatorSpec,
    learner: Option<LearnerOf>,
    ready: ReadyOf,
}

impl Operator {
    pub(super) const fn fitted<F: Fitted>(spec: OperatorSpec) -> Self {
        Operator {
            spec,
            learner: Some(|setting| {
                Ok(Box::new(Learner {
                    operator: F::read(setting)?,
                    partial: F::Partial::default(),
                }))
            }),
            ready: |setting, state| {
                let operator = F::read(setting).map_err(|wrong| wrong.message)?;
                let state = F::State::deserialize(state).map_err(|e| e.to_string())?;
                Ok(Box::new(operator.ready(state)?))
            },
        }
    }

    pub(super) const fn local<L: Local>(spec: OperatorSpec) -> Self {
        Operator {
            spec,
            learner: None,
            ready: |setting, _| Ok(Box::new(L::read(setting).map_err(|wrong| wrong.message)?)),
        }
    }

    /// True if the operator learns.
    pub fn learns(&self) -> bool {
        self.learner.is_some()
    }

    /// A learner of nothing so far; `None` if the operator does not learn.
    pub fn learner(&self, setting: &Setting<'_>) -> Option<Result<Box<dyn Learn>, Wrong>> {
        self.learner.map(|learner| learner(setting))
    }

    /// The operator ready to run with `state`, which one that does not learn ignores.
    pub fn ready(&self, setting: &Setting<'_>, state: &Value) -> Result<Box<dyn Apply>, String> {
        (self.ready)(setting, state)
    }
}
