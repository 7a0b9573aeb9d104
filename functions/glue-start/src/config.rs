//! What the variables say.

use std::sync::Arc;

use leat_aws::{Aws, Failure, Reader, Vars};
use leat_jobs::config::{GlueUrl, LedgerUrl};
use leat_jobs::tasks::AnyTasks;

/// What the variables say.
#[derive(Debug)]
pub struct Config {
    /// `LEAT_JOBS`: the Glue jobs that may be started.
    pub jobs: Vec<String>,
    /// `LEAT_LEDGER`: where claims stand.
    pub ledger: LedgerUrl,
    /// `LEAT_GLUE`: what runs.
    pub glue: GlueUrl,
    /// `LEAT_TASKS`: who waits.
    pub tasks: Arc<AnyTasks>,
}

impl Config {
    /// Reads the variables; the error names all that is wrong.
    pub fn from_vars(vars: &Vars, aws: &Aws) -> Result<Self, Failure> {
        let mut reader = Reader::new(vars);
        let jobs = match reader.optional("LEAT_JOBS") {
            Some(_) => reader.list("LEAT_JOBS", ""),
            None => {
                reader.text("LEAT_JOBS", "the Glue jobs that may be started, with commas");
                Vec::new()
            }
        };
        let ledger = LedgerUrl::read(&mut reader);
        let glue = GlueUrl::read(&mut reader);
        let tasks = AnyTasks::read(&mut reader, aws);
        reader.finish()?;
        // A missing one is a problem, and `finish` has failed.
        let Some(ledger) = ledger else {
            return Err(Failure::Config("the configuration is wrong".into()));
        };
        Ok(Config { jobs, ledger, glue, tasks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong() {
        let vars = [("LEAT_GLUE", "x"), ("LEAT_TASKS", "y")];
        let vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let message = Config::from_vars(&vars, &Aws::default()).unwrap_err().to_string();
        for part in
            ["LEAT_JOBS is missing", "LEAT_LEDGER is missing", "`x` is none of", "`y` is none of"]
        {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
}
