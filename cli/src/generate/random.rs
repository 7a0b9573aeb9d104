//! Random numbers that are the same on every machine: SplitMix64, and `libm` for what is not `+ − × ÷ √`.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence for each `seed` and `purpose`, independent of the others.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Random(seed);
        let mixed = random.next() ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Random(Random(mixed).next())
    }

    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1, in steps of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A whole number below `n`; 0 of none.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// One of `items`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Exponential: the time to the next of events that come at a constant rate.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Log-normal (Box and Muller): heavy-tailed, with the given median.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        let normal = radius * libm::cos(std::f64::consts::TAU * self.unit());
        median * libm::exp(sigma * normal)
    }

    /// Pareto: from `least` upwards; the smaller `alpha`, the heavier the tail.
    pub fn pareto(&mut self, least: f64, alpha: f64) -> f64 {
        least / libm::pow(1.0 - self.unit(), 1.0 / alpha)
    }
}

/// Ranks by Zipf's law: rank k with a weight of 1 / (k + 1)^exponent.
#[derive(Clone, Debug)]
pub struct Zipf(Vec<f64>);

impl Zipf {
    /// `n` ranks.
    pub fn new(n: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weight = |k: usize| 1.0 / libm::pow((k + 1) as f64, exponent);
        Zipf(
            (0..n)
                .map(|k| {
                    sum += weight(k);
                    sum
                })
                .collect(),
        )
    }

    /// A rank.
    pub fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum <= at).min(self.0.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_fixed() {
        // From the reference implementation, seed 0.
        let mut random = Random(0);
        assert_eq!(random.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.next(), 0x6e78_9e6a_a1b9_65f4);
        assert_ne!(Random::new(1, 1).next(), Random::new(1, 2).next());
    }

    #[test]
    fn shapes() {
        let mut random = Random::new(1, 0);
        let n = 100_000;
        let mean = |draws: Vec<f64>| draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean((0..n).map(|_| random.unit()).collect()) - 0.5).abs() < 0.01);
        assert!((mean((0..n).map(|_| random.exponential(3.0)).collect()) - 3.0).abs() < 0.1);
        let mut draws: Vec<f64> = (0..n).map(|_| random.log_normal(5.0, 1.0)).collect();
        draws.sort_by(f64::total_cmp);
        assert!((draws[n / 2] - 5.0).abs() < 0.2);
        assert!((0..n).all(|_| random.pareto(2.0, 1.5) >= 2.0));
        let zipf = Zipf::new(3, 1.0);
        let mut counts = [0; 3];
        (0..n).for_each(|_| counts[zipf.draw(&mut random)] += 1);
        assert!(counts[0] > counts[1] && counts[1] > counts[2] && counts[2] > n / 10, "{counts:?}");
    }
}
