//! Rows of runs that workflows wait for.

use leat_aws::Failure;
use serde::{Deserialize, Serialize};

use super::{Claim, Ledger, Read, expiry, json, read};
use crate::table::{Key, Table, Write};

/// The most tasks that a look at the ledger reads.
const OPEN_MAX: usize = 1000;
/// Open tasks, by claim.
const OPEN: &str = "tasks";
/// What a task's claim begins with. No data set's name holds a `:`.
const PREFIX: &str = "task:";

/// A run that a workflow asked for by a name, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRow {
    /// The name: who asks again by it gets the same run.
    pub name: String,
    /// The Glue job.
    pub job: String,
    /// The hash of the job and its arguments: a name stands for one order.
    pub order: String,
    /// How often a run was tried for it.
    pub attempt: u32,
    /// Who started it last, with the token of the task that waits.
    pub claim: Claim,
    /// How far it is.
    #[serde(flatten)]
    pub state: TaskState,
}

/// How far a workflow's run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum TaskState {
    /// It was not started: who asks again starts it.
    Waiting,
    /// Somebody is about to start a run, or died while at it.
    Claimed,
    /// A run was started.
    Running {
        /// Its id.
        run: String,
    },
    /// The run ended.
    Ended {
        /// Its id.
        run: String,
        /// How, as the service's word.
        end: String,
        /// What it says of its failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// The print of the token by which a task was told; none if nobody waited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<String>,
    },
}

impl TaskRow {
    /// The id of the claim of attempt `attempt` for `name`.
    pub fn claim_id(name: &str, attempt: u32) -> String {
        format!("{PREFIX}{name}:{attempt}")
    }

    /// The name in a claim's id; none if it is no task's.
    pub fn name_of(claim: &str) -> Option<&str> {
        claim.strip_prefix(PREFIX)?.rsplit_once(':').map(|(name, _)| name)
    }

    /// True while its end is to be told.
    pub fn is_open(&self) -> bool {
        matches!(self.state, TaskState::Claimed | TaskState::Running { .. })
    }
}

impl<T: Table> Ledger<T> {
    /// A workflow's run, by its name.
    pub async fn task(&self, name: &str) -> Result<Option<Read<TaskRow>>, Failure> {
        self.table.get(&task_key(name)).await?.map(read).transpose()
    }

    /// The names of the tasks that are claimed or run.
    pub async fn open_tasks(&self) -> Result<Vec<String>, Failure> {
        let rows = self.table.query(OPEN, OPEN_MAX).await?;
        rows.into_iter().map(|row| Ok(read::<String>(row)?.says)).collect()
    }

    /// Claims a task's next attempt, if its row is as it was read: `from`, or none. None if somebody else was quicker.
    pub async fn claim_task(
        &self,
        from: Option<&Read<TaskRow>>,
        to: TaskRow,
    ) -> Result<Option<Read<TaskRow>>, Failure> {
        let mut writes = vec![Write::make(open_key(&to), json(&to.name), None)];
        match from {
            None => writes.push(Write::make(task_key(&to.name), json(&to), None)),
            Some(from) => {
                writes.push(Write::change(&from.row, json(&to), None));
                // A claim that was given up is not open any more.
                let open = self.table.get(&open_key(&from.says)).await?;
                writes.extend(open.as_ref().map(Write::delete));
            }
        }
        self.table.write(writes).await?;
        // Whatever the write answered: the task is claimed if the row says so.
        Ok(self.task(&to.name).await?.filter(|now| now.says == to))
    }

    /// Changes a task that is as it was read and stays open. None if somebody else was quicker.
    pub async fn advance_task(
        &self,
        from: &Read<TaskRow>,
        to: TaskRow,
    ) -> Result<Option<Read<TaskRow>>, Failure> {
        self.table.write(vec![Write::change(&from.row, json(&to), None)]).await?;
        let now = self.task(&to.name).await?;
        Ok(now.filter(|now| now.says == to && now.row.version == from.row.version + 1))
    }

    /// Changes a task that is as it was read and is open no longer. False if somebody else was quicker.
    pub async fn close_task(
        &self,
        from: &Read<TaskRow>,
        to: TaskRow,
        now: i64,
    ) -> Result<bool, Failure> {
        let mut writes = vec![Write::change(&from.row, json(&to), expiry(now))];
        let open = self.table.get(&open_key(&from.says)).await?;
        writes.extend(open.as_ref().map(Write::delete));
        self.table.write(writes).await?;
        let now = self.task(&to.name).await?;
        Ok(now.is_some_and(|now| now.says == to && now.row.version == from.row.version + 1))
    }
}

fn task_key(name: &str) -> Key {
    Key::new(format!("task#{name}"), "task")
}

fn open_key(row: &TaskRow) -> Key {
    Key::new(OPEN, &row.claim.id)
}
