//! Windows: what an entity did lately. Keyed, by event time, the same code online and in a replay.
//!
//! [`Windows`] is a recipe's `windows` and `dedupe`, made ready; [`EntityState`] is all that one entity's past has
//! left behind. [`Windows::apply`] takes one event into one entity's state and gives the values of the event's own
//! window columns: it reads nothing of other entities and changes no column, so that entities may be worked on in
//! any order. [`Windows::fill`] then puts the values into their columns.
//!
//! - **Order.** Events fold in the order in which they are applied. An event sees what was applied before it, and
//!   itself unless `exclude_current`. Sums add in that order within a tile, and tiles in ascending order; nothing
//!   is ever subtracted. Missing and infinite inputs are skipped; sum, mean and max of nothing are missing, as is a
//!   sum beyond the range of a double.
//! - **Sawtooth** (the default): see [`sawtooth`]. **Exact**: see [`exact`]. **Sessions**: see [`session`].
//! - **Late.** An entity's clock is the greatest event time that was applied for it. A late event goes where it
//!   belongs while its tile, or session, lives. Where that is gone, the state does not take it in: the event sees
//!   itself alone, is flagged `late`, and is counted.
//! - **Repeats**: see [`recent`].
//! - Times are any `i64`; arithmetic on them saturates.

mod bytes;
pub mod exact;
pub mod item;
pub mod recent;
pub mod sawtooth;
pub mod session;
mod state;
mod tally;

#[cfg(test)]
mod laws;

pub use state::{EntityState, StateError};

use crate::column::{Column, Type, Value};
use crate::recipe::plan::PlanColumn;
use crate::recipe::{Recipe, Role, Window};
use crate::record::Identity;

/// A recipe's windows, made ready.
#[derive(Clone, Debug)]
pub struct Windows {
    /// The columns of the output, in the recipe's order: slot, name, type.
    columns: Vec<(Option<usize>, String, Type)>,
    entity: Option<usize>,
    time: Option<usize>,
    recent: Option<recent::Recent>,
    groups: Vec<sawtooth::Group>,
    rings: Vec<exact::Ring>,
    sessions: Vec<session::Sessions>,
    /// A state that no event has touched.
    empty: EntityState,
}

/// The values of one event's window columns, in the order of [`Windows::columns`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowValues(Vec<Cell>);

/// One value of a window column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Cell {
    #[default]
    Null,
    Long(i64),
    Double(f64),
    /// A session's id: the bytes of its number, the highest first. Its text is their hexadecimal digits.
    Id([u8; 16]),
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// It is in the state.
    New {
        /// Its window columns, for [`Windows::fill`].
        values: RowValues,
        /// True if it came so late that at least one window could not take it in.
        late: bool,
        /// True if an exact window had to forget events of its span: there were more than `max_events`.
        truncated: bool,
    },
    /// Its identity is held: it was applied before, and the state is as it was.
    Repeat,
}

impl Windows {
    /// The windows of `recipe`, whose batches have the columns of its plan, `planned`.
    pub fn new(recipe: &Recipe, planned: &[PlanColumn]) -> Self {
        let slot = |name: &str| planned.iter().position(|column| column.name == name);
        let names = recipe.windows.iter().flat_map(Window::columns);
        let mut windows = Windows {
            columns: names.map(|(name, kind)| (slot(&name), name, kind)).collect(),
            entity: recipe.schema.role(Role::Entity),
            time: recipe.schema.role(Role::EventTime),
            recent: recipe.schema.dedupe.map(recent::Recent::new),
            groups: Vec::new(),
            rings: Vec::new(),
            sessions: Vec::new(),
            empty: EntityState::default(),
        };
        let mut column = 0; // where the window's columns begin
        for window in &recipe.windows {
            match window {
                Window::Over { aggregates, over, exact, exclude_current, .. } => {
                    let (over, exclude) = (over.iter().map(|span| span.micros), *exclude_current);
                    match exact {
                        Some(max_events) => windows.rings.push(exact::Ring::new(
                            aggregates,
                            over,
                            *max_events,
                            exclude,
                            column,
                            &slot,
                        )),
                        None => {
                            for (i, size) in over.enumerate() {
                                let first = column + i * aggregates.len();
                                let hop = sawtooth::hop(size);
                                let at = windows.groups.iter().position(|g| g.hop() == hop);
                                let at = at.unwrap_or_else(|| {
                                    windows.groups.push(sawtooth::Group::new(hop));
                                    windows.groups.len() - 1
                                });
                                windows.groups[at].add(aggregates, size, exclude, first, &slot);
                            }
                        }
                    }
                }
                Window::Session { gap, max_duration, emit, .. } => {
                    windows.sessions.push(session::Sessions::new(
                        gap.micros,
                        max_duration.as_ref().map(|span| span.micros),
                        emit,
                        column,
                    ));
                }
            }
            column += window.columns().len();
        }
        windows.empty = EntityState::empty(recipe, &windows);
        windows
    }

    /// The names and types of the window columns, in the recipe's order.
    pub fn columns(&self) -> Vec<(String, Type)> {
        self.columns.iter().map(|(_, name, kind)| (name.clone(), *kind)).collect()
    }

    /// True if `state` was made by these windows, or by no event at all. A state that was read from a store is
    /// asked this before it is used: one of other windows is of no use.
    pub fn fits(&self, state: &EntityState) -> bool {
        state.shape == self.empty.shape || state.shape == 0
    }

    /// Takes the event at `row` into its entity's state. `columns` are the batch's, with fields and derived columns
    /// filled; `identity` is the event's. A `state` of other windows (see [`Windows::fits`]) starts anew.
    pub fn apply(
        &self,
        state: &mut EntityState,
        columns: &[Column],
        row: usize,
        identity: Identity,
    ) -> Applied {
        let mut values = RowValues(vec![Cell::Null; self.columns.len()]);
        match self.take(state, columns, row, identity, &mut values.0) {
            Some(Taken { late, truncated }) => Applied::New { values, late, truncated },
            None => Applied::Repeat,
        }
    }

    /// [`Windows::apply`], whose values are written into `cells`, one for each window column, all null before; none
    /// if the event is a repeat.
    fn take(
        &self,
        state: &mut EntityState,
        columns: &[Column],
        row: usize,
        identity: Identity,
        cells: &mut [Cell],
    ) -> Option<Taken> {
        if state.shape != self.empty.shape {
            state.clone_from(&self.empty);
        }
        let (mut late, mut truncated) = (false, false);
        // Decode refuses an event without a time; there is nothing to keep of one.
        let time = self.time.and_then(|slot| columns.get(slot)).and_then(|c| c.timestamp(row));
        let Some(time) = time else { return Some(Taken { late, truncated }) };
        if self.recent.is_some() && state.recent.holds(identity) {
            return None;
        }
        let previous = state.greatest;
        let greatest = previous.map_or(time, |previous| previous.max(time));
        state.greatest = Some(greatest);
        for (group, tiles) in self.groups.iter().zip(&mut state.tiles) {
            late |= group.apply(tiles, columns, row, time, greatest, cells);
        }
        for (ring, events) in self.rings.iter().zip(&mut state.events) {
            let outcome = ring.apply(events, columns, row, time, greatest, cells);
            late |= outcome.late;
            truncated |= outcome.truncated;
        }
        for (sessions, open) in self.sessions.iter().zip(&mut state.sessions) {
            let entity = self.entity.and_then(|slot| columns.get(slot));
            let entity = entity.map_or(Value::Null, |column| column.get(row));
            late |= sessions.apply(open, entity, time, previous, cells);
        }
        if let Some(recent) = &self.recent {
            recent.apply(&mut state.recent, identity, time, greatest);
        }
        state.late = state.late.saturating_add(u64::from(late));
        state.truncated = state.truncated.saturating_add(u64::from(truncated));
        Some(Taken { late, truncated })
    }

    /// Puts the values of `rows` (one for each row of the batch, `None` where there is none) into the window
    /// columns among `columns`, which are replaced.
    pub fn fill(&self, columns: &mut [Column], rows: &[Option<RowValues>]) {
        let mut filling = Filling::new(self, rows.len());
        for row in rows {
            let cells = filling.row();
            for (cell, value) in cells.iter_mut().zip(row.iter().flat_map(|values| &values.0)) {
                *cell = *value;
            }
        }
        filling.finish(columns);
    }
}

/// What became of an event that was taken in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// As in [`Applied::New`].
    pub late: bool,
    truncated: bool,
}

/// The cells of events that were taken in, one event after the other.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    width: usize,
    cells: Vec<Cell>,
}

impl Cells {
    /// Of no event; there is room for `rows`.
    pub fn new(windows: &Windows, rows: usize) -> Self {
        let width = windows.columns.len();
        Cells { width, cells: Vec::with_capacity(width * rows) }
    }

    /// Appends the values of an event; none, and nothing is appended, if it is a repeat.
    pub fn apply(
        &mut self,
        windows: &Windows,
        state: &mut EntityState,
        columns: &[Column],
        row: usize,
        identity: Identity,
    ) -> Option<Taken> {
        let start = self.cells.len();
        self.cells.resize(start + self.width, Cell::Null);
        let taken = windows.take(state, columns, row, identity, &mut self.cells[start..]);
        if taken.is_none() {
            self.cells.truncate(start);
        }
        taken
    }

    /// Those of the event `at`.
    pub fn of(&self, at: usize) -> &[Cell] {
        &self.cells[at * self.width..(at + 1) * self.width]
    }
}

/// So many rows become parts of columns together: what was written is near when it is read.
const TOGETHER: usize = 64;

/// The window columns of a batch while its events are taken in, row by row.
#[derive(Debug)]
pub(crate) struct Filling<'w> {
    windows: &'w Windows,
    columns: Vec<Column>,
    /// Those of at most [`TOGETHER`] rows, row by row.
    cells: Vec<Cell>,
}

impl<'w> Filling<'w> {
    /// Of a batch of `rows` rows.
    pub fn new(windows: &'w Windows, rows: usize) -> Self {
        let column = |(_, _, kind): &(Option<usize>, String, Type)| {
            let mut column = Column::new(*kind);
            column.reserve(rows);
            column
        };
        let cells = Vec::with_capacity(windows.columns.len() * TOGETHER.min(rows));
        Filling { windows, columns: windows.columns.iter().map(column).collect(), cells }
    }

    /// The next row, which has no values.
    pub fn skip(&mut self) {
        self.row();
    }

    /// The next row has the values of its event; none if that is a repeat, which has no values.
    pub fn apply(
        &mut self,
        state: &mut EntityState,
        columns: &[Column],
        row: usize,
        identity: Identity,
    ) -> Option<Taken> {
        let windows = self.windows;
        windows.take(state, columns, row, identity, self.row())
    }

    /// The next row has these cells.
    pub fn copy(&mut self, cells: &[Cell]) {
        self.row().copy_from_slice(cells);
    }

    /// The cells of the next row, all null.
    fn row(&mut self) -> &mut [Cell] {
        let width = self.columns.len();
        if self.cells.len() >= width * TOGETHER {
            self.flush();
        }
        let start = self.cells.len();
        self.cells.resize(start + width, Cell::Null);
        &mut self.cells[start..]
    }

    fn flush(&mut self) {
        let (width, cells) = (self.columns.len().max(1), &self.cells);
        for (at, column) in self.columns.iter_mut().enumerate() {
            let cells = cells.chunks_exact(width).filter_map(|row| row.get(at).copied());
            match column.kind() {
                Type::Long => column.extend_longs(cells.map(|cell| match cell {
                    Cell::Long(x) => Some(x),
                    _ => None,
                })),
                Type::Double => column.extend_doubles(cells.map(|cell| match cell {
                    Cell::Double(x) => Some(x),
                    _ => None,
                })),
                _ => cells.for_each(|cell| match cell {
                    Cell::Id(id) => {
                        let digits = hex(id);
                        let digits = std::str::from_utf8(&digits).unwrap_or_default();
                        column.push(Value::String(digits));
                    }
                    _ => column.push(Value::Null),
                }),
            }
        }
        self.cells.clear();
    }

    /// Puts them into their places among `columns`, which are replaced.
    pub fn finish(mut self, columns: &mut [Column]) {
        self.flush();
        for ((slot, ..), made) in self.windows.columns.iter().zip(self.columns) {
            if let Some(column) = slot.and_then(|slot| columns.get_mut(slot)) {
                *column = made;
            }
        }
    }
}

/// 32 hexadecimal digits.
fn hex(bytes: [u8; 16]) -> [u8; 32] {
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half & 15)];
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
    }
    digits
}
