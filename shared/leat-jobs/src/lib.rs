//! Objects that land, the jobs that read them, and the ledger between the two.
//!
//! [`dataset`] says what may land and what reads it; [`ledger`] keeps what landed, in a [`table`]; [`starter`] takes it into
//! manifests and starts [`jobs`]; [`zones`] is where the lists of objects lie, and what became of them. [`tasks`] says to
//! Step Functions how a worker's task goes; [`awaited`] starts jobs for workflows and resumes these at the jobs' end.

pub mod awaited;
pub mod config;
pub mod dataset;
pub mod jobs;
pub mod ledger;
pub mod object;
pub mod starter;
pub mod table;
pub mod tasks;
pub mod zones;
