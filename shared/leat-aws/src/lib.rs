//! leat-aws
