//! `FileFreshness`, `FileSize`, `FileMatch`, `FileUniqueness`: the files that data comes in.
//!
//! - Take: a file, a folder or a URL; without one the files that the data was read from.
//! - `FileFreshness` takes a date condition on the time at which each file was last written. Dates alone compare days;
//!   where a time of day (`"9:30 AM"`, of the day of `now()`) or `now()` stands, instants count. Both are in the zone of
//!   `with timeZone`, UTC without it.
//! - `FileSize` takes a size condition on each file's bytes; KB is 1024 bytes.
//! - `FileMatch` takes a list of hashes, in which each file's must be, or two paths, whose files must have the same
//!   contents, as many times. `with hashAlgorithm` is `MD5`, `SHA-1` or `SHA-256`, which stands for none.
//! - `FileUniqueness` takes a number condition on the share of files whose contents no other has.
//! - `with threshold` (of the first two): the share of files that pass must meet it; without it all must.
//!   `with uriRegex` leaves only files in whose path the regular expression is found, `with recentFiles` only so many of
//!   the newest; in this order, or in that of `with filterOrder = "recentFiles,uriRegex"`.
//! - Give: `Dataset.*.FileCount`; `Dataset.*.FileFreshness.Compliance`; `Dataset.*.FileSize.Compliance`,
//!   `Dataset.*.MinimumFileSize`, `Dataset.*.MaximumFileSize`; `Dataset.*.FileUniquenessRatio`.
//! - No file, and a file whose time is not known: the rule fails.
//! - State: none. Files are listed once, before the rows.
//! - Source: AWS Glue's documentation of the four. Departs: the tags `failFiles` and `matchFileName` are refused.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date as Day, Time};
use jiff::tz::TimeZone;

use super::{Check, Known, Preparation, Verdict, later, met};
use crate::pattern::Pattern;
use crate::quality::column_values::shift;
use crate::quality::listing::{DATA, File, HashAlgorithm};
use crate::quality::names;
use crate::quality::row_test::Refusal;
use crate::quality::tree::{
    Comparison, Condition, Date, Single, Size, SizeUnit, Test, Text, VariableValue,
};

/// A rule of this family that could not be evaluated: refused, or failed.
type Files = Result<Result<Vec<File>, Box<dyn Check>>, Refusal>;

const COUNT: &str = "Dataset.*.FileCount";

/// The files of parameter `at`, as the tags leave them.
fn files(on: &Preparation<'_>, single: &Single, at: usize) -> Files {
    let path = match single.parameters.len() {
        0 => DATA.to_owned(),
        _ => on.text(single, at),
    };
    let tag = |name: &str| single.tags.iter().find(|(tag, _)| tag == name).map(|(_, v)| v.as_str());
    let pattern = tag("uriRegex").map(Pattern::find).transpose().map_err(Refusal::Unfit)?;
    let recent = match tag("recentFiles").map(|text| (text, text.parse::<usize>())) {
        None => None,
        Some((_, Ok(count @ 1..))) => Some(count),
        Some((text, _)) => {
            return Err(Refusal::Unfit(format!(
                "`recentFiles` is a number of files, not `{text}`"
            )));
        }
    };
    let order = tag("filterOrder").unwrap_or("uriRegex,recentFiles");
    let steps: Vec<&str> = order.split(',').map(str::trim).collect();
    if steps.iter().any(|step| !["uriRegex", "recentFiles"].contains(step)) {
        return Err(Refusal::Unfit(format!(
            "`filterOrder` is \"uriRegex,recentFiles\" or \"recentFiles,uriRegex\", not \"{order}\""
        )));
    }
    let Some(listed) = on.context.files.get(&path) else {
        return match on.context.draft {
            true => Ok(Err(later())),
            false => Err(Refusal::Unfit(format!(
                "`{}` needs a listing of files, which is not here",
                single.kind.name
            ))),
        };
    };
    let mut files = listed.clone();
    for step in steps {
        match (step, &pattern, recent) {
            ("uriRegex", Some(pattern), _) => files.retain(|file| pattern.matches(&file.path)),
            ("recentFiles", _, Some(count)) => {
                files.sort_by(|a, b| b.modified.cmp(&a.modified).then(a.path.cmp(&b.path)));
                files.truncate(count);
            }
            _ => {}
        }
    }
    if files.is_empty() {
        return Ok(Err(super::fails("there is no file to check".into())));
    }
    Ok(Ok(files))
}

fn known(verdict: Verdict, metrics: Vec<(&str, f64)>) -> Box<dyn Check> {
    Box::new(Known(verdict, metrics.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()))
}

/// The share of files that pass, and whether it is enough.
fn share(
    on: &Preparation<'_>,
    single: &Single,
    passed: usize,
    files: usize,
) -> Result<(Verdict, f64), Refusal> {
    let share = passed as f64 / files as f64;
    let verdict = match on.threshold(single)? {
        Some(threshold) => met(Some(&threshold), share),
        None if passed == files => Verdict::Passed(None),
        None => Verdict::Failed(format!(
            "{} of {files} files do not meet the constraint requirement!",
            files - passed
        )),
    };
    Ok((verdict, share))
}

/// Readies `FileFreshness`.
pub fn file_freshness(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    let zone = match single.tags.iter().find(|(tag, _)| tag == "timeZone") {
        None => TimeZone::UTC,
        Some((_, name)) => TimeZone::get(name)
            .map_err(|_| Refusal::Unfit(format!("there is no time zone `{name}`")))?,
    };
    let test = match &single.condition {
        Some(Condition::Date(test)) => test.clone(),
        Some(Condition::Text(test)) => dates_of(test)?,
        _ => return Err(Refusal::Unfit("`FileFreshness` has no value without a condition".into())),
    };
    let days = test.operands().iter().all(|date| matches!(date, Date::Date(_)));
    let now = on.context.now;
    let test = test.try_map(|date| instant(date, now, &zone)).map_err(Refusal::Unfit)?;
    let files = match files(on, single, 0)? {
        Ok(files) => files,
        Err(check) => return Ok(check),
    };
    if let Some(file) = files.iter().find(|file| file.modified.is_none()) {
        return Ok(super::fails(format!("it is not known when {} was written", file.path)));
    }
    let moment = |millis: i64| match days {
        true => start_of_day(millis, &zone).unwrap_or(millis),
        false => millis,
    };
    let passes = |file: &&File| file.modified.is_some_and(|millis| holds(&test, &moment(millis)));
    let (verdict, share) = share(on, single, files.iter().filter(passes).count(), files.len())?;
    let name = names::metric(on.ruleset, single);
    Ok(known(verdict, vec![(&name, share), (COUNT, files.len() as f64)]))
}

/// `= "2024-01-01"` is read as a text.
fn dates_of(test: &Test<Text>) -> Result<Test<Date>, Refusal> {
    test.try_map(|text| match text {
        Text::Value(date) if crate::quality::dates::day_of_date(date).is_some() => {
            Ok(Date::Date(date.clone()))
        }
        other => Err(Refusal::Unfit(format!("{other} is no date"))),
    })
}

/// An operand in milliseconds.
fn instant(date: &Date, now: Option<i64>, zone: &TimeZone) -> Result<i64, String> {
    let needed = || now.ok_or_else(|| super::super::metrics::NO_NOW.to_owned());
    let at = |day: Day, time: Time| {
        let moment = day.to_datetime(time).to_zoned(zone.clone());
        moment.map(|zoned| zoned.timestamp().as_millisecond()).map_err(|why| why.to_string())
    };
    match date {
        Date::Now => needed(),
        Date::Shifted { back, by } => {
            Ok(needed()?.saturating_add(shift(*back, by.amount, by.unit)))
        }
        Date::Date(text) => {
            let day = text.parse::<Day>().map_err(|_| format!("\"{text}\" is no date"))?;
            at(day, Time::midnight())
        }
        Date::Time(text) => {
            let (hour, minute) = crate::quality::dates::time_of_day(text)
                .ok_or_else(|| format!("\"{text}\" is no time of day"))?;
            let today = Timestamp::from_millisecond(needed()?).map_err(|why| why.to_string())?;
            let time = Time::new(hour, minute, 0, 0).map_err(|why| why.to_string())?;
            at(today.to_zoned(zone.clone()).date(), time)
        }
        Date::Null => Err("a file's time is never NULL".into()),
    }
}

fn start_of_day(millis: i64, zone: &TimeZone) -> Option<i64> {
    let day = Timestamp::from_millisecond(millis).ok()?.to_zoned(zone.clone()).start_of_day();
    Some(day.ok()?.timestamp().as_millisecond())
}

fn holds<T: Ord>(test: &Test<T>, x: &T) -> bool {
    match test {
        Test::Compare(comparison, y) => comparison.holds(x.cmp(y), Ordering::Equal),
        Test::Between { not, low, high } => (low < x && x < high) != *not,
        Test::In { not, values } => values.contains(x) != *not,
    }
}

/// Readies `FileSize`.
pub fn file_size(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let test = match &single.condition {
        Some(Condition::Size(test)) => test.try_map(|size| Ok::<_, Refusal>(bytes_of(size)))?,
        _ => return Err(Refusal::Unfit("`FileSize` has no value without a condition".into())),
    };
    let files = match files(on, single, 0)? {
        Ok(files) => files,
        Err(check) => return Ok(check),
    };
    let passed = files.iter().filter(|file| holds(&test, &file.bytes)).count();
    let (verdict, share) = share(on, single, passed, files.len())?;
    let name = names::metric(on.ruleset, single);
    let sizes = files.iter().map(|file| file.bytes);
    let (least, most) = (sizes.clone().min().unwrap_or_default(), sizes.max().unwrap_or_default());
    Ok(known(
        verdict,
        vec![
            (&name, share),
            (COUNT, files.len() as f64),
            ("Dataset.*.MinimumFileSize", least as f64),
            ("Dataset.*.MaximumFileSize", most as f64),
        ],
    ))
}

fn bytes_of(size: &Size) -> u64 {
    let power = SizeUnit::ALL.iter().position(|unit| *unit == size.unit).unwrap_or_default();
    size.amount.saturating_mul(1u64 << (10 * power))
}

/// How often each content stands; none if a file was not hashed.
fn contents(files: &[File], hash: HashAlgorithm) -> Option<BTreeMap<&str, usize>> {
    let mut contents = BTreeMap::new();
    for file in files {
        *contents.entry(file.hashes.get(&hash)?.as_str()).or_default() += 1;
    }
    Some(contents)
}

const NOT_HASHED: &str = "a file's hash is not known";

/// Readies `FileMatch`.
pub fn file_match(on: &mut Preparation<'_>, single: &Single) -> Result<Box<dyn Check>, Refusal> {
    let hash = HashAlgorithm::of(single).ok_or_else(|| {
        let words = HashAlgorithm::ALL.map(|(word, _)| word).join(", ");
        Refusal::Unfit(format!("`hashAlgorithm` is one of {words}"))
    })?;
    let expected = single.condition.as_ref().map(|condition| hashes(on, condition)).transpose()?;
    let first = match files(on, single, 0)? {
        Ok(files) => files,
        Err(check) => return Ok(check),
    };
    let Some(found) = contents(&first, hash) else { return Ok(super::fails(NOT_HASHED.into())) };
    let wrong = match expected {
        Some((not, hashes)) => {
            let listed = |content: &str| hashes.iter().any(|h| h.eq_ignore_ascii_case(content));
            let wrong: usize =
                found.iter().filter(|(content, _)| listed(content) == not).map(|(_, n)| *n).sum();
            (wrong > 0)
                .then(|| format!("the hashes of {wrong} of {} files do not match", first.len()))
        }
        None => {
            let second = match files(on, single, 1)? {
                Ok(files) => files,
                Err(check) => return Ok(check),
            };
            match contents(&second, hash) {
                None => return Ok(super::fails(NOT_HASHED.into())),
                Some(other) if other == found => None,
                Some(_) => Some(format!(
                    "the contents of {} files and of {} files are not the same",
                    first.len(),
                    second.len()
                )),
            }
        }
    };
    let verdict = wrong.map_or(Verdict::Passed(None), Verdict::Failed);
    Ok(known(verdict, vec![(COUNT, first.len() as f64)]))
}

/// The hashes of a list; true for its complement.
fn hashes(on: &Preparation<'_>, condition: &Condition) -> Result<(bool, Vec<String>), Refusal> {
    let listed;
    let (not, values) = match condition {
        Condition::Text(Test::In { not, values }) => (*not, values.as_slice()),
        Condition::Text(Test::Compare(Comparison::Equal, value)) => {
            (false, std::slice::from_ref(value))
        }
        Condition::Text(Test::Compare(Comparison::Unequal, value)) => {
            (true, std::slice::from_ref(value))
        }
        Condition::InVariable { not, name } => match on.ruleset.variable(name) {
            Some(VariableValue::List(values)) => {
                listed = values.clone();
                (*not, listed.as_slice())
            }
            _ => (*not, [].as_slice()),
        },
        other => return Err(Refusal::Unfit(format!("`FileMatch` has no condition `{other}`"))),
    };
    let text = |text: &Text| match text {
        Text::Value(hash) => Ok(hash.clone()),
        Text::Variable(name) => match on.ruleset.variable(name) {
            Some(VariableValue::One(Text::Value(hash))) => Ok(hash.clone()),
            _ => Err(Refusal::Unfit(format!("`${name}` is no hash"))),
        },
        other => Err(Refusal::Unfit(format!("{other} is no hash"))),
    };
    Ok((not, values.iter().map(text).collect::<Result<_, _>>()?))
}

/// Readies `FileUniqueness`.
pub fn file_uniqueness(
    on: &mut Preparation<'_>,
    single: &Single,
) -> Result<Box<dyn Check>, Refusal> {
    let test = on.test(single)?;
    let files = match files(on, single, 0)? {
        Ok(files) => files,
        Err(check) => return Ok(check),
    };
    let Some(found) = contents(&files, HashAlgorithm::Sha256) else {
        return Ok(super::fails(NOT_HASHED.into()));
    };
    let once = found.values().filter(|count| **count == 1).count();
    let share = once as f64 / files.len() as f64;
    let name = names::metric(on.ruleset, single);
    let metrics = vec![(name.as_str(), share), (COUNT, files.len() as f64)];
    Ok(known(met(test.as_ref(), share), metrics))
}
