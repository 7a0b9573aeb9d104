//! leat-stream
