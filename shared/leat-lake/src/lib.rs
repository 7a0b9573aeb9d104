//! leat-lake
