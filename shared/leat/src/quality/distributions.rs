//! Distributions on the page for people: of each column its missing and different values, and a plot of what it holds. Of
//! a column whose values must not be seen there is no plot.

use std::collections::BTreeSet;

use super::reference::singles;
use super::report::{escape, figure, grouped, percent, short};
use super::tree::Ruleset;
use crate::column::Type;
use crate::number::{parse, to_text};
use crate::profile::{Histogram, Summary};
use crate::timestamp;

/// So many values are shown.
const TOP: usize = 6;
/// So many characters of a value.
const CHARACTERS: usize = 40;
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 64.0;

/// Those of `columns`, by index, that a rule or an analyzer of `ruleset` names.
pub fn named(ruleset: &Ruleset, columns: &[(String, Type)]) -> Vec<usize> {
    let named: BTreeSet<&str> =
        singles(ruleset).into_iter().flat_map(|single| single.texts(ruleset)).collect();
    (0..columns.len()).filter(|slot| named.contains(columns[*slot].0.as_str())).collect()
}

/// A card for each column.
pub(super) fn cards(summaries: &[Summary]) -> String {
    let cards: String = summaries.iter().map(card).collect();
    format!("<div class=\"columns\">\n{cards}</div>")
}

fn card(summary: &Summary) -> String {
    let of_rows = |n: u64| match summary.rows {
        0 => "0".to_owned(),
        rows => percent(n as f64 / rows as f64),
    };
    let about = if summary.distinct_exact { "" } else { "about " };
    let mut said = format!(
        "{}% missing · {about}{} different",
        of_rows(summary.nulls),
        grouped(summary.distinct as u64)
    );
    if let Some(mean) = summary.mean {
        said += &format!(" · mean {}", short(mean));
    }
    let median = summary.quantiles.get("p50").and_then(serde_json::Value::as_f64);
    if let Some(median) = median {
        said += &format!(" · median {}", short(median));
    }
    format!(
        "<article class=\"plain\">\n<h3><code>{}</code> <span class=\"quiet\">{}</span></h3>\n\
         <p class=\"quiet\">{said}</p>\n{}</article>\n",
        escape(&summary.name),
        summary.kind,
        plot(summary)
    )
}

fn plot(summary: &Summary) -> String {
    let present = summary.rows.saturating_sub(summary.nulls);
    if summary.hidden {
        return "<p class=\"quiet\">may be personal: values are not shown</p>\n".to_owned();
    }
    let repeated = summary.top.iter().any(|top| top.count > 1);
    match &summary.histogram {
        Some(histogram) if summary.distinct > TOP as f64 => bins(summary.kind, histogram, present),
        _ if repeated => bars(summary, present),
        _ if present > 0 => "<p class=\"quiet\">no value stands twice</p>\n".to_owned(),
        _ => String::new(),
    }
}

/// A number of a column as people read it, as HTML.
fn cell(kind: Type, x: f64) -> String {
    match kind {
        Type::Timestamp => escape(&timestamp::to_text(x as i64).replace('T', " ").replace('Z', "")),
        _ => short(x),
    }
}

fn bins(kind: Type, histogram: &Histogram, present: u64) -> String {
    let Histogram { edges, counts, below, above } = histogram;
    let most = counts.iter().max().copied().unwrap_or_default().max(1) as f64;
    let step = WIDTH / counts.len().max(1) as f64;
    let plain = |x: &f64| match kind {
        Type::Timestamp => timestamp::to_text(*x as i64),
        _ => to_text(*x),
    };
    let mut drawn = String::new();
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        // What is there is seen.
        let height = (*count as f64 / most * HEIGHT).max(1.5);
        let ends: Vec<String> = edges.iter().skip(bin).take(2).map(plain).collect();
        drawn += &format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}: {} rows</title></rect>",
            step * bin as f64,
            HEIGHT - height,
            (step - 1.0).max(0.5),
            escape(&ends.join(" to ")),
            grouped(*count)
        );
    }
    let beyond = |n: u64, word: &str| match n {
        0 => String::new(),
        n => format!(" ({} {word})", grouped(n)),
    };
    let edge = |x: Option<&f64>| x.map(|x| cell(kind, *x)).unwrap_or_default();
    format!(
        "<figure><svg class=\"bins\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{} values in {} bins\">{drawn}</svg><figcaption class=\"ends\"><span>{}{}</span><span>{}{}</span>\
         </figcaption></figure>\n",
        grouped(present),
        counts.len(),
        edge(edges.first()),
        beyond(*below, "below"),
        edge(edges.last()),
        beyond(*above, "above"),
    )
}

fn bars(summary: &Summary, present: u64) -> String {
    let most = summary.top.iter().map(|top| top.count).max().unwrap_or(1).max(1) as f64;
    let mut rows = String::new();
    for top in summary.top.iter().take(TOP) {
        let mut value: String = top.value.chars().take(CHARACTERS).collect();
        if value.len() < top.value.len() {
            value.push('…');
        }
        let value = match parse(&value).filter(|_| summary.kind == Type::Double) {
            Some(number) => figure(number),
            None if value.trim().is_empty() => "<em>blank</em>".to_owned(),
            None => escape(&value),
        };
        let width = (top.count as f64 / most * 100.0).max(1.0);
        let share = percent(top.count as f64 / present.max(1) as f64);
        rows += &format!(
            "<tr><td>{value}</td><td><span class=\"share\"><i style=\"width:{width:.1}%\"></i></span></td>\
             <td class=\"number\">{} <span class=\"quiet\">{share}%</span></td></tr>",
            grouped(top.count)
        );
    }
    let more = summary.distinct - summary.top.len().min(TOP) as f64;
    let note = match more {
        more if more < 1.0 => String::new(),
        more => format!("<p class=\"quiet\">and {} more</p>", grouped(more as u64)),
    };
    format!("<table class=\"top\">{rows}</table>{note}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Column;
    use crate::profile::Profile;
    use crate::quality::parse as ruleset;

    fn summaries(columns: &[(&str, Column)]) -> Vec<Summary> {
        let named: Vec<(String, Type)> =
            columns.iter().map(|(name, column)| ((*name).to_owned(), column.kind())).collect();
        let mut profile = Profile::new(&named);
        let rows = columns.first().map_or(0, |(_, column)| column.len());
        let columns: Vec<Column> = columns.iter().map(|(_, column)| column.clone()).collect();
        profile.update(&columns, rows);
        profile.finish(|name| name == "secret")
    }

    #[test]
    fn columns_that_rules_name() {
        let columns = ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), Type::Double));
        for (text, expected) in [
            ("Rules = [ RowCount > 0 ]", &[][..]),
            ("Rules = [ IsComplete \"c\", (Mean \"a\" > 1) or (Sum \"c\" > 1) ]", &[0, 2]),
            (
                "Rules = [ ColumnCorrelation \"a\" \"d\" > 0 ] Analyzers = [ Mean \"e\" ]",
                &[0, 3, 4],
            ),
            ("v = \"b\" Rules = [ IsComplete $v ]", &[1]),
            ("Rules = [ IsComplete \"other\" ]", &[]),
        ] {
            assert_eq!(named(&ruleset("q", text).unwrap(), &columns), expected, "{text}");
        }
    }

    #[test]
    fn plots() {
        let words = ["<b>", "web", "web", " "].repeat(5);
        let columns = [
            ("x", Column::doubles((0..20).map(|n| Some(f64::from(n))))),
            ("w", Column::strings(words.iter().map(|word| Some(*word)))),
            ("secret", Column::strings(words.iter().map(|_| Some("nobody sees")))),
            ("id", Column::longs((0..20).map(|n| (n < 3).then_some(n)))),
            ("none", Column::doubles([None; 20])),
        ];
        let text = cards(&summaries(&columns));
        for words in [
            "class=\"bins\"",
            "20 values in",
            "· mean 9.5 · median 9.5",
            "<td>web</td>",
            "10 <span class=\"quiet\">50%</span>",
            "&lt;b&gt;",
            "<em>blank</em>",
            "values are not shown",
            "85% missing · 3 different",
            "no value stands twice",
            "100% missing · 0 different",
        ] {
            assert!(text.contains(words), "no {words} in {text}");
        }
        for not in ["nobody", "NaN", "<b>\"", "inf"] {
            assert!(!text.contains(not), "{not} in {text}");
        }
        assert_eq!(cards(&[]), "<div class=\"columns\">\n</div>");
    }
}
