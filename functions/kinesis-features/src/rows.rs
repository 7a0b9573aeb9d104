//! Rows with window values to the exact bytes for the sinks: features, predictions, JSON lines.

use leat::column::Column;
use leat::decode::Batch;
use leat::encode::{csv, prediction};
use leat::windows::RowValues;
use leat::windows::item::{OutboxRow, row_key};
use leat_aws::{Deadline, Failure};
use leat_stream::endpoint::{Endpoint, Outcome, score};

use crate::model::{Fitted, Model, short};

/// A fresh row: its window columns and whether it came late.
#[derive(Debug)]
pub struct Fresh {
    /// The row of the batch.
    pub row: usize,
    /// Its window columns.
    pub values: RowValues,
    /// True if it came late.
    pub late: bool,
}

/// Makes each row's outbox row. A row that the endpoint gave no answer for is an error: it has to come again.
pub async fn make(
    model: &Model,
    endpoint: &impl Endpoint,
    batch: &Batch,
    fresh: Vec<Fresh>,
    call: &str,
    deadline: Deadline,
) -> Vec<Result<OutboxRow, Failure>> {
    let picked: Vec<usize> = fresh.iter().map(|f| f.row).collect();
    let mut columns: Vec<Column> = batch.columns.iter().map(|c| c.gather(&picked)).collect();
    let (values, late): (Vec<_>, Vec<bool>) =
        fresh.into_iter().map(|f| (Some(f.values), f.late)).unzip();
    model.engine.windows().fill(&mut columns, &values);
    let features =
        model.fitted.as_ref().map(|fitted| fitted.features.apply(&columns, picked.len()));
    let scores = match (&model.fitted, &features) {
        (Some(Fitted { endpoint: Some(name), .. }), Some(features)) => {
            let rows: Vec<Vec<u8>> = (0..picked.len())
                .map(|row| {
                    let mut line = Vec::new();
                    csv::row(features, row, &mut line);
                    line
                })
                .collect();
            Some(score(endpoint, name, &rows, call, deadline).await)
        }
        _ => None,
    };
    (0..picked.len())
        .map(|row| {
            let (prediction, reason) = match scores.as_ref().map(|scores| &scores[row]) {
                None => (None, None),
                Some(Outcome::Prediction(x)) => (Some(*x), None),
                Some(Outcome::Refused(why)) => (None, Some(why.as_str())),
                Some(Outcome::Failed(why)) => return Err(why.clone()),
            };
            let meta = &batch.rows[picked[row]];
            let (id, entity) =
                (model.engine.id(batch, picked[row]), model.engine.entity(batch, picked[row]));
            let features = features.as_ref().zip(model.fitted.as_ref());
            let mut bytes = Vec::new();
            prediction::row(
                &prediction::Prediction {
                    id: id.as_deref(),
                    entity: &entity,
                    event_time: model.engine.event_time(batch, picked[row]),
                    late: late[row],
                    prediction,
                    reason,
                    features: features.map(|(columns, fitted)| prediction::Features {
                        names: &fitted.names,
                        columns,
                        row,
                    }),
                    endpoint: model.fitted.as_ref().and_then(|f| f.endpoint.as_deref()),
                    state: model.fitted.as_ref().map(|f| f.hash.as_str()),
                    recipe: short(model.engine.hash()),
                    coordinates: &meta.coordinates,
                },
                &mut bytes,
            );
            Ok(OutboxRow {
                coordinates: meta.coordinates.clone(),
                identity: meta.identity,
                key: row_key(id.as_deref(), &meta.coordinates),
                bytes,
            })
        })
        .collect()
}
