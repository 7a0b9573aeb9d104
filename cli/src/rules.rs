//! `leat rules`: the manual of DQDL's rule types.

use clap::Args;
use leat::diagnostic::nearest;
use leat::quality::types::{LooksAt, Section};
use leat::quality::{RULE_TYPES, RuleType};
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::show::table;

/// See `leat rules --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The rule type whose manual to show; none lists them all.
    name: Option<String>,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let Some(name) = &args.name else {
        let rows = RULE_TYPES.iter().map(|kind| {
            vec![kind.usage().join("\n"), about(kind).to_owned(), kind.summary.to_owned()]
        });
        let text = table(&["rule", "about", "holds if"], rows);
        return Ok(Answer::good(text, RULE_TYPES.iter().map(document).collect()));
    };
    let kind = RuleType::named(name).ok_or_else(|| {
        let refusal = Refusal::new(format!("no rule type is named `{name}`"));
        match nearest(name, RULE_TYPES.iter().map(|kind| kind.name)) {
            Some(near) => refusal.hint(format!("the nearest is `{near}`")),
            None => refusal.hint("`leat rules` lists them"),
        }
    })?;
    let tags = match (kind.filter, kind.threshold) {
        (true, true) => "\nIt takes `where \"predicate\"` and `with threshold > 0.9`.",
        (true, false) => "\nIt takes `where \"predicate\"`.",
        (false, true) => "\nIt takes `with threshold > 0.9`.",
        (false, false) => "",
    };
    let text = format!(
        "{}\n\n{}{tags}{}\n\n{}",
        kind.usage().join("\n"),
        kind.summary,
        section(kind),
        kind.manual.trim_end()
    );
    Ok(Answer::good(text, document(kind)))
}

fn about(kind: &RuleType) -> &'static str {
    match kind.looks_at {
        LooksAt::Row => "row",
        LooksAt::Dataset => "data set",
    }
}

fn section(kind: &RuleType) -> &'static str {
    match kind.section {
        Section::Rules => "",
        Section::Analyzers => "\nIt stands under `Analyzers` alone.",
        Section::Both => "\nIt may stand under `Analyzers` too, without a condition.",
    }
}

fn document(kind: &RuleType) -> Value {
    json!({
        "name": kind.name, "usage": kind.usage(), "summary": kind.summary, "manual": kind.manual,
        "about": about(kind), "where": kind.filter, "threshold": kind.threshold,
        "rule": kind.section != Section::Analyzers, "analyzer": kind.section != Section::Rules,
    })
}
