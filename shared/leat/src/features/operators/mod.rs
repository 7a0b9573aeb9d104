//! The operators, one file each: what it takes, gives and learns stands at its head, which is also its manual.

pub mod date_parts;
pub mod impute;
pub mod log;
pub mod one_hot;
pub mod standard_scale;
pub mod target_encode;

#[cfg(test)]
mod testing;
