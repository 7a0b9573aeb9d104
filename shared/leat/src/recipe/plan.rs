//! What a recipe comes to: the columns of a batch and their slots, compiled expressions, fit levels, the state plan.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Dedupe, Derive, Field, Method, Place, Protect, Recipe, Role, UnknownFields, Window, hash_of,
};
use crate::column::Type;
use crate::diagnostic::Diagnostic;
use crate::expression::{self, Program};

/// Goes up when the same recipe comes to mean another state: how derived columns or windows are computed.
const STATE_VERSION: u32 = 2;

/// Where a column of a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A field of the schema.
    Field,
    /// An entry of `derive`.
    Derive,
    /// An entry of `windows`.
    Window,
}

/// A column of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanColumn {
    /// Its name.
    pub name: String,
    /// Its type, after `protect`: a masked or tokenized field is text.
    pub kind: Type,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a recipe comes to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The columns of a batch, by slot: fields, derived columns, window columns.
    pub columns: Vec<PlanColumn>,
    /// The derived columns' expressions, in order. Each reads slots before its own.
    pub derives: Vec<Program>,
    /// The fit level of each step, from 1; 0 for a step that learns nothing.
    pub levels: Vec<usize>,
    /// SHA-256, in hex, of all that decides an entity's state. Equal state plans read each other's state.
    pub state_plan: String,
}

impl Plan {
    /// The slot of the column `name`.
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// How often the data must be read to fit: the greatest level.
    pub fn passes(&self) -> usize {
        self.levels.iter().copied().max().unwrap_or(0)
    }
}

/// The plan of `recipe`. `rules` is the canonical DQDL of those of its rules that quarantine.
pub fn plan(recipe: &Recipe, rules: Option<&str>) -> Result<Plan, Vec<Diagnostic>> {
    let mut columns = fields(recipe);
    let mut errors = Vec::new();
    let derives = compile_derives(recipe, &mut columns, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let derives: Vec<Program> = derives.into_iter().flatten().collect();
    let state_plan = state_plan(recipe, rules, &columns, &derives);
    for window in &recipe.windows {
        columns.extend(window.columns().into_iter().map(|(name, kind)| PlanColumn {
            name,
            kind,
            origin: Origin::Window,
        }));
    }
    let levels = recipe.features.iter().map(|step| step.level).collect();
    Ok(Plan { columns, derives, levels, state_plan })
}

/// The columns of the schema, after `protect`.
pub(super) fn fields(recipe: &Recipe) -> Vec<PlanColumn> {
    let column = |field: &Field| PlanColumn {
        name: field.name.clone(),
        kind: recipe.kind(field),
        origin: Origin::Field,
    };
    recipe.schema.fields.iter().map(column).collect()
}

/// Compiles the derived columns over the fields in `columns` and adds them, one by one, so that each reads only what
/// stands before it. A program is none where there was an error.
pub(super) fn compile_derives(
    recipe: &Recipe,
    columns: &mut Vec<PlanColumn>,
    errors: &mut Vec<Diagnostic>,
) -> Vec<Option<Program>> {
    let mut programs = Vec::new();
    for derive in &recipe.derive {
        let known: Vec<_> = columns.iter().map(|c| (c.name.clone(), c.kind)).collect();
        let mut error = |offset: usize, message: String, hint: Option<String>| {
            let Place { line, column } = place_within(derive, offset);
            let message = format!("`{}`: {message}", derive.name);
            errors.push(Diagnostic { file: recipe.file.clone(), line, column, message, hint });
        };
        let kind = match expression::compile(&derive.expression, &known) {
            Ok(program) => {
                for (&slot, &offset) in program.reads().iter().zip(program.places()) {
                    if let Some((message, hint)) = unreadable(recipe, &known[slot].0) {
                        error(offset, message, Some(hint));
                    }
                }
                let kind = program.kind();
                programs.push(Some(program));
                kind
            }
            Err(e) => {
                let reads = "it reads fields and the derived columns before it";
                error(e.offset, e.message, e.hint.or_else(|| Some(reads.into())));
                programs.push(None);
                Type::Double
            }
        };
        columns.push(PlanColumn { name: derive.name.clone(), kind, origin: Origin::Derive });
    }
    programs
}

/// Why no derived column, window or step may read the field `name`, and what to do.
pub(super) fn unreadable(recipe: &Recipe, name: &str) -> Option<(String, String)> {
    let slot = recipe.schema.fields.iter().position(|field| field.name == name)?;
    if recipe.schema.role(Role::Label) == Some(slot) {
        return Some((
            format!("`{name}` is the label: it is never there when serving"),
            "read another column".into(),
        ));
    }
    match recipe.method(name)? {
        Method::Drop => Some((
            format!("`{name}` is dropped by `protect`, so that nothing is left to read"),
            "protect it by `tokenize`, or read another column".into(),
        )),
        Method::Mask { .. } => Some((
            format!("`{name}` is masked by `protect`, so that unequal values look equal"),
            "protect it by `tokenize`, or read another column".into(),
        )),
        Method::Tokenize => None,
    }
}

/// The place in the file of a byte of the expression, where the expression stands as it is; else its start.
fn place_within(derive: &Derive, offset: usize) -> Place {
    let Derive { place: Place { line, column }, .. } = *derive;
    let before = derive.expression.get(..offset).unwrap_or_default();
    let columns = if derive.one_line { before.chars().count() } else { 0 };
    Place { line, column: column + columns }
}

/// The hash of all that decides state, and of nothing else: steps and derived columns that no window reads are out.
fn state_plan(
    recipe: &Recipe,
    rules: Option<&str>,
    columns: &[PlanColumn],
    derives: &[Program],
) -> String {
    #[derive(Serialize)]
    struct Deciding<'a> {
        version: u32,
        fields: &'a [Field],
        unknown_fields: UnknownFields,
        max_ahead: Option<i64>,
        dedupe: Option<Dedupe>,
        rules: Option<&'a str>,
        protect: &'a [Protect],
        derive: Vec<&'a Derive>,
        windows: &'a [Window],
    }
    let schema = &recipe.schema;
    let first = schema.fields.len();
    let read_by_windows = recipe.windows.iter().flat_map(Window::reads);
    let mut wanted: BTreeSet<usize> =
        read_by_windows.filter_map(|name| columns.iter().position(|c| c.name == name)).collect();
    for (index, program) in derives.iter().enumerate().rev() {
        if wanted.contains(&(first + index)) {
            wanted.extend(program.reads());
        }
    }
    let derive = recipe.derive.iter().enumerate();
    hash_of(&Deciding {
        version: STATE_VERSION,
        fields: &schema.fields,
        unknown_fields: schema.unknown_fields,
        max_ahead: schema.max_ahead,
        dedupe: schema.dedupe,
        rules,
        protect: &recipe.protect,
        derive: derive.filter(|(i, _)| wanted.contains(&(first + i))).map(|(_, d)| d).collect(),
        windows: &recipe.windows,
    })
}
