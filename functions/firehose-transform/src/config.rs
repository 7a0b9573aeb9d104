//! What the variables say.

use leat_aws::{Failure, KeySource, Reader, Vars};
use leat_lake::AsideUrl;

/// What the variables say.
#[derive(Clone, Debug)]
pub struct Config {
    /// `LEAT_RECIPE`: the URL of recipe.yaml. Its ruleset lies beside it.
    pub recipe: String,
    /// `LEAT_KEYS`: the secret that tokens and the codes of landed lines are made with.
    pub keys: KeySource,
    /// `LEAT_QUARANTINE`: where the bad lines of a record go whose other lines are good.
    pub quarantine: AsideUrl,
    /// `LEAT_LANDING`: where the lines go that the answer has no room for.
    pub landing: AsideUrl,
}

impl Config {
    /// Reads the variables; the error names all that is wrong.
    pub fn from_vars(vars: &Vars) -> Result<Self, Failure> {
        let mut reader = Reader::new(vars);
        let recipe = reader.text("LEAT_RECIPE", "the URL of recipe.yaml");
        let keys = reader.required("LEAT_KEYS", "the secret, such as secretsmanager:<name>");
        let quarantine = reader
            .required("LEAT_QUARANTINE", "where rejected lines go, such as s3://bucket/prefix/");
        let landing = reader.required(
            "LEAT_LANDING",
            "where lines land that the answer has no room for, such as s3://bucket/landing/stream/<recipe>/large/",
        );
        reader.finish()?;
        let (Some(keys), Some(quarantine), Some(landing)) = (keys, quarantine, landing) else {
            return Err(Failure::Config("the configuration is wrong".into()));
        };
        Ok(Config { recipe, keys, quarantine, landing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong() {
        let vars = [("LEAT_KEYS", "env:X"), ("LEAT_QUARANTINE", "here")];
        let vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let message = Config::from_vars(&vars).unwrap_err().to_string();
        for part in [
            "LEAT_RECIPE is missing",
            "LEAT_KEYS: a key source is",
            "`here`",
            "LEAT_LANDING is missing",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
}
