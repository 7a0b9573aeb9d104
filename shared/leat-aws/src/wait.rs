//! Waiting: never longer than the deadline, and never all at the same moment.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Deadline, Failure};

/// What `work` gives, or [`Failure::Busy`] if the deadline comes first. Then its outcome is unknown.
pub async fn within<T>(
    deadline: Deadline,
    what: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(deadline.left(), work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::Busy(format!("{what}: no answer before the deadline"))),
    }
}

/// Waits before the attempt after `attempt` (from 0): 50 ms, doubled each time up to 3 s, of which a random half is
/// left out. False, at once, if the deadline comes before.
pub async fn back_off(attempt: u32, deadline: Deadline) -> bool {
    let full = Duration::from_millis(50 << attempt.min(6)).min(Duration::from_secs(3));
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    let wait = full / 2 + full.mul_f64(f64::from(nanos % 1000) / 2000.0);
    if wait >= deadline.left() {
        return false;
    }
    tokio::time::sleep(wait).await;
    true
}
