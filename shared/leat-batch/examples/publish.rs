//! Publishes a file of events as a unit of a data set, as the Spark job `cleanse` does: for trials without Spark.
//!
//!     publish RECIPE_URL SECRET_FILE EVENTS.jsonl CLEANSED_URL BUCKETS

use std::error::Error;
use std::io::BufReader;

use leat::cleansed;
use leat::decode::JsonLines;
use leat::engine;
use leat::protect::Keys;
use leat::record::bucket_of;
use leat_lake::units::{Decision, Unit, UnitFile};
use leat_lake::{Lake, parquet, read_recipe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, secret, events, folder, buckets] = &arguments[..] else {
        return Err("publish RECIPE_URL SECRET_FILE EVENTS.jsonl CLEANSED_URL BUCKETS".into());
    };
    let (lake, buckets) = (Lake::new(&Default::default()), buckets.parse()?);
    let keys = Keys::from_secret(&std::fs::read(secret)?)?;
    let engine = read_recipe(&lake, recipe, Some(keys)).await?;
    let file = BufReader::new(std::fs::File::open(events)?);
    let (mut batch, mut rejects) = (engine.decoder().batch(), Vec::new());
    let mut lines = JsonLines::new(file, events.as_str().into(), false);
    while lines.read(engine.decoder(), 8192, &mut batch, &mut rejects)? {}
    engine.judge(&mut batch)?;

    let (folder, columns) = (lake.folder(folder)?, cleansed::columns(engine.recipe()));
    let mut files = Vec::new();
    for bucket in 0..buckets {
        let rows: Vec<usize> = (0..batch.len())
            .filter(|&row| !engine::fails(&batch.rows[row]))
            .filter(|&row| bucket_of(&engine.entity(&batch, row), buckets) == bucket)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let values = cleansed::write(engine.recipe(), &batch.gather(&rows));
        let bytes = parquet::to_bytes(&columns, values)?;
        let path = format!("date=2026-01-01/bucket={bucket:02}/unit=u-1/part-0.parquet");
        let (rows, size) = (rows.len() as u64, bytes.len() as u64);
        folder.put(&path, bytes).await?;
        files.push(UnitFile { path, rows, bytes: size });
    }
    let recipe_hash = engine.hash().to_owned();
    let unit =
        Unit { files, buckets, recipe_hash, ..Unit::without_data("u-1", Decision::Published) };
    unit.publish(&folder).await?;
    Ok(())
}
