//! Payloads, and what `lambda_runtime` makes of one before the handler is called.

use std::fs::File;
use std::io::{BufRead, BufReader};

use serde_json::value::RawValue;

/// The payloads of a file, one a line, read into one buffer.
#[derive(Debug)]
pub struct Payloads {
    file: BufReader<File>,
    line: Vec<u8>,
}

impl Payloads {
    /// Opens the file.
    pub fn open(path: &str) -> Result<Self, String> {
        let file = File::open(path).map_err(|why| format!("{path}: {why}"))?;
        Ok(Payloads { file: BufReader::with_capacity(1 << 16, file), line: Vec::new() })
    }

    /// The next payload, without its line break; none at the end.
    pub fn read(&mut self) -> Result<Option<&[u8]>, String> {
        self.line.clear();
        let read = self.file.read_until(b'\n', &mut self.line).map_err(|why| why.to_string())?;
        Ok((read > 0).then(|| self.line.trim_ascii_end()))
    }
}

/// The event as Leat's functions take it from the runtime: `lambda_runtime` 1.5 reads every body with serde_json under
/// `serde_path_to_error` (its `deserializer.rs`), and hands over no bytes.
pub fn parse(payload: &[u8]) -> Result<Box<RawValue>, String> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    serde_path_to_error::deserialize(&mut json).map_err(|why| why.to_string())
}
