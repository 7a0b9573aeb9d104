//! Sessions: events of an entity with no gap longer than `gap` between them.
//!
//! The state holds the open session: its start and its count. An event at or after the entity's greatest event time
//! joins it if it is at most `gap` after that time, and at most `max_duration` after the start; otherwise it opens
//! the next one. A late event joins if it is not before the start. A start never moves, since rows that name the
//! session have gone out: an event before it is late, and has a session of its own, of one event.
//!
//! - `session_id`: 32 hex digits, XXH3 (128 bits) of the entity, a zero byte, and the start in microseconds.
//! - `session_count`: the events so far, with this one. `session_duration`: seconds from the start to this event.
//! - `session_since_previous`: seconds from the greatest event time before this event was applied to its own time:
//!   negative for an event out of order, missing for the first.
//! - `session_number`: how many sessions the entity had before this one, ever: 0 for its first. Missing for an event
//!   before the open session, as which of the earlier ones it is near is not kept.

use xxhash_rust::xxh3::xxh3_128;

use crate::column::Value;
use crate::recipe::SessionField;

use super::Cell;

/// One entry of the recipe.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    gap: i64,
    max_duration: Option<i64>,
    emit: Vec<SessionField>,
    /// Where its columns begin.
    first: usize,
}

/// The open session. Its last event is at the entity's greatest event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    pub start: i64,
    /// 0: none is open.
    pub count: u64,
    /// How many sessions came before it.
    pub number: u64,
}

impl Sessions {
    pub fn new(gap: i64, max_duration: Option<i64>, emit: &[SessionField], first: usize) -> Self {
        Sessions { gap, max_duration, emit: emit.to_vec(), first }
    }

    /// Takes the event in and writes its cells. `previous` is the greatest event time before it. True if it is
    /// before the open session.
    pub fn apply(
        &self,
        open: &mut Open,
        entity: Value<'_>,
        time: i64,
        previous: Option<i64>,
        cells: &mut [Cell],
    ) -> bool {
        let late = open.count > 0 && time < open.start;
        let opened = if open.count > 0 { open.number.saturating_add(1) } else { 0 };
        let own = Open { start: time, count: 1, number: opened };
        let session = if late {
            own
        } else {
            let near = previous.is_some_and(|previous| time.saturating_sub(previous) <= self.gap);
            let short = self.max_duration.is_none_or(|max| time.saturating_sub(open.start) <= max);
            let joins = open.count > 0 && near && short;
            *open = if joins { Open { count: open.count.saturating_add(1), ..*open } } else { own };
            *open
        };
        for (cell, field) in cells.iter_mut().skip(self.first).zip(&self.emit) {
            *cell = match field {
                SessionField::Id => Cell::Id(id(entity, session.start)),
                SessionField::Count => Cell::Long(i64::try_from(session.count).unwrap_or(i64::MAX)),
                SessionField::Duration => Cell::Double(seconds(session.start, time)),
                SessionField::SincePrevious => {
                    previous.map_or(Cell::Null, |previous| Cell::Double(seconds(previous, time)))
                }
                SessionField::Number if late => Cell::Null,
                SessionField::Number => {
                    Cell::Long(i64::try_from(session.number).unwrap_or(i64::MAX))
                }
            };
        }
        late
    }
}

fn seconds(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

fn id(entity: Value<'_>, start: i64) -> [u8; 16] {
    let text = match entity {
        Value::String(entity) => format!("{entity}\0{start}"),
        Value::Long(entity) => format!("{entity}\0{start}"),
        _ => format!("\0{start}"),
    };
    xxh3_128(text.as_bytes()).to_be_bytes()
}
