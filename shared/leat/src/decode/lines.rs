//! A file of JSON Lines → rows, a piece at a time.

use std::io::{self, BufRead, ErrorKind};
use std::sync::Arc;

use memchr::memchr;

use super::{Batch, Decoder};
use crate::record::{Coordinates, Position, Reject};
use crate::sentinel::Sentinel;

/// Reads a file line by line. A line's place is its number in the file, from 0.
#[derive(Debug)]
pub struct JsonLines<R> {
    input: R,
    place: Place,
    line: Vec<u8>,
    sentinels: Vec<Sentinel>,
}

/// Where the next line stands.
#[derive(Clone, Debug)]
struct Place {
    source: Arc<str>,
    shard: Arc<str>,
    landed: bool,
    number: u64,
}

/// Lines of a file that are not decoded yet: [`JsonLines::cut`].
#[derive(Clone, Debug)]
pub struct Lines {
    /// Of the first of them.
    place: Place,
    text: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

/// Lines are cut until they have so many bytes.
const TOGETHER: usize = 4 << 20;

impl<R: BufRead> JsonLines<R> {
    /// Reads `input`, which is unpacked already. `landed` as in [`super::RawRecord`].
    pub fn new(input: R, source: Arc<str>, landed: bool) -> Self {
        let place = Place { source, shard: "".into(), landed, number: 0 };
        JsonLines { input, place, line: Vec::new(), sentinels: Vec::new() }
    }

    /// Decodes at most `lines` lines, of which one is held at a time. False once the file has ended. An error of the input
    /// ends the reading; what was decoded before it stands. Of a line beyond the bound the reject holds the beginning.
    pub fn read(
        &mut self,
        decoder: &Decoder,
        lines: usize,
        batch: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) -> io::Result<bool> {
        for _ in 0..lines {
            self.line.clear();
            if !next(&mut self.input, most(decoder), &mut self.line)? {
                return Ok(false);
            }
            self.sentinels.extend(self.place.decode(decoder, &self.line, batch, rejects));
        }
        Ok(true)
    }

    /// Takes at most `lines` lines, and no more once they have some million bytes, to be decoded elsewhere; none once the
    /// file has ended. Reading and cutting may alternate.
    pub fn cut(&mut self, decoder: &Decoder, lines: usize) -> io::Result<Option<Lines>> {
        let mut cut = Lines { place: self.place.clone(), text: Vec::new(), ends: Vec::new() };
        while cut.ends.len() < lines && cut.text.len() < TOGETHER {
            if !next(&mut self.input, most(decoder), &mut cut.text)? {
                break;
            }
            cut.ends.push(cut.text.len());
            self.place.number += 1;
        }
        Ok((!cut.ends.is_empty()).then_some(cut))
    }

    /// Takes the sentinels that were met so far.
    pub fn sentinels(&mut self) -> Vec<Sentinel> {
        std::mem::take(&mut self.sentinels)
    }
}

impl Lines {
    /// Decodes the lines as [`JsonLines::read`] would, and gives the sentinels among them.
    pub fn decode(
        mut self,
        decoder: &Decoder,
        batch: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) -> Vec<Sentinel> {
        let (mut sentinels, mut start) = (Vec::new(), 0);
        // Of these lines' own: cores that share a text would wait for each other to count its users.
        self.place.source = self.place.source.as_ref().into();
        self.place.shard = "".into();
        batch.reserve(self.ends.len());
        for end in self.ends {
            let line = &self.text[start..end];
            sentinels.extend(self.place.decode(decoder, line, batch, rejects));
            start = end;
        }
        sentinels
    }
}

impl Place {
    /// Decodes the line that stands here, and goes on to the next.
    fn decode(
        &mut self,
        decoder: &Decoder,
        line: &[u8],
        batch: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) -> Option<Sentinel> {
        let bom: &[u8] = if self.number == 0 { &super::BOM } else { &[] };
        let line = line.strip_prefix(bom).unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let coordinates = Coordinates {
            source: self.source.clone(),
            shard: self.shard.clone(),
            position: Position { line: self.number, ..Position::default() },
            arrival: None,
        };
        self.number += 1;
        decoder.line(coordinates, line, self.landed, batch, rejects)
    }
}

/// The most bytes of a line.
fn most(decoder: &Decoder) -> usize {
    decoder.limits.line.max(decoder.limits.landed_line)
}

/// Appends the next line to `out`, of a longer one than `limit` just enough to show that it is longer (and that it is,
/// without its CR).
fn next(input: &mut impl BufRead, limit: usize, out: &mut Vec<u8>) -> io::Result<bool> {
    let (mut some, most) = (false, out.len() + limit + 2);
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if buffer.is_empty() {
            return Ok(some);
        }
        some = true;
        let end = memchr(b'\n', buffer);
        let text = &buffer[..end.unwrap_or(buffer.len())];
        let room = most.saturating_sub(out.len()).min(text.len());
        out.extend_from_slice(&text[..room]);
        let used = text.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;
    use crate::decode::Limits;
    use crate::decode::fixture::recipe;

    #[test]
    fn lines_of_a_file() {
        let limits = Limits { line: 60, landed_line: 60, ..Limits::default() };
        let decoder = Decoder::new(&recipe(), None, limits);
        let event = |id: &str| format!("{{\"id\":\"{id}\",\"who\":\"c\",\"at\":0}}");
        let filled = format!("{:60}", event("d"));
        let text = format!(
            "\u{feff}{}\r\n\n{}\n{{\n{filled}\r\n{filled} \n{filled}\r \n{}",
            event("a"),
            event("b"),
            event("z")
        );
        for buffer in [1, 5, 8192] {
            let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
            let input = BufReader::with_capacity(buffer, text.as_bytes());
            let mut file = JsonLines::new(input, "file".into(), false);
            while file.read(&decoder, 2, &mut batch, &mut rejects).unwrap() {}
            let places = |row: &Coordinates| row.position.line;
            let rows: Vec<_> = batch.rows.iter().map(|row| places(&row.coordinates)).collect();
            assert_eq!(rows, [0, 2, 4, 7]);
            let refused: Vec<_> = rejects
                .iter()
                .map(|reject| (places(&reject.coordinates), reject.reason.rule.as_str()))
                .collect();
            assert_eq!(refused, [(3, "decode"), (5, "oversize"), (6, "oversize")]);
            let input = BufReader::with_capacity(buffer, text.as_bytes());
            let mut file = JsonLines::new(input, "file".into(), false);
            let mut cuts = Vec::new();
            while let Some(lines) = file.cut(&decoder, 2).unwrap() {
                cuts.push(lines);
            }
            let (mut apart, mut refused) = (decoder.batch(), Vec::new());
            for lines in cuts {
                lines.decode(&decoder, &mut apart, &mut refused);
            }
            assert_eq!((apart, refused), (batch, rejects));
        }
    }
}
