//! What the variables say.

use std::sync::Arc;

use leat_aws::{Aws, Failure, Reader, Vars};
use leat_jobs::tasks::AnyTasks;

use crate::store::GroupUrl;

/// What the variables say.
#[derive(Debug)]
pub struct Config {
    /// `LEAT_RECIPE`: the URL of recipe.yaml, which says which columns are identifier and event time.
    pub recipe: String,
    /// `LEAT_FEATURE_GROUP`: where records go.
    pub group: GroupUrl,
    /// `LEAT_FEATURES`: the features of the group, beside identifier and event time; all if there are none.
    pub features: Vec<String>,
    /// `LEAT_RECORDS_AT_ONCE`: calls at a time.
    pub at_once: usize,
    /// `LEAT_TASKS`: who waits.
    pub tasks: Arc<AnyTasks>,
}

impl Config {
    /// Reads the variables; the error names all that is wrong.
    pub fn from_vars(vars: &Vars, aws: &Aws) -> Result<Self, Failure> {
        let mut reader = Reader::new(vars);
        let recipe = reader.text("LEAT_RECIPE", "the URL of recipe.yaml");
        let group = reader
            .required("LEAT_FEATURE_GROUP", "where records go, such as sagemaker:<feature group>");
        let features = match reader.optional("LEAT_FEATURES") {
            Some(_) => reader.list("LEAT_FEATURES", ""),
            None => Vec::new(),
        };
        let at_once = reader.number("LEAT_RECORDS_AT_ONCE", 16, 1, 256);
        let tasks = AnyTasks::read(&mut reader, aws);
        reader.finish()?;
        // A missing one is a problem, and `finish` has failed.
        let Some(group) = group else {
            return Err(Failure::Config("the configuration is wrong".into()));
        };
        let at_once = usize::try_from(at_once).unwrap_or(1);
        Ok(Config { recipe, group, features, at_once, tasks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Config, Failure> {
        let vars = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Config::from_vars(&vars, &Aws::default())
    }

    #[test]
    fn all_that_is_wrong() {
        let why = from(&[
            ("LEAT_FEATURE_GROUP", "sagemaker:"),
            ("LEAT_RECORDS_AT_ONCE", "0"),
            ("LEAT_TASKS", "x"),
        ]);
        let message = why.unwrap_err().to_string();
        for part in [
            "LEAT_RECIPE is missing",
            "`sagemaker:` is none of",
            "LEAT_RECORDS_AT_ONCE is 0",
            "`x` is none of",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }

    #[test]
    fn good() {
        let config = from(&[
            ("LEAT_RECIPE", "file:r.yaml"),
            ("LEAT_FEATURE_GROUP", "log:"),
            ("LEAT_FEATURES", "amount, label"),
        ]);
        let config = config.unwrap();
        assert_eq!((config.features, config.at_once), (vec!["amount".into(), "label".into()], 16));
    }
}
