//! Exact sums of many doubles at once, as those of a column, that are not far from each other in size.
//!
//! Each is a whole number times the power of two of the least of them, and whole numbers of 128 bits hold their sum; products
//! are summed apart by the power of two that they have. What comes out is what [`ExactSum`] makes of them one by one.

use super::exact::ExactSum;

/// So many values are added at once at most: 2^12.
pub(super) const MOST: usize = 1 << 12;
/// The exponents of a run are fewer: 53 bits of a mantissa, moved by so many, times [`MOST`], are below 2^127.
pub(super) const SPAN: i32 = 62;
/// The exponents that products of two runs have.
const PRODUCTS: usize = 2 * SPAN as usize;

/// The sizes of some doubles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The least exponent, as it stands in a double, of a value that is not 0.
    least: u64,
}

impl Run {
    /// Of `xs`, at most [`MOST`]; none if one is not finite, or below the least normal double, or if they are too far from
    /// each other.
    pub(super) fn of(xs: &[f64]) -> Option<Run> {
        // Without a branch, so that several are looked at once. What is 0 is taken for the greatest exponent to find the least.
        let sizes = xs.iter().map(|x| x.to_bits() << 1);
        let (least, greatest) = sizes.fold((u64::MAX, 0), |(least, greatest), size| {
            (least.min(size.wrapping_sub(1)), greatest.max(size))
        });
        if greatest == 0 {
            return Some(Run { least: 1 });
        }
        let (least, greatest) = (least.wrapping_add(1) >> 53, greatest >> 53);
        let fits = xs.len() <= MOST && least > 0 && greatest < 0x7ff;
        (fits && greatest - least < SPAN as u64).then_some(Run { least })
    }

    /// The exponent of the last bit of the least.
    fn exponent(self) -> i32 {
        self.least as i32 - 1075
    }

    /// The mantissa of `x` with its sign, and by how many powers of two it is greater than the least; of 0 both are 0.
    #[inline(always)]
    fn parts(self, x: f64) -> (i64, usize) {
        let bits = x.to_bits();
        let raw = bits >> 52 & 0x7ff;
        let mantissa = (bits & ((1 << 52) - 1) | u64::from(raw > 0) << 52) as i64;
        let sign = bits as i64 >> 63;
        ((mantissa ^ sign) - sign, raw.saturating_sub(self.least) as usize)
    }

    /// Adds `xs`, of which this is the run, to `sum`, and their squares to `squares`.
    pub(super) fn add(self, xs: &[f64], sum: &mut ExactSum, squares: &mut ExactSum) {
        let (mut whole, mut by_size) = (0i128, [0i128; SPAN as usize]);
        for &x in xs {
            let (mantissa, above) = self.parts(x);
            whole += i128::from(mantissa) << (above & 63);
            if let Some(square) = by_size.get_mut(above) {
                *square += i128::from(mantissa) * i128::from(mantissa);
            }
        }
        sum.add_whole(whole, self.exponent());
        for (above, &square) in by_size.iter().enumerate().filter(|(_, square)| **square != 0) {
            squares.add_whole(square, 2 * (self.exponent() + above as i32));
        }
    }

    /// Adds the products of `xs` and `ys`, of which these are the runs, to `products`.
    pub(super) fn add_products(self, xs: &[f64], of_ys: Run, ys: &[f64], products: &mut ExactSum) {
        let mut by_size = [0i128; PRODUCTS];
        for (&x, &y) in xs.iter().zip(ys) {
            let ((a, above), (b, beyond)) = (self.parts(x), of_ys.parts(y));
            if let Some(product) = by_size.get_mut(above + beyond) {
                *product += i128::from(a) * i128::from(b);
            }
        }
        let least = self.exponent() + of_ys.exponent();
        for (above, &product) in by_size.iter().enumerate().filter(|(_, product)| **product != 0) {
            products.add_whole(product, least + above as i32);
        }
    }
}
