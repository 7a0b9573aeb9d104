//! Decode as a function in Rust usually does it: the event as `lambda_runtime` gives it to a handler of
//! `LambdaEvent<KinesisEvent>`, then each record by serde_json into a struct of its own.

use base64_simd::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The event, with the fields of `aws_lambda_events::kinesis::KinesisEvent`: all of them owned.
#[derive(Debug, Deserialize)]
pub struct Event {
    /// The records.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// A record of the mapping.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Record {
    pub aws_region: Option<String>,
    #[serde(rename = "eventID")]
    pub event_id: Option<String>,
    pub event_name: Option<String>,
    pub event_source: Option<String>,
    #[serde(rename = "eventSourceARN")]
    pub event_source_arn: Option<String>,
    pub event_version: Option<String>,
    pub invoke_identity_arn: Option<String>,
    pub kinesis: Kinesis,
}

/// What the stream says of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Kinesis {
    pub approximate_arrival_timestamp: f64,
    #[serde(deserialize_with = "bytes")]
    pub data: Vec<u8>,
    pub encryption_type: Option<String>,
    pub partition_key: String,
    pub sequence_number: String,
    pub kinesis_schema_version: Option<String>,
}

/// The benchmark's event. A field of another type, as every thousandth has one, makes it malformed.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Transaction {
    pub transaction_id: Option<String>,
    pub event_time: Option<String>,
    pub customer_id: Option<String>,
    pub merchant_id: Option<String>,
    pub merchant_category: Option<String>,
    pub amount: Option<f64>,
    pub currency: Option<String>,
    pub customer_age: Option<i64>,
    pub channel: Option<String>,
    pub country: Option<String>,
    pub card_present: Option<bool>,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    pub description: Option<String>,
    pub is_fraud: Option<i64>,
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode_to_vec(text).map_err(D::Error::custom)
}

/// The transactions of a payload; none in the place of one that cannot be read.
pub fn read(payload: &[u8]) -> Result<Vec<Option<Transaction>>, String> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let event: Event =
        serde_path_to_error::deserialize(&mut json).map_err(|why| why.to_string())?;
    Ok(event
        .records
        .iter()
        .map(|record| serde_json::from_slice(&record.kinesis.data).ok())
        .collect())
}
