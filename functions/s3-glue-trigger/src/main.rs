//! s3-glue-trigger

fn main() {}
