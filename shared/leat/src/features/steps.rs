//! Steps resolved against the columns of a batch: what each reads and makes, by place instead of by name.
//!
//! The rules of names:
//! - `in: [a, b]` is two steps, one after the other; each reads what stands under its name by then. An operator that takes
//!   its inputs together is one step, and one that makes columns beside them unless it reads but one.
//! - A step's column is named by its `out`, else as its input, which it then replaces for all later steps. Any other
//!   name that is there already is a clash.
//! - A column whose name only `fit` decides can be a feature, but no step reads it.
//! - The label is not there: what learns from it is handed it by `fit`.
//! - Columns have the order of their making: derived columns, windows, steps. A made column that is replaced keeps its
//!   place; a field that is replaced becomes a made column then.

use std::borrow::Cow;

use serde_json::Value;

use super::error::FeatureError;
use super::operator::{Apply, Operator};
use super::state::StepState;
use super::{find, output};
use crate::column::{Column, Type};
use crate::recipe::spec::{Arity, Setting};
use crate::recipe::{Dialect, Origin, Plan, Recipe, Role, Step};
use crate::record::Identity;

/// Where a column is while a batch is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A slot of the batch.
    Slot(usize),
    /// What a unit made.
    Made { unit: usize, output: usize },
}

/// A column by its name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub name: String,
    pub kind: Type,
    pub source: Source,
    /// False for a field as it came: it is a feature only if it is named.
    pub made: bool,
    /// True if training rows get another value than rows that serve, as it goes back to labels.
    pub out_of_fold: bool,
    /// The length of a sparse vector.
    pub terms: Option<u32>,
    readable: bool,
}

/// An operator over one input, or over several together.
#[derive(Debug)]
pub(super) struct Unit {
    pub step: usize,
    pub operator: &'static Operator,
    /// What it reads, for people.
    pub input: String,
    pub out: String,
    /// Where its inputs are, at least one, and their types.
    sources: Vec<Source>,
    kinds: Vec<Type>,
    /// None while it is not fitted.
    pub ready: Option<Box<dyn Apply>>,
}

impl Unit {
    /// What the operator is set to.
    pub fn setting<'a>(&'a self, dialect: Dialect, step: &'a Step) -> Setting<'a> {
        let spec = &self.operator.spec;
        Setting { spec, dialect, kind: self.kind(), kinds: &self.kinds, step }
    }

    /// Where its first input is.
    pub fn source(&self) -> Source {
        self.sources.first().copied().unwrap_or(Source::Slot(usize::MAX))
    }

    /// The type of its first input.
    pub fn kind(&self) -> Type {
        self.kinds.first().copied().unwrap_or(Type::Double)
    }

    fn not_fitted(&self, plan: &Plan) -> FeatureError {
        FeatureError::NotFitted {
            step: self.step + 1,
            op: self.operator.spec.name.to_owned(),
            level: plan.levels.get(self.step).copied().unwrap_or(1),
        }
    }
}

/// All steps of a recipe.
#[derive(Debug)]
pub(super) struct Steps {
    pub units: Vec<Unit>,
    pub columns: Vec<Named>,
}

impl Steps {
    /// Resolves the steps of `recipe`. Those of which `states` has the state are ready to run, as are those that learn
    /// nothing.
    pub fn new(
        recipe: &Recipe,
        plan: &Plan,
        states: &[Option<StepState>],
    ) -> Result<Steps, FeatureError> {
        let label = recipe.schema.role(Role::Label);
        let columns = plan.columns.iter().enumerate().filter(|(slot, _)| Some(*slot) != label);
        let columns = columns.map(|(slot, column)| Named {
            name: column.name.clone(),
            kind: column.kind,
            source: Source::Slot(slot),
            made: column.origin != Origin::Field,
            out_of_fold: false,
            terms: None,
            readable: true,
        });
        let mut steps = Steps { units: Vec::new(), columns: columns.collect() };
        for (index, step) in recipe.features.iter().enumerate() {
            let state = states.get(index).and_then(Option::as_ref);
            steps.add(recipe, index, step, state)?;
        }
        Ok(steps)
    }

    fn add(
        &mut self,
        recipe: &Recipe,
        index: usize,
        step: &Step,
        state: Option<&StepState>,
    ) -> Result<(), FeatureError> {
        let (number, op) = (index + 1, step.op.clone());
        let operator =
            find(&op).ok_or_else(|| FeatureError::Operator { step: number, op: op.clone() })?;
        let state_error =
            |message| FeatureError::State { step: number, op: step.op.clone(), message };
        if let Some(state) = state {
            state.check(step, &operator.spec).map_err(state_error)?;
        }
        if operator.spec.supervised && !recipe.has_numeric_label() {
            return Err(FeatureError::Label { step: number, op });
        }
        let arity = operator.spec.arity;
        let together = match arity {
            Arity::Each => 1,
            Arity::Together => step.inputs.len().max(1),
        };
        for (inputs, out) in step.inputs.chunks(together).zip(&arity.names(step)) {
            let (mut sources, mut kinds) = (Vec::new(), Vec::new());
            let mut out_of_fold = operator.spec.supervised;
            for input in inputs {
                let (op, column) = (op.clone(), input.clone());
                let Some(read) = self.columns.iter().find(|c| c.name == *input && c.readable)
                else {
                    return Err(FeatureError::Column { step: number, op, column });
                };
                if !operator.spec.takes.contains(&read.kind) {
                    let takes: Vec<_> = operator.spec.takes.iter().map(|t| t.word()).collect();
                    let (found, takes) = (read.kind, takes.join(", "));
                    return Err(FeatureError::ColumnType {
                        step: number,
                        op,
                        column,
                        found,
                        takes,
                    });
                }
                out_of_fold |= read.out_of_fold;
                sources.push(read.source);
                kinds.push(read.kind);
            }
            let (input, ready) = (inputs.join(", "), None);
            let (step_op, column, out) = (op.clone(), input.clone(), out.clone());
            let mut unit = Unit { step: index, operator, input, out, sources, kinds, ready };
            let setting = unit.setting(recipe.dialect, step);
            let known =
                (operator.spec.outputs)(&setting).map_err(|wrong| FeatureError::Parameter {
                    step: number,
                    op: step_op,
                    column,
                    message: wrong.message,
                })?;
            let ready = if operator.learns() {
                let state = state.and_then(|s| s.state.get(&unit.out));
                state.map(|state| operator.ready(&setting, state)).transpose()
            } else {
                operator.ready(&setting, &Value::Null).map(Some)
            };
            let ready =
                ready.map_err(|message| state_error(format!("`{}`: {message}", unit.out)))?;
            let readable = known.is_some();
            let outputs = match &ready {
                Some(ready) => ready.outputs(),
                None => known.unwrap_or_default(),
            };
            let place = self.units.len();
            // What reads several columns takes the place of none.
            let own = if let [input] = inputs { input.as_str() } else { "" };
            for (position, output) in outputs.into_iter().enumerate() {
                let (name, kind, terms) = (output.name(&unit.out), output.kind, output.terms);
                let source = Source::Made { unit: place, output: position };
                let made = Named { name, kind, source, made: true, out_of_fold, terms, readable };
                self.make(made, own).map_err(|column| FeatureError::Clash {
                    step: number,
                    op: op.clone(),
                    column,
                })?;
            }
            unit.ready = ready;
            self.units.push(unit);
        }
        Ok(())
    }

    /// Adds a column that a step made from `input`; its name, if that is taken by another column.
    fn make(&mut self, made: Named, input: &str) -> Result<(), String> {
        match self.columns.iter().position(|c| c.name == made.name) {
            None => self.columns.push(made),
            Some(_) if made.name != input => return Err(made.name),
            Some(at) if self.columns[at].made => self.columns[at] = made,
            Some(at) => {
                self.columns.remove(at);
                self.columns.push(made);
            }
        }
        Ok(())
    }

    /// The features: what `output` finds among the columns, in frozen order.
    pub fn features(&self, patterns: &[String]) -> Result<Vec<&Named>, FeatureError> {
        output::select(&self.columns, patterns)
    }

    /// An error if a step that learns has no state.
    pub fn all_fitted(&self, plan: &Plan) -> Result<(), FeatureError> {
        let unfitted = self.units.iter().find(|unit| unit.ready.is_none());
        unfitted.map_or(Ok(()), |unit| Err(unit.not_fitted(plan)))
    }

    /// Which units must run so that `sources` are made; an error if one of them is not fitted.
    pub fn wanted(
        &self,
        plan: &Plan,
        sources: impl IntoIterator<Item = Source>,
    ) -> Result<Vec<bool>, FeatureError> {
        let mut wanted = vec![false; self.units.len()];
        let mut open: Vec<Source> = sources.into_iter().collect();
        while let Some(source) = open.pop() {
            if let Source::Made { unit: index, .. } = source
                && !wanted[index]
            {
                let unit = &self.units[index];
                if unit.ready.is_none() {
                    return Err(unit.not_fitted(plan));
                }
                wanted[index] = true;
                open.extend(&unit.sources);
            }
        }
        Ok(wanted)
    }

    /// Runs the units in `wanted`; answers what each made. `train` are the rows' identities, where a model is trained on
    /// them.
    pub fn run(
        &self,
        wanted: &[bool],
        columns: &[Column],
        rows: usize,
        train: Option<&[Identity]>,
    ) -> Vec<Vec<Column>> {
        let mut made: Vec<Vec<Column>> = Vec::with_capacity(self.units.len());
        for (unit, wanted) in self.units.iter().zip(wanted) {
            let ready = unit.ready.as_ref().filter(|_| *wanted);
            let out = ready.map(|ready| {
                let input = |(&source, &kind)| column(source, kind, columns, &made, rows);
                match (unit.sources.as_slice(), train) {
                    ([source], Some(identities)) => {
                        ready.apply_train(&input((source, &unit.kind())), identities)
                    }
                    ([source], None) => ready.apply(&input((source, &unit.kind()))),
                    (sources, _) => {
                        let inputs: Vec<_> = sources.iter().zip(&unit.kinds).map(input).collect();
                        let inputs: Vec<&Column> = inputs.iter().map(|input| &**input).collect();
                        ready.apply_together(&inputs)
                    }
                }
            });
            made.push(out.unwrap_or_default());
        }
        made
    }
}

/// The column at `source`. One that the batch does not have (a bug of the caller) is all missing.
pub(super) fn column<'a>(
    source: Source,
    kind: Type,
    columns: &'a [Column],
    made: &'a [Vec<Column>],
    rows: usize,
) -> Cow<'a, Column> {
    let found = match source {
        Source::Slot(slot) => columns.get(slot),
        Source::Made { unit, output } => made.get(unit).and_then(|m| m.get(output)),
    };
    found.map_or_else(|| Cow::Owned(Column::nulls(kind, rows)), Cow::Borrowed)
}
