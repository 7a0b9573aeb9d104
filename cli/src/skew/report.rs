//! The page of a comparison.

use std::collections::BTreeMap;
use std::fmt::Write;

use leat::column::Type;
use leat::drift::{ColumnDrift, Drift, Judged, Measure};
use leat::profile::ColumnProfile;

use super::{is_passed, measured, summary, told};
use crate::html::{self, bars, cell, count, escape, label, percent};
use crate::profile::Profiled;

/// A histogram has at most so many bins.
const BINS: usize = 30;
/// So many values are shown.
const TOP: usize = 10;

/// What the page is made of.
pub struct Pages<'p> {
    /// What was compared with what.
    pub names: (&'p str, &'p str),
    /// The first data set; none of a fitted state.
    pub before: Option<&'p Profiled>,
    /// The second.
    pub now: &'p Profiled,
    pub drift: &'p Drift,
    pub breaches: &'p [Judged],
    /// Whether there were limits.
    pub judged: bool,
}

/// The page: verdict, a table of all measures, then a card for each column.
pub fn page(pages: &Pages<'_>) -> String {
    let Pages { names, before, now, drift, breaches, judged } = pages;
    let (first, second) = (escape(names.0), escape(names.1));
    let rows = match before {
        Some(before) => format!("{} rows and ", count(before.profile.rows())),
        None => "a fitted state and ".to_owned(),
    };
    let verdict = match (judged, breaches.len()) {
        (false, _) => "<span class=\"dim\">no limits were given</span>".to_owned(),
        (true, 0) => "<span class=\"good\">within all limits</span>".to_owned(),
        (true, n) => format!("<span class=\"bad\">{n} limits passed</span>"),
    };
    let mut body = format!(
        "<h1>Drift</h1>\n<p><span class=\"key\">{first}</span><span class=\"key second\">{second}</span></p>\n\
         <p class=\"dim\">{rows}{} rows</p>\n<p>{verdict}</p>\n",
        count(now.profile.rows())
    );
    if !breaches.is_empty() {
        body += "<div class=\"card\"><ul>\n";
        for breach in *breaches {
            let _ = writeln!(
                body,
                "<li class=\"bad\">{}</li>",
                escape(breach.reason.as_deref().unwrap_or_default())
            );
        }
        body += "</ul></div>\n";
    } else if !drift.schema.is_empty() {
        body += "<div class=\"card\"><p class=\"dim\">columns that differ</p><ul>\n";
        for mismatch in &drift.schema {
            let _ = writeln!(body, "<li>{}</li>", escape(&mismatch.to_string()));
        }
        body += "</ul></div>\n";
    }
    table(drift, breaches, &mut body);
    for (at, column) in drift.columns.iter().enumerate() {
        card(at, column, pages, &mut body);
    }
    html::page(&format!("Drift: {} and {}", names.0, names.1), &body)
}

fn table(drift: &Drift, breaches: &[Judged], body: &mut String) {
    let measures = measured(drift);
    *body += "<div class=\"card wide\"><table>\n<tr><th>column</th><th>type</th>";
    for measure in &measures {
        let _ = write!(body, "<th class=\"n\">{measure}</th>");
    }
    *body += "</tr>\n";
    for (at, column) in drift.columns.iter().enumerate() {
        let name = escape(&column.name);
        let _ = write!(body, "<tr><td><a href=\"#c{at}\">{name}</a></td><td>{}</td>", column.kind);
        for measure in &measures {
            let class = if is_passed(breaches, column, *measure) { "n bad" } else { "n" };
            let said = column.measured(*measure).map(|x| escape(&told(*measure, x)));
            let _ = write!(body, "<td class=\"{class}\">{}</td>", said.unwrap_or_default());
        }
        *body += "</tr>\n";
    }
    *body += "</table></div>\n";
}

fn card(at: usize, drift: &ColumnDrift, pages: &Pages<'_>, body: &mut String) {
    let _ = write!(
        body,
        "<section class=\"card\" id=\"c{at}\"><h2>{}<span class=\"tag\">{}</span></h2>\n<div class=\"two\"><div><table>\n",
        escape(&drift.name),
        drift.kind
    );
    for measure in Measure::ALL {
        let Some(value) = drift.measured(measure) else { continue };
        let class = if is_passed(pages.breaches, drift, measure) { "n bad" } else { "n" };
        let _ = writeln!(
            body,
            "<tr><td class=\"dim\">{measure}</td><td class=\"{class}\">{}</td></tr>",
            escape(&told(measure, value))
        );
    }
    *body += "</table>";
    for note in &drift.notes {
        let _ = write!(body, "<p class=\"dim\">{}</p>", escape(note));
    }
    *body += "</div>\n<div class=\"plots\">\n";
    let now = pages.now.profile.column(&drift.name);
    let before = pages.before.and_then(|before| before.profile.column(&drift.name));
    let hidden = [Some(pages.now), pages.before]
        .into_iter()
        .flatten()
        .any(|profiled| summary(profiled, &drift.name).is_some_and(|summary| summary.hidden));
    match (before, now) {
        _ if hidden => *body += "<p class=\"dim\">may be personal: values are not shown</p>",
        (Some(before), Some(now)) if before.kind == now.kind || numeric(before, now) => {
            plot(before, now, body);
        }
        _ => {}
    }
    *body += "</div></div></section>\n";
}

fn numeric(before: &ColumnProfile, now: &ColumnProfile) -> bool {
    before.kind.is_numeric() && now.kind.is_numeric()
}

fn plot(before: &ColumnProfile, now: &ColumnProfile, body: &mut String) {
    let few = |column: &ColumnProfile| column.distinct().0 <= TOP as f64;
    let bars_of = matches!(before.kind, Type::String | Type::Bool) || (few(before) && few(now));
    if bars_of {
        return categories(before, now, body);
    }
    let mut both = before.numbers.clone();
    both.merge(&now.numbers);
    let Some(whole) = both.histogram(BINS) else { return };
    let series = [before, now].map(|column| {
        let all = column.numbers.count().max(1) as f64;
        let histogram = column.numbers.count_into(whole.edges.clone());
        histogram.counts.iter().map(|n| *n as f64 / all).collect::<Vec<f64>>()
    });
    let edges: Vec<String> = whole.edges.iter().map(|edge| cell(before.kind, *edge)).collect();
    let tips: Vec<String> =
        edges.windows(2).map(|pair| format!("{} to {}", pair[0], pair[1])).collect();
    let beyond = |n: u64, word: &str| match n {
        0 => String::new(),
        n => format!(" ({} {word})", count(n)),
    };
    let first = edges.first().cloned().unwrap_or_default() + &beyond(whole.below, "below");
    let last = edges.last().cloned().unwrap_or_default() + &beyond(whole.above, "above");
    *body += &html::histogram(&[&series[0], &series[1]], &first, &last, &tips);
}

/// The values that are most frequent in both together.
fn categories(before: &ColumnProfile, now: &ColumnProfile, body: &mut String) {
    let ((a, _), (b, _)) = (before.top(), now.top());
    let of = |column: &ColumnProfile| column.present().max(1) as f64;
    let mut shares: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    a.iter().for_each(|(value, n)| shares.entry(value).or_default()[0] = *n as f64 / of(before));
    b.iter().for_each(|(value, n)| shares.entry(value).or_default()[1] = *n as f64 / of(now));
    let mut rows: Vec<(&str, [f64; 2])> = shares.into_iter().collect();
    rows.sort_by(|x, y| (y.1[0] + y.1[1]).total_cmp(&(x.1[0] + x.1[1])));
    let rows: Vec<(String, Vec<f64>, String)> = rows
        .into_iter()
        .take(TOP)
        .map(|(value, [p, q])| {
            (label(before.kind, value), vec![p, q], format!("{} → {}", percent(p), percent(q)))
        })
        .collect();
    *body += &bars(&rows);
}
