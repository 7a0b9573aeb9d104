//! leat-cli

fn main() {}
