//! A file of JSON Lines → rows, a piece at a time.

use std::io::{self, BufRead, ErrorKind};
use std::sync::Arc;

use super::{Batch, Decoder};
use crate::record::{Coordinates, Position, Reject};
use crate::sentinel::Sentinel;

/// Reads a file line by line and holds one line at a time. A line's place is its number in the file, from 0.
#[derive(Debug)]
pub struct JsonLines<R> {
    input: R,
    source: Arc<str>,
    landed: bool,
    number: u64,
    line: Vec<u8>,
    sentinels: Vec<Sentinel>,
}

impl<R: BufRead> JsonLines<R> {
    /// Reads `input`, which is unpacked already. `landed` as in [`super::RawRecord`].
    pub fn new(input: R, source: Arc<str>, landed: bool) -> Self {
        JsonLines { input, source, landed, number: 0, line: Vec::new(), sentinels: Vec::new() }
    }

    /// Decodes at most `lines` lines. False once the file has ended. An error of the input ends the reading; what was
    /// decoded before it stands. Of a line beyond the bound the reject holds the beginning.
    pub fn read(
        &mut self,
        decoder: &Decoder,
        lines: usize,
        batch: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) -> io::Result<bool> {
        for _ in 0..lines {
            if !self.next(decoder.limits.line.max(decoder.limits.landed_line))? {
                return Ok(false);
            }
            let bom: &[u8] = if self.number == 0 { &super::BOM } else { &[] };
            let line = self.line.strip_prefix(bom).unwrap_or(&self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let coordinates = Coordinates {
                source: self.source.clone(),
                shard: "".into(),
                position: Position { line: self.number, ..Position::default() },
                arrival: None,
            };
            self.number += 1;
            let found = decoder.line(coordinates, line, self.landed, batch, rejects);
            self.sentinels.extend(found);
        }
        Ok(true)
    }

    /// Takes the sentinels that were met so far.
    pub fn sentinels(&mut self) -> Vec<Sentinel> {
        std::mem::take(&mut self.sentinels)
    }

    /// Reads the next line into the buffer, of a longer one than `limit` just enough to show that it is longer (and that
    /// it is, without its CR).
    fn next(&mut self, limit: usize) -> io::Result<bool> {
        self.line.clear();
        let mut some = false;
        loop {
            let input = match self.input.fill_buf() {
                Ok(input) => input,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if input.is_empty() {
                return Ok(some);
            }
            some = true;
            let end = input.iter().position(|&byte| byte == b'\n');
            let text = &input[..end.unwrap_or(input.len())];
            let room = (limit + 2).saturating_sub(self.line.len()).min(text.len());
            self.line.extend_from_slice(&text[..room]);
            let used = text.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(true);
            }
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
        }
    }
}
