//! `DatasetMatch`: the share of rows that a reference data set has, equal, under the same key.
//!
//! - Takes: an alias, the columns of the key (`a->b,c`: `a` here is `b` there, `c` is `c`), perhaps the columns to
//!   compare (likewise; without them all that are no keys), and a number condition.
//! - Gives: `Dataset.<alias>.DatasetMatch`. Nothing has no share: the rule fails.
//! - Columns must be of one type, or both of numbers; else the rule fails.
//! - Keys must be unique on both sides, else the rule fails. A key with a null is no key: the row does not match.
//!   Among compared columns null is like null.
//! - Rows: a row that matches passes.
//! - State: numbers of rows, and the frequencies of keys (see `IsUnique` for their bound). The reference is kept as
//!   128-bit hashes of keys and records, at most 33,554,432 of them.
//! - Source: AWS Glue's documentation of DatasetMatch; unique keys as in awslabs/deequ.

use super::referential_integrity::too_many;
use super::{Check, EMPTY, Preparation, later};
use crate::quality::counter::Count;
use crate::quality::reference::match_columns;
use crate::quality::row_test::Refusal;
use crate::quality::tree::Single;

/// Readies `DatasetMatch`.
pub fn dataset_match(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let alias = on.text(single, 0);
    let (keys, compared) = match_columns(single, on.ruleset, on.columns);
    let slots = (on.slots_of(&keys.here), on.slots_of(&compared.here));
    let Some(theirs) = on.reference(&alias)? else { return Ok(later()) };
    let there = theirs.slots(&keys.there).and_then(|k| Ok((k, theirs.slots(&compared.there)?)));
    let found = match &there {
        Err(why) => return Ok(super::fails(why.clone())),
        Ok((keys, compared)) => {
            if let (Ok(our_keys), Ok(ours)) = &slots {
                let unlike = theirs.unlike(on.columns, our_keys, keys);
                if let Some(why) = unlike.or_else(|| theirs.unlike(on.columns, ours, compared)) {
                    return Ok(super::fails(why));
                }
            }
            theirs.records(keys, compared)
        }
    };
    let Some(reference) = found else { return Ok(too_many(&alias)) };
    let (keys, compared) = (slots.0?, slots.1?);
    if reference.repeats {
        return Ok(super::fails(format!("a key stands twice in the reference data set `{alias}`")));
    }
    let rows = on.count(Count::Rows, None);
    let unique = on.count(Count::Frequencies(keys.clone()), None);
    let matched = on.count(Count::Matched { keys, compared, reference }, None);
    let mut metric = on.metric(single, move |counted| match counted.number(rows) {
        0 => Err(EMPTY.into()),
        _ if counted.frequencies(unique).is_some_and(|keys| keys.repeats()) => {
            Err("a key stands twice in the data".into())
        }
        rows => Ok(counted.number(matched) as f64 / rows as f64),
    })?;
    metric.row = Some(matched);
    metric.estimated = Some(unique);
    Ok(Box::new(metric))
}
