//! A fitted state bound to a recipe: names are resolved once, then rows become features.

use serde::{Deserialize, Serialize};

use super::error::FeatureError;
use super::state::FittedState;
use super::steps::{self, Source, Steps};
use crate::column::{Column, Type};
use crate::recipe::{Plan, Recipe};
use crate::record::Identity;

/// What the columns hold that go back to labels: the fitted state names them. All others are the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What a model gets when it serves: all labels count.
    Serve,
    /// What a model is trained on: only labels outside of the row's own fold count.
    Train,
}

/// The features of a recipe under a fitted state.
#[derive(Debug)]
pub struct Features {
    names: Vec<String>,
    kinds: Vec<Type>,
    sources: Vec<Source>,
    steps: Steps,
    wanted: Vec<bool>,
}

impl Features {
    /// Binds `state`, which [`FittedState::from_json`] checked, to its recipe.
    pub fn bind(recipe: &Recipe, plan: &Plan, state: &FittedState) -> Result<Self, FeatureError> {
        if state.state_plan != plan.state_plan {
            let (found, wanted) = (state.state_plan.clone(), plan.state_plan.clone());
            return Err(FeatureError::StatePlan { found, wanted });
        }
        if state.steps.len() != recipe.features.len() {
            return Err(FeatureError::Count {
                found: state.steps.len(),
                wanted: recipe.features.len(),
            });
        }
        let steps = Steps::new(recipe, plan, &state.states())?;
        steps.all_fitted(plan)?;
        let features = steps.features(&recipe.output)?;
        let frozen = state.columns.iter();
        let frozen = frozen.map(|c| (c.name.as_str(), c.kind, c.out_of_fold, c.terms));
        let found = features.iter().map(|c| (c.name.as_str(), c.kind, c.out_of_fold, c.terms));
        let found: Vec<_> = found.collect();
        let same = frozen.zip(&found).take_while(|(frozen, found)| frozen == *found).count();
        if same < found.len().max(state.columns.len()) {
            return Err(FeatureError::Frozen { place: same + 1 });
        }
        let sources: Vec<_> = features.iter().map(|c| c.source).collect();
        let (names, kinds) = features.iter().map(|c| (c.name.clone(), c.kind)).unzip();
        let wanted = steps.wanted(plan, sources.iter().copied())?;
        Ok(Features { names, kinds, sources, steps, wanted })
    }

    /// The features' names, in frozen order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Their types, each bool, long or double, or string for a sparse vector (see
    /// [`Output::terms`](crate::recipe::spec::Output::terms)).
    pub fn kinds(&self) -> &[Type] {
        &self.kinds
    }

    /// The features of `rows` rows as a model gets them when it serves, in frozen order: `columns` are those of a batch,
    /// by slot, with derived and window columns. No row depends on another.
    pub fn apply(&self, columns: &[Column], rows: usize) -> Vec<Column> {
        self.run(columns, rows, None)
    }

    /// The features of rows to train a model on, one for each of `identities`. They must be of the data that the state
    /// was learnt from: no label of a row's own fold, its own among them, comes into its features.
    pub fn apply_train(&self, columns: &[Column], identities: &[Identity]) -> Vec<Column> {
        self.run(columns, identities.len(), Some(identities))
    }

    /// [`Features::apply`] or [`Features::apply_train`].
    pub fn apply_in(&self, mode: Mode, columns: &[Column], identities: &[Identity]) -> Vec<Column> {
        self.run(columns, identities.len(), (mode == Mode::Train).then_some(identities))
    }

    fn run(&self, columns: &[Column], rows: usize, train: Option<&[Identity]>) -> Vec<Column> {
        let mut made = self.steps.run(&self.wanted, columns, rows, train);
        let sources = self.sources.iter().zip(&self.kinds);
        sources
            .map(|(&source, &kind)| match source {
                // Each made column has one name, so that it can be moved out.
                Source::Made { unit, output } => {
                    std::mem::replace(&mut made[unit][output], Column::new(kind))
                }
                slot => steps::column(slot, kind, columns, &[], rows).into_owned(),
            })
            .collect()
    }
}
