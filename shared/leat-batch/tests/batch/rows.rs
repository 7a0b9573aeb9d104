//! Rows of Parquet files that Leat did not make: each is what it would be as a line.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;

use bytes::Bytes;
use leat::column::{Column, Type, Value};
use leat::decode::{Batch, Decoder};
use leat::encode::jsonl::Rows;
use leat::engine::{self, Source};
use leat::recipe::Recipe;
use leat::record::{Coordinates, Position, Reject};
use leat::timestamp;
use leat_batch::{Cores, ParquetRows, Piece, ROWS, Round, RowsError};
use leat_lake::parquet;
use proptest::prelude::*;

const FIELDS: [&str; 7] = ["id", "who", "at", "amount", "n", "ok", "note"];

/// A recipe whose id is of type `id`; `protect` is YAML.
fn recipe(id: &str, protect: &str) -> Recipe {
    let text = format!(
        "{{leat: 1, name: r, schema: {{fields: [
            {{name: id, type: {id}, role: id}}, {{name: who, type: string, role: entity}},
            {{name: at, type: timestamp, role: event_time}}, {{name: amount, type: double}}, {{name: n, type: long}},
            {{name: ok, type: bool}}, {{name: note, type: string}}]}}, protect: {protect}}}"
    );
    engine::read(Source { file: "r.yaml", text: &text }).unwrap()
}

fn decoder(recipe: &Recipe) -> Decoder {
    Decoder::new(recipe, None, Default::default())
}

fn read(file: Bytes, recipe: &Recipe, cores: usize) -> Result<Piece, RowsError> {
    let decoder = decoder(recipe);
    let rows = ParquetRows::open(file, "file", recipe, &decoder)?;
    assert!(!rows.is_cleansed());
    let mut all = Piece::new(&decoder);
    let take = |piece: Result<Piece, RowsError>| {
        let piece = piece?;
        all.batch.append(piece.batch);
        all.rejects.extend(piece.rejects);
        Ok::<_, RowsError>(())
    };
    rows.each(Cores::new(NonZero::new(cores).unwrap()), |piece| piece, take)?;
    Ok(all)
}

/// What the rows of `columns` come to as lines.
fn as_lines(columns: &[(&str, Column)], recipe: &Recipe) -> (Batch, Vec<Reject>) {
    let decoder = decoder(recipe);
    let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
    let names = Rows::new(columns.iter().map(|(name, _)| *name));
    for row in 0..columns[0].1.len() {
        let mut line = Vec::new();
        names.row(columns.iter().map(|(_, column)| column), row, &mut line);
        let position = Position { line: row as u64, ..Position::default() };
        let (source, shard) = ("file".into(), "".into());
        let coordinates = Coordinates { source, shard, position, arrival: None };
        decoder.line(coordinates, line.trim_ascii_end(), false, &mut batch, &mut rejects);
    }
    (batch, rejects)
}

fn file(columns: &[(&str, Column)]) -> Bytes {
    let of = columns.iter().map(|(name, column)| ((*name).to_owned(), column.kind()));
    let values = columns.iter().map(|(_, column)| column.clone()).collect();
    parquet::to_bytes(&of.collect::<Vec<_>>(), values).unwrap()
}

#[track_caller]
fn same(columns: &[(&str, Column)], recipe: &Recipe, cores: usize) -> Piece {
    let found = read(file(columns), recipe, cores).unwrap();
    // A line has the schema's order.
    let mut sorted = columns.to_vec();
    sorted.sort_by_key(|(name, _)| FIELDS.iter().position(|field| field == name));
    let (batch, rejects) = as_lines(&sorted, recipe);
    assert_eq!(found.batch, batch);
    assert_eq!(found.rejects, rejects);
    // What does not belong to a single row is the same without it.
    let decoder = decoder(recipe);
    let rows = ParquetRows::open(file(columns), "file", recipe, &decoder).unwrap();
    let (mut all, mut rejects) = (decoder.batch().columns, Vec::new());
    rows.each_round(Cores::new(NonZero::new(cores).unwrap()), &BTreeSet::new(), |round| {
        for part in round?.parts {
            assert!(part.columns.iter().all(|column| column.len() == part.rows));
            all.iter_mut().zip(&part.columns).for_each(|(all, column)| all.append(column));
            rejects.extend(part.rejects);
        }
        Ok::<_, RowsError>(())
    })
    .unwrap();
    assert_eq!((&all, rejects), (&found.batch.columns, found.rejects.clone()));
    let slots = 0..FIELDS.len();
    for tallied in [slots.clone().collect(), slots.filter(|slot| slot % 2 == 0).collect()] {
        assert_eq!(counted(columns, recipe, cores, &tallied), of_values(&found.batch.columns));
    }
    found
}

type Counts = Vec<BTreeMap<String, u64>>;

/// How often each value stands in each of `columns`.
fn of_values(columns: &[Column]) -> Counts {
    let of = |column: &Column| {
        let mut counts = BTreeMap::new();
        for row in 0..column.len() {
            *counts.entry(format!("{:?}", column.get(row))).or_default() += 1;
        }
        counts
    };
    columns.iter().map(of).collect()
}

/// The same, of a file whose columns in the slots `tallied` need not be read value by value.
fn counted(
    columns: &[(&str, Column)],
    recipe: &Recipe,
    cores: usize,
    tallied: &BTreeSet<usize>,
) -> Counts {
    let decoder = decoder(recipe);
    let rows = ParquetRows::open(file(columns), "file", recipe, &decoder).unwrap();
    let (mut all, mut counts) = (decoder.batch().columns, of_values(&decoder.batch().columns));
    rows.each_round(Cores::new(NonZero::new(cores).unwrap()), tallied, |round| {
        let round = round?;
        let tallies: BTreeSet<usize> = round.tallies.iter().map(|(slot, _)| *slot).collect();
        assert!(tallies.is_subset(tallied));
        for part in &round.parts {
            for (slot, column) in part.columns.iter().enumerate() {
                // These files have a row group each.
                assert_eq!(column.len(), if tallies.contains(&slot) { 0 } else { part.rows });
                all[slot].append(column);
            }
        }
        for (slot, tally) in round.tallies {
            let there: u64 = tally.counts.iter().sum();
            assert_eq!(tally.rows, round.parts.iter().map(|part| part.rows).sum::<usize>());
            for (value, count) in tally.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let value = format!("{:?}", tally.values.get(value));
                *counts[slot].entry(value).or_default() += count;
            }
            if there < tally.rows as u64 {
                *counts[slot].entry("Null".into()).or_default() += tally.rows as u64 - there;
            }
        }
        Ok::<_, RowsError>(())
    })
    .unwrap();
    for (counts, more) in counts.iter_mut().zip(of_values(&all)) {
        more.into_iter().for_each(|(value, count)| *counts.entry(value).or_default() += count);
    }
    counts
}

/// A column of `kind` whose values are mostly good for the field `name`.
fn column(name: &'static str, kind: Type, rows: usize) -> BoxedStrategy<Column> {
    let value = (any::<i64>(), any::<f64>(), 0..1000i64, 0u8..12, "\\PC{0,9}");
    let values = proptest::collection::vec(value, rows);
    values
        .prop_map(move |values| {
            let mut column = Column::new(kind);
            for (n, (long, double, small, how, text)) in values.into_iter().enumerate() {
                let time = timestamp::to_text(small * 1_000_003);
                let made = match name {
                    "id" => format!("t-{n}"),
                    "at" if how > 1 => time,
                    _ => text,
                };
                column.push(match (kind, how) {
                    (_, 0) if name != "id" => Value::Null,
                    (Type::String, 1) => Value::String(""),
                    (Type::String, _) => Value::String(&made),
                    (Type::Long | Type::Timestamp, 1 | 2) if name != "id" => match kind {
                        Type::Long => Value::Long(long),
                        _ => Value::Timestamp(long),
                    },
                    (Type::Long, _) => Value::Long(small),
                    (Type::Timestamp, _) => Value::Timestamp(small * 999_999_937),
                    (Type::Double, 1) => Value::Double(f64::INFINITY),
                    (Type::Double, 2 | 3) => Value::Double(double),
                    (Type::Double, _) => Value::Double(small as f64 / 4.0),
                    (Type::Bool, _) => Value::Bool(small % 2 == 0),
                });
            }
            column
        })
        .boxed()
}

/// Columns of a file, most of them of their field's type, some left out, in some order.
fn columns() -> impl Strategy<Value = Vec<(&'static str, Column)>> {
    let own = [Type::String, Type::String, Type::Timestamp, Type::Double, Type::Long, Type::Bool];
    let odd = (0usize..7, proptest::sample::select(Type::ALL.to_vec()), any::<bool>());
    (odd, 0usize..30, 0usize..14, any::<bool>()).prop_flat_map(
        move |((at, kind, is_odd), rows, left_out, turned)| {
            let kinds = FIELDS.iter().zip(own.into_iter().chain([Type::String])).enumerate();
            let kinds =
                kinds.map(|(n, (name, own))| (*name, if is_odd && n == at { kind } else { own }));
            let kinds = kinds.enumerate().filter(|(n, _)| *n != left_out).map(|(_, of)| of);
            let mut all: Vec<BoxedStrategy<(&'static str, Column)>> = kinds
                .map(|(name, kind)| {
                    column(name, kind, rows + 1).prop_map(move |c| (name, c)).boxed()
                })
                .collect();
            if turned {
                all.reverse();
            }
            all
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_row_is_what_it_would_be_as_a_line(columns in columns(), protected in 0u8..4, cores in 1usize..4) {
        let (id, protect) = match protected {
            0 => ("string", "[{field: note, method: mask}]"),
            1 => ("string", "[{field: n, method: mask}]"),
            2 => ("long", "[]"),
            _ => ("string", "[]"),
        };
        same(&columns, &recipe(id, protect), cores);
    }
}

#[test]
fn rows_without_any_field_are_rows() {
    let zip = Column::longs([Some(1), None, Some(3)]);
    let recipe = recipe("string", "[]");
    let found = read(file(&[("zip", zip)]), &recipe, 2).unwrap();
    let lines: Vec<_> = found.rejects.iter().map(|r| r.coordinates.position.line).collect();
    assert_eq!((found.batch.len(), lines), (0, vec![0, 1, 2]));
}

/// Columns of `rows` rows, none of them odd.
fn good(rows: i64) -> Vec<(&'static str, Column)> {
    let texts: Vec<String> = (0..rows).map(|n| format!("t-{n}")).collect();
    let text = || Column::strings(texts.iter().map(|text| Some(text.as_str())));
    let mut times = Column::new(Type::Timestamp);
    (0..rows).for_each(|n| times.push(Value::Timestamp(n)));
    let amounts = Column::longs((0..rows).map(|n| (n % 3 > 0).then_some(n)));
    vec![("id", text()), ("who", text()), ("at", times), ("amount", amounts)]
}

#[test]
fn pieces_follow_one_another() {
    let recipe = recipe("string", "[]");
    for cores in [1, 3] {
        let piece = same(&good(2 * ROWS as i64 + 17), &recipe, cores);
        assert_eq!(piece.batch.len(), 2 * ROWS + 17);
    }
    assert_eq!(same(&good(0), &recipe, 2).batch.len(), 0);
}

#[test]
fn texts_of_a_dictionary_are_tallied() {
    let recipe = recipe("string", "[]");
    let (rows, decoder) = (ROWS + 9, decoder(&recipe));
    let text = |n: usize| (!n.is_multiple_of(7)).then_some(["x", "", "yy"][n % 3]);
    let mut columns = good(rows as i64);
    columns.push(("note", Column::strings((0..rows).map(text))));
    // What a row must have is looked at in each row.
    let all: BTreeSet<usize> = (0..FIELDS.len()).collect();
    let file = ParquetRows::open(file(&columns), "file", &recipe, &decoder).unwrap();
    let mut found = Vec::new();
    let take = |round: Result<Round, RowsError>| {
        let round = round?;
        assert_eq!(round.parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [ROWS, 9]);
        found.extend(round.tallies);
        Ok::<_, RowsError>(())
    };
    file.each_round(Cores::ONE, &all, take).unwrap();
    let [(6, tally)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((tally.rows, tally.values.len()), (rows, 3));
    same(&columns, &recipe, 2);
}

#[test]
fn what_is_beyond_the_bounds_is_refused() {
    let recipe = recipe("string", "[]");
    let most = decoder(&recipe).limits.text;
    for (bytes, refused) in [(most, 0), (most + 1, 1)] {
        let text = "x".repeat(bytes);
        let mut columns = good(3);
        columns.push(("note", Column::strings([None, Some(text.as_str()), Some("y")])));
        assert_eq!(same(&columns, &recipe, 1).rejects.len(), refused);
    }
    // Each text is within its bound, the line is not.
    let text = "\u{1}".repeat(most);
    let mut columns = good(2);
    columns[1].1 = Column::strings([Some(text.as_str()), Some("y")]);
    assert_eq!(same(&columns, &recipe, 1).rejects.len(), 1);
}

#[test]
fn a_damaged_file_is_refused() {
    let recipe = recipe("string", "[]");
    assert!(read(Bytes::from_static(b"PAR1 not at all PAR1"), &recipe, 2).is_err());
    let mut columns = good(10_000);
    columns.push(("note", Column::strings((0..10_000).map(|n| Some(["x", "", "yy"][n % 3])))));
    let (bytes, decoder) = (file(&columns), decoder(&recipe));
    let all: BTreeSet<usize> = (0..FIELDS.len()).collect();
    for at in (4..bytes.len() - 8).step_by(97) {
        let mut wrong = bytes.to_vec();
        wrong[at] ^= 0x55;
        // Whatever is said: no panic.
        let wrong = Bytes::from(wrong);
        let _ = read(wrong.clone(), &recipe, 2);
        if let Ok(rows) = ParquetRows::open(wrong, "file", &recipe, &decoder) {
            let _ = rows.each_round(Cores::ONE, &all, |round| round.map(|_| ()));
        }
    }
}
