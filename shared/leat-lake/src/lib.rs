//! The lake: objects by URL, Parquet, manifests, published units, quarantine.
//!
//! A URL says where something lies, here as everywhere: `s3://bucket/prefix/`, `file:path` (relative or absolute),
//! `memory:name/prefix/` (gone with the process). Functions, the command line and tests differ only in URLs.

mod aside;
mod error;
mod folder;
mod lake;
pub mod manifest;
pub mod parquet;
mod recipe;
pub mod units;
mod versions;

pub use aside::{Aside, AsideUrl, Asides};
pub use error::LakeError;
pub use folder::{Folder, Object, Put};
pub use lake::Lake;
pub use leat::encode::quarantine;
pub use recipe::{RecipeError, read_recipe, recipe_of_hash, split};
pub use versions::Version;
