//! What batch workers and the command line share: a snapshot of published units, read by entity bucket, replayed
//! through the windows, cut into slices by time, fitted level by level, and written as features.
//!
//! A *run* is a folder, `…/runs/<recipe>/<run>/`. All that its steps pass on are objects in it, named by what they hold;
//! a step that is repeated writes the same bytes again, or finds what stands. The steps, in order: [`Snapshot`],
//! [`measure`], [`decide`], for each level [`fit::partial`] over the buckets and [`fit::merge`], [`curate::bucket`],
//! [`finish()`]. Functions call a step for a bucket, the command line for all of them: it is the same code.
//!
//! Nothing here knows AWS: places are URLs of [`leat_lake`]. What is made of a bucket's rows once they are in memory is
//! [`leat_bucket`]'s.

mod bucket;
mod cores;
pub mod curate;
mod decide;
mod drift;
mod error;
mod finish;
pub mod fit;
pub mod history;
pub mod hour;
mod job;
mod labels;
mod measure;
mod names;
mod replay;
mod rows;
mod run;
pub mod seeds;
mod snapshot;
pub mod time;

pub use bucket::Bucket;
pub use cores::Cores;
pub use decide::{Criteria, Decided, Decision, decide};
pub use drift::{Against, Baseline, DriftSource};
pub use error::BatchError;
pub use finish::{CANDIDATE, Finished, Positives, finish};
pub use hour::{Hour, HourPart, HourRules, JudgedHour, News};
pub use job::{Job, Workshop};
pub use leat_bucket::{
    Admission, Admitted, Judged, LabelCounts, Piece, Rejected, Rejects, Replayed, Slice, Slices,
    TooMuch, order_word,
};
pub use measure::{Measures, measure};
pub use replay::Replay;
pub use rows::{ParquetRows, Part, ROWS, Round, RowsError};
pub use run::Run;
pub use snapshot::{LabelFiles, LabelSource, Snapshot, Wanted};
