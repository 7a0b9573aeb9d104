//! Drift against a fitted state: as far as the steps learnt something of how a field is distributed.
//!
//! | step | what it says of the field that it reads |
//! |---|---|
//! | `one_hot`, `ordinal` | the values that were seen: `unseen` |
//! | `target_encode` | the values with their counts (of rows with a label): `unseen`, `psi`, `chi_squared` |
//! | `min_max_scale` | the extent: `outside` |
//! | `standard_scale` | mean and standard deviation: `mean` |
//!
//! Other steps keep nothing of a distribution, or as `k_bins` and `impute` a part of it from which no distance follows. A
//! step after `impute` saw what that put: values and extent are those of the field, mean and deviation are not. Steps that
//! read what derive, windows or other steps make, and fields that are protected, are left out: a profile of data has not
//! what they saw. Each column's notes say what could not be measured.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::distribution::chi_squared_p;
use super::{ColumnDrift, Drift, Measure, measure};
use crate::column::Type;
use crate::features::FittedState;
use crate::profile::{ColumnProfile, Profile};

/// Measures how far the fields of `now` have moved from what `state` learnt of them. Fields that `hides` names are left
/// out: the state saw their tokens.
pub fn against(state: &FittedState, hides: impl Fn(&str) -> bool, now: &Profile) -> Drift {
    let mut columns: Vec<ColumnDrift> = now
        .columns()
        .iter()
        .filter(|column| !hides(&column.name))
        .map(|column| ColumnDrift {
            name: column.name.clone(),
            kind: column.kind,
            measures: BTreeMap::new(),
            notes: Vec::new(),
        })
        .collect();
    // What a column still holds of the field of its name.
    let (mut imputed, mut changed) = (BTreeSet::new(), BTreeSet::new());
    for step in &state.steps {
        for (at, input) in step.inputs.iter().enumerate() {
            let learnt = step.outputs.get(at).and_then(|out| step.state.get(out));
            let drift = columns.iter_mut().find(|column| column.name == *input);
            let (Some(learnt), Some(drift), Some(column)) = (learnt, drift, now.column(input))
            else {
                continue;
            };
            if step.inputs.len() > step.outputs.len() || changed.contains(input) {
                continue;
            }
            match step.op.as_str() {
                "one_hot" | "ordinal" => labels(learnt, column, drift),
                "target_encode" => categories(learnt, column, drift),
                "min_max_scale" => extent(learnt, column, drift),
                "standard_scale" if imputed.contains(input) => drift.note(
                    "`standard_scale` saw the column after `impute`: its mean is not that of the field",
                ),
                "standard_scale" => mean(learnt, column, drift),
                _ => {}
            }
        }
        let imputes = step.op == "impute";
        for output in &step.outputs {
            let own = imputes && step.inputs.contains(output) && !changed.contains(output);
            if own {
                imputed.insert(output.clone())
            } else {
                changed.insert(output.clone())
            };
        }
    }
    for drift in &mut columns {
        if drift.measures.is_empty() && drift.notes.is_empty() {
            drift.note("the state holds nothing of its distribution");
        }
    }
    Drift { columns, schema: Vec::new() }
}

/// The text of a label, as a profile has it.
fn text(label: &Json) -> String {
    let text = label.as_str().map_or_else(|| label.to_string(), str::to_owned);
    text.chars().take(100).collect()
}

/// The values of `column` and their counts, blank ones left out as steps do; none if they are not all known.
fn values<'c>(column: &'c ColumnProfile, drift: &mut ColumnDrift) -> Option<Vec<(&'c str, u64)>> {
    let (mut values, all) = column.top();
    if column.kind == Type::String {
        values.retain(|(value, _)| !value.trim().is_empty());
    }
    if !all {
        drift.note("there are more than 65,536 different values: they are not compared with those of the state");
    } else if values.is_empty() {
        drift.note("the data has no value of it");
    }
    (all && !values.is_empty()).then_some(values)
}

fn unseen(known: &BTreeSet<String>, values: &[(&str, u64)], drift: &mut ColumnDrift) {
    let all: u64 = values.iter().map(|(_, count)| count).sum();
    let new: u64 = values.iter().filter(|(v, _)| !known.contains(*v)).map(|(_, count)| count).sum();
    drift.measures.insert(Measure::Unseen, new as f64 / all.max(1) as f64);
}

fn labels(learnt: &Json, column: &ColumnProfile, drift: &mut ColumnDrift) {
    let list = |key: &str| learnt[key].as_array().cloned().unwrap_or_default();
    let known: BTreeSet<String> =
        list("labels").iter().chain(&list("infrequent")).map(text).collect();
    if let Some(values) = values(column, drift) {
        unseen(&known, &values, drift);
    }
}

fn categories(learnt: &Json, column: &ColumnProfile, drift: &mut ColumnDrift) {
    let learnt: BTreeMap<String, u64> = learnt["categories"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((text(&pair[0]), pair[1]["count"].as_u64()?)))
        .collect();
    let Some(values) = values(column, drift) else { return };
    unseen(&learnt.keys().cloned().collect(), &values, drift);
    let mut table: BTreeMap<&str, (u64, u64)> =
        learnt.iter().map(|(label, count)| (label.as_str(), (*count, 0))).collect();
    values.iter().for_each(|(value, count)| table.entry(value).or_default().1 = *count);
    let counts: Vec<(u64, u64)> = table.into_values().collect();
    let sums = counts.iter().fold((0u64, 0u64), |s, c| (s.0 + c.0, s.1 + c.1));
    if sums.0 == 0 || learnt.len() > 100 {
        drift.note("the state has no counts, or more than 100 values: `psi` is not measured");
        return;
    }
    let shares = counts.iter().map(|(a, b)| (*a as f64 / sums.0 as f64, *b as f64 / sums.1 as f64));
    drift.measures.insert(Measure::Psi, measure::psi(shares));
    if let Some((statistic, freedom)) = measure::chi_squared(&counts) {
        drift.measures.insert(Measure::ChiSquared, statistic);
        drift.measures.insert(Measure::ChiSquaredP, chi_squared_p(statistic, freedom));
    }
}

fn extent(learnt: &Json, column: &ColumnProfile, drift: &mut ColumnDrift) {
    let (low, high) = (learnt["min"].as_f64(), learnt["max"].as_f64());
    if let (Some(low), Some(high), 1..) = (low, high, column.numbers.count()) {
        let values = column.numbers.values();
        let outside: u64 = values.filter(|(x, _)| *x < low || *x > high).map(|(_, n)| n).sum();
        let share = outside as f64 / column.numbers.count() as f64;
        drift.measures.insert(Measure::Outside, share);
    }
}

fn mean(learnt: &Json, column: &ColumnProfile, drift: &mut ColumnDrift) {
    let (mean, std) = (learnt["mean"].as_f64(), learnt["std"].as_f64());
    if let (Some(mean), Some(std), Some(now)) = (mean, std, column.numbers.mean())
        && std > 0.0
    {
        drift.measures.insert(Measure::Mean, (now - mean) / std);
    }
}
