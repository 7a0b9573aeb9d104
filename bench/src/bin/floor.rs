//! How fast this machine can do the unavoidable: the parts of the composite floor, one at a time.
//!
//! `bench-floor INPUT --variant runtime|decode|print|usual [--repeat 5]`
//!
//! - `runtime`: the runtime's own parse, [`parse`], and nothing else (S1).
//! - `decode`: find each record's base64, decode it, and read the fields by a parser that knows their order and falls
//!   back to nothing: what it does not expect it counts as malformed (S1).
//! - `usual`: no part of the floor; runtime's parse and decode as functions usually do them, [`usual::read`] (S1).
//! - `print`: 34 doubles and 7 terms of a text for each event, with at most six decimals (S5).

use std::hint::black_box;
use std::process::ExitCode;

use leat_bench::clock::{Laps, Times};
use leat_bench::program::{self, Round};
use leat_bench::runtime::parse;
use leat_bench::usual;
use memchr::memmem::Finder;
use serde_json::{Value, json};

fn main() -> ExitCode {
    program::main("bench-floor", |args| {
        let variant = args.wanted("--variant")?;
        let part = match variant {
            "runtime" => Part::Runtime,
            "decode" => Part::Decode,
            "print" => Part::Print,
            "usual" => Part::Usual,
            other => {
                return Err(format!(
                    "--variant: `{other}` is none of runtime, decode, print, usual"
                ));
            }
        };
        program::measure(args, ("floor", variant), 5, || Ok(Floor::new(part)))
    })
}

/// Which part is measured.
#[derive(Clone, Copy)]
enum Part {
    Runtime,
    Decode,
    Print,
    Usual,
}

struct Floor {
    part: Part,
    finder: Finder<'static>,
    times: Times,
    arena: Vec<u8>,
    csv: Vec<u8>,
    events: usize,
    read: usize,
}

impl Floor {
    fn new(part: Part) -> Self {
        Floor {
            part,
            finder: Finder::new(b"\"data\":\""),
            times: Times::default(),
            arena: Vec::new(),
            csv: Vec::new(),
            events: 0,
            read: 0,
        }
    }
}

impl Round for Floor {
    fn payload(&mut self, payload: &[u8]) -> Result<(), String> {
        let Floor { finder, times, arena, csv, read, .. } = self;
        let records = finder.find_iter(payload).count();
        let mut laps = Laps::new();
        match self.part {
            Part::Runtime => {
                black_box(parse(payload)?);
                laps.end(0, times);
                *read += records;
            }
            Part::Decode => {
                arena.clear();
                for at in finder.find_iter(payload) {
                    let data = &payload[at + 8..];
                    let end = memchr::memchr(b'"', data).unwrap_or_default();
                    let start = arena.len();
                    let decoded = base64_simd::STANDARD.decode_append(&data[..end], arena).is_ok();
                    let fields = Cursor(&arena[start..]).transaction().filter(|_| decoded);
                    *read += usize::from(fields.is_some_and(|fields| fields.look()));
                }
                laps.end(0, times);
            }
            Part::Usual => {
                let found = black_box(usual::read(payload)?);
                laps.end(0, times);
                *read += found.iter().flatten().count();
            }
            Part::Print => {
                csv.clear();
                for at in 0..records {
                    print(at as f64 * 1.618_033, csv);
                }
                black_box(&csv);
                laps.end(4, times);
                *read += records;
            }
        }
        self.events += records;
        Ok(())
    }

    fn times(&self) -> Times {
        self.times
    }

    fn events(&self) -> usize {
        self.events
    }

    fn check(&self) -> Value {
        json!({"read": self.read})
    }
}

/// What is left of a record.
struct Cursor<'a>(&'a [u8]);

/// The fields of a record, borrowed.
struct Transaction<'a> {
    texts: [&'a [u8]; 9],
    numbers: [f64; 5],
    card_present: bool,
}

impl Transaction<'_> {
    /// Nothing of it may be left out by the compiler.
    fn look(&self) -> bool {
        black_box((&self.texts, &self.numbers, self.card_present));
        true
    }
}

impl<'a> Cursor<'a> {
    fn transaction(mut self) -> Option<Transaction<'a>> {
        let id = self.text(b"{\"transaction_id\":")?;
        let time = self.text(b",\"event_time\":")?;
        let customer = self.text(b",\"customer_id\":")?;
        let merchant = self.text(b",\"merchant_id\":")?;
        let category = self.text(b",\"merchant_category\":")?;
        let amount = self.number(b",\"amount\":")?;
        let currency = self.text(b",\"currency\":")?;
        let age = self.number(b",\"customer_age\":")?;
        let channel = self.text(b",\"channel\":")?;
        let country = self.text(b",\"country\":")?;
        self.skip(b",\"card_present\":")?;
        let card_present = self.skip(b"true").is_some();
        if !card_present {
            self.skip(b"false")?;
        }
        let lat = self.number(b",\"lat\":")?;
        let lon = self.number(b",\"lon\":")?;
        let description = self.text(b",\"description\":")?;
        let fraud = self.number(b",\"is_fraud\":")?;
        self.skip(b"}")?;
        Some(Transaction {
            texts: [
                id,
                time,
                customer,
                merchant,
                category,
                currency,
                channel,
                country,
                description,
            ],
            numbers: [amount, age, lat, lon, fraud],
            card_present,
        })
        .filter(|_| self.0.is_empty())
    }

    fn skip(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// A text without escapes after `key`; empty for null.
    fn text(&mut self, key: &[u8]) -> Option<&'a [u8]> {
        self.skip(key)?;
        if self.skip(b"null").is_some() {
            return Some(b"");
        }
        self.skip(b"\"")?;
        let end = memchr::memchr2(b'"', b'\\', self.0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        self.skip(b"\"")?;
        std::str::from_utf8(text).ok().map(str::as_bytes)
    }

    /// A decimal number of few digits after `key`, exact by one division; NaN for null.
    fn number(&mut self, key: &[u8]) -> Option<f64> {
        self.skip(key)?;
        if self.skip(b"null").is_some() {
            return Some(f64::NAN);
        }
        let negative = self.skip(b"-").is_some();
        let (mut digits, mut scale, mut point) = (0i64, 1.0, false);
        let mut length = 0;
        for byte in self.0 {
            match byte {
                b'0'..=b'9' => {
                    digits = digits.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?
                }
                b'.' if !point => point = true,
                _ => break,
            }
            if point && *byte != b'.' {
                scale *= 10.0;
            }
            length += 1;
        }
        self.0 = &self.0[length..];
        let plain = length > 0 && digits < 1 << 53 && scale <= 1e22;
        let x = digits as f64 / scale;
        plain.then_some(if negative { -x } else { x })
    }
}

/// A row of the output from one number.
fn print(seed: f64, out: &mut Vec<u8>) {
    for at in 0..34 {
        // Half of the columns are whole numbers, as in the pipeline's own rows.
        let x = if at % 2 == 0 { f64::from(at) } else { (seed + f64::from(at)) % 1000.0 };
        decimal(x, out);
        out.push(b',');
    }
    for at in 0..7 {
        decimal(f64::from(at * 36), out);
        out.push(b':');
        decimal((seed + f64::from(at)) % 1.0, out);
        out.push(b' ');
    }
    out.push(b'\n');
}

/// A number with at most six decimals, by whole numbers alone.
fn decimal(x: f64, out: &mut Vec<u8>) {
    let scaled = (x * 1e6) as u64;
    let (mut whole, mut part) = (scaled / 1_000_000, scaled % 1_000_000);
    let mut digits = [0u8; 28];
    let mut at = digits.len();
    if part > 0 {
        let mut width = 6;
        while part % 10 == 0 {
            part /= 10;
            width -= 1;
        }
        for _ in 0..width {
            at -= 1;
            digits[at] = b'0' + (part % 10) as u8;
            part /= 10;
        }
        at -= 1;
        digits[at] = b'.';
    }
    loop {
        at -= 1;
        digits[at] = b'0' + (whole % 10) as u8;
        whole /= 10;
        if whole == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
