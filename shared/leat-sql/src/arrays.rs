//! Columns as DataFusion's Arrow has them: of another major version than Leat's own.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use leat::column::{Bits, Column, Type, Values};

const UTC: &str = "UTC";

/// The columns by their names in lower case.
pub fn schema(columns: &[(String, Type)]) -> SchemaRef {
    let field = |(name, kind): &(String, Type)| {
        let kind = match kind {
            Type::Bool => DataType::Boolean,
            Type::Long => DataType::Int64,
            Type::Double => DataType::Float64,
            Type::String => DataType::Utf8,
            Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        };
        Field::new(name.to_lowercase(), kind, true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The first `rows` rows of `columns`. An error if they are not those of `schema`.
pub fn batch(
    schema: &SchemaRef,
    columns: &[Column],
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let arrays = columns
        .iter()
        .map(|column| array(column).map(|array| array.slice(0, rows.min(array.len()))));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<_, _>>()?, &options)
}

fn array(column: &Column) -> Result<ArrayRef, ArrowError> {
    let nulls = Some(NullBuffer::new(bits(column.validity())));
    Ok(match column.values() {
        Values::Bool(values) => Arc::new(BooleanArray::new(bits(values), nulls)),
        Values::Long(values) => Arc::new(Int64Array::try_new(values.clone().into(), nulls)?),
        Values::Double(values) => Arc::new(Float64Array::try_new(values.clone().into(), nulls)?),
        Values::Timestamp(values) => {
            let times = TimestampMicrosecondArray::try_new(values.clone().into(), nulls)?;
            Arc::new(times.with_timezone(UTC))
        }
        Values::String(texts) => {
            let valid = column.validity();
            let texts = (0..texts.len()).map(|row| valid.get(row).then(|| texts.get(row)));
            Arc::new(StringArray::from_iter(texts))
        }
    })
}

fn bits(bits: &Bits) -> BooleanBuffer {
    BooleanBuffer::new(Buffer::from(bits.as_bytes()), 0, bits.len())
}
