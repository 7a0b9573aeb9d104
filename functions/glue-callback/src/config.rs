//! What the variables say.

use std::sync::Arc;

use leat_aws::{Aws, Failure, Reader, Vars};
use leat_jobs::config;
use leat_jobs::tasks::AnyTasks;

/// What the variables say.
#[derive(Debug)]
pub struct Config {
    /// Those of `s3-glue-trigger`.
    pub starter: config::Config,
    /// `LEAT_TASKS`: who waits.
    pub tasks: Arc<AnyTasks>,
}

impl Config {
    /// Reads the variables; the error names all that is wrong.
    pub fn from_vars(vars: &Vars, aws: &Aws) -> Result<Self, Failure> {
        let mut reader = Reader::new(vars);
        let starter = config::Config::read(&mut reader);
        let tasks = AnyTasks::read(&mut reader, aws);
        reader.finish()?;
        // A missing one is a problem, and `finish` has failed.
        let Some(starter) = starter else {
            return Err(Failure::Config("the configuration is wrong".into()));
        };
        Ok(Config { starter, tasks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong() {
        let vars = [("LEAT_TASKS", "x")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let message = Config::from_vars(&vars, &Aws::default()).unwrap_err().to_string();
        for part in ["LEAT_DATASETS is missing", "LEAT_LEDGER is missing", "`x` is none of"] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
}
