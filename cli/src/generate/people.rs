//! Who pays and who is paid. All of it follows from the seed alone, so that history and later events are of the
//! same customers.

use super::random::{Random, Zipf};

/// A customer with one card.
#[derive(Clone, Debug)]
pub struct Customer {
    pub id: String,
    pub card: String,
    pub age: i64,
    pub limit: f64,
    pub country: &'static str,
    /// Spends so many times what others spend.
    pub scale: f64,
    /// Where most of the money goes: indices of merchants.
    pub favourites: Vec<usize>,
}

/// A merchant.
#[derive(Clone, Debug)]
pub struct Merchant {
    pub id: String,
    pub category: &'static str,
    pub country: &'static str,
    /// The median amount.
    pub amount: f64,
    /// The share of sales that are not made in person.
    pub remote: f64,
}

/// Everybody.
#[derive(Clone, Debug)]
pub struct People {
    pub customers: Vec<Customer>,
    pub merchants: Vec<Merchant>,
    /// Who is busy: ranks of customers.
    pub busy: Zipf,
    /// Who sells much: ranks of merchants.
    pub popular: Zipf,
}

/// A category, the median amount, and the share of remote sales.
const CATEGORIES: [(&str, f64, f64); 10] = [
    ("groceries", 22.0, 0.15),
    ("restaurants", 28.0, 0.2),
    ("fuel", 45.0, 0.0),
    ("fashion", 60.0, 0.55),
    ("electronics", 140.0, 0.6),
    ("entertainment", 18.0, 0.8),
    ("health", 35.0, 0.25),
    ("travel", 210.0, 0.85),
    ("utilities", 75.0, 0.9),
    ("gift_cards", 50.0, 0.7),
];

pub const COUNTRIES: [&str; 14] =
    ["HK", "CN", "SG", "JP", "TW", "KR", "TH", "GB", "US", "AU", "DE", "FR", "BR", "NG"];

const MERCHANTS: usize = 600;

impl People {
    /// `customers` customers, and who sells to them.
    pub fn new(seed: u64, customers: usize) -> Self {
        let mut random = Random::new(seed, 1);
        let countries = Zipf::new(COUNTRIES.len(), 1.4);
        let popular = Zipf::new(MERCHANTS, 1.05);
        let merchants = (0..MERCHANTS)
            .map(|i| {
                let (category, amount, remote) = random.pick(&CATEGORIES);
                Merchant {
                    id: format!("m-{i:04}"),
                    category,
                    country: COUNTRIES[countries.draw(&mut random)],
                    amount: random.log_normal(amount, 0.35),
                    remote,
                }
            })
            .collect();
        let mut random = Random::new(seed, 2);
        let customers = (0..customers)
            .map(|i| Customer {
                id: format!("c-{i:05}"),
                card: card(&mut random),
                age: 18 + (random.unit() * random.unit() * 70.0) as i64,
                limit: random.pick(&[1000.0, 2000.0, 3000.0, 5000.0, 10_000.0, 25_000.0]),
                country: COUNTRIES[countries.draw(&mut random)],
                scale: random.log_normal(1.0, 0.4),
                favourites: (0..12).map(|_| popular.draw(&mut random)).collect(),
            })
            .collect::<Vec<_>>();
        let busy = Zipf::new(customers.len(), 0.8);
        People { customers, merchants, busy, popular }
    }
}

/// A number of 16 digits that begins with 4 and has a check digit (Luhn). It is nobody's but by chance.
fn card(random: &mut Random) -> String {
    let mut digits = vec![4];
    digits.extend((0..14).map(|_| random.below(10)));
    let sum: usize = digits
        .iter()
        .enumerate()
        .map(|(i, d)| if i % 2 == 0 { d * 2 / 10 + d * 2 % 10 } else { *d })
        .sum();
    digits.push((10 - sum % 10) % 10);
    digits.iter().map(usize::to_string).collect()
}
