//! Sums without rounding, so that no order of adding or merging changes a bit of the answer.
//!
//! A sum is one long fixed-point number: 144 digits of 32 bits, the lowest worth 2^−2176, each kept in an `i64` so
//! that carries wait. It holds any double, any product of two, and 2^60 of them. It is rounded once, when it is read.
//! Source: U. Kulisch's long accumulator, as in R. Neal, "Fast exact summation using small and large
//! superaccumulators" (2015).

use serde::{Deserialize, Serialize};

use super::run::{MOST, Run};

const DIGITS: usize = 144;
/// The exponent of the lowest digit: below the smallest product of two doubles (2^−2148), a multiple of 32.
const LOW: i32 = -2176;
/// So many additions of less than 2^33 cannot overflow a digit.
const PATIENCE: u32 = 1 << 28;

/// An exact sum of finite doubles and of products of two. The empty sum is 0.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct ExactSum {
    digits: Box<[i64; DIGITS]>,
    pending: u32,
}

/// The digits that are not 0, normalised: equal sums have equal text.
#[derive(Serialize, Deserialize)]
struct Packed {
    first: usize,
    digits: Vec<i64>,
}

impl From<ExactSum> for Packed {
    fn from(mut sum: ExactSum) -> Packed {
        sum.normalise();
        let first = sum.digits.iter().position(|&d| d != 0).unwrap_or(0);
        let end = sum.digits.iter().rposition(|&d| d != 0).map_or(0, |i| i + 1);
        Packed { first, digits: sum.digits[first.min(end)..end].to_vec() }
    }
}

impl From<Packed> for ExactSum {
    fn from(packed: Packed) -> ExactSum {
        let mut sum = ExactSum::default();
        for (digit, value) in sum.digits.iter_mut().skip(packed.first).zip(packed.digits) {
            // A normalised digit is below 2^32 in size, but for the sign in the topmost: a forged one is cut.
            *digit = value.clamp(-(1 << 32), 1 << 32);
        }
        sum.pending = 1;
        sum
    }
}

impl Default for ExactSum {
    fn default() -> Self {
        ExactSum { digits: Box::new([0; DIGITS]), pending: 0 }
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.clone(), other.clone());
        a.normalise();
        b.normalise();
        a.digits == b.digits
    }
}

impl Eq for ExactSum {}

impl std::fmt::Debug for ExactSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExactSum({})", self.round())
    }
}

/// A finite double as mantissa × 2^exponent.
fn parts(x: f64) -> (u64, i32, bool) {
    let bits = x.to_bits();
    let (raw, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
    let (mantissa, exponent) =
        if raw == 0 { (fraction, -1074) } else { (fraction | 1 << 52, raw - 1075) };
    (mantissa, exponent, bits >> 63 == 1)
}

impl ExactSum {
    /// Adds `x`. NaN and infinities are not added: callers skip them, as operators say.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if x.is_finite() {
            let (mantissa, exponent, negative) = parts(x);
            self.add_parts(u128::from(mantissa), exponent, negative);
        }
    }

    /// Adds `x · y`, exactly. Nothing is added if one is not finite.
    #[inline]
    pub fn add_product(&mut self, x: f64, y: f64) {
        if x.is_finite() && y.is_finite() {
            let ((a, ea, na), (b, eb, nb)) = (parts(x), parts(y));
            self.add_parts(u128::from(a) * u128::from(b), ea + eb, na != nb);
        }
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &ExactSum) {
        let mut other = other.clone();
        other.normalise();
        self.normalise();
        self.digits.iter_mut().zip(other.digits.iter()).for_each(|(a, b)| *a += b);
        self.pending = 1;
    }

    /// Adds `whole · 2^exponent`, exactly. `exponent` is that of a double's last bit, or the sum of two such.
    pub(super) fn add_whole(&mut self, whole: i128, exponent: i32) {
        self.add_parts(whole.unsigned_abs(), exponent, whole < 0);
    }

    fn add_parts(&mut self, mantissa: u128, exponent: i32, negative: bool) {
        let position = (exponent - LOW) as usize;
        let (mut digit, shift) = (position / 32, position % 32);
        let mut rest = mantissa;
        while rest != 0 && digit + 1 < DIGITS {
            let part = ((rest & 0xffff_ffff) as u64) << shift;
            let (low, high) = ((part & 0xffff_ffff) as i64, (part >> 32) as i64);
            self.digits[digit] += if negative { -low } else { low };
            self.digits[digit + 1] += if negative { -high } else { high };
            rest >>= 32;
            digit += 1;
        }
        self.pending += 1;
        if self.pending >= PATIENCE {
            self.normalise();
        }
    }

    /// Brings every digit but the topmost into 0..2^32; the topmost carries the sign.
    fn normalise(&mut self) {
        if self.pending == 0 {
            return;
        }
        let mut carry = 0i64;
        for digit in &mut self.digits[..DIGITS - 1] {
            let value = *digit + carry;
            carry = value >> 32;
            *digit = value & 0xffff_ffff;
        }
        self.digits[DIGITS - 1] += carry;
        self.pending = 0;
    }

    /// Size without sign, and whether the sum is below 0.
    fn magnitude(&self) -> (ExactSum, bool) {
        let mut sum = self.clone();
        sum.normalise();
        let negative = sum.digits[DIGITS - 1] < 0;
        if negative {
            sum.digits.iter_mut().for_each(|d| *d = -*d);
            sum.pending = 1;
            sum.normalise();
        }
        (sum, negative)
    }

    /// The sum as the nearest double, ties to even; infinite if it is beyond the greatest double.
    pub fn round(&self) -> f64 {
        let (sum, negative) = self.magnitude();
        let Some(top) = sum.digits.iter().rposition(|&d| d != 0) else { return 0.0 };
        let bit = |position: i64| -> bool {
            position >= 0 && sum.digits[position as usize / 32] >> (position as usize % 32) & 1 == 1
        };
        let highest = top as i64 * 32 + i64::from(63 - sum.digits[top].leading_zeros());
        // The lowest bit that a double with this highest bit can hold.
        let lowest = (highest - 52).max(i64::from(-1074 - LOW));
        let mut mantissa = 0u64;
        for position in (lowest..=highest).rev() {
            mantissa = mantissa << 1 | u64::from(bit(position));
        }
        let half = bit(lowest - 1);
        let below = lowest - 1;
        let sticky = below > 0
            && (sum.digits[..below as usize / 32].iter().any(|&d| d != 0)
                || sum.digits[below as usize / 32] & ((1i64 << (below as usize % 32)) - 1) != 0);
        if half && (sticky || mantissa & 1 == 1) {
            mantissa += 1;
        }
        let value = scale(mantissa, lowest as i32 + LOW);
        if negative && value != 0.0 { -value } else { value }
    }

    /// `count` times this sum, exactly.
    fn times(&self, count: u64) -> ExactSum {
        let (sum, negative) = self.magnitude();
        let mut out = ExactSum::default();
        for (index, &digit) in sum.digits.iter().enumerate().filter(|(_, d)| **d != 0) {
            let exponent = LOW + 32 * index as i32;
            out.add_parts(u128::from(digit.unsigned_abs()) * u128::from(count), exponent, negative);
        }
        out
    }

    /// This sum by `other`, exactly, where both are sums of doubles (not of products).
    fn by(&self, other: &ExactSum) -> ExactSum {
        let ((left, a_negative), (right, b_negative)) = (self.magnitude(), other.magnitude());
        let mut out = ExactSum::default();
        let digits = |sum: &ExactSum| {
            let digits = sum.digits.iter().copied().enumerate();
            digits.filter(|(_, d)| *d != 0).collect::<Vec<_>>()
        };
        let right = digits(&right);
        for (i, a) in digits(&left) {
            for &(j, b) in &right {
                let exponent = 2 * LOW + 32 * (i + j) as i32;
                if exponent >= LOW {
                    let product = u128::from(a.unsigned_abs()) * u128::from(b.unsigned_abs());
                    out.add_parts(product, exponent, a_negative != b_negative);
                }
            }
        }
        out
    }

    /// This sum less `other`, exactly.
    fn less(mut self, mut other: ExactSum) -> ExactSum {
        other.normalise();
        other.digits.iter_mut().for_each(|d| *d = -*d);
        other.pending = 1;
        self.merge(&other);
        self
    }
}

/// `mantissa × 2^exponent` where the result is a double or overflows: exact.
fn scale(mantissa: u64, exponent: i32) -> f64 {
    let power = |e: i32| f64::from_bits(((e + 1023) as u64) << 52);
    let value = mantissa as f64;
    if exponent < -1022 {
        // Both factors are powers of two and the result is representable: no step rounds.
        value * power(-1022) * power(exponent + 1022)
    } else if exponent > 1023 {
        f64::INFINITY
    } else {
        value * power(exponent)
    }
}

/// Count, sum and sum of squares of finite doubles, exact; mean and variance are formed only when they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moments {
    /// How many values were added.
    pub count: u64,
    sum: ExactSum,
    squares: ExactSum,
}

impl Moments {
    /// Adds a value; NaN and infinities are skipped.
    pub fn add(&mut self, x: f64) {
        if x.is_finite() {
            self.count += 1;
            self.sum.add(x);
            self.squares.add_product(x, x);
        }
    }

    /// Adds each of `xs` that is finite: what [`Moments::add`] does one by one.
    pub fn extend(&mut self, xs: &[f64]) {
        for xs in xs.chunks(MOST) {
            match Run::of(xs) {
                Some(run) => self.extend_by(run, xs),
                None => xs.iter().for_each(|&x| self.add(x)),
            }
        }
    }

    fn extend_by(&mut self, run: Run, xs: &[f64]) {
        self.count += xs.len() as u64;
        run.add(xs, &mut self.sum, &mut self.squares);
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Moments) {
        self.count += other.count;
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// The sum, rounded once.
    pub fn sum(&self) -> f64 {
        self.sum.round()
    }

    /// The mean: the rounded sum by the count. `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.round() / self.count as f64)
    }

    /// The variance with `ddof` degrees of freedom taken off: (n·Σx² − (Σx)²) / (n·(n − ddof)), its numerator exact
    /// and rounded once. `None` if there are not more than `ddof` values.
    pub fn variance(&self, ddof: u64) -> Option<f64> {
        (self.count > ddof).then(|| {
            let numerator = self.squares.times(self.count).less(self.sum.by(&self.sum));
            numerator.round() / self.count as f64 / (self.count - ddof) as f64
        })
    }
}

/// The moments of two columns and of their products, exact; a correlation is formed only when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comoments {
    x: Moments,
    y: Moments,
    products: ExactSum,
}

impl Comoments {
    /// Adds a pair; one with NaN or an infinity is skipped.
    pub fn add(&mut self, x: f64, y: f64) {
        if x.is_finite() && y.is_finite() {
            self.x.add(x);
            self.y.add(y);
            self.products.add_product(x, y);
        }
    }

    /// Adds each pair of `xs` and `ys`, which are as long, that is finite: what [`Comoments::add`] does one by one.
    pub fn extend(&mut self, xs: &[f64], ys: &[f64]) {
        for (xs, ys) in xs.chunks(MOST).zip(ys.chunks(MOST)) {
            match (Run::of(xs), Run::of(ys)) {
                (Some(x), Some(y)) if xs.len() == ys.len() => {
                    self.x.extend_by(x, xs);
                    self.y.extend_by(y, ys);
                    x.add_products(xs, y, ys, &mut self.products);
                }
                _ => xs.iter().zip(ys).for_each(|(&x, &y)| self.add(x, y)),
            }
        }
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Comoments) {
        self.x.merge(&other.x);
        self.y.merge(&other.y);
        self.products.merge(&other.products);
    }

    /// How many pairs were added.
    pub fn count(&self) -> u64 {
        self.x.count
    }

    /// Pearson's correlation, within −1..1. `None` if a column does not vary.
    pub fn correlation(&self) -> Option<f64> {
        let covariance = self.products.times(self.count()).less(self.x.sum.by(&self.y.sum)).round();
        let variance = |m: &Moments| m.squares.times(m.count).less(m.sum.by(&m.sum)).round();
        // Roots first: the product of two great variances may be no double.
        let spread = variance(&self.x).sqrt() * variance(&self.y).sqrt();
        let ratio = covariance / spread;
        ratio.is_finite().then(|| ratio.clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::SPAN;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn correlation() {
        let of = |pairs: &[(f64, f64)]| {
            let mut comoments = Comoments::default();
            pairs.iter().for_each(|&(x, y)| comoments.add(x, y));
            comoments.correlation()
        };
        assert_eq!(of(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]), Some(1.0));
        assert_eq!(of(&[(1.0, -2.0), (2.0, -4.0), (3.0, -6.0)]), Some(-1.0));
        let far = of(&[(1e9 + 1.0, 1.0), (1e9 + 2.0, 3.0), (1e9 + 3.0, 2.0)]);
        assert!(far.is_some_and(|r| (r - 0.5).abs() <= f64::EPSILON), "{far:?}");
        assert_eq!(of(&[(1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(of(&[]), None);
    }

    fn sum(values: &[f64]) -> ExactSum {
        let mut out = ExactSum::default();
        values.iter().for_each(|&x| out.add(x));
        out
    }

    #[test]
    fn values() {
        for (values, expected) in [
            (&[][..], 0.0),
            (&[0.1, 0.2, 0.3][..], 0.6),
            (&[1e308, 1e308, -1e308, -1e308, 1.0][..], 1.0),
            (&[1e100, 1.0, -1e100][..], 1.0),
            (&[5e-324, 5e-324][..], 1e-323),
            (&[-1.5, 0.25][..], -1.25),
            (&[9007199254740992.0, 1.0][..], 9007199254740992.0), // a tie goes to even
            (&[9007199254740992.0, 1.0, 1e-300][..], 9007199254740994.0), // and a crumb breaks it
            (&[f64::MAX, f64::MAX][..], f64::INFINITY),
            (&[f64::NAN, f64::INFINITY, 2.0][..], 2.0),
        ] {
            assert_eq!(sum(values).round(), expected, "{values:?}");
        }
    }

    /// As large, and as far from one another, as a run can hold.
    #[test]
    fn a_run_does_not_overflow() {
        for low in [1.0, f64::MIN_POSITIVE, libm::scalbn(1.0, 1023 - SPAN)] {
            let great = libm::scalbn(low * (2.0 - f64::EPSILON), SPAN - 1);
            for sign in [1.0, -1.0] {
                let mut xs = vec![sign * great; 3 * MOST];
                xs[7] = sign * low;
                let (mut one_by_one, mut many) = (Moments::default(), Moments::default());
                xs.iter().for_each(|&x| one_by_one.add(x));
                many.extend(&xs);
                assert!(many == one_by_one, "{low} {sign}");
                let (mut one_by_one, mut many) = (Comoments::default(), Comoments::default());
                xs.iter().for_each(|&x| one_by_one.add(x, great));
                many.extend(&xs, &vec![great; xs.len()]);
                assert!(many == one_by_one, "{low} {sign}");
            }
        }
    }

    #[test]
    fn variance_survives_a_great_mean() {
        let mut moments = Moments::default();
        [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0].iter().for_each(|&x| moments.add(x));
        assert_eq!(moments.variance(1), Some(30.0));
        assert_eq!(moments.variance(0), Some(22.5));
        assert_eq!(moments.mean(), Some(1e9 + 10.0));
        assert_eq!(Moments::default().variance(0), None);
        let mut same = Moments::default();
        (0..10).for_each(|_| same.add(0.1));
        assert_eq!(same.variance(0), Some(0.0));
    }

    proptest! {
        #[test]
        fn any_cut_and_order_gives_the_same_bits(
            bits in proptest::collection::vec(any::<u64>(), 0..40), cut in 0usize..40,
        ) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
            let whole = values.iter().fold(Moments::default(), |mut m, &x| { m.add(x); m });
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut back = Moments::default();
            right.iter().rev().for_each(|&x| back.add(x));
            let mut front = Moments::default();
            left.iter().for_each(|&x| front.add(x));
            back.merge(&front);
            prop_assert_eq!(&whole, &back);
            let text = serde_json::to_string(&whole).unwrap();
            prop_assert_eq!(&text, &serde_json::to_string(&back).unwrap());
            prop_assert_eq!(&serde_json::from_str::<Moments>(&text).unwrap(), &whole);
        }

        #[test]
        fn many_at_once_are_added_as_one_by_one(
            bits in proptest::collection::vec(any::<u64>(), 0..20),
            near in proptest::collection::vec((-40i32..40, -1.0..1.0, 0u8..20), 0..300),
            all in any::<bool>(), cut in 0usize..10,
        ) {
            let odd = [0.0, 5e-324, -f64::MIN_POSITIVE, f64::INFINITY, f64::MAX, 1.0, -2.0];
            let near = near.into_iter().map(|(power, x, how)| match how {
                0 => odd[power.unsigned_abs() as usize % if all { 7 } else { 1 }],
                1..5 => x,
                _ => libm::scalbn(x, power),
            });
            let bits = bits.into_iter().filter(|_| all).map(f64::from_bits);
            let xs: Vec<f64> = near.chain(bits).collect();
            let ys: Vec<f64> = xs.iter().rev().copied().collect();
            let (mut moments, mut comoments) = (Moments::default(), Comoments::default());
            xs.iter().for_each(|&x| moments.add(x));
            xs.iter().zip(&ys).for_each(|(&x, &y)| comoments.add(x, y));
            let (mut many, mut pairs) = (Moments::default(), Comoments::default());
            let cut = cut.min(xs.len());
            many.extend(&xs[..cut]);
            many.extend(&xs[cut..]);
            pairs.extend(&xs[..cut], &ys[..cut]);
            pairs.extend(&xs[cut..], &ys[cut..]);
            prop_assert_eq!(many, moments);
            prop_assert_eq!(pairs, comoments);
        }

        #[test]
        fn small_whole_numbers_are_summed_exactly(
            values in proptest::collection::vec(-1_000_000i64..1_000_000, 0..100),
        ) {
            let doubles: Vec<f64> = values.iter().map(|&v| v as f64).collect();
            prop_assert_eq!(sum(&doubles).round(), values.iter().sum::<i64>() as f64);
        }

        #[test]
        fn one_value_comes_back(bits: u64) {
            let x = f64::from_bits(bits);
            if x.is_finite() {
                prop_assert_eq!(sum(&[x]).round(), x);
            }
        }
    }
}
