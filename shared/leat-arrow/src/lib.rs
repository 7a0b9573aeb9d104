//! Columns as Arrow arrays and back: the engine's columns have Arrow's layout, so that buffers move and no value is
//! copied where nobody else holds them.
//!
//! On the way in everything is checked: NaN and −0.0 get their one form, what lies under a null becomes zero, text
//! is UTF-8. Narrower numbers, other text layouts and other time units are widened by a copy.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, PrimitiveArray,
    RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use leat::column::{Bits, Column, Texts, Type, Value, Values};
use leat::quality::Tally;

/// What an array is not, that it would have to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The array's type has no counterpart.
    #[error(
        "{0} has no counterpart: give bool, whole numbers up to 64 bits, float, double, string or a timestamp; cast it before"
    )]
    Type(DataType),
    /// A timestamp does not fit microseconds in 64 bits.
    #[error("row {0}: the timestamp is too far from 1970 for microseconds in 64 bits")]
    Range(usize),
    /// As the others, of a column of a batch.
    #[error("column `{0}`: {1}")]
    Column(String, Box<Error>),
    /// Arrow refused what we made of it.
    #[error("{0}")]
    Arrow(String),
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Error::Arrow(error.to_string())
    }
}

/// Arrow's type for ours. Timestamps are microseconds in UTC.
pub fn data_type(kind: Type) -> DataType {
    match kind {
        Type::Bool => DataType::Boolean,
        Type::Long => DataType::Int64,
        Type::Double => DataType::Float64,
        Type::String => DataType::Utf8,
        Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// Our type for Arrow's, if an array of it can become a column.
pub fn kind_of(data_type: &DataType) -> Option<Type> {
    use DataType::*;
    match data_type {
        Boolean => Some(Type::Bool),
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 => Some(Type::Long),
        Float32 | Float64 => Some(Type::Double),
        Utf8 | LargeUtf8 | Utf8View => Some(Type::String),
        Dictionary(_, values) => kind_of(values).filter(|&kind| kind == Type::String),
        Timestamp(_, _) => Some(Type::Timestamp),
        _ => None,
    }
}

/// The schema of columns with these names and types; all of them may be null.
pub fn schema<'a>(columns: impl IntoIterator<Item = (&'a str, Type)>) -> Schema {
    Schema::new(
        columns
            .into_iter()
            .map(|(name, kind)| Field::new(name, data_type(kind), true))
            .collect::<Vec<_>>(),
    )
}

/// An array from a column. No value is copied.
pub fn to_array(column: Column) -> Result<ArrayRef, Error> {
    let (values, valid) = column.into_parts();
    let rows = valid.len();
    let nulls = NullBuffer::new(boolean(valid));
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Ok(match values {
        Values::Bool(bits) => Arc::new(BooleanArray::new(boolean(bits), nulls)),
        Values::Long(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
        Values::Double(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
        Values::Timestamp(values) => {
            Arc::new(TimestampMicrosecondArray::try_new(values.into(), nulls)?.with_timezone("UTC"))
        }
        Values::String(texts) => {
            let (offsets, bytes) = texts.into_parts();
            let array = StringArray::try_new(
                OffsetBuffer::new(ScalarBuffer::from(offsets)),
                Buffer::from_vec(bytes),
                nulls,
            )?;
            debug_assert_eq!(array.len(), rows);
            Arc::new(array)
        }
    })
}

/// A batch from named columns.
pub fn to_batch(columns: impl IntoIterator<Item = (String, Column)>) -> Result<RecordBatch, Error> {
    let (mut fields, mut arrays, mut rows) = (Vec::new(), Vec::new(), 0);
    for (name, column) in columns {
        rows = column.len();
        fields.push(Field::new(name, data_type(column.kind()), true));
        arrays.push(to_array(column)?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

/// A column from an array. Buffers that nobody else holds are taken over.
pub fn from_array(array: ArrayRef) -> Result<Column, Error> {
    use DataType::*;
    match array.data_type().clone() {
        Boolean => {
            let typed = array.as_boolean().clone();
            drop(array);
            let (values, nulls) = typed.into_parts();
            let rows = values.len();
            column(Values::Bool(bits(values)), rows, nulls)
        }
        Int64 => {
            let (values, nulls) = primitive::<Int64Type>(array);
            column_of(Values::Long, values, nulls)
        }
        Float64 => {
            let (values, nulls) = primitive::<Float64Type>(array);
            column_of(Values::Double, values, nulls)
        }
        Int8 => Ok(longs::<Int8Type>(&array)),
        Int16 => Ok(longs::<Int16Type>(&array)),
        Int32 => Ok(longs::<Int32Type>(&array)),
        UInt8 => Ok(longs::<UInt8Type>(&array)),
        UInt16 => Ok(longs::<UInt16Type>(&array)),
        UInt32 => Ok(longs::<UInt32Type>(&array)),
        Float32 => Ok(Column::doubles(
            array.as_primitive::<Float32Type>().iter().map(|v| v.map(f64::from)),
        )),
        Timestamp(TimeUnit::Microsecond, _) => {
            let (values, nulls) = primitive::<TimestampMicrosecondType>(array);
            column_of(Values::Timestamp, values, nulls)
        }
        Timestamp(TimeUnit::Second, _) => {
            times::<TimestampSecondType>(&array, |v| v.checked_mul(1_000_000))
        }
        Timestamp(TimeUnit::Millisecond, _) => {
            times::<TimestampMillisecondType>(&array, |v| v.checked_mul(1_000))
        }
        Timestamp(TimeUnit::Nanosecond, _) => {
            times::<TimestampNanosecondType>(&array, |v| Some(v.div_euclid(1_000)))
        }
        Utf8 => {
            let typed = array.as_string::<i32>().clone();
            drop(array);
            Ok(strings(typed))
        }
        LargeUtf8 => Ok(Column::strings(array.as_string::<i64>().iter())),
        Utf8View => Ok(Column::strings(array.as_string_view().iter())),
        Dictionary(key, _) if kind_of(array.data_type()).is_some() => match *key {
            Int8 => dictionary::<Int8Type>(&array),
            Int16 => dictionary::<Int16Type>(&array),
            Int32 => dictionary::<Int32Type>(&array),
            Int64 => dictionary::<Int64Type>(&array),
            UInt8 => dictionary::<UInt8Type>(&array),
            UInt16 => dictionary::<UInt16Type>(&array),
            UInt32 => dictionary::<UInt32Type>(&array),
            _ => Err(Error::Type(array.data_type().clone())),
        },
        other => Err(Error::Type(other)),
    }
}

/// How often each value of an array stands; none if it has no dictionary with keys of 32 bits, or keys that are not in it.
pub fn tally(array: &dyn Array) -> Result<Option<Tally>, Error> {
    let Some(array) = array.as_any().downcast_ref::<DictionaryArray<Int32Type>>() else {
        return Ok(None);
    };
    let values = from_array(array.values().clone())?;
    let keys = array.keys();
    // Rows that follow one another are mostly of few values: two counts of each, so that one need not wait for the other.
    let mut counts = vec![[0u64; 2]; values.len()];
    let mut add = |row: usize, key: i32| {
        if let Some(counts) = counts.get_mut(key as usize) {
            counts[row % 2] += 1;
        }
    };
    match keys.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => keys.values().iter().enumerate().for_each(|(row, key)| add(row, *key)),
        Some(nulls) => nulls.valid_indices().for_each(|row| add(row, keys.value(row))),
    }
    let counts: Vec<u64> = counts.into_iter().map(|[even, odd]| even + odd).collect();
    let whole = counts.iter().sum::<u64>() + keys.null_count() as u64 == keys.len() as u64;
    Ok(whole.then_some(Tally { rows: keys.len(), values, counts }))
}

/// The columns of a batch, by name.
pub fn from_batch(batch: RecordBatch) -> Result<Vec<(String, Column)>, Error> {
    let (schema, arrays, _) = batch.into_parts();
    let names = schema.fields().iter().map(|f| f.name().clone());
    names
        .zip(arrays)
        .map(|(name, array)| match from_array(array) {
            Ok(column) => Ok((name, column)),
            Err(why) => Err(Error::Column(name, Box::new(why))),
        })
        .collect()
}

fn boolean(bits: Bits) -> BooleanBuffer {
    let rows = bits.len();
    BooleanBuffer::new(Buffer::from_vec(bits.into_bytes()), 0, rows)
}

fn bits(buffer: BooleanBuffer) -> Bits {
    let rows = buffer.len();
    let bytes = buffer.offset().eq(&0).then(|| buffer.inner().len().eq(&rows.div_ceil(8)));
    let bytes = match bytes {
        Some(true) => buffer.into_inner().into_vec::<u8>().unwrap_or_else(|shared| shared.to_vec()),
        _ => buffer.sliced()[..rows.div_ceil(8)].to_vec(),
    };
    // Bits past the end must be 0, as everywhere in the engine.
    let mut bytes = bytes;
    if let (Some(last), used @ 1..) = (bytes.last_mut(), rows % 8) {
        *last &= (1 << used) - 1;
    }
    Bits::from_bytes(bytes, rows).unwrap_or_default()
}

fn primitive<T: ArrowPrimitiveType>(array: ArrayRef) -> (Vec<T::Native>, Option<NullBuffer>) {
    let typed = array.as_primitive::<T>().clone();
    drop(array);
    let (_, values, nulls) = typed.into_parts();
    let values = values.into_inner().into_vec::<T::Native>().unwrap_or_else(|shared| {
        let rows = shared.len() / size_of::<T::Native>();
        ScalarBuffer::<T::Native>::new(shared, 0, rows).to_vec()
    });
    (values, nulls)
}

fn column_of<T>(
    of: fn(Vec<T>) -> Values,
    values: Vec<T>,
    nulls: Option<NullBuffer>,
) -> Result<Column, Error> {
    let rows = values.len();
    column(of(values), rows, nulls)
}

/// A column with the zero rule restored and doubles in their one form, in place.
fn column(mut values: Values, rows: usize, nulls: Option<NullBuffer>) -> Result<Column, Error> {
    let valid = nulls.map(|nulls| bits(nulls.into_inner()));
    if let Some(valid) = &valid {
        match &mut values {
            Values::Bool(bits) => blank_bits(bits, valid),
            Values::Long(values) | Values::Timestamp(values) => blank(values, valid),
            Values::Double(values) => blank(values, valid),
            Values::String(_) => {}
        }
    }
    // After a null's value became zero, so that whatever lay there is not looked at.
    let odd = |x: &f64| x.is_nan() || (*x == 0.0 && x.is_sign_negative());
    let clean = !matches!(&values, Values::Double(values) if values.iter().any(odd));
    let valid = valid.unwrap_or_else(|| Bits::filled(rows, true));
    let column = Column::from_parts(values, valid)
        .ok_or_else(|| Error::Arrow("values and validity differ in length".into()))?;
    Ok(if clean { column } else { column.canonical() })
}

/// Puts zero under every null.
fn blank<T: Copy + Default>(values: &mut [T], valid: &Bits) {
    for (eight, bits) in values.chunks_mut(8).zip(valid.as_bytes()) {
        if *bits != u8::MAX {
            for (at, value) in eight.iter_mut().enumerate() {
                *value = if bits >> at & 1 == 1 { *value } else { T::default() };
            }
        }
    }
}

/// Puts `false` under every null.
fn blank_bits(values: &mut Bits, valid: &Bits) {
    let rows = values.len();
    let mut bytes = std::mem::take(values).into_bytes();
    bytes.iter_mut().zip(valid.as_bytes()).for_each(|(value, valid)| *value &= valid);
    *values = Bits::from_bytes(bytes, rows).unwrap_or_default();
}

fn longs<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Column {
    Column::longs(array.as_primitive::<T>().iter().map(|v| v.map(Into::into)))
}

fn times<T: ArrowPrimitiveType<Native = i64>>(
    array: &ArrayRef,
    micros: impl Fn(i64) -> Option<i64>,
) -> Result<Column, Error> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    let mut out = Column::new(Type::Timestamp);
    for (row, value) in array.iter().enumerate() {
        out.push(match value {
            Some(value) => Value::Timestamp(micros(value).ok_or(Error::Range(row))?),
            None => Value::Null,
        });
    }
    Ok(out)
}

fn strings(array: StringArray) -> Column {
    let rows = array.len();
    let offsets = array.value_offsets();
    // Nothing may lie under a null, as in what a Parquet reader makes.
    let hidden = |row: usize| array.is_null(row) && offsets[row] < offsets[row + 1];
    let whole = offsets.first() == Some(&0)
        && offsets.last().is_some_and(|&end| end as usize == array.value_data().len())
        && (array.null_count() == 0 || !(0..rows).any(hidden));
    if !whole {
        return Column::strings(array.iter());
    }
    let (offsets, bytes, nulls) = array.into_parts();
    let valid = nulls.map_or_else(|| Bits::filled(rows, true), |nulls| bits(nulls.into_inner()));
    let offsets = offsets
        .into_inner()
        .into_inner()
        .into_vec::<i32>()
        .unwrap_or_else(|b| b.typed_data::<i32>().to_vec());
    let bytes = bytes.into_vec::<u8>().unwrap_or_else(|shared| shared.to_vec());
    Texts::from_parts(offsets, bytes)
        .and_then(|texts| Column::from_parts(Values::String(texts), valid))
        .unwrap_or_else(|| Column::new(Type::String))
}

fn dictionary<K: ArrowDictionaryKeyType>(array: &ArrayRef) -> Result<Column, Error> {
    let array = array.as_dictionary::<K>();
    let values = from_array(array.values().clone())?;
    let mut out = Column::new(Type::String);
    for row in 0..array.len() {
        out.push(array.key(row).map_or(Value::Null, |key| values.get(key)));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        Float32Array, Int32Array, LargeStringArray, StringViewArray, TimestampNanosecondArray,
        TimestampSecondArray,
    };

    fn columns() -> Vec<Column> {
        let mut bools = Column::new(Type::Bool);
        let mut times = Column::new(Type::Timestamp);
        for row in 0..11 {
            bools.push(if row % 3 == 0 { Value::Null } else { Value::Bool(row % 2 == 0) });
            times.push(if row == 4 { Value::Null } else { Value::Timestamp(row * 1_000_003) });
        }
        vec![
            bools,
            times,
            Column::longs((0..11).map(|i| (i != 7).then_some(i))),
            Column::doubles((0..11).map(|i| (i != 2).then_some(f64::from(i) / 3.0))),
            Column::strings((0..11).map(|i| (i != 9).then_some(["", "ä", "漢字"][i % 3]))),
            Column::strings((0..11).map(|_| Some("x"))),
        ]
    }

    #[test]
    fn there_and_back() {
        for column in columns() {
            let array = to_array(column.clone()).unwrap();
            assert_eq!(array.data_type(), &data_type(column.kind()));
            assert_eq!(from_array(array.clone()).unwrap(), column);
            let part = from_array(array.slice(2, 6)).unwrap();
            assert_eq!(part, column.gather(&[2, 3, 4, 5, 6, 7]));
            assert_eq!(from_array(array).unwrap(), column); // now alone with its buffers
        }
    }

    #[test]
    fn buffers_move() {
        let column = Column::longs((0..100).map(Some));
        let Values::Long(values) = column.values() else { unreachable!() };
        let address = values.as_ptr();
        let array = to_array(column).unwrap();
        assert_eq!(array.as_primitive::<Int64Type>().values().as_ptr(), address);
        let Values::Long(values) = from_array(array).unwrap().into_parts().0 else {
            unreachable!()
        };
        assert_eq!(values.as_ptr(), address);
    }

    #[test]
    fn odd_doubles_get_their_one_form() {
        let array = Float64Array::from(vec![Some(-0.0), Some(f64::NAN), None, Some(1.0)]);
        let column = from_array(Arc::new(array)).unwrap();
        assert_eq!(column, Column::doubles([Some(0.0), None, None, Some(1.0)]));
        assert_eq!(column.number(0).map(f64::to_bits), Some(0));
    }

    #[test]
    fn what_lies_under_a_null_is_zero() {
        let nulls = NullBuffer::from(vec![true, false]);
        let array = Int64Array::new(vec![5, 6].into(), Some(nulls.clone()));
        assert_eq!(from_array(Arc::new(array)).unwrap(), Column::longs([Some(5), None]));
        let array = Float64Array::new(vec![5.0, f64::NAN].into(), Some(nulls.clone()));
        assert_eq!(from_array(Arc::new(array)).unwrap(), Column::doubles([Some(5.0), None]));
        let array = BooleanArray::new(vec![true, true].into(), Some(nulls.clone()));
        let found = from_array(Arc::new(array)).unwrap();
        assert_eq!((found.get(0), found.get(1)), (Value::Bool(true), Value::Null));
        assert_eq!(found.values(), &Values::Bool([true, false].into_iter().collect()));
        for (offsets, bytes) in [(vec![0, 1, 3], "abc"), (vec![0, 1, 1], "a")] {
            let offsets = OffsetBuffer::new(offsets.into());
            let array = StringArray::new(offsets, bytes.as_bytes().into(), Some(nulls.clone()));
            let expected = Column::strings([Some("a"), None]);
            assert_eq!(from_array(Arc::new(array)).unwrap(), expected);
        }
        let many = Column::longs((0..21).map(|i| (i % 5 != 1).then_some(i + 1)));
        let nulls = NullBuffer::from((0..21).map(|i| i % 5 != 1).collect::<Vec<_>>());
        let array = Int64Array::new((1..22).collect(), Some(nulls));
        assert_eq!(from_array(Arc::new(array)).unwrap(), many);
    }

    #[test]
    fn other_layouts_are_widened() {
        let check =
            |array: ArrayRef, column: Column| assert_eq!(from_array(array).unwrap(), column);
        check(Arc::new(Int32Array::from(vec![Some(-1), None])), Column::longs([Some(-1), None]));
        check(Arc::new(Float32Array::from(vec![0.5])), Column::doubles([Some(0.5)]));
        let texts = Column::strings([Some("a"), None, Some("bb")]);
        check(Arc::new(LargeStringArray::from(vec![Some("a"), None, Some("bb")])), texts.clone());
        check(Arc::new(StringViewArray::from(vec![Some("a"), None, Some("bb")])), texts.clone());
        let dictionary: DictionaryArray<Int8Type> =
            vec![Some("a"), None, Some("bb")].into_iter().collect();
        check(Arc::new(dictionary), texts);
        let mut times = Column::new(Type::Timestamp);
        times.push(Value::Timestamp(-1));
        check(Arc::new(TimestampNanosecondArray::from(vec![-1])), times);
    }

    #[test]
    fn values_of_a_dictionary_are_counted() {
        let array: DictionaryArray<Int32Type> =
            ["a", "b", "a", "", "a"].into_iter().map(Some).chain([None, Some("b")]).collect();
        let expected = |rows, counts: &[u64]| {
            let values = Column::strings(["a", "b", ""].map(Some));
            Ok(Some(Tally { rows, values, counts: counts.to_vec() }))
        };
        assert_eq!(tally(&array), expected(7, &[3, 2, 1]));
        assert_eq!(tally(&array.slice(2, 4)), expected(4, &[2, 0, 1]));
        assert_eq!(tally(&array.slice(0, 2)), expected(2, &[1, 1, 0]));
        assert_eq!(tally(&StringArray::from(vec!["a"])), Ok(None));
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        let array: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
        assert_eq!(from_array(array), Err(Error::Range(0)));
        let binary: ArrayRef = Arc::new(arrow_array::BinaryArray::from(vec![b"x".as_slice()]));
        let batch = RecordBatch::try_from_iter([("b", binary)]).unwrap();
        let message = from_batch(batch).unwrap_err().to_string();
        assert!(message.starts_with("column `b`: Binary has no counterpart"), "{message}");
    }

    #[test]
    fn batches() {
        let named: Vec<_> =
            columns().into_iter().enumerate().map(|(i, c)| (format!("c{i}"), c)).collect();
        let batch = to_batch(named.clone()).unwrap();
        assert_eq!(
            batch.schema().as_ref(),
            &schema(named.iter().map(|(n, c)| (n.as_str(), c.kind())))
        );
        assert_eq!(from_batch(batch).unwrap(), named);
        assert_eq!(to_batch([]).unwrap().num_rows(), 0);
    }
}
