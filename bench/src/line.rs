//! The line of JSON that a program prints.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::clock::{Times, median, peak_mb};

/// Who ran on what.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The program.
    pub peer: &'a str,
    /// How it was told to work.
    pub variant: &'a str,
    /// What it read.
    pub input: &'a str,
    /// The events in it.
    pub events: usize,
}

/// The line: medians of `rounds`, peak memory, and `check`.
pub fn line(who: &Who<'_>, rounds: &[Times], check: Value) -> String {
    let of = |pick: fn(&Times) -> &[f64; 5]| {
        let stage = |at: usize| median(rounds.iter().map(|times| pick(times)[at]).collect());
        let stages: Map<String, Value> =
            (0..5).map(|at| (format!("S{}", at + 1), json!(stage(at)))).collect();
        let total = median(rounds.iter().map(|times| pick(times).iter().sum()).collect());
        (stages, total)
    };
    let (wall, total) = of(|times| &times.wall);
    let (cpu, total_cpu) = of(|times| &times.cpu);
    let input = Path::new(who.input).file_name().map(|name| name.to_string_lossy().into_owned());
    json!({
        "peer": who.peer, "variant": who.variant, "input": input, "events": who.events,
        "stages": wall, "stages_cpu": cpu, "total": total, "total_cpu": total_cpu,
        "rss_mb": (peak_mb() * 10.0).round() / 10.0, "check": check,
    })
    .to_string()
}

/// A number with so many decimals: what `check` compares.
pub fn rounded(x: f64, decimals: i32) -> f64 {
    let scale = libm::pow(10.0, f64::from(decimals));
    (x * scale).round() / scale
}
