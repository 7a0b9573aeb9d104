//! What a feature is made of, back to the fields; and who reads which column of a batch.

use leat::engine::Engine;
use leat::features;
use leat::recipe::{Origin, Role, Step, Window};
use serde::Serialize;

/// A column and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its name.
    pub column: String,
    /// The slot of a batch that it is read from; none of what a step makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<usize>,
    /// By what.
    pub by: String,
    /// Of what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<Made>,
}

/// The names that columns and steps have before a fit.
pub fn names(engine: &Engine) -> Vec<String> {
    let columns = engine.plan().columns.iter().map(|column| column.name.clone());
    let steps = engine.recipe().features.iter().flat_map(|step| outs(step).cloned());
    let mut names: Vec<String> = columns.chain(steps).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What `name` is made of after all steps. A column whose name only the fit decides, such as `channel_web`, is known by
/// its beginning.
pub fn feature(engine: &Engine, name: &str) -> Option<Made> {
    before(engine, engine.recipe().features.len(), name).or_else(|| {
        let steps = engine.recipe().features.iter().enumerate().rev();
        steps
            .filter_map(|(i, step)| {
                let at = outs(step).position(|out| {
                    name.strip_prefix(out.as_str()).is_some_and(|rest| rest.starts_with('_'))
                })?;
                made(engine, i, at, name)
            })
            .next()
    })
}

/// What stands under `name` before step `end`.
fn before(engine: &Engine, end: usize, name: &str) -> Option<Made> {
    let steps = engine.recipe().features[..end].iter().enumerate().rev();
    for (i, step) in steps {
        if let Some(at) = outs(step).position(|out| out == name) {
            return made(engine, i, at, name);
        }
    }
    let plan = engine.plan();
    let at = plan.slot(name)?;
    let (column, slot) = (name.to_owned(), Some(at));
    Some(match plan.columns[at].origin {
        Origin::Field => {
            Made { column, slot, by: format!("field, {}", plan.columns[at].kind), of: vec![] }
        }
        Origin::Derive => {
            let at = at - engine.recipe().schema.fields.len();
            let of = plan.derives[at].reads().iter();
            let of = of.filter_map(|&slot| before(engine, 0, &plan.columns[slot].name)).collect();
            let by = format!("derive: {}", engine.recipe().derive[at].expression);
            Made { column, slot, by, of }
        }
        Origin::Window => {
            let windows = &engine.recipe().windows;
            let window = windows.iter().find(|w| w.columns().iter().any(|(n, _)| n == name));
            let by = match window {
                Some(Window::Session { gap, .. }) => format!("session of {}", gap.text),
                Some(Window::Over { exact: Some(n), .. }) => {
                    format!("exact window of up to {n} events")
                }
                _ => "window".to_owned(),
            };
            let read: Vec<&str> = window.map(|w| w.reads().collect()).unwrap_or_default();
            let mut read: Vec<&str> =
                read.into_iter().filter(|column| name.starts_with(&format!("{column}_"))).collect();
            read.dedup();
            Made {
                column,
                slot,
                by,
                of: read.iter().filter_map(|c| before(engine, 0, c)).collect(),
            }
        }
    })
}

/// The column `name` that step `step` makes of its input `at`.
fn made(engine: &Engine, step: usize, at: usize, name: &str) -> Option<Made> {
    let with = &engine.recipe().features[step];
    let parameters: Vec<String> =
        with.parameters.iter().map(|(name, value)| format!(", {name} {value}")).collect();
    let mut of: Vec<Made> = before(engine, step, with.inputs.get(at)?).into_iter().collect();
    if features::find(&with.op).is_some_and(|operator| operator.spec.supervised) {
        let fields = &engine.recipe().schema.fields;
        let label = fields.iter().find(|field| field.role == Some(Role::Label));
        of.extend(label.map(|label| Made {
            column: label.name.clone(),
            slot: engine.plan().slot(&label.name),
            by: "label, in fit alone".to_owned(),
            of: vec![],
        }));
    }
    let by = format!("step {}, {}{}", step + 1, with.op, parameters.concat());
    Some(Made { column: name.to_owned(), slot: None, by, of })
}

/// The names of a step's columns, one for each input.
fn outs(step: &Step) -> impl Iterator<Item = &String> {
    let outs = if step.outputs.is_empty() { &step.inputs } else { &step.outputs };
    outs.iter()
}

/// For each column of a batch, by slot, what reads it: `derive NAME`, `window N`, `step N`.
pub fn readers(engine: &Engine) -> Vec<Vec<String>> {
    let (recipe, plan) = (engine.recipe(), engine.plan());
    let of_slot = |(slot, name): (usize, &str)| {
        let derives = recipe.derive.iter().zip(&plan.derives);
        let derives = derives.filter(|(_, program)| program.reads().contains(&slot));
        let windows = recipe.windows.iter().zip(1..);
        let windows = windows.filter(|(window, _)| window.reads().any(|read| read == name));
        // Until a step makes a column of its name.
        let made = recipe.features.iter().position(|step| outs(step).any(|out| out == name));
        let steps = recipe.features.iter().take(made.map_or(usize::MAX, |step| step + 1)).zip(1..);
        let steps = steps.filter(|(step, _)| step.inputs.iter().any(|input| input == name));
        derives
            .map(|(derive, _)| format!("derive {}", derive.name))
            .chain(windows.map(|(_, n): (_, usize)| format!("window {n}")))
            .chain(steps.map(|(_, n): (_, usize)| format!("step {n}")))
            .collect()
    };
    plan.columns.iter().map(|column| column.name.as_str()).enumerate().map(of_slot).collect()
}

/// A line for each column, deeper ones further in.
pub fn text(made: &Made) -> String {
    fn walk(made: &Made, depth: usize, out: &mut String) {
        let slot = made.slot.map(|slot| format!(" in slot {slot}")).unwrap_or_default();
        out.push_str(&format!("{}{}  ({}){slot}\n", "  ".repeat(depth), made.column, made.by));
        made.of.iter().for_each(|of| walk(of, depth + 1, out));
    }
    let mut out = String::new();
    walk(made, 0, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use leat::engine::{self, Source};

    use super::*;
    use crate::places::Places;

    #[test]
    fn features_of_the_example() {
        let recipe =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../recipes/card-transactions/recipe.yaml");
        let engine = crate::recipe::check(&Places::default(), recipe).unwrap();
        let amount = feature(&engine, "amount").unwrap();
        assert!(amount.by.contains("standard_scale"), "{}", amount.by);
        assert!(amount.of[0].by.contains("impute, strategy \"median\""), "{}", amount.of[0].by);
        assert_eq!(amount.of[0].of[0].by, "field, double");
        assert!(feature(&engine, "channel_web").unwrap().by.contains("one_hot"));
        let sum = feature(&engine, "amount_sum_24h").unwrap();
        assert!(text(&sum).contains("amount  (field, double)"), "{}", text(&sum));
        let derived = feature(&engine, "share_of_limit").unwrap();
        assert_eq!(derived.of.len(), 2);
        let learnt = text(&feature(&engine, "merchant_fraud").unwrap());
        assert!(learnt.contains("is_fraud  (label, in fit alone)"), "{learnt}");
        assert_eq!(feature(&engine, "nonsense"), None);
        assert_eq!((amount.slot, amount.of[0].of[0].slot), (None, engine.plan().slot("amount")));
        let window = sum.of[0].slot.unwrap();
        assert!(text(&sum).contains(&format!("in slot {window}")), "{}", text(&sum));
    }

    #[test]
    fn who_reads_a_column() {
        let recipe = "{leat: 1, name: r, schema: {fields: [{name: id, type: string, role: id},
            {name: who, type: string, role: entity}, {name: at, type: timestamp, role: event_time},
            {name: amount, type: double}, {name: age, type: double}]},
            derive: {ratio: amount / age}, windows: [{sum: ratio, count: '*', over: 1h}, {sum: amount, over: 1h}],
            features: [{op: log, in: age}, {op: standard_scale, in: [amount, age]}, {op: log, in: ratio_sum_1h}]}";
        let recipe = engine::read(Source { file: "r.yaml", text: recipe }).unwrap();
        let engine = Engine::new(recipe, None, None).unwrap();
        let found: Vec<_> = readers(&engine).iter().map(|readers| readers.join(", ")).collect();
        let plan = engine.plan().columns.iter().map(|column| column.name.as_str());
        let found: Vec<_> = plan.zip(found.iter().map(String::as_str)).collect();
        let expected = [
            ("id", ""),
            ("who", ""),
            ("at", ""),
            ("amount", "derive ratio, window 2, step 2"),
            ("age", "derive ratio, step 1"), // step 2 reads what step 1 made
            ("ratio", "window 1"),
            ("count_1h", ""),
            ("ratio_sum_1h", "step 3"),
            ("amount_sum_1h", ""),
        ];
        assert_eq!(found, expected);
    }
}
