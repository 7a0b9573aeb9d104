//! The protocol's cases and laws, with twins that inject faults.

mod cases;
mod laws;
mod world;
