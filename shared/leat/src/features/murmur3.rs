//! MurmurHash3, x86, 32 bits: the hash of scikit-learn's hashing vectorizer (seed 0) and of Spark's `HashingTF` (seed 42).
//! Source: Austin Appleby's `MurmurHash3_x86_32`, public domain.

use crate::recipe::Dialect;

/// A hash that is fed piece by piece: what counts are the bytes, not where they were cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Murmur3 {
    state: u32,
    length: u32,
    /// Bytes of a block that is not whole yet, least significant first.
    rest: u32,
}

impl Murmur3 {
    /// The hash of nothing so far.
    #[inline]
    pub fn new(seed: u32) -> Self {
        Murmur3 { state: seed, length: 0, rest: 0 }
    }

    /// Adds `bytes`.
    #[inline]
    pub fn add(&mut self, mut bytes: &[u8]) {
        let held = self.length % 4;
        self.length = self.length.wrapping_add(bytes.len() as u32);
        if held > 0 {
            let mut held = held;
            while held < 4 {
                let Some((&byte, more)) = bytes.split_first() else { return };
                self.rest |= u32::from(byte) << (8 * held);
                (held, bytes) = (held + 1, more);
            }
            self.block(self.rest);
        }
        let (blocks, last) = bytes.as_chunks::<4>();
        blocks.iter().for_each(|block| self.block(u32::from_le_bytes(*block)));
        self.rest = last.iter().rev().fold(0, |rest, &byte| rest << 8 | u32::from(byte));
    }

    /// The hash of the first `length` bytes of `word`, at most all of them, with the seed: what [`Murmur3::add`] of them
    /// comes to, without a branch that hangs on how many they are.
    #[inline]
    pub fn of_short(seed: u32, word: &[u8; 16], length: usize) -> u32 {
        let (blocks, _) = word.as_chunks::<4>();
        let mut states = [seed; 5];
        // Each state is a number by itself: what is read is what was written, and no wider.
        let mut state = Murmur3::new(seed);
        for (block, after) in blocks.iter().zip(&mut states[1..]) {
            state.block(u32::from_le_bytes(*block));
            *after = state.state;
        }
        let whole = length / 4;
        let state = states.get(whole).copied().unwrap_or(seed);
        // After four blocks there is no rest.
        let rest = blocks.get(whole).map_or(0, |block| u32::from_le_bytes(*block));
        let rest = rest & ((1u32 << (8 * (length % 4))) - 1);
        Murmur3 { state, length: length as u32, rest }.finish()
    }

    /// The hash of all that was added.
    #[inline]
    pub fn finish(self) -> u32 {
        // A rest of nothing is 0, which is scrambled to 0.
        let mut hash = self.state ^ scramble(self.rest);
        hash ^= self.length;
        hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
        hash ^ hash >> 16
    }

    #[inline]
    fn block(&mut self, block: u32) {
        let state = (self.state ^ scramble(block)).rotate_left(13);
        self.state = state.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
}

#[inline]
fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

/// Which hash, and how it becomes a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buckets {
    dialect: Dialect,
    seed: u32,
    count: u32,
}

impl Buckets {
    /// `count` buckets, at least 1. In dialect `sklearn` the hash has seed 0 and its size modulo `count` is the bucket;
    /// in `spark` it has seed 42 and the bucket is never negative modulo.
    pub fn new(dialect: Dialect, seed: Option<u64>, count: u64) -> Self {
        let of_dialect = if dialect == Dialect::Spark { 42 } else { 0 };
        let seed = seed.and_then(|seed| u32::try_from(seed).ok()).unwrap_or(of_dialect);
        Buckets { dialect, seed, count: u32::try_from(count).unwrap_or(u32::MAX).max(1) }
    }

    /// [`Murmur3::of_short`] with the seed.
    #[inline]
    pub fn of_short(&self, word: &[u8; 16], length: usize) -> u32 {
        Murmur3::of_short(self.seed, word, length)
    }

    /// A hash with the seed.
    #[inline]
    pub fn hasher(&self) -> Murmur3 {
        Murmur3::new(self.seed)
    }

    /// The bucket of a hash, and whether the hash as a signed number is negative.
    #[inline]
    pub fn bucket(&self, hash: u32) -> (u32, bool) {
        let signed = hash as i32;
        let bucket = match self.dialect {
            // Of two's complement the last bits are the remainder, below 0 too.
            Dialect::Spark if self.count.is_power_of_two() => hash & (self.count - 1),
            Dialect::Sklearn if self.count.is_power_of_two() => {
                signed.unsigned_abs() & (self.count - 1)
            }
            Dialect::Sklearn => signed.unsigned_abs() % self.count,
            Dialect::Spark => i64::from(signed).rem_euclid(i64::from(self.count)) as u32,
        };
        (bucket, signed < 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(seed: u32, bytes: &[u8]) -> u32 {
        let mut hash = Murmur3::new(seed);
        hash.add(bytes);
        hash.finish()
    }

    #[test]
    fn known_hashes() {
        for (seed, text, expected) in [
            (0, "", 0),
            (1, "", 0x514e_28b7),
            (0xffff_ffff, "", 0x81f1_6f39),
            (0x9747_b28c, "a", 0x7fa0_9ea6),
            (0x9747_b28c, "aa", 0x5d21_1726),
            (0x9747_b28c, "aaa", 0x283e_0130),
            (0x9747_b28c, "aaaa", 0x5a97_808a),
            (0x9747_b28c, "Hello, world!", 0x2488_4cba),
            (0, "The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ] {
            assert_eq!(hash(seed, text.as_bytes()), expected, "{seed} {text}");
        }
    }

    #[test]
    fn buckets() {
        // scikit-learn's own example: 16 buckets, cat in 7 with +, dog in 5 with −.
        let buckets = Buckets::new(Dialect::Sklearn, None, 16);
        let bucket = |text: &str| buckets.bucket(hash(0, text.as_bytes()));
        assert_eq!((bucket("cat"), bucket("dog")), ((7, false), (5, true)));
        assert_eq!(buckets.bucket(0x8000_0000), (0, true)); // −2^31, whose size is no i32
        let spark = Buckets::new(Dialect::Spark, None, 10);
        assert_eq!(spark.bucket((-3i32) as u32), (7, true));
        assert_eq!(spark.hasher().finish(), hash(42, b""));
    }

    proptest::proptest! {
        #[test]
        fn a_short_word_is_hashed_as_any(word: [u8; 16], length in 0usize..=16, seed: u32) {
            proptest::prop_assert_eq!(Murmur3::of_short(seed, &word, length), hash(seed, &word[..length]));
        }

        #[test]
        fn a_power_of_two_is_a_count_as_any(hash: u32, power in 0u32..32) {
            for dialect in [Dialect::Sklearn, Dialect::Spark] {
                let (bucket, _) = Buckets::new(dialect, None, 1 << power).bucket(hash);
                let (count, signed) = (1i64 << power, i64::from(hash as i32));
                let size = if dialect == Dialect::Spark { signed } else { signed.abs() };
                proptest::prop_assert_eq!(i64::from(bucket), size.rem_euclid(count));
            }
        }

        #[test]
        fn cuts_do_not_count(bytes: Vec<u8>, cuts in proptest::collection::vec(0usize..40, 0..4), seed: u32) {
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            ends.extend([0, bytes.len()]);
            ends.sort_unstable();
            let mut pieces = Murmur3::new(seed);
            ends.windows(2).for_each(|w| pieces.add(&bytes[w[0]..w[1]]));
            proptest::prop_assert_eq!(pieces.finish(), hash(seed, &bytes));
        }
    }
}
