//! What the tests of the built artefacts share: where they lie, a Lambda Runtime API to run a function behind,
//! and the cells of the parity table.

pub mod artefacts;
pub mod runtime_api;
