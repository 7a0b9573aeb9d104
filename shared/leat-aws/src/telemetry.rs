//! Logs as JSON lines and metrics in CloudWatch's embedded format, both on standard output. Neither holds a payload.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing_subscriber::EnvFilter;

/// The namespace of all metrics.
const NAMESPACE: &str = "Leat";

/// Logs from now on: JSON lines at `level` (`info`, `debug`, or a filter as `tracing` has it). A second call does
/// nothing.
pub(crate) fn init(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .json()
        .with_target(false)
        .with_current_span(false)
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .try_init();
}

/// What became of what an invocation received. Each event is in exactly one of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accounts {
    /// Events that came.
    pub received: u64,
    /// Applied, and taken by every sink.
    pub written: u64,
    /// Dropped by a rule that names it.
    pub dropped: u64,
    /// Put into quarantine with a reason.
    pub quarantined: u64,
    /// Applied by an earlier invocation, or a repeat of an id.
    pub already_applied: u64,
    /// Not done: they come again.
    pub handed_back: u64,
    /// Applied, refused by a sink until too old, and put aside as exact rows.
    pub undelivered: u64,
}

impl Accounts {
    /// True if each event that came is in exactly one account.
    pub const fn balance(&self) -> bool {
        self.received
            == self.written
                + self.dropped
                + self.quarantined
                + self.already_applied
                + self.handed_back
                + self.undelivered
    }

    /// Writes the accounts as metrics of `function`, and says so in the log if they do not balance (a bug).
    pub fn report(&self, function: &str, recipe: &str) {
        if !self.balance() {
            tracing::error!(accounts = ?self, "the accounts do not balance");
        }
        metrics(
            function,
            recipe,
            &[
                ("received", self.received),
                ("written", self.written),
                ("dropped", self.dropped),
                ("quarantined", self.quarantined),
                ("already_applied", self.already_applied),
                ("handed_back", self.handed_back),
                ("undelivered", self.undelivered),
            ],
        );
    }
}

/// Writes one line of counts with the dimensions `function` and `recipe`.
pub fn metrics(function: &str, recipe: &str, counts: &[(&str, u64)]) {
    let counts: Vec<_> =
        counts.iter().map(|(name, count)| (*name, "Count", Value::from(*count))).collect();
    say(&emf(&[("function", function), ("recipe", recipe)], &counts, now_millis()));
}

/// What the rules said of a data set: how many hold, do not, were not asked, and the share of those asked that hold, if
/// any was. The dimensions are `function`, `recipe` and `dataset`.
pub fn quality_metrics(
    function: &str,
    recipe: &str,
    dataset: &str,
    rules: [u64; 3],
    score: Option<f64>,
) {
    let dimensions = [("function", function), ("recipe", recipe), ("dataset", dataset)];
    say(&emf(&dimensions, &of_rules(rules, score), now_millis()));
}

/// The same of an hour of a stream, with the dimension `over` besides; and of drift by the names of `drift` what was
/// measured.
pub fn hour_metrics(
    function: &str,
    recipe: &str,
    dataset: &str,
    rules: [u64; 3],
    score: Option<f64>,
    drift: &[(String, f64)],
) {
    let dimensions =
        [("function", function), ("recipe", recipe), ("dataset", dataset), ("over", "hour")];
    let mut values: Vec<(&str, &str, Value)> = of_rules(rules, score);
    values.extend(drift.iter().map(|(name, value)| (name.as_str(), "None", (*value).into())));
    say(&emf(&dimensions, &values, now_millis()));
}

fn of_rules(rules: [u64; 3], score: Option<f64>) -> Vec<(&'static str, &'static str, Value)> {
    let [passed, failed, skipped] = rules.map(Value::from);
    let mut values = vec![
        ("rules_passed", "Count", passed),
        ("rules_failed", "Count", failed),
        ("rules_skipped", "Count", skipped),
    ];
    values.extend(score.map(|score| ("score", "None", score.into())));
    values
}

fn say(line: &Value) {
    // Lost standard output is no reason to fail an invocation.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn now_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// A line in the embedded format of `values`, each with its name and unit.
fn emf(dimensions: &[(&str, &str)], values: &[(&str, &str, Value)], now: u64) -> Value {
    let names: Vec<_> =
        values.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    let keys: Vec<&str> = dimensions.iter().map(|(key, _)| *key).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".into(),
        json!({
            "Timestamp": now,
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [keys], "Metrics": names}
            ]
        }),
    );
    line.extend(dimensions.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())));
    line.extend(values.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        let mut accounts =
            Accounts { received: 3, written: 2, handed_back: 1, ..Accounts::default() };
        assert!(accounts.balance());
        accounts.quarantined += 1;
        assert!(!accounts.balance());
    }

    #[test]
    fn embedded_format() {
        let dimensions = [("function", "f"), ("recipe", "r")];
        let values = [("received", "Count", 3.into()), ("score", "None", 0.5.into())];
        let line = emf(&dimensions, &values, 7);
        assert_eq!((&line["received"], &line["score"]), (&3.into(), &0.5.into()));
        let said = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(said["Dimensions"], json!([["function", "recipe"]]));
        assert_eq!(said["Metrics"][0], json!({"Name": "received", "Unit": "Count"}));
        assert_eq!(said["Metrics"][1], json!({"Name": "score", "Unit": "None"}));
        assert_eq!((&line["function"], &line["_aws"]["Timestamp"]), (&"f".into(), &7.into()));
    }
}
