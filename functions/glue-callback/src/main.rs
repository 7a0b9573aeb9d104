//! glue-callback

fn main() {}
