//! Limits of drift: a YAML file of Leat's own, beside the ruleset, which AWS Glue never sees.
//!
//! ```yaml
//! leat: 1
//! limits: {psi: 0.2, missing: 0.05}     # of every column that has the measure
//! columns:
//!   amount: {ks: 0.1, mean: 0.5}        # of one column; the others still hold
//!   channel: {unseen: 0}
//!   batch_id: {psi: off}                # no limit
//!   card_type: {unseen: 0, action: halt}
//! schema: same                          # same: columns that differ pass a limit; any: they do not
//! action: warn                          # what follows in the gate of a training run: warn, or halt
//! ```
//!
//! A limit is the most that is allowed of a measure's size, of a p-value the least. What follows from one that is passed is
//! `warn` unless the file or the column says `halt`: drift is not yet an error, and may be what a model has to learn.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Drift, Judged, Measure, Mismatch};
use crate::column::Type;
use crate::diagnostic::{Diagnostic, nearest};
use crate::quality::RowAction;
use crate::quality::result::RuleStatus;
use crate::recipe::Place;
use crate::recipe::report::{Report, did_you_mean};
use crate::recipe::yaml::{self, Data, Entry, Meaning, Node, short};

/// The limits of a column and where they stand; none is `off`.
type OfMeasures = BTreeMap<Measure, (Option<f64>, Place)>;

/// What a file says of one column.
#[derive(Clone, Debug, PartialEq)]
struct Own {
    name: String,
    place: Place,
    limits: OfMeasures,
    action: Option<RowAction>,
}

/// Limits as a file has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    file: String,
    hash: String,
    /// Of every column.
    general: BTreeMap<Measure, f64>,
    /// Of single columns; none lifts a general one.
    columns: Vec<Own>,
    /// Whether columns that differ pass a limit.
    same: bool,
    /// What follows where a column says nothing else.
    action: RowAction,
}

const KEYS: [&str; 5] = ["leat", "limits", "columns", "schema", "action"];
/// What may follow. Rows that drift are none, so there is nothing to put into quarantine.
const ACTIONS: [RowAction; 2] = [RowAction::Warn, RowAction::Halt];

impl Limits {
    /// Reads limits. `file` is said in errors, which come all at once, by place.
    pub fn read(file: &str, text: &str) -> Result<Limits, Vec<Diagnostic>> {
        let mut report = Report::on(file, "list of limits");
        let hash = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut limits = Limits {
            file: file.to_owned(),
            hash,
            general: BTreeMap::new(),
            columns: Vec::new(),
            same: true,
            action: RowAction::Warn,
        };
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
                    let (general, action) = measures(value, report);
                    if let Some((_, place)) = action {
                        let hint = "write it beside `limits`, or for one column".to_owned();
                        report.error(place, "`action` is no measure of drift", Some(hint));
                    }
                    for (measure, (limit, place)) in general {
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
                        let (limits, action) = measures(&entry.value, report);
                        self.columns.push(Own {
                            name: entry.key.clone(),
                            place: entry.place,
                            limits,
                            action: action.map(|(action, _)| action),
                        });
                    }
                }
                "action" => {
                    if let Some(action) = action_of(value, report) {
                        self.action = action;
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

    /// The hash of the file as it stands (SHA-256, hex).
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The limit of `measure` that holds of the column `name`, and whether it is the column's own.
    fn of(&self, name: &str, measure: Measure) -> (Option<f64>, bool) {
        let own = self.columns.iter().find(|own| own.name == name);
        match own.and_then(|own| own.limits.get(&measure)) {
            Some((limit, _)) => (*limit, true),
            None => (self.general.get(&measure).copied(), false),
        }
    }

    /// Those of `columns`, by index, that have a limit on a measure of their type: of the others nothing need be counted.
    pub fn slots(&self, columns: &[(String, Type)]) -> Vec<usize> {
        let limited = |(name, kind): &(String, Type)| {
            let mut of_kind = Measure::ALL.into_iter().filter(|measure| measure.of(*kind));
            of_kind.any(|measure| self.of(name, measure).0.is_some())
        };
        (0..columns.len()).filter(|slot| limited(&columns[*slot])).collect()
    }

    /// What is wrong with the limits for these columns: names that are not there, measures that a type does not have.
    pub fn check(&self, columns: &[(String, Type)]) -> Result<(), Vec<Diagnostic>> {
        let mut report = Report::on(&self.file, "list of limits");
        for Own { name, place, limits, .. } in &self.columns {
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

    /// What becomes of each limit, those of the schema first, the others in the columns' order. What a limit of its own
    /// column asks for and could not be measured does not hold either; a general one is then left out.
    pub fn judge(&self, drift: &Drift) -> Vec<Judged> {
        let action = |column: &str| {
            let own = self.columns.iter().find(|own| own.name == column);
            own.and_then(|own| own.action).unwrap_or(self.action)
        };
        let mut judged = Vec::new();
        for mismatch in drift.schema.iter().filter(|_| self.same) {
            let (Mismatch::Gone { column }
            | Mismatch::New { column }
            | Mismatch::Type { column, .. }) = mismatch;
            judged.push(Judged {
                column: column.clone(),
                measure: None,
                value: None,
                limit: None,
                outcome: RuleStatus::Failed,
                action: action(column),
                reason: Some(mismatch.to_string()),
            });
        }
        for column in &drift.columns {
            for measure in Measure::ALL {
                let (Some(limit), named) = self.of(&column.name, measure) else { continue };
                let value = column.measured(measure);
                let (outcome, reason) = match value {
                    Some(value) if measure.passes(value, limit) => {
                        let side = if measure.is_chance() { "below" } else { "above" };
                        let reason =
                            format!("`{}`: {measure} is {value:.4}, {side} {limit}", column.name);
                        (RuleStatus::Failed, Some(reason))
                    }
                    Some(_) => (RuleStatus::Passed, None),
                    None if named => {
                        let why = column.notes.join("; ");
                        let reason =
                            format!("`{}`: {measure} cannot be measured: {why}", column.name);
                        (RuleStatus::Error, Some(reason))
                    }
                    None => continue,
                };
                judged.push(Judged {
                    column: column.name.clone(),
                    measure: Some(measure),
                    value,
                    limit: Some(limit),
                    outcome,
                    action: action(&column.name),
                    reason,
                });
            }
        }
        judged
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

/// An action, of which drift has two.
fn action_of(node: &Node, report: &mut Report) -> Option<RowAction> {
    let word = match meaning(node) {
        Some(Meaning::Text(word)) => word,
        _ => "",
    };
    let action = ACTIONS.into_iter().find(|action| action.word() == word);
    if action.is_none() {
        let words = ACTIONS.map(RowAction::word);
        let message =
            format!("`action` takes one of {}; this is {}", words.join(", "), node.describe());
        report.error(node.place, message, did_you_mean(nearest(word, words)));
    }
    action
}

/// Measures and their limits, of which `off` is none; and what follows, where it says so.
fn measures(node: &Node, report: &mut Report) -> (OfMeasures, Option<(RowAction, Place)>) {
    let (mut out, mut action) = (BTreeMap::new(), None);
    for Entry { key, place, value } in map("limits of measures", node, report).unwrap_or_default() {
        if key == "action" {
            action = action_of(value, report).map(|action| (action, *place));
            continue;
        }
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
    (out, action)
}
