//! What serves: one small item that a promotion switches by compare-and-swap. None is a legal state: windows are
//! kept, predictions are null.

use std::path::PathBuf;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use leat_aws::{Aws, Failure, from_sdk};
use serde::{Deserialize, Serialize};

/// What serves a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The endpoint; none: features without predictions.
    pub endpoint: Option<String>,
    /// The URL of the fitted state.
    pub state: String,
    /// Its hash.
    pub state_hash: String,
    /// The hash of the recipe that it was fitted for.
    pub recipe_hash: String,
    /// The hash of all that decides entities' state: the key space of their items.
    pub state_plan: String,
}

/// Where the item lies: `dynamodb:<table>`, `file:<path>` or `none:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServingUrl {
    /// In a DynamoDB table, under `serving#<recipe>`.
    Dynamo(String),
    /// In a JSON file. No file: nothing serves.
    File(PathBuf),
    /// Nothing serves.
    None,
}

impl FromStr for ServingUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("dynamodb", table)) if crate::sink::is_aws_name(table) => {
                Ok(ServingUrl::Dynamo(table.into()))
            }
            Some(("file", path)) if !path.is_empty() => {
                Ok(ServingUrl::File(path.strip_prefix("//").unwrap_or(path).into()))
            }
            Some(("none", "")) => Ok(ServingUrl::None),
            _ => Err(format!(
                "`{text}` is no place of what serves: give `dynamodb:<table>`, `file:<path>` or `none:`"
            )),
        }
    }
}

impl ServingUrl {
    /// Reads what serves `recipe`.
    pub async fn read(&self, recipe: &str, aws: &Aws) -> Result<Option<Serving>, Failure> {
        match self {
            ServingUrl::None => Ok(None),
            ServingUrl::File(path) => match std::fs::read_to_string(path) {
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(why) => {
                    Err(Failure::Config(format!("{} cannot be read: {why}", path.display())))
                }
                Ok(text) => parse(&text, &path.display().to_string()).map(Some),
            },
            ServingUrl::Dynamo(table) => {
                let key = format!("serving#{recipe}");
                let found = aws_sdk_dynamodb::Client::new(aws.config().await)
                    .get_item()
                    .table_name(table)
                    .key("pk", AttributeValue::S(key.clone()))
                    .consistent_read(true)
                    .send()
                    .await
                    .map_err(|why| from_sdk(&format!("reading {key} of {table}"), &why))?;
                let Some(item) = found.item else { return Ok(None) };
                match item.get("json") {
                    Some(AttributeValue::S(text)) => {
                        parse(text, &format!("{key} of {table}")).map(Some)
                    }
                    _ => Err(Failure::Config(format!("{key} of {table} has no text `json`"))),
                }
            }
        }
    }
}

fn parse(text: &str, place: &str) -> Result<Serving, Failure> {
    serde_json::from_str(text).map_err(|why| {
        Failure::Config(format!(
            "{place} does not say what serves (endpoint, state, state_hash, recipe_hash, state_plan): {why}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serving.json");
        let url: ServingUrl = format!("file:{}", path.display()).parse().unwrap();
        let aws = Aws::default();
        assert_eq!(url.read("r", &aws).await, Ok(None));
        let serving = r#"{"endpoint":null,"state":"s3://b/s.json","state_hash":"a","recipe_hash":"b","state_plan":"c"}"#;
        std::fs::write(&path, serving).unwrap();
        let read = url.read("r", &aws).await.unwrap().unwrap();
        assert_eq!(read.endpoint, None);
        assert_eq!(read.state, "s3://b/s.json");
        std::fs::write(&path, "{}").unwrap();
        assert!(
            url.read("r", &aws).await.unwrap_err().to_string().contains("does not say what serves")
        );
        assert!("none:".parse::<ServingUrl>().is_ok());
        assert!("".parse::<ServingUrl>().is_err());
    }
}
