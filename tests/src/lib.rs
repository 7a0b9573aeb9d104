//! leat-tests
