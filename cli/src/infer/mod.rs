//! `leat infer`: a starting recipe and ruleset from a sample of data, each line with its evidence.
//!
//! What is written is a proposal that holds for what was seen: the rules were run over the sample, as `leat validate` reads
//! it and as the recipe does, and those that it fails are left out.

mod roles;
mod rules;
mod write;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use leat::decode::{Decoder, Limits};
use leat::engine::{self, Engine, Source};
use leat::profile::Profile;
use leat::quality::{self, Evaluation, Method, RowRules, Status};
use leat::recipe::{Format, Recipe};
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::data::{Data, DataArguments};
use crate::output::Output;
use crate::places::Places;
use crate::profile;
use crate::types;

/// See `leat infer --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    /// The folder for `recipe.yaml` and `rules.dqdl`.
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// Look at so many rows, the first of each file; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    sample: u64,
}

/// A rule that may be written.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The rule, as DQDL.
    pub rule: String,
    /// What it comes from. It holds no value of a field that may be personal.
    pub evidence: String,
}

/// The files' names.
const RECIPE: &str = "recipe.yaml";
const RULES: &str = "rules.dqdl";

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let places = Places::default();
    for name in [RECIPE, RULES] {
        let path = args.output.join(name);
        if path.exists() {
            return Err(Refusal::new(format!("{} is there already", path.display()))
                .hint("name another folder, or move it away"));
        }
    }
    let mut data = args.data.find(&places, Format::Json, false)?;
    if args.sample > 0 {
        data.sample(args.sample)?;
    }
    let inferred = infer(&mut data, &name_of(args.data.names()))?;
    for (name, text) in [(RECIPE, &inferred.recipe), (RULES, &inferred.rules)] {
        let mut output = Output::create(&args.output.join(name))?;
        output.write_all(text.as_bytes()).map_err(|why| output.failed(&why))?;
        output.finish()?;
    }
    let Inferred { rows, fields, kept, dropped, missing, personal, .. } = &inferred;
    let folder = args.output.display();
    let mut text = format!(
        "{rows} rows, {fields} fields: {folder}/{RECIPE}, and {folder}/{RULES} with {kept} rules \
         ({dropped} that the sample fails were left out)"
    );
    if !personal.is_empty() {
        text += &format!("\nmay be personal, and is protected: {}", personal.join(", "));
    }
    for role in missing {
        text += &format!("\nno field can have the role {role}: {RECIPE} says what to do");
    }
    let document = json!({
        "rows": rows, "fields": fields, "rules": kept, "rules_left_out": dropped, "personal": personal,
        "roles_missing": missing,
        "recipe": args.output.join(RECIPE), "ruleset": args.output.join(RULES),
    });
    Ok(Answer::good(text, document))
}

/// What came of it.
struct Inferred {
    rows: u64,
    fields: usize,
    recipe: String,
    rules: String,
    kept: usize,
    dropped: usize,
    personal: Vec<String>,
    missing: Vec<&'static str>,
}

fn infer(data: &mut Data<'_>, name: &str) -> Result<Inferred, Refusal> {
    let looked = types::look(data)?;
    let (narrow, likely) = (looked.narrow(), looked.likely());
    let profiled = |recipe: &Recipe| -> Result<Profile, Refusal> {
        let decoder = Decoder::new(recipe, None, Limits::default());
        Ok(profile::of_recipe(data, recipe, &decoder)?.profile)
    };
    let profile = profiled(&likely)?;
    if profile.rows() == 0 {
        return Err(Refusal::new("there are no rows to learn from"));
    }
    let fields = write::fields(&profile, &looked);
    let roles = roles::of(&profile, &fields);
    let read = |text: &str| engine::read(Source { file: RECIPE, text });
    let with = |steps| write::recipe(name, &profile, &fields, &roles, &looked, steps);
    // Steps whose columns could get in each other's way are left to a person.
    let mut draft = with(true);
    if read(&draft.text).is_err() {
        draft = with(false);
    }
    let refuse = |errors| Refusal::of(errors, vec![(RECIPE.to_owned(), draft.text.clone())]);
    let recipe = read(&draft.text).map_err(refuse)?;

    let candidates = rules::propose(&profile, &fields, &roles);
    let all = candidates.len();
    // As the recipe reads it, but for roles that the data does not have.
    let mut present = recipe.clone();
    present.schema.fields.retain(|field| profile.column(&field.name).is_some());
    let kept = passing(data, &narrow, &present, candidates)?;
    let rules = write::rules(profile.rows(), &kept);
    let source = Source { file: RULES, text: &rules };
    Engine::new(recipe, Some(source), None).map_err(refuse)?;
    Ok(Inferred {
        rows: profile.rows(),
        fields: fields.len(),
        recipe: draft.text,
        rules,
        dropped: all - kept.len(),
        kept: kept.len(),
        personal: draft.personal,
        missing: draft.missing,
    })
}

/// Those of `candidates` that can be written and that the data passes, as `leat validate` reads it without a recipe and
/// with this one.
fn passing(
    data: &Data<'_>,
    narrow: &Recipe,
    recipe: &Recipe,
    candidates: Vec<Candidate>,
) -> Result<Vec<Candidate>, Refusal> {
    let views = [narrow, recipe];
    let columns = views.map(Recipe::columns);
    let can_be_read = |candidate: &Candidate| {
        let text = format!("Rules = [\n{}\n]", candidate.rule);
        quality::parse(RULES, &text).is_ok_and(|ruleset| {
            RowRules::compile(&ruleset, &columns[1]).is_ok()
                && columns.iter().all(|columns| {
                    Evaluation::compile(&ruleset, columns, Some(0), Method::Column).is_ok()
                })
        })
    };
    let mut kept: Vec<Candidate> = candidates.into_iter().filter(can_be_read).collect();
    for (view, columns) in views.into_iter().zip(&columns) {
        let text = write::rules(0, &kept);
        let ruleset = quality::parse(RULES, &text)
            .map_err(|errors| Refusal::of(errors, vec![(RULES.to_owned(), text.clone())]))?;
        let evaluation = Evaluation::compile(&ruleset, columns, Some(0), Method::Column)
            .map_err(|errors| Refusal::of(errors, vec![(RULES.to_owned(), text.clone())]))?;
        let mut metrics = evaluation.start();
        let decoder = Decoder::new(view, None, Limits::default());
        data.each("trying the rules", view, &decoder, |piece| {
            evaluation.update(&mut metrics, &piece.batch.columns, piece.batch.len());
            Ok(())
        })?;
        // Where each row lacks an event time no row is admitted, of which no rule holds.
        if metrics.rows() > 0 {
            let outcomes =
                evaluation.finish(&metrics).map_err(|why| Refusal::new(why.to_string()))?;
            let mut passed = outcomes.iter().map(|outcome| outcome.outcome == Status::Passed);
            kept.retain(|_| passed.next().unwrap_or_default());
        }
    }
    Ok(kept)
}

/// A recipe's name from that of the data.
fn name_of(places: &[String]) -> String {
    let first = places.first().map_or("", String::as_str).trim_end_matches('/');
    let stem = Path::new(first).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let plain: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let name = plain.trim_matches(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let name: String = name.chars().take(40).collect();
    if name.is_empty() { "data".to_owned() } else { name }
}

#[cfg(test)]
mod tests;
