//! Exact sliding windows: the events themselves are kept, at most `max_events` of them.
//!
//! A window of size S ends at the event's time t and covers the times after t − S up to t, t included. Events fold in
//! the order in which they were applied, whatever their times. An event is kept until no window that ends at the
//! entity's greatest event time reaches it. Above `max_events` the event of the least time goes (of equal times the
//! one applied first): the windows that then miss one of their events say so (`truncated`), and the state counts
//! them. The windows of one entry of the recipe share one store.

use crate::column::Column;
use crate::recipe::Aggregate;

use super::Cell;
use super::tally::{Inputs, Keeps, Output, Tallies};

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
    pub events: Vec<Event>,
    /// The greatest time of an event that had to go while a window could still reach it.
    pub forgotten: Option<i64>,
}

/// The time of an event and the values of the columns that are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub time: i64,
    pub values: Vec<Option<f64>>,
}

pub(super) struct Outcome {
    pub late: bool,
    pub truncated: bool,
}

/// The first microsecond of a window of `size` that ends at `time`.
fn first(size: i64, time: i64) -> i64 {
    time.saturating_sub(size.saturating_sub(1))
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
        Events { keeps: self.inputs.keeps(), ..Events::default() }
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
        let event = Event { time, values: self.inputs.read(columns, row) };
        let oldest = first(self.reach, greatest);
        state.events.retain(|event| event.time >= oldest);
        if self.exclude_current {
            self.write(state, time, None, cells);
        }
        let late = time < oldest;
        // An event that is not kept is older than all that are: its window holds itself alone.
        let mut alone = late.then(|| event.clone());
        if !late {
            state.events.push(event);
            if state.events.len() > self.max_events {
                let ages = state.events.iter().enumerate().min_by_key(|(_, event)| event.time);
                let oldest = state.events.remove(ages.map_or(0, |(at, _)| at));
                state.forgotten = state.forgotten.max(Some(oldest.time));
                alone = (oldest.time == time && state.events.iter().all(|e| e.time > time))
                    .then_some(oldest);
            }
        }
        if !self.exclude_current {
            self.write(state, time, alone.as_ref(), cells);
        }
        let reached = |size: i64| state.forgotten >= Some(first(size, time));
        Outcome { late, truncated: self.windows.iter().any(|(size, _)| reached(*size)) }
    }

    fn write(&self, state: &Events, time: i64, alone: Option<&Event>, cells: &mut [Cell]) {
        for (size, outputs) in &self.windows {
            let first = first(*size, time);
            let mut sum = Tallies::new(self.inputs.len());
            let within = |event: &&Event| first <= event.time && event.time <= time;
            for event in state.events.iter().filter(within).chain(alone) {
                sum.add(&event.values);
            }
            outputs.iter().for_each(|output| output.write(&sum, cells));
        }
    }
}
