//! Sawtooth windows: tiles of event time, shared by all windows of the same hop.
//!
//! A window of size S ends at the event's time t and covers the tiles from that of t − S to that of t, so it is
//! between S and S + one hop long. The hop follows from S ([`hop`]). Events in tiles after the event's own are not
//! in its window, even if they were applied before. Of each tile are kept its rows and, for each column, the count,
//! sum and maximum that the windows ask for. A tile lives until no window that ends at the entity's greatest event
//! time reaches it.

use crate::column::Column;
use crate::recipe::Aggregate;

use super::Cell;
use super::tally::{EventValues, Inputs, Keeps, Output, Tallies};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The length of a tile for a window of `size`, both in microseconds: a day from 12 days on, an hour from 12 hours
/// on, 5 minutes from an hour on, a minute below.
pub fn hop(size: i64) -> i64 {
    match size {
        _ if size >= 12 * DAY => DAY,
        _ if size >= 12 * HOUR => HOUR,
        _ if size >= HOUR => 5 * MINUTE,
        _ => MINUTE,
    }
}

/// The windows of one hop.
#[derive(Clone, Debug)]
pub(super) struct Group {
    hop: i64,
    /// The longest window.
    reach: i64,
    inputs: Inputs,
    windows: Vec<Sawtooth>,
}

#[derive(Clone, Debug)]
struct Sawtooth {
    size: i64,
    exclude_current: bool,
    outputs: Vec<Output>,
}

/// An entity's tiles of one hop: those that hold an event, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tiles {
    pub keeps: Vec<Keeps>,
    pub tiles: Vec<Tile>,
}

/// The events whose time divided by the hop, rounded down, is `index`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tile {
    pub index: i64,
    pub tallies: Tallies,
}

impl Group {
    pub fn new(hop: i64) -> Self {
        Group { hop, reach: 0, inputs: Inputs::default(), windows: Vec::new() }
    }

    pub fn hop(&self) -> i64 {
        self.hop
    }

    /// Adds a window whose columns begin at `first`.
    pub fn add(
        &mut self,
        aggregates: &[(Aggregate, Option<String>)],
        size: i64,
        exclude_current: bool,
        first: usize,
        slot: &impl Fn(&str) -> Option<usize>,
    ) {
        let outputs = Output::all(aggregates, first, &mut self.inputs, slot);
        self.reach = self.reach.max(size);
        self.windows.push(Sawtooth { size, exclude_current, outputs });
    }

    pub fn empty(&self) -> Tiles {
        Tiles { keeps: self.inputs.keeps(), tiles: Vec::new() }
    }

    /// The tile of the time `size` before `time`.
    fn index(&self, time: i64, size: i64) -> i64 {
        time.saturating_sub(size).div_euclid(self.hop)
    }

    /// Takes the event in and writes its cells. True if its tile is gone.
    pub fn apply(
        &self,
        state: &mut Tiles,
        columns: &[Column],
        row: usize,
        time: i64,
        greatest: i64,
        cells: &mut [Cell],
    ) -> bool {
        let values = self.inputs.read(columns, row);
        let (own, oldest) = (self.index(time, 0), self.index(greatest, self.reach));
        let dead = state.tiles.partition_point(|tile| tile.index < oldest);
        state.tiles.drain(..dead);
        self.write(state, time, true, None, cells);
        let late = own < oldest;
        if !late {
            let at = state.tiles.partition_point(|tile| tile.index < own);
            if state.tiles.get(at).is_none_or(|tile| tile.index != own) {
                let tallies = Tallies::new(self.inputs.len());
                state.tiles.insert(at, Tile { index: own, tallies });
            }
            state.tiles[at].tallies.add(&values);
        }
        self.write(state, time, false, late.then_some(&values), cells);
        late
    }

    /// Writes the cells of the windows that leave the event out, or of those that do not. `alone` are the values of
    /// an event that is in no tile.
    fn write(
        &self,
        state: &Tiles,
        time: i64,
        exclude_current: bool,
        alone: Option<&EventValues>,
        cells: &mut [Cell],
    ) {
        for window in self.windows.iter().filter(|w| w.exclude_current == exclude_current) {
            let (first, last) = (self.index(time, window.size), self.index(time, 0));
            let mut sum = Tallies::new(self.inputs.len());
            let start = state.tiles.partition_point(|tile| tile.index < first);
            for tile in state.tiles[start..].iter().take_while(|tile| tile.index <= last) {
                sum.merge(&tile.tallies);
            }
            if let Some(values) = alone {
                sum.add(values);
            }
            window.outputs.iter().for_each(|output| output.write(&sum, cells));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops() {
        for (size, expected) in [
            (1, MINUTE),
            (HOUR - 1, MINUTE),
            (HOUR, 5 * MINUTE),
            (12 * HOUR - 1, 5 * MINUTE),
            (12 * HOUR, HOUR),
            (12 * DAY - 1, HOUR),
            (12 * DAY, DAY),
            (i64::MAX, DAY),
        ] {
            assert_eq!(hop(size), expected, "{size}");
        }
    }
}
