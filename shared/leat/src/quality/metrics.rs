//! Rules about a data set: what they say is computed from mergeable counts.
//!
//! [`Evaluation`] is a ruleset ready for a data set with given columns; [`Metrics`] is what was counted so far. Counts
//! of parts merge into the counts of the whole, in any order, to the bit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::action::RowAction;
use super::counter::{Count, Counter, Rows, State};
use super::evaluated::{evaluated, with_history};
use super::frequencies::{Frequencies, ValueHasher};
use super::history::History;
use super::listing::Listings;
use super::numbers::{NumberTest, Wrong, is_dynamic};
use super::over::Over;
use super::predicate::Predicate;
use super::reference::References;
use super::row_rule::{RowRule, diagnostic, is_row_rule};
use super::row_test::{Refusal, refuse_tags};
use super::rules::{
    Check, Counted, Judge, Known, Preparation, RowOutcome, Verdict, fails,
    row_share::CompositeShare,
};
use super::sql::{Answer, Query};
use super::tally::Tally;
use super::tree::{Composite, Condition, Date, Joiner, Number, Rule, Ruleset, Single, Test};
use crate::column::{Column, Type};
use crate::diagnostic::Diagnostic;

/// A rule has `now()` and the run has no time.
pub const NO_NOW: &str = "`now()` needs the run's time, which was not given";

/// A rule asks for earlier runs and nobody keeps them.
pub const NO_HISTORY: &str = "it asks for what earlier runs measured, which is not kept here (`leat validate --history FOLDER` does)";

/// A ruleset ready for a data set.
#[derive(Debug)]
pub struct Evaluation {
    rules: Vec<Evaluated>,
    analyzers: Vec<Node>,
    counters: Vec<Counter>,
    predicates: Vec<(String, Predicate)>,
    queries: Vec<Query>,
    hash: String,
    now: Option<i64>,
}

/// What stays the same of a rule's outcome, and how its outcome comes from the counts.
#[derive(Debug)]
struct Evaluated {
    rule: String,
    evaluated: String,
    threshold: Option<String>,
    labels: BTreeMap<String, String>,
    action: RowAction,
    node: Node,
}

#[derive(Debug)]
enum Node {
    /// A rule, its `where`, and whether it asks for earlier runs of which there are none.
    Check(Box<dyn Check>, Option<String>, bool),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// How a composite is evaluated over a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// AND or OR of its parts' outcomes over the whole data set: `(A > 1) OR (A = NULL)` fails where some rows meet
    /// one and some the other. DQDL's default.
    #[default]
    Column,
    /// A row passes if AND or OR of its own outcomes does, and all rows must, as where single records are judged.
    /// Rules that are no row rules, those with a threshold among them, cannot take part.
    Row,
}

/// How a row is labelled that `where` leaves out. The setting `filteredRowLabel` of AWS Glue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilteredRow {
    /// As one that passed.
    #[default]
    Passed,
    /// As one of which the rule does not speak.
    Skipped,
}

/// All that is known beside the ruleset and the columns.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What `now()` stands for, in milliseconds since 1970 UTC.
    pub now: Option<i64>,
    /// How composites are evaluated.
    pub method: Method,
    /// The data sets that rules compare with.
    pub references: &'a References,
    /// The files that rules speak of.
    pub files: &'a Listings,
    /// What earlier runs measured; none where nobody keeps it: rules that ask for it are then refused.
    pub history: Option<&'a History>,
    /// Whether the queries of `CustomSql` are run, and [`Evaluation::answer`] is told of them: else it is refused.
    pub sql: bool,
    /// True to check a ruleset of which nothing else is known yet: what a rule compares with may be missing.
    pub draft: bool,
}

static NO_REFERENCES: References = BTreeMap::new();
static NO_FILES: Listings = BTreeMap::new();

impl Context<'static> {
    /// Nothing but a time and a method.
    pub fn new(now: Option<i64>, method: Method) -> Self {
        Context {
            now,
            method,
            references: &NO_REFERENCES,
            files: &NO_FILES,
            history: None,
            sql: false,
            draft: false,
        }
    }
}

/// What was counted of a data set or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// The hash of the ruleset.
    rules: String,
    /// What `now()` stood for, in milliseconds.
    now: Option<i64>,
    rows: u64,
    states: Vec<State>,
    /// What queries answered, by their place among [`Evaluation::queries`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    answers: BTreeMap<usize, Answer>,
}

/// A part of the counting of rows: see [`Evaluation::counting`].
#[derive(Debug)]
pub struct Counting<'m> {
    counter: &'m Counter,
    state: &'m mut State,
    parts: &'m [Rows<'m>],
    tallies: &'m [(usize, Tally)],
}

impl Counting<'_> {
    /// Counts.
    pub fn run(self) {
        self.parts.iter().for_each(|part| self.counter.update(self.state, part));
        for (slot, tally) in self.tallies {
            self.counter.tally(self.state, *slot, tally);
        }
    }
}

/// Metrics of different rulesets, or of different times of `now()`, do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these metrics were counted for another ruleset, or for another time of `now()`")]
pub struct OtherMetrics;

/// All that a ruleset says of a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The rules, in order.
    pub outcomes: Vec<Outcome>,
    /// What the analyzers measured.
    pub analyzers: BTreeMap<String, f64>,
    /// All that was measured, by the names that [`History`] has: what the next runs compare with.
    #[serde(skip)]
    pub measured: BTreeMap<String, f64>,
}

/// The rules that a row passed, failed, and that do not speak of it, by index. Rules about the data set are in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowVerdicts {
    /// See [`RowOutcome::Passed`].
    pub passed: Vec<usize>,
    /// See [`RowOutcome::Failed`].
    pub failed: Vec<usize>,
    /// See [`RowOutcome::Skipped`].
    pub skipped: Vec<usize>,
}

/// What a rule says of a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The rule as canonical DQDL.
    pub rule: String,
    /// Whether it holds.
    pub outcome: Status,
    /// Why it does not, or what is to be said of it though it does. It holds no value of a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was measured: `Column.<column>.<Metric>`, `Dataset.*.<Metric>`.
    pub metrics: BTreeMap<String, f64>,
    /// The rule with the values that its variables and functions had.
    pub evaluated: String,
    /// What the metric is held against, likewise: the rule's threshold, else its condition. None where the rule has
    /// neither, as `IsComplete`, and of a composite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// The labels that hold for the rule.
    pub labels: BTreeMap<String, String>,
    /// What follows if it does not hold, as its label `action` says: without one a rule about single records puts them
    /// into quarantine, and a rule about the data set halts.
    pub action: RowAction,
    /// Rows that passed; none where the rule does not look at rows one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_rows: Option<u64>,
    /// Rows that failed; as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_rows: Option<u64>,
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Status {
    /// It does.
    Passed,
    /// It does not.
    Failed,
    /// It cannot be said: what the rule needs is not there.
    Error,
}

impl Outcome {
    /// Whether the rule does not hold, or that cannot be said, and nothing may go on.
    pub fn halts(&self) -> bool {
        self.outcome != Status::Passed && self.action == RowAction::Halt
    }
}

impl Evaluation {
    /// Readies all rules of `ruleset` for a data set with these columns; `now` is what `now()` stands for, in
    /// milliseconds since 1970 UTC. A rule about a column that is not there will fail. Rules that need more than the
    /// data (a second data set, files, SQL) are refused, all at once: see [`Evaluation::within`].
    pub fn compile(
        ruleset: &Ruleset,
        columns: &[(String, Type)],
        now: Option<i64>,
        method: Method,
    ) -> Result<Evaluation, Vec<Diagnostic>> {
        Evaluation::within(ruleset, columns, &Context::new(now, method))
    }

    /// As [`Evaluation::compile`], with all that `context` knows.
    pub fn within(
        ruleset: &Ruleset,
        columns: &[(String, Type)],
        context: &Context<'_>,
    ) -> Result<Evaluation, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let (mut counters, mut predicates, mut queries) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rules, mut analyzers) = (Vec::new(), Vec::new());
        let mut compiler = Compiler {
            errors: &mut errors,
            on: Preparation {
                ruleset,
                columns,
                context,
                counters: &mut counters,
                predicates: &mut predicates,
                queries: &mut queries,
            },
        };
        for rule in &ruleset.rules {
            compiler.errors.extend(RowAction::check(ruleset, rule).err());
            compiler.errors.extend(Over::check(ruleset, rule).err());
            if let Some((node, resolved)) = compiler.node(rule) {
                let (text, labels) = (rule.to_string(), ruleset.labels(rule));
                let resolved = evaluated(ruleset, &resolved, context.now);
                rules.push(Evaluated {
                    rule: text,
                    evaluated: resolved.to_string(),
                    threshold: threshold(&resolved),
                    action: RowAction::of(ruleset, rule),
                    labels,
                    node,
                });
            }
        }
        for analyzer in &ruleset.analyzers {
            let rule = Rule::Single(Box::new(analyzer.clone()));
            analyzers.extend(compiler.node(&rule).map(|(node, _)| node));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let (hash, now) = (ruleset.hash(), context.now);
        Ok(Evaluation { rules, analyzers, counters, predicates, queries, hash, now })
    }

    /// The slots of the columns that the rules read. What stands in the place of another column, an empty one too, makes no
    /// difference.
    pub fn reads(&self) -> BTreeSet<usize> {
        let mut reads = BTreeSet::new();
        self.counters.iter().for_each(|counter| counter.what.reads(&mut reads));
        reads.extend(self.predicates.iter().flat_map(|(_, predicate)| predicate.reads()));
        reads
    }

    /// The slots of the columns of which the rules ask no more than how often each value stands: tallies can take the place of
    /// their values in [`Evaluation::counting`].
    pub fn tallied(&self) -> BTreeSet<usize> {
        let mut tallied = self.reads();
        for (_, predicate) in &self.predicates {
            tallied.retain(|slot| !predicate.reads().contains(slot));
        }
        for counter in &self.counters {
            let mut reads = BTreeSet::new();
            counter.what.reads(&mut reads);
            tallied.retain(|slot| !reads.contains(slot) || counter.takes_tally(*slot));
        }
        tallied
    }

    /// Counts of nothing.
    pub fn start(&self) -> Metrics {
        let states = self.counters.iter().map(Counter::start).collect();
        Metrics {
            rules: self.hash.clone(),
            now: self.now,
            rows: 0,
            states,
            answers: BTreeMap::new(),
        }
    }

    /// Counts the first `rows` rows of `columns`, which are those of [`Evaluation::compile`].
    pub fn update(&self, metrics: &mut Metrics, columns: &[Column], rows: usize) {
        let rows = [self.rows(columns, rows)];
        self.counting(metrics, &rows, &[]).into_iter().for_each(Counting::run);
    }

    /// The first `rows` rows of `columns`, and which of them each `where` keeps.
    pub fn rows<'c>(&self, columns: &'c [Column], rows: usize) -> Rows<'c> {
        Rows::new(columns, rows, self.now, &self.predicates)
    }

    /// What [`Evaluation::update`] does with `parts`, one after the other, as works that do not depend on one another: with
    /// all of them done, on any threads, `metrics` has counted the parts. What takes longest comes first.
    ///
    /// Of a column in one of [`Evaluation::tallied`] parts may have none of the rows, if `tallies` have them.
    pub fn counting<'m>(
        &'m self,
        metrics: &'m mut Metrics,
        parts: &'m [Rows<'m>],
        tallies: &'m [(usize, Tally)],
    ) -> Vec<Counting<'m>> {
        let rows = parts.iter().map(|part| part.count as u64).sum();
        metrics.rows = metrics.rows.saturating_add(rows);
        let works = self.counters.iter().zip(&mut metrics.states);
        let mut works: Vec<_> =
            works.map(|(counter, state)| Counting { counter, state, parts, tallies }).collect();
        works.sort_by_key(|work| !matches!(work.counter.what, Count::Frequencies(_)));
        works
    }

    /// The queries of `CustomSql`, each once, in the order of the rules; then those of analyzers.
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// Keeps what the query at this place among [`Evaluation::queries`] answered over all rows that `metrics` counts. Without
    /// an answer its rules are an `Error`.
    pub fn answer(&self, metrics: &mut Metrics, query: usize, answer: Answer) {
        metrics.answers.insert(query, answer);
    }

    /// What the rules say of all that was counted, in the order of the rules.
    pub fn finish(&self, metrics: &Metrics) -> Result<Vec<Outcome>, OtherMetrics> {
        self.report(metrics).map(|report| report.outcomes)
    }

    /// As [`Evaluation::finish`], with what the analyzers measured, and with what the next runs compare with.
    pub fn report(&self, metrics: &Metrics) -> Result<Report, OtherMetrics> {
        self.check(metrics)?;
        let counted = Counted { states: &metrics.states, answers: &metrics.answers };
        let mut measured = BTreeMap::new();
        let outcome = |rule: &Evaluated| {
            let mut sum = Summary::default();
            let status = rule.node.finish(&counted, &mut sum);
            measured.extend(sum.measured);
            let texts = if status == Status::Passed { sum.notes } else { sum.reasons };
            Outcome {
                rule: rule.rule.clone(),
                outcome: status,
                reason: (!texts.is_empty()).then(|| texts.join("; ")),
                metrics: sum.metrics,
                evaluated: rule.evaluated.clone(),
                threshold: rule.threshold.clone(),
                labels: rule.labels.clone(),
                action: rule.action,
                passed_rows: sum.rows.map(|(passed, _)| passed),
                failed_rows: sum.rows.map(|(_, failed)| failed),
            }
        };
        let outcomes = self.rules.iter().map(outcome).collect();
        let mut analyzers = BTreeMap::new();
        for node in &self.analyzers {
            let mut sum = Summary::default();
            node.finish(&counted, &mut sum);
            analyzers.extend(sum.metrics);
            measured.extend(sum.measured);
        }
        Ok(Report { outcomes, analyzers, measured })
    }

    /// What the rules say of each row, when `metrics` counted all rows of the data set: a row of a value that stands
    /// twice fails `IsUnique` wherever the other one is. Rules that do not look at rows one by one say nothing.
    pub fn judge(
        &self,
        metrics: &Metrics,
        columns: &[Column],
        rows: usize,
        filtered: FilteredRow,
    ) -> Result<Vec<RowVerdicts>, OtherMetrics> {
        self.check(metrics)?;
        let rows = Rows::new(columns, rows, self.now, &self.predicates);
        let mut hasher = ValueHasher::default();
        let mut verdicts = Vec::with_capacity(rows.count);
        for row in 0..rows.count {
            let counted = Counted { states: &metrics.states, answers: &metrics.answers };
            let (counters, hasher) = (self.counters.as_slice(), &mut hasher);
            let mut judge = Judge { counted, counters, rows: &rows, row, hasher };
            let mut verdict = RowVerdicts::default();
            for (index, rule) in self.rules.iter().enumerate() {
                match rule.node.judge(&mut judge) {
                    None => {}
                    Some(RowOutcome::Failed) => verdict.failed.push(index),
                    Some(RowOutcome::Skipped) if filtered == FilteredRow::Skipped => {
                        verdict.skipped.push(index);
                    }
                    Some(_) => verdict.passed.push(index),
                }
            }
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }

    /// Of each rule the first rows here that fail it, as many as `most` says for it, in the order of the rules: for one
    /// that does not hold, some rows to look at. None where the rule does not look at rows one by one. `metrics` counted
    /// these rows and perhaps others: of a part of the data set, each row that is found fails over the whole, too.
    pub fn failing(
        &self,
        metrics: &Metrics,
        columns: &[Column],
        rows: usize,
        most: &[usize],
    ) -> Result<Vec<Option<Vec<usize>>>, OtherMetrics> {
        self.check(metrics)?;
        let rows = Rows::new(columns, rows, self.now, &self.predicates);
        let mut hasher = ValueHasher::default();
        let mut of_rule = |rule: &Evaluated, most: usize| {
            let (mut found, mut row) = (Vec::new(), 0);
            while row < rows.count && found.len() < most {
                let counted = Counted { states: &metrics.states, answers: &metrics.answers };
                let (counters, hasher) = (self.counters.as_slice(), &mut hasher);
                let mut judge = Judge { counted, counters, rows: &rows, row, hasher };
                if rule.node.judge(&mut judge)? == RowOutcome::Failed {
                    found.push(row);
                }
                row += 1;
            }
            Some(found)
        };
        Ok(self.rules.iter().zip(most).map(|(rule, most)| of_rule(rule, *most)).collect())
    }

    fn check(&self, metrics: &Metrics) -> Result<(), OtherMetrics> {
        let same = |(counter, state): (&Counter, &State)| {
            std::mem::discriminant(&counter.start()) == std::mem::discriminant(state)
        };
        let fits = metrics.rules == self.hash
            && metrics.now == self.now
            && metrics.states.len() == self.counters.len()
            && self.counters.iter().zip(&metrics.states).all(same);
        if fits { Ok(()) } else { Err(OtherMetrics) }
    }
}

impl Metrics {
    /// Whether `other` was counted for the same ruleset, and at the same time of `now()`.
    pub fn fits(&self, other: &Metrics) -> bool {
        let same = |(mine, theirs): (&State, &State)| {
            std::mem::discriminant(mine) == std::mem::discriminant(theirs)
        };
        self.rules == other.rules
            && self.now == other.now
            && self.states.len() == other.states.len()
            && self.states.iter().zip(&other.states).all(same)
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Metrics) -> Result<(), OtherMetrics> {
        if !self.fits(other) {
            return Err(OtherMetrics);
        }
        self.rows = self.rows.saturating_add(other.rows);
        for (query, answer) in &other.answers {
            self.answers.entry(*query).or_insert_with(|| answer.clone());
        }
        self.states.iter_mut().zip(&other.states).for_each(|(mine, theirs)| {
            mine.merge(theirs);
        });
        Ok(())
    }

    /// How many rows were counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Keeps at most `most` distinct values over all that counts values, for a place with little memory: where there are
    /// more, samples by hash take their place, as beyond 1,048,576 values of one counter.
    pub fn bound(&mut self, most: usize) {
        loop {
            let kept = self.states.iter_mut().filter_map(|state| match state {
                State::Frequencies(values) => Some(values),
                _ => None,
            });
            let mut kept: Vec<&mut Frequencies> = kept.collect();
            if kept.iter().map(|values| values.kept()).sum::<usize>() <= most {
                return;
            }
            let largest = kept.iter_mut().max_by_key(|values| values.kept());
            largest.into_iter().for_each(|values| values.thin());
        }
    }
}

/// What a rule's metric is held against: see [`Outcome::threshold`].
pub(super) fn threshold(rule: &Rule) -> Option<String> {
    let Rule::Single(single) = rule else { return None };
    match (&single.threshold, &single.condition) {
        (Some(test), _) => Some(test.to_string()),
        (None, condition) => condition.as_ref().map(ToString::to_string),
    }
}

/// What the parts of a rule said.
#[derive(Default)]
struct Summary {
    metrics: BTreeMap<String, f64>,
    measured: BTreeMap<String, f64>,
    /// Why parts do not hold.
    reasons: Vec<String>,
    /// What is to be said of parts that hold.
    notes: Vec<String>,
    /// Rows that passed and failed; of a rule of one type alone.
    rows: Option<(u64, u64)>,
}

/// A rule compares with values of earlier runs, and there are none.
const NO_HISTORY_YET: &str = "no earlier run has this metric: 0.0 stands for its values";

impl Node {
    fn finish(&self, counted: &Counted<'_>, sum: &mut Summary) -> Status {
        match self {
            Node::Check(check, filter, no_history) => {
                let found = check.finish(counted);
                sum.rows = found.rows;
                for (name, value) in found.metrics {
                    let kept = match filter {
                        Some(filter) => format!("{name} where {filter}"),
                        None => name.clone(),
                    };
                    sum.measured.insert(kept, value);
                    sum.metrics.insert(name, value);
                }
                let (status, text) = match found.verdict {
                    Verdict::Passed(note) => (Status::Passed, note),
                    Verdict::Failed(why) => (Status::Failed, Some(why)),
                    Verdict::Error(why) => (Status::Error, Some(why)),
                };
                let texts = match status {
                    Status::Passed => &mut sum.notes,
                    _ => &mut sum.reasons,
                };
                texts.extend(text);
                texts.extend(no_history.then(|| NO_HISTORY_YET.to_owned()));
                status
            }
            Node::All(parts) | Node::Any(parts) => {
                let statuses: Vec<_> = parts.iter().map(|part| part.finish(counted, sum)).collect();
                sum.rows = None;
                let has = |status| statuses.contains(&status);
                let any = matches!(self, Node::Any(_));
                match (any, has(Status::Passed), has(Status::Failed), has(Status::Error)) {
                    (true, true, ..) | (false, _, false, false) => Status::Passed,
                    (false, _, true, _) | (true, false, _, false) => Status::Failed,
                    _ => Status::Error,
                }
            }
        }
    }

    fn judge(&self, judge: &mut Judge<'_>) -> Option<RowOutcome> {
        match self {
            Node::Check(check, ..) => check.judge(judge),
            Node::All(parts) | Node::Any(parts) => {
                let found: Vec<_> =
                    parts.iter().map(|part| part.judge(judge)).collect::<Option<_>>()?;
                let failed = |outcome: &RowOutcome| *outcome == RowOutcome::Failed;
                let fails = match self {
                    Node::Any(_) => found.iter().all(failed),
                    _ => found.iter().any(failed),
                };
                Some(match fails {
                    true => RowOutcome::Failed,
                    false if found.contains(&RowOutcome::Passed) => RowOutcome::Passed,
                    false => RowOutcome::Skipped,
                })
            }
        }
    }
}

struct Compiler<'a, 'e> {
    errors: &'e mut Vec<Diagnostic>,
    on: Preparation<'a>,
}

/// A rule whose functions have values, or the reason why one has none now.
type Resolved = Result<(Rule, bool), String>;

impl Compiler<'_, '_> {
    fn refuse(&mut self, rule: &Rule, refusal: &Refusal) {
        self.errors.push(diagnostic(self.on.ruleset, rule, refusal));
    }

    /// `rule` with values of earlier runs; none if it was refused.
    fn resolve(&mut self, rule: &Rule) -> Option<Resolved> {
        match rule {
            Rule::Single(single) => {
                let Context { history, draft, .. } = *self.on.context;
                match with_history(self.on.ruleset, single, history.unwrap_or(&History::NONE)) {
                    Ok((_, true)) | Err(Wrong::Now(_)) if history.is_none() && !draft => {
                        self.refuse(rule, &Refusal::Unfit(NO_HISTORY.into()));
                        None
                    }
                    Ok((single, none)) => Some(Ok((Rule::Single(Box::new(single)), none))),
                    Err(Wrong::Now(why)) => Some(Err(why)),
                    Err(Wrong::Always(why)) => {
                        self.refuse(rule, &Refusal::Unfit(why));
                        None
                    }
                }
            }
            Rule::Composite(composite) => {
                let parts: Vec<_> = composite.parts.iter().map(|part| self.resolve(part)).collect();
                let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
                Some(parts.into_iter().collect::<Result<Vec<_>, _>>().map(|parts| {
                    let none = parts.iter().any(|(_, none)| *none);
                    let parts = parts.into_iter().map(|(part, _)| part).collect();
                    (Rule::Composite(Composite { parts, ..composite.clone() }), none)
                }))
            }
        }
    }

    /// A rule and how it is evaluated; the errors tell what is wrong if there is none.
    fn node(&mut self, rule: &Rule) -> Option<(Node, Rule)> {
        match rule {
            Rule::Single(single) => {
                let (single, none) = match self.resolve(rule)? {
                    Ok((Rule::Single(single), none)) => (single, none),
                    Ok((Rule::Composite(_), _)) => return None,
                    Err(why) => {
                        self.count_alike(single);
                        let check = Box::new(Known(Verdict::Error(why), Vec::new()));
                        let node = Node::Check(check, single.filter.clone(), false);
                        return Some((node, rule.clone()));
                    }
                };
                match self.single(&single) {
                    Ok(check) => {
                        let node = Node::Check(check, single.filter.clone(), none);
                        Some((node, Rule::Single(single)))
                    }
                    Err(refusal) => {
                        self.refuse(rule, &refusal);
                        None
                    }
                }
            }
            Rule::Composite(_) if self.on.context.method == Method::Row => self.by_rows(rule),
            Rule::Composite(composite) => {
                // All parts, so that all their errors are found.
                let parts: Vec<_> = composite.parts.iter().map(|part| self.node(part)).collect();
                let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
                let (nodes, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                let node = match composite.joiner {
                    Joiner::And => Node::All(nodes),
                    Joiner::Or => Node::Any(nodes),
                };
                Some((node, Rule::Composite(Composite { parts, ..composite.clone() })))
            }
        }
    }

    /// Counts for a rule that has no value in this history what it counts in another: parts of a data set that were
    /// counted without a history are judged with one. Of a test of single rows there is nothing alike.
    fn count_alike(&mut self, single: &Single) {
        let steady = |test: &Test<Number>| !test.operands().into_iter().any(is_dynamic);
        let mut bare = single.clone();
        if let Some(Condition::Number(test)) = &single.condition
            && !steady(test)
        {
            bare.condition = None;
        }
        bare.threshold = bare.threshold.filter(steady);
        // What is wrong with it is told of the rule itself.
        let _ = (bare.kind.prepare)(&mut self.on, &bare);
    }

    fn single(&mut self, single: &Single) -> Result<Box<dyn Check>, Refusal> {
        if self.on.context.now.is_none() && wants_now(single) {
            return Err(Refusal::Unfit(NO_NOW.into()));
        }
        // What is wrong whatever the data is told first.
        refuse_tags(single)?;
        if let Some(Condition::Number(test)) = &single.condition {
            NumberTest::new(test).map_err(Refusal::Unfit)?;
        }
        self.on.threshold(single)?;
        match (single.kind.prepare)(&mut self.on, single) {
            Err(refusal) if refusal.fails() => Ok(fails(refusal.message())),
            prepared => prepared,
        }
    }

    /// A composite by [`Method::Row`].
    fn by_rows(&mut self, rule: &Rule) -> Option<(Node, Rule)> {
        let mut refusals = Vec::new();
        self.refuse_parts(rule, &mut refusals);
        let whole = refusals.is_empty();
        for (part, refusal) in refusals {
            self.refuse(part, &refusal);
        }
        let (resolved, none) = match self.resolve(rule)? {
            Ok(found) => found,
            Err(why) => {
                let check = Box::new(Known(Verdict::Error(why), Vec::new()));
                return Some((Node::Check(check, None, false), rule.clone()));
            }
        };
        let mut refusals = Vec::new();
        let compiled = match whole {
            true => RowRule::new(self.on.ruleset, &resolved, self.on.columns, &mut refusals),
            false => return None,
        };
        if !refusals.iter().all(|(_, refusal)| refusal.fails()) {
            for (part, refusal) in refusals.iter().filter(|(_, refusal)| !refusal.fails()) {
                self.refuse(part, refusal);
            }
            return None;
        }
        let reasons: Vec<_> = refusals.iter().map(|(_, refusal)| refusal.message()).collect();
        let check: Box<dyn Check> = match compiled {
            Some(rule) => {
                let found = self.on.count(Count::Composite(rule), None);
                Box::new(CompositeShare { found })
            }
            None => fails(reasons.join("; ")),
        };
        Some((Node::Check(check, None, none), resolved))
    }

    /// Refuses the parts that say nothing of a single row, and `now()` where there is none.
    fn refuse_parts<'r>(&self, rule: &'r Rule, refusals: &mut Vec<(&'r Rule, Refusal)>) {
        match rule {
            Rule::Composite(composite) => {
                composite.parts.iter().for_each(|part| self.refuse_parts(part, refusals));
            }
            Rule::Single(single) if !is_row_rule(rule) => {
                let what =
                    if single.threshold.is_some() { "a threshold" } else { single.kind.name };
                let what = format!("{what} cannot take part in a composite by rows");
                refusals.push((rule, Refusal::Unfit(what)));
            }
            Rule::Single(single) if self.on.context.now.is_none() && wants_now(single) => {
                refusals.push((rule, Refusal::Unfit(NO_NOW.into())));
            }
            Rule::Single(_) => {}
        }
    }
}

/// Whether the rule needs to know when it is.
fn wants_now(single: &Single) -> bool {
    match &single.condition {
        Some(Condition::Date(test)) => {
            let now =
                |date: &&Date| matches!(date, Date::Now | Date::Shifted { .. } | Date::Time(_));
            test.operands().iter().any(now)
        }
        Some(Condition::Duration(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_772_325_000_000; // 2026-03-01T00:30:00Z

    fn columns() -> Vec<(String, Type)> {
        [("a", Type::Double), ("b", Type::String)].map(|(n, t)| (n.to_owned(), t)).to_vec()
    }

    fn compile(rules: &str, now: Option<i64>) -> Result<Evaluation, Vec<Diagnostic>> {
        compile_by(rules, now, Method::Column)
    }

    fn compile_by(
        rules: &str,
        now: Option<i64>,
        method: Method,
    ) -> Result<Evaluation, Vec<Diagnostic>> {
        let text = format!("l = [\"x\"]\nDefaultLabels = [\"team\" = \"t\"]\nRules = [ {rules} ]");
        Evaluation::compile(&crate::quality::parse("q", &text).unwrap(), &columns(), now, method)
    }

    type Rows<'a> = &'a [(Option<f64>, Option<&'a str>)];

    fn batch(rows: Rows<'_>) -> [Column; 2] {
        let numbers = Column::doubles(rows.iter().map(|(a, _)| *a));
        [numbers, Column::strings(rows.iter().map(|(_, b)| *b))]
    }

    fn outcomes(rules: &str, rows: Rows<'_>) -> Vec<Outcome> {
        evaluate(&compile(rules, Some(NOW)).unwrap(), rows)
    }

    fn evaluate(evaluation: &Evaluation, rows: Rows<'_>) -> Vec<Outcome> {
        let mut metrics = evaluation.start();
        evaluation.update(&mut metrics, &batch(rows), rows.len());
        evaluation.finish(&metrics).unwrap()
    }

    const ROWS: Rows<'static> =
        &[(Some(1.0), Some("x")), (Some(2.0), Some("y")), (None, Some("")), (Some(4.0), None)];

    /// `rule` over `rows`: none if it passes, else the reason; and the metrics.
    #[track_caller]
    fn check(rule: &str, rows: Rows<'_>, reason: Option<&str>, metrics: &[(&str, f64)]) {
        let outcomes = outcomes(rule, rows);
        let [outcome] = &outcomes[..] else { panic!("{outcomes:?}") };
        let status = if reason.is_none() { Status::Passed } else { Status::Failed };
        assert_eq!((outcome.outcome, outcome.reason.as_deref()), (status, reason), "{rule}");
        let found: Vec<_> = outcome.metrics.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(found, metrics, "{rule}");
    }

    #[test]
    fn values() {
        let count = [("Dataset.*.RowCount", 4.0)];
        let complete = [("Column.a.Completeness", 0.75)];
        check("RowCount = 4", ROWS, None, &count);
        let unmet = Some("Value: 4.0 does not meet the constraint requirement!");
        check("RowCount between 4 and 10", ROWS, unmet, &count); // the ends are excluded
        let null = "`a`: Value: NULL does not meet the constraint requirement! (1 of 4 rows)";
        check("IsComplete \"a\"", ROWS, Some(null), &complete);
        check("IsComplete \"a\"", &ROWS[..2], None, &[("Column.a.Completeness", 1.0)]);
        let half = [
            ("Column.a.ColumnValues.Compliance", 0.5),
            ("Column.a.Maximum", 4.0),
            ("Column.a.Minimum", 1.0),
        ];
        let both = "`a`: Value: NULL does not meet the constraint requirement! (1 of 4 rows), \
                    Value does not meet the constraint requirement! (1 of 4 rows)";
        check("ColumnValues \"a\" > 1", ROWS, Some(both), &half);
        check("ColumnValues \"a\" > 1 with threshold >= 0.5", ROWS, None, &half);
        let unmet = Some("Value: 0.5 does not meet the constraint requirement!");
        check("ColumnValues \"a\" > 1 with threshold > 0.5", ROWS, unmet, &half);
        let kinds = "`b`: Value: NULL does not meet the constraint requirement! (1 of 4 rows), \
                     Value is no date, as the constraint requires (3 of 4 rows)";
        let none = [("Column.b.ColumnValues.Compliance", 0.0)];
        check("ColumnValues \"b\" < now()", ROWS, Some(kinds), &none);
        check("IsComplete \"zip\"", ROWS, Some("there is no column `zip`"), &[]);
    }

    #[test]
    fn composites_are_of_whole_outcomes() {
        let metrics = [
            ("Column.a.ColumnValues.Compliance", 0.25),
            ("Column.a.Maximum", 4.0),
            ("Column.a.Minimum", 1.0),
            ("Dataset.*.RowCount", 4.0),
        ];
        check("(ColumnValues \"a\" = NULL) OR (RowCount > 3)", ROWS, None, &metrics);
        // Some rows meet one part and some the other: neither part holds for all.
        let outcome = &outcomes("(ColumnValues \"a\" > 0) OR (ColumnValues \"a\" = NULL)", ROWS)[0];
        assert_eq!(outcome.outcome, Status::Failed);
        assert_eq!(outcome.passed_rows, None);
        let outcome = &outcomes("(RowCount > 3) AND (RowCount > 4)", ROWS)[0];
        assert_eq!(
            outcome.reason.as_deref(),
            Some("Value: 4.0 does not meet the constraint requirement!")
        );
    }

    #[test]
    fn composites_by_rows() {
        let rules = "(ColumnValues \"a\" > 0) OR (ColumnValues \"a\" = NULL), \
                     (IsComplete \"a\") AND (IsComplete \"b\"), (IsComplete \"a\") OR (IsComplete \"zip\")";
        let found = evaluate(&compile_by(rules, None, Method::Row).unwrap(), ROWS);
        let reasons: Vec<_> = found.iter().map(|outcome| outcome.reason.as_deref()).collect();
        let unmet = "Value does not meet the constraint requirement! (2 of 4 rows)";
        assert_eq!(reasons, [None, Some(unmet), Some("there is no column `zip`")]);
        assert_eq!((found[0].passed_rows, found[1].failed_rows), (Some(4), Some(2)));
        assert_eq!(
            evaluate(&compile_by(rules, None, Method::Row).unwrap(), &[])[0].outcome,
            Status::Failed
        );
        let errors = compile_by(
            "(RowCount > 0) AND ((IsComplete \"zip\") OR (ColumnValues \"a\" > 0 with threshold > 0.5)), \
             (IsComplete \"a\") OR (ColumnValues \"b\" > now()), (IsComplete \"a\") OR (ColumnLength \"b\" > 0), \
             (IsComplete \"a\") OR (ColumnLength \"b\" > 1 / 0)",
            None,
            Method::Row,
        )
        .unwrap_err();
        let found: Vec<_> =
            errors.iter().map(|e| e.message.split(" (rule").next().unwrap()).collect();
        assert_eq!(
            found,
            [
                "RowCount cannot take part in a composite by rows",
                "a threshold cannot take part in a composite by rows",
                NO_NOW,
                "`1 / 0` has no finite value",
            ]
        );
    }

    #[test]
    fn an_empty_input_has_no_share() {
        let empty = Some("the input is empty: there is no row to check");
        check("IsComplete \"a\"", &[], empty, &[]);
        check("ColumnValues \"a\" != 1 with threshold >= 0", &[], empty, &[]);
        check("RowCount = 0", &[], None, &[("Dataset.*.RowCount", 0.0)]);
    }

    #[test]
    fn an_outcome_says_what_was_evaluated() {
        let found = outcomes(
            "ColumnValues b in $l labels=[\"k\"=\"v\"], (ColumnValues b < (now() - 31 minutes)) and (RowCount > 1)",
            ROWS,
        );
        assert_eq!(found[0].rule, "ColumnValues \"b\" in $l labels = [\"k\" = \"v\"]");
        assert_eq!(found[0].evaluated, "ColumnValues \"b\" in [\"x\"] labels = [\"k\" = \"v\"]");
        assert_eq!(found[0].labels.len(), 2);
        assert_eq!((found[0].passed_rows, found[0].failed_rows), (Some(1), Some(3)));
        assert_eq!(found[1].evaluated, "(ColumnValues \"b\" < \"2026-02-28\") AND (RowCount > 1)");
        let json = serde_json::to_value(&found[0]).unwrap();
        assert_eq!(json["outcome"], "Failed");
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused_with_its_place() {
        let text = "Rules = [ RowCount > 0,\nCustomSql \"select 1\" = 1, RowCount = 1 / 0,\n\
                    ColumnValues \"b\" > now(), (RowCount > 0) AND (RowCountMatch \"ref\" = 1.0),\n\
                    DataFreshness \"b\" < 1 days, RowCount > last(3), FileSize \"x/\" > 1 B ]\n\
                    Analyzers = [ ColumnDataType \"a\" ]";
        let dynamic =
            "RowCount > avg(last(3)), RowCount > 1 / last(), DetectAnomalies \"RowCount\"";
        for error in compile(dynamic, Some(NOW)).unwrap_err() {
            assert!(error.message.starts_with(NO_HISTORY), "{error}");
        }
        let ruleset = crate::quality::parse("q", text).unwrap();
        let errors = Evaluation::compile(&ruleset, &columns(), None, Method::Column).unwrap_err();
        let found: Vec<_> = errors
            .iter()
            .map(|e| (e.line, e.column, e.message.split(" (rule").next().unwrap()))
            .collect();
        assert_eq!(
            found,
            [
                (
                    2,
                    1,
                    "`CustomSql` needs an engine for SQL queries, which is not here: Spark has one, in `cleanse`, and so has \
                     a `leat` that was built with its feature `sql` (`make sql`); or say it with `where`"
                ),
                (2, 27, "`1 / 0` has no finite value"),
                (3, 1, NO_NOW),
                (
                    3,
                    47,
                    "the reference data set `ref` is not given (`leat validate --reference ref=DATA`)"
                ),
                (4, 1, NO_NOW),
                (
                    4,
                    29,
                    "`last(3)` is a list of values where one is wanted: take one of it, as in `avg(last(3))`"
                ),
                (4, 49, "`FileSize` needs a listing of files, which is not here"),
                (5, 15, "`ColumnDataType` has no value without a condition"),
            ]
        );
        // As long as nothing but the ruleset is known, these are no errors.
        let text = "Rules = [ CustomSql \"select 1\" = 1, RowCountMatch \"ref\" = 1.0, FileSize \"x/\" > 1 B, \
                    DatasetMatch \"ref\" \"a\" = 1.0, ReferentialIntegrity \"a\" \"ref.a\" = 1.0, \
                    AggregateMatch \"sum(a)\" \"sum(ref.a)\" = 1.0, SchemaMatch \"ref\" = 1.0 ]";
        let ruleset = crate::quality::parse("q", text).unwrap();
        let context = Context { draft: true, ..Context::new(Some(0), Method::Column) };
        assert!(Evaluation::within(&ruleset, &[], &context).is_ok());
    }

    #[test]
    fn where_counts_of_values_are_enough() {
        for (rules, tallied) in [
            ("Completeness \"b\" > 0.5, DistinctValuesCount \"b\" > 1, Mean \"a\" > 0", &[1][..]),
            ("Uniqueness \"a\" > 0.5, Entropy \"b\" > 0, RowCount > 1", &[0, 1]),
            ("Uniqueness \"a\" > 0.5, Mean \"a\" > 0", &[]),
            ("Uniqueness \"a\" \"b\" > 0.5", &[]),
            ("IsUnique \"b\", RowCount > 1 where \"b = 'x'\"", &[]),
            ("Completeness \"b\" > 0.5 where \"a > 0\"", &[]),
        ] {
            let found = compile(rules, Some(NOW)).unwrap().tallied();
            assert_eq!(found.into_iter().collect::<Vec<_>>(), tallied, "{rules}");
        }
        let evaluation =
            compile("Completeness \"b\" = 0.75, Uniqueness \"b\" = 0.5", None).unwrap();
        let values = Column::strings([Some("x"), None, Some("y"), Some("z"), Some("x")]);
        let tally = Tally { rows: 4, values, counts: vec![1, 7, 1, 0, 1] };
        let columns = [Column::doubles([None; 4]), Column::new(Type::String)];
        let (mut metrics, parts) = (evaluation.start(), [evaluation.rows(&columns, 4)]);
        let tallies = [(1, tally)];
        evaluation.counting(&mut metrics, &parts, &tallies).into_iter().for_each(Counting::run);
        let mut plain = evaluation.start();
        let rows = [(None, Some("y")), (None, Some("x")), (None, None), (None, Some("x"))];
        evaluation.update(&mut plain, &batch(&rows), 4);
        assert_eq!(metrics, plain);
    }

    #[test]
    fn metrics_of_another_ruleset_or_time_are_refused() {
        let one = compile("RowCount > 0", Some(NOW)).unwrap();
        for other in [compile("RowCount > 1", Some(NOW)), compile("RowCount > 0", Some(NOW + 1))] {
            let other = other.unwrap();
            assert_eq!(one.finish(&other.start()), Err(OtherMetrics));
            assert_eq!(one.start().merge(&other.start()), Err(OtherMetrics));
        }
        let forged =
            r#"{"rules":"HASH","now":1772325000000,"rows":18446744073709551615,"states":[]}"#
                .replace("HASH", &one.hash);
        let forged: Metrics = serde_json::from_str(&forged).unwrap();
        assert_eq!(one.finish(&forged), Err(OtherMetrics));
    }

    proptest! {
        #[test]
        fn parts_merge_into_the_whole(
            rows in prop::collection::vec((prop::option::of(-3.0..3.0), prop::option::of("[xy7]?")), 0..30),
            cut in 0usize..30,
        ) {
            let rules = "RowCount > 10, IsComplete \"a\", ColumnValues \"a\" > 0 with threshold > 0.5, \
                ColumnValues \"b\" = 7, (ColumnValues \"b\" != EMPTY) OR (ColumnValues \"a\" <= 0), \
                ColumnValues \"b\" >= now(), Mean \"a\" > 0, Sum \"a\" > 0 where \"b = 'x'\", Variance \"a\" > 0, \
                StandardDeviation \"a\" > 1, ColumnCorrelation \"a\" \"a\" > 0, Entropy \"b\" > 0, \
                Uniqueness \"a\" \"b\" > 0.5, UniqueValueRatio \"b\" > 0.1, DistinctValuesCount \"b\" > 1, \
                IsUnique \"b\", IsPrimaryKey \"a\" where \"a > 0\", Completeness \"a\" > 0.5, \
                ColumnLength \"b\" < 2, ColumnDataType \"b\" = \"Integer\", DataFreshness \"b\" < 1 days, \
                ColumnExists \"a\"";
            let evaluation = compile(rules, Some(NOW)).unwrap();
            let rows: Vec<_> = rows.iter().map(|(a, b)| (*a, b.as_deref())).collect();
            let count = |rows: Rows<'_>| {
                let mut metrics = evaluation.start();
                evaluation.update(&mut metrics, &batch(rows), rows.len());
                metrics
            };
            let whole = count(&rows);
            let (left, right) = rows.split_at(cut.min(rows.len()));
            // Back to front, and through JSON as between workers.
            let mut merged: Metrics =
                serde_json::from_str(&serde_json::to_string(&count(right)).unwrap()).unwrap();
            merged.merge(&count(left)).unwrap();
            prop_assert_eq!(&merged, &whole);
            let bits = |report: Report| -> Vec<(String, u64)> {
                report.measured.into_iter().map(|(name, value)| (name, value.to_bits())).collect()
            };
            prop_assert_eq!(
                bits(evaluation.report(&merged).unwrap()),
                bits(evaluation.report(&whole).unwrap())
            );
            prop_assert_eq!(evaluation.finish(&merged), evaluation.finish(&whole));
            prop_assert_eq!(whole.rows(), rows.len() as u64);
        }

        #[test]
        fn rules_look_at_no_column_but_those_they_say(
            rows in prop::collection::vec((prop::option::of(-3.0..3.0), prop::option::of("[xy7]?")), 0..30),
            cut in 0usize..30,
        ) {
            let rows: Vec<_> = rows.iter().map(|(a, b)| (*a, b.as_deref())).collect();
            let (left, right) = rows.split_at(cut.min(rows.len()));
            for (rule, reads) in [
                ("RowCount > 10", &[][..]),
                ("ColumnExists \"a\"", &[]),
                ("IsComplete \"a\"", &[0]),
                ("ColumnValues \"b\" = 7", &[1]),
                ("ColumnLength \"b\" < 2", &[1]),
                ("ColumnValues \"a\" > 0 where \"b = 'x'\"", &[0, 1]),
                ("RowCount > 3 where \"b = 'x'\"", &[1]),
                ("(IsComplete \"a\") AND (ColumnValues \"b\" = 7)", &[0, 1]),
                ("Mean \"a\" > 0", &[0]),
                ("ColumnCorrelation \"a\" \"a\" > 0", &[0]),
                ("Uniqueness \"a\" \"b\" > 0.5", &[0, 1]),
                ("IsUnique \"b\"", &[1]),
                ("IsPrimaryKey \"a\" where \"a > 0\"", &[0]),
                ("Completeness \"b\" > 0.5", &[1]),
            ] {
                let evaluation = compile_by(rule, Some(NOW), Method::Row).unwrap();
                prop_assert_eq!(evaluation.reads().into_iter().collect::<Vec<_>>(), reads, "{}", rule);
                let only = |columns: [Column; 2]| {
                    let empty = |(slot, column)| {
                        if reads.contains(&slot) { column } else { Column::new(Type::Bool) }
                    };
                    columns.into_iter().enumerate().map(empty).collect::<Vec<_>>()
                };
                let (mut whole, mut apart) = (evaluation.start(), evaluation.start());
                evaluation.update(&mut whole, &batch(&rows), rows.len());
                let (mut first, second) = (only(batch(left)), only(batch(right)));
                // Of the first part tallies are there where they are enough: each value apart is one, too.
                let tally = |slot: usize| {
                    let values = std::mem::replace(&mut first[slot], Column::new(Type::String));
                    (slot, Tally { rows: left.len(), counts: vec![1; values.len()], values })
                };
                let tallies: Vec<_> = evaluation.tallied().into_iter().map(tally).collect();
                let parts = [evaluation.rows(&first, left.len()), evaluation.rows(&second, right.len())];
                // The works do not depend on one another.
                evaluation.counting(&mut apart, &parts, &tallies).into_iter().rev().for_each(Counting::run);
                prop_assert_eq!(&whole, &apart, "{}", rule);
                let failing = |columns: &[Column]| {
                    evaluation.failing(&whole, columns, rows.len(), &[30]).unwrap()
                };
                prop_assert_eq!(failing(&batch(&rows)), failing(&only(batch(&rows))), "{}", rule);
            }
        }
    }
}
