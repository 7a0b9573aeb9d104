//! Events as producers send them, well or badly.

use crate::random::Random;
use crate::recipe::{Recipe, SECOND, Window};

/// A record, as bytes, and when it arrived, in milliseconds.
#[derive(Clone, Debug)]
pub struct Event {
    pub bytes: Vec<u8>,
    pub arrival: Option<i64>,
}

impl Event {
    pub fn show(&self) -> String {
        format!("{:?} {}", self.arrival, String::from_utf8_lossy(&self.bytes))
    }
}

/// 2026-01-01T00:00:00Z in seconds.
const START: i64 = 1_767_225_600;

/// Who sends events.
const WHO: [&str; 4] = ["a", "b", "c-ü", "a\\u0000"];

pub fn random(r: &mut Random, recipe: &Recipe) -> Vec<Event> {
    let mut clock = START;
    let count = *r.pick(&[3, 10, 30, 60]);
    // What came so far, as (id, who, time); and which of it comes again next.
    let (mut past, mut again) = (Vec::<(usize, &str, i64)>::new(), None);
    let mut spans: Vec<i64> = recipe.windows.iter().flat_map(Window::spans).collect();
    spans.extend(recipe.dedupe.map(|(within, _)| within / SECOND));
    (0..count)
        .map(|at: usize| {
            clock += *r.pick(&[0, 0, 1, 30, 60, 300, 1800, 3600, 43_200, 90_000]);
            let late = if r.one_in(4) { *r.pick(&[1, 50, 3_700, 100_000, 2_000_000]) } else { 0 };
            let micros = if r.one_in(3) { r.below(1_000_000) as i64 } else { 0 };
            let mut time = (clock - late) * SECOND + micros;
            let mut id = if r.one_in(3) { at.saturating_sub(1 + r.below(3)) } else { at };
            let mut who = *r.pick(&WHO);
            let before = past.len().checked_sub(1 + r.below(3));
            if let Some((same, its, _)) = again.take() {
                (id, who) = (same, its);
            } else if let (Some(before), true, false) = (before, r.one_in(4), spans.is_empty()) {
                // At the far end of what is held of an event, or just beside it; and then that event once more.
                let far = *r.pick(&spans) * SECOND + *r.pick(&[0, 0, -1, 1]);
                time = past[before].2 + far;
                who = past[before].1;
                clock = clock.max(time.div_euclid(SECOND));
                again = r.one_in(2).then_some(past[before]);
            }
            past.push((id, who, time));
            let arrival =
                (!r.one_in(5)).then(|| clock * 1000 + if r.one_in(8) { -400_000 } else { 0 });
            Event { bytes: line(r, recipe, id, who, time), arrival }
        })
        .collect()
}

fn line(r: &mut Random, recipe: &Recipe, id: usize, who: &str, time: i64) -> Vec<u8> {
    let mut members: Vec<(String, String)> = vec![
        ("id".into(), format!("\"e{id}\"")),
        ("who".into(), format!("\"{who}\"")),
        (
            "at".into(),
            if r.one_in(3) {
                time.to_string()
            } else {
                format!("\"{}\"", leat::timestamp::to_text(time))
            },
        ),
        ("x".into(), number(r)),
        ("y".into(), number(r)),
        ("n".into(), whole(r)),
        ("s".into(), text(r)),
        ("b".into(), (*r.pick(&["true", "false", "null"])).into()),
        (
            "t".into(),
            (*r.pick(&[
                "null",
                "0",
                "\"2024-02-29T23:59:59.5+01:00\"",
                "\"1969-12-31 23:59:59\"",
                "1767225600123",
            ]))
            .into(),
        ),
        ("label".into(), (*r.pick(&["0", "1", "1.0", "null"])).into()),
    ];
    // What a producer may do to it.
    if r.one_in(4) {
        members.remove(r.below(members.len()));
    }
    if r.one_in(12) {
        let at = r.below(members.len());
        members[at].1 = (*r.pick(&[
            "null",
            "\"\"",
            "{}",
            "[1]",
            "\"3\"",
            "3",
            "true",
            "1e999",
            "nul",
            "01",
            "-",
            "\"\\ud800\"",
        ]))
        .into();
    }
    if r.one_in(3) {
        let at = r.below(members.len());
        let member = members.remove(at);
        members.insert(r.below(members.len() + 1), member);
    }
    if r.one_in(8) {
        let again = members[r.below(members.len())].clone();
        let value = if r.one_in(2) { again.1.clone() } else { "null".into() };
        members.push((again.0, value));
    }
    if r.one_in(if recipe.unknown == "quarantine" { 20 } else { 3 }) {
        let value = (*r.pick(&["1", "\"u\"", "{\"a\":[1,{}]}", "null"])).into();
        members.push(((*r.pick(&["extra", "more", "ü"])).into(), value));
    }
    let (comma, colon) = *r.pick(&[(",", ":"), (",", ":"), (" , ", " : "), (",\t", ":\r")]);
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| {
            // Another way to write the same name.
            let name = if r.one_in(20) { name.replace('x', "\\u0078") } else { name };
            format!("\"{name}\"{colon}{value}")
        })
        .collect();
    let mut line = format!("{{{}}}", members.join(comma)).into_bytes();
    if r.one_in(20) {
        match r.below(5) {
            0 => line.truncate(r.below(line.len())),
            1 => line.push(b'}'),
            2 => {
                let at = r.below(line.len());
                line[at] = Some(r.bits() as u8).filter(|byte| *byte != b'\n').unwrap_or_default();
            }
            3 => line = b"[]".to_vec(),
            _ => line.splice(0..0, *b" \t").for_each(drop),
        }
    }
    line
}

fn number(r: &mut Random) -> String {
    match r.below(8) {
        0 => (*r
            .pick(&["null", "0", "-0", "-0.0", "0.0", "1", "-1", "1e0", "100", "100.0", "1.5"]))
        .into(),
        1 => (*r.pick(&[
            "4.9e-324",
            "2.2250738585072014e-308",
            "2.2250738585072011e-308",
            "1.7976931348623157e308",
            "-1.7976931348623157e308",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "123456789012345678901234567890",
            "0.1e-400",
            "1E+2",
            "0.30000000000000004",
            "5e-1",
        ]))
        .into(),
        2 => {
            let x = f64::from_bits(r.bits());
            if x.is_finite() { format!("{x:e}") } else { "null".into() }
        }
        3 => format!("{}", r.below(100_000) as f64 / 100.0),
        _ => format!("{}.{}", r.below(2_000) as i64 - 500, r.below(1000)),
    }
}

fn whole(r: &mut Random) -> String {
    match r.below(4) {
        0 => (*r.pick(&[
            "null",
            "0",
            "-0",
            "3.0",
            "1e3",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
            "9007199254740991.0",
        ]))
        .into(),
        _ => (r.below(50) as i64 - 10).to_string(),
    }
}

fn text(r: &mut Random) -> String {
    let texts = [
        "null",
        "\"\"",
        "\" \"",
        "\"a\"",
        "\"web\"",
        "\"don't\"",
        "\"Ünï\"",
        "\"\\u00dcn\\u00ef\"",
        "\"7\"",
        "\"7.0\"",
        "\"\\ud83d\\ude00\"",
        "\"😀\"",
        "\"a\\nb\"",
        "\"\\\"q,\\\"\"",
        "\"\u{3000}\"",
        "\"NaN\"",
        "\"nan\"",
        "\"true\"",
        "\"1e5\"",
        "\"Infinity\"",
        "\"e\u{301}\"",
    ];
    (*r.pick(&texts)).into()
}
