//! The landed line: what Firehose's transform delivers, and what decode believes under the trusted prefix.

use super::json;
use crate::column::Value;
use crate::decode::Batch;
use crate::protect::Keys;
use crate::recipe::Recipe;
use crate::tag::Tag;

/// Appends the row `row` of `batch`: the schema's fields in order, missing ones left out; the unknown fields that were
/// kept; [`crate::tag`]. Decoding it gives the row again, with its coordinates and verdict.
pub fn line(recipe: &Recipe, batch: &Batch, row: usize, keys: &Keys, out: &mut Vec<u8>) {
    let Some(meta) = batch.rows.get(row) else { return };
    let mut line = vec![b'{'];
    for (field, column) in recipe.schema.fields.iter().zip(&batch.columns) {
        match column.get(row) {
            Value::Null => {}
            value => {
                json::name(&field.name, &mut line);
                json::value(value, &mut line);
            }
        }
    }
    if let Some(unknown) = meta.unknown.as_deref().filter(|unknown| !unknown.is_empty()) {
        if line.len() > 1 {
            line.push(b',');
        }
        line.extend_from_slice(unknown.as_bytes());
    }
    Tag::of(meta).seal(keys, &mut line);
    out.append(&mut line);
    out.push(b'\n');
}
