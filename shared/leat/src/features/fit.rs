//! Learning, level by level: a step that reads what a fitted step made is one level later, and each level is one pass
//! over the data, which many workers share. What they learn apart is merged in any order, to the bit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::FeatureError;
use super::operator::{Learn, Lesson};
use super::state::{StepState, hash_of};
use super::steps::{self, Steps};
use crate::column::Column;
use crate::recipe::{Plan, Recipe, Role};
use crate::record::Identity;

/// One level of a fit, over some part of the data.
pub struct Fit {
    level: usize,
    of: String,
    rows: u64,
    recipe: Recipe,
    so_far: Vec<Option<StepState>>,
    steps: Steps,
    wanted: Vec<bool>,
    /// By unit.
    learners: Vec<(usize, Box<dyn Learn>)>,
}

/// What a part of the data taught, outside of a process.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partial {
    leat: u64,
    level: usize,
    of: String,
    rows: u64,
    learners: Vec<Value>,
}

impl Fit {
    /// A fit of `level` (from 1) that has seen no row. `so_far` is what the levels before gave; empty for the first.
    pub fn new(
        recipe: &Recipe,
        plan: &Plan,
        level: usize,
        so_far: &[Option<StepState>],
    ) -> Result<Fit, FeatureError> {
        let steps = Steps::new(recipe, plan, so_far)?;
        let mut learners = Vec::new();
        for (index, unit) in steps.units.iter().enumerate() {
            let step = &recipe.features[unit.step];
            let setting = unit.setting(recipe.dialect, step);
            if plan.levels.get(unit.step) != Some(&level) {
                continue;
            }
            if let Some(learner) = unit.operator.learner(&setting) {
                let learner = learner.map_err(|wrong| FeatureError::Parameter {
                    step: unit.step + 1,
                    op: step.op.clone(),
                    column: unit.input.clone(),
                    message: wrong.message,
                })?;
                learners.push((index, learner));
            }
        }
        let wanted =
            steps.wanted(plan, learners.iter().map(|(unit, _)| steps.units[*unit].source()))?;
        let mut so_far = so_far.to_vec();
        so_far.resize(recipe.features.len(), None);
        let of = hash_of(&(recipe, &plan.state_plan, &so_far, level));
        Ok(Fit { level, of, rows: 0, recipe: recipe.clone(), so_far, steps, wanted, learners })
    }

    /// Learns from rows, one for each of `identities`: `columns` are those of a batch, by slot, with derived and window
    /// columns. The label is read from its field's slot, and by operators that learn from it alone. A step that reads
    /// what such an operator made learns from what the rows would be trained on.
    pub fn update(&mut self, columns: &[Column], identities: &[Identity]) {
        let rows = identities.len();
        let made = self.steps.run(&self.wanted, columns, rows, Some(identities));
        let label = self.recipe.schema.role(Role::Label).and_then(|slot| columns.get(slot));
        let lesson = Lesson { label, identities };
        for (unit, learner) in &mut self.learners {
            let unit = &self.steps.units[*unit];
            let column = steps::column(unit.source(), unit.kind(), columns, &made, rows);
            learner.update(&column, &lesson);
        }
        self.rows += rows as u64;
    }

    /// How many rows were seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds what `other`, a fit of the same recipe and level, learnt.
    pub fn merge(&mut self, other: &Fit) -> Result<(), FeatureError> {
        self.merge_partial(other.to_partial()?)
    }

    /// What is learnt so far, as JSON, for [`Fit::merge_json`] elsewhere.
    pub fn to_json(&self) -> Result<String, FeatureError> {
        let partial = self.to_partial()?;
        serde_json::to_string(&partial).map_err(|e| FeatureError::Partial(e.to_string()))
    }

    /// Adds what another fit of the same recipe and level learnt: its [`Fit::to_json`].
    pub fn merge_json(&mut self, json: &str) -> Result<(), FeatureError> {
        let partial = serde_json::from_str(json);
        self.merge_partial(partial.map_err(|e| FeatureError::Partial(e.to_string()))?)
    }

    fn to_partial(&self) -> Result<Partial, FeatureError> {
        let learners = self.learners.iter().map(|(_, learner)| learner.partial());
        let learners: Result<_, _> = learners.collect();
        Ok(Partial {
            leat: 1,
            level: self.level,
            of: self.of.clone(),
            rows: self.rows,
            learners: learners.map_err(FeatureError::Partial)?,
        })
    }

    fn merge_partial(&mut self, other: Partial) -> Result<(), FeatureError> {
        let refuse = |message: &str| Err(FeatureError::Partial(message.to_owned()));
        if other.leat != 1 || other.learners.len() != self.learners.len() {
            return refuse("it has another form; use one version of leat throughout a fit");
        }
        if other.of != self.of {
            return refuse("it is of another recipe, state plan, level or state so far");
        }
        for ((_, learner), partial) in self.learners.iter_mut().zip(&other.learners) {
            learner.merge(partial).map_err(FeatureError::Partial)?;
        }
        self.rows = self.rows.saturating_add(other.rows);
        Ok(())
    }

    /// What was learnt, by step: what the levels before gave, and this one. All errors at once.
    pub fn finish(&self) -> Result<Vec<Option<StepState>>, Vec<FeatureError>> {
        let (mut errors, mut states) = (Vec::new(), BTreeMap::<usize, BTreeMap<_, _>>::new());
        for (unit, learner) in &self.learners {
            let unit = &self.steps.units[*unit];
            match learner.finish() {
                Ok(state) => {
                    states.entry(unit.step).or_default().insert(unit.out.clone(), state);
                }
                Err(message) => errors.push(FeatureError::Data {
                    step: unit.step + 1,
                    op: unit.operator.spec.name.to_owned(),
                    column: unit.input.clone(),
                    message,
                }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut out = self.so_far.clone();
        for (index, state) in states {
            let step = &self.recipe.features[index];
            let spec = super::find(&step.op).map(|o| o.spec);
            out[index] = spec.map(|spec| StepState::new(step, &spec, state));
        }
        Ok(out)
    }
}
