//! The record of a run as one HTML file for people: what failed first, then all else. It holds nothing but the record:
//! no script, no style from elsewhere, and every text of the record is escaped.

use super::action::RowAction;
use super::distributions;
use super::result::{PastRun, Place, QualityResult, RejectedRows, RuleResult, RuleStatus};
use crate::drift::{DriftResult, Judged, Measure};
use crate::number::to_text;
use crate::profile::Summary;

/// What a page shows.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The record.
    pub result: &'a QualityResult,
    /// What earlier runs measured, the newest first.
    pub past: &'a [PastRun],
    /// What columns of the data hold; of those that are hidden no value is shown.
    pub columns: &'a [Summary],
}

/// A page of `<!doctype html>`.
pub fn html(page: Page<'_>) -> String {
    let Page { result, past, columns } = page;
    let title = format!("Data quality of {}", result.dataset);
    let mut body = header(result);
    body += &tiles(result);
    let order = |status: RuleStatus| match status {
        RuleStatus::Failed => 0,
        RuleStatus::Error => 1,
        RuleStatus::Passed => 2,
        RuleStatus::Skipped => 3,
    };
    let mut rules: Vec<&RuleResult> = result.outcomes.iter().collect();
    // Of those that do not hold what halts is first; rules else stay in the order of the ruleset.
    rules.sort_by_key(|rule| (order(rule.outcome), rule.outcome.fails().then_some(rule.action)));
    let (failed, others): (Vec<&RuleResult>, Vec<_>) =
        rules.into_iter().partition(|rule| rule.outcome.fails());
    if !failed.is_empty() {
        let cards: String = failed.iter().map(|rule| card(rule, result, past)).collect();
        body += &section("What does not hold", &cards);
    }
    if let Some(drift) = &result.drift {
        body += &section("Drift", &drifted(drift, past));
    }
    if !others.is_empty() {
        let rows: String = others.iter().map(|rule| line(rule, result, past)).collect();
        let head = "<tr><th>Rule</th><th>Measured</th><th>Earlier runs</th></tr>";
        body += &section("What holds", &format!("<table class=\"rules\">{head}{rows}</table>"));
    }
    if !result.rejects.is_empty() {
        body += &section("Rejected rows", &rejected(result));
    }
    if !columns.is_empty() {
        body += &section("Distributions", &distributions::cards(columns));
    }
    if !result.analyzers.is_empty() {
        let rows: String = result
            .analyzers
            .iter()
            .map(|(name, value)| {
                let drawn = sparkline(name, *value, None, past);
                format!(
                    "<tr><td><code>{}</code></td><td class=\"number\">{}</td><td>{drawn}</td></tr>",
                    escape(name),
                    figure(*value)
                )
            })
            .collect();
        let head = "<tr><th>Metric</th><th class=\"number\">Value</th><th>Earlier runs</th></tr>";
        body += &section("Analyzed", &format!("<table class=\"rules\">{head}{rows}</table>"));
    }
    body += &section("The run", &facts(result, past));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(&title)
    )
}

const STYLE: &str = include_str!("report.css");

/// `text` as HTML shows it, within elements and quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

/// A whole number in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn section(title: &str, content: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{content}\n</section>\n")
}

/// The word and the colour of the whole.
fn verdict(result: &QualityResult) -> (&'static str, &'static str) {
    match (result.halts(), result.passed) {
        (true, _) => ("Halted", "bad"),
        (false, false) => ("Goes on, with warnings", "warn"),
        (false, true) => ("Goes on", "good"),
    }
}

fn header(result: &QualityResult) -> String {
    let (word, class) = verdict(result);
    let score = match result.score {
        Some(score) => format!("{}<small>%</small>", percent(score)),
        None => "–".to_owned(),
    };
    let [passed, failed, skipped] = [
        result.rules(RuleStatus::Passed),
        result.rules_failed(),
        result.rules(RuleStatus::Skipped),
    ];
    let mut said = format!("{} of {} rules hold", grouped(passed), grouped(passed + failed));
    if skipped > 0 {
        said += &format!(", {} not asked here", grouped(skipped));
    }
    said += &format!(" · {}", escape(&result.now));
    if result.run != result.now {
        said += &format!(" · run <code>{}</code>", escape(&result.run));
    }
    format!(
        "<header class=\"{class}\">\n<div class=\"score\"><b>{score}</b>{}</div>\n<div>\n\
         <p class=\"verdict\">{word}</p>\n<h1>{}</h1>\n<p class=\"quiet\">{said}</p>\n</div>\n</header>\n",
        bar(passed, failed),
        escape(&result.dataset),
    )
}

/// A share in percent, cut rather than rounded: 100 is said of all alone.
pub(super) fn percent(share: f64) -> String {
    to_text((share * 1000.0).floor() / 10.0).trim_end_matches(".0").to_owned()
}

/// How much of a whole is good.
fn bar(good: u64, bad: u64) -> String {
    let all = good.saturating_add(bad);
    if all == 0 {
        return String::new();
    }
    let share = good as f64 / all as f64 * 100.0;
    // What is there is seen.
    let share = if bad > 0 { share.min(98.0) } else { share };
    let share = if good > 0 { share.max(2.0) } else { share };
    format!("<span class=\"bar\"><i style=\"width:{share:.1}%\"></i></span>")
}

fn tiles(result: &QualityResult) -> String {
    let known = ["read", "kept", "rejected", "dropped"];
    let mut tiles: Vec<(&str, u64)> = known
        .iter()
        .filter_map(|name| Some((*name, *result.counts.get(*name)?)))
        .filter(|(name, count)| *count > 0 || *name != "dropped")
        .collect();
    let others = result.counts.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    tiles.extend(others.filter(|(_, count)| **count > 0).map(|(n, count)| (n.as_str(), *count)));
    let tiles: String = tiles
        .into_iter()
        .map(|(name, count)| {
            let class = if name == "rejected" && count > 0 { " class=\"bad\"" } else { "" };
            format!(
                "<li{class}><b>{}</b> rows {}</li>",
                grouped(count),
                escape(&name.replace('_', " "))
            )
        })
        .collect();
    format!("<ul class=\"tiles\">{tiles}</ul>\n")
}

fn chip(rule: &RuleResult) -> String {
    let (word, class) = match (rule.outcome, rule.action) {
        (RuleStatus::Passed, _) => ("Passed", "good"),
        (RuleStatus::Skipped, _) => ("Not asked", "none"),
        (RuleStatus::Error, RowAction::Halt) => ("Error, halts", "bad"),
        (RuleStatus::Error, _) => ("Error", "warn"),
        (RuleStatus::Failed, RowAction::Halt) => ("Failed, halts", "bad"),
        (RuleStatus::Failed, RowAction::Quarantine) => ("Failed, quarantines", "warn"),
        (RuleStatus::Failed, RowAction::Warn) => ("Failed, warns", "warn"),
    };
    format!("<span class=\"chip {class}\">{word}</span>")
}

/// A rule that does not hold.
fn card(rule: &RuleResult, result: &QualityResult, past: &[PastRun]) -> String {
    let class = if rule.action == RowAction::Halt { "bad" } else { "warn" };
    let mut out = format!(
        "<article class=\"{class}\">\n{}<h3><code>{}</code></h3>\n",
        chip(rule),
        code(rule)
    );
    if rule.evaluated != rule.rule {
        out += &format!("<p class=\"quiet\">as <code>{}</code></p>\n", escape(&rule.evaluated));
    }
    if let Some(reason) = &rule.reason {
        out += &format!("<p>{}</p>\n", escape(reason));
    }
    let measured: String = rule
        .metrics
        .iter()
        .map(|(name, value)| measurement(rule, name, *value, result, past))
        .collect();
    if !measured.is_empty() {
        out += &format!("<table class=\"measured\">{measured}</table>\n");
    }
    if let (Some(good), Some(bad)) = (rule.passed_rows, rule.failed_rows) {
        let all = good.saturating_add(bad);
        out += &format!(
            "<p class=\"rows\">{}<span>{} of {} rows fail</span></p>\n",
            bar(good, bad),
            grouped(bad),
            grouped(all)
        );
    } else if let Some(bad @ 1..) = rule.failed_rows {
        out += &format!("<p class=\"rows\"><span>{} rows fail</span></p>\n", grouped(bad));
    }
    out += &places(&rule.samples);
    out + "</article>\n"
}

/// The rule as it stands, without the labels, which follow.
fn code(rule: &RuleResult) -> String {
    escape(&rule.rule)
}

/// A metric in a card: value, what it is held against, and what it was.
fn measurement(
    rule: &RuleResult,
    name: &str,
    value: f64,
    result: &QualityResult,
    past: &[PastRun],
) -> String {
    let threshold = held_against(rule, name);
    let wanted = threshold.map(|t| format!("wanted {}", escape(t))).unwrap_or_default();
    format!(
        "<tr><td><code>{}</code></td><td class=\"number\">{}</td><td class=\"quiet\">{wanted}</td><td>{}</td></tr>",
        escape(name),
        figure(value),
        sparkline(&kept_as(rule, name, result), value, threshold, past)
    )
}

/// What the metric `name` of a rule is held against. Of a rule whose condition is about values, the condition speaks of the
/// least or the greatest one; of the share of rows that pass, a threshold alone.
fn held_against<'r>(rule: &'r RuleResult, name: &str) -> Option<&'r str> {
    let threshold = rule.threshold.as_deref()?;
    let of_share = rule.rule.contains(" with threshold ");
    let of_least = threshold.starts_with('>');
    let metric = name.rsplit('.').next().unwrap_or_default();
    let speaks = match metric {
        "Compliance" => of_share,
        "Minimum" | "MinimumLength" => !of_share && of_least,
        "Maximum" | "MaximumLength" => !of_share && !of_least,
        _ => true,
    };
    speaks.then_some(threshold)
}

/// The name that a rule's metric has in the history: a rule with `where` has one of its own.
fn kept_as(rule: &RuleResult, name: &str, result: &QualityResult) -> String {
    let prefix = format!("{name} where ");
    let of_rule = |key: &&String| {
        let filter = key.strip_prefix(&prefix).map(super::print::quoted);
        filter.is_some_and(|filter| rule.evaluated.contains(&format!(" where {filter}")))
    };
    result.measured.keys().find(of_rule).cloned().unwrap_or_else(|| name.to_owned())
}

/// A rule that holds, or was not asked.
fn line(rule: &RuleResult, result: &QualityResult, past: &[PastRun]) -> String {
    let mut measured = String::new();
    let mut drawn = String::new();
    for (name, value) in &rule.metrics {
        measured +=
            &format!("<div>{} <span class=\"quiet\">{}</span></div>", figure(*value), escape(name));
        let kept = kept_as(rule, name, result);
        drawn += &sparkline(&kept, *value, held_against(rule, name), past);
    }
    let reason = rule.reason.as_deref().map(|reason| format!("<p>{}</p>", escape(reason)));
    format!(
        "<tr><td>{}<code>{}</code>{}</td><td>{measured}</td><td>{drawn}</td></tr>\n",
        chip(rule),
        code(rule),
        reason.unwrap_or_default()
    )
}

fn places(places: &[Place]) -> String {
    if places.is_empty() {
        return String::new();
    }
    let items: String = places
        .iter()
        .map(|place| format!("<li><code>{}</code></li>", escape(&place.to_string())))
        .collect();
    format!("<p class=\"quiet\">for example at</p><ul class=\"places\">{items}</ul>\n")
}

fn rejected(result: &QualityResult) -> String {
    let mut rejects: Vec<(&String, &RejectedRows)> = result.rejects.iter().collect();
    rejects.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.count));
    let most = rejects.iter().map(|(_, rows)| rows.count).max().unwrap_or(1).max(1);
    let rows: String = rejects
        .into_iter()
        .map(|(rule, rows)| {
            let width = (rows.count as f64 / most as f64 * 100.0).max(1.0);
            format!(
                "<tr><td><code>{}</code><p>{}</p>{}</td><td class=\"number\"><b>{}</b></td>\
                 <td><span class=\"amount\"><i style=\"width:{width:.1}%\"></i></span></td></tr>\n",
                escape(rule),
                escape(&rows.reason),
                places(&rows.samples),
                grouped(rows.count)
            )
        })
        .collect();
    format!(
        "<table class=\"rules\"><tr><th>Rule</th><th class=\"number\">Rows</th><th></th></tr>{rows}</table>"
    )
}

/// The limits of drift, those first that do not hold.
fn drifted(drift: &DriftResult, past: &[PastRun]) -> String {
    let against = match &drift.against {
        Some(against) => format!("<p class=\"quiet\">against <code>{}</code></p>", escape(against)),
        None => String::new(),
    };
    let reason = drift.reason.as_deref().map(|reason| format!("<p>{}</p>", escape(reason)));
    let mut out = against + &reason.unwrap_or_default();
    if drift.judged.is_empty() {
        return out;
    }
    let mut judged: Vec<&Judged> = drift.judged.iter().collect();
    judged.sort_by_key(|limit| (!limit.fails(), limit.fails().then_some(limit.action)));
    let row = |limit: &Judged| {
        let (word, class) = match (limit.outcome, limit.action) {
            (RuleStatus::Passed | RuleStatus::Skipped, _) => ("Within", "good"),
            (RuleStatus::Error, RowAction::Halt) => ("Not measured, halts", "bad"),
            (RuleStatus::Error, _) => ("Not measured", "warn"),
            (RuleStatus::Failed, RowAction::Halt) => ("Beyond, halts", "bad"),
            (RuleStatus::Failed, _) => ("Beyond, warns", "warn"),
        };
        let measure = limit.measure.map_or("columns", |measure| measure.word());
        let why = match (limit.outcome, limit.measure) {
            (RuleStatus::Failed, Some(_)) => None,
            _ => limit.reason.as_deref().map(|reason| format!("<p>{}</p>", escape(reason))),
        };
        let side = match limit.measure.is_some_and(Measure::is_chance) {
            true => "at least",
            false => "at most",
        };
        let wanted =
            limit.limit.map(|x| format!("<span class=\"quiet\">{side}</span> {}", figure(x)));
        let drawn = limit.metric().zip(limit.value).map(|(name, value)| {
            let threshold = limit.limit.map(|limit| format!("<= {}", to_text(limit)));
            sparkline(&name, value, threshold.as_deref(), past)
        });
        format!(
            "<tr><td><span class=\"chip {class}\">{word}</span><code>{}</code> {measure}{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td></tr>\n",
            escape(&limit.column),
            why.unwrap_or_default(),
            limit.value.map(figure).unwrap_or_default(),
            wanted.unwrap_or_default(),
            drawn.unwrap_or_default()
        )
    };
    let rows: String = judged.into_iter().map(row).collect();
    out += &format!(
        "<table class=\"rules\"><tr><th>Column</th><th class=\"number\">Measured</th>\
         <th class=\"number\">Limit</th><th>Earlier runs</th></tr>{rows}</table>"
    );
    out
}

fn facts(result: &QualityResult, past: &[PastRun]) -> String {
    let mut facts = vec![
        ("Logical time", result.now.clone()),
        ("Run", result.run.clone()),
        ("Rows", grouped(result.rows)),
    ];
    let optional = [
        ("Recipe", &result.recipe),
        ("Recipe's hash", &result.recipe_hash),
        ("Ruleset's hash", &result.ruleset_hash),
    ];
    facts.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    facts.push(("Engine", format!("leat {}", result.engine)));
    if !past.is_empty() {
        facts.push(("Earlier runs", grouped(past.len() as u64)));
    }
    let rows: String = facts
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd><code>{}</code></dd>", escape(value)))
        .collect();
    format!("<dl>{rows}</dl>")
}

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 44.0;
const EDGE: f64 = 5.0;
/// So many of the newest runs are drawn.
pub const DRAWN: usize = 60;

/// The number that a threshold speaks of, where it is one.
fn limit(threshold: &str) -> Option<f64> {
    let (sign, number) = threshold.split_once(' ')?;
    let comparison = ["=", "!=", "<", "<=", ">", ">="].contains(&sign);
    number.parse().ok().filter(|x: &f64| comparison && x.is_finite())
}

/// The values of a metric in earlier runs and in this one, as a line; nothing without earlier ones.
fn sparkline(name: &str, value: f64, threshold: Option<&str>, past: &[PastRun]) -> String {
    let earlier = past.iter().filter_map(|run| Some((run.now.as_str(), *run.measured.get(name)?)));
    let mut values: Vec<(&str, f64)> = earlier.filter(|(_, x)| x.is_finite()).take(DRAWN).collect();
    if values.is_empty() || !value.is_finite() {
        return String::new();
    }
    values.reverse();
    values.push(("this run", value));
    let limit = threshold.and_then(limit);
    let (mut low, mut high) = (value, value);
    for x in values.iter().map(|(_, x)| *x).chain(limit) {
        (low, high) = (low.min(x), high.max(x));
    }
    let span = high - low;
    let y = |x: f64| match span > 0.0 && span.is_finite() {
        true => HEIGHT - EDGE - (x - low) / span * (HEIGHT - 2.0 * EDGE),
        false => HEIGHT / 2.0,
    };
    let step = (WIDTH - 2.0 * EDGE) / (values.len() - 1) as f64;
    let points: Vec<(f64, f64)> =
        values.iter().enumerate().map(|(at, (_, v))| (EDGE + step * at as f64, y(*v))).collect();
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let drawn = limit.map(|at| {
        let y = y(at);
        format!("<line x1=\"0\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\" class=\"limit\"/>")
    });
    let dots: String = points
        .iter()
        .zip(&values)
        .enumerate()
        .map(|(at, ((x, y), (now, value)))| {
            let last = at + 1 == points.len();
            let (class, radius) = if last { ("last", 3.5) } else { ("dot", 2.0) };
            format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" class=\"{class}\"><title>{}: {}</title></circle>",
                escape(now),
                escape(&to_text(*value))
            )
        })
        .collect();
    format!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{} runs\">\
         {}<polyline points=\"{}\"/>{dots}</svg><figcaption>{} to {} in {} runs</figcaption></figure>",
        values.len(),
        drawn.unwrap_or_default(),
        line.join(" "),
        escape(&short(values.iter().map(|(_, x)| *x).fold(value, f64::min))),
        escape(&short(values.iter().map(|(_, x)| *x).fold(value, f64::max))),
        values.len()
    )
}

/// A number in at most six digits, with all of them for whoever points at it.
pub(super) fn figure(x: f64) -> String {
    let full = to_text(x);
    let short = format!("{x:.5e}").parse().map_or_else(|_| full.clone(), to_text);
    format!("<b title=\"{}\">{}</b>", escape(&full), escape(short.trim_end_matches(".0")))
}

/// A number in a few digits.
pub(super) fn short(x: f64) -> String {
    let scale = match x.abs() {
        size if size >= 1000.0 => 1.0,
        size if size >= 1.0 => 100.0,
        _ => 10_000.0,
    };
    to_text((x * scale).round() / scale).trim_end_matches(".0").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::result::{About, Findings};
    use super::*;

    fn rule(text: &str, outcome: RuleStatus, action: RowAction) -> RuleResult {
        RuleResult {
            rule: text.into(),
            outcome,
            reason: Some(format!("why {text}")),
            action,
            metrics: [("Column.a.Mean".to_owned(), 3.5)].into(),
            threshold: Some("> 5".into()),
            evaluated: text.into(),
            labels: Default::default(),
            passed_rows: Some(7),
            failed_rows: Some(3),
            samples: vec![Place { source: "<a>.csv".into(), line: 3, ..Place::default() }],
        }
    }

    fn result(outcomes: Vec<RuleResult>) -> QualityResult {
        let about = About { dataset: "<i>cards</i>".into(), run: "r&1".into(), ..About::default() };
        let rejects = |count| RejectedRows { count, reason: "no <b>".into(), samples: Vec::new() };
        let findings = Findings {
            outcomes,
            rows: 1_234_567,
            rejected: [("type".to_owned(), rejects(3)), ("decode".to_owned(), rejects(40))].into(),
            analyzers: [("Column.\"x\".Sum".to_owned(), 1.0)].into(),
            measured: [("Column.a.Mean".to_owned(), 3.5)].into(),
            ..Findings::default()
        };
        QualityResult::new(about, findings)
    }

    fn past(count: usize) -> Vec<PastRun> {
        let run = |n: usize| {
            let measured = [("Column.a.Mean".to_owned(), n as f64)].into();
            PastRun { now: format!("2026-01-{n:02}"), measured, ..result(Vec::new()).past() }
        };
        (1..=count).rev().map(run).collect()
    }

    #[test]
    fn what_fails_is_first_and_all_texts_are_escaped() {
        use RowAction::{Halt, Quarantine, Warn};
        let outcomes = vec![
            rule("first \"ok\"", RuleStatus::Passed, Halt),
            rule("second", RuleStatus::Skipped, Halt),
            rule("third", RuleStatus::Failed, Warn),
            rule("fourth <script>", RuleStatus::Failed, Halt),
            rule("fifth", RuleStatus::Error, Quarantine),
        ];
        let result = result(outcomes);
        let judged = |column: &str, value: f64, outcome, action| Judged {
            column: column.into(),
            measure: Some(Measure::Psi),
            value: Some(value),
            limit: Some(0.2),
            outcome,
            action,
            reason: None,
        };
        let mut result = result;
        result.drift = Some(DriftResult {
            limits_hash: "h".into(),
            against: Some("run <0>".into()),
            reason: None,
            judged: vec![
                judged("within", 0.1, RuleStatus::Passed, Halt),
                judged("beyond", 0.3, RuleStatus::Failed, Warn),
                judged("far <beyond>", 3.5, RuleStatus::Failed, Halt),
            ],
        });
        let mut profile =
            crate::profile::Profile::new(&[("amount".to_owned(), crate::column::Type::Double)]);
        profile.update(&[crate::column::Column::doubles([Some(1.0), Some(1.0)])], 2);
        let columns = profile.finish(|_| false);
        let page = Page { result: &result, past: &past(3), columns: &columns };
        let text = html(page);
        let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in {text}"));
        let order = ["fourth &lt;script&gt;", "third", "fifth", "first &quot;ok&quot;", "second"];
        let order: Vec<usize> =
            order.iter().map(|rule| at(&format!("<code>{rule}</code>"))).collect();
        assert!(order.is_sorted(), "{order:?}");
        for words in [
            "Halted",
            "25<small>%",
            "&lt;i&gt;cards&lt;/i&gt;",
            "1,234,567",
            "3 of 10 rows fail",
            "&lt;a&gt;.csv:3",
            "1 of 4 rules hold, 1 not asked here",
            "run <code>r&amp;1</code>",
            "against <code>run &lt;0&gt;</code>",
            "at most</span> <b title=\"0.2\">0.2</b>",
            "<h2>Distributions</h2>",
            "<code>amount</code>",
            "class=\"limit\"",
            "2026-01-02: 2.0",
            "Column.&quot;x&quot;.Sum",
        ] {
            at(words);
        }
        assert!(at("decode") < at("<code>type</code>"), "most rows first");
        let order =
            ["<code>far &lt;beyond&gt;</code> psi", "<code>beyond</code>", "<code>within</code>"];
        assert!(order.map(at).is_sorted(), "{text}");
        for not in ["<script", "http://", "https://", "<i>cards", "<b>no", "src="] {
            assert!(!text.contains(not), "{not} in {text}");
        }
        assert_eq!(text, html(page));
    }

    #[test]
    fn a_page_without_anything() {
        let result = QualityResult::new(About::default(), Findings::default());
        let text = html(Page { result: &result, past: &[], columns: &[] });
        assert!(text.contains("Goes on") && text.contains("0 of 0 rules hold"), "{text}");
        for not in ["<svg", "NaN", "Distributions", "Drift", "What holds"] {
            assert!(!text.contains(not), "{not} in {text}");
        }
    }

    #[test]
    fn numbers() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (share, text) in [(1.0, "100"), (0.9999, "99.9"), (0.5, "50"), (0.0, "0")] {
            assert_eq!(percent(share), text);
        }
        for (text, number) in
            [("> 5", Some(5.0)), ("between 1 and 2", None), ("= NULL", None), (">= 0.5", Some(0.5))]
        {
            assert_eq!(limit(text), number, "{text}");
        }
        for (x, text) in
            [(0.1 + 0.2, "0.3"), (8053.12, "8053.12"), (1_624_706.83, "1624710"), (3.0, "3")]
        {
            assert_eq!(figure(x), format!("<b title=\"{}\">{text}</b>", to_text(x)));
        }
        for (x, text) in [(0.98765, "0.9877"), (12.345, "12.35"), (12345.6, "12346"), (-2.0, "-2")]
        {
            assert_eq!(short(x), text);
        }
    }

    #[test]
    fn lines() {
        let draw = |value, past: &[PastRun]| sparkline("Column.a.Mean", value, Some("> 2"), past);
        assert_eq!(draw(1.0, &[]), "");
        let drawn = draw(3.0, &past(2));
        assert!(drawn.contains("points=\"5.0,39.0 100.0,22.0 195.0,5.0\""), "{drawn}");
        assert!(drawn.contains("y1=\"22.0\"") && drawn.contains("1 to 3 in 3 runs"), "{drawn}");
        // Nothing changes: a line in the middle.
        let flat = sparkline("Column.a.Mean", 1.0, None, &past(1));
        assert!(flat.contains("points=\"5.0,22.0 195.0,22.0\""), "{flat}");
        let mut filtered =
            rule("Mean \"a\" > 1 where \"b = \\\"x\\\"\"", RuleStatus::Failed, RowAction::Warn);
        let mut of = result(Vec::new());
        of.measured.insert("Column.a.Mean where b = \"x\"".into(), 1.0);
        assert_eq!(kept_as(&filtered, "Column.a.Mean", &of), "Column.a.Mean where b = \"x\"");
        let held = |rule: &str, threshold: &str, name: &str| {
            let mut of = filtered.clone();
            (of.rule, of.threshold) = (rule.into(), Some(threshold.into()));
            held_against(&of, &format!("Column.a.{name}")).is_some()
        };
        for (text, threshold, name, is) in [
            ("ColumnValues \"a\" > 0", "> 0", "Minimum", true),
            ("ColumnValues \"a\" > 0", "> 0", "Maximum", false),
            ("ColumnValues \"a\" < 9", "< 9", "Maximum", true),
            ("ColumnValues \"a\" < 9", "< 9", "ColumnValues.Compliance", false),
            (
                "ColumnValues \"a\" < 9 with threshold > 0.5",
                "> 0.5",
                "ColumnValues.Compliance",
                true,
            ),
            ("ColumnValues \"a\" < 9 with threshold > 0.5", "> 0.5", "Minimum", false),
            ("Mean \"a\" < 9", "< 9", "Mean", true),
        ] {
            assert_eq!(held(text, threshold, name), is, "{text} {name}");
        }
        filtered.evaluated = "Mean \"a\" > 1".into();
        assert_eq!(kept_as(&filtered, "Column.a.Mean", &of), "Column.a.Mean");
    }
}
