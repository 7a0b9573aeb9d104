//! Runs over small lakes in memory, from published units to features.

#![allow(clippy::unwrap_used, reason = "a test says so when something is not there")]

mod cores;
mod drift;
mod future;
mod hour;
mod laws;
mod records;
mod refusals;
mod repeats;
mod rows;
mod world;
