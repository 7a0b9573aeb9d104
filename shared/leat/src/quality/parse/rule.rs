//! Rules: composites, parameters, `where`, labels, tags, and what the table of rule types asks of them.

use super::super::tree::{
    Aside, Composite, Condition, Joiner, Number, Parameter, Rule, Single, Test, Text, VariableValue,
};
use super::super::types::{ConditionKind, ParameterKind, RULE_TYPES, RuleType, Section};
use super::condition::check_pattern;
use super::{KEYWORDS, Labels, Parsed, Parser, Stop, Word, is_keyword, nearest};
use crate::recipe::Place;

const AND: [&str; 2] = ["and", "AND"];
const OR: [&str; 2] = ["or", "OR"];
const OF: [&str; 2] = ["of", "OF"];

/// Which section a type stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum In {
    Rules,
    Analyzers,
}

/// What stands after a rule's condition.
#[derive(Default)]
struct Tail {
    filter: Option<(String, Place)>,
    labels: Labels,
    threshold: Option<(Test<Number>, Place)>,
    tags: Vec<(String, String)>,
}

impl<'a> Parser<'a> {
    /// `rule OR rule`.
    pub(super) fn any(&mut self) -> Parsed<Rule> {
        self.joined(&OR, Joiner::Or, |parser| parser.joined(&AND, Joiner::And, Self::part))
    }

    fn joined(
        &mut self,
        words: &[&str],
        joiner: Joiner,
        part: impl Fn(&mut Self) -> Parsed<Rule>,
    ) -> Parsed<Rule> {
        let place = Aside(self.place());
        let first = part(self)?;
        if !self.is_name(0, words) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.eat_name(words) {
            parts.push(part(self)?);
        }
        Ok(Rule::Composite(Composite { joiner, parts, labels: Labels::new(), place }))
    }

    /// `( rule ) [labels]`, or a rule of one type.
    fn part(&mut self) -> Parsed<Rule> {
        if !self.is_sign(0, "(") {
            return self.single(In::Rules).map(|single| Rule::Single(Box::new(single)));
        }
        let mut rule = self.deeper(|parser| {
            parser.advance();
            let rule = parser.any()?;
            if parser.eat_sign(")") { Ok(rule) } else { Err(parser.expected("AND, OR or `)`")) }
        })?;
        let place = self.place();
        if self.eat_name(&["labels"]) {
            self.expect_sign("=")?;
            let added = self.labels()?;
            let own = match &mut rule {
                Rule::Single(single) => &mut single.labels,
                Rule::Composite(composite) => &mut composite.labels,
            };
            for (key, value) in added {
                self.add_label(own, key, value, place)?;
            }
        }
        Ok(rule)
    }

    /// A rule of one type, or an analyzer.
    pub(super) fn single(&mut self, section: In) -> Parsed<Single> {
        let (failures, place) = (self.failures, self.place());
        let name = match *self.word() {
            Word::Name(name) if !is_keyword(name) => name,
            _ => {
                let what = if section == In::Rules { "a rule" } else { "an analyzer" };
                return Err(self.expected(what));
            }
        };
        self.advance();
        let kind = self.kind(name, place, section);
        let parameters = self.parameters()?;
        let form = kind.and_then(|kind| kind.form(parameters.len()));
        let allowed: Vec<ConditionKind> = match (form, kind) {
            (Some(form), _) => form.conditions.to_vec(),
            (None, Some(kind)) => kind.forms.iter().flat_map(|f| f.conditions).copied().collect(),
            (None, None) => Vec::new(),
        };
        if let (Some(kind), None) = (kind, form) {
            let usage = kind.usage().join("` or `");
            let message = format!("`{name}` does not take {} parameters", parameters.len());
            self.error(place, message, Some(format!("write `{usage}`")));
        }
        if let Some(form) = form {
            self.check_parameters(name, form.parameters, &parameters);
        }
        let condition_place = self.place();
        let condition = self.condition(&allowed)?;
        if let Some(kind) = kind {
            self.check_condition(kind, section, condition.as_ref(), &allowed, condition_place);
        }
        let tail = self.tail()?;
        if let Some(kind) = kind {
            self.check_tail(kind, section, &tail);
        }
        match kind.filter(|_| failures == self.failures) {
            Some(kind) => Ok(Single {
                kind,
                parameters: parameters.into_iter().map(|(parameter, _)| parameter).collect(),
                condition,
                filter: tail.filter.map(|(filter, _)| filter),
                labels: tail.labels,
                threshold: tail.threshold.map(|(threshold, _)| threshold),
                tags: tail.tags,
                place: Aside(place),
            }),
            None => Err(Stop),
        }
    }

    /// The type named `name`, or an error if there is none or it stands in the wrong section.
    fn kind(&mut self, name: &str, place: Place, section: In) -> Option<&'static RuleType> {
        let Some(kind) = RuleType::named(name) else {
            let hint = nearest(name, RULE_TYPES.iter().map(|kind| kind.name))
                .map(|near| format!("the nearest is `{near}`"));
            self.error(place, format!("no rule type is named `{name}`"), hint);
            return None;
        };
        match (section, kind.section) {
            (In::Rules, Section::Analyzers) => {
                self.error(place, format!("`{name}` stands under `Analyzers` only"), None);
            }
            (In::Analyzers, Section::Rules) => {
                let message = format!("`{name}` gives no value, so it is no analyzer");
                self.error(place, message, Some("put it under `Rules`".into()));
            }
            _ => {}
        }
        Some(kind)
    }

    /// `{ [of | and] parameter }`. After `and`, a name that is a rule type begins the next rule of a composite.
    fn parameters(&mut self) -> Parsed<Vec<(Parameter, Place)>> {
        let mut parameters = Vec::new();
        loop {
            let (of, and) = (self.is_name(0, &OF), self.is_name(0, &AND));
            if and {
                let parameter = match self.token(1).word {
                    Word::Name(name) => !is_keyword(name) && RuleType::named(name).is_none(),
                    Word::Text(_) | Word::Sign("$") => true,
                    _ => false,
                };
                if !parameter {
                    return Ok(parameters);
                }
            }
            if of || and {
                self.advance();
            }
            let place = self.place();
            match self.word() {
                Word::Text(text) => {
                    let text = text.clone();
                    self.advance();
                    parameters.push((Parameter::Text(text), place));
                }
                Word::Name(name) if !is_keyword(name) => {
                    if let Some(word) = KEYWORDS.iter().find(|w| w.eq_ignore_ascii_case(name)) {
                        let message = format!("`{name}` is no word of DQDL");
                        return Err(self.error(place, message, Some(format!("write `{word}`"))));
                    }
                    let text = (*name).to_owned();
                    self.advance();
                    parameters.push((Parameter::Text(text), place));
                }
                Word::Sign("$") => {
                    let name = self.variable_name()?;
                    match self.resolve(name, place)? {
                        None | Some(VariableValue::One(Text::Value(_))) => {}
                        Some(_) => {
                            let message = format!("the variable `{name}` is not one text");
                            return Err(self.error(place, message, None));
                        }
                    }
                    parameters.push((Parameter::Variable(name.to_owned()), place));
                }
                Word::Stray(_) | Word::Unclosed | Word::Number(_) => {
                    return Err(self.expected("a parameter in quotes or a condition"));
                }
                _ if of => return Err(self.expected("a parameter")),
                _ => return Ok(parameters),
            }
        }
    }

    /// `$name`: the name.
    pub(super) fn variable_name(&mut self) -> Parsed<&'a str> {
        self.expect_sign("$")?;
        match *self.word() {
            Word::Name(name) if !is_keyword(name) => {
                self.advance();
                Ok(name)
            }
            _ => Err(self.expected("a variable's name")),
        }
    }

    /// What the variable `name` stands for; none if its value was in error.
    pub(super) fn resolve(&mut self, name: &str, place: Place) -> Parsed<Option<VariableValue>> {
        if let Some(value) = self.ruleset.variable(name) {
            return Ok(Some(value.clone()));
        }
        if self.broken.contains(name) {
            return Ok(None);
        }
        let names = self.ruleset.variables.iter().map(|v| v.name.as_str());
        let hint = nearest(name, names).map(|near| format!("the nearest is `{near}`"));
        Err(self.error(place, format!("no variable is named `{name}`"), hint))
    }

    /// Whether `parameter` is a variable whose value could not be read: that was an error already.
    fn is_broken(&self, parameter: &Parameter) -> bool {
        matches!(parameter, Parameter::Variable(name) if self.broken.contains(name.as_str()))
    }

    fn check_parameters(
        &mut self,
        name: &str,
        kinds: &[ParameterKind],
        parameters: &[(Parameter, Place)],
    ) {
        for (at, (parameter, place)) in parameters.iter().enumerate() {
            let text = self.ruleset.text(parameter).to_owned();
            match kinds.get(at.min(kinds.len().saturating_sub(1))) {
                Some(ParameterKind::Column) if text.is_empty() && !self.is_broken(parameter) => {
                    self.error(*place, format!("`{name}` names an empty column"), None);
                }
                Some(ParameterKind::Pattern) => {
                    if let Err(why) = check_pattern(&text) {
                        self.error(*place, why, None);
                    }
                }
                _ => {}
            }
        }
    }

    fn check_condition(
        &mut self,
        kind: &RuleType,
        section: In,
        condition: Option<&Condition>,
        allowed: &[ConditionKind],
        place: Place,
    ) {
        let found = condition.map_or(ConditionKind::None, kind_of);
        let name = kind.name;
        if section == In::Analyzers {
            if condition.is_some() {
                let message = format!("the analyzer `{name}` takes no condition");
                self.error(place, message, Some("put it under `Rules`".into()));
            }
        } else if !allowed.contains(&found) {
            let words: Vec<_> = allowed.iter().map(|kind| kind.word()).collect();
            let message = format!("`{name}` takes {}, found {}", words.join(" or "), found.word());
            self.error(place, message, None);
        }
    }

    fn tail(&mut self) -> Parsed<Tail> {
        let mut tail = Tail::default();
        if self.eat_name(&["where"]) {
            let (filter, place) = self.text("an SQL predicate in quotes")?;
            if filter.trim().is_empty() {
                self.error(place, "`where` has an empty predicate", None);
            }
            tail.filter = Some((filter, place));
        }
        if self.eat_name(&["labels"]) {
            self.expect_sign("=")?;
            tail.labels = self.labels()?;
        }
        while self.eat_name(&["with"]) {
            self.tag(&mut tail)?;
        }
        if self.is_name(0, &["where", "labels"]) {
            let message = format!("{} stands too late", super::tokens::found(self.word()));
            let hint = "a rule's parts stand in this order: condition, where, labels, with";
            return Err(self.error(self.place(), message, Some(hint.into())));
        }
        Ok(tail)
    }

    /// What follows `with`.
    fn tag(&mut self, tail: &mut Tail) -> Parsed<()> {
        let place = self.place();
        let name = match *self.word() {
            Word::Name(name) if !is_keyword(name) => name,
            _ => return Err(self.expected("a tag, such as `threshold > 0.9`")),
        };
        self.advance();
        let stands = tail.tags.iter().any(|(tag, _)| tag == name)
            || (name == "threshold" && tail.threshold.is_some());
        if stands {
            self.error(place, format!("the tag `{name}` stands twice"), None);
        }
        if name == "threshold" {
            let condition_place = self.place();
            match self.condition(&[ConditionKind::Number])? {
                Some(Condition::Number(test)) => tail.threshold = Some((test, place)),
                Some(_) => {
                    self.error(condition_place, "`threshold` takes a number condition", None);
                }
                None => return Err(self.expected("a number condition, such as `> 0.9`")),
            }
            return Ok(());
        }
        if !self.is_sign(0, "=") {
            let message = format!("the tag `{name}` takes `=` and a value");
            return Err(self.error(self.place(), message, None));
        }
        self.advance();
        let value_place = self.place();
        let value = match self.word() {
            Word::Text(text) => text.clone(),
            Word::Number(text) => (*text).to_owned(),
            _ => return Err(self.expected("a text in quotes or a number")),
        };
        self.advance();
        if name == "timeZone" && jiff::tz::TimeZone::get(&value).is_err() {
            let message = format!("no time zone is named `{}`", super::tokens::cut(&value));
            self.error(value_place, message, Some("such as \"America/New_York\"".into()));
        }
        tail.tags.push((name.to_owned(), value));
        Ok(())
    }

    fn check_tail(&mut self, kind: &RuleType, section: In, tail: &Tail) {
        let name = kind.name;
        if let Some((_, place)) = tail.filter.as_ref().filter(|_| !kind.filter) {
            self.error(*place, format!("`{name}` takes no `where`"), None);
        }
        if let Some((_, place)) = tail.threshold.as_ref().filter(|_| !kind.threshold) {
            self.error(*place, format!("`{name}` takes no `threshold`"), None);
        }
        let bare = tail.filter.is_none() && tail.labels.is_empty() && tail.threshold.is_none();
        if section == In::Analyzers && !(bare && tail.tags.is_empty()) {
            let message = format!("the analyzer `{name}` takes parameters only");
            self.error(self.place(), message, None);
        }
    }
}

fn kind_of(condition: &Condition) -> ConditionKind {
    match condition {
        Condition::Number(_) => ConditionKind::Number,
        Condition::Text(_) | Condition::InVariable { .. } | Condition::Matches { .. } => {
            ConditionKind::Text
        }
        Condition::Date(_) => ConditionKind::Date,
        Condition::Duration(_) => ConditionKind::Duration,
        Condition::Size(_) => ConditionKind::Size,
    }
}
