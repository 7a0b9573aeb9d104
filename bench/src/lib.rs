//! What the measured programs share: clocks, payloads, the runtime's own parse, and the one line that each prints.
//!
//! A program takes `INPUT`, a file with a Lambda event of a Kinesis mapping in each line, goes over it `--repeat`
//! times, and prints medians. What lies between payloads (reading the file) is not counted; what lies within one is,
//! from the parse that `lambda_runtime` does before a handler sees anything.

pub mod arguments;
pub mod clock;
pub mod line;
pub mod program;
pub mod runtime;
pub mod usual;
