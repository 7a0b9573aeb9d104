//! kinesis-features

fn main() {}
