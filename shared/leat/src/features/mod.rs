//! Features: the operators of a recipe, what they learn (`fit`), and how a row becomes features.
//!
//! An operator is one file in [`operators`] and one entry of [`OPERATORS`], from which the checker, the manual, the
//! JSON Schema and the hints for a misspelt word come. [`Fit`] learns level by level from parts of the data that are
//! merged in any order; [`FittedState`] is what it gives, as JSON; [`Features`] applies it.

mod bound;
mod columnwise;
mod counts;
mod error;
mod fit;
pub mod folds;
mod kmeans;
mod lookup;
pub(crate) mod manual;
mod murmur3;
mod operator;
pub mod operators;
mod output;
pub(crate) mod spread;
mod state;
mod steps;

pub use bound::{Features, Mode};
pub use error::FeatureError;
pub use fit::Fit;
pub use operator::{Apply, Fitted, Learn, Lesson, Local, Operator};
pub use state::{FittedColumn, FittedState, StateError, StepState};

use crate::recipe::spec::OperatorSpec;

/// All operators, in the order of the manual.
pub const OPERATORS: &[Operator] = &[
    Operator::fitted::<operators::impute::Impute>(operators::impute::SPEC),
    Operator::fitted::<operators::standard_scale::StandardScale>(operators::standard_scale::SPEC),
    Operator::fitted::<operators::min_max_scale::MinMaxScale>(operators::min_max_scale::SPEC),
    Operator::local::<operators::log::Log>(operators::log::SPEC),
    Operator::fitted::<operators::k_bins::KBins>(operators::k_bins::SPEC),
    Operator::fitted::<operators::one_hot::OneHot>(operators::one_hot::SPEC),
    Operator::fitted::<operators::ordinal::Ordinal>(operators::ordinal::SPEC),
    Operator::fitted::<operators::target_encode::TargetEncode>(operators::target_encode::SPEC),
    Operator::local::<operators::hash_encode::HashEncode>(operators::hash_encode::SPEC),
    Operator::local::<operators::cross::Cross>(operators::cross::SPEC),
    Operator::local::<operators::date_parts::DateParts>(operators::date_parts::SPEC),
    Operator::local::<operators::time_since::TimeSince>(operators::time_since::SPEC),
    Operator::fitted::<operators::tf_idf::TfIdf>(operators::tf_idf::SPEC),
];

/// What the operators say of themselves: for the checker, the manual and the JSON Schema.
pub fn specs() -> Vec<OperatorSpec> {
    OPERATORS.iter().map(|o| o.spec).collect()
}

/// The operator `name`.
pub fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|o| o.spec.name == name)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod table {
    use super::*;
    use crate::recipe::spec::Parameter;

    #[test]
    fn the_table() {
        let mut names: Vec<_> = OPERATORS.iter().map(|o| o.spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPERATORS.len(), "names are unique");
        for OperatorSpec { name, summary, manual, version, takes, parameters, .. } in specs() {
            assert!(manual.starts_with(&format!("`{name}`: ")), "{name}: {manual}");
            for part in
                ["- Takes: ", "- Gives: ", "- Edges: ", "- State: ", "- Errors: ", "- Source: "]
            {
                assert!(manual.contains(part), "{name} lacks {part}");
            }
            assert!(summary.ends_with('.') && version > 0 && !takes.is_empty(), "{name}");
            let mut keys: Vec<_> = parameters.iter().map(|p| p.name).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), parameters.len(), "{name}: parameters are unique");
            for parameter in parameters {
                let Parameter { name: key, default, required, help, .. } = parameter;
                assert!(help.ends_with('.'), "{name}.{key}");
                assert!(default.is_empty() || !required, "{name}.{key}");
                let json = serde_json::from_str::<serde_json::Value>(default);
                assert!(default.is_empty() || json.is_ok(), "{name}.{key}: {default}");
            }
        }
    }
}
