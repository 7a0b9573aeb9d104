//! The rows of one entity bucket of a snapshot: all events of the entities that are in it.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use leat::decode::Batch;
use leat::engine::{Engine, Order};
use leat_bucket::{in_order, windows};
use leat_lake::units::UnitFile;
use leat_lake::{Folder, Lake};

use crate::error::damaged;
use crate::{Admission, Admitted, BatchError, Cores, ParquetRows, Rejects, Replayed, Snapshot};

/// How many files are read ahead.
const AT_A_TIME: usize = 4;

/// Rows of all events of a bucket's entities, as a recipe admits them: checked, protected, derived. Windows are not
/// applied.
#[derive(Debug)]
pub struct Bucket {
    /// The rows, in the order of a replay, with repeats.
    pub batch: Batch,
    /// Which order that is.
    pub order: Order,
    /// What the recipe does not admit.
    pub rejects: Rejects,
    /// The entities of rows that the recipe does not admit; some may have no other rows.
    pub refused: BTreeSet<String>,
    /// By rule that only warns, how many rows fail it.
    pub warned: BTreeMap<String, u64>,
    /// How many rows the files have.
    pub read: u64,
}

impl Bucket {
    /// Reads `bucket` of `snapshot` for `engine`, which may be of another recipe than the snapshot's: one that serves, say.
    pub async fn read(
        lake: &Lake,
        snapshot: &Snapshot,
        bucket: u32,
        engine: &Engine,
    ) -> Result<Self, BatchError> {
        let folder = lake.folder(&snapshot.cleansed)?;
        let files = snapshot.bucket(bucket)?;
        let (mut admission, mut read) = (Admission::new(engine), 0);
        let mut found = stream::iter(files)
            .map(async |file| Ok::<_, BatchError>((file, bytes(&folder, file).await?)))
            .buffered(AT_A_TIME);
        while let Some((file, bytes)) = found.try_next().await? {
            let url = folder.url(&file.path);
            let rows = ParquetRows::open(bytes, &url, engine.recipe(), engine.decoder());
            let rows = rows.map_err(|why| damaged(url.clone(), why))?;
            if !rows.is_cleansed() {
                let why = "it is no file of cleansed rows of this recipe: columns are missing";
                return Err(damaged(url, why));
            }
            let before = read;
            // A worker has a bucket, and there are as many workers as there is room for.
            rows.each(
                Cores::ONE,
                |piece| piece,
                |piece| {
                    let piece = piece.map_err(|why| damaged(url.clone(), why))?;
                    read += piece.batch.len() as u64;
                    admission.add(piece).map_err(BatchError::from)
                },
            )?;
            if read - before != file.rows {
                let why = format!("it has {} rows; its unit says {}", read - before, file.rows);
                return Err(damaged(url, why));
            }
        }
        let Admitted { parts, rejects, refused, warned } = admission.finish();
        let (batch, order) = in_order(engine, parts);
        Ok(Bucket { batch, order, rejects, refused, warned, read })
    }

    /// The rows with their windows, without repeats.
    pub fn replay(self, engine: &Engine) -> Replayed {
        windows(engine, self.batch, self.order)
    }
}

/// A file that a published unit lists.
pub async fn bytes(folder: &Folder, file: &UnitFile) -> Result<bytes::Bytes, BatchError> {
    folder.get(&file.path).await?.ok_or_else(|| {
        BatchError::Input(format!(
            "{} is gone, and a published unit lists it: restore it, or publish a unit in the place of that one",
            folder.url(&file.path)
        ))
    })
}
