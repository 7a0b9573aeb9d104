//! The row that says what was predicted for an event: what the sinks get, byte for byte the same at each repeat.

use super::{json, jsonl};
use crate::column::{Column, Value};
use crate::record::Coordinates;

/// A prediction and what it was made from.
#[derive(Clone, Copy, Debug)]
pub struct Prediction<'a> {
    /// The event's id; none where the schema has no `role: id`.
    pub id: Option<&'a str>,
    /// Whose event it is.
    pub entity: &'a str,
    /// When it happened, in microseconds.
    pub event_time: i64,
    /// True if it came after its tiles were gone.
    pub late: bool,
    /// What the endpoint said; none where nothing serves, or with a reason.
    pub prediction: Option<f64>,
    /// Why there is no prediction.
    pub reason: Option<&'a str>,
    /// The features that the prediction was made from.
    pub features: Option<Features<'a>>,
    /// The endpoint that was asked.
    pub endpoint: Option<&'a str>,
    /// The hash of the fitted state, shortened.
    pub state: Option<&'a str>,
    /// The hash of the recipe, shortened.
    pub recipe: &'a str,
    /// Where the event came from.
    pub coordinates: &'a Coordinates,
}

/// One row of feature columns.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// Their names.
    pub names: &'a jsonl::Rows,
    /// The columns, in the frozen order.
    pub columns: &'a [Column],
    /// The row.
    pub row: usize,
}

/// Appends the row.
pub fn row(row: &Prediction<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (name, value) in [
        ("id", row.id.map_or(Value::Null, Value::String)),
        ("entity", Value::String(row.entity)),
        ("event_time", Value::Timestamp(row.event_time)),
        ("late", Value::Bool(row.late)),
        ("prediction", row.prediction.map_or(Value::Null, Value::Double)),
    ] {
        json::name(name, out);
        json::value(value, out);
    }
    optional("reason", row.reason, out);
    json::name("features", out);
    match row.features {
        Some(features) => features.names.object(features.columns, features.row, out),
        None => json::value(Value::Null, out),
    }
    optional("endpoint", row.endpoint, out);
    optional("state", row.state, out);
    let Coordinates { shard, position, .. } = row.coordinates;
    for (name, value) in
        [("recipe", row.recipe), ("shard", &**shard), ("sequence", position.sequence.as_str())]
    {
        json::name(name, out);
        json::plain(value, out);
    }
    for (name, value) in [("sub", position.sub), ("line", position.line)] {
        json::name(name, out);
        json::plain(&value, out);
    }
    out.extend_from_slice(b"}\n");
}

/// Appends the member only where there is something to say.
fn optional(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        json::name(name, out);
        json::plain(value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Position, Sequence};

    #[test]
    fn rows() {
        let coordinates = Coordinates {
            source: "events".into(),
            shard: "shardId-000000000001".into(),
            position: Position { sequence: Sequence::new("495"), sub: 2, line: 1 },
            arrival: Some(1),
        };
        let names = jsonl::Rows::new(["amount", "log_amount"]);
        let columns = [Column::doubles([Some(1.5)]), Column::doubles([None])];
        let mut prediction = Prediction {
            id: Some("t\"1"),
            entity: "c-1",
            event_time: 0,
            late: false,
            prediction: Some(0.25),
            reason: None,
            features: Some(Features { names: &names, columns: &columns, row: 0 }),
            endpoint: Some("leat-card-12345678"),
            state: Some("0123456789abcdef"),
            recipe: "fedcba9876543210",
            coordinates: &coordinates,
        };
        let mut out = Vec::new();
        row(&prediction, &mut out);
        prediction = Prediction {
            id: None,
            prediction: None,
            reason: Some("the endpoint refused the row"),
            features: None,
            endpoint: None,
            state: None,
            ..prediction
        };
        row(&prediction, &mut out);
        let expected = concat!(
            "{\"id\":\"t\\\"1\",\"entity\":\"c-1\",\"event_time\":\"1970-01-01T00:00:00Z\",\"late\":false,",
            "\"prediction\":0.25,\"features\":{\"amount\":1.5,\"log_amount\":null},",
            "\"endpoint\":\"leat-card-12345678\",\"state\":\"0123456789abcdef\",\"recipe\":\"fedcba9876543210\",",
            "\"shard\":\"shardId-000000000001\",\"sequence\":\"495\",\"sub\":2,\"line\":1}\n",
            "{\"id\":null,\"entity\":\"c-1\",\"event_time\":\"1970-01-01T00:00:00Z\",\"late\":false,",
            "\"prediction\":null,\"reason\":\"the endpoint refused the row\",\"features\":null,",
            "\"recipe\":\"fedcba9876543210\",",
            "\"shard\":\"shardId-000000000001\",\"sequence\":\"495\",\"sub\":2,\"line\":1}\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
