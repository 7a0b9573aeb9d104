//! Rules that the profile suggests. Whether the sample passes them is tried afterwards.

use leat::column::Type;
use leat::profile::mask::regex_of_masks;
use leat::profile::{ColumnProfile, Profile, Reading};

use super::Candidate;
use super::roles::Roles;
use super::write::Field;
use crate::html::{count, percent};
use crate::types::is_identifier;

/// Fewer values prove no form, set or range.
const ENOUGH: u64 = 20;
/// A set has at most so many values.
const MOST_MEMBERS: f64 = 20.0;
/// Each of which stands so often in the mean.
const TIMES: f64 = 10.0;
/// A set whose rarest value stands less often may not be whole.
const SELDOM: u64 = 5;
/// A share that is not 1 is taken lower by so many standard errors.
const ERRORS: f64 = 4.0;

/// `text` as a DQDL string.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// All that the profile suggests, in the order of the fields.
pub fn propose(profile: &Profile, fields: &[Field], roles: &Roles) -> Vec<Candidate> {
    let rows = profile.rows();
    let mut out = vec![Candidate {
        rule: "RowCount > 0".to_owned(),
        evidence: format!("{} rows were looked at", count(rows)),
    }];
    for field in fields {
        if let Some(column) = profile.column(&field.name) {
            let mut on = On { column, field, rule: Vec::new() };
            on.completeness();
            on.uniqueness(roles.id.as_ref().is_some_and(|id| id.name == field.name));
            if column.present() >= ENOUGH {
                let set = on.set();
                match column.kind {
                    Type::Long | Type::Double if !set => on.range(),
                    Type::String if !set => on.form(),
                    _ => {}
                }
            }
            out.append(&mut on.rule);
        }
    }
    out
}

/// Rules on a column.
struct On<'a> {
    column: &'a ColumnProfile,
    field: &'a Field,
    rule: Vec<Candidate>,
}

impl On<'_> {
    /// A rule of type `kind` on the column.
    fn put(&mut self, kind: &str, condition: &str, evidence: String) {
        let name = quoted(&self.column.name);
        let blank = if condition.is_empty() { "" } else { " " };
        self.rule.push(Candidate { rule: format!("{kind} {name}{blank}{condition}"), evidence });
    }

    /// A condition on values that are there.
    fn present(&self, condition: &str) -> String {
        match self.column.nulls {
            0 => condition.to_owned(),
            _ => {
                let filter = format!("`{}` is not null", self.column.name);
                format!("{condition} where {}", quoted(&filter))
            }
        }
    }

    fn completeness(&mut self) {
        let (rows, nulls) = (self.column.rows, self.column.nulls);
        if nulls == 0 {
            return self.put("IsComplete", "", format!("none of {} is missing", count(rows)));
        }
        let share = self.column.present() as f64 / rows.max(1) as f64;
        let error = (share * (1.0 - share) / rows.max(1) as f64).sqrt();
        let least = ((share - ERRORS * error) * 100.0).floor() / 100.0;
        if least > 0.0 {
            let evidence = format!(
                "{} of {} are there, less four standard errors",
                percent(share),
                count(rows)
            );
            self.put("Completeness", &format!(">= {least}"), evidence);
        }
    }

    fn uniqueness(&mut self, id: bool) {
        let key = matches!(self.column.kind, Type::String | Type::Long);
        if key && self.column.is_unique() && (id || self.column.present() >= 5 * ENOUGH) {
            let evidence = format!("each of {} values stands once", count(self.column.present()));
            self.put("IsUnique", "", evidence);
        }
    }

    /// A set of values; true if the column has one.
    fn set(&mut self) -> bool {
        let column = self.column;
        let (distinct, exact) = column.distinct();
        let few = exact && distinct <= MOST_MEMBERS && distinct > 0.0;
        let often = column.present() as f64 >= TIMES * distinct;
        // As many as ten whole numbers may be a set; more are a range.
        let kind = match column.kind {
            Type::String => true,
            Type::Long => {
                distinct <= 10.0 && (distinct <= 3.0 || column.present() as f64 >= 100.0 * distinct)
            }
            Type::Bool | Type::Double | Type::Timestamp => false,
        };
        if !few || !often || !kind || self.field.personal.is_some() {
            return false;
        }
        let (top, all) = column.top();
        let plain = |text: &str| text.chars().count() < 100 && !text.contains(char::is_control);
        if !all || !top.iter().all(|(text, _)| plain(text)) {
            return false;
        }
        let rare = top.last().map_or(0, |(_, count)| *count);
        // A number that is rare is the end of a range, and a text that is rare has others beside it that were not seen.
        if rare < SELDOM && column.kind == Type::Long {
            return false;
        }
        let mut values = top;
        if column.kind == Type::Long {
            values.sort_by_key(|(text, _)| text.parse::<i64>().unwrap_or_default());
        }
        let mut members: Vec<String> = values
            .iter()
            .map(
                |(text, _)| {
                    if column.kind == Type::Long { (*text).to_owned() } else { quoted(text) }
                },
            )
            .collect();
        if column.nulls > 0 {
            members.push("NULL".to_owned());
        }
        let times = if rare == 1 { "once".to_owned() } else { format!("{} times", count(rare)) };
        let mut evidence = format!(
            "{distinct} different values among {}; the rarest stands {times}",
            count(column.present()),
        );
        let mut condition = format!("in [{}]", members.join(", "));
        if rare < SELDOM {
            condition += " with threshold >= 0.99";
            evidence += ", so there may be others";
        }
        self.put("ColumnValues", &condition, evidence);
        true
    }

    fn range(&mut self) {
        let column = self.column;
        let Some((low, high)) = column.numbers.extent().filter(|_| self.field.personal.is_none())
        else {
            return;
        };
        // What numbers things goes on and on.
        let numbers_things =
            is_identifier(&column.name) || (column.is_unique() && column.kind == Type::Long);
        if low.abs().max(high.abs()) >= 1e12 || numbers_things {
            return;
        }
        let values = count(column.numbers.count());
        let sign = match low {
            low if low > 0.0 => Some(("> 0", "above 0")),
            0.0 => Some((">= 0", "0 or more")),
            _ => None,
        };
        if let Some((condition, words)) = sign {
            let condition = self.present(condition);
            self.put("ColumnValues", &condition, format!("all of {values} are {words}"));
        }
        // A range that new data may leave a little: twice as wide, and only nearly all must be within.
        let span = high - low;
        let (from, to) = (rounded(low - span / 2.0, false), rounded(high + span / 2.0, true));
        if from < to && span > 0.0 {
            // Where the sign is a rule of its own, a lower limit below it says nothing.
            let condition = match sign.is_some() && from <= 0.0 {
                true => format!("<= {to}"),
                false => format!("between {from} and {to}"),
            };
            let condition = self.present(&condition) + " with threshold >= 0.99";
            let evidence = match low >= 0.0 {
                true => format!("the {values} seen span {}; given half of it above", about(span)),
                false => format!(
                    "the {values} seen span {}; given half of it on both sides",
                    about(span)
                ),
            };
            self.put("ColumnValues", &condition, evidence);
        }
    }

    fn form(&mut self) {
        let (texts, values) = (&self.column.texts, count(self.column.present()));
        let all = |reading| texts.count() > 0 && texts.reading(reading) == texts.count();
        let share = |reading| texts.reading(reading) as f64 / texts.count().max(1) as f64;
        let types = [
            (Reading::Timestamp, "Timestamp", "times"),
            (Reading::Date, "Date", "dates"),
            (Reading::Whole, "Long", "whole numbers"),
            (Reading::Number, "Double", "numbers"),
        ];
        let types = if self.field.personal.is_some() { &[][..] } else { &types[..] };
        if let Some((_, kind, words)) = types.iter().find(|(reading, ..)| all(*reading)) {
            let condition = self.present(&format!("= \"{kind}\""));
            self.put("ColumnDataType", &condition, format!("all {values} texts are {words}"));
        } else if let Some((reading, kind, words)) = types
            .iter()
            // Of codes some have letters, and how many is chance.
            .find(|(reading, ..)| share(*reading) >= 0.8 && !is_identifier(&self.column.name))
        {
            let share = share(*reading);
            let error = (share * (1.0 - share) / texts.count().max(1) as f64).sqrt();
            let least = ((share - ERRORS * error) * 100.0).floor() / 100.0;
            let condition = self.present(&format!("= \"{kind}\""));
            let evidence = format!("{} of {values} texts are {words}", percent(share));
            self.put("ColumnDataType", &format!("{condition} with threshold >= {least}"), evidence);
        }
        let (regex, said) = match texts.positions.regex() {
            Some(regex) => {
                (Some(regex), "have one length, and the same kinds of characters at each place")
            }
            None => (
                texts.masks.all().and_then(|masks| regex_of_masks(masks.iter().map(|(m, _)| *m))),
                "have one pattern, but for the lengths of its parts",
            ),
        };
        if let Some(regex) = regex {
            let condition = self.present(&format!("matches {}", quoted(&regex)));
            self.put("ColumnValues", &condition, format!("all {values} values {said}"));
        } else if let Some((least, most)) = texts.lengths() {
            let evidence = format!("{values} values have {least} to {most} characters");
            match least == most {
                true => {
                    let condition = self.present(&format!("= {least}"));
                    self.put("ColumnLength", &condition, evidence);
                }
                false => {
                    let condition = self.present(&format!("<= {}", most.saturating_mul(2)));
                    self.put(
                        "ColumnLength",
                        &condition,
                        format!("{evidence}; given twice as many"),
                    );
                }
            }
        }
    }
}

/// `x` with two digits that tell, away from 0 if `up` and above it, to 0 otherwise: never within what it bounds.
fn rounded(x: f64, up: bool) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let unit = libm::pow(10.0, libm::floor(libm::log10(x.abs())) - 1.0);
    let places = if unit < 1.0 { 0.0 } else { unit };
    let scaled = x / unit;
    let whole = if up { scaled.ceil() } else { scaled.floor() };
    match places {
        // Below 1 a text of decimals is nearer than a product.
        0.0 => format!("{:.*}", (-libm::log10(unit)).round().max(0.0) as usize, whole * unit)
            .parse()
            .unwrap_or(x),
        unit => whole * unit,
    }
}

fn about(x: f64) -> String {
    crate::html::short(x)
}
