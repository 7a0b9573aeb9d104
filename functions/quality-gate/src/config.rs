//! What the variables say.

use std::sync::Arc;

use leat_aws::{Aws, Failure, KeySource, Reader, Vars};
use leat_jobs::tasks::AnyTasks;

/// What the variables say.
#[derive(Debug)]
pub struct Config {
    /// `LEAT_RECIPE`: the URL of recipe.yaml.
    pub recipe: String,
    /// `LEAT_CLEANSED`: the URL of the data set's folder in the cleansed zone.
    pub cleansed: String,
    /// `LEAT_ARTIFACTS`: the URL of the folder of artifacts.
    pub artifacts: String,
    /// `LEAT_KEYS`: the secret that tokens are made with.
    pub keys: Option<KeySource>,
    /// `LEAT_TASKS`: who waits.
    pub tasks: Arc<AnyTasks>,
}

impl Config {
    /// Reads the variables; the error names all that is wrong.
    pub fn from_vars(vars: &Vars, aws: &Aws) -> Result<Self, Failure> {
        let mut reader = Reader::new(vars);
        let config = Config {
            recipe: reader.text("LEAT_RECIPE", "the URL of recipe.yaml"),
            cleansed: reader.text("LEAT_CLEANSED", "s3://<bucket>/cleansed/<data set>/"),
            artifacts: reader.text("LEAT_ARTIFACTS", "s3://<bucket>/artifacts/"),
            keys: reader.maybe("LEAT_KEYS"),
            tasks: AnyTasks::read(&mut reader, aws),
        };
        reader.finish()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong() {
        let vars = [("LEAT_KEYS", "env:X"), ("LEAT_TASKS", "sqs:")];
        let vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let message = Config::from_vars(&vars, &Aws::default()).unwrap_err().to_string();
        for name in ["LEAT_RECIPE", "LEAT_CLEANSED", "LEAT_ARTIFACTS", "LEAT_KEYS", "LEAT_TASKS"] {
            assert!(message.contains(name), "{name} is not in {message}");
        }
    }
}
