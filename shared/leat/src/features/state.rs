//! The fitted state: all that was learnt, as JSON that people read and compare.
//!
//! Its hash is SHA-256 over its own JSON without blanks and without the hash. Keys have one order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::FeatureError;
use super::steps::{Named, Steps};
use crate::column::Type;
use crate::recipe::spec::OperatorSpec;
use crate::recipe::{Plan, Recipe, Step};

/// The form of the file.
const FORM: u64 = 2;

/// What `fit` learnt from a recipe's training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedState {
    leat: u64,
    /// The recipe's name.
    pub recipe: String,
    /// The hash of the recipe and its ruleset.
    pub recipe_hash: String,
    /// The state plan of the recipe: whose windows the fit saw. See [`Plan::state_plan`].
    pub state_plan: String,
    /// The hash of this state.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// How many rows were fitted.
    pub rows: u64,
    /// The features, in frozen order.
    pub columns: Vec<FittedColumn>,
    /// The recipe's steps, in order.
    pub steps: Vec<StepState>,
}

/// A feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedColumn {
    /// Its name.
    pub name: String,
    /// Its type: bool, long or double; string for a sparse vector.
    #[serde(rename = "type")]
    pub kind: Type,
    /// True if it goes back to labels, so that it holds something else in [`Mode::Train`](super::Mode::Train).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_fold: bool,
    /// The length of a sparse vector: see [`Output::terms`](crate::recipe::spec::Output::terms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<u32>,
}

/// A step and what it learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepState {
    /// The operator.
    pub op: String,
    /// Its version.
    pub version: u32,
    /// The columns that it reads.
    #[serde(rename = "in")]
    pub inputs: Vec<String>,
    /// The name that it gives to each.
    #[serde(rename = "out")]
    pub outputs: Vec<String>,
    /// What it learnt, by `out` name; nothing for an operator that does not learn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, Value>,
}

/// What a step is given instead of learning it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    op: String,
    state: BTreeMap<String, Value>,
}

/// Why a text is not the fitted state that was asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StateError {
    /// Not JSON, or not of this form.
    #[error(
        "the fitted state cannot be read: {0}; take the file as `leat fit` wrote it, or fit again"
    )]
    Form(String),
    /// Written by another version.
    #[error("the fitted state has form {found}, this version of leat reads form {FORM}; fit again")]
    Version {
        /// Its `leat`.
        found: String,
    },
    /// Changed after it was written.
    #[error(
        "the fitted state was changed after it was written: it says hash {said}, its content has {found}; take the file \
         as `leat fit` wrote it, or fit again"
    )]
    Hash {
        /// What it says.
        said: String,
        /// What its content has.
        found: String,
    },
    /// Of another recipe.
    #[error(
        "the fitted state is of recipe `{name}` with hash {said}, and this recipe has {wanted}; fit again, or take the \
         recipe it was fitted with"
    )]
    Recipe {
        /// The recipe's name.
        name: String,
        /// The hash it was fitted with.
        said: String,
        /// The hash asked for.
        wanted: String,
    },
}

impl StepState {
    /// A step that learnt `state`, by `out` name.
    pub(super) fn new(step: &Step, spec: &OperatorSpec, state: BTreeMap<String, Value>) -> Self {
        StepState {
            op: step.op.clone(),
            version: spec.version,
            inputs: step.inputs.clone(),
            outputs: spec.arity.names(step),
            state: state.into_iter().map(|(out, state)| (out, sorted(state))).collect(),
        }
    }

    /// What of it is not that of `step`.
    pub(super) fn check(&self, step: &Step, spec: &OperatorSpec) -> Result<(), String> {
        if self.op != step.op {
            return Err(format!("it is of operator `{}`", self.op));
        }
        if self.version != spec.version {
            let (found, wanted) = (self.version, spec.version);
            return Err(format!(
                "it is of version {found} of the operator, which now has {wanted}"
            ));
        }
        if self.inputs != step.inputs {
            return Err(format!("it reads {}", self.inputs.join(", ")));
        }
        if self.outputs != spec.arity.names(step) {
            return Err(format!("it gives {}", self.outputs.join(", ")));
        }
        Ok(())
    }
}

impl FittedState {
    /// The state of `recipe`, whose hash is `recipe_hash`, from what [`Fit::finish`](super::Fit::finish) gave at the
    /// last level. The columns are frozen here.
    pub fn new(
        recipe: &Recipe,
        plan: &Plan,
        recipe_hash: &str,
        rows: u64,
        steps: &[Option<StepState>],
    ) -> Result<FittedState, FeatureError> {
        let resolved = Steps::new(recipe, plan, steps)?;
        resolved.all_fitted(plan)?;
        let features = resolved.features(&recipe.output)?;
        let column = |c: &&Named| FittedColumn {
            name: c.name.clone(),
            kind: c.kind,
            out_of_fold: c.out_of_fold,
            terms: c.terms,
        };
        let columns = features.iter().map(column).collect();
        let state = |(index, step): (usize, &Step)| {
            let learnt = steps.get(index).cloned().flatten();
            learnt.or_else(|| {
                Some(StepState::new(step, &super::find(&step.op)?.spec, BTreeMap::new()))
            })
        };
        let mut out = FittedState {
            leat: FORM,
            recipe: recipe.name.clone(),
            recipe_hash: recipe_hash.to_owned(),
            state_plan: plan.state_plan.clone(),
            hash: String::new(),
            rows,
            columns,
            steps: recipe.features.iter().enumerate().filter_map(state).collect(),
        };
        out.hash = out.content_hash();
        Ok(out)
    }

    /// The state of `recipe` of what is given instead of learnt, by somebody who knows it from elsewhere: JSON, a list of
    /// `{"op": …, "state": {out: …}}`, one for each step that learns, in the recipe's order, with its states as a fitted
    /// state has them. It saw no rows.
    pub fn given(
        recipe: &Recipe,
        plan: &Plan,
        recipe_hash: &str,
        given: &str,
    ) -> Result<FittedState, FeatureError> {
        let given: Vec<Given> =
            serde_json::from_str(given).map_err(|e| FeatureError::Given(e.to_string()))?;
        let count = given.len();
        let mut given = given.into_iter();
        let mut states = Vec::new();
        for (index, step) in recipe.features.iter().enumerate() {
            let spec = super::find(&step.op).map(|operator| operator.spec);
            let Some(spec) = spec.filter(|spec| spec.fitted) else {
                states.push(None);
                continue;
            };
            let (number, op) = (index + 1, &step.op);
            let refuse =
                |message: String| FeatureError::Given(format!("step {number} (`{op}`) {message}"));
            let Some(given) = given.next() else {
                return Err(refuse(format!("is given nothing: there are {count} states")));
            };
            if given.op != step.op {
                return Err(refuse(format!("is given the state of `{}`", given.op)));
            }
            let names = spec.arity.names(step);
            if let Some(name) = given.state.keys().find(|name| !names.contains(name)) {
                return Err(refuse(format!("is given `{name}`, and gives {}", names.join(", "))));
            }
            states.push(Some(StepState::new(step, &spec, given.state)));
        }
        if given.next().is_some() {
            let message = format!("there are {count}, more than steps that learn");
            return Err(FeatureError::Given(message));
        }
        FittedState::new(recipe, plan, recipe_hash, 0, &states)
    }

    /// The file's text: indented, keys in one order, a line break at its end.
    pub fn to_json(&self) -> String {
        // Its keys are text and its numbers finite, so that it can always be written.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a file's text and checks that it is whole and of the recipe whose hash is `recipe_hash`.
    pub fn from_json(text: &str, recipe_hash: &str) -> Result<FittedState, StateError> {
        let form = |e: serde_json::Error| StateError::Form(e.to_string());
        let value: Value = serde_json::from_str(text).map_err(form)?;
        match value.get("leat") {
            Some(leat) if leat.as_u64() == Some(FORM) => {}
            Some(leat) => return Err(StateError::Version { found: leat.to_string() }),
            None => return Err(StateError::Form("it has no member `leat`".into())),
        }
        let mut state: FittedState = serde_json::from_str(text).map_err(form)?;
        for step in &mut state.steps {
            step.state.values_mut().for_each(|value| *value = sorted(value.take()));
        }
        let found = state.content_hash();
        if state.hash != found {
            return Err(StateError::Hash { said: state.hash, found });
        }
        if state.recipe_hash != recipe_hash {
            return Err(StateError::Recipe {
                name: state.recipe,
                said: state.recipe_hash,
                wanted: recipe_hash.to_owned(),
            });
        }
        Ok(state)
    }

    fn content_hash(&self) -> String {
        hash_of(&FittedState { hash: String::new(), ..self.clone() })
    }

    /// The state of each step, as [`Steps::new`] takes it.
    pub(super) fn states(&self) -> Vec<Option<StepState>> {
        self.steps.iter().cloned().map(Some).collect()
    }
}

/// SHA-256, in hex, of `value` as JSON without blanks.
pub(super) fn hash_of(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same value with the keys of its objects in ascending order, whichever map `serde_json` was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let keys: BTreeMap<String, Value> = map.into_iter().collect();
            Value::Object(keys.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
