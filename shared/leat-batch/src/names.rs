//! Names that become parts of keys.

use crate::BatchError;

/// Checks that `name` is of at most 80 letters, digits, `-` and `_`, so that a key can be made of it. `what` it names.
/// Executions that EventBridge starts are named `<uuid>_<uuid>`.
pub fn check<'n>(what: &str, name: &'n str) -> Result<&'n str, BatchError> {
    let good = (1..=80).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if good {
        return Ok(name);
    }
    Err(BatchError::Input(format!(
        "`{name}` is no name of a {what}: 1 to 80 letters, digits, `-` and `_`"
    )))
}

/// The URL of a folder, with one `/` at its end.
pub fn folder(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(check("run", "r-1_b").is_ok());
        for bad in ["", "a/b", "..", "a b", &"x".repeat(81)] {
            assert!(check("run", bad).is_err(), "{bad}");
        }
        assert_eq!(folder("memory:a//"), "memory:a/");
    }
}
