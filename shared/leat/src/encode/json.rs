//! The pieces of a JSON line.

use serde::Serialize;

use crate::column::Value;
use crate::{number, timestamp};

/// Appends `value` as JSON. What has no JSON form (infinities) is null.
pub(super) fn value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => plain(&value, out),
        Value::Long(value) => number::print_whole(value, out),
        Value::Double(value) if value.is_finite() => number::print(value, out),
        Value::Double(_) => out.extend_from_slice(b"null"),
        Value::String(value) => plain(value, out),
        Value::Timestamp(value) => {
            out.push(b'"');
            timestamp::print(value, out);
            out.push(b'"');
        }
    }
}

/// Appends what serde_json prints for a text, a boolean or a whole number.
pub(super) fn plain<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Writing such a value into memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// Appends `"name":`, after a comma unless the object begins here.
pub(super) fn name(name: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    plain(name, out);
    out.push(b':');
}
