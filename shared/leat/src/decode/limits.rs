//! The bounds on what comes from outside.

/// How much of anything is read. What is larger is refused with the rule `oversize`, or with that of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a line or of a CSV row. Default 1 MiB, Kinesis's own bound on a record.
    pub line: usize,
    /// Bytes of a landed line, which carries `_leat` and canonical numbers on top. Default 2 MiB.
    pub landed_line: usize,
    /// Bytes of one text. Default 256 KiB.
    pub text: usize,
    /// Fields of one event, columns of a CSV file. Default 1,000.
    pub fields: usize,
    /// Depth of nested arrays and objects, the event itself included. Default 64.
    pub depth: usize,
    /// Bytes of a gzip record when it is unpacked, where that is more than [`Limits::ratio`] times its own size.
    /// Default 50 MB.
    pub unpacked: usize,
    /// How many times its own size a gzip record may grow beyond [`Limits::unpacked`]. Default 10.
    pub ratio: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line: 1 << 20,
            landed_line: 2 << 20,
            text: 256 << 10,
            fields: 1_000,
            depth: 64,
            unpacked: 50_000_000,
            ratio: 10,
        }
    }
}
