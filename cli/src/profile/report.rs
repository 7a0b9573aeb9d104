//! The page of a profile.

use std::fmt::Write;

use leat::profile::{Summary, TopValue};

use super::{distinct, missing};
use crate::html::{self, bars, cell, count, escape, label, percent, short, spark, value};

/// The page: a table of all columns, then a card for each.
pub fn page(title: &str, rows: u64, rejected: u64, summaries: &[Summary]) -> String {
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"dim\">{} rows, {} columns{}</p>\n<div class=\"card wide\"><table>\n<tr><th>column</th>\
         <th>type</th><th class=\"n\">missing</th><th class=\"n\">distinct</th><th class=\"n\">least</th>\
         <th class=\"n\">median</th><th class=\"n\">mean</th><th class=\"n\">greatest</th><th>distribution</th></tr>\n",
        escape(title),
        count(rows),
        summaries.len(),
        match rejected {
            0 => String::new(),
            n => format!(", {} rows that could not be read", count(n)),
        },
    );
    for (at, summary) in summaries.iter().enumerate() {
        let of = |x: Option<&serde_json::Value>| match x {
            Some(x) => escape(&value(summary.kind, x)),
            None => String::new(),
        };
        let _ = writeln!(
            body,
            "<tr><td><a href=\"#c{at}\">{}</a></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(&summary.name),
            summary.kind,
            percent(missing(summary)),
            distinct(summary),
            of(summary.min.as_ref()),
            of(summary.quantiles.get("p50")),
            summary.mean.map(short).unwrap_or_default(),
            of(summary.max.as_ref()),
            small(summary),
        );
    }
    body += "</table></div>\n";
    for (at, summary) in summaries.iter().enumerate() {
        card(at, summary, &mut body);
    }
    html::page(title, &body)
}

/// The distribution in a line: numbers by bins, or the most frequent values.
fn small(summary: &Summary) -> String {
    let frequent = || summary.top.iter().map(|top| top.count).collect::<Vec<_>>();
    match &summary.histogram {
        Some(histogram) => spark(&histogram.counts),
        // Values that nearly all stand once are as frequent as each other.
        None if summary.hidden || 2.0 * summary.distinct > summary.rows as f64 => String::new(),
        None => spark(&frequent()),
    }
}

fn card(at: usize, summary: &Summary, body: &mut String) {
    let tag = |text: &str, bad: bool| {
        let class = if bad { "tag bad" } else { "tag" };
        format!("<span class=\"{class}\">{}</span>", escape(text))
    };
    let mut tags = tag(summary.kind.word(), false);
    if summary.unique {
        tags += &tag("every value once", false);
    }
    if let Some(personal) = summary.personal {
        tags += &tag(&format!("{}?", personal.words()), true);
    }
    let _ = write!(
        body,
        "<section class=\"card\" id=\"c{at}\"><h2>{}{tags}</h2>\n<div class=\"two\"><div><table>\n",
        escape(&summary.name)
    );
    facts(summary, body);
    *body += "</table></div>\n<div class=\"plots\">\n";
    let present = summary.rows.saturating_sub(summary.nulls).max(1) as f64;
    if let Some(histogram) = &summary.histogram {
        let shares: Vec<f64> = histogram.counts.iter().map(|n| *n as f64 / present).collect();
        let edges: Vec<String> =
            histogram.edges.iter().map(|edge| cell(summary.kind, *edge)).collect();
        let tips: Vec<String> =
            edges.windows(2).map(|pair| format!("{} to {}", pair[0], pair[1])).collect();
        let beyond = |n: u64, word: &str| match n {
            0 => String::new(),
            n => format!(" ({} {word})", count(n)),
        };
        let first = edges.first().cloned().unwrap_or_default() + &beyond(histogram.below, "below");
        let last = edges.last().cloned().unwrap_or_default() + &beyond(histogram.above, "above");
        *body += &html::histogram(&[&shares], &first, &last, &tips);
    }
    // Values that all stand once say nothing one by one.
    let repeated = summary.top.iter().any(|top| top.count > 1);
    let few = summary.histogram.is_none() || summary.distinct <= 10.0;
    if repeated && few && !summary.hidden {
        let note = if summary.top_exact { "" } else { " (of a sample of the values)" };
        let named =
            |top: &TopValue| TopValue { value: label(summary.kind, &top.value), count: top.count };
        let top: Vec<TopValue> = summary.top.iter().map(named).collect();
        list(&format!("most frequent{note}"), &top, present, body);
    }
    if !summary.patterns.is_empty() && (summary.distinct > 10.0 || summary.hidden) {
        list("patterns", &summary.patterns, present, body);
    }
    *body += "</div></div></section>\n";
}

fn list(title: &str, values: &[TopValue], present: f64, body: &mut String) {
    let row = |top: &TopValue| {
        let share = top.count as f64 / present;
        (top.value.clone(), vec![share], format!("{} · {}", count(top.count), percent(share)))
    };
    let rows: Vec<_> = values.iter().map(row).collect();
    let _ = write!(body, "<div><p class=\"dim\">{title}</p>\n{}</div>\n", bars(&rows));
}

fn facts(summary: &Summary, body: &mut String) {
    let mut fact = |name: &str, said: String| {
        let _ = writeln!(
            body,
            "<tr><td class=\"dim\">{}</td><td class=\"n\">{}</td></tr>",
            escape(name),
            escape(&said)
        );
    };
    let kind = summary.kind;
    fact("missing", format!("{} · {}", count(summary.nulls), percent(missing(summary))));
    fact("distinct", distinct(summary));
    for (name, x) in [("least", &summary.min), ("greatest", &summary.max)] {
        x.iter().for_each(|x| fact(name, value(kind, x)));
    }
    for (name, x) in [("mean", summary.mean), ("standard deviation", summary.std)] {
        x.iter().for_each(|x| fact(name, short(*x)));
    }
    let about = if summary.quantiles_exact == Some(false) { " (about)" } else { "" };
    for (name, words) in
        [("p05", "5 %"), ("p25", "25 %"), ("p50", "median"), ("p75", "75 %"), ("p95", "95 %")]
    {
        summary
            .quantiles
            .get(name)
            .iter()
            .for_each(|x| fact(&format!("{words}{about}"), value(kind, x)));
    }
    summary.signs.iter().for_each(|(name, n)| fact(name, count(*n)));
    if let Some(lengths) = &summary.lengths {
        let of = |key: &str| lengths[key].as_f64().map(short).unwrap_or_default();
        let (least, most) = (of("min"), of("max"));
        fact(
            "characters",
            match least == most {
                true => least,
                false => format!("{least} to {most}, mean {}", of("mean")),
            },
        );
    }
    for (reading, share) in &summary.readings {
        let name = match *reading {
            "blank" => "blank",
            "nullish" => "a word for nothing",
            "number" => "readable as number",
            "whole" => "readable as whole number",
            "bool" => "readable as bool",
            "timestamp" => "readable as time",
            _ => "readable as date",
        };
        fact(name, percent(*share));
    }
}
