//! What a training run makes of the rows of one entity bucket, in memory: admitted by the recipe, replayed through the
//! windows, given the labels that were known, cut into slices, made features of.
//!
//! In come columns, out go columns, lines of CSV and counts; where they come from and where they go is the caller's: the
//! workers and the command line (`leat-batch`, which reads and writes URLs), or a Spark task with the wheel. Nothing here
//! does I/O, so that the wheel carries no store.

mod admit;
mod features;
mod labels;
mod rejects;
mod replay;
mod slices;

pub use admit::{Admission, Admitted, Judged, PART, Piece, TooMuch};
pub use features::{
    Counts, Curation, Fitted, Part, RECIPE_HASH, SLICE, STATE_HASH, SliceCounts, TRAIN,
};
pub use labels::{LabelCounts, LabelError, Labels};
pub use rejects::{Rejected, Rejects};
pub use replay::{Replayed, in_order, joined, order_word, windows};
pub use slices::{Slice, Slices};
