//! What the variables say.

use std::time::Duration;

use leat_aws::{Failure, KeySource, Reader, Vars};
use leat_lake::AsideUrl;
use leat_stream::serving::ServingUrl;
use leat_stream::sink::SinkUrl;
use leat_stream::store::StoreUrl;

/// What the variables say.
#[derive(Clone, Debug)]
pub struct Config {
    /// `LEAT_RECIPE`: the URL of recipe.yaml. Its ruleset lies beside it.
    pub recipe: String,
    /// `LEAT_KEYS`: the secret that tokens are made with.
    pub keys: Option<KeySource>,
    /// `LEAT_STATE`: where entities' items lie.
    pub state: StoreUrl,
    /// `LEAT_SERVING`: what serves.
    pub serving: ServingUrl,
    /// `LEAT_SINKS`: where rows go.
    pub sinks: Vec<SinkUrl>,
    /// `LEAT_QUARANTINE`: where that goes which cannot go on.
    pub quarantine: AsideUrl,
    /// `LEAT_ARTIFACTS`: the folder of artifacts, where what is counted of each hour is put. None: no hour is counted.
    pub artifacts: Option<String>,
    /// See [`Limits`].
    pub limits: Limits,
}

/// The mapping's own settings, as far as the protocol needs them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `LEAT_MAX_RECORD_AGE`: after so long the mapping gives a record up.
    pub max_record_age: Duration,
    /// `LEAT_LANES`: the mapping's ParallelizationFactor.
    pub lanes: u64,
}

impl Config {
    /// Reads the variables; the error names all that is wrong.
    pub fn from_vars(vars: &Vars) -> Result<Self, Failure> {
        let mut reader = Reader::new(vars);
        let recipe = reader.text("LEAT_RECIPE", "the URL of recipe.yaml");
        let keys = reader.maybe("LEAT_KEYS");
        let state =
            reader.required("LEAT_STATE", "where entities' state lies, such as dynamodb:<table>");
        let serving = reader.or("LEAT_SERVING", ServingUrl::None);
        let sinks = match reader.optional("LEAT_SINKS") {
            Some(_) => reader.list("LEAT_SINKS", ""),
            None => {
                reader.text(
                    "LEAT_SINKS",
                    "where predictions go, such as kinesis:<stream>,dynamodb:<table>",
                );
                Vec::new()
            }
        };
        let quarantine = reader
            .required("LEAT_QUARANTINE", "where rejected events go, such as s3://bucket/prefix/");
        let age = reader.number("LEAT_MAX_RECORD_AGE", 21_600, 60, 604_800);
        let lanes = reader.number("LEAT_LANES", 1, 1, 10);
        let artifacts = reader.optional("LEAT_ARTIFACTS").map(str::to_owned);
        reader.finish()?;
        // A missing one is a problem, and `finish` has failed.
        let (Some(state), Some(quarantine)) = (state, quarantine) else {
            return Err(Failure::Config("the configuration is wrong".into()));
        };
        let limits = Limits { max_record_age: Duration::from_secs(age), lanes };
        Ok(Config { recipe, keys, state, serving, sinks, quarantine, artifacts, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong() {
        let vars =
            [("LEAT_STATE", "redis:x"), ("LEAT_SINKS", "log:,nowhere"), ("LEAT_LANES", "11")];
        let vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let message = Config::from_vars(&vars).unwrap_err().to_string();
        for part in [
            "LEAT_RECIPE is missing",
            "`redis:x`",
            "`nowhere`",
            "LEAT_QUARANTINE is missing",
            "LEAT_LANES is 11",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }

    #[test]
    fn good() {
        let vars = [
            ("LEAT_RECIPE", "file:recipes/card-transactions/recipe.yaml"),
            ("LEAT_STATE", "memory:"),
            ("LEAT_SINKS", "log:"),
            ("LEAT_QUARANTINE", "log:"),
            ("LEAT_KEYS", "file:key"),
        ];
        let config =
            Config::from_vars(&vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into()).unwrap();
        assert_eq!(config.serving, ServingUrl::None);
        assert_eq!(config.limits.max_record_age, Duration::from_secs(21_600));
        assert!(config.keys.is_some());
    }
}
