//! What a recipe's parts must be to each other: names and roles, the flow of personal data, types, order, reachability.

use super::plan;
use super::report::{Report, did_you_mean};
use super::spec::{Arity, OperatorSpec, Output, Setting};
use super::{Aggregate, Method, Place, Recipe, Role, Step, Window, pattern};
use crate::column::Type;
use crate::diagnostic::nearest;

/// Windows make at most so many columns.
const MAX_WINDOW_COLUMNS: usize = 1000;

/// Places that the model does not keep.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub schema: Place,
    /// True if some of what makes columns could not be read: nothing is said of a name that is no column.
    pub nameless: bool,
    /// True if the type of a field could not be read: nothing is said of what rests on types.
    pub untyped: bool,
    /// True if the role of a field could not be read: nothing is said of roles that are missing.
    pub roleless: bool,
    /// The key of each derived column.
    pub derive: Vec<Place>,
    /// The column of each aggregate of each window.
    pub windows: Vec<Vec<Place>>,
    /// Whether all of each step could be read.
    pub whole: Vec<bool>,
    pub output: Vec<Place>,
}

/// Checks `recipe`, and gives each step its level.
pub(super) fn check(
    recipe: &mut Recipe,
    places: &Places,
    operators: &[OperatorSpec],
    report: &mut Report,
) {
    roles(recipe, places, report);
    protection(recipe, report);
    let mut columns = Columns { nameless: places.nameless, ..Columns::default() };
    for field in &recipe.schema.fields {
        let kind = Some(recipe.kind(field)).filter(|_| !places.untyped);
        columns.add(&field.name, kind, field.place, report);
    }
    derives(recipe, places, &mut columns, report);
    windows(recipe, places, &mut columns, report);
    columns.fields = recipe.schema.fields.len();
    let mut levels = Vec::new();
    for (step, whole) in recipe.features.iter().zip(&places.whole) {
        let mut checker = Checker { recipe, places, operators, report };
        levels.push(checker.step(step, *whole, &mut columns));
    }
    recipe.features.iter_mut().zip(levels).for_each(|(step, level)| step.level = level);
    output(recipe, places, &columns, report);
}

/// The columns at some point of the recipe.
#[derive(Debug, Default)]
struct Columns {
    known: Vec<Known>,
    /// Beginnings of names that `fit` ends; false where a step has an error, so that it may be so.
    open: Vec<(String, bool)>,
    /// True if names that are no column are not reported.
    nameless: bool,
    /// How many columns at the start are fields.
    fields: usize,
}

#[derive(Debug)]
struct Known {
    name: String,
    /// The name in lower case: it tells columns apart in the lake.
    lower: String,
    /// None after an error: nothing is said of its type.
    kind: Option<Type>,
    /// The level of the fitted step that it goes back to; 0: none.
    level: usize,
    /// Where it was made.
    place: Place,
    /// True if a step made it or took its place.
    stepped: bool,
    /// True if its texts are sparse vectors, which can be a feature.
    terms: bool,
}

impl Columns {
    fn get(&self, name: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.name == name)
    }

    /// Adds a column; a name that is taken is an error. Upper and lower case do not tell columns apart in the lake.
    fn add(&mut self, name: &str, kind: Option<Type>, place: Place, report: &mut Report) {
        let lower = name.to_lowercase();
        match self.known.iter().find(|known| known.lower == lower) {
            Some(taken) => {
                let Place { line, column } = taken.place;
                let message = match taken.name == name {
                    true => format!("there is a column `{name}` already"),
                    false => {
                        format!("`{name}` differs from the column `{}` in case only", taken.name)
                    }
                };
                let hint = format!(
                    "it is made in line {line}, column {column}; give one of them another name"
                );
                report.error(place, message, Some(hint));
            }
            None => {
                let name = name.to_owned();
                let (level, stepped, terms) = (0, false, false);
                self.known.push(Known { name, lower, kind, level, place, stepped, terms });
            }
        }
    }

    /// Reports a name that is no column.
    fn unknown(&self, name: &str, place: Place, hint: &str, report: &mut Report) {
        if self.nameless {
            return;
        }
        if self.open.iter().any(|(prefix, _)| pattern::may_match(name, prefix)) {
            let message =
                format!("`{name}` is not known before `fit`, which decides what ends its name");
            return report.error(place, message, Some("read the column that it is made of".into()));
        }
        report.error_with(place, format!("there is no column `{name}` here"), || {
            let near = nearest(name, self.known.iter().map(|known| known.name.as_str()));
            did_you_mean(near).or_else(|| Some(hint.to_owned()))
        });
    }
}

fn roles(recipe: &Recipe, places: &Places, report: &mut Report) {
    let fields = &recipe.schema.fields;
    for (i, field) in fields.iter().enumerate() {
        let Some(role) = field.role else { continue };
        if let Some(first) = fields[..i].iter().find(|before| before.role == Some(role)) {
            let message =
                format!("`{}` has the role {}, as `{}` has", field.name, role.word(), first.name);
            report.error(field.place, message, Some("a role belongs to one field".into()));
        }
        if !role.types().contains(&field.kind) && !places.untyped {
            let message =
                format!("`{}` has the role {} and is a {}", field.name, role.word(), field.kind);
            let words =
                role.types().iter().map(|kind| kind.word()).collect::<Vec<_>>().join(" or ");
            report.error(field.place, message, Some(format!("the type of this role is {words}")));
        }
    }
    if places.roleless {
        return;
    }
    for (role, use_of) in [
        (Role::Entity, "it is the key of windows and of the lake's buckets"),
        (Role::EventTime, "windows and the lake's dates go by it"),
    ] {
        if recipe.schema.role(role).is_none() {
            let message = format!("no field has the role {}", role.word());
            report.error(
                places.schema,
                message,
                Some(format!("write role: {} on a field: {use_of}", role.word())),
            );
        }
    }
    if recipe.schema.dedupe.is_some() && recipe.schema.role(Role::Id).is_none() {
        let hint = "write role: id on a field, or leave `dedupe` out";
        report.error(
            places.schema,
            "`dedupe` finds an id again, and no field has the role id",
            Some(hint.into()),
        );
    }
}

fn protection(recipe: &Recipe, report: &mut Report) {
    for (i, protect) in recipe.protect.iter().enumerate() {
        let name = &protect.field;
        if recipe.protect[..i].iter().any(|before| before.field == *name) {
            report.error(protect.place, format!("`{name}` is protected twice"), None);
        }
        let Some(field) = recipe.field(name) else {
            let near = nearest(name, recipe.schema.fields.iter().map(|f| f.name.as_str()));
            report.error(protect.place, format!("there is no field `{name}`"), did_you_mean(near));
            continue;
        };
        let refused = match (field.role, protect.method) {
            (None, _) | (Some(Role::Id | Role::Entity), Method::Tokenize) => None,
            (Some(Role::Id | Role::Entity), _) => {
                Some("only `tokenize` keeps it apart from others")
            }
            (Some(Role::EventTime | Role::Label), _) => {
                Some("it is used as it is; leave it out of `protect`")
            }
        };
        if let (Some(role), Some(hint)) = (field.role, refused) {
            let message =
                format!("`{name}` has the role {} and cannot be protected so", role.word());
            report.error(protect.place, message, Some(hint.into()));
        }
    }
    for field in &recipe.schema.fields {
        if field.pii && recipe.method(&field.name).is_none() {
            let message = format!("`{}` is tagged pii and not protected", field.name);
            let hint = format!(
                "add {{field: {}, method: tokenize}} to `protect`, or method drop or mask",
                field.name
            );
            report.error(field.place, message, Some(hint));
        }
    }
}

fn derives(recipe: &Recipe, places: &Places, columns: &mut Columns, report: &mut Report) {
    let form = &super::keys::COLUMN;
    let mut planned = plan::fields(recipe);
    let mut errors = Vec::new();
    let programs = plan::compile_derives(recipe, &mut planned, &mut errors);
    for ((derive, place), program) in recipe.derive.iter().zip(&places.derive).zip(programs) {
        if !(form.fits)(&derive.name) {
            let message = format!("`{}` is no name of a column", super::yaml::short(&derive.name));
            let hint = (form.why)(&derive.name).unwrap_or(form.expected);
            report.error(*place, message, Some(hint.to_owned()));
        }
        let kind =
            program.map(|program| program.kind()).filter(|_| !places.untyped && !places.nameless);
        columns.add(&derive.name, kind, *place, report);
    }
    if !places.untyped && !places.nameless {
        report.extend(errors);
    }
}

fn windows(recipe: &Recipe, places: &Places, columns: &mut Columns, report: &mut Report) {
    let wanted: usize = recipe.windows.iter().map(Window::width).sum();
    if let (true, Some(Window::Over { place, .. } | Window::Session { place, .. })) =
        (wanted > MAX_WINDOW_COLUMNS, recipe.windows.first())
    {
        let message =
            format!("`windows` makes {wanted} columns; at most {MAX_WINDOW_COLUMNS} are allowed");
        columns.nameless = true;
        return report.error(*place, message, None);
    }
    let mut made = Vec::new();
    for (window, places) in recipe.windows.iter().zip(&places.windows) {
        match window {
            Window::Over { aggregates, place, .. } => {
                for ((aggregate, column), at) in aggregates.iter().zip(places) {
                    if let Some(column) = column {
                        window_input(recipe, *aggregate, column, *at, columns, report);
                    }
                }
                made.extend(window.columns().into_iter().map(|column| (column, *place)));
            }
            Window::Session { gap, max_duration, place, .. } => {
                if max_duration.as_ref().is_some_and(|max| max.micros < gap.micros) {
                    let message = "`max_duration` is shorter than the gap of the session";
                    report.error(*place, message, Some("no two events could be in one".into()));
                }
                made.extend(window.columns().into_iter().map(|column| (column, *place)));
            }
        }
    }
    for ((name, kind), place) in made {
        columns.add(&name, Some(kind), place, report);
    }
}

/// A window reads fields and derived columns; what is not counted is a number.
fn window_input(
    recipe: &Recipe,
    aggregate: Aggregate,
    column: &str,
    place: Place,
    columns: &Columns,
    report: &mut Report,
) {
    let Some(known) = columns.get(column) else {
        return columns.unknown(column, place, "windows read fields and derived columns", report);
    };
    if let Some((message, hint)) = plan::unreadable(recipe, column) {
        report.error(place, message, Some(hint));
    } else if let Some(kind) = known.kind
        && aggregate != Aggregate::Count
        && !kind.is_numeric()
    {
        let message = format!("`{column}` is a {kind}; `{}` takes numbers", aggregate.word());
        report.error(place, message, Some("count it, or derive a number of it by cast".into()));
    }
}

struct Checker<'a> {
    recipe: &'a Recipe,
    places: &'a Places,
    operators: &'a [OperatorSpec],
    report: &'a mut Report,
}

impl Checker<'_> {
    /// Checks `step` against the columns before it, and changes them to those after it. Its level comes back.
    fn step(&mut self, step: &Step, whole: bool, columns: &mut Columns) -> usize {
        let spec = self.operators.iter().find(|spec| spec.name == step.op);
        if spec.is_some_and(|spec| spec.supervised) {
            self.label(step);
        }
        let mut level = 0;
        let mut kinds = Vec::new();
        for (i, input) in step.inputs.iter().enumerate() {
            let place = place_of(step, "in", i);
            if step.inputs[..i].contains(input) {
                self.report.error(place, format!("`{input}` is here a second time"), None);
                kinds.push(None);
                continue;
            }
            kinds.push(self.input(step, spec, input, place, columns));
            level = level.max(columns.get(input).map_or(0, |known| known.level));
        }
        let fitted = spec.is_some_and(|spec| spec.fitted);
        let level_after = if fitted { level + 1 } else { level };
        let names = self.names(step, spec);
        let together = match spec {
            Some(spec) if spec.arity == Arity::Together => kinds.len().max(1),
            _ => 1,
        };
        for ((i, name), kinds) in names.iter().enumerate().zip(kinds.chunks(together)) {
            let kinds: Option<Vec<Type>> = kinds.iter().copied().collect();
            let outputs = match (spec, kinds) {
                (Some(spec), Some(kinds)) if whole => self.outputs(spec, step, &kinds),
                _ => Err(()),
            };
            // What reads several columns takes the place of none.
            let reads_one = together == 1 || step.inputs.len() == 1;
            let own = step.inputs.get(i).filter(|input| reads_one && *input == name);
            let place = if step.outputs.is_empty() {
                place_of(step, "in", i)
            } else {
                place_of(step, "out", i)
            };
            match outputs {
                Ok(Some(outputs)) => {
                    for output in outputs {
                        let made = output.name(name);
                        let own = own.is_some_and(|own| *own == made);
                        self.make(&made, &output, level_after, own, place, columns);
                    }
                }
                Ok(None) => self.open(&format!("{name}_"), place, columns),
                // What a step with an error makes is not known; what reads it later is no error.
                Err(()) => {
                    if columns.get(name).is_none() {
                        let (name, lower) = (name.clone(), name.to_lowercase());
                        let (kind, level, stepped, terms) = (None, 0, true, false);
                        let known = Known { name, lower, kind, level, place, stepped, terms };
                        columns.known.push(known);
                    }
                    columns.open.push((format!("{name}_"), false));
                }
            }
        }
        if fitted { level_after } else { 0 }
    }

    /// A step that learns from the label needs one that is a number.
    fn label(&mut self, step: &Step) {
        let recipe = self.recipe;
        let place = step.places.get("op").copied().unwrap_or(step.place);
        match recipe.schema.fields.iter().find(|field| field.role == Some(Role::Label)) {
            None if self.places.roleless => {}
            None => self.report.error(
                place,
                format!("`{}` learns from the label, and no field has the role label", step.op),
                Some("write role: label on the field that a model learns".into()),
            ),
            Some(_) if recipe.has_numeric_label() || self.places.untyped => {}
            Some(label) => self.report.error(
                place,
                format!(
                    "`{}` learns from numbers, and the label `{}` is text",
                    step.op, label.name
                ),
                Some("give the label the type long, double or bool".into()),
            ),
        }
    }

    /// The type of an input; none if there was an error in it or before it.
    fn input(
        &mut self,
        step: &Step,
        spec: Option<&OperatorSpec>,
        input: &str,
        place: Place,
        columns: &Columns,
    ) -> Option<Type> {
        let Some(known) = columns.get(input) else {
            columns.unknown(input, place, "a step reads what stands above it", self.report);
            return None;
        };
        if !known.stepped
            && let Some((message, hint)) = plan::unreadable(self.recipe, input)
        {
            self.report.error(place, message, Some(hint));
            return None;
        }
        let (spec, kind) = (spec?, known.kind?);
        if !spec.takes.contains(&kind) {
            let takes = spec.takes.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
            let message = format!("`{input}` is a {kind}; `{}` takes {takes}", step.op);
            let hint = match spec.takes.iter().any(|kind| kind.is_numeric()) {
                true => "derive a number of it by cast, or take another operator",
                false => "derive a column by cast, or take another operator",
            };
            self.report.error(place, message, Some(hint.into()));
            return None;
        }
        Some(kind)
    }

    /// The names that the step gives, one for each input, or one for all.
    fn names(&mut self, step: &Step, spec: Option<&OperatorSpec>) -> Vec<String> {
        let together = spec.is_some_and(|spec| spec.arity == Arity::Together);
        let wanted = if together { 1 } else { step.inputs.len() };
        let given = step.outputs.len();
        let good = given == wanted || given == 0;
        if !good && spec.is_some() && !step.inputs.is_empty() {
            let message = format!("`out` has {given} names; `{}` gives {wanted} here", step.op);
            let place = step.places.get("out").copied().unwrap_or(step.place);
            let hint =
                if together { "one for all it reads" } else { "one for each column it reads" };
            self.report.error(place, message, Some(hint.into()));
        }
        spec.map_or(Arity::Each, |spec| spec.arity).names(step)
    }

    /// What the operator says to the step; its refusal is reported.
    fn outputs(
        &mut self,
        spec: &OperatorSpec,
        step: &Step,
        kinds: &[Type],
    ) -> Result<Option<Vec<Output>>, ()> {
        let kind = kinds.first().copied().ok_or(())?;
        let setting = Setting { spec, dialect: self.recipe.dialect, kind, kinds, step };
        (spec.outputs)(&setting).map_err(|wrong| {
            let place = wrong.parameter.and_then(|parameter| step.places.get(parameter));
            self.report.error(place.copied().unwrap_or(step.place), wrong.message, wrong.hint);
        })
    }

    /// Adds a column that a step makes, or puts it in the place of its own input.
    fn make(
        &mut self,
        name: &str,
        output: &Output,
        level: usize,
        own: bool,
        place: Place,
        columns: &mut Columns,
    ) {
        let role = self.recipe.field(name).and_then(|field| field.role);
        if let (true, Some(role)) = (own, role) {
            let message =
                format!("`{name}` has the role {}: a step may not take its place", role.word());
            return self.report.error(
                place,
                message,
                Some("give the step's column a name by `out`".into()),
            );
        }
        if !own {
            columns.add(name, Some(output.kind), place, self.report);
        }
        if let Some(known) = columns.known.iter_mut().find(|known| known.name == name) {
            (known.kind, known.level, known.stepped) = (Some(output.kind), level, true);
            known.terms = output.terms.is_some();
        }
    }

    /// Adds columns whose names begin with `prefix`.
    fn open(&mut self, prefix: &str, place: Place, columns: &mut Columns) {
        if columns.open.iter().any(|(taken, sure)| *sure && taken == prefix) {
            let message = format!("columns `{prefix}…` are made already");
            self.report.error(
                place,
                message,
                Some("give one of them another name by `out`".into()),
            );
        }
        columns.open.push((prefix.to_owned(), true));
    }
}

fn place_of(step: &Step, key: &str, index: usize) -> Place {
    step.places.get(&format!("{key}.{index}")).copied().unwrap_or(step.place)
}

/// Each pattern of `output` names a column that can be a feature.
fn output(recipe: &Recipe, places: &Places, columns: &Columns, report: &mut Report) {
    let fit = |known: &Known| {
        known.terms || known.kind.is_none_or(|kind| kind.is_numeric() || kind == Type::Bool)
    };
    for (wanted, place) in recipe.output.iter().zip(&places.output) {
        let open = columns.open.iter().any(|(prefix, _)| pattern::may_match(wanted, prefix));
        if wanted.contains('*') {
            let made = columns.known.iter().enumerate().any(|(i, known)| {
                (i >= columns.fields || known.stepped)
                    && fit(known)
                    && pattern::matches(wanted, &known.name)
            });
            if !made && !open && !columns.nameless {
                let message =
                    format!("no column that derive, windows or features make is like `{wanted}`");
                report.error(
                    *place,
                    message,
                    Some("* stands for any characters; a field is named in full".into()),
                );
            }
            continue;
        }
        match columns.get(wanted) {
            None if open => {}
            None => columns.unknown(wanted, *place, "write all, or a name with *", report),
            Some(known) => {
                let unreadable = plan::unreadable(recipe, wanted).filter(|_| !known.stepped);
                if let Some((message, hint)) = unreadable {
                    report.error(*place, message, Some(hint));
                } else if let Some(kind) = known.kind.filter(|_| !fit(known)) {
                    let message = format!("`{wanted}` is a {kind}; features are numbers and bools");
                    report.error(
                        *place,
                        message,
                        Some("make numbers of it by a step, such as one_hot".into()),
                    );
                }
            }
        }
    }
}
