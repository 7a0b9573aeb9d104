//! What the functions of the ledger read from their variables, and what is made of it.

use std::path::Path;
use std::str::FromStr;

use leat_aws::{Aws, Failure, Reader, Vars};

use crate::dataset::{Datasets, Start};
use crate::jobs::aws::AwsJobs;
use crate::jobs::{Jobs, LogJobs, Order, Ordered, Run};
use crate::ledger::Ledger;
use crate::starter::Starter;
use crate::table::dynamodb::DynamoTable;
use crate::table::file::FileTable;
use crate::table::memory::MemoryTable;
use crate::table::{Key, Row, Table, Write};
use crate::zones::Zones;
use leat_lake::Lake;

/// The settings of `s3-glue-trigger` and `glue-callback`.
#[derive(Debug)]
pub struct Config {
    datasets: Datasets,
    ledger: LedgerUrl,
    manifests: String,
    jobs: GlueUrl,
    lake: Lake,
}

/// `LEAT_LEDGER`: where the ledger's table lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerUrl {
    /// `dynamodb:<table>`
    DynamoDb(String),
    /// `file:<folder>`
    File(String),
    /// `memory:`: gone with the process.
    Memory,
}

impl LedgerUrl {
    /// What the variable says; none only if that is a problem.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.required("LEAT_LEDGER", "dynamodb:<table>, file:<folder> or memory:")
    }

    /// The ledger. `aws` is asked only if it lies there.
    pub async fn open(&self, aws: &Aws) -> Result<Ledger<AnyTable>, Failure> {
        Ok(Ledger::new(match self {
            LedgerUrl::DynamoDb(name) => {
                let client = aws_sdk_dynamodb::Client::new(aws.config().await);
                AnyTable::DynamoDb(DynamoTable::new(client, name))
            }
            LedgerUrl::File(folder) => AnyTable::File(FileTable::open(Path::new(folder))?),
            LedgerUrl::Memory => AnyTable::Memory(MemoryTable::default()),
        }))
    }
}

impl FromStr for LedgerUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("dynamodb", table)) if !table.is_empty() => Ok(LedgerUrl::DynamoDb(table.into())),
            Some(("file", path)) if !path.is_empty() => {
                Ok(LedgerUrl::File(path.strip_prefix("//").unwrap_or(path).into()))
            }
            Some(("memory", "")) => Ok(LedgerUrl::Memory),
            _ => Err(format!("`{url}` is none of dynamodb:<table>, file:<folder>, memory:")),
        }
    }
}

/// `LEAT_GLUE`: what runs the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlueUrl {
    /// `glue:`: Glue and Step Functions.
    Aws,
    /// `log:`: nothing; the log says what would run.
    Log,
}

impl GlueUrl {
    /// What the variable says; `glue:` without it.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        reader.or("LEAT_GLUE", GlueUrl::Aws)
    }

    /// What runs. `aws` is asked when it is needed first.
    pub fn open(self, aws: &Aws) -> AnyJobs<'_> {
        match self {
            GlueUrl::Aws => AnyJobs::Aws(AwsJobs::new(aws)),
            GlueUrl::Log => AnyJobs::Log(LogJobs),
        }
    }
}

impl FromStr for GlueUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url {
            "glue:" => Ok(GlueUrl::Aws),
            "log:" => Ok(GlueUrl::Log),
            _ => Err(format!("`{url}` is none of glue:, log:")),
        }
    }
}

impl Config {
    /// Reads the variables; all that is wrong is told at once.
    pub fn from_vars(vars: &Vars) -> Result<Self, Failure> {
        let mut reader = Reader::new(vars);
        let config = Config::read(&mut reader);
        reader.finish()?;
        config.ok_or_else(|| Failure::Config("the configuration is wrong".into()))
    }

    /// Reads the variables beside others of the function; none only if there is a problem.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let datasets = reader.text("LEAT_DATASETS", "the list of data sets, as JSON");
        let ledger = LedgerUrl::read(reader);
        let manifests = reader.text("LEAT_MANIFESTS", "the URL under which manifests are written");
        let jobs = GlueUrl::read(reader);
        let datasets = match Datasets::parse(&datasets) {
            _ if datasets.is_empty() => None,
            Ok(datasets) => Some(datasets),
            Err(wrong) => {
                wrong.into_iter().for_each(|what| reader.problem(what));
                None
            }
        };
        let (datasets, ledger) = (datasets?, ledger?);
        Some(Config { datasets, ledger, manifests, jobs, lake: Lake::new(reader.vars()) })
    }

    /// The starter of these settings. `aws` is asked only if a store or a service of AWS is among them.
    pub async fn starter(
        self,
        aws: &Aws,
    ) -> Result<Starter<AnyTable, AnyJobs<'_>, Clock>, Failure> {
        Ok(Starter {
            ledger: self.ledger.open(aws).await?,
            jobs: self.jobs.open(aws),
            zones: Zones::open(self.lake, &self.manifests)?,
            datasets: self.datasets,
            clock: now,
        })
    }
}

/// Tells the time, in milliseconds since 1970.
pub type Clock = fn() -> i64;

/// The time, in milliseconds since 1970.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The ledger's table that the settings name.
#[derive(Debug)]
pub enum AnyTable {
    /// `dynamodb:`
    DynamoDb(DynamoTable),
    /// `file:`
    File(FileTable),
    /// `memory:`
    Memory(MemoryTable),
}

// The SDK's futures are large and deep: they are boxed, so that those of their callers are neither.
impl Table for AnyTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, Failure> {
        match self {
            AnyTable::DynamoDb(table) => Box::pin(table.get(key)).await,
            AnyTable::File(table) => table.get(key).await,
            AnyTable::Memory(table) => table.get(key).await,
        }
    }

    async fn query(&self, pk: &str, limit: usize) -> Result<Vec<Row>, Failure> {
        match self {
            AnyTable::DynamoDb(table) => Box::pin(table.query(pk, limit)).await,
            AnyTable::File(table) => table.query(pk, limit).await,
            AnyTable::Memory(table) => table.query(pk, limit).await,
        }
    }

    async fn write(&self, writes: Vec<Write>) -> Result<bool, Failure> {
        match self {
            AnyTable::DynamoDb(table) => Box::pin(table.write(writes)).await,
            AnyTable::File(table) => table.write(writes).await,
            AnyTable::Memory(table) => table.write(writes).await,
        }
    }
}

/// The services that the settings name.
#[derive(Debug)]
pub enum AnyJobs<'a> {
    /// `glue:`
    Aws(AwsJobs<'a>),
    /// `log:`
    Log(LogJobs),
}

impl Jobs for AnyJobs<'_> {
    async fn start(&self, order: &Order<'_>) -> Ordered {
        match self {
            AnyJobs::Aws(jobs) => Box::pin(jobs.start(order)).await,
            AnyJobs::Log(jobs) => jobs.start(order).await,
        }
    }

    async fn run(&self, start: &Start, run: &str) -> Result<Option<Run>, Failure> {
        match self {
            AnyJobs::Aws(jobs) => Box::pin(jobs.run(start, run)).await,
            AnyJobs::Log(jobs) => jobs.run(start, run).await,
        }
    }

    async fn find(&self, order: &Order<'_>) -> Result<Option<String>, Failure> {
        match self {
            AnyJobs::Aws(jobs) => Box::pin(jobs.find(order)).await,
            AnyJobs::Log(jobs) => jobs.find(order).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Config, Failure> {
        let vars = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Config::from_vars(&vars)
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let why = from(&[("LEAT_LEDGER", "dynamo:x"), ("LEAT_GLUE", "x")]).unwrap_err();
        assert_eq!(why.word(), "Config.Invalid");
        for part in [
            "LEAT_DATASETS is missing",
            "LEAT_MANIFESTS is missing",
            "`dynamo:x` is none of",
            "`x` is none of",
        ] {
            assert!(why.to_string().contains(part), "{part}: {why}");
        }
        let why = from(&[
            ("LEAT_DATASETS", "[]"),
            ("LEAT_LEDGER", "memory:"),
            ("LEAT_MANIFESTS", "memory:"),
        ]);
        assert!(why.unwrap_err().to_string().contains("names no data set"));
    }

    #[tokio::test]
    async fn local_stores_need_no_aws() {
        let folder = tempfile::tempdir().unwrap();
        let datasets = r#"[{"name": "a", "bucket": "b", "prefixes": [{"prefix": "p/"}], "cleansed": "memory:c",
            "start": {"glue": {"job": "j"}}}]"#;
        let ledger = format!("file:{}", folder.path().display());
        for ledger in ["memory:", &ledger] {
            let vars = [
                ("LEAT_DATASETS", datasets),
                ("LEAT_LEDGER", ledger),
                ("LEAT_MANIFESTS", "memory:m"),
                ("LEAT_GLUE", "log:"),
            ];
            from(&vars).unwrap().starter(&Aws::default()).await.unwrap();
        }
    }
}
