//! Limits of drift: a YAML file of Leat's own, beside the ruleset, which AWS Glue never sees.
//!
//! ```yaml
//! leat: 1
//! limits: {psi: 0.2, missing: 0.05}     # of every column that has the measure
//! columns:
//!   amount: {ks: 0.1, mean: 0.5}        # of one column; the others still hold
//!   channel: {unseen: 0}
//!   batch_id: {psi: off}                # no limit
//! schema: same                          # same: columns that differ pass a limit; any: they do not
//! ```
//!
//! A limit is the most that is allowed of a measure's size, of a p-value the least.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Drift, Measure, Mismatch};
use crate::column::Type;
use crate::diagnostic::{Diagnostic, nearest};
use crate::recipe::Place;
use crate::recipe::report::{Report, did_you_mean};
use crate::recipe::yaml::{self, Data, Entry, Meaning, Node, short};

/// The limits of a column and where they stand; none is `off`.
type Own = BTreeMap<Measure, (Option<f64>, Place)>;

/// Limits as a file has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    file: String,
    /// Of every column.
    general: BTreeMap<Measure, f64>,
    /// Of single columns; none lifts a general one.
    columns: Vec<(String, Place, Own)>,
    /// Whether columns that differ pass a limit.
    same: bool,
}

/// A limit that was passed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breach {
    /// The column; none of the schema.
    pub column: Option<String>,
    /// The measure; none of the schema.
    pub measure: Option<Measure>,
    /// What was measured; none if it could not be measured.
    pub value: Option<f64>,
    /// The limit.
    pub limit: Option<f64>,
    /// In words.
    pub message: String,
}

const KEYS: [&str; 4] = ["leat", "limits", "columns", "schema"];

impl Limits {
    /// Reads limits. `file` is said in errors, which come all at once, by place.
    pub fn read(file: &str, text: &str) -> Result<Limits, Vec<Diagnostic>> {
        let mut report = Report::on(file, "list of limits");
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut limits = Limits { file: file.to_owned(), same: true, ..Limits::default() };
        if let Some(root) = yaml::load(text, &mut report)
            && let Some(entries) = map("a list of limits", &root, &mut report)
        {
            limits.take(&root, entries, &mut report);
        }
        report.finish().map(|()| limits)
    }

    fn take(&mut self, root: &Node, entries: &[Entry], report: &mut Report) {
        if entries.iter().all(|entry| entry.key != "leat") {
            let hint = "begin it with the line `leat: 1`".to_owned();
            report.error(root.place, "the list of limits lacks the key `leat`", Some(hint));
        }
        for Entry { key, place, value } in entries {
            match key.as_str() {
                "leat" => {
                    if meaning(value) != Some(Meaning::Long(1)) {
                        let message =
                            format!("`leat` takes the number 1; this is {}", value.describe());
                        report.error(value.place, message, None);
                    }
                }
                "limits" => {
                    for (measure, (limit, place)) in measures(value, report) {
                        match limit {
                            Some(limit) => {
                                self.general.insert(measure, limit);
                            }
                            None => report.error(
                                place,
                                "`off` lifts a limit for one column",
                                Some("leave the measure out".into()),
                            ),
                        }
                    }
                }
                "columns" => {
                    for entry in map("`columns`", value, report).unwrap_or_default() {
                        let limits = measures(&entry.value, report);
                        self.columns.push((entry.key.clone(), entry.place, limits));
                    }
                }
                "schema" => match meaning(value) {
                    Some(Meaning::Text("same")) => self.same = true,
                    Some(Meaning::Text("any")) => self.same = false,
                    _ => {
                        let message = format!(
                            "`schema` takes one of same, any; this is {}",
                            value.describe()
                        );
                        report.error(value.place, message, None);
                    }
                },
                _ => {
                    let message = format!("`{}` is not a key of a list of limits", short(key));
                    let hint = did_you_mean(nearest(key, KEYS))
                        .unwrap_or_else(|| format!("its keys are {}", KEYS.join(", ")));
                    report.error(*place, message, Some(hint));
                }
            }
        }
    }

    /// What is wrong with the limits for these columns: names that are not there, measures that a type does not have.
    pub fn check(&self, columns: &[(String, Type)]) -> Result<(), Vec<Diagnostic>> {
        let mut report = Report::on(&self.file, "list of limits");
        for (name, place, limits) in &self.columns {
            let Some((_, kind)) = columns.iter().find(|(column, _)| column == name) else {
                let hint = did_you_mean(nearest(name, columns.iter().map(|(n, _)| n.as_str())));
                report.error(*place, format!("no column is named `{}`", short(name)), hint);
                continue;
            };
            for (measure, (limit, place)) in limits {
                if limit.is_some() && !measure.of(*kind) {
                    let has: Vec<&str> =
                        Measure::ALL.iter().filter(|m| m.of(*kind)).map(|m| m.word()).collect();
                    let message = format!("`{measure}` is not measured of a {kind} column");
                    report.error(
                        *place,
                        message,
                        Some(format!("{kind} columns have {}", has.join(", "))),
                    );
                }
            }
        }
        report.finish()
    }

    /// The limits that `drift` passes. What a limit of its own column asks for and could not be measured passes it too.
    pub fn judge(&self, drift: &Drift) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for mismatch in drift.schema.iter().filter(|_| self.same) {
            let (Mismatch::Gone { column }
            | Mismatch::New { column }
            | Mismatch::Type { column, .. }) = mismatch;
            breaches.push(Breach {
                column: Some(column.clone()),
                measure: None,
                value: None,
                limit: None,
                message: mismatch.to_string(),
            });
        }
        let nothing = BTreeMap::new();
        for column in &drift.columns {
            let own = self.columns.iter().find(|(name, ..)| *name == column.name);
            let own = own.map_or(&nothing, |(_, _, limits)| limits);
            for measure in Measure::ALL {
                let (limit, named) = match own.get(&measure) {
                    Some((limit, _)) => (*limit, true),
                    None => (self.general.get(&measure).copied(), false),
                };
                let Some(limit) = limit else { continue };
                let value = column.measured(measure);
                let message = match value {
                    Some(value) if measure.passes(value, limit) => {
                        let side = if measure.is_chance() { "below" } else { "above" };
                        format!("`{}`: {measure} is {value:.4}, {side} {limit}", column.name)
                    }
                    None if named => {
                        let why = column.notes.join("; ");
                        format!("`{}`: {measure} cannot be measured: {why}", column.name)
                    }
                    _ => continue,
                };
                let (name, limit) = (Some(column.name.clone()), Some(limit));
                breaches.push(Breach {
                    column: name,
                    measure: Some(measure),
                    value,
                    limit,
                    message,
                });
            }
        }
        breaches
    }
}

fn meaning(node: &Node) -> Option<Meaning<'_>> {
    match &node.data {
        Data::Scalar(scalar) => Some(scalar.meaning()),
        _ => None,
    }
}

fn map<'n>(what: &str, node: &'n Node, report: &mut Report) -> Option<&'n [Entry]> {
    match &node.data {
        Data::Map(entries) => Some(entries),
        Data::Refused => None,
        _ => {
            let message = format!("{what} is a map of keys; this is {}", node.describe());
            report.error(node.place, message, None);
            None
        }
    }
}

/// Measures and their limits; `off` is none.
fn measures(node: &Node, report: &mut Report) -> BTreeMap<Measure, (Option<f64>, Place)> {
    let mut out = BTreeMap::new();
    for Entry { key, place, value } in map("limits of measures", node, report).unwrap_or_default() {
        let Some(measure) = Measure::ALL.into_iter().find(|measure| measure.word() == key) else {
            let words = Measure::ALL.map(Measure::word);
            let hint = did_you_mean(nearest(key, words))
                .unwrap_or_else(|| format!("the measures are {}", words.join(", ")));
            report.error(*place, format!("`{}` is no measure of drift", short(key)), Some(hint));
            continue;
        };
        let number = match meaning(value) {
            Some(Meaning::Long(x)) => Some(x as f64),
            Some(Meaning::Double(x)) => Some(x),
            Some(Meaning::Text("off")) => {
                out.insert(measure, (None, *place));
                continue;
            }
            _ => None,
        };
        let most = if measure.is_share() { 1.0 } else { f64::MAX };
        match number.filter(|x| (0.0..=most).contains(x)) {
            Some(limit) => {
                out.insert(measure, (Some(limit), *place));
            }
            None => {
                let takes =
                    if measure.is_share() { "a number from 0 to 1" } else { "a number from 0" };
                let message =
                    format!("`{measure}` takes {takes}, or off; this is {}", value.describe());
                report.error(value.place, message, None);
            }
        }
    }
    out
}
