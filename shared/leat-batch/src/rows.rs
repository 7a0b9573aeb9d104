//! From a Parquet file to rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use leat::cleansed::{self, CleansedError};
use leat::column::{Column, Type, Value, Values};
use leat::decode::{Batch, Decoder};
use leat::encode::jsonl::Rows;
use leat::quality::Tally;
use leat::recipe::{Field, Recipe, Role};
use leat::record::{Coordinates, Position, Reject, Row, identity_of, identity_of_id};
use leat::timestamp;
use leat_bucket::Piece;
use leat_lake::parquet::{File, ParquetError};

use crate::Cores;

/// Rows of a piece.
pub const ROWS: usize = 4096;
/// Row groups are read together until they have so many rows.
const ROUND: u64 = 1 << 17;

/// Why a Parquet file gives no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// It cannot be read.
    #[error("{0}")]
    File(#[from] ParquetError),
    /// Its rows are no cleansed rows of the recipe.
    #[error("{0}")]
    Cleansed(#[from] CleansedError),
}

/// Rows without what belongs to a single one: coordinates, identity, what was said of it before.
#[derive(Debug, Default)]
pub struct Part {
    /// The fields.
    pub columns: Vec<Column>,
    /// How many rows there are.
    pub rows: usize,
    /// As in [`Piece`].
    pub rejects: Vec<Reject>,
    /// As in [`Piece`].
    pub sentinels: u64,
}

/// What is read together of a file.
#[derive(Debug, Default)]
pub struct Round {
    /// The rows, some thousand in a part.
    pub parts: Vec<Part>,
    /// Slots of fields of which no part of some row group has a column with rows, and how often each value stands in them.
    pub tallies: Vec<(usize, Tally)>,
}

/// Columns of a row group.
#[derive(Default)]
struct Group {
    /// How many rows each piece has, and its columns; a column that was tallied has none of them.
    pieces: Vec<(usize, Vec<Column>)>,
    /// By the field's slot.
    tallies: Vec<(usize, Tally)>,
}

/// What was read of a column of a row group.
enum Read {
    Pieces(Vec<Column>),
    Tally(usize, Tally),
}

impl From<Piece> for Part {
    fn from(piece: Piece) -> Self {
        let Piece { batch, rejects, sentinels } = piece;
        Part { rows: batch.len(), columns: batch.columns, rejects, sentinels }
    }
}

/// The rows of a Parquet file, some thousand at a time. A file with the columns of the cleansed zone is read as it was
/// written. Of any other file the columns that the schema names are read, and each row comes to what it would as a line of
/// JSON.
pub struct ParquetRows<'e> {
    recipe: &'e Recipe,
    decoder: &'e Decoder,
    file: File,
    foreign: Option<Foreign<'e>>,
}

impl<'e> ParquetRows<'e> {
    /// The rows of `file`, which is called `name` in their coordinates.
    pub fn open(
        file: Bytes,
        name: &str,
        recipe: &'e Recipe,
        decoder: &'e Decoder,
    ) -> Result<Self, RowsError> {
        let wanted = cleansed::columns(recipe);
        let wanted: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        match File::open(file.clone(), Some(&wanted)) {
            Ok(file) => Ok(ParquetRows { recipe, decoder, file, foreign: None }),
            Err(ParquetError::NoColumn(_)) => {
                let fields = fields_of(&file, recipe)?;
                let foreign = Foreign::new(name, recipe, decoder, fields.columns());
                // Rows without any field are rows all the same; how many there are, a column that is there tells.
                let file = if fields.columns().is_empty() { File::to_count(file)? } else { fields };
                Ok(ParquetRows { recipe, decoder, file, foreign: Some(foreign) })
            }
            Err(why) => Err(why.into()),
        }
    }

    /// Whether the file has the columns of the cleansed zone.
    pub fn is_cleansed(&self) -> bool {
        self.foreign.is_none()
    }

    /// How many rows the file says that it has.
    pub fn rows(&self) -> u64 {
        self.file.groups().sum()
    }

    /// Gives what `work` makes of each piece to `take`, in the order of the file, up to the first error. `work` runs on all
    /// of `cores`.
    pub fn each<R: Send, E>(
        &self,
        cores: Cores,
        work: impl Fn(Piece) -> R + Sync,
        take: impl FnMut(Result<R, RowsError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let work = |first, columns| self.piece(first, columns).map(&work);
        self.pieces_of(cores, work, take)
    }

    /// As [`ParquetRows::each`], without what belongs to a single row, and all that was read together at once. Of the fields in
    /// the slots `tallied` it is enough to know how often each value stands: where the file tells, they come as tallies.
    pub fn each_round<E>(
        &self,
        cores: Cores,
        tallied: &BTreeSet<usize>,
        mut take: impl FnMut(Result<Round, RowsError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let tallied = self
            .foreign
            .as_ref()
            .map_or_else(BTreeMap::new, |foreign| foreign.tallied(tallied, self.file.columns()));
        let mut before = 0;
        for groups in self.rounds() {
            let round = self.round(cores, &groups, &tallied, &mut before);
            let wrong = round.is_err();
            take(round)?;
            if wrong {
                break;
            }
        }
        Ok(())
    }

    /// The rows of `groups`, of which the first has the number `before` in the file. `tallied` has the slots of columns.
    fn round(
        &self,
        cores: Cores,
        groups: &[usize],
        tallied: &BTreeMap<usize, usize>,
        before: &mut u64,
    ) -> Result<Round, RowsError> {
        let (mut pieces, mut tallies, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        for (at, group) in self.read(cores, groups, tallied)?.into_iter().enumerate() {
            starts.push(*before);
            let texts = group.tallies.iter().map(|(_, tally)| longest(&tally.values)).collect();
            let texts: Arc<[usize]> = texts;
            for (rows, columns) in group.pieces {
                pieces.push((at, *before, rows, columns, texts.clone()));
                *before += rows as u64;
            }
            tallies.push(group.tallies);
        }
        let parts = cores.map(pieces, |(at, first, rows, columns, texts)| {
            (at, self.part(first, rows, columns, &texts))
        });
        let mut of_groups: Vec<Vec<_>> = groups.iter().map(|_| Vec::new()).collect();
        parts.into_iter().for_each(|(at, part)| of_groups[at].push(part));
        let mut round = Round::default();
        for (at, parts) in of_groups.into_iter().enumerate() {
            let parts: Option<Vec<_>> = parts.into_iter().map(Result::transpose).collect();
            if let Some(parts) = parts {
                round.tallies.append(&mut tallies[at]);
                for part in parts {
                    round.parts.push(part?);
                }
                continue;
            }
            // A row is refused, or is another one than it was in the file: the tallies have it.
            let mut first = starts[at];
            let read = self.read(cores, &groups[at..=at], &BTreeMap::new())?;
            let pieces = read.into_iter().flat_map(|group| group.pieces);
            let pieces: Vec<_> = pieces
                .map(|(rows, columns)| {
                    first += rows as u64;
                    (first - rows as u64, columns)
                })
                .collect();
            let parts = cores.map(pieces, |(first, columns)| self.piece(first, columns));
            for part in parts {
                round.parts.push(part?.into());
            }
        }
        Ok(round)
    }

    /// Gives what `work` makes of the pieces, each the number of its first row and its columns, to `take`, in their order, up to
    /// the first error.
    fn pieces_of<R: Send, E>(
        &self,
        cores: Cores,
        work: impl Fn(u64, Vec<Column>) -> Result<R, RowsError> + Sync,
        mut take: impl FnMut(Result<R, RowsError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut before = 0;
        for round in self.rounds() {
            let read = match self.read(cores, &round, &BTreeMap::new()) {
                Ok(read) => read,
                Err(why) => return take(Err(why)),
            };
            let mut pieces = Vec::new();
            for (rows, columns) in read.into_iter().flat_map(|group| group.pieces) {
                pieces.push((before, columns));
                before += rows as u64;
            }
            for made in cores.map(pieces, |(first, columns)| work(first, columns)) {
                let wrong = made.is_err();
                take(made)?;
                if wrong {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The row groups that are read together.
    fn rounds(&self) -> Vec<Vec<usize>> {
        let (mut rounds, mut room) = (Vec::<Vec<usize>>::new(), 0u64);
        for (group, rows) in self.file.groups().enumerate() {
            match rounds.last_mut() {
                Some(round) if room > 0 => round.push(group),
                _ => {
                    rounds.push(vec![group]);
                    room = ROUND;
                }
            }
            room = room.saturating_sub(rows);
        }
        rounds
    }

    /// The columns of row groups; of those in `tallied`, whose fields it names, tallies where there are any.
    fn read(
        &self,
        cores: Cores,
        groups: &[usize],
        tallied: &BTreeMap<usize, usize>,
    ) -> Result<Vec<Group>, RowsError> {
        let width = self.file.columns().len();
        let mut tasks: Vec<(usize, usize)> =
            groups.iter().flat_map(|&group| (0..width).map(move |at| (group, at))).collect();
        // What takes longest first, so that no core waits for another at the end.
        tasks.sort_by_key(|&(group, at)| Reverse(self.file.bytes_of(group, at)));
        let mut read = cores.map(tasks, |(group, at)| {
            let tally =
                tallied.get(&at).and_then(|&slot| Some((slot, self.file.tally(group, at)?)));
            let read = match tally {
                Some((slot, tally)) => Ok(Read::Tally(slot, tally)),
                None => self.file.column(group, at, ROWS).map(Read::Pieces),
            };
            ((group, at), read)
        });
        read.sort_by_key(|(task, _)| *task);
        let mut read = read.into_iter().map(|(_, column)| column);
        let sizes: Vec<u64> = self.file.groups().collect();
        let mut made = Vec::new();
        for &group in groups {
            let columns = read.by_ref().take(width).collect::<Result<Vec<_>, _>>()?;
            let size = sizes.get(group).copied().unwrap_or_default();
            made.push(cut(columns, usize::try_from(size).unwrap_or_default())?);
        }
        Ok(made)
    }

    /// The rows of the columns of a piece, as [`ParquetRows::piece`] has them, without what belongs to a single row. Where columns
    /// were tallied, `texts` has the longest text of each: it is none if not all rows are what they are in the file.
    fn part(
        &self,
        first: u64,
        rows: usize,
        columns: Vec<Column>,
        texts: &[usize],
    ) -> Result<Option<Part>, RowsError> {
        if let Some(foreign) = &self.foreign {
            let mut plain = vec![true; rows];
            let made = foreign.straight(&columns, texts, &mut plain);
            if !plain.contains(&false) {
                let columns = foreign.placed(made, columns, rows);
                return Ok(Some(Part { columns, rows, ..Part::default() }));
            }
        }
        match texts {
            [] => self.piece(first, columns).map(|piece| Some(piece.into())),
            _ => Ok(None),
        }
    }

    /// The rows of the columns of a piece, of which the first has the number `first` in the file.
    fn piece(&self, first: u64, columns: Vec<Column>) -> Result<Piece, RowsError> {
        match &self.foreign {
            Some(foreign) => Ok(foreign.piece(first, columns, self.decoder)),
            None => Ok(Piece { batch: cleansed::read(self.recipe, columns)?, ..Piece::default() }),
        }
    }
}

/// Cuts the columns of a row group of `rows` rows into pieces.
fn cut(columns: Vec<Read>, rows: usize) -> Result<Group, RowsError> {
    let differ = || ParquetError::File("its columns differ in length".into());
    let mut group = Group::default();
    if columns.is_empty() {
        return Ok(group);
    }
    let mut pieces: Vec<Option<_>> = Vec::with_capacity(columns.len());
    for column in columns {
        pieces.push(match column {
            Read::Pieces(pieces) => Some(pieces.into_iter()),
            Read::Tally(slot, tally) => {
                if tally.rows != rows {
                    return Err(differ().into());
                }
                group.tallies.push((slot, tally));
                None
            }
        });
    }
    let mut left = rows;
    loop {
        let mut found: Vec<Option<Column>> = Vec::with_capacity(pieces.len());
        found.extend(pieces.iter_mut().map(|pieces| match pieces {
            Some(pieces) => pieces.next(),
            None => Some(Column::new(Type::String)),
        }));
        // Whoever has no column but tallied ones has as many rows as the row group says.
        let read = |(of, _): &(&Option<_>, &Option<Column>)| of.is_some();
        let mut lengths = pieces.iter().zip(&found).filter(read).map(|(_, column)| column);
        let rows = match lengths.clone().next() {
            Some(column) => column.as_ref().map_or(0, Column::len),
            None => left.min(ROWS),
        };
        if rows == 0 {
            return Ok(group);
        }
        if lengths.any(|column| column.as_ref().map(Column::len) != Some(rows)) {
            return Err(differ().into());
        }
        left = left.saturating_sub(rows);
        group.pieces.push((rows, found.into_iter().flatten().collect()));
    }
}

/// The file with those fields of the schema that it has.
fn fields_of(file: &Bytes, recipe: &Recipe) -> Result<File, ParquetError> {
    let mut wanted: Vec<&str> = recipe.schema.fields.iter().map(|f| f.name.as_str()).collect();
    loop {
        match File::open(file.clone(), Some(&wanted)) {
            Err(ParquetError::NoColumn(name)) => wanted.retain(|wanted| *wanted != name),
            found => return found,
        }
    }
}

/// How the rows of a file that Leat did not make become rows of a recipe.
///
/// The rule is that of a line: a row is what the decoder makes of it as JSON. Where column and field are of one type that is
/// known without the line. A row is *plain* if it is of such columns alone and nothing in it is refused, or changed, on the
/// way; the others are printed and decoded.
struct Foreign<'e> {
    name: Arc<str>,
    names: Rows,
    fields: &'e [Field],
    /// For each field of the schema its column in the file.
    columns: Vec<Option<usize>>,
    id: Option<usize>,
    /// The most bytes of a row's texts with which its line is surely within the bounds; none if no row is plain.
    texts: Option<usize>,
    /// The most bytes of one text.
    text: usize,
}

impl<'e> Foreign<'e> {
    fn new(name: &str, recipe: &'e Recipe, decoder: &Decoder, columns: &[(String, Type)]) -> Self {
        let fields = recipe.schema.fields.as_slice();
        let at = |field: &Field| columns.iter().position(|(name, _)| *name == field.name);
        let id = recipe.schema.role(Role::Id);
        // What is masked or tokenized is text from decode on; an id of another type has a text of its own.
        let of_one_form = fields.iter().all(|field| field.kind == recipe.kind(field))
            && id.is_none_or(|slot| matches!(fields[slot].kind, Type::String | Type::Long));
        // A number or a time takes less than 32 bytes, a byte of a text at most 6, for an escape.
        let others: usize = columns.iter().map(|(name, _)| 6 * name.len() + 40).sum();
        let limits = &decoder.limits;
        let texts = limits.line.checked_sub(others + 2).map(|rest| rest / 6);
        Foreign {
            name: name.into(),
            names: Rows::new(columns.iter().map(|(name, _)| name.as_str())),
            fields,
            columns: fields.iter().map(at).collect(),
            id,
            texts: texts.filter(|_| of_one_form && columns.len() <= limits.fields),
            text: limits.text,
        }
    }

    /// Of the fields in `slots` those whose values are their columns', whatever they are, and may be tallied; by their columns.
    fn tallied(
        &self,
        slots: &BTreeSet<usize>,
        columns: &[(String, Type)],
    ) -> BTreeMap<usize, usize> {
        let column = |&slot: &usize| {
            let field = self.fields.get(slot)?;
            let required = matches!(field.role, Some(Role::Id | Role::Entity | Role::EventTime));
            let at = self.columns[slot].filter(|at| columns[*at].1 == Type::String)?;
            (field.kind == Type::String && !required && self.texts.is_some()).then_some((at, slot))
        };
        slots.iter().filter_map(column).collect()
    }

    fn piece(&self, first: u64, columns: Vec<Column>, decoder: &Decoder) -> Piece {
        let rows = columns.first().map_or(0, Column::len);
        // Counted for the piece, not for the threads: nobody else has its numbers of users.
        let (source, shard): (Arc<str>, Arc<str>) = (self.name.as_ref().into(), "".into());
        let coordinates = |row: usize| Coordinates {
            source: source.clone(),
            shard: shard.clone(),
            position: Position { line: first + row as u64, ..Position::default() },
            arrival: None,
        };
        let mut plain = vec![true; rows];
        let made = self.straight(&columns, &[], &mut plain);
        let mut piece = Piece::new(decoder);
        let (mut odd, mut line) = (Vec::new(), Vec::new());
        for row in (0..rows).filter(|&row| !plain[row]) {
            line.clear();
            self.names.row(&columns, row, &mut line);
            let text = line.trim_ascii_end();
            decoder.line(coordinates(row), text, false, &mut piece.batch, &mut piece.rejects);
            odd.resize(piece.batch.len(), row);
        }
        let straight: Vec<usize> = (0..rows).filter(|&row| plain[row]).collect();
        if straight.is_empty() {
            return piece;
        }
        let mut batch = Batch { columns: self.placed(made, columns, rows), ..Batch::default() };
        batch.rows.reserve_exact(rows);
        for row in 0..rows {
            let coordinates = coordinates(row);
            let identity = match self.id.map(|slot| batch.columns[slot].get(row)) {
                Some(Value::String(id)) => identity_of_id(id),
                Some(Value::Long(id)) => identity_of_id(&id.to_string()),
                _ => identity_of(&coordinates),
            };
            let (verdict, protected, unknown) = Default::default();
            batch.rows.push(Row { coordinates, identity, verdict, protected, unknown });
        }
        piece.batch = match odd[..] {
            [] => batch.keep(&straight),
            _ => {
                batch.append(piece.batch);
                batch.gather(&merged(&straight, &odd, rows))
            }
        };
        piece
    }

    /// The columns of the schema, of those of the file and of what [`Foreign::straight`] made for them.
    fn placed(
        &self,
        made: Vec<Option<Column>>,
        mut columns: Vec<Column>,
        rows: usize,
    ) -> Vec<Column> {
        let place = |(slot, made): (usize, Option<Column>)| match (made, self.columns[slot]) {
            (Some(column), _) => column,
            (None, Some(at)) => mem::replace(&mut columns[at], Column::new(Type::Bool)),
            (None, None) => Column::nulls(self.fields[slot].kind, rows),
        };
        made.into_iter().enumerate().map(place).collect()
    }

    /// For each field whose values are other than those of its column, its values. Takes from `plain` the rows whose values
    /// are refused or not known here. `texts` has the longest text of each column that was tallied: if there might be a row
    /// that is refused for them, all are.
    fn straight(
        &self,
        columns: &[Column],
        texts: &[usize],
        plain: &mut [bool],
    ) -> Vec<Option<Column>> {
        let Some(most) = self.texts else {
            plain.fill(false);
            return Vec::new();
        };
        let longest_row = columns.iter().map(longest).chain(texts.iter().copied()).sum::<usize>();
        let refused = texts.iter().any(|text| *text > self.text);
        if refused || (longest_row > most && !texts.is_empty()) {
            plain.fill(false);
            return Vec::new();
        }
        if longest_row > most {
            let bytes = |row| columns.iter().map(|column| bytes_of(column, row)).sum::<usize>();
            take(plain, |row| bytes(row) > most);
        }
        let mut made = Vec::new();
        for (field, column) in self.fields.iter().zip(&self.columns) {
            let required = matches!(field.role, Some(Role::Id | Role::Entity | Role::EventTime));
            let Some(column) = column.map(|at| &columns[at]) else {
                take(plain, |_| required);
                made.push(None);
                continue;
            };
            let valid = column.validity();
            if required && !valid.all() {
                take(plain, |row| !valid.get(row));
            }
            made.push(match (column.values(), field.kind) {
                (Values::String(texts), Type::String) => {
                    if longest(column) > self.text {
                        take(plain, |row| bytes_of(column, row) > self.text);
                    }
                    if required {
                        take(plain, |row| texts.bytes(row).is_empty());
                    }
                    None
                }
                (Values::String(texts), Type::Timestamp) => {
                    let parse = |row| timestamp::parse(texts.get(row)).filter(|_| valid.get(row));
                    let times: Vec<Option<i64>> = (0..texts.len()).map(parse).collect();
                    take(plain, |row| times[row].is_none() && valid.get(row));
                    let there = times.iter().map(Option::is_some).collect();
                    let times = times.into_iter().map(Option::unwrap_or_default).collect();
                    Column::from_parts(Values::Timestamp(times), there)
                }
                (Values::Long(_), Type::Long) | (Values::Bool(_), Type::Bool) => None,
                (Values::Long(_), Type::Double) => {
                    Some(Column::doubles((0..column.len()).map(|row| column.number(row))))
                }
                (Values::Double(values), Type::Double) => {
                    if !values.iter().all(|x| x.is_finite()) {
                        take(plain, |row| !values[row].is_finite());
                    }
                    None
                }
                (Values::Timestamp(times), Type::Timestamp) => {
                    let inside = timestamp::MIN..=timestamp::MAX;
                    take(plain, |row| !inside.contains(&times[row]));
                    None
                }
                (_, kind) => {
                    take(plain, |row| valid.get(row));
                    Some(Column::nulls(kind, column.len()))
                }
            });
        }
        made
    }
}

/// Takes those rows from `plain` that are `odd`.
fn take(plain: &mut [bool], odd: impl Fn(usize) -> bool) {
    plain.iter_mut().enumerate().for_each(|(row, plain)| *plain &= !odd(row));
}

/// The bytes of a text; 0 of anything else.
fn bytes_of(column: &Column, row: usize) -> usize {
    match column.values() {
        Values::String(texts) => texts.bytes(row).len(),
        _ => 0,
    }
}

/// The most bytes of a text of the column.
fn longest(column: &Column) -> usize {
    let Values::String(texts) = column.values() else { return 0 };
    let bytes = texts.offsets().windows(2).map(|ends| ends[0].abs_diff(ends[1]));
    bytes.max().unwrap_or_default() as usize
}

/// Where rows stand that were put into two lists, `straight` and `odd`, of which the second begins at `from`.
fn merged(straight: &[usize], odd: &[usize], from: usize) -> Vec<usize> {
    let straight = straight.iter().map(|&row| (row, row));
    let odd = odd.iter().zip(from..).map(|(&row, at)| (row, at));
    let mut all: Vec<(usize, usize)> = straight.chain(odd).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, at)| at).collect()
}
