//! leat-jobs
