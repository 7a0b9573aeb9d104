//! Tasks in memory, for tests.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use leat_aws::Failure;
use serde_json::Value;

use super::{Heard, Tasks, Token, cut};

/// What was told of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A heartbeat.
    Beat,
    /// The answer.
    Success(Value),
    /// The failure's word, and its cause.
    Failure(String, String),
}

/// Tasks that keep what they are told, as long as somebody waits; a task ends once.
#[derive(Debug, Default)]
pub struct MemoryTasks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Vec<(Token, Told)>,
    ended: HashSet<String>,
    gone: bool,
    faults: VecDeque<Failure>,
}

impl MemoryTasks {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A state is changed whole: it is sound whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was told while somebody waited.
    pub fn told(&self) -> Vec<Told> {
        self.state().told.iter().map(|(_, told)| told.clone()).collect()
    }

    /// What was told of the task of `token`.
    pub fn told_of(&self, token: &str) -> Vec<Told> {
        let state = self.state();
        let of = state.told.iter().filter(|(by, _)| by.secret() == token);
        of.map(|(_, told)| told.clone()).collect()
    }

    /// Nobody waits for any task from now on.
    pub fn forget(&self) {
        self.state().gone = true;
    }

    /// The next calls fail so.
    pub fn fail(&self, faults: impl IntoIterator<Item = Failure>) {
        self.state().faults.extend(faults);
    }

    fn hear(&self, token: &Token, told: Told) -> Result<Heard, Failure> {
        let mut state = self.state();
        if let Some(why) = state.faults.pop_front() {
            return Err(why);
        }
        if state.gone || state.ended.contains(token.secret()) {
            return Ok(Heard::Nobody);
        }
        if told != Told::Beat {
            state.ended.insert(token.secret().into());
        }
        state.told.push((token.clone(), told));
        Ok(Heard::Waits)
    }
}

impl Tasks for MemoryTasks {
    async fn heartbeat(&self, token: &Token) -> Result<Heard, Failure> {
        self.hear(token, Told::Beat)
    }

    async fn success(&self, token: &Token, output: &str) -> Result<Heard, Failure> {
        let output = serde_json::from_str(output)
            .map_err(|why| Failure::Input(format!("the output is no JSON: {why}")))?;
        self.hear(token, Told::Success(output))
    }

    async fn failure(&self, token: &Token, why: &Failure) -> Result<Heard, Failure> {
        let cause = why.to_string();
        self.hear(token, Told::Failure(why.word().into(), cut(&cause, super::CAUSE_MAX).into()))
    }
}
