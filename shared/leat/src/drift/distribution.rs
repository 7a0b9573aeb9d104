//! How likely a statistic as great is by chance.

/// Terms of a series at most.
const MOST_TERMS: usize = 100_000;

/// Kolmogorov's distribution, its upper tail: the chance that √n·D exceeds `x` in the limit of great n. 1 for `x` ≤ 0.
/// The series 2·Σ (−1)^(k−1)·e^(−2k²x²), or below 1 its theta transform, which converges where the other does not.
/// `scipy.special.kolmogorov`.
pub fn kolmogorov(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return 1.0;
    }
    let pi = std::f64::consts::PI;
    if x < 1.0 {
        let mut sum = 0.0;
        for k in 1..=20 {
            let odd = f64::from(2 * k - 1);
            sum += libm::exp(-odd * odd * pi * pi / (8.0 * x * x));
        }
        return (1.0 - (2.0 * pi).sqrt() / x * sum).clamp(0.0, 1.0);
    }
    let mut sum = 0.0;
    for k in 1..=20 {
        let k2 = f64::from(k * k);
        let term = libm::exp(-2.0 * k2 * x * x);
        sum += if k % 2 == 1 { term } else { -term };
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// The upper tail of the chi-squared distribution with `freedom` degrees of freedom: the regularized upper incomplete
/// gamma function Q(`freedom` / 2, `x` / 2). 1 for `x` ≤ 0. `scipy.stats.chi2.sf`.
pub fn chi_squared_p(x: f64, freedom: u64) -> f64 {
    if x.is_nan() || x <= 0.0 || freedom == 0 {
        return 1.0;
    }
    upper_gamma(freedom as f64 / 2.0, x / 2.0).clamp(0.0, 1.0)
}

/// Q(a, x): by the series of P below a + 1, by Lentz's continued fraction above (Numerical Recipes, 6.2).
fn upper_gamma(a: f64, x: f64) -> f64 {
    let scale = libm::exp(a * libm::log(x) - x - libm::lgamma(a));
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..MOST_TERMS {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term <= sum * f64::EPSILON / 4.0 {
                break;
            }
        }
        return 1.0 - scale * sum;
    }
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut h = d;
    for i in 1..MOST_TERMS {
        let i = i as f64;
        let an = -i * (i - a);
        b += 2.0;
        let near = |x: f64| if x.abs() < TINY { TINY } else { x };
        d = 1.0 / near(an * d + b);
        c = near(b + an / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    scale * h
}
