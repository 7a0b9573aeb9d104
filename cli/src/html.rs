//! Pages for people: one file, nothing from elsewhere, all text escaped, light or dark as the reader's system is.

use std::fmt::Write;

use leat::column::Type;
use leat::{number, timestamp};

/// A page's head and style; its body follows.
const HEAD: &str = r#"<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
:root { --ink: #1b2430; --dim: #5c6b7a; --paper: #f6f7f9; --card: #ffffff; --line: #dde3ea; --a: #2f6fb3; --b: #d9822b; --bad: #b3261e; --good: #2a7d46; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --dim: #97a5b3; --paper: #12171d; --card: #1a2129; --line: #2c3640; --a: #6aa5e0; --b: #f0a55a; --bad: #ff8a80; --good: #6fcf8f; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 72rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.5rem; } h2 { margin: 0; font-size: 1.05rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; } .dim { color: var(--dim); } .bad { color: var(--bad); } .good { color: var(--good); }
a { color: inherit; text-decoration-color: var(--a); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--dim); } th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } .wide th, .wide td { overflow-wrap: normal; white-space: nowrap; } .wide td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }
td.n, th.n { text-align: right; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.25rem; margin-top: 1rem; }
.tag { display: inline-block; border: 1px solid var(--line); border-radius: 99px; padding: 0 .6rem; margin-left: .4rem; font-size: .8rem; font-weight: 400; color: var(--dim); }
.tag.bad { border-color: var(--bad); color: var(--bad); }
.two { display: grid; grid-template-columns: minmax(15rem, 1fr) minmax(18rem, 2fr); gap: 1.5rem; margin-top: .6rem; }
@media (max-width: 44rem) { .two { grid-template-columns: 1fr; } }
.plots { display: flex; flex-direction: column; gap: 1rem; min-width: 0; }
svg { display: block; width: 100%; } svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
.a { fill: var(--a); } .b { fill: var(--b); } .rail { fill: var(--line); } .axis { stroke: var(--line); }
.spark { width: 7rem; height: 1.3rem; }
.bars { display: grid; grid-template-columns: minmax(5rem, 13rem) 1fr minmax(8rem, auto); gap: .2rem .75rem; align-items: center; font-variant-numeric: tabular-nums; }
.bars span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .bars svg { height: 12px; }
code { font: 13px ui-monospace, monospace; }
.key::before { content: ""; display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .4rem; background: var(--a); } .key.second::before { background: var(--b); } .key { margin-right: 1rem; }
</style>
"#;

/// A plot's size in its own units.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 130.0;
/// What stands above the greatest bar: its share.
const HEAD_ROOM: f64 = 18.0;

/// `text` as HTML shows it as it is.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A whole page. `title` is text, `body` is HTML.
pub fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n{HEAD}</head>\n\
         <body>\n{body}</body>\n</html>\n"
    )
}

/// Bars side by side over bins of one width, for one data set or two; each series holds the shares of its bins.
/// `first` and `last` stand at the ends of the axis, `tips` say what each bin is.
pub fn histogram(series: &[&[f64]], first: &str, last: &str, tips: &[String]) -> String {
    let most = series.iter().flat_map(|shares| shares.iter()).fold(0.0f64, |a, b| a.max(*b));
    let bins = series.iter().map(|shares| shares.len()).max().unwrap_or_default().max(1);
    let (step, foot) = (WIDTH / bins as f64, HEIGHT + 18.0);
    let gap = if bins > 1 { (step * 0.12).min(3.0) } else { 0.0 };
    let width = (step - gap) / series.len().max(1) as f64;
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {foot}\" role=\"img\">");
    for (which, shares) in series.iter().enumerate() {
        let class = if which == 0 { "a" } else { "b" };
        for (bin, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            // A bin that holds anything is seen.
            let height = (share / most * (HEIGHT - HEAD_ROOM)).max(1.0);
            let x = step * bin as f64 + gap / 2.0 + width * which as f64;
            let tip = tips.get(bin).map_or("", String::as_str);
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\"><title>{}: {}\
                 </title></rect>",
                HEIGHT - height,
                width.max(0.5),
                escape(tip),
                percent(*share),
            );
        }
    }
    let _ = writeln!(
        out,
        "<line class=\"axis\" x1=\"0\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\"/><text x=\"0\" y=\"{y}\">{}</text>\
         <text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{}</text>\
         <text x=\"{WIDTH}\" y=\"11\" text-anchor=\"end\">{} in the fullest</text></svg>",
        escape(first),
        escape(last),
        percent(most),
        y = HEIGHT + 14.0,
    );
    out
}

/// A plot small enough for a line of text.
pub fn spark(counts: &[u64]) -> String {
    let most = counts.iter().max().copied().unwrap_or_default().max(1) as f64;
    let mut out = format!(
        "<svg class=\"spark\" viewBox=\"0 0 {} 20\" preserveAspectRatio=\"none\">",
        counts.len().max(1) * 4
    );
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (*count as f64 / most * 19.0).max(0.7);
        let _ = write!(
            out,
            "<rect class=\"a\" x=\"{}\" y=\"{:.2}\" width=\"3.4\" height=\"{height:.2}\"/>",
            bin * 4,
            20.0 - height
        );
    }
    out + "</svg>"
}

/// A bar for each label, of one share or two of them, with its text at the right.
pub fn bars(rows: &[(String, Vec<f64>, String)]) -> String {
    let most = rows.iter().flat_map(|(_, shares, _)| shares).fold(0.0f64, |a, b| a.max(*b));
    let mut out = String::from("<div class=\"bars\">\n");
    for (label, shares, said) in rows {
        let (label, said) = (escape(label), escape(said));
        let shown = if label.trim().is_empty() { "<em>blank</em>" } else { &label };
        let height = 12.0 / shares.len().max(1) as f64;
        let _ = write!(
            out,
            "<span title=\"{label}\">{shown}</span><svg viewBox=\"0 0 100 12\" preserveAspectRatio=\"none\">\
             <rect class=\"rail\" width=\"100\" height=\"12\" opacity=\".35\"/>"
        );
        for (which, share) in shares.iter().enumerate() {
            let class = if which == 0 { "a" } else { "b" };
            let width = if most > 0.0 { share / most * 100.0 } else { 0.0 };
            let _ = write!(
                out,
                "<rect class=\"{class}\" y=\"{:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"/>",
                height * which as f64
            );
        }
        let _ = writeln!(out, "</svg><span class=\"dim\">{said}</span>");
    }
    out + "</div>\n"
}

/// A share as people read it.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        x if x < 0.1 => "< 0.1 %".to_owned(),
        x if x > 99.9 && x < 100.0 => "> 99.9 %".to_owned(),
        x if (x - x.round()).abs() < 0.05 => format!("{x:.0} %"),
        x => format!("{x:.1} %"),
    }
}

/// A number as people read it: four digits that tell, or all before the point.
pub fn short(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e12).contains(&size) {
        return format!("{x:.3e}");
    }
    let before = if size < 1.0 { 0 } else { libm::log10(size) as usize + 1 };
    let decimals = match size {
        s if s < 0.01 => 5,
        s if s < 1.0 => 4,
        _ => 4usize.saturating_sub(before),
    };
    let text = format!("{x:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out += fraction;
    }
    out
}

/// A whole number with its thousands apart.
pub fn count(n: u64) -> String {
    if n < 1_000_000_000_000 { short(n as f64) } else { n.to_string() }
}

/// A number of a column of `kind` as people read it.
pub fn cell(kind: Type, x: f64) -> String {
    match kind {
        Type::Timestamp => timestamp::to_text(x as i64).replace('T', " ").replace('Z', ""),
        _ => short(x),
    }
}

/// The same of a value in a document.
pub fn value(kind: Type, value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Number(x) => cell(kind, x.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) if kind == Type::Timestamp => {
            text.replace('T', " ").replace('Z', "")
        }
        serde_json::Value::String(text) => label(kind, text),
        other => other.to_string(),
    }
}

/// The text of a value of a column of `kind` as people read it.
pub fn label(kind: Type, text: &str) -> String {
    match kind {
        Type::Double => number::parse(text).map_or(text.to_owned(), short),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (x, expected) in [
            (0.0, "0"),
            (12.0, "12"),
            (1234567.0, "1,234,567"),
            (-1234.56, "-1,235"),
            (12.3456, "12.35"),
            (0.012345, "0.0123"),
            (999.96, "1,000"),
            (1e15, "1.000e15"),
            (-1e-9, "-1.000e-9"),
        ] {
            assert_eq!(short(x), expected);
        }
        for (share, expected) in [
            (0.0, "0 %"),
            (0.00001, "< 0.1 %"),
            (0.5, "50 %"),
            (0.1234, "12.3 %"),
            (0.99999, "> 99.9 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(share), expected);
        }
    }

    #[test]
    fn nothing_of_the_data_is_markup() {
        let hostile = "</script><img src=x onerror='a()'>\u{0}\"&";
        let bars = bars(&[(hostile.to_owned(), vec![0.5], hostile.to_owned())]);
        let plot = histogram(&[&[1.0]], hostile, hostile, &[hostile.to_owned()]);
        let page = page(hostile, &(bars + &plot));
        assert!(!page.contains("<img") && !page.contains("</script") && !page.contains('\u{0}'));
        for outside in ["http:", "https:", "url(", "@import", "src="] {
            assert!(!page.replace("src=x", "").contains(outside), "{outside}");
        }
    }
}
