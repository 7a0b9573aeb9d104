//! Exact sliding windows: the events themselves are kept, at most `max_events` of them.
//!
//! A window of size S ends at the event's time t and covers the times after t − S up to t, t included. Events fold in
//! the order in which they were applied, whatever their times. An event is kept until no window that ends at the
//! entity's greatest event time reaches it. Above `max_events` the event of the least time goes (of equal times the
//! one applied first): the windows that then miss one of their events say so (`truncated`), and the state counts
//! them. The windows of one entry of the recipe share one store.

use std::collections::VecDeque;

use crate::column::Column;
use crate::recipe::Aggregate;

use super::Cell;
use super::tally::{EventValues, Inputs, Keeps, Output, Tallies};

/// The exact windows of one entry of the recipe.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    inputs: Inputs,
    max_events: usize,
    exclude_current: bool,
    /// The longest window.
    reach: i64,
    windows: Vec<(i64, Vec<Output>)>,
}

/// An entity's events, in the order in which they were applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Events {
    pub keeps: Vec<Keeps>,
    times: VecDeque<i64>,
    /// A value for each of `keeps` for each event; NaN where it is missing: what is kept is finite.
    values: VecDeque<f64>,
    /// True if an event has a time before that of one that was applied before it: then the events of a window are
    /// looked for among all; else they follow one another.
    disordered: bool,
    /// The greatest time of an event that had to go while a window could still reach it.
    pub forgotten: Option<i64>,
}

pub(super) struct Outcome {
    pub late: bool,
    pub truncated: bool,
}

/// The first microsecond of a window of `size` that ends at `time`.
fn first(size: i64, time: i64) -> i64 {
    time.saturating_sub(size.saturating_sub(1))
}

impl Events {
    pub fn new(keeps: Vec<Keeps>, forgotten: Option<i64>) -> Self {
        Events { keeps, forgotten, ..Events::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// As [`EntityState::touch`](super::EntityState::touch).
    #[inline]
    pub fn touch(&self) -> u64 {
        let time = |time: Option<&i64>| time.map_or(0, |time| *time as u64);
        let value = |value: Option<&f64>| value.map_or(0, |value| value.to_bits());
        time(self.times.front())
            ^ time(self.times.back())
            ^ value(self.values.front())
            ^ value(self.values.back())
    }

    /// The time of each event and its values.
    pub fn iter(&self) -> impl Iterator<Item = (i64, impl Iterator<Item = Option<f64>>)> {
        let value = |x: &f64| (!x.is_nan()).then_some(*x);
        let width = self.keeps.len();
        let each = self.times.iter().enumerate();
        each.map(move |(at, &time)| {
            (time, self.values.range(at * width..(at + 1) * width).map(value))
        })
    }

    pub fn push(&mut self, time: i64, values: impl IntoIterator<Item = Option<f64>>) {
        self.disordered |= self.times.back().is_some_and(|last| *last > time);
        self.times.push_back(time);
        self.values.extend(values.into_iter().map(|x| x.unwrap_or(f64::NAN)));
    }

    fn remove(&mut self, at: usize) -> Option<i64> {
        let width = self.keeps.len();
        if at == 0 {
            for _ in 0..width {
                self.values.pop_front();
            }
            return self.times.pop_front();
        }
        let time = self.times.remove(at)?;
        for _ in 0..width {
            self.values.remove(at * width);
        }
        Some(time)
    }

    /// Removes the events before `oldest`.
    fn drop_before(&mut self, oldest: i64) {
        if !self.disordered {
            while self.times.front().is_some_and(|time| *time < oldest) {
                self.remove(0);
            }
        } else if self.times.iter().any(|time| *time < oldest) {
            let width = self.keeps.len();
            let mut at = 0;
            let times = &self.times;
            self.values.retain(|_| {
                at += 1;
                times.get((at - 1) / width.max(1)).is_some_and(|time| *time >= oldest)
            });
            self.times.retain(|time| *time >= oldest);
            self.disordered = !self.times.iter().is_sorted();
        }
    }

    /// Removes the event of the least time, and says which; of equal times the one applied first.
    fn drop_oldest(&mut self) -> Option<i64> {
        if !self.disordered {
            return self.remove(0);
        }
        let ages = self.times.iter().enumerate().min_by_key(|(_, time)| **time);
        let oldest = ages.map(|(at, _)| at).and_then(|at| self.remove(at));
        self.disordered = !self.times.iter().is_sorted();
        oldest
    }

    /// Where the first event at `first` or after it is, as they follow one another. A short window holds but a few of
    /// the last ones.
    fn start(&self, first: i64) -> usize {
        const FEW: usize = 8;
        let last = self.times.iter().rev().take(FEW);
        match last.take_while(|time| **time >= first).count() {
            FEW => self.times.partition_point(|time| *time < first),
            within => self.times.len() - within,
        }
    }

    /// Adds the events from `first` to `last` to `sum`, in the order in which they were applied.
    fn add_to(&self, sum: &mut Tallies, first: i64, last: i64) {
        let width = self.keeps.len();
        if self.disordered {
            for (at, time) in self.times.iter().enumerate() {
                if (first..=last).contains(time) {
                    sum.add_range(&self.values, width, at..at + 1);
                }
            }
            return;
        }
        let start = match self.times.front() {
            Some(time) if *time >= first => 0,
            _ => self.start(first),
        };
        let end = match self.times.back() {
            Some(time) if *time > last => self.times.partition_point(|time| *time <= last),
            _ => self.times.len(),
        };
        // A window that ends before all events holds none of them.
        sum.add_range(&self.values, width, start.min(end)..end);
    }
}

impl Ring {
    /// The windows of sizes `over`, whose columns begin at `first`.
    pub fn new(
        aggregates: &[(Aggregate, Option<String>)],
        over: impl Iterator<Item = i64>,
        max_events: usize,
        exclude_current: bool,
        first: usize,
        slot: &impl Fn(&str) -> Option<usize>,
    ) -> Self {
        let mut inputs = Inputs::default();
        let windows: Vec<_> = over
            .enumerate()
            .map(|(i, size)| {
                let first = first + i * aggregates.len();
                (size, Output::all(aggregates, first, &mut inputs, slot))
            })
            .collect();
        let reach = windows.iter().map(|(size, _)| *size).max().unwrap_or_default();
        Ring { inputs, max_events, exclude_current, reach, windows }
    }

    pub fn empty(&self) -> Events {
        Events::new(self.inputs.keeps(), None)
    }

    /// Takes the event in and writes its cells.
    pub fn apply(
        &self,
        state: &mut Events,
        columns: &[Column],
        row: usize,
        time: i64,
        greatest: i64,
        cells: &mut [Cell],
    ) -> Outcome {
        let values = self.inputs.read(columns, row);
        let oldest = first(self.reach, greatest);
        state.drop_before(oldest);
        if self.exclude_current {
            self.write(state, time, None, cells);
        }
        let late = time < oldest;
        // An event that is not kept is older than all that are: its window holds itself alone.
        let mut alone = late;
        if !late {
            state.push(time, values.iter().copied());
            let over = state.len() > self.max_events;
            if let Some(oldest) = over.then(|| state.drop_oldest()).flatten() {
                state.forgotten = state.forgotten.max(Some(oldest));
                alone = oldest == time && state.times.iter().all(|other| *other > time);
            }
        }
        let alone = alone.then_some(&values);
        if !self.exclude_current {
            self.write(state, time, alone, cells);
        }
        let reached = |size: i64| state.forgotten >= Some(first(size, time));
        Outcome { late, truncated: self.windows.iter().any(|(size, _)| reached(*size)) }
    }

    fn write(&self, state: &Events, time: i64, alone: Option<&EventValues>, cells: &mut [Cell]) {
        for (size, outputs) in &self.windows {
            let mut sum = Tallies::new(self.inputs.len());
            state.add_to(&mut sum, first(*size, time), time);
            alone.into_iter().for_each(|values| sum.add(values));
            outputs.iter().for_each(|output| output.write(&sum, cells));
        }
    }
}
