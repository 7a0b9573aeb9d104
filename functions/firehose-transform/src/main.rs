//! firehose-transform

fn main() {}
