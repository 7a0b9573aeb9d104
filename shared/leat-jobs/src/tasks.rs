//! Tasks of Step Functions that wait for their worker: the worker says by the task's token that it is alive, and how it
//! ended.
//!
//! An event may carry `task_token`. [`answer`] then sends a heartbeat while the work goes on, reports the answer or the
//! failure, and the function itself answers null. What was reported is not thrown, too: Lambda would try again what the
//! state machine has judged already. Without a token, answer and failure are the function's own.
//!
//! A worker that computes for long runs on tokio's `multi_thread` flavor with one worker thread, so that the
//! heartbeat does not wait for the computation.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use leat_aws::{Aws, Deadline, Failure, Reader, back_off};
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod memory;
mod sfn;

pub use memory::{MemoryTasks, Told};
pub use sfn::SfnTasks;

/// How often a heartbeat is sent: a state should wait for three of them.
pub const EVERY: Duration = Duration::from_secs(20);
/// The longest answer that a state takes, in bytes: "Quotas" in the Step Functions developer guide.
pub const OUTPUT_MAX: usize = 262_144;
/// The longest cause of a failure, in bytes: `SendTaskFailure` in the API reference.
pub const CAUSE_MAX: usize = 32_768;
/// The longest token: `SendTaskSuccess` in the API reference.
const TOKEN_MAX: usize = 2048;
/// What is kept of the time for saying how it ended.
const MARGIN: Duration = Duration::from_secs(5);

/// A task's token: who has it can end the task. It is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl Token {
    /// The token as the service wants it.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What tells it from another token, and may be kept longer than it.
    pub fn print(&self) -> String {
        crate::object::hash([self.0.as_str()])
    }
}

impl TryFrom<String> for Token {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.len() > TOKEN_MAX {
            return Err(format!("a task token has 1 to {TOKEN_MAX} characters"));
        }
        Ok(Token(text))
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Whether somebody waits for a task's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A state does, or did until now.
    Waits,
    /// The task timed out, has ended, or never was: there is nothing more to do, and that is no error.
    Nobody,
}

/// Says how tasks go.
pub trait Tasks: Send + Sync + 'static {
    /// The task goes on.
    fn heartbeat(&self, token: &Token) -> impl Future<Output = Result<Heard, Failure>> + Send;

    /// The task ended with `output`, a JSON text of at most [`OUTPUT_MAX`] bytes.
    fn success(
        &self,
        token: &Token,
        output: &str,
    ) -> impl Future<Output = Result<Heard, Failure>> + Send;

    /// The task failed: the state gets the failure's word and text.
    fn failure(
        &self,
        token: &Token,
        why: &Failure,
    ) -> impl Future<Output = Result<Heard, Failure>> + Send;
}

/// Does `work` for `event` and tells the answer to whoever waits for it: the task whose token the event carries, else
/// the caller. It stops before the deadline, with [`Failure::Busy`], and at once when a heartbeat says that nobody
/// waits any more. `work` may thus be dropped wherever it awaits: its repeat must do no harm.
pub async fn answer<T: Tasks, R: Serialize>(
    tasks: &Arc<T>,
    event: &str,
    deadline: Deadline,
    work: impl Future<Output = Result<R, Failure>>,
) -> Result<Value, Failure> {
    answer_every(EVERY, tasks, event, deadline, work).await
}

async fn answer_every<T: Tasks, R: Serialize>(
    every: Duration,
    tasks: &Arc<T>,
    event: &str,
    deadline: Deadline,
    work: impl Future<Output = Result<R, Failure>>,
) -> Result<Value, Failure> {
    let room = room(deadline.left());
    let Some(token) = token(event)? else {
        let ended = tokio::time::timeout(room, work).await;
        return ended.unwrap_or_else(|_| Err(late())).and_then(|answer| value(&answer));
    };
    let mut pulse = Pulse(tokio::spawn(pulse(tasks.clone(), token.clone(), every, room, deadline)));
    let outcome = tokio::select! {
        biased;
        // It ended the task itself, or found it ended.
        _ = &mut pulse.0 => return Ok(Value::Null),
        outcome = work => outcome.and_then(|answer| value(&answer)),
    };
    drop(pulse);
    if let Err(why) = &outcome {
        tracing::error!(word = why.word(), "{why}");
    }
    let outcome = outcome.map(|answer| answer.to_string());
    let heard = tell(&**tasks, &token, outcome.as_ref().map(String::as_str), deadline).await?;
    if heard == Heard::Nobody {
        tracing::warn!("the task ended before its work did; nobody waits for the answer");
    }
    Ok(Value::Null)
}

/// Tells how the task ended: with this output, a JSON text, or with this failure. Tries again until the deadline.
pub async fn tell<T: Tasks>(
    tasks: &T,
    token: &Token,
    outcome: Result<&str, &Failure>,
    deadline: Deadline,
) -> Result<Heard, Failure> {
    let mut attempt = 0;
    loop {
        let told = match outcome {
            Ok(output) => tasks.success(token, output).await,
            Err(why) => tasks.failure(token, why).await,
        };
        match told {
            Err(why) if why.is_transient() => {
                if !back_off(attempt, deadline).await {
                    return Err(why);
                }
            }
            told => return told,
        }
        attempt += 1;
    }
}

/// The token that an event carries; none if it carries none, or null.
pub fn token(event: &str) -> Result<Option<Token>, Failure> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        task_token: Option<Value>,
    }
    // What is no JSON object at all is refused by who reads the event.
    let Ok(Envelope { task_token: Some(token) }) = serde_json::from_str(event) else {
        return Ok(None);
    };
    match token {
        Value::String(text) => Token::try_from(text).map(Some),
        _ => Err("it is no text".into()),
    }
    .map_err(|why| Failure::Input(format!("`task_token` of the event: {why}")))
}

/// Beats until nobody waits or time is up; then it ends the task itself, as the work may be computing and deaf.
async fn pulse<T: Tasks>(
    tasks: Arc<T>,
    token: Token,
    every: Duration,
    room: Duration,
    deadline: Deadline,
) {
    let end = tokio::time::sleep(room);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            () = tokio::time::sleep(every) => match tasks.heartbeat(&token).await {
                Ok(Heard::Waits) => {}
                Ok(Heard::Nobody) => {
                    tracing::warn!("nobody waits for the task any more: its work stops");
                    return;
                }
                Err(why) => tracing::warn!(word = why.word(), "no heartbeat: {why}"),
            },
        }
    }
    let why = late();
    tracing::error!(word = why.word(), "{why}");
    if let Err(why) = tell(&*tasks, &token, Err(&why), deadline).await {
        tracing::error!(word = why.word(), "{why}");
    }
}

/// The heart stops with the work, however that ends.
struct Pulse(tokio::task::JoinHandle<()>);

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long the work may take of the time that is left.
fn room(left: Duration) -> Duration {
    left - MARGIN.min(left / 4)
}

fn late() -> Failure {
    Failure::Busy("the work was not done before the function's deadline; give it more time or memory, or less to do at once".into())
}

/// The answer, if a state can take it. Workers put what is large into the lake and answer where it lies.
fn value(answer: &impl Serialize) -> Result<Value, Failure> {
    let value = serde_json::to_value(answer)
        .map_err(|why| Failure::Config(format!("the answer is no JSON: {why}")))?;
    let bytes = value.to_string().len();
    if bytes > OUTPUT_MAX {
        return Err(Failure::Input(format!(
            "the answer has {bytes} bytes, a state takes {OUTPUT_MAX}: ask for less at once"
        )));
    }
    Ok(value)
}

/// `text` up to `most` bytes, whole characters.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// `LEAT_TASKS`: `sfn:` (Step Functions; the default) or `log:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TasksUrl {
    Sfn,
    Log,
}

impl std::str::FromStr for TasksUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url {
            "sfn:" => Ok(TasksUrl::Sfn),
            "log:" => Ok(TasksUrl::Log),
            _ => Err(format!("`{url}` is none of sfn:, log:")),
        }
    }
}

/// The tasks that the settings name.
#[derive(Debug)]
pub enum AnyTasks {
    /// `sfn:`
    Sfn(SfnTasks),
    /// `log:`: says in the log how a task ended, without its answer.
    Log,
}

impl AnyTasks {
    /// What `LEAT_TASKS` names. `aws` is asked when a token is used first.
    pub fn read(reader: &mut Reader<'_>, aws: &Aws) -> Arc<Self> {
        Arc::new(match reader.or("LEAT_TASKS", TasksUrl::Sfn) {
            TasksUrl::Sfn => AnyTasks::Sfn(SfnTasks::new(aws.clone())),
            TasksUrl::Log => AnyTasks::Log,
        })
    }
}

// The SDK's futures are large: they are boxed, so that those of their callers are not.
impl Tasks for AnyTasks {
    async fn heartbeat(&self, token: &Token) -> Result<Heard, Failure> {
        match self {
            AnyTasks::Sfn(tasks) => Box::pin(tasks.heartbeat(token)).await,
            AnyTasks::Log => Ok(Heard::Waits),
        }
    }

    async fn success(&self, token: &Token, output: &str) -> Result<Heard, Failure> {
        match self {
            AnyTasks::Sfn(tasks) => Box::pin(tasks.success(token, output)).await,
            AnyTasks::Log => {
                tracing::info!(bytes = output.len(), "would report the task's success");
                Ok(Heard::Waits)
            }
        }
    }

    async fn failure(&self, token: &Token, why: &Failure) -> Result<Heard, Failure> {
        match self {
            AnyTasks::Sfn(tasks) => Box::pin(tasks.failure(token, why)).await,
            AnyTasks::Log => {
                tracing::info!(word = why.word(), "would report the task's failure: {why}");
                Ok(Heard::Waits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = r#"{"step": "partial", "task_token": "AAAAKgAAAAIA"}"#;
    const BEAT: Duration = Duration::from_millis(10);

    fn time() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    async fn answered(
        tasks: &Arc<MemoryTasks>,
        event: &str,
        work: impl Future<Output = Result<Value, Failure>>,
    ) -> Result<Value, Failure> {
        answer_every(BEAT, tasks, event, time(), work).await
    }

    #[tokio::test]
    async fn without_a_token_the_answer_is_the_functions() {
        let tasks = Arc::default();
        let bucket = async || Ok(json!({"bucket": 7}));
        for event in ["{}", r#"{"task_token": null}"#, "[]", "{"] {
            assert_eq!(answered(&tasks, event, bucket()).await, Ok(json!({"bucket": 7})));
        }
        let why = Failure::Recipe("no such step".into());
        assert_eq!(answered(&tasks, "{}", async { Err(why.clone()) }).await, Err(why));
        assert_eq!(tasks.told(), []);
        for bad in [r#"{"task_token": ""}"#, r#"{"task_token": 1}"#] {
            let why = answered(&tasks, bad, bucket()).await.unwrap_err();
            assert_eq!(why.word(), "Input.Invalid", "{bad}");
        }
    }

    #[tokio::test]
    async fn with_a_token_the_task_gets_the_answer_and_lambda_null() {
        let tasks = Arc::default();
        let work = async { Ok(json!({"bucket": 7})) };
        assert_eq!(answered(&tasks, TOKEN, work).await, Ok(Value::Null));
        assert_eq!(tasks.told(), [Told::Success(json!({"bucket": 7}))]);
    }

    #[tokio::test]
    async fn a_failure_is_reported_and_not_thrown() {
        let tasks = Arc::default();
        let work = async { Err(Failure::DataQuality("RowCount > 0: 0".into())) };
        assert_eq!(answered(&tasks, TOKEN, work).await, Ok(Value::Null));
        let told = Told::Failure("DataQuality.Failed".into(), "RowCount > 0: 0".into());
        assert_eq!(tasks.told(), [told]);
    }

    #[tokio::test]
    async fn slow_work_beats() {
        let tasks = Arc::default();
        let work = async {
            tokio::time::sleep(BEAT * 10).await;
            Ok(json!(1))
        };
        assert_eq!(answered(&tasks, TOKEN, work).await, Ok(Value::Null));
        let told = tasks.told();
        let (last, beats) = told.split_last().unwrap();
        assert!(beats.len() > 2 && beats.iter().all(|told| *told == Told::Beat), "{told:?}");
        assert_eq!(*last, Told::Success(json!(1)));
        // The heart stops with the work.
        tokio::time::sleep(BEAT * 5).await;
        assert_eq!(tasks.told().len(), told.len());
    }

    /// The work never awaits, and yet the heart beats: on a thread of its own.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn computing_work_beats() {
        let tasks = Arc::default();
        let work = async {
            std::thread::sleep(BEAT * 20);
            Ok(json!(1))
        };
        assert_eq!(answered(&tasks, TOKEN, work).await, Ok(Value::Null));
        assert!(tasks.told().len() > 3, "{:?}", tasks.told());
    }

    #[tokio::test]
    async fn nobody_waits() {
        // Found by a heartbeat: the work stops.
        let tasks = Arc::new(MemoryTasks::default());
        tasks.forget();
        let work = std::future::pending();
        assert_eq!(answered(&tasks, TOKEN, work).await, Ok(Value::Null));
        // Found at the end.
        for end in [Ok(json!(1)), Err(Failure::Busy("away".into()))] {
            assert_eq!(answered(&tasks, TOKEN, async { end }).await, Ok(Value::Null));
        }
        assert_eq!(tasks.told(), []);
    }

    #[tokio::test]
    async fn a_throttled_report_is_sent_again() {
        let tasks = Arc::new(MemoryTasks::default());
        tasks.fail([Failure::Busy("Throttling".into()), Failure::Busy("Throttling".into())]);
        assert_eq!(answered(&tasks, TOKEN, async { Ok(json!(1)) }).await, Ok(Value::Null));
        assert_eq!(tasks.told(), [Told::Success(json!(1))]);
        // What cannot be told is thrown: somebody must know.
        tasks.fail([Failure::Config("AccessDenied".into())]);
        let why = answered(&tasks, TOKEN, async { Ok(json!(2)) }).await.unwrap_err();
        assert_eq!(why.word(), "Config.Invalid");
    }

    #[tokio::test]
    async fn a_missed_heartbeat_stops_nothing() {
        let tasks = Arc::new(MemoryTasks::default());
        tasks.fail([Failure::Busy("Throttling".into())]);
        let work = async {
            tokio::time::sleep(BEAT * 5).await;
            Ok(json!(1))
        };
        assert_eq!(answered(&tasks, TOKEN, work).await, Ok(Value::Null));
        assert_eq!(tasks.told().last(), Some(&Told::Success(json!(1))));
    }

    #[tokio::test]
    async fn work_that_is_late_is_busy() {
        let tasks = Arc::new(MemoryTasks::default());
        let soon = || Deadline::after(Duration::from_millis(200));
        let never = std::future::pending::<Result<Value, Failure>>;
        let told = answer(&tasks, "{}", soon(), never()).await;
        assert_eq!(told.unwrap_err().word(), "Service.Busy");
        assert_eq!(answer(&tasks, TOKEN, soon(), never()).await, Ok(Value::Null));
        let told = tasks.told();
        assert!(
            matches!(&told[..], [Told::Failure(word, _)] if word == "Service.Busy"),
            "{told:?}"
        );
    }

    #[tokio::test]
    async fn an_answer_too_large_is_refused() {
        let tasks = Arc::new(MemoryTasks::default());
        let work = async |bytes: usize| Ok(json!("x".repeat(bytes - 2)));
        assert!(answered(&tasks, "{}", work(OUTPUT_MAX)).await.is_ok());
        let why = answered(&tasks, "{}", work(OUTPUT_MAX + 1)).await.unwrap_err();
        assert_eq!(why.word(), "Input.Invalid");
        assert_eq!(answered(&tasks, TOKEN, work(OUTPUT_MAX + 1)).await, Ok(Value::Null));
        assert!(matches!(&tasks.told()[..], [Told::Failure(word, _)] if word == "Input.Invalid"));
    }

    #[test]
    fn tokens_are_not_printed() {
        let token = token(TOKEN).unwrap().unwrap();
        assert_eq!(format!("{token:?}"), "Token");
        assert_eq!(serde_json::to_string(&token).unwrap(), r#""AAAAKgAAAAIA""#);
        assert_eq!((token.secret(), token.print().len()), ("AAAAKgAAAAIA", 32));
        assert_eq!((cut("aé", 2), cut("aé", 3), cut("", 3)), ("a", "aé", ""));
    }
}
