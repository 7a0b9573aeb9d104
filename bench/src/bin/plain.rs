//! What a good engineer would write by hand for the benchmark's one pipeline: the line that the engine, which reads
//! the same from a recipe, is held to.
//!
//! `bench-plain INPUT --params PARAMS.json [--repeat 3] [--dump ROWS.csv]`
//!
//! It takes the event as the function does ([`leat_bench::runtime::parse`]), then sonic-rs for the envelope and the
//! records, base64-simd, the twelve rules as one mask, 24 features, text terms, windows of an hour and a day, CSV.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::process::ExitCode;

use leat::number::print_whole;
use leat_bench::clock::{Laps, Times};
use leat_bench::line::rounded;
use leat_bench::program::{self, Round};
use leat_bench::runtime::parse;
use serde::Deserialize;
use serde_json::json;

fn main() -> ExitCode {
    program::main("bench-plain", |args| {
        let path = args.wanted("--params")?;
        let params: Params =
            serde_json::from_str(&program::text(path)?).map_err(|why| format!("{path}: {why}"))?;
        program::measure(args, ("plain", "sonic"), 3, || Ok(Pipeline::new(&params)))
    })
}

/// What was learnt from a sample.
#[derive(Debug, Deserialize)]
struct Params {
    median: Medians,
    amount: Spread,
    age: Normal,
    lat: Range,
    lon: Range,
    amount_edges: Vec<f64>,
    channels: Vec<String>,
    currencies: Vec<String>,
    countries: Vec<String>,
    target: HashMap<String, f64>,
    target_prior: f64,
    idf: Vec<f64>,
    now_ms: i64,
    epoch0_s: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Medians {
    customer_age: f64,
    lat: f64,
    lon: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Normal {
    mean: f64,
    std: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Range {
    min: f64,
    max: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Spread {
    #[serde(flatten)]
    normal: Normal,
    #[serde(flatten)]
    range: Range,
}

impl Normal {
    fn scale(self, x: f64) -> f64 {
        (x - self.mean) / self.std
    }
}

impl Range {
    fn scale(self, x: f64) -> f64 {
        (x - self.min) / (self.max - self.min)
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<Envelope<'a>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    kinesis: Kinesis<'a>,
}

#[derive(Deserialize)]
struct Kinesis<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    transaction_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    customer_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    merchant_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    merchant_category: Option<Cow<'a, str>>,
    amount: Option<f64>,
    #[serde(borrow)]
    currency: Option<Cow<'a, str>>,
    customer_age: Option<i64>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    country: Option<Cow<'a, str>>,
    card_present: Option<bool>,
    lat: Option<f64>,
    lon: Option<f64>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
}

/// What every rule let pass.
struct Good<'t, 'a> {
    of: &'t Transaction<'a>,
    customer: &'t str,
    merchant: &'t str,
    amount: f64,
    millis: i64,
    month: u32,
}

/// The scalars of a row, in the order of the output.
type Scalars = [f64; 24];

struct Pipeline<'p> {
    params: &'p Params,
    currencies: HashSet<&'p str>,
    countries: HashMap<&'p str, f64>,
    customers: HashMap<String, Customer>,
    times: Times,
    arena: Vec<u8>,
    csv: Vec<u8>,
    counts: [u8; 256],
    events: usize,
    malformed: usize,
    valid: usize,
    csv_bytes: usize,
    failed: [u32; 12],
    /// Of those the ones of events that Leat's decode refuses, but for the one rule under which it does.
    beyond: [u32; 12],
    sums: [f64; 10],
}

impl<'p> Pipeline<'p> {
    fn new(params: &'p Params) -> Self {
        let countries = params.countries.iter().enumerate();
        Pipeline {
            params,
            currencies: params.currencies.iter().map(String::as_str).collect(),
            countries: countries.map(|(at, name)| (name.as_str(), at as f64)).collect(),
            customers: HashMap::new(),
            times: Times::default(),
            arena: Vec::new(),
            csv: Vec::new(),
            counts: [0; 256],
            events: 0,
            malformed: 0,
            valid: 0,
            csv_bytes: 0,
            failed: [0; 12],
            beyond: [0; 12],
            sums: [0.0; 10],
        }
    }

    fn validate<'t, 'a>(&mut self, rows: &'t [Transaction<'a>]) -> Vec<Good<'t, 'a>> {
        let mut ids: HashSet<&str> = HashSet::with_capacity(rows.len());
        let mut good = Vec::with_capacity(rows.len());
        for of in rows {
            let mut failed = 0u16;
            let mut fail = |rule: u16, is_bad: bool| failed |= u16::from(is_bad) << rule;
            let id = of.transaction_id.as_deref();
            let time = of.event_time.as_deref().map(time);
            let amount = of.amount;
            fail(0, id.is_none());
            fail(1, time.is_none());
            fail(2, of.customer_id.is_none());
            fail(3, of.merchant_id.is_none());
            fail(4, amount.is_none());
            fail(5, of.currency.is_none());
            fail(6, amount.is_some_and(|x| !(x > 0.0 && x < 1e6)));
            fail(7, of.customer_age.is_some_and(|x| !(18..=120).contains(&x)));
            let known = |x: &Cow<'_, str>| self.currencies.contains(&**x);
            let channels = &self.params.channels;
            let open = |x: &Cow<'_, str>| channels.iter().any(|channel| channel == x);
            fail(
                8,
                !of.currency.as_ref().is_none_or(known) || !of.channel.as_ref().is_none_or(open),
            );
            fail(9, id.is_some_and(|id| !is_id(id)));
            let past = |t: Option<(i64, u32)>| t.is_some_and(|(ms, _)| ms <= self.params.now_ms);
            fail(10, time.is_some_and(|t| !past(t)));
            fail(11, id.is_some_and(|id| !ids.insert(id)));
            match (failed, time.flatten(), amount, &of.customer_id, &of.merchant_id) {
                (0, Some((millis, month)), Some(amount), Some(customer), Some(merchant)) => {
                    good.push(Good { of, customer, merchant, amount, millis, month });
                }
                _ => {
                    // Without id, time or customer, in this order, or with what is no time, there is no event for Leat.
                    let no_time = time == Some(None);
                    let refusals = [(0, id.is_none()), (1, time.is_none()), (10, no_time)];
                    let customer = (2, of.customer_id.is_none());
                    let refused = refusals.into_iter().chain([customer]).find(|(_, is)| *is);
                    let beyond = refused.map_or(0, |(rule, _)| failed & !(1 << rule));
                    for (rule, (count, more)) in
                        self.failed.iter_mut().zip(&mut self.beyond).enumerate()
                    {
                        *count += u32::from(failed >> rule & 1);
                        *more += u32::from(beyond >> rule & 1);
                    }
                }
            }
        }
        good
    }

    fn scalars(&self, row: &Good<'_, '_>) -> Scalars {
        let p = self.params;
        let day = row.millis.div_euclid(86_400_000);
        let hour = (row.millis - day * 86_400_000) / 3_600_000;
        let week_day = (day + 3).rem_euclid(7);
        let angle = std::f64::consts::TAU * hour as f64 / 24.0;
        let channel = row.of.channel.as_deref().unwrap_or_default();
        let category = row.of.merchant_category.as_deref();
        let country = row.of.country.as_deref();
        let is = |at: usize| f64::from(p.channels.get(at).is_some_and(|name| name == channel));
        let mut cross = crc32fast::Hasher::new();
        cross.update(channel.as_bytes());
        cross.update(b"|");
        cross.update(category.unwrap_or_default().as_bytes());
        [
            p.amount.normal.scale(row.amount),
            p.amount.range.scale(row.amount),
            libm::log1p(row.amount),
            p.amount_edges.iter().take_while(|edge| row.amount >= **edge).count() as f64,
            p.age.scale(row.of.customer_age.map_or(p.median.customer_age, |x| x as f64)),
            p.lat.scale(row.of.lat.unwrap_or(p.median.lat)),
            p.lon.scale(row.of.lon.unwrap_or(p.median.lon)),
            is(0),
            is(1),
            is(2),
            is(3),
            country.and_then(|name| self.countries.get(name).copied()).unwrap_or(-1.0),
            category.and_then(|name| p.target.get(name).copied()).unwrap_or(p.target_prior),
            f64::from(crc32fast::hash(row.merchant.as_bytes()) % 1024),
            hour as f64,
            week_day as f64,
            f64::from(row.month),
            f64::from(week_day >= 5),
            libm::sin(angle),
            libm::cos(angle),
            row.millis as f64 / 1000.0 - p.epoch0_s,
            row.amount * hour as f64,
            f64::from(cross.finalize() % 1024),
            f64::from(row.of.card_present.unwrap_or_default()),
        ]
    }

    /// Appends the terms of `text`, ascending, with their weights.
    fn terms(&mut self, text: &str, terms: &mut Vec<(u8, f64)>) {
        let start = terms.len();
        let mut word = [0u8; 64];
        for bytes in text.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()) {
            if bytes.is_empty() {
                continue;
            }
            let hash = match word.get_mut(..bytes.len()) {
                Some(lower) => {
                    lower.copy_from_slice(bytes);
                    lower.make_ascii_lowercase();
                    crc32fast::hash(lower)
                }
                None => crc32fast::hash(&bytes.to_ascii_lowercase()),
            };
            let term = (hash % 256) as u8;
            let count = &mut self.counts[usize::from(term)];
            if *count == 0 {
                terms.push((term, 0.0));
            }
            *count = count.saturating_add(1);
        }
        let own = &mut terms[start..];
        own.sort_unstable_by_key(|(term, _)| *term);
        let mut squares = 0.0;
        for (term, weight) in own.iter_mut() {
            let at = usize::from(*term);
            *weight = f64::from(std::mem::take(&mut self.counts[at])) * self.params.idf[at];
            squares += *weight * *weight;
        }
        let norm = squares.sqrt();
        own.iter_mut().for_each(|(_, weight)| *weight /= norm);
    }

    fn windows(&mut self, row: &Good<'_, '_>) -> [f64; 10] {
        if !self.customers.contains_key(row.customer) {
            self.customers.insert(row.customer.to_owned(), Customer::default());
        }
        let Some(customer) = self.customers.get_mut(row.customer) else { return [0.0; 10] };
        let [c1, s1, a1, m1] = customer.hour.take(3_600_000, row.millis, row.amount);
        let [c24, s24, a24, m24] = customer.day.take(86_400_000, row.millis, row.amount);
        let since = customer.last.map_or(-1.0, |last| (row.millis - last) as f64 / 1000.0);
        customer.sessions += u32::from(since > 1800.0);
        customer.last = Some(row.millis);
        [c1, s1, a1, m1, c24, s24, a24, m24, since, f64::from(customer.sessions)]
    }

    fn write(&mut self, rows: &[(Scalars, usize)], windows: &[[f64; 10]], terms: &[(u8, f64)]) {
        let csv = &mut self.csv;
        csv.clear();
        let mut from = 0;
        for ((scalars, end), windows) in rows.iter().zip(windows) {
            for x in scalars.iter().chain(windows) {
                number(*x, csv);
                csv.push(b',');
            }
            for (at, (term, weight)) in
                terms[std::mem::replace(&mut from, *end)..*end].iter().enumerate()
            {
                if at > 0 {
                    csv.push(b' ');
                }
                print_whole(i64::from(*term), csv);
                csv.push(b':');
                number((weight * 1e6).round() / 1e6, csv);
            }
            csv.push(b'\n');
        }
    }
}

impl Round for Pipeline<'_> {
    fn payload(&mut self, payload: &[u8]) -> Result<(), String> {
        let mut times = self.times;
        let mut laps = Laps::new();
        let event = parse(payload)?;
        let event: Event<'_> = sonic_rs::from_str(event.get()).map_err(|why| why.to_string())?;
        let mut arena = std::mem::take(&mut self.arena);
        arena.clear();
        arena.reserve(payload.len());
        let mut ends = Vec::with_capacity(event.records.len());
        for record in &event.records {
            let _ = base64_simd::STANDARD.decode_append(record.kinesis.data.as_bytes(), &mut arena);
            ends.push(arena.len());
        }
        let mut from = 0;
        let mut rows: Vec<Transaction<'_>> = Vec::with_capacity(ends.len());
        for end in ends {
            match sonic_rs::from_slice(&arena[std::mem::replace(&mut from, end)..end]) {
                Ok(row) => rows.push(row),
                Err(_) => self.malformed += 1,
            }
        }
        self.events += event.records.len();
        laps.end(0, &mut times);
        let good = self.validate(&rows);
        laps.end(1, &mut times);
        let mut terms = Vec::with_capacity(good.len() * 8);
        let mut scalars: Vec<(Scalars, usize)> = Vec::with_capacity(good.len());
        for row in &good {
            let made = self.scalars(row);
            self.terms(row.of.description.as_deref().unwrap_or_default(), &mut terms);
            scalars.push((made, terms.len()));
        }
        laps.end(2, &mut times);
        let windows: Vec<[f64; 10]> = good.iter().map(|row| self.windows(row)).collect();
        laps.end(3, &mut times);
        self.write(&scalars, &windows, &terms);
        laps.end(4, &mut times);
        self.valid += good.len();
        self.csv_bytes += self.csv.len();
        for ((scalars, _), windows) in scalars.iter().zip(&windows) {
            let [.., c24, s24, _, _, since, session] = *windows;
            let picked = [scalars[0], scalars[12], scalars[3], scalars[18], 0.0];
            let picked = picked.into_iter().chain([c24, s24, windows[3], since, session]);
            self.sums.iter_mut().zip(picked).for_each(|(sum, x)| *sum += x);
        }
        self.sums[4] += terms.iter().map(|(_, x)| x).sum::<f64>();
        (self.times, self.arena) = (times, Vec::new());
        drop(good);
        drop(rows);
        self.arena = arena;
        Ok(())
    }

    fn rows(&self) -> &[u8] {
        &self.csv
    }

    fn times(&self) -> Times {
        self.times
    }

    fn events(&self) -> usize {
        self.events
    }

    fn check(&self) -> serde_json::Value {
        let s = &self.sums;
        json!({
            "malformed": self.malformed, "valid": self.valid, "fail": self.failed,
            "beyond": self.beyond,
            "csv_bytes": self.csv_bytes, "amount_std": rounded(s[0], 3), "target": rounded(s[1], 3),
            "bin": s[2], "sin": rounded(s[3], 3), "text": rounded(s[4], 3), "c24": s[5],
            "s24": rounded(s[6], 2), "m1": rounded(s[7], 2), "since": rounded(s[8], 3), "sess": s[9],
        })
    }
}

/// What a customer did in a day.
#[derive(Default)]
struct Customer {
    hour: Window,
    day: Window,
    last: Option<i64>,
    sessions: u32,
}

/// The events of a span: all of them, and those that may yet be the greatest.
#[derive(Default)]
struct Window {
    events: VecDeque<(i64, f64)>,
    greatest: VecDeque<(i64, f64)>,
    sum: f64,
}

impl Window {
    /// Takes an event in. Gives count, sum, mean and maximum of the span up to it.
    fn take(&mut self, span: i64, at: i64, x: f64) -> [f64; 4] {
        while let Some((_, gone)) = self.events.pop_front_if(|(time, _)| *time <= at - span) {
            self.sum -= gone;
        }
        while self.greatest.pop_front_if(|(time, _)| *time <= at - span).is_some() {}
        while self.greatest.pop_back_if(|(_, other)| *other <= x).is_some() {}
        self.greatest.push_back((at, x));
        self.events.push_back((at, x));
        self.sum = if self.events.len() == 1 { x } else { self.sum + x };
        let count = self.events.len() as f64;
        [count, self.sum, self.sum / count, self.greatest[0].1]
    }
}

fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix("t-").unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2026-03-01T12:34:56.789Z` as milliseconds since 1970, and its month.
fn time(text: &str) -> Option<(i64, u32)> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if marks.iter().any(|&(at, mark)| bytes[at] != mark) {
        return None;
    }
    let digits = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0i64, |n, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| n * 10 + i64::from(digit))
        })
    };
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute) = (digits(11, 13)?, digits(14, 16)?);
    let (second, milli) = (digits(17, 19)?, digits(20, 23)?);
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    // Days since 1970 of the civil calendar, counted in years that begin in March.
    let (year, shifted) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leaps + (shifted * 153 + 2) / 5 + day - 1 - 719_468;
    let millis = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milli;
    Some((millis, month as u32))
}

fn number(x: f64, out: &mut Vec<u8>) {
    let whole_part = x as i64;
    if whole_part as f64 == x && whole_part.abs() < 1_000_000_000_000_000 {
        print_whole(whole_part, out);
    } else {
        out.extend_from_slice(zmij::Buffer::new().format_finite(x).as_bytes());
    }
}
