//! The operators, one file each: what it takes, gives and learns stands at its head, which is also its manual.

pub mod cross;
pub mod date_parts;
pub mod hash_encode;
pub mod impute;
pub mod k_bins;
pub mod log;
pub mod min_max_scale;
pub mod one_hot;
pub mod ordinal;
pub mod standard_scale;
pub mod target_encode;
pub mod tf_idf;
pub mod time_since;

#[cfg(test)]
mod testing;
