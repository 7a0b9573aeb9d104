//! The engine: one recipe, the same features on every path, to the bit.
//!
//! Pure: no async, I/O, clock, environment or global state. Arrows point one way:
//! [`engine`] → {[`decode`], [`quality`], [`features`], [`windows`], [`encode`]} → {[`expression`], [`recipe`]} →
//! {[`column`], [`number`], [`record`], [`timestamp`], [`calendar`]}. [`profile`] stands beside: it counts with the counters of
//! [`quality`] and [`features`]; [`drift`] compares two profiles.

pub mod calendar;
pub mod cleansed;
pub mod column;
pub mod decode;
pub mod diagnostic;
pub mod drift;
pub mod encode;
pub mod engine;
pub mod expression;
pub mod features;
pub mod number;
mod pattern;
pub mod profile;
pub mod protect;
pub mod quality;
pub mod recipe;
pub mod record;
pub mod sentinel;
pub mod tag;
pub mod timestamp;
pub mod windows;
