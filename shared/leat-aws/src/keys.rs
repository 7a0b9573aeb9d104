//! Where the secret lies from which a recipe's keys are made. The secret itself is never printed.

use std::path::PathBuf;
use std::str::FromStr;

use leat::protect::Keys;

use crate::{Aws, Failure, from_sdk};

/// Where a secret lies: `secretsmanager:<name or ARN>` or `file:<path>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// AWS Secrets Manager, by name or ARN.
    Secret(String),
    /// A file, for work without AWS.
    File(PathBuf),
}

impl FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("secretsmanager", name)) if !name.is_empty() => {
                Ok(KeySource::Secret(name.into()))
            }
            Some(("file", path)) if !path.is_empty() => {
                Ok(KeySource::File(path.strip_prefix("//").unwrap_or(path).into()))
            }
            _ => Err("a key source is `secretsmanager:<name or ARN>` or `file:<path>`".into()),
        }
    }
}

impl KeySource {
    /// The secret's bytes, exactly as they were stored: every reader of a secret makes the same keys of it, so none
    /// may take a line end off.
    pub async fn read(&self, aws: &Aws) -> Result<Vec<u8>, Failure> {
        match self {
            KeySource::File(path) => std::fs::read(path).map_err(|why| {
                Failure::Config(format!("the key file {} cannot be read: {why}", path.display()))
            }),
            KeySource::Secret(name) => {
                let client = aws_sdk_secretsmanager::Client::new(aws.config().await);
                let value = client
                    .get_secret_value()
                    .secret_id(name)
                    .send()
                    .await
                    .map_err(|why| from_sdk(&format!("reading the secret {name}"), &why))?;
                match (value.secret_string, value.secret_binary) {
                    (Some(text), _) => Ok(text.into_bytes()),
                    (None, Some(bytes)) => Ok(bytes.into_inner()),
                    (None, None) => Err(Failure::Config(format!("the secret {name} has no value"))),
                }
            }
        }
    }
}

/// The keys made of the secret at `source`, where there is one.
pub async fn keys(source: Option<&KeySource>, aws: &Aws) -> Result<Option<Keys>, Failure> {
    let Some(source) = source else { return Ok(None) };
    let keys = Keys::from_secret(&source.read(aws).await?);
    keys.map(Some).map_err(|why| Failure::Config(format!("LEAT_KEYS: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        assert_eq!("file:local/key".parse(), Ok(KeySource::File("local/key".into())));
        assert_eq!("file:///k".parse(), Ok(KeySource::File("/k".into())));
        let arn = "secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:leat";
        assert_eq!(
            arn.parse(),
            Ok(KeySource::Secret("arn:aws:secretsmanager:eu-west-1:1:secret:leat".into()))
        );
        for bad in ["", "file:", "env:KEY", "secretsmanager:"] {
            assert!(bad.parse::<KeySource>().is_err(), "{bad}");
        }
    }
}
