//! The bytes of a state: whole numbers as varints (LEB128, signed ones by zigzag), doubles as their bits.

use super::StateError;

#[derive(Debug, Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn unsigned(&mut self, mut x: u64) {
        while x >= 0x80 {
            self.0.push((x & 0x7f) as u8 | 0x80);
            x >>= 7;
        }
        self.0.push(x as u8);
    }

    pub fn length(&mut self, x: usize) {
        self.unsigned(x as u64);
    }

    /// Bytes after their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub fn signed(&mut self, x: i64) {
        self.unsigned(((x << 1) ^ (x >> 63)) as u64);
    }

    pub fn option(&mut self, x: Option<i64>) {
        self.0.push(u8::from(x.is_some()));
        if let Some(x) = x {
            self.signed(x);
        }
    }

    /// NaN has one form, or equal states could differ between machines.
    pub fn double(&mut self, x: f64) {
        let bits = if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
        self.0.extend_from_slice(&bits.to_le_bytes());
    }
}

/// Reads what [`Writer`] wrote. Every read that succeeds takes at least one byte, so that what is built from the
/// bytes is bounded by their number.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(StateError::Short)?;
        self.0 = tail;
        Ok(*head)
    }

    pub fn byte(&mut self) -> Result<u8, StateError> {
        self.array().map(|[byte]| byte)
    }

    pub fn unsigned(&mut self) -> Result<u64, StateError> {
        let mut x = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            x |= bits << shift;
            if byte < 0x80 {
                return Ok(x);
            }
        }
        Err(StateError::Invalid("a number has more than 64 bits"))
    }

    /// What [`Writer::bytes`] wrote.
    pub fn bytes(&mut self) -> Result<&'a [u8], StateError> {
        let length = usize::try_from(self.unsigned()?).map_err(|_| StateError::Short)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(StateError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn text(&mut self) -> Result<&'a str, StateError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| StateError::Invalid("a text is not UTF-8"))
    }

    pub fn signed(&mut self) -> Result<i64, StateError> {
        let x = self.unsigned()?;
        Ok((x >> 1) as i64 ^ -((x & 1) as i64))
    }

    pub fn option(&mut self) -> Result<Option<i64>, StateError> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.signed().map(Some),
            _ => Err(StateError::Invalid("a flag is neither 0 nor 1")),
        }
    }

    pub fn double(&mut self) -> Result<f64, StateError> {
        self.array().map(|bytes| f64::from_bits(u64::from_le_bytes(bytes)))
    }

    /// A list: its length, then that many items. It grows as items are read, not as the length promises.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, StateError>,
    ) -> Result<Vec<T>, StateError> {
        let length = self.unsigned()?;
        let mut list = Vec::new();
        for _ in 0..length {
            list.push(item(self)?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn numbers_read_back(x: u64, y: i64, z: Option<i64>) {
            let mut writer = Writer::default();
            writer.unsigned(x);
            writer.signed(y);
            writer.option(z);
            let mut reader = Reader(&writer.0);
            assert_eq!(reader.unsigned(), Ok(x));
            assert_eq!(reader.signed(), Ok(y));
            assert_eq!(reader.option(), Ok(z));
            assert!(reader.0.is_empty());
        }
    }

    #[test]
    fn too_long_and_too_short() {
        assert!(matches!(Reader(&[0xff; 11]).unsigned(), Err(StateError::Invalid(_))));
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(Reader(&most).unsigned(), Ok(u64::MAX));
        most[9] = 2;
        assert!(Reader(&most).unsigned().is_err());
        assert_eq!(Reader(&[0x80]).unsigned(), Err(StateError::Short));
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 7]).bytes(), Err(StateError::Short));
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 7]).list(|r| r.byte()), Err(StateError::Short));
    }
}
