//! `ReferentialIntegrity`: the share of rows whose key a reference data set has.
//!
//! - Takes: columns of the data (`a`, `a,b`), as many of a reference (`alias.c`, `alias.{c,d}`), and a number condition.
//! - Gives: `Column.<alias>.ReferentialIntegrity`. Nothing has no share: the rule fails.
//! - Columns must be of one type, or both of numbers; else the rule fails.
//! - Null: a key with a null is no key: the row fails.
//! - Rows: a row whose key is there passes.
//! - State: numbers of rows. The keys of the reference are kept as 128-bit hashes, at most 33,554,432 of them.
//! - Source: AWS Glue's documentation of ReferentialIntegrity.

use super::{Check, EMPTY, Known, Preparation, Verdict, later};
use crate::quality::counter::Count;
use crate::quality::reference::{MOST_KEYS, columns_of, columns_of_alias};
use crate::quality::row_test::Refusal;
use crate::quality::tree::Single;

/// Readies `ReferentialIntegrity`.
pub fn referential_integrity(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    let (ours, theirs) = (columns_of(&on.text(single, 0)), on.text(single, 1));
    let Some((alias, names)) = columns_of_alias(&theirs) else {
        return Err(Refusal::Unfit(format!(
            "`{theirs}` names no column of a reference data set: write `alias.column`"
        )));
    };
    if ours.len() != names.len() {
        return Err(Refusal::Unfit(format!(
            "the key has {} columns here and {} there",
            ours.len(),
            names.len()
        )));
    }
    let slots = on.slots_of(&ours);
    let Some(reference) = on.reference(alias)? else { return Ok(later()) };
    let keys = match reference.slots(&names) {
        Err(why) => return Ok(super::fails(why)),
        Ok(there) => {
            if let Ok(here) = &slots
                && let Some(why) = reference.unlike(on.columns, here, &there)
            {
                return Ok(super::fails(why));
            }
            reference.keys(&there)
        }
    };
    let Some(keys) = keys else { return Ok(too_many(alias)) };
    let rows = on.count(Count::Rows, None);
    let known = on.count(Count::Known(slots?, keys), None);
    let mut metric = on.metric(single, move |counted| match counted.number(rows) {
        0 => Err(EMPTY.into()),
        rows => Ok(counted.number(known) as f64 / rows as f64),
    })?;
    metric.name = format!("Column.{alias}.ReferentialIntegrity");
    metric.row = Some(known);
    Ok(Box::new(metric))
}

/// That a reference has too many keys to be kept.
pub fn too_many(alias: &str) -> Box<dyn Check> {
    let why = format!("the reference data set `{alias}` has more than {MOST_KEYS} keys");
    Box::new(Known(Verdict::Error(why), Vec::new()))
}
