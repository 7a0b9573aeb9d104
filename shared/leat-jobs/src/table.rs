//! The ledger's store: rows of JSON under (pk, sk), each with a version, changed by compare and swap, many at once.
//!
//! One trait with three twins of the same semantics: DynamoDB, memory, and a file. What the ledger means stands once,
//! above the trait; what a twin must keep stands in [`contract`], which runs against each of them.
//!
//! In DynamoDB a row is an item of the attributes `pk` (S, partition key), `sk` (S, sort key), `v` (N, the version, from 1),
//! `json` (S) and, on rows that end by themselves, `expires` (N, seconds since 1970: the table's TTL attribute). The table
//! needs no index and no stream. Reads are strongly consistent.

use std::future::Future;

use leat_aws::Failure;

pub mod dynamodb;
pub mod file;
pub mod memory;

/// The most writes of one [`Table::write`].
pub const WRITES_MAX: usize = 100;

/// Where a row lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Rows of one `pk` are read together.
    pub pk: String,
    /// They come in the order of `sk`.
    pub sk: String,
}

impl Key {
    /// The key (pk, sk).
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Key { pk: pk.into(), sk: sk.into() }
    }
}

/// A row as it lies in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it lies.
    pub key: Key,
    /// Rises by one with each write.
    pub version: u64,
    /// What it says.
    pub json: String,
}

/// What must be so for a write to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such row.
    Absent,
    /// The row is there, with this version.
    Version(u64),
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The row says this from now on.
    Put {
        /// What it says.
        json: String,
        /// When the row may go by itself, in seconds since 1970. Stores are late at it, or never do it.
        expires: Option<i64>,
    },
    /// The row goes. It is never made again: a version would not tell the new one from the old.
    Delete,
    /// Nothing: the other writes are done only if this row is as expected.
    Check,
}

/// One write of several that are done together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The row.
    pub key: Key,
    /// What must be so.
    pub expect: Expect,
    /// What to do.
    pub change: Change,
}

impl Write {
    /// Makes a row that must not be there.
    pub fn make(key: Key, json: String, expires: Option<i64>) -> Self {
        Write { key, expect: Expect::Absent, change: Change::Put { json, expires } }
    }

    /// Changes a row that must be as it was read.
    pub fn change(row: &Row, json: String, expires: Option<i64>) -> Self {
        let change = Change::Put { json, expires };
        Write { key: row.key.clone(), expect: Expect::Version(row.version), change }
    }

    /// Deletes a row that must be as it was read.
    pub fn delete(row: &Row) -> Self {
        let expect = Expect::Version(row.version);
        Write { key: row.key.clone(), expect, change: Change::Delete }
    }

    /// Checks that a row is as it was read.
    pub fn check(row: &Row) -> Self {
        let expect = Expect::Version(row.version);
        Write { key: row.key.clone(), expect, change: Change::Check }
    }
}

/// A table of rows.
pub trait Table: Send + Sync {
    /// The row at `key`, with all that was written before the call.
    fn get(&self, key: &Key) -> impl Future<Output = Result<Option<Row>, Failure>> + Send;

    /// The first `limit` rows of `pk` by `sk`, with all that was written before the call.
    fn query(
        &self,
        pk: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Row>, Failure>> + Send;

    /// Does all of `writes`, to different rows and at most [`WRITES_MAX`], and answers true; or none, as a row is not
    /// as expected, and answers false. After an error nothing is known. A store may try again by itself, so that false can
    /// also mean that the writes were done: who cares reads again.
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<bool, Failure>> + Send;
}

/// What every twin must keep. `tag` makes the rows of this run their own.
#[cfg(test)]
pub(crate) async fn contract(table: &impl Table, tag: &str) {
    let key = |sk: &str| Key::new(format!("contract#{tag}"), sk);
    let make = |sk: &str, json: &str| Write::make(key(sk), json.into(), None);
    let get = async |sk: &str| table.get(&key(sk)).await.unwrap();

    // A row is made once, and read as it was written.
    assert_eq!(get("a").await, None);
    assert!(table.write(vec![make("a", r#"{"é":"\u0000"}"#)]).await.unwrap());
    assert!(!table.write(vec![make("a", "2")]).await.unwrap());
    let a = get("a").await.unwrap();
    assert_eq!(a, Row { key: key("a"), version: 1, json: r#"{"é":"\u0000"}"#.into() });

    // It is changed by who read it last.
    assert!(table.write(vec![Write::change(&a, "3".into(), None)]).await.unwrap());
    assert!(!table.write(vec![Write::change(&a, "4".into(), None)]).await.unwrap());
    assert!(!table.write(vec![Write::delete(&a)]).await.unwrap());
    let a = get("a").await.unwrap();
    assert_eq!((a.version, a.json.as_str()), (2, "3"));

    // Many writes are done together or not at all, whichever of them fails.
    let absent = Write { key: key("x"), expect: Expect::Absent, change: Change::Check };
    assert!(table.write(vec![make("b", "b"), Write::check(&a), absent]).await.unwrap());
    let b = get("b").await.unwrap();
    let stale = Row { version: 1, ..a.clone() };
    for bad in [Write::check(&stale), Write::delete(&stale), make("a", "5")] {
        assert!(!table.write(vec![make("c", "c"), bad.clone()]).await.unwrap());
        assert!(!table.write(vec![bad, Write::change(&b, "c".into(), None)]).await.unwrap());
    }
    assert_eq!((get("b").await, get("c").await), (Some(b.clone()), None));
    let both = vec![Write::delete(&a), Write::change(&b, "bb".into(), None)];
    assert!(table.write(both).await.unwrap());
    assert_eq!((get("a").await, get("b").await.unwrap().version), (None, 2));
    assert!(!table.write(vec![Write::check(&a)]).await.unwrap());

    // A query gives its own rows, in order, through all pages, and no more than asked for.
    let pk = format!("contract#{tag}#many");
    let long = "x".repeat(20_000);
    for many in (0..120).collect::<Vec<_>>().chunks(40) {
        let row = |i: &i32| {
            let json = serde_json::to_string(&(i, &long)).unwrap();
            Write::make(Key::new(&pk, format!("{i:03}")), json, Some(4_000_000_000))
        };
        assert!(table.write(many.iter().map(row).collect()).await.unwrap());
    }
    let rows = table.query(&pk, 1000).await.unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.key.sk.clone()).collect();
    assert_eq!(names, (0..120).map(|i| format!("{i:03}")).collect::<Vec<_>>());
    assert_eq!(table.query(&pk, 70).await.unwrap().len(), 70);
    assert_eq!(table.query("contract#none", 70).await.unwrap(), []);
    for many in rows.chunks(WRITES_MAX) {
        assert!(table.write(many.iter().map(Write::delete).collect()).await.unwrap());
    }
    assert_eq!(table.query(&pk, 70).await.unwrap(), []);
}
