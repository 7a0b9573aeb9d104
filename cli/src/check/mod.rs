//! `leat check`: what is wrong with a recipe or a ruleset; else what it comes to.

mod explain;

use clap::Args;
use leat::diagnostic;
use leat::engine::Engine;
use leat::quality::{self, Context, Evaluation, is_row_rule};
use leat::recipe::Origin;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::fit::short;
use crate::places::Places;
use crate::recipe;
use crate::show::table;

/// See `leat check --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A recipe, or a ruleset (`.dqdl`).
    #[arg(value_name = "RECIPE|RULES.dqdl")]
    place: String,
    /// Show what this feature is made of.
    #[arg(long, value_name = "FEATURE")]
    explain: Option<String>,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    if args.place.ends_with(".dqdl") {
        return match &args.explain {
            None => ruleset(&places, &args.place),
            Some(_) => {
                Err(Refusal::new("--explain: a ruleset has no features").hint("give the recipe"))
            }
        };
    }
    let engine = recipe::check(&places, &args.place)?;
    let Some(feature) = &args.explain else { return Ok(plan(&args.place, &engine)) };
    let made = explain::feature(&engine, feature).ok_or_else(|| {
        let message = format!("{} makes no feature `{feature}`", args.place);
        let names = explain::names(&engine);
        match diagnostic::nearest(feature, names.iter().map(String::as_str)) {
            Some(near) => Refusal::new(message).hint(format!("the nearest is `{near}`")),
            None => Refusal::new(message).hint(format!("there are {}", names.join(", "))),
        }
    })?;
    let document = json!({"feature": feature, "made_of": made, "errors": []});
    Ok(Answer::good(explain::text(&made), document))
}

fn ruleset(places: &Places, place: &str) -> Result<Answer, Refusal> {
    let text = places.read_text("ruleset", place)?;
    let refuse = |errors| Refusal::of(errors, vec![(place.to_owned(), text.clone())]);
    let ruleset = quality::parse(place, &text).map_err(refuse)?;
    let context = Context { draft: true, ..Context::new(Some(0), quality::Method::Column) };
    Evaluation::within(&ruleset, &[], &context).map_err(refuse)?;
    let about = |rule: &_| if is_row_rule(rule) { "row" } else { "data set" };
    let rules: Vec<_> = ruleset.rules.iter().map(|rule| (rule.to_string(), about(rule))).collect();
    let rows = rules.iter().map(|(rule, about)| vec![rule.clone(), (*about).to_owned()]);
    let text = format!("{place}: {} rules\n{}", rules.len(), table(&["rule", "about"], rows));
    let rules: Vec<Value> =
        rules.iter().map(|(rule, about)| json!({"rule": rule, "about": about})).collect();
    let document = json!({"rules": rules, "ruleset_hash": ruleset.hash(), "errors": []});
    Ok(Answer::good(text, document))
}

fn plan(place: &str, engine: &Engine) -> Answer {
    let (recipe, plan) = (engine.recipe(), engine.plan());
    let origin = |origin| match origin {
        Origin::Field => "field",
        Origin::Derive => "derive",
        Origin::Window => "windows",
    };
    let readers = explain::readers(engine);
    let columns = plan.columns.iter().zip(&readers).enumerate().map(|(slot, (c, readers))| {
        let (kind, from) = (c.kind.to_string(), origin(c.origin).into());
        vec![slot.to_string(), c.name.clone(), kind, from, readers.join(", ")]
    });
    let steps = recipe.features.iter().zip(&plan.levels).enumerate();
    let steps = steps.map(|(i, (step, level))| {
        let out = if step.outputs.is_empty() { String::new() } else { step.outputs.join(", ") };
        let level = if *level == 0 { String::new() } else { level.to_string() };
        vec![(i + 1).to_string(), step.op.clone(), step.inputs.join(", "), out, level]
    });
    let rules = engine.ruleset().map_or(0, |ruleset| ruleset.rules.len());
    let text = format!(
        "{place} is good: recipe {}, hash {}, state plan {}\n{} rules; fit reads the data {}\n{}\n{}",
        recipe.name,
        short(engine.hash()),
        short(&plan.state_plan),
        rules,
        match plan.passes() {
            0 => "not at all: nothing is learnt".to_owned(),
            1 => "once".to_owned(),
            n => format!("{n} times, once for each level"),
        },
        table(&["slot", "column", "type", "from", "read by"], columns),
        table(&["step", "operator", "in", "out", "level"], steps),
    );
    let columns: Vec<Value> = plan
        .columns
        .iter()
        .zip(&readers)
        .enumerate()
        .map(|(slot, (c, readers))| {
            json!({"slot": slot, "name": c.name, "type": c.kind, "from": origin(c.origin), "read_by": readers})
        })
        .collect();
    let steps: Vec<Value> = recipe
        .features
        .iter()
        .zip(&plan.levels)
        .map(|(step, level)| {
            json!({"op": step.op, "in": step.inputs, "out": step.outputs, "level": level})
        })
        .collect();
    let document = json!({
        "recipe": recipe.name, "recipe_hash": engine.hash(), "state_plan": plan.state_plan,
        "rules": rules, "passes": plan.passes(), "columns": columns, "steps": steps, "errors": [],
    });
    Answer::good(text, document)
}
