//! What can be wrong when steps meet a plan, data or a state. Steps are numbered from 1, as people count them.

use crate::column::Type;

/// Why steps cannot be fitted or applied. What a recipe's text alone shows is found, with its place, when the recipe is
/// read; here it is an error without a place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FeatureError {
    /// No such operator.
    #[error("step {step}: no operator is named `{op}`")]
    Operator {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
    },
    /// An input is not there.
    #[error("step {step} (`{op}`): there is no column `{column}` for it to read")]
    Column {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
        /// The column.
        column: String,
    },
    /// An input is of another type.
    #[error("step {step} (`{op}`): column `{column}` holds {found}, the operator takes {takes}")]
    ColumnType {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
        /// The column.
        column: String,
        /// What it holds.
        found: Type,
        /// What the operator takes.
        takes: String,
    },
    /// Parameters do not go together.
    #[error("step {step} (`{op}`), column `{column}`: {message}")]
    Parameter {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
        /// The column that it reads.
        column: String,
        /// What is wrong.
        message: String,
    },
    /// A step learns from a label that is not there, or is text.
    #[error(
        "step {step} (`{op}`) learns from the label: give one field the role label, and the type long, double or bool"
    )]
    Label {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
    },
    /// A step makes a column whose name is taken.
    #[error(
        "step {step} (`{op}`) makes a column `{column}`, which is there already; give the step another `out`, or \
         rename the value"
    )]
    Clash {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
        /// The column.
        column: String,
    },
    /// A step that must be fitted is not.
    #[error("step {step} (`{op}`) is not fitted; fit level {level} first")]
    NotFitted {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
        /// Its level.
        level: usize,
    },
    /// The data do not allow to learn.
    #[error("step {step} (`{op}`), column `{column}`: {message}")]
    Data {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
        /// The column that it reads.
        column: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A state is not one of this step.
    #[error("the state of step {step} (`{op}`) does not fit: {message}; fit again")]
    State {
        /// The step.
        step: usize,
        /// Its operator.
        op: String,
        /// What is wrong.
        message: String,
    },
    /// States that were given are not those of the recipe.
    #[error("the given states cannot be taken: {0}")]
    Given(String),
    /// A state saw other windows.
    #[error(
        "the fitted state has state plan {found}, the recipe now comes to {wanted}, so that its windows are not those \
         that were fitted; fit again"
    )]
    StatePlan {
        /// What the state has.
        found: String,
        /// What the recipe comes to.
        wanted: String,
    },
    /// A state has another number of steps.
    #[error("the fitted state has {found} steps, the recipe {wanted}; fit again")]
    Count {
        /// What the state has.
        found: usize,
        /// What the recipe has.
        wanted: usize,
    },
    /// A partial state comes from another fit.
    #[error("a partial state cannot be merged: {0}")]
    Partial(String),
    /// `output` names nothing.
    #[error("`output`: `{0}` finds no column")]
    Output(String),
    /// `output` names a column that no model takes.
    #[error(
        "`output`: column `{column}` holds {kind}, and a feature is a number or a boolean; encode it by a step"
    )]
    OutputType {
        /// The column.
        column: String,
        /// What it holds.
        kind: Type,
    },
    /// There is no feature.
    #[error(
        "the recipe gives no feature: no step, window or derived column makes a number or a boolean"
    )]
    Nothing,
    /// The frozen columns are not those that the steps make.
    #[error(
        "the fitted state lists other columns than its steps make, first at place {place}; fit again"
    )]
    Frozen {
        /// The place in the list, from 1.
        place: usize,
    },
}
