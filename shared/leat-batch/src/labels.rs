//! What is known of the labels of a run's rows: its files of labels, read.

use futures::{StreamExt, TryStreamExt, stream};
use leat::column::Column;
use leat::decode::Batch;
use leat::engine::Engine;
use leat_bucket::{LabelCounts, Labels};
use leat_lake::parquet::Reader;
use leat_lake::{Folder, Lake};

use crate::bucket::bytes;
use crate::error::damaged;
use crate::{BatchError, LabelFiles, Snapshot};

/// How many files are read ahead.
const AT_A_TIME: usize = 4;

/// Fills the label column of `batch` with what is known at the snapshot's logical time. A recipe without `role: label`
/// has nothing to fill.
pub async fn join(
    lake: &Lake,
    snapshot: &Snapshot,
    engine: &Engine,
    batch: &mut Batch,
) -> Result<LabelCounts, BatchError> {
    let labels = match &snapshot.labels {
        Some(files) => {
            let mut labels = Labels::later(engine, batch, snapshot.as_of)?;
            if labels.reads() {
                read(lake, files, &mut labels).await?;
            }
            labels
        }
        None => Labels::inline(engine)?,
    };
    Ok(labels.fill(batch))
}

/// Takes what all files say.
async fn read(lake: &Lake, files: &LabelFiles, labels: &mut Labels) -> Result<(), BatchError> {
    let folder = lake.folder(&files.cleansed)?;
    let mut found = stream::iter(&files.files)
        .map(async |file| Ok::<_, BatchError>((file, bytes(&folder, file).await?)))
        .buffered(AT_A_TIME);
    while let Some((file, bytes)) = found.try_next().await? {
        for columns in columns_of(&folder, &file.path, bytes, files, labels)? {
            labels.take(&columns?);
        }
    }
    Ok(())
}

/// The columns that are read of a file of labels, some thousand rows at a time.
fn columns_of<'f>(
    folder: &'f Folder,
    path: &'f str,
    bytes: bytes::Bytes,
    files: &LabelFiles,
    labels: &Labels,
) -> Result<impl Iterator<Item = Result<Vec<Column>, BatchError>> + use<'f>, BatchError> {
    let wanted = Labels::columns(&files.id, &files.known_at, &files.label);
    let reader = Reader::new(bytes, Some(&wanted))
        .map_err(|why| damaged(folder.url(path), format!("it is no file of labels: {why}")))?;
    labels
        .fits(reader.columns().iter().map(|(name, kind)| (name.as_str(), *kind)))
        .map_err(|why| damaged(folder.url(path), why))?;
    Ok(reader.map(move |columns| columns.map_err(|why| damaged(folder.url(path), why))))
}
