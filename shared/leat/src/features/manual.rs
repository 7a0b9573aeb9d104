//! An operator's manual is the head of its own file, taken when the engine is built.

/// The `//!` lines at the head of `source` without their marks: how many bytes they are.
pub(crate) const fn length(source: &str) -> usize {
    walk(source.as_bytes(), &mut [])
}

/// The `//!` lines at the head of `source` without their marks; `N` is their [`length`].
pub(crate) const fn text<const N: usize>(source: &str) -> [u8; N] {
    let mut out = [0; N];
    walk(source.as_bytes(), &mut out);
    out
}

/// Copies the head's lines into `out`, as far as it reaches, and answers how many bytes they are.
const fn walk(source: &[u8], out: &mut [u8]) -> usize {
    let (mut at, mut written) = (0, 0);
    while at + 3 <= source.len()
        && source[at] == b'/'
        && source[at + 1] == b'/'
        && source[at + 2] == b'!'
    {
        at += 3;
        if at < source.len() && source[at] == b' ' {
            at += 1;
        }
        loop {
            if at >= source.len() {
                return written;
            }
            if written < out.len() {
                out[written] = source[at];
            }
            written += 1;
            at += 1;
            if source[at - 1] == b'\n' {
                break;
            }
        }
    }
    written
}

/// The manual of the operator in `$file`: the `//!` lines at its head.
macro_rules! manual {
    ($file:literal) => {{
        const SOURCE: &str = include_str!($file);
        const TEXT: [u8; $crate::features::manual::length(SOURCE)] =
            $crate::features::manual::text(SOURCE);
        const MANUAL: &str = match std::str::from_utf8(&TEXT) {
            Ok(text) => text,
            Err(_) => "",
        };
        MANUAL
    }};
}
pub(crate) use manual;

#[cfg(test)]
mod tests {
    #[test]
    fn the_head_without_its_marks() {
        const SOURCE: &str = "//! `log`: é.\n//!\n//! - Takes: x.\n\nuse a;\n//! no\n";
        const TEXT: [u8; super::length(SOURCE)] = super::text(SOURCE);
        assert_eq!(std::str::from_utf8(&TEXT).unwrap(), "`log`: é.\n\n- Takes: x.\n");
        assert_eq!(super::length("use a;"), 0);
        assert_eq!(super::length("//! a"), 1);
    }
}
