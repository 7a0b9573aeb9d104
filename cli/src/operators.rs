//! `leat operators`: the manual.

use clap::Args;
use leat::diagnostic::nearest;
use leat::features;
use leat::recipe::spec::{OperatorSpec, Parameter};
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::show::table;

/// See `leat operators --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The operator whose manual to show; none lists them all.
    name: Option<String>,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let all = features::specs();
    let Some(name) = &args.name else {
        let rows = all.iter().map(|o| {
            let learns = match (o.fitted, o.supervised) {
                (_, true) => "learns from the label",
                (true, false) => "learns",
                (false, false) => "",
            };
            vec![o.name.to_owned(), types(o), learns.to_owned(), o.summary.to_owned()]
        });
        let text = table(&["operator", "takes", "", "does"], rows);
        return Ok(Answer::good(text, all.iter().map(document).collect()));
    };
    let found = all.iter().find(|o| o.name == name).ok_or_else(|| {
        let refusal = Refusal::new(format!("no operator is named `{name}`"));
        match nearest(name, all.iter().map(|o| o.name)) {
            Some(near) => refusal.hint(format!("the nearest is `{near}`")),
            None => refusal.hint("`leat operators` lists them"),
        }
    })?;
    let rows = found.parameters.iter().map(|p| {
        let default = if p.required { "required".to_owned() } else { p.default.to_owned() };
        vec![p.name.to_owned(), default, p.help.to_owned()]
    });
    let mut text = found.manual.trim_end().to_owned();
    if !found.parameters.is_empty() {
        text += &format!("\n\n{}", table(&["parameter", "default", ""], rows));
    }
    Ok(Answer::good(text, document(found)))
}

fn types(operator: &OperatorSpec) -> String {
    let words: Vec<&str> = operator.takes.iter().map(|kind| kind.word()).collect();
    words.join(", ")
}

fn document(o: &OperatorSpec) -> Value {
    let parameter = |p: &Parameter| {
        let default: Value = serde_json::from_str(p.default).unwrap_or_default();
        json!({"name": p.name, "default": default, "required": p.required, "help": p.help})
    };
    json!({
        "name": o.name, "summary": o.summary, "manual": o.manual, "version": o.version,
        "fitted": o.fitted, "supervised": o.supervised, "takes": o.takes,
        "parameters": o.parameters.iter().map(parameter).collect::<Vec<_>>(),
    })
}
