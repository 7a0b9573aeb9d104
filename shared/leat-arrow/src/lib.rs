//! leat-arrow
