//! The bytes of stored values: varints and lengths. Reading allocates nothing that a length alone asks for.

/// Why bytes are no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Written by a version of Leat that this one does not know.
    #[error("it is of version {0}, which this Leat does not read")]
    Version(u8),
    /// The bytes end too early.
    #[error("it ends too early")]
    Short,
    /// The bytes say what cannot be.
    #[error("{0}")]
    Invalid(&'static str),
}

pub(crate) fn put_number(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Takes values off the front of bytes.
pub(crate) struct Taker<'a>(pub &'a [u8]);

impl<'a> Taker<'a> {
    pub fn byte(&mut self) -> Result<u8, Damage> {
        let (&first, rest) = self.0.split_first().ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(first)
    }

    pub fn number(&mut self) -> Result<u64, Damage> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            n |= bits << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Damage::Invalid("a number is too large"))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let length = usize::try_from(self.number()?).map_err(|_| Damage::Short)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn text(&mut self) -> Result<&'a str, Damage> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damage::Invalid("a text is not UTF-8"))
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(*array)
    }

    /// As many elements as the number says that comes first. Each takes a byte at least, so that a number larger
    /// than what is left ends soon.
    pub fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Damage>,
    ) -> Result<Vec<T>, Damage> {
        let count = self.number()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_number(n, &mut out);
            let mut taker = Taker(&out);
            assert_eq!(taker.number(), Ok(n));
            assert!(taker.0.is_empty());
        }
        assert_eq!(Taker(&[0xff; 10]).number(), Err(Damage::Invalid("a number is too large")));
        assert_eq!(Taker(&[0x80]).number(), Err(Damage::Short));
    }

    #[test]
    fn lengths_are_bounded_by_what_is_there() {
        let mut out = Vec::new();
        put_number(u64::MAX, &mut out);
        assert_eq!(Taker(&out).bytes(), Err(Damage::Short));
        assert_eq!(Taker(&out).list(|t| t.byte()), Err(Damage::Short));
    }
}
