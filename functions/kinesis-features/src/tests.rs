//! The protocol's cases and laws, with twins that inject faults.

mod cases;
mod hand_over;
mod laws;
mod quality;
mod serving;
mod world;
