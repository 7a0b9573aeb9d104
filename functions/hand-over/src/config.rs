//! What the variables say.

use leat_aws::{Failure, KeySource, Reader, Vars};
use leat_stream::serving::ServingUrl;
use leat_stream::shards::ShardsUrl;
use leat_stream::store::StoreUrl;

/// What the variables say, beside those of the ledger.
#[derive(Clone, Debug)]
pub struct Config {
    /// `LEAT_RECIPE`: the URL of the deployed recipe.yaml.
    pub recipe: String,
    /// `LEAT_KEYS`: the secret that tokens are made with.
    pub keys: Option<KeySource>,
    /// `LEAT_STATE`: where entities' items lie.
    pub state: StoreUrl,
    /// `LEAT_SERVING`: what serves.
    pub serving: ServingUrl,
    /// `LEAT_STREAM`: the stream that is marked.
    pub stream: ShardsUrl,
    /// `LEAT_FAILED`: the folder in which Firehose puts what could not be transformed.
    pub failed: String,
    /// `LEAT_LANDING`: the folder in which what failed lands after all.
    pub landing: String,
    /// `LEAT_BUFFER_SECONDS`: how long Firehose may hold a record, from its first look at it to the object.
    pub buffer: i64,
}

impl Config {
    /// Reads the variables; the error names all that is wrong.
    pub fn from_vars(vars: &Vars) -> Result<Self, Failure> {
        let mut reader = Reader::new(vars);
        let recipe = reader.text("LEAT_RECIPE", "the URL of recipe.yaml");
        let keys = reader
            .optional("LEAT_KEYS")
            .and_then(|_| reader.required("LEAT_KEYS", "the URL of the secret"));
        let state =
            reader.required("LEAT_STATE", "where entities' state lies, such as dynamodb:<table>");
        let serving = reader.or("LEAT_SERVING", ServingUrl::None);
        let stream = reader.required("LEAT_STREAM", "the stream, such as kinesis:<stream>");
        let failed =
            reader.text("LEAT_FAILED", "Firehose's error prefix, such as s3://bucket/failed/");
        let landing = reader.text(
            "LEAT_LANDING",
            "where what failed lands after all, such as s3://bucket/landing/stream/<recipe>/replayed/",
        );
        let buffer = reader.number("LEAT_BUFFER_SECONDS", 420, 0, 3600);
        reader.finish()?;
        // A missing one is a problem, and `finish` has failed.
        let (Some(state), Some(stream)) = (state, stream) else {
            return Err(Failure::Config("the configuration is wrong".into()));
        };
        let buffer = i64::try_from(buffer).unwrap_or(i64::MAX);
        Ok(Config { recipe, keys, state, serving, stream, failed, landing, buffer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong() {
        let vars =
            [("LEAT_STATE", "redis:x"), ("LEAT_STREAM", "sqs:x"), ("LEAT_BUFFER_SECONDS", "-")];
        let vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let message = Config::from_vars(&vars).unwrap_err().to_string();
        for part in [
            "LEAT_RECIPE is missing",
            "`redis:x`",
            "`sqs:x`",
            "LEAT_FAILED is missing",
            "LEAT_LANDING is missing",
            "LEAT_BUFFER_SECONDS",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
}
