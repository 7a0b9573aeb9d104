//! Card transactions, one after another as a bank would receive them: an endless sequence that the seed decides.
//!
//! Ordinary life: busy and quiet customers, favourite merchants, days and nights, now and then several purchases in
//! a row. Fraud: somebody has the card and uses it as often as it works, for an hour or less, by night as by day, at
//! merchants the customer does not know. Single amounts say little; how they follow each other says much. Some
//! events come late, some twice, some damaged; fields are missing now and then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use leat::{number, timestamp};

use super::people::{COUNTRIES, Customer, People};
use super::random::Random;

const SECOND: f64 = 1e6;
const MINUTE: f64 = 60.0 * SECOND;
const DAY: f64 = 86_400.0 * SECOND;

/// Ordinary purchases that start a customer's visit, a day.
const VISITS_A_DAY: f64 = 2.0;
/// Stolen cards a day, for each customer.
const THEFTS_A_DAY: f64 = 0.014;
const LATE: f64 = 0.01;
const TWICE: f64 = 0.005;
const DAMAGED: f64 = 0.001;
const MISSING: f64 = 0.01;
const MEMO: f64 = 0.02;

/// How busy each hour of the day is, from midnight on; 1 on average.
const HOURS: [f64; 24] = [
    0.35, 0.2, 0.12, 0.1, 0.1, 0.15, 0.4, 0.8, 1.1, 1.2, 1.2, 1.4, 1.7, 1.5, 1.2, 1.2, 1.3, 1.5,
    1.9, 1.9, 1.6, 1.3, 1.0, 0.78,
];
/// Where the customers live: hours ahead of UTC.
const ZONE: f64 = 8.0;

/// What one line says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub text: Vec<u8>,
    /// None for a damaged line.
    pub label: Option<Label>,
}

/// What becomes known of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub transaction_id: String,
    pub is_fraud: bool,
    /// When: microseconds.
    pub known_at: i64,
}

/// A line and when it comes in.
#[derive(Clone, Debug)]
struct Due {
    arrival: i64,
    order: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Purchase { customer: usize, fraud: Option<Fraud> },
    Again(Line),
}

/// How far a thief has come.
#[derive(Clone, Copy, Debug)]
struct Fraud {
    trial: bool,
    abroad: Option<&'static str>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrival, self.order).cmp(&(other.arrival, other.order))
    }
}

/// The sequence.
pub struct Transactions {
    people: People,
    random: Random,
    seed: u64,
    /// Microseconds.
    clock: f64,
    next_visit: f64,
    next_theft: f64,
    due: BinaryHeap<Reverse<Due>>,
    order: u64,
    /// True if the label stands in the event, as in history.
    labelled: bool,
}

impl Transactions {
    pub fn new(seed: u64, customers: usize, start: i64, labelled: bool) -> Self {
        let start = start as f64;
        let mut transactions = Transactions {
            people: People::new(seed, customers),
            random: Random::new(seed, 3),
            seed,
            clock: start,
            next_visit: start,
            next_theft: start,
            due: BinaryHeap::new(),
            order: 0,
            labelled,
        };
        transactions.next_theft += transactions.until_theft();
        transactions
    }

    fn until_theft(&mut self) -> f64 {
        let a_day = THEFTS_A_DAY * self.people.customers.len() as f64;
        self.random.exponential(DAY / a_day)
    }

    fn until_visit(&mut self) -> f64 {
        let hour = (self.clock / (DAY / 24.0) + ZONE).rem_euclid(24.0) as usize;
        let a_day = VISITS_A_DAY * self.people.customers.len() as f64;
        self.random.exponential(DAY / a_day / HOURS[hour.min(23)])
    }

    fn schedule(&mut self, arrival: f64, what: What) {
        self.order += 1;
        self.due.push(Reverse(Due { arrival: arrival as i64, order: self.order, what }));
    }

    /// A customer goes shopping: one purchase, now and then some more.
    fn visit(&mut self) {
        let customer = self.people.busy.draw(&mut self.random);
        let mut time = self.clock;
        self.schedule(time, What::Purchase { customer, fraud: None });
        while self.random.chance(0.22) {
            time += 2.0 * MINUTE + self.random.exponential(14.0 * MINUTE);
            self.schedule(time, What::Purchase { customer, fraud: None });
        }
    }

    /// A card is stolen: perhaps a small amount to see whether it works, then one purchase after another.
    fn theft(&mut self) {
        let customer = self.random.below(self.people.customers.len());
        let abroad = self.random.chance(0.2).then(|| self.random.pick(&COUNTRIES));
        let mut fraud = Fraud { trial: self.random.chance(0.4), abroad };
        let mut time = self.clock;
        let purchases = if self.random.chance(0.1) { 1 } else { 4 + self.random.below(9) };
        for _ in 0..purchases {
            self.schedule(time, What::Purchase { customer, fraud: Some(fraud) });
            fraud.trial = false;
            time += 10.0 * SECOND + self.random.exponential(3.0 * MINUTE);
        }
    }

    fn purchase(&mut self, arrival: i64, customer: usize, fraud: Option<Fraud>) -> Line {
        let late = self.random.chance(LATE);
        let delay = if late { self.random.log_normal(2.0 * MINUTE, 1.2) } else { 0.0 };
        let time = arrival.saturating_sub(delay as i64);
        let random = &mut self.random;
        let customer = &self.people.customers[customer];
        let merchant = match fraud {
            Some(_) => random.below(self.people.merchants.len()),
            None if random.chance(0.75) => random.pick(&customer.favourites),
            None => self.people.popular.draw(random),
        };
        let merchant = &self.people.merchants[merchant];
        let amount = match fraud {
            Some(Fraud { trial: true, .. }) => 0.5 + random.unit() * 4.0,
            Some(_) => random.log_normal(merchant.amount * 1.35, 0.8),
            None if random.chance(0.02) => random.pareto(merchant.amount * customer.scale, 1.3),
            None => random.log_normal(merchant.amount * customer.scale, 0.6),
        };
        let amount = (amount.min(20_000.0) * 100.0).round().max(1.0) / 100.0;
        let remote = if fraud.is_some() { 0.5 + merchant.remote / 2.0 } else { merchant.remote };
        let channel = if random.chance(remote) {
            if random.chance(0.6) { "web" } else { random.pick(&["app", "app", "app", "phone"]) }
        } else {
            "pos"
        };
        let country = fraud.and_then(|f| f.abroad).unwrap_or(match random.chance(0.85) {
            true => customer.country,
            false => merchant.country,
        });
        let id = format!("t-{:016x}", Random::new(self.seed, self.order << 8 | 4).next());
        let known_at = time.saturating_add(until_known(self.seed, self.order));
        self.order += 1;
        let is_fraud = fraud.is_some();
        let label = self.labelled.then_some(is_fraud);
        let text = write(random, &id, customer, time, amount, channel, merchant, country, label);
        if random.chance(DAMAGED) {
            return Line { text: damage(random, text, &customer.id), label: None };
        }
        Line { text, label: Some(Label { transaction_id: id, is_fraud, known_at }) }
    }
}

impl Iterator for Transactions {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let coming = self.next_visit.min(self.next_theft);
            let due = self.due.peek().is_some_and(|Reverse(due)| due.arrival as f64 <= coming);
            if let Some(Reverse(due)) = due.then(|| self.due.pop()).flatten() {
                let line = match due.what {
                    What::Again(line) => return Some(line),
                    What::Purchase { customer, fraud } => {
                        self.purchase(due.arrival, customer, fraud)
                    }
                };
                if self.random.chance(TWICE) {
                    let again = due.arrival as f64 + self.random.exponential(2.0 * MINUTE);
                    self.schedule(again, What::Again(line.clone()));
                }
                return Some(line);
            }
            self.clock = coming;
            if self.next_theft <= self.next_visit {
                self.next_theft += self.until_theft();
                self.theft();
            } else {
                self.next_visit += self.until_visit();
                self.visit();
            }
        }
    }
}

/// How long after a transaction its label becomes known: two hours to ten days. It is drawn apart, so that asking for
/// labels changes no event.
fn until_known(seed: u64, order: u64) -> i64 {
    let days = Random::new(seed, order << 8 | 5).exponential(1.5 * DAY).min(10.0 * DAY);
    days.max(DAY / 12.0) as i64
}

/// One event as a line of JSON, without its end. An optional field is missing now and then: null, or not there.
#[expect(clippy::too_many_arguments, reason = "the fields of an event, once")]
fn write(
    random: &mut Random,
    id: &str,
    customer: &Customer,
    time: i64,
    amount: f64,
    channel: &str,
    merchant: &super::people::Merchant,
    country: &str,
    label: Option<bool>,
) -> Vec<u8> {
    let text = |text: &str| format!("\"{text}\"");
    let mut line = format!(
        "{{\"transaction_id\":\"{id}\",\"customer_id\":\"{}\",\"event_time\":\"{}\"",
        customer.id,
        timestamp::to_text(time),
    );
    for (name, value) in [
        ("card_number", text(&customer.card)),
        ("amount", number::to_text(amount)),
        ("customer_age", customer.age.to_string()),
        ("card_limit", number::to_text(customer.limit)),
        ("channel", text(channel)),
        ("merchant_id", text(&merchant.id)),
        ("merchant_category", text(merchant.category)),
        ("country", text(country)),
    ] {
        match random.unit() {
            x if x < MISSING / 2.0 => {}
            x if x < MISSING => line.push_str(&format!(",\"{name}\":null")),
            _ => line.push_str(&format!(",\"{name}\":{value}")),
        }
    }
    if random.chance(MEMO) {
        // A field that the recipe does not know, and characters beyond ASCII.
        let memo =
            random.pick(&["早餐", "café crème", "Geschäftsreise", "поездка", "ร้านอาหาร", "🎂"]);
        line.push_str(&format!(",\"memo\":\"{memo}\""));
    }
    if let Some(label) = label {
        line.push_str(&format!(",\"is_fraud\":{}", u8::from(label)));
    }
    line.push('}');
    line.into_bytes()
}

/// What goes wrong between a producer and a stream.
fn damage(random: &mut Random, line: Vec<u8>, customer: &str) -> Vec<u8> {
    let middle = line.len() / 2;
    let replace =
        |old: &str, new: &str| String::from_utf8_lossy(&line).replacen(old, new, 1).into_bytes();
    let damaged = match random.below(6) {
        0 => replace("\"customer_id\"", "\"customerId\""), // a renamed field
        1 => replace("\"event_time\":\"20", "\"event_time\":\"yesterday, 20"),
        2 => replace("\"amount\":", "\"amount\":-"), // against the rules; missing now and then
        3 => replace(customer, "\u{fffd}\\x"),       // an escape that JSON has not
        4 => [&line[..middle], &[0xff], &line[middle..]].concat(), // no UTF-8
        _ => line[..middle].to_vec(),                // cut off
    };
    if damaged == line { line[..middle].to_vec() } else { damaged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    const START: i64 = 1_767_225_600_000_000;

    fn lines(seed: u64, skip: usize, n: usize) -> Vec<Line> {
        Transactions::new(seed, 500, START, true).skip(skip).take(n).collect()
    }

    #[test]
    fn a_seed_decides_all_and_later_events_follow_on() {
        let all = lines(7, 0, 3000);
        assert_eq!(all, lines(7, 0, 3000));
        assert_eq!(all[1000..], lines(7, 1000, 2000));
        assert_ne!(all[..100], lines(8, 0, 100));
    }

    #[test]
    fn shares_are_about_what_they_should_be() {
        let n = 50_000;
        let lines = lines(7, 0, n);
        let share = |count: usize| count as f64 / n as f64;
        let labels: Vec<_> = lines.iter().filter_map(|line| line.label.as_ref()).collect();
        let damaged = share(n - labels.len());
        let fraud = share(labels.iter().filter(|label| label.is_fraud).count());
        let twice = share(
            labels.len() - labels.iter().map(|l| &l.transaction_id).collect::<HashSet<_>>().len(),
        );
        assert!((0.0005..0.002).contains(&damaged), "{damaged}");
        assert!((0.015..0.05).contains(&fraud), "{fraud}");
        assert!((0.003..0.007).contains(&twice), "{twice}");
        let count = |what: &str| {
            share(lines.iter().filter(|l| String::from_utf8_lossy(&l.text).contains(what)).count())
        };
        assert!((0.002..0.008).contains(&count("\"amount\":null")));
        let waits: Vec<f64> = lines
            .iter()
            .filter_map(|line| {
                let event: serde_json::Value = serde_json::from_slice(&line.text).ok()?;
                let time = timestamp::parse(event["event_time"].as_str()?)?;
                Some((line.label.as_ref()?.known_at - time) as f64 / DAY)
            })
            .collect();
        assert!(waits.iter().all(|days| (0.08..=10.0).contains(days)));
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        assert!((1.3..1.7).contains(&mean), "{mean}");
        let mut customers = HashMap::<String, usize>::new();
        for line in &lines {
            let event: Option<serde_json::Value> = serde_json::from_slice(&line.text).ok();
            if let Some(id) = event.as_ref().and_then(|e| e["customer_id"].as_str()) {
                *customers.entry(id.to_owned()).or_default() += 1;
            }
        }
        let busiest = customers.values().max().copied().unwrap_or_default();
        assert!(customers.len() > 450 && busiest > n / 50, "{} {busiest}", customers.len());
    }
}
