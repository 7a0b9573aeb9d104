//! A lake in memory with events and labels, and runs over it.

use std::collections::BTreeMap;

use leat::cleansed;
use leat::decode::{Batch, RawRecord};
use leat::engine::{self, Engine};
use leat::protect::Keys;
use leat::record::{Coordinates, Position, Sequence, bucket_of};
use leat::timestamp;
use leat_batch::{
    BatchError, Criteria, Finished, Job, LabelSource, Run, Slice, Snapshot, Wanted, Workshop,
    curate, decide, finish, fit, measure,
};
use leat_lake::units::{Decision, Unit, UnitFile};
use leat_lake::{Folder, Lake, parquet, read_recipe};

pub const RECIPE: &str = include_str!("../../../../recipes/card-transactions/recipe.yaml");
pub const RULES: &str = include_str!("../../../../recipes/card-transactions/quality.dqdl");
pub const LABELS: &str = include_str!("../../../../recipes/card-transactions/labels.yaml");
const LABEL_RULES: &str = include_str!("../../../../recipes/card-transactions/labels.dqdl");
pub const RUN: &str = "memory:lake/artifacts/runs/card-transactions/r-1/";
pub const AS_OF: &str = "2026-03-01T00:00:00Z";
pub const HOUR: i64 = 3_600_000_000;

/// An event. Its time is in microseconds after 2026-01-01.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: u64,
    pub customer: u64,
    pub at: i64,
    pub amount: Option<f64>,
    pub fraud: Option<i64>,
}

impl Event {
    pub fn new(id: u64, customer: u64, at: i64) -> Self {
        let amount = (!id.is_multiple_of(11)).then(|| (id * 7919 % 10_007) as f64 / 7.0 + 0.01);
        let fraud = (!id.is_multiple_of(5)).then_some(i64::from(id.is_multiple_of(3)));
        Event { id, customer, at, amount, fraud }
    }

    pub fn line(&self) -> String {
        let Event { id, customer, at, amount, fraud } = self;
        let or_null = |x: Option<String>| x.unwrap_or_else(|| "null".into());
        let channel = ["web", "pos", "app", "phone"][(*id % 4) as usize];
        let category = ["food", "fuel", "travel"][(*id * 31 % 3) as usize];
        format!(
            r#"{{"transaction_id":"t-{id}","customer_id":"c-{customer}","event_time":"{}","card_number":"41{id}","amount":{},"customer_age":{},"card_limit":1000,"channel":"{channel}","merchant_id":"m-1","merchant_category":"{category}","country":"HK","is_fraud":{}}}"#,
            timestamp::to_text(start() + at),
            or_null(amount.map(leat::number::to_text)),
            20 + customer % 50,
            or_null(fraud.map(|x| x.to_string())),
        )
    }
}

/// The time from which events count theirs.
pub fn start() -> i64 {
    timestamp::parse("2026-01-01T00:00:00Z").unwrap()
}

/// `count` events of `customers`, half an hour apart, some of them sent twice.
pub fn events(count: u64, customers: u64) -> Vec<Event> {
    let event = |n: u64| {
        let at = i64::try_from(n).unwrap() * HOUR / 2 + i64::try_from(n * n % 977).unwrap();
        Event::new(n, n * n * 13 % 101 % customers, at)
    };
    let sent = |n: u64| vec![event(n); if n % 17 == 3 { 2 } else { 1 }];
    (0..count).flat_map(sent).collect()
}

/// A lake with the recipe in it.
pub struct World {
    pub shop: Workshop,
    pub keys: Keys,
}

impl World {
    pub async fn new() -> Self {
        Self::with(RECIPE, RULES).await
    }

    pub async fn with(recipe: &str, rules: &str) -> Self {
        let keys = Keys::from_secret(&[7; 32]).unwrap();
        // Cleansed rows are protected: the workers need no keys.
        let shop = Workshop::new(Lake::new(&BTreeMap::new()), None);
        for (name, text) in [
            ("recipe.yaml", recipe),
            ("quality.dqdl", rules),
            ("labels.yaml", LABELS),
            ("labels.dqdl", LABEL_RULES),
        ] {
            let url = format!("memory:lake/recipes/{name}");
            shop.lake().write(&url, text.to_owned()).await.unwrap();
        }
        World { shop, keys }
    }

    pub fn lake(&self) -> &Lake {
        self.shop.lake()
    }

    pub fn folder(&self, dataset: &str) -> Folder {
        self.lake().folder(&format!("memory:lake/cleansed/{dataset}/")).unwrap()
    }

    pub async fn engine(&self, name: &str) -> Engine {
        let url = format!("memory:lake/recipes/{name}");
        read_recipe(self.lake(), &url, Some(self.keys.clone())).await.unwrap()
    }

    /// Publishes `events` as `cleanse` does; their coordinates count from `first`.
    pub async fn publish(&self, unit: &str, buckets: u32, first: u64, events: &[Event]) {
        let engine = self.engine("recipe.yaml").await;
        let lines: Vec<String> = events.iter().map(Event::line).collect();
        self.publish_lines(&engine, "card-transactions", unit, buckets, first, &lines).await;
    }

    /// Publishes labels: id, hours after 2026-01-01, label.
    pub async fn publish_labels(&self, unit: &str, first: u64, labels: &[(u64, i64, i64)]) {
        let engine = self.engine("labels.yaml").await;
        let line = |(id, hours, label): &(u64, i64, i64)| {
            let time = timestamp::to_text(start() + hours * HOUR);
            format!(r#"{{"transaction_id":"t-{id}","known_at":"{time}","is_fraud":{label}}}"#)
        };
        let lines: Vec<String> = labels.iter().map(line).collect();
        self.publish_lines(&engine, "card-transactions-labels", unit, 3, first, &lines).await;
    }

    async fn publish_lines(
        &self,
        engine: &Engine,
        dataset: &str,
        unit: &str,
        buckets: u32,
        first: u64,
        lines: &[String],
    ) {
        let records: Vec<RawRecord<'_>> = lines
            .iter()
            .zip(first..)
            .map(|(line, n)| RawRecord {
                coordinates: Coordinates {
                    source: "events".into(),
                    shard: "shardId-0".into(),
                    position: Position { sequence: Sequence::new(&n.to_string()), sub: 0, line: 0 },
                    arrival: Some(1_800_000_000_000),
                },
                data: line.as_bytes(),
                landed: false,
            })
            .collect();
        let checked = engine.check(&records).unwrap();
        assert!(checked.rejects.is_empty(), "{:?}", checked.rejects[0].reason);
        let folder = self.folder(dataset);
        let columns = cleansed::columns(engine.recipe());
        let mut files = Vec::new();
        for bucket in 0..buckets {
            let rows: Vec<usize> = (0..checked.batch.len())
                .filter(|&row| !engine::fails(&checked.batch.rows[row]))
                .filter(|&row| bucket_of(&engine.entity(&checked.batch, row), buckets) == bucket)
                .collect();
            if rows.is_empty() {
                continue;
            }
            let batch: Batch = checked.batch.gather(&rows);
            let values = cleansed::write(engine.recipe(), &batch);
            let bytes = parquet::to_bytes(&columns, values).unwrap();
            let path = format!("date=2026-01-01/bucket={bucket:02}/unit={unit}/part-0.parquet");
            let file = UnitFile { path, rows: rows.len() as u64, bytes: bytes.len() as u64 };
            folder.put(&file.path, bytes).await.unwrap();
            files.push(file);
        }
        self.publish_unit(&folder, unit, buckets, files).await;
    }

    pub async fn publish_unit(
        &self,
        folder: &Folder,
        unit: &str,
        buckets: u32,
        files: Vec<UnitFile>,
    ) {
        let unit = Unit { files, buckets, ..Unit::without_data(unit, Decision::Published) };
        unit.publish(folder).await.unwrap();
    }

    /// The step `snapshot`.
    pub async fn snapshot(&self, labels: bool) -> Result<Snapshot, BatchError> {
        let run = Run::open(self.lake(), RUN)?;
        let url = "memory:lake/recipes/recipe.yaml";
        let engine = self.shop.read_engine(url).await?;
        let url = self.shop.keep_recipe(&run, url, &engine).await?;
        let of_labels = self.shop.read_engine("memory:lake/recipes/labels.yaml").await?;
        let (cleansed, labels_folder) =
            (self.folder("card-transactions"), self.folder("card-transactions-labels"));
        let wanted = Wanted {
            as_of: timestamp::parse(AS_OF).unwrap(),
            cleansed: &cleansed,
            engine: &engine,
            recipe_url: &url,
            labels: labels
                .then(|| LabelSource { cleansed: &labels_folder, recipe: of_labels.recipe() }),
        };
        Snapshot::make(&run, wanted).await?.some()?.keep(&run).await
    }

    pub async fn job(&self) -> Result<Job, BatchError> {
        self.shop.job(RUN).await
    }

    /// Snapshot, measure, decide.
    pub async fn begin(&self, labels: bool, criteria: Criteria) -> Result<Job, BatchError> {
        self.snapshot(labels).await?;
        let job = self.job().await?;
        for bucket in job.snapshot.numbers() {
            measure(&job, bucket).await?;
        }
        decide(&job, criteria).await?;
        Ok(job)
    }

    /// All levels; the fitted state's URL.
    pub async fn fit(&self, job: &Job) -> Result<String, BatchError> {
        let mut level = 1;
        loop {
            for bucket in job.snapshot.numbers() {
                fit::partial(job, level, bucket).await?;
            }
            if let Some(state) = fit::merge(job, level).await?.state {
                return Ok(state.url);
            }
            level += 1;
        }
    }

    /// Features of both slices, and their sums.
    pub async fn curate(&self, job: &Job, state: &str) -> Result<Finished, BatchError> {
        let wanted = curate::Wanted {
            name: "candidate",
            state,
            recipe: None,
            slices: &Slice::ALL,
            curated: "memory:lake/curated/",
        };
        let bound = curate::bind(&self.shop, job, wanted).await?;
        for bucket in job.snapshot.numbers() {
            curate::bucket(job, &bound, bucket).await?;
        }
        finish(job, "candidate").await
    }

    pub async fn run(
        &self,
        labels: bool,
        criteria: Criteria,
    ) -> Result<(String, Finished), BatchError> {
        let job = self.begin(labels, criteria).await?;
        let state = self.fit(&job).await?;
        let finished = self.curate(&job, &state).await?;
        Ok((state, finished))
    }

    /// All objects below `url`, with their bytes.
    pub async fn objects(&self, url: &str) -> BTreeMap<String, Vec<u8>> {
        let folder = self.lake().folder(url).unwrap();
        let mut objects = BTreeMap::new();
        for object in folder.list("").await.unwrap() {
            let bytes = folder.get(&object.key).await.unwrap().unwrap();
            objects.insert(object.key, bytes.to_vec());
        }
        objects
    }

    /// All lines of a channel, sorted.
    pub async fn channel(&self, slice: &str) -> Vec<String> {
        let files = self.objects(&format!("{RUN}channels/candidate/{slice}")).await;
        let mut lines: Vec<String> = files
            .values()
            .flat_map(|bytes| std::str::from_utf8(bytes).unwrap().lines().map(str::to_owned))
            .collect();
        lines.sort();
        lines
    }
}
