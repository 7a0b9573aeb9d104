//! Tallies: what is kept of many values of a column.

use std::collections::VecDeque;
use std::ops::Range;

use smallvec::SmallVec;

use crate::column::Column;
use crate::recipe::Aggregate;

use super::Cell;

/// Count, sum and maximum of the values that were there. What a window does not ask for is not stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tally {
    pub count: u64,
    pub sum: f64,
    pub max: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { count: 0, sum: 0.0, max: f64::NEG_INFINITY }
    }
}

impl Tally {
    pub fn of(x: f64) -> Self {
        Tally { count: 1, sum: x, max: x }
    }

    /// Adds values one after another; NaN is a missing one.
    #[inline]
    fn add_all<'v>(&mut self, values: impl Iterator<Item = &'v f64> + Clone) {
        let (mut count, mut sum, mut max) = (0u64, self.sum, self.max);
        for x in values.clone() {
            count += 1;
            sum += x;
            max = if *x > max { *x } else { max };
        }
        if !sum.is_nan() {
            *self = Tally { count: self.count.saturating_add(count), sum, max };
            return;
        }
        // One is missing, or the sum went beyond the doubles on both sides.
        values.filter(|x| !x.is_nan()).for_each(|x| self.merge(Tally::of(*x)));
    }

    /// [`Tally::add_all`] of values that lie side by side.
    #[inline]
    fn add_slice(&mut self, values: &[f64]) {
        let (mut sum, mut max) = (self.sum, self.max);
        let mut add = |x: f64| {
            sum += x;
            max = if x > max { x } else { max };
        };
        // Eight in a row, as additions wait for each other and nothing else should.
        let (eights, rest) = values.as_chunks::<8>();
        eights.iter().for_each(|eight| eight.iter().for_each(|x| add(*x)));
        rest.iter().for_each(|x| add(*x));
        if sum.is_nan() {
            return self.add_all(values.iter());
        }
        *self = Tally { count: self.count.saturating_add(values.len() as u64), sum, max };
    }

    /// Adds what comes after.
    pub fn merge(&mut self, after: Tally) {
        self.count = self.count.saturating_add(after.count);
        self.sum += after.sum;
        self.max = if after.max > self.max { after.max } else { self.max };
    }
}

/// The values of an event: for each column its value, if it is there. Mostly few columns are read, and then nothing is
/// allocated.
pub(super) type EventValues = SmallVec<[Option<f64>; 2]>;

/// Rows, and a tally for each column that is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tallies {
    pub rows: u64,
    pub tallies: SmallVec<[Tally; 2]>,
}

impl Tallies {
    pub fn new(inputs: usize) -> Self {
        Tallies { rows: 0, tallies: SmallVec::from_elem(Tally::default(), inputs) }
    }

    /// Adds what comes after.
    pub fn merge(&mut self, after: &Tallies) {
        self.rows = self.rows.saturating_add(after.rows);
        for (tally, after) in self.tallies.iter_mut().zip(&after.tallies) {
            tally.merge(*after);
        }
    }

    /// Adds the events at `range` after the others. `values` are those of all events, `width` of each, in order; NaN is a
    /// missing one.
    pub fn add_range(&mut self, values: &VecDeque<f64>, width: usize, range: Range<usize>) {
        self.rows = self.rows.saturating_add(range.len() as u64);
        let (front, back) = values.as_slices();
        for (input, tally) in self.tallies.iter_mut().enumerate() {
            let (mut at, end) = (range.start * width + input, range.end * width);
            for (slice, before) in [(front, 0), (back, front.len())] {
                let end = end.min(before + slice.len());
                if at < end {
                    let here = slice.get(at - before..end - before).unwrap_or_default();
                    match width {
                        1 => tally.add_slice(here),
                        _ => tally.add_all(here.iter().step_by(width.max(1))),
                    }
                    at += (end - at).div_ceil(width.max(1)) * width.max(1);
                }
            }
        }
    }

    /// Adds one event after the others: for each column its value, if it is there.
    pub fn add(&mut self, values: &[Option<f64>]) {
        self.rows = self.rows.saturating_add(1);
        for (tally, value) in self.tallies.iter_mut().zip(values) {
            if let Some(x) = value {
                tally.merge(Tally::of(*x));
            }
        }
    }
}

/// The columns that tiles or a ring read, each once, and what is kept of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs(Vec<Input>);

#[derive(Clone, Debug)]
struct Input {
    name: String,
    slot: Option<usize>,
    keeps: Keeps,
}

/// What is kept of a column's values beside their count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keeps {
    pub sum: bool,
    pub max: bool,
}

impl Inputs {
    /// Where the column stands among the inputs; it is added if it is not there yet.
    fn at(&mut self, name: &str, slot: &impl Fn(&str) -> Option<usize>) -> usize {
        self.0.iter().position(|input| input.name == name).unwrap_or_else(|| {
            let keeps = Keeps::default();
            self.0.push(Input { name: name.to_owned(), slot: slot(name), keeps });
            self.0.len() - 1
        })
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn keeps(&self) -> Vec<Keeps> {
        self.0.iter().map(|input| input.keeps).collect()
    }

    /// The row's values. Missing and infinite ones are none; a value that is only counted is 0.
    pub fn read(&self, columns: &[Column], row: usize) -> EventValues {
        let value = |input: &Input| {
            let column = columns.get(input.slot?)?;
            if input.keeps == Keeps::default() && column.number(row).is_none() {
                return column.is_valid(row).then_some(0.0);
            }
            let x = column.number(row).filter(|x| x.is_finite())?;
            Some(if input.keeps == Keeps::default() { 0.0 } else { x })
        };
        self.0.iter().map(value).collect()
    }
}

/// One aggregate: what it reads, and the column it makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    column: usize,
    aggregate: Aggregate,
    /// None is rows.
    input: Option<usize>,
}

impl Output {
    /// The outputs of `aggregates`, whose columns begin at `first`.
    pub fn all(
        aggregates: &[(Aggregate, Option<String>)],
        first: usize,
        inputs: &mut Inputs,
        slot: &impl Fn(&str) -> Option<usize>,
    ) -> Vec<Output> {
        let mut output = |(i, (aggregate, name)): (usize, &(Aggregate, Option<String>))| {
            let input = name.as_ref().map(|name| inputs.at(name, slot));
            if let Some(input) = input.and_then(|at| inputs.0.get_mut(at)) {
                input.keeps.sum |= matches!(aggregate, Aggregate::Sum | Aggregate::Mean);
                input.keeps.max |= *aggregate == Aggregate::Max;
            }
            Output { column: first + i, aggregate: *aggregate, input }
        };
        aggregates.iter().enumerate().map(&mut output).collect()
    }

    /// Writes the result into its cell.
    pub fn write(&self, tallies: &Tallies, cells: &mut [Cell]) {
        let tally = match self.input {
            Some(input) => tallies.tallies.get(input).copied().unwrap_or_default(),
            None => Tally { count: tallies.rows, ..Tally::default() },
        };
        let double = |x: f64| {
            let there = tally.count > 0 && x.is_finite();
            if there { Cell::Double(x) } else { Cell::Null }
        };
        let value = match self.aggregate {
            Aggregate::Count => Cell::Long(i64::try_from(tally.count).unwrap_or(i64::MAX)),
            Aggregate::Sum => double(tally.sum),
            Aggregate::Mean => double(tally.sum / tally.count as f64),
            Aggregate::Max => double(tally.max),
        };
        if let Some(cell) = cells.get_mut(self.column) {
            *cell = value;
        }
    }
}
