//! What is counted of a data set. Counts of parts merge into the counts of the whole, to the bit, in any order.
//!
//! Rules share counters: each thing is counted once, however many rules ask for it.

use std::collections::{BTreeSet, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::frequencies::{Frequencies, Hashed, ValueHasher};
use super::predicate::Predicate;
use super::reference::Keyed;
use super::row_rule::RowRule;
use super::row_test::{Finding, RowTest};
use super::tally::Tally;
use crate::column::{Bits, Column, Values};
use crate::number::{Comoments, Moments, canonical};

/// Hashes of key tuples.
pub type Keys = HashSet<u128, BuildHasherDefault<Hashed>>;

/// A thing to count. Slots are columns.
#[derive(Debug)]
pub enum Count {
    /// Rows.
    Rows,
    /// Rows without a null in these columns.
    Complete(Vec<usize>),
    /// Rows by what a test finds of them; `where` is the test's own.
    Found(RowTest),
    /// Rows that pass a composite.
    Composite(RowRule),
    /// The moments of a column of numbers.
    Moments(usize),
    /// The moments of two columns of numbers, of rows that have both.
    Comoments(usize, usize),
    /// The least and the greatest number of a column.
    Extent(usize),
    /// The least and the greatest length; null has 0.
    Lengths(usize),
    /// How often values stand; a row whose values are all null is left out.
    Frequencies(Vec<usize>),
    /// Rows without null whose values are among these keys.
    Known(Vec<usize>, Arc<Keys>),
    /// Rows that a reference has, equal, under the same key.
    Matched {
        /// The columns of the key.
        keys: Vec<usize>,
        /// The columns that are compared.
        compared: Vec<usize>,
        /// What the reference has.
        reference: Arc<Keyed>,
    },
}

/// A thing to count of the rows that a predicate keeps.
#[derive(Debug)]
pub struct Counter {
    /// What tells it from other counters.
    pub name: String,
    /// The thing.
    pub what: Count,
    /// An index of the predicates.
    pub filter: Option<usize>,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A number of rows.
    Number(u64),
    /// See [`Findings`].
    Findings(Findings),
    /// See [`Moments`].
    Moments(Moments),
    /// See [`Comoments`].
    Comoments(Box<Comoments>),
    /// See [`Extent`].
    Extent(Extent),
    /// See [`Frequencies`].
    Frequencies(Frequencies),
}

/// The least and the greatest of numbers in canonical form; none of nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extent(pub Option<(f64, f64)>);

/// Numbers in canonical form are never NaN.
impl Eq for Extent {}

impl Extent {
    /// Adds a number.
    pub fn add(&mut self, x: f64) {
        self.merge(&Extent(Some((x, x))));
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Extent) {
        self.0 = match (self.0, other.0) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, another) => one.or(another),
        };
    }
}

/// Rows by what was found of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// All rows.
    pub rows: u64,
    /// Rows that passed.
    pub passed: u64,
    /// Rows that `where` left out.
    pub skipped: u64,
    /// Rows that failed because they are null, no number, no date.
    null: u64,
    no_number: u64,
    no_date: u64,
}

impl Findings {
    fn add(&mut self, finding: Finding) {
        self.rows = self.rows.saturating_add(1);
        let count = match finding {
            Finding::Passes => &mut self.passed,
            Finding::Skipped => &mut self.skipped,
            Finding::Null => &mut self.null,
            Finding::NoNumber => &mut self.no_number,
            Finding::NoDate => &mut self.no_date,
            Finding::Fails | Finding::NoNow => return,
        };
        *count = count.saturating_add(1);
    }

    fn merge(&mut self, other: &Findings) {
        let add = |mine: &mut u64, theirs: u64| *mine = mine.saturating_add(theirs);
        add(&mut self.rows, other.rows);
        add(&mut self.passed, other.passed);
        add(&mut self.skipped, other.skipped);
        add(&mut self.null, other.null);
        add(&mut self.no_number, other.no_number);
        add(&mut self.no_date, other.no_date);
    }

    /// Why not all of `rows` rows pass: how many fail in which way.
    pub fn reason(&self, rows: u64) -> String {
        let failed = rows.saturating_sub(self.passed);
        let told = [
            (self.null, Finding::Null),
            (self.no_number, Finding::NoNumber),
            (self.no_date, Finding::NoDate),
        ];
        let rest = told.iter().fold(failed, |rest, (count, _)| rest.saturating_sub(*count));
        let parts: Vec<_> = told
            .into_iter()
            .chain([(rest, Finding::Fails)])
            .filter(|(count, _)| *count > 0)
            .map(|(count, finding)| format!("{} ({count} of {rows} rows)", finding.reason()))
            .collect();
        parts.join(", ")
    }
}

/// Which rows of a batch count.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The batch.
    pub columns: &'a [Column],
    /// How many rows it has.
    pub count: usize,
    /// What `now()` stands for, in milliseconds.
    pub now: Option<i64>,
    kept: Vec<Bits>,
}

impl<'a> Rows<'a> {
    /// The first `count` rows of `columns`, and which of them each predicate keeps.
    pub fn new(
        columns: &'a [Column],
        count: usize,
        now: Option<i64>,
        predicates: &[(String, Predicate)],
    ) -> Self {
        let kept = predicates.iter().map(|(_, predicate)| predicate.kept(columns, count)).collect();
        Rows { columns, count, now, kept }
    }

    /// Gives the rows that `filter` keeps to `visit`.
    #[inline]
    fn each(&self, filter: Option<usize>, mut visit: impl FnMut(usize)) {
        match filter.and_then(|filter| self.kept.get(filter)) {
            None => (0..self.count).for_each(visit),
            Some(kept) => (0..self.count).filter(|row| kept.get(*row)).for_each(&mut visit),
        }
    }

    /// Whether `filter` keeps `row`.
    pub fn keeps(&self, filter: Option<usize>, row: usize) -> bool {
        filter.and_then(|filter| self.kept.get(filter)).is_none_or(|kept| kept.get(row))
    }
}

impl Counter {
    /// Counts of nothing.
    pub fn start(&self) -> State {
        match &self.what {
            Count::Rows | Count::Complete(_) | Count::Known(..) | Count::Matched { .. } => {
                State::Number(0)
            }
            Count::Found(_) | Count::Composite(_) => State::Findings(Findings::default()),
            Count::Moments(_) => State::Moments(Moments::default()),
            Count::Comoments(..) => State::Comoments(Box::default()),
            Count::Extent(_) | Count::Lengths(_) => State::Extent(Extent::default()),
            Count::Frequencies(_) => State::Frequencies(Frequencies::default()),
        }
    }

    /// Counts `rows`. A state of another counter (a bug of the caller) stays as it is.
    pub fn update(&self, state: &mut State, rows: &Rows<'_>) {
        let (columns, filter) = (rows.columns, self.filter);
        let mut hasher = ValueHasher::default();
        match (&self.what, state) {
            (Count::Found(test), State::Findings(findings)) => {
                test.find_all(columns, rows.count, |_| rows.now, |_, found| findings.add(found));
            }
            (Count::Composite(rule), State::Findings(findings)) => {
                let passing = rule.passing(columns, rows.count, rows.now);
                passing.into_iter().for_each(|passes| findings.add(Finding::of(passes)));
            }
            (Count::Moments(slot), State::Moments(moments)) => {
                match filter.is_none().then(|| doubles(rows, *slot)).flatten() {
                    Some(values) => moments.extend(values),
                    None => {
                        let mut values = Vec::with_capacity(rows.count);
                        each_number(rows, filter, *slot, |x| values.push(x));
                        moments.extend(&values);
                    }
                }
            }
            (Count::Extent(slot), State::Extent(extent)) => {
                each_number(rows, filter, *slot, |x| extent.add(x));
            }
            (Count::Comoments(x, y), State::Comoments(comoments)) => {
                let both = filter.is_none().then(|| doubles(rows, *x).zip(doubles(rows, *y)));
                if let Some((xs, ys)) = both.flatten() {
                    return comoments.extend(xs, ys);
                }
                let (Some(x), Some(y)) = (columns.get(*x), columns.get(*y)) else { return };
                let (mut xs, mut ys) = (Vec::new(), Vec::new());
                rows.each(filter, |row| {
                    if let (Some(x), Some(y)) = (x.number(row), y.number(row)) {
                        xs.push(x);
                        ys.push(y);
                    }
                });
                comoments.extend(&xs, &ys);
            }
            (Count::Lengths(slot), State::Extent(extent)) => {
                let Some(column) = columns.get(*slot) else { return };
                rows.each(filter, |row| {
                    extent.add(super::column_length::length(column.get(row)) as f64);
                });
            }
            (Count::Frequencies(slots), State::Frequencies(frequencies)) => {
                let mut hashes = Vec::with_capacity(rows.count);
                match slots[..] {
                    [slot] => {
                        let Some(column) = columns.get(slot) else { return };
                        let counted = (0..rows.count).filter(|row| rows.keeps(filter, *row));
                        hasher.column(column, counted, |hash| hashes.push(hash));
                    }
                    _ => rows.each(filter, |row| {
                        let (hash, nulls) = hasher.row(columns, slots, row);
                        if nulls < slots.len() {
                            hashes.push(hash);
                        }
                    }),
                }
                frequencies.add_each(&hashes);
            }
            (Count::Complete(slots), State::Number(number)) if filter.is_none() => {
                let complete = match slots[..] {
                    [slot] => {
                        columns.get(slot).map_or(0, |column| match column.len() == rows.count {
                            true => column.validity().count_ones(),
                            false => (0..rows.count).filter(|row| column.is_valid(*row)).count(),
                        })
                    }
                    _ => (0..rows.count)
                        .filter(|row| self.what.takes(&mut hasher, columns, *row))
                        .count(),
                };
                *number = number.saturating_add(complete as u64);
            }
            (what, State::Number(number)) => rows.each(filter, |row| {
                *number = number.saturating_add(u64::from(what.takes(&mut hasher, columns, row)));
            }),
            _ => {}
        }
    }

    /// Whether a tally of the column in `slot` takes the place of its values.
    pub fn takes_tally(&self, slot: usize) -> bool {
        let of = match &self.what {
            Count::Complete(slots) | Count::Frequencies(slots) => slots.as_slice(),
            _ => return false,
        };
        of == [slot] && self.filter.is_none()
    }

    /// Counts the rows that `tally` is of, if it takes the place of what is counted here.
    pub fn tally(&self, state: &mut State, slot: usize, tally: &Tally) {
        if !self.takes_tally(slot) {
            return;
        }
        match state {
            State::Frequencies(frequencies) => {
                let (rows, counts): (Vec<usize>, Vec<u64>) = tally.there().unzip();
                let (mut hasher, mut hashes) = (ValueHasher::default(), Vec::new());
                hashes.reserve_exact(rows.len());
                hasher.column(&tally.values, rows.into_iter(), |hash| hashes.push(hash));
                frequencies.add_times(&hashes, &counts);
            }
            State::Number(number) => {
                let complete =
                    tally.there().fold(0u64, |sum, (_, count)| sum.saturating_add(count));
                *number = number.saturating_add(complete);
            }
            _ => {}
        }
    }
}

impl Count {
    /// Adds the slots that it reads to `reads`.
    pub fn reads(&self, reads: &mut BTreeSet<usize>) {
        match self {
            Count::Rows => {}
            Count::Complete(slots) | Count::Frequencies(slots) | Count::Known(slots, _) => {
                reads.extend(slots);
            }
            Count::Found(test) => test.reads(reads),
            Count::Composite(rule) => rule.reads(reads),
            Count::Moments(slot) | Count::Extent(slot) | Count::Lengths(slot) => {
                reads.insert(*slot);
            }
            Count::Comoments(x, y) => reads.extend([*x, *y]),
            Count::Matched { keys, compared, .. } => reads.extend(keys.iter().chain(compared)),
        }
    }

    /// Whether a row counts.
    pub fn takes(&self, hasher: &mut ValueHasher, columns: &[Column], row: usize) -> bool {
        match self {
            Count::Rows => true,
            Count::Complete(slots) => {
                slots.iter().all(|slot| columns.get(*slot).is_some_and(|c| c.is_valid(row)))
            }
            Count::Known(slots, keys) => {
                let (hash, nulls) = hasher.row(columns, slots, row);
                nulls == 0 && keys.contains(&hash)
            }
            Count::Matched { keys, compared, reference } => {
                let (key, nulls) = hasher.row(columns, keys, row);
                let (record, _) = hasher.row(columns, compared, row);
                nulls == 0 && reference.has(key, record)
            }
            _ => false,
        }
    }
}

/// The values of a column of doubles without null.
fn doubles<'a>(rows: &Rows<'a>, slot: usize) -> Option<&'a [f64]> {
    let column = rows.columns.get(slot).filter(|column| column.validity().all())?;
    match column.values() {
        Values::Double(values) => values.get(..rows.count),
        _ => None,
    }
}

fn each_number(rows: &Rows<'_>, filter: Option<usize>, slot: usize, mut visit: impl FnMut(f64)) {
    let Some(column) = rows.columns.get(slot) else { return };
    let valid = column.validity();
    match column.values() {
        Values::Double(values) => rows.each(filter, |row| {
            if valid.get(row)
                && let Some(x) = values.get(row).copied().and_then(canonical)
            {
                visit(x);
            }
        }),
        Values::Long(values) => rows.each(filter, |row| {
            if valid.get(row)
                && let Some(x) = values.get(row)
            {
                visit(*x as f64);
            }
        }),
        _ => {}
    }
}

impl State {
    /// Adds all that `other` counted; false if it is of another kind.
    pub fn merge(&mut self, other: &State) -> bool {
        match (self, other) {
            (State::Number(mine), State::Number(theirs)) => *mine = mine.saturating_add(*theirs),
            (State::Findings(mine), State::Findings(theirs)) => mine.merge(theirs),
            (State::Moments(mine), State::Moments(theirs)) => mine.merge(theirs),
            (State::Comoments(mine), State::Comoments(theirs)) => mine.merge(theirs),
            (State::Extent(mine), State::Extent(theirs)) => mine.merge(theirs),
            (State::Frequencies(mine), State::Frequencies(theirs)) => mine.merge(theirs),
            _ => return false,
        }
        true
    }
}
