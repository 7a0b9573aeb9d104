//! Where the built artefacts lie.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The binary `name` of the `fast` profile. The error says how to build it.
pub fn binary(name: &str) -> Result<PathBuf, String> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = target.join("fast").join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is not built: cargo build --profile fast", path.display()))
    }
}

/// The Python of the tests' virtual environment, with PySpark and the wheel. The error says how to make it.
pub fn python() -> Result<PathBuf, String> {
    let path = std::env::var_os("LEAT_PYTHON")
        .map_or_else(|| root().join(".venv/bin/python"), PathBuf::from);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is not there: make venv", path.display()))
    }
}
