//! The windows against their definition: an oracle keeps all events of an entity and computes every value anew.

use proptest::prelude::*;

use super::*;
use crate::recipe::plan::Origin;
use crate::recipe::{
    Aggregate, Dedupe, Dialect, Field, Place, Schema, SessionField, Span, UnknownFields,
};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

fn span(text: &str, micros: i64) -> Span {
    Span { text: text.into(), micros }
}

fn over(
    aggregates: &[(Aggregate, Option<&str>)],
    over: &[Span],
    exact: Option<usize>,
    exclude_current: bool,
) -> Window {
    let aggregates = aggregates.iter().map(|(a, name)| (*a, name.map(str::to_owned))).collect();
    let place = Place::default();
    Window::Over { aggregates, over: over.to_vec(), exact, exclude_current, place }
}

fn session(gap: Span, max_duration: Option<Span>) -> Window {
    use SessionField::{Count, Duration, Id, Number, SincePrevious};
    let emit = vec![Id, Count, Duration, SincePrevious, Number];
    Window::Session { gap, max_duration, emit, place: Place::default() }
}

fn recipe(windows: Vec<Window>, dedupe: Option<Dedupe>) -> Recipe {
    let field = |name: &str, kind, role| Field {
        name: name.into(),
        kind,
        role,
        pii: false,
        place: Place::default(),
    };
    Recipe {
        file: "laws.yaml".into(),
        name: "laws".into(),
        dialect: Dialect::Sklearn,
        schema: Schema {
            format: Default::default(),
            fields: vec![
                field("customer", Type::String, Some(Role::Entity)),
                field("time", Type::Timestamp, Some(Role::EventTime)),
                field("amount", Type::Double, None),
                field("items", Type::Long, None),
                field("channel", Type::String, None),
            ],
            unknown_fields: UnknownFields::Keep,
            max_ahead: None,
            dedupe,
        },
        quality: None,
        protect: vec![],
        derive: vec![],
        windows,
        features: vec![],
        output: vec![],
    }
}

/// The columns of a batch of `recipe`, as a plan has them.
fn planned(recipe: &Recipe) -> Vec<PlanColumn> {
    let fields = recipe.schema.fields.iter().map(|f| (f.name.clone(), f.kind, Origin::Field));
    let windows = recipe.windows.iter().flat_map(Window::columns);
    fields
        .chain(windows.map(|(name, kind)| (name, kind, Origin::Window)))
        .map(|(name, kind, origin)| PlanColumn { name, kind, origin })
        .collect()
}

#[derive(Clone, Debug)]
struct Event {
    time: i64,
    id: u128,
    amount: Option<f64>,
    items: Option<i64>,
    channel: Option<&'static str>,
}

impl Event {
    fn columns(&self) -> Vec<Column> {
        let mut time = Column::new(Type::Timestamp);
        time.push(Value::Timestamp(self.time));
        vec![
            Column::strings([Some("c-1")]),
            time,
            Column::doubles([self.amount]),
            Column::longs([self.items]),
            Column::strings([self.channel]),
        ]
    }

    /// The value of a column as the catalogue sees it: missing and infinite ones are none.
    fn value(&self, column: &str) -> Option<f64> {
        match column {
            "amount" => self.amount.filter(|x| x.is_finite()),
            "items" => self.items.map(|x| x as f64),
            _ => self.channel.map(|_| 0.0),
        }
    }
}

/// An aggregate over tiles of events: folded within a tile, then tile after tile.
fn aggregate(tiles: &[Vec<&Event>], aggregate: Aggregate, column: Option<&str>) -> Cell {
    let Some(column) = column else {
        return Cell::Long(tiles.iter().map(Vec::len).sum::<usize>() as i64);
    };
    let values: Vec<Vec<f64>> =
        tiles.iter().map(|tile| tile.iter().filter_map(|e| e.value(column)).collect()).collect();
    let count = values.iter().map(Vec::len).sum::<usize>();
    if aggregate == Aggregate::Count {
        return Cell::Long(count as i64);
    }
    let sum = values.iter().fold(0.0, |sum, tile| sum + tile.iter().fold(0.0, |a, x| a + x));
    let value = match aggregate {
        Aggregate::Sum => sum,
        Aggregate::Mean => sum / count as f64,
        _ => values.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    if count > 0 && value.is_finite() { Cell::Double(value) } else { Cell::Null }
}

fn greatest(events: &[Event]) -> i64 {
    events.iter().map(|e| e.time).max().unwrap()
}

/// Of `events`, those at or after `oldest`; of these the `most` latest by time, then by order. As indices.
fn latest(events: &[Event], oldest: i64, most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..events.len()).filter(|&i| events[i].time >= oldest).collect();
    order.sort_by_key(|&i| (events[i].time, i));
    order.drain(..order.len().saturating_sub(most));
    order.sort();
    order
}

/// True if the last of `events` came too late, and its cells.
fn sawtooth_by_definition(
    events: &[Event],
    aggregates: &[(Aggregate, Option<String>)],
    size: i64,
    reach: i64,
    exclude_current: bool,
) -> (bool, Vec<Cell>) {
    let (last, hop) = (events.last().unwrap(), sawtooth::hop(size));
    let tile = |time: i64| time.div_euclid(hop);
    let oldest = tile(greatest(events).saturating_sub(reach));
    let late = tile(last.time) < oldest;
    let first = tile(last.time.saturating_sub(size));
    let known = &events[..events.len() - usize::from(exclude_current)];
    let mut tiles = std::collections::BTreeMap::<i64, Vec<&Event>>::new();
    for event in known {
        let index = tile(event.time);
        if index >= oldest && index >= first && index <= tile(last.time) {
            tiles.entry(index).or_default().push(event);
        }
    }
    if late && !exclude_current {
        tiles.insert(0, vec![last]);
    }
    let tiles: Vec<_> = tiles.into_values().collect();
    let cells = aggregates.iter().map(|(a, column)| aggregate(&tiles, *a, column.as_deref()));
    (late, cells.collect())
}

/// The first microsecond of an exact window of `size` that ends at `time`, which is never outside of its own window.
fn first_exact(time: i64, size: i64) -> i64 {
    let before = i128::from(time) - i128::from(size);
    i64::try_from(before + 1).unwrap_or(i64::MIN)
}

/// What exact windows hold after each of `events`, and the times of the events that had to go.
fn exact_by_definition(events: &[Event], reach: i64, most: usize) -> (Vec<usize>, Vec<i64>) {
    let (mut kept, mut forgotten) = (Vec::new(), Vec::new());
    for n in 1..=events.len() {
        let (known, oldest) = (&events[..n], first_exact(greatest(&events[..n]), reach));
        kept = latest(known, oldest, most);
        // An event is missed if it could still be reached and did come in time.
        forgotten.extend((0..n).filter(|i| {
            let in_time = events[*i].time >= first_exact(greatest(&events[..=*i]), reach);
            in_time && events[*i].time >= oldest && !kept.contains(i)
        }));
    }
    (kept, forgotten.into_iter().map(|i| events[i].time).collect())
}

fn session_by_definition(events: &[Event], gap: i64, max: Option<i64>) -> (bool, Vec<Cell>) {
    let (mut sessions, mut clock) = (Vec::<(i64, i64)>::new(), None::<i64>);
    let (mut own, mut late, mut before) = ((0, 0), false, None);
    for event in events {
        let joins = sessions.last().is_some_and(|(start, _)| {
            event.time >= *start
                && clock.is_some_and(|clock| event.time.saturating_sub(clock) <= gap)
                && max.is_none_or(|max| event.time.saturating_sub(*start) <= max)
        });
        late = sessions.last().is_some_and(|(start, _)| event.time < *start);
        own = match sessions.last_mut() {
            Some(open) if joins => {
                open.1 += 1;
                *open
            }
            _ => (event.time, 1),
        };
        if !joins && !late {
            sessions.push(own);
        }
        before = clock;
        clock = clock.max(Some(event.time));
    }
    let time = events.last().unwrap().time;
    let seconds = |from: i64| time.saturating_sub(from) as f64 / 1e6;
    let id = xxhash_rust::xxh3::xxh3_128(format!("c-1\0{}", own.0).as_bytes());
    let cells = vec![
        Cell::Id(id.to_be_bytes()),
        Cell::Long(own.1),
        Cell::Double(seconds(own.0)),
        before.map_or(Cell::Null, |before| Cell::Double(seconds(before))),
        if late { Cell::Null } else { Cell::Long(sessions.len() as i64 - 1) },
    ];
    (late, cells)
}

/// What becomes of the last event, where `events` are all that were applied before it, and it.
fn by_definition(recipe: &Recipe, events: &[Event]) -> Applied {
    let (last, before) = events.split_last().unwrap();
    if let (Some(Dedupe { within, max_ids }), false) = (recipe.schema.dedupe, before.is_empty()) {
        let clock = greatest(before);
        let held =
            before.iter().enumerate().filter(|(_, e)| e.time.saturating_add(within) >= clock);
        let held: Vec<Event> = held.map(|(_, e)| e.clone()).collect();
        if latest(&held, i64::MIN, max_ids).into_iter().any(|i| held[i].id == last.id) {
            return Applied::Repeat;
        }
    }
    let reach_of = |hop: i64| {
        let spans = recipe.windows.iter().flat_map(|window| match window {
            Window::Over { over, exact: None, .. } => over.clone(),
            _ => vec![],
        });
        spans.map(|s| s.micros).filter(|s| sawtooth::hop(*s) == hop).max().unwrap()
    };
    let (mut late, mut truncated, mut cells) = (false, false, vec![]);
    for window in &recipe.windows {
        match window {
            Window::Over { aggregates, over, exact: None, exclude_current, .. } => {
                for span in over {
                    let reach = reach_of(sawtooth::hop(span.micros));
                    let (was_late, made) = sawtooth_by_definition(
                        events,
                        aggregates,
                        span.micros,
                        reach,
                        *exclude_current,
                    );
                    late |= was_late;
                    cells.extend(made);
                }
            }
            Window::Over { aggregates, over, exact: Some(most), exclude_current, .. } => {
                let reach = over.iter().map(|s| s.micros).max().unwrap();
                let oldest = first_exact(greatest(events), reach);
                late |= last.time < oldest;
                let (kept, forgotten) = exact_by_definition(events, reach, *most);
                let mut seen = if *exclude_current {
                    exact_by_definition(before, reach, *most).0
                } else {
                    kept
                };
                seen.retain(|&i| events[i].time >= oldest);
                if !exclude_current && !seen.contains(&before.len()) {
                    seen.push(before.len());
                }
                for span in over {
                    let first = first_exact(last.time, span.micros);
                    truncated |= forgotten.iter().any(|time| *time >= first);
                    let events: Vec<&Event> = seen
                        .iter()
                        .map(|&i| &events[i])
                        .filter(|e| e.time >= first && e.time <= last.time)
                        .collect();
                    let made = aggregates.iter().map(|(a, column)| {
                        aggregate(std::slice::from_ref(&events), *a, column.as_deref())
                    });
                    cells.extend(made);
                }
            }
            Window::Session { gap, max_duration, .. } => {
                let (was_late, made) = session_by_definition(
                    events,
                    gap.micros,
                    max_duration.as_ref().map(|s| s.micros),
                );
                late |= was_late;
                cells.extend(made);
            }
        }
    }
    Applied::New { values: RowValues(cells), late, truncated }
}

fn everything(dedupe: Option<Dedupe>) -> Recipe {
    use Aggregate::{Count, Max, Mean, Sum};
    let all = [(Sum, Some("amount")), (Mean, Some("amount")), (Max, Some("items")), (Count, None)];
    let some = [(Count, Some("channel")), (Max, Some("amount")), (Count, Some("amount"))];
    recipe(
        vec![
            over(
                &all,
                &[span("1m", MINUTE), span("7m", 7 * MINUTE), span("1h", HOUR)],
                None,
                false,
            ),
            over(&all, &[span("24h", 24 * HOUR), span("13d", 13 * 24 * HOUR)], None, false),
            over(&some, &[span("2h", 2 * HOUR), span("9m", 9 * MINUTE)], None, true),
            over(&some, &[span("5m", 5 * MINUTE), span("3h", 3 * HOUR)], Some(4), false),
            over(&[(Count, Some("channel"))], &[span("4m", 4 * MINUTE)], Some(3), false),
            over(&all, &[span("6m", 6 * MINUTE)], Some(3), true),
            session(span("2m", 2 * MINUTE), Some(span("6m", 6 * MINUTE))),
            session(span("30m", 30 * MINUTE), None),
        ],
        dedupe,
    )
}

fn check(recipe: &Recipe, stream: &[Event]) {
    let windows = Windows::new(recipe, &planned(recipe));
    let (mut state, mut applied) = (EntityState::default(), Vec::new());
    let (mut late, mut truncated) = (0, 0);
    for event in stream {
        let before = state.encode();
        let found = windows.apply(&mut state, &event.columns(), 0, event.id);
        applied.push(event.clone());
        assert_eq!(found, by_definition(recipe, &applied), "{applied:#?}");
        match found {
            Applied::New { late: was_late, truncated: was_truncated, .. } => {
                late += u64::from(was_late);
                truncated += u64::from(was_truncated);
                assert_eq!(state.greatest(), Some(greatest(&applied)));
            }
            Applied::Repeat => {
                assert_eq!(state.encode(), before, "a repeat leaves the state as it was");
                applied.pop();
            }
        }
        assert_eq!((state.late(), state.truncated()), (late, truncated));
        // From here on with what a store would give back.
        let bytes = state.encode();
        state = EntityState::decode(&bytes).unwrap();
        assert_eq!(state.encode(), bytes);
        assert!(windows.fits(&state));
    }
}

fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => (0i64..20).prop_map(|m| m * MINUTE),
        6 => (0i64..1200).prop_map(|s| s * SECOND),
        3 => (0i64..40 * 24).prop_map(|h| h * HOUR + 1),
        2 => -90_000_000i64..90_000_000,
        1 => prop_oneof![Just(i64::MIN), Just(i64::MIN + 1), Just(i64::MAX), any::<i64>()],
    ]
}

fn amounts() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        2 => Just(None),
        6 => (-1000i64..1000).prop_map(|x| Some(x as f64 / 7.0)),
        1 => prop_oneof![Just(1.7e308), Just(-1.7e308), Just(f64::INFINITY), Just(1e-310)].prop_map(Some),
    ]
}

prop_compose! {
    fn event()(
        time in times(),
        id in 0u128..12,
        amount in amounts(),
        items in prop_oneof![Just(None), any::<i64>().prop_map(Some), (0i64..9).prop_map(Some)],
        channel in prop_oneof![Just(None), Just(Some("web")), Just(Some(""))],
    ) -> Event {
        Event { time, id, amount, items, channel }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn windows_are_as_defined(stream in prop::collection::vec(event(), 1..30)) {
        check(&everything(None), &stream);
    }

    #[test]
    fn repeats_are_as_defined(stream in prop::collection::vec(event(), 1..40), within in 1i64..20, max_ids in 1usize..5) {
        let dedupe = Dedupe { within: within * MINUTE, max_ids };
        check(&everything(Some(dedupe)), &stream);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = EntityState::decode(&bytes);
        let _ = EntityState::read(&bytes);
    }

    /// Damage is found; and where a checksum would match by chance, what is read can be used and written.
    #[test]
    fn damaged_bytes_are_refused(
        stream in prop::collection::vec(event(), 1..20),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        let recipe = everything(Some(Dedupe { within: HOUR, max_ids: 8 }));
        let windows = Windows::new(&recipe, &planned(&recipe));
        let mut state = EntityState::default();
        for event in &stream {
            windows.apply(&mut state, &event.columns(), 0, event.id);
        }
        let good = state.encode();
        let mut bytes = good.clone();
        for (at, change) in &damage {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        prop_assert!(bytes == good || EntityState::decode(&bytes).is_err());
        let body = 1..bytes.len() - 4;
        if let Ok(mut state) = EntityState::read(&bytes[body]) {
            windows.apply(&mut state, &stream[0].columns(), 0, 77);
            state.encode();
        }
        let cut = damage[0].0.index(good.len());
        prop_assert!(EntityState::decode(&good[..cut]).is_err());
    }
}

fn at(time: i64) -> Event {
    Event { time, id: time as u128, amount: Some(1.0), items: None, channel: None }
}

#[test]
fn the_order_of_sums_is_that_of_tiles() {
    let recipe = recipe(
        vec![over(&[(Aggregate::Sum, Some("amount"))], &[span("1h", HOUR)], None, false)],
        None,
    );
    let windows = Windows::new(&recipe, &planned(&recipe));
    let mut state = EntityState::default();
    let amounts = [(6 * MINUTE, 0.1), (0, 0.2), (7 * MINUTE, 0.3)];
    let mut last = None;
    for (time, amount) in amounts {
        let event = Event { amount: Some(amount), ..at(time) };
        last = Some(windows.apply(&mut state, &event.columns(), 0, event.id));
    }
    let values = RowValues(vec![Cell::Double(0.2 + (0.1 + 0.3))]);
    assert_eq!(last, Some(Applied::New { values, late: false, truncated: false }));
}

#[test]
fn values_go_into_their_columns() {
    let recipe = recipe(vec![session(span("30m", 30 * MINUTE), None)], None);
    let windows = Windows::new(&recipe, &planned(&recipe));
    let mut state = EntityState::default();
    let mut columns: Vec<Column> =
        planned(&recipe).iter().map(|c| Column::nulls(c.kind, 2)).collect();
    columns[0] = Column::strings([Some("c-1"), Some("c-1")]);
    columns[1] = Column::new(Type::Timestamp);
    (0..2).for_each(|_| columns[1].push(Value::Timestamp(5 * SECOND)));
    let Applied::New { values, .. } = windows.apply(&mut state, &columns, 1, 1) else {
        panic!("it is new");
    };
    windows.fill(&mut columns, &[None, Some(values)]);
    assert_eq!(columns[5].text(0), None);
    assert_eq!(columns[5].text(1).map(str::len), Some(32));
    assert_eq!(columns[6], Column::longs([None, Some(1)]));
    assert_eq!(columns[7], Column::doubles([None, Some(0.0)]));
    assert_eq!(columns[8], Column::doubles([None, None]));
    assert_eq!(columns[9], Column::longs([None, Some(0)]));
}

#[test]
fn a_state_of_other_windows_starts_anew() {
    let one = recipe(vec![session(span("30m", 30 * MINUTE), None)], None);
    let other = recipe(vec![session(span("31m", 31 * MINUTE), None)], None);
    let (one, other) = (Windows::new(&one, &planned(&one)), Windows::new(&other, &planned(&other)));
    let mut state = EntityState::default();
    assert!(one.fits(&state) && other.fits(&state));
    one.apply(&mut state, &at(5).columns(), 0, 5);
    assert!(one.fits(&state) && !other.fits(&state));
    other.apply(&mut state, &at(1).columns(), 0, 1);
    assert_eq!(state.greatest(), Some(1));
}

#[test]
fn versions_and_damage_are_named() {
    let mut bytes = EntityState::default().encode();
    assert!(EntityState::decode(&bytes).is_ok());
    bytes[0] = 9;
    assert_eq!(EntityState::decode(&bytes).err(), Some(StateError::Version(9)));
    bytes[0] = state::VERSION;
    bytes[3] ^= 1;
    assert_eq!(EntityState::decode(&bytes).err(), Some(StateError::Checksum));
    assert_eq!(EntityState::decode(&[]).err(), Some(StateError::Short));
    assert_eq!(EntityState::decode(&[state::VERSION, 2, 3]).err(), Some(StateError::Short));
}

/// The example recipe's windows on an entity that is as busy as one in a hundred: 60 events an hour for a day.
#[test]
fn a_busy_entity_of_the_example_fits_into_8_kilobytes() {
    use Aggregate::{Count, Max, Mean, Sum};
    let amount =
        [(Sum, Some("amount")), (Mean, Some("amount")), (Max, Some("amount")), (Count, None)];
    let recipe = recipe(
        vec![
            over(&amount, &[span("1h", HOUR), span("24h", 24 * HOUR)], None, false),
            session(span("30m", 30 * MINUTE), Some(span("12h", 12 * HOUR))),
        ],
        Some(Dedupe { within: HOUR, max_ids: 256 }),
    );
    let windows = Windows::new(&recipe, &planned(&recipe));
    let mut state = EntityState::default();
    let start = 1_767_225_600 * SECOND;
    let mut largest = 0;
    for i in 0..2 * 24 * 60 {
        let event = Event { amount: Some(i as f64 * 0.37), ..at(start + i * MINUTE) };
        windows.apply(
            &mut state,
            &event.columns(),
            0,
            xxhash_rust::xxh3::xxh3_128(&i.to_le_bytes()),
        );
        largest = largest.max(state.encode().len());
    }
    println!("the state of a busy entity takes {largest} bytes");
    assert!(largest <= 8 * 1024, "{largest}");
}
