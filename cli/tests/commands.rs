//! The commands as a person runs them: their documents, their exit status, and that every form of the same data gives
//! the same features.

#![allow(clippy::unwrap_used, reason = "a test says so when something is not there")]

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use leat::column::Column;
use leat::decode::{self, Batch, RawRecord};
use leat::engine::{self, Engine, Source};
use leat::protect::Keys;
use leat::record::{Coordinates, Position, Reason, Reject, Sequence, bucket_of};
use leat::windows::EntityState;
use leat::windows::item::Item;
use leat::{cleansed, encode};
use leat_batch::{Criteria, Snapshot, Wanted, Workshop, decide, measure};
use leat_lake::units::{Decision, Unit, UnitFile};
use leat_lake::{Folder, Lake, parquet};
use serde_json::{Value, json};
use tempfile::TempDir;

const RECIPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../recipes/card-transactions");
const SECRET: [u8; 32] = [7; 32];

/// A folder with events, a secret, and the recipe.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Desk(tempfile::tempdir().unwrap());
        for name in ["recipe.yaml", "quality.dqdl"] {
            fs::copy(Path::new(RECIPES).join(name), desk.path(name)).unwrap();
        }
        fs::write(desk.path("secret"), SECRET).unwrap();
        desk.good("generate card-transactions --events 2000 --seed 5 --output events.jsonl");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Runs `leat` in the folder.
    fn leat(&self, arguments: &str, input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_leat"))
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses does not read its input to the end.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn good(&self, arguments: &str) -> String {
        let output = self.leat(arguments, b"");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "leat {arguments}: {error}");
        error
    }

    #[track_caller]
    fn json(&self, arguments: &str, status: i32) -> Value {
        let output = self.leat(&format!("{arguments} --format json"), b"");
        assert_eq!(output.status.code(), Some(status), "leat {arguments}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// That the command refuses with status 2, and that it says `words`.
    #[track_caller]
    fn refused(&self, arguments: &str, words: &[&str]) {
        let output = self.leat(arguments, b"");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "leat {arguments}: {error}");
        for word in words {
            assert!(error.contains(word), "leat {arguments}: no `{word}` in {error}");
        }
    }
}

#[test]
fn documents_and_status() {
    let desk = Desk::new();
    let checked = desk.json("check recipe.yaml", 0);
    assert_eq!(checked["recipe"], "card-transactions");
    assert_eq!(checked["errors"], Value::Array(vec![]));
    assert!(checked["passes"].as_u64() >= Some(2));

    let fitted = desk.json("fit recipe.yaml events.jsonl --keys file:secret --state state.json", 0);
    assert!(fitted["data"]["rows"].as_u64() > Some(1900));
    assert_eq!(fitted["recipe_hash"], checked["recipe_hash"]);
    let made = desk.json(
        "transform recipe.yaml events.jsonl --keys file:secret --state state.json --output f.csv",
        0,
    );
    assert_eq!(made["state_hash"], fitted["state_hash"]);
    assert_eq!(made["data"]["order"], "event_time");
    let evidence: Value = serde_json::from_slice(&desk.read("f.csv.leat.json")).unwrap();
    assert_eq!(evidence, made);
    let lines = desk.read("f.csv").split(|b| *b == b'\n').count() as u64;
    assert_eq!(
        made["data"]["rows"].as_u64(),
        Some(lines - 2),
        "a header, and nothing after the end"
    );

    let rules = "validate quality.dqdl events.jsonl --recipe recipe.yaml";
    let found = desk.json(&format!("{rules} --method row"), 0);
    assert_eq!(found["passed"], true);
    let found = desk.json(rules, 1);
    assert_eq!(found["passed"], false);
    assert_eq!(found["outcomes"].as_array().unwrap().len(), 7);
    // Without a recipe no field is required: the line whose customer is missing is a row, and the rules find it.
    let without = desk.json("validate quality.dqdl events.jsonl --method row", 1);
    assert!(without["rows"].as_u64() > found["rows"].as_u64());

    assert_eq!(desk.json("schema", 0)["title"], "A Leat recipe");
    assert!(desk.json("operators", 0).as_array().unwrap().len() >= 5);
    assert_eq!(desk.json("operators log", 0)["name"], "log");
    assert_eq!(desk.json("rules", 0).as_array().unwrap().len(), 33);
    let manual = desk.json("rules Mean", 0);
    assert_eq!((&manual["name"], &manual["where"]), (&json!("Mean"), &json!(true)));
    desk.refused("rules Meen", &["the nearest is `Mean`"]);
    assert_eq!(desk.json("check quality.dqdl", 0)["rules"].as_array().unwrap().len(), 7);
    assert_eq!(desk.json("check recipe.yaml --explain amount", 0)["made_of"]["column"], "amount");
}

#[test]
fn profiles() {
    let desk = Desk::new();
    let found = desk.json("profile events.jsonl --report out/profile.html", 0);
    let columns = found["columns"].as_array().unwrap();
    let of = |name: &str| columns.iter().find(|column| column["name"] == name).unwrap();
    assert!(found["rows"].as_u64() > Some(1900));
    assert_eq!(
        (&of("amount")["type"], &of("card_number")["personal"]),
        (&json!("double"), &json!("card_number"))
    );
    assert!(of("amount")["histogram"]["counts"].as_array().unwrap().len() > 5);
    assert_eq!(of("channel")["distinct"], 4.0);
    assert_eq!(of("card_number")["hidden"], true);
    let page = String::from_utf8(desk.read("out/profile.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("prefers-color-scheme: dark"));
    for outside in ["<script", "http:", "https:", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // No card number is shown, as a value or as the extent of one.
    let events = String::from_utf8(desk.read("events.jsonl")).unwrap();
    let card = events.split("\"card_number\":\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(card.len() > 10 && !page.contains(card) && !found.to_string().contains(card));
    // Parts in several files are the whole; a recipe hides what it tags.
    let lines: Vec<&str> = events.lines().collect();
    fs::create_dir(desk.path("parts")).unwrap();
    for (at, part) in lines.chunks(700).enumerate() {
        fs::write(desk.path(&format!("parts/{at}.jsonl")), part.join("\n")).unwrap();
    }
    assert_eq!(desk.json("profile parts", 0)["columns"], found["columns"]);
    let with = desk.json("profile events.jsonl --recipe recipe.yaml", 0);
    let card =
        with["columns"].as_array().unwrap().iter().find(|c| c["name"] == "card_number").unwrap();
    assert_eq!(card["hidden"], true);
}

#[test]
fn inferred_recipe_and_rules_hold() {
    let desk = Desk::new();
    let found = desk.json("infer events.jsonl --output start", 0);
    assert!(found["rules"].as_u64() > Some(12), "{found}");
    assert_eq!(found["personal"], json!(["card_number"]));
    assert_eq!(found["roles_missing"], json!([]));
    let checked = desk.json("check start/recipe.yaml", 0);
    assert_eq!(checked["errors"], json!([]));
    let judged = desk.json("validate start/rules.dqdl events.jsonl", 0);
    assert_eq!(
        judged["outcomes"].as_array().unwrap().len() as u64,
        found["rules"].as_u64().unwrap()
    );
    desk.json("validate start/rules.dqdl events.jsonl --recipe start/recipe.yaml", 0);
    desk.good("fit start/recipe.yaml events.jsonl --state start/state.json");
    let recipe = String::from_utf8(desk.read("start/recipe.yaml")).unwrap();
    for part in [
        "role: id",
        "customer_id, type: string, role: entity",
        "event_time, type: timestamp, role: event_time",
        "tags: [pii]",
        "method: tokenize",
        "role: label",
    ] {
        assert!(recipe.contains(part), "{part}: {recipe}");
    }
    let rules = String::from_utf8(desk.read("start/rules.dqdl")).unwrap();
    for part in [
        "ColumnValues \"channel\" in [",
        "ColumnValues \"amount\" > 0",
        "Completeness \"customer_age\" >= 0.9",
    ] {
        assert!(rules.contains(part), "{part}: {rules}");
    }
    desk.refused("infer events.jsonl --output start", &["is there already"]);
    // A sample is the first rows of each file.
    let small = desk.json("infer events.jsonl --output small --sample 100", 0);
    assert!(small["rows"].as_u64() <= Some(100), "{small}");
    fs::write(desk.path("empty.jsonl"), "").unwrap();
    desk.refused("infer empty.jsonl --output none", &["no rows to learn from"]);
    // Roles first, then as the data has it; a field of a later line comes last.
    fs::write(desk.path("order.jsonl"), "{\"zip\":1,\"b\":2}\n{\"a\":3,\"zip\":4}\n").unwrap();
    desk.json("infer order.jsonl --output order", 0);
    let recipe = String::from_utf8(desk.read("order/recipe.yaml")).unwrap();
    let places = ["{name: zip", "{name: b", "{name: a"].map(|field| recipe.find(field));
    assert!(places.is_sorted() && places[0].is_some(), "{recipe}");
    // A row of CSV that goes on over lines is not cut.
    fs::write(desk.path("notes.csv"), "note\n\"a\nb\"\n\"c\nd\"\nlast\n").unwrap();
    let two = desk.json("infer notes.csv --output notes --sample 2", 0);
    // A note is nobody.
    let missing = json!(["entity", "event_time"]);
    assert_eq!((&two["rows"], &two["roles_missing"]), (&json!(2), &missing));
}

#[test]
fn drift() {
    let desk = Desk::new();
    desk.good("generate card-transactions --events 2000 --seed 5 --skip 2000 --output later.jsonl");
    let same = desk.json("skew events.jsonl events.jsonl", 0);
    for column in same["columns"].as_array().unwrap() {
        for (measure, value) in column["measures"].as_object().unwrap() {
            let still = if measure.ends_with("_p") { 1.0 } else { 0.0 };
            assert_eq!(value.as_f64(), Some(still), "{column}");
        }
    }
    let limits = "leat: 1\nlimits: {psi: 0.2}\ncolumns:\n  channel: {unseen: 0}\n";
    fs::write(desk.path("drift.yaml"), limits).unwrap();
    let within = desk.json("skew events.jsonl events.jsonl --limits drift.yaml", 0);
    assert_eq!((&within["passed"], &within["schema"]), (&json!(true), &json!([])));

    // Amounts a hundred times as great, a channel that is new, a field that is gone.
    let moved: String = String::from_utf8(desk.read("later.jsonl"))
        .unwrap()
        .lines()
        .filter_map(|line| {
            let mut event: Value = serde_json::from_str(line).ok()?;
            let event = event.as_object_mut()?;
            event.remove("country");
            if let Some(amount) = event.get("amount").and_then(Value::as_f64) {
                event.insert("amount".into(), json!(amount * 100.0));
            }
            event.insert("channel".into(), json!("kiosk"));
            Some(format!("{}\n", json!(event)))
        })
        .collect();
    fs::write(desk.path("moved.jsonl"), moved).unwrap();
    let found =
        desk.json("skew events.jsonl moved.jsonl --limits drift.yaml --report drift.html", 1);
    let told = found["breaches"].to_string();
    for part in ["`country` is gone", "`amount`: psi is", "`channel`: unseen is 1.0000, above 0"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let page = String::from_utf8(desk.read("drift.html")).unwrap();
    assert!(
        page.contains("limits passed") && page.contains("class=\"b\"") && !page.contains("http")
    );

    // Against what was learnt.
    desk.good("fit recipe.yaml events.jsonl --keys file:secret --state state.json");
    let state = "skew --recipe recipe.yaml --state state.json --keys file:secret";
    fs::write(desk.path("own.yaml"), "leat: 1\ncolumns:\n  channel: {unseen: 0.5}\n").unwrap();
    desk.json(&format!("{state} events.jsonl --limits own.yaml"), 0);
    desk.refused(state, &["required"]);
    desk.refused(&format!("{state} events.jsonl later.jsonl"), &["--state takes the place"]);
    desk.refused("skew events.jsonl", &["compared with nothing"]);
    fs::write(desk.path("bad.yaml"), "leat: 1\nlimits: {pzi: 1}\n").unwrap();
    desk.refused(
        "skew events.jsonl later.jsonl --limits bad.yaml",
        &["bad.yaml:2:10", "did you mean `psi`?"],
    );
    fs::write(desk.path("bad.yaml"), "leat: 1\ncolumns:\n  amonut: {ks: 0.1}\n").unwrap();
    desk.refused(
        "skew events.jsonl later.jsonl --limits bad.yaml",
        &["bad.yaml:3:3", "did you mean `amount`?"],
    );
}

/// A line for each age and amount.
fn transactions(rows: &[(Value, Value)]) -> String {
    let line = |(age, amount): &(Value, Value)| {
        json!({"customer_age": age, "transaction_amount": amount}).to_string() + "\n"
    };
    rows.iter().map(line).collect()
}

#[test]
fn the_rules_that_every_batch_needs() {
    let desk = Desk::new();
    let rules = include_str!("../../docs/examples/daily-batch.dqdl");
    fs::write(desk.path("daily-batch.dqdl"), rules).unwrap();
    let good = vec![(json!(30), json!(9.5)); 100];
    let with = |row: (Value, Value)| {
        let mut rows = good.clone();
        rows[7] = row;
        rows
    };
    for (rows, failed) in [
        (good.clone(), &[][..]),
        (vec![(json!(30), json!(9.5)); 1000], &[]),
        (good[1..].to_vec(), &[3]),
        (vec![(json!(30), json!(9.5)); 1001], &[3]),
        (with((json!(-3), json!(9.5))), &[0, 1]),
        (with((json!(0), json!(9.5))), &[0, 1]),
        (with((json!(12.5), json!(9.5))), &[1]),
        (with((json!(null), json!(9.5))), &[0, 1]),
        (with((json!(30), json!(null))), &[2]),
    ] {
        fs::write(desk.path("day.jsonl"), transactions(&rows)).unwrap();
        let status = i32::from(!failed.is_empty());
        let found = desk.json("validate daily-batch.dqdl day.jsonl", status);
        let outcomes = found["outcomes"].as_array().unwrap();
        let wrong: Vec<usize> =
            (0..outcomes.len()).filter(|i| outcomes[*i]["outcome"] != "Passed").collect();
        assert_eq!(wrong, failed, "{found}");
        assert_eq!(found["passed"], failed.is_empty());
    }
}

/// A file of Parquet is judged as the same rows in JSON Lines are, on any number of cores, though only the columns that rules
/// name are read.
#[test]
fn rules_read_the_columns_that_they_name() {
    let desk = Desk::new();
    let rows = 20_000u32;
    let texts: Vec<String> = (0..rows).map(|row| format!("c-{}", row % 97)).collect();
    let amount = |row: u32| (!row.is_multiple_of(7)).then(|| f64::from(row % 1000) / 4.0);
    let columns = [
        ("amount", Column::doubles((0..rows).map(amount))),
        ("customer", Column::strings(texts.iter().map(|text| Some(text.as_str())))),
        ("number", Column::longs((0..rows).map(|row| Some(i64::from(row))))),
        ("other", Column::doubles((0..rows).map(|row| Some(f64::from(row))))),
    ];
    let mut lines = Vec::new();
    let names = encode::jsonl::Rows::new(columns.iter().map(|(name, _)| *name));
    (0..rows as usize).for_each(|row| {
        names.row(columns.iter().map(|(_, column)| column), row, &mut lines);
    });
    fs::write(desk.path("d.jsonl"), lines).unwrap();
    let write = |name: &str, values: Vec<Column>| {
        let kinds = columns.iter().map(|(name, column)| ((*name).to_owned(), column.kind()));
        let bytes = parquet::to_bytes(&kinds.collect::<Vec<_>>(), values).unwrap();
        fs::write(desk.path(name), bytes).unwrap();
    };
    let values = || columns.iter().map(|(_, column)| column.clone()).collect::<Vec<_>>();
    write("d.parquet", values());
    let mut infinite = values();
    infinite[3] = Column::doubles((0..rows).map(|_| Some(f64::INFINITY)));
    write("infinite.parquet", infinite);
    let rules = "Rules = [ RowCount > 0, IsComplete \"amount\", Mean \"amount\" > 0,
        DistinctValuesCount \"customer\" = 97, ColumnValues \"amount\" < 249 where \"number > 5000\",
        Uniqueness \"number\" = 1.0, ColumnCount = 4 ]";
    fs::write(desk.path("r.dqdl"), rules).unwrap();
    fs::write(desk.path("count.dqdl"), "Rules = [ RowCount = 20000 ]").unwrap();
    let judged = |data: &str, cores: u32| {
        let now = "--now 2026-01-01T00:00:00Z";
        let mut found = desk.json(&format!("validate r.dqdl {data} {now} --cores {cores}"), 1);
        let found = found.as_object_mut().unwrap();
        assert!(found.remove("dataset").is_some());
        serde_json::to_string(found).unwrap().replace(data, "DATA")
    };
    let expected = judged("d.jsonl", 1);
    assert!(expected.contains("\"rows\":20000"), "{expected}");
    for data in ["d.jsonl", "d.parquet", "infinite.parquet"] {
        for cores in [1, 3] {
            assert_eq!(judged(data, cores), expected, "{data} on {cores}");
        }
    }
    desk.json("validate count.dqdl d.parquet", 0);
    // Rows of a file that has none of the columns are rows all the same.
    let zip = Column::longs([Some(1), None, Some(3)]);
    let apart = parquet::to_bytes(&[("zip".to_owned(), zip.kind())], vec![zip]).unwrap();
    fs::write(desk.path("apart.parquet"), apart).unwrap();
    let rules = "Rules = [ RowCount = 20003, RowCount = 3 where \"customer is null\" ]";
    fs::write(desk.path("apart.dqdl"), rules).unwrap();
    desk.json("validate apart.dqdl d.parquet apart.parquet", 0);
    // A rule that names the column: such a row is refused, as a recipe's field would be.
    fs::write(desk.path("other.dqdl"), "Rules = [ Sum \"other\" > 0, RowCount = 0 ]").unwrap();
    desk.json("validate other.dqdl infinite.parquet", 1);
}

#[test]
fn rules_that_look_beyond_the_data() {
    let desk = Desk::new();
    let write = |name: &str, text: &str| fs::write(desk.path(name), text).unwrap();
    write("orders.csv", "id,customer\n1,a\n2,b\n3,z\n");
    write("customers.csv", "name,size\na,1\nb,2\n");
    write(
        "rules.dqdl",
        "Rules = [ ReferentialIntegrity \"customer\" \"c.name\" > 0.6, RowCountMatch \"c\" = 1.5,
             FileSize \"orders.csv\" < 1 KB, FileSize > 1 B, FileUniqueness = 1.0,
             FileFreshness \"orders.csv\" > (now() - 1 days), FileMatch \"orders.csv\" \"orders.csv\",
             RowCount >= avg(last(3)), DetectAnomalies \"RowCount\" ]
         Analyzers = [ AllStatistics \"id\" ]",
    );
    let validate = "validate rules.dqdl orders.csv --reference c=customers.csv --history runs";
    let found = desk.json(validate, 0);
    assert_eq!(found["analyzers"]["Column.id.Sum"], 6.0, "{found}");
    let reason = |found: &Value, rule: usize| found["outcomes"][rule]["reason"].to_string();
    assert!(reason(&found, 7).contains("no earlier run has this metric"), "{found}");
    assert!(reason(&found, 8).contains("not enough history: 0 of 7 runs"), "{found}");
    write("orders.csv", "id,customer\n1,a\n2,b\n");
    let found = desk.json(validate, 1);
    // 2 rows are fewer than the 3 of the run before.
    assert_eq!(found["outcomes"][7]["evaluated"], "RowCount >= 3.0", "{found}");
    assert_eq!(found["outcomes"][7]["outcome"], "Failed", "{found}");
    // The run that failed was kept too.
    assert_eq!(fs::read_dir(desk.path("runs")).unwrap().count(), 2);
    let found = desk.json(validate, 1);
    assert_eq!(found["outcomes"][7]["evaluated"], "RowCount >= 2.5", "{found}");
    // A run at an earlier time sees none of them.
    let found = desk.json(&format!("{validate} --now 2020-01-01T00:00:00Z"), 1);
    assert!(reason(&found, 7).contains("no earlier run"), "{found}");

    desk.refused("validate rules.dqdl orders.csv", &["`c` is not given", "--reference c=DATA"]);
    let unused = format!("{validate} --reference d=customers.csv");
    desk.refused(&unused, &["--reference d: no rule names it", "compares with c"]);
    write("sql.dqdl", "Rules = [ CustomSql \"select 1\" = 1 ]");
    #[cfg(not(feature = "sql"))]
    desk.refused("validate sql.dqdl orders.csv", &["sql.dqdl:1:11", "needs an engine for SQL"]);
    assert_eq!(desk.json("check sql.dqdl", 0)["rules"].as_array().unwrap().len(), 1);
}

#[test]
fn a_record_and_a_page_of_what_rules_say() {
    let desk = Desk::new();
    let write = |name: &str, text: &str| fs::write(desk.path(name), text).unwrap();
    write(
        "rules.dqdl",
        "Rules = [ IsUnique \"id\", ColumnValues \"x\" > 0, Completeness \"x\" > 0.9 labels = [\"action\" = \"warn\"],
             RowCount > last() ]",
    );
    write("a.csv", "id,x\n1,5\n2,6\n");
    write("b.csv", "id,x\n3,-7\n3,\n4,9,9\n");
    let validate =
        "validate rules.dqdl a.csv b.csv --history runs --result r/out.json --report out.html";
    let first = desk.json(&format!("{validate} --now 2026-01-01T00:00:00Z"), 1);
    let record: Value = serde_json::from_slice(&desk.read("r/out.json")).unwrap();
    assert_eq!(record, first);
    assert_eq!(
        (&first["passed"], &first["decision"], &first["score"]),
        (&json!(false), &json!("halt"), &json!(0.25))
    );
    assert_eq!(first["dataset"], "a.csv and 1 more");
    assert_eq!(first["counts"], json!({"read": 5, "kept": 4, "rejected": 1, "dropped": 0}));
    let lines = |rule: usize| -> Vec<String> {
        let places = first["outcomes"][rule]["samples"].as_array().into_iter().flatten();
        places.map(|p| format!("{}:{}", p["source"].as_str().unwrap(), p["line"])).collect()
    };
    // The lines of the files, the header among them.
    assert_eq!(lines(0), ["b.csv:2", "b.csv:3"]);
    assert_eq!(lines(1), ["b.csv:2", "b.csv:3"]);
    assert_eq!(lines(2), ["b.csv:3"]);
    assert!(lines(3).is_empty());
    let rejected = first["rejects"].as_object().unwrap().values().next().unwrap();
    assert_eq!((&rejected["count"], &rejected["samples"][0]["line"]), (&json!(1), &json!(4)));
    assert_eq!(first["halted_by"].as_array().unwrap().len(), 1, "{first}");
    assert_eq!(first["outcomes"][1]["action"], "quarantine");

    let page = String::from_utf8(desk.read("out.html")).unwrap();
    for words in [
        "<!doctype html>",
        "25<small>%",
        "Halted",
        "b.csv:3",
        "IsUnique &quot;id&quot;",
        "<code>x</code> <span class=\"quiet\">long</span>",
        "25% missing · 3 different",
    ] {
        assert!(page.contains(words), "no {words} in {page}");
    }
    assert!(!page.contains("<polyline"), "there is no earlier run");
    // The same again gives the same bytes; a later run shows what was.
    desk.json(&format!("{validate} --now 2026-01-01T00:00:00Z"), 1);
    assert_eq!(serde_json::from_slice::<Value>(&desk.read("r/out.json")).unwrap(), record);
    assert_eq!(String::from_utf8(desk.read("out.html")).unwrap(), page);
    desk.json(&format!("{validate} --now 2026-01-02T00:00:00Z --samples 0"), 1);
    let page = String::from_utf8(desk.read("out.html")).unwrap();
    assert!(page.contains("<polyline") && !page.contains("b.csv:3"), "{page}");
    let without = desk.json("validate rules.dqdl a.csv b.csv --samples 1 --history runs", 1);
    assert_eq!(without["outcomes"][0]["samples"].as_array().unwrap().len(), 1);
    // Standard input is kept where types come from it, so that it can be read again.
    let output =
        desk.leat("validate rules.dqdl - --history runs --format json", b"{\"id\":1,\"x\":-1}\n");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        found["outcomes"][1]["samples"],
        json!([{"source": "standard input", "line": 1}]),
        "{found}"
    );
}

#[test]
fn refusals_say_what_where_and_what_to_do() {
    let desk = Desk::new();
    let recipe = String::from_utf8(desk.read("recipe.yaml")).unwrap();
    fs::write(desk.path("slip.yaml"), recipe.replace("standard_scale", "standart_scale")).unwrap();
    desk.refused("check slip.yaml", &["standart_scale", "slip.yaml:", "^", "`standard_scale`"]);
    let errors = desk.json("check slip.yaml", 2);
    let error = &errors["errors"][0];
    assert!(error["line"].as_u64() > Some(1) && error["hint"].is_string(), "{errors}");
    fs::write(desk.path("slip.dqdl"), "Rules = [\n  IsComplet \"a\"\n]").unwrap();
    desk.refused("check slip.dqdl", &["slip.dqdl:2:", "IsComplete"]);
    fs::write(desk.path("lost.yaml"), recipe.replace("quality.dqdl", "lost.dqdl")).unwrap();
    desk.refused("check lost.yaml", &["lost.dqdl", "no such file", "help"]);
    desk.refused("check none.yaml", &["none.yaml", "no such file"]);
    desk.refused("check recipe.yaml --explain amout", &["amout", "`amount`"]);
    desk.refused("operators lgo", &["lgo", "`log`"]);

    desk.good("fit recipe.yaml events.jsonl --keys file:secret --state state.json");
    let transform = "transform recipe.yaml --keys file:secret --state";
    desk.refused(&format!("{transform} state.json none --output f.csv"), &["none", "no such file"]);
    desk.refused(&format!("{transform} state.json events.jsonl --output f.txt"), &[".txt", ".csv"]);
    desk.refused(&format!("{transform} recipe.yaml events.jsonl --output f.csv"), &["recipe.yaml"]);
    let other = recipe.replace("max_duration: 12h", "max_duration: 11h");
    fs::write(desk.path("other.yaml"), other).unwrap();
    desk.refused(
        "transform other.yaml --keys file:secret --state state.json events.jsonl --output f.csv",
        &["state.json", "recipe"],
    );
    assert!(!desk.path("f.csv").exists());
    desk.refused("fit recipe.yaml events.jsonl --landed --state s.json", &["--landed", "--keys"]);
    fs::write(desk.path("short"), "secret").unwrap();
    desk.refused("fit recipe.yaml events.jsonl --keys file:short --state s.json", &["32"]);
    fs::write(desk.path("cut.jsonl.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    desk.refused(
        "fit recipe.yaml cut.jsonl.gz --keys file:secret --state s.json",
        &["cut.jsonl.gz"],
    );
    fs::write(desk.path("bad.parquet"), "no").unwrap();
    desk.refused("fit recipe.yaml bad.parquet --keys file:secret --state s.json", &["bad.parquet"]);
    fs::write(desk.path("bad.jsonl"), "{\n{").unwrap();
    desk.refused("fit recipe.yaml bad.jsonl --keys file:secret --state s.json", &["no row"]);
    assert!(!desk.path("s.json").exists());
}

#[test]
fn every_form_of_the_data_gives_the_same_features() {
    let desk = Desk::new();
    let keys = "--keys file:secret --state state.json";
    desk.good(&format!("fit recipe.yaml events.jsonl {keys}"));
    let note = desk.good(&format!("transform recipe.yaml events.jsonl {keys} --output f.csv"));
    assert!(note.contains("by event time, then id"), "{note}");
    let expected = desk.read("f.csv");

    // Standard input; gzip, whatever its name; a folder.
    let events = desk.read("events.jsonl");
    let out = desk.leat(&format!("transform recipe.yaml - {keys} --output stdin.csv"), &events);
    assert_eq!(out.status.code(), Some(0));
    fs::create_dir_all(desk.path("many/deep")).unwrap();
    let half = events[..events.len() / 2].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&events[half..]).unwrap();
    fs::write(desk.path("many/deep/b"), gzip.finish().unwrap()).unwrap();
    fs::write(desk.path("many/z.jsonl"), &events[..half]).unwrap();
    desk.good(&format!("transform recipe.yaml many {keys} --output folder.csv"));
    for name in ["stdin.csv", "folder.csv"] {
        assert!(desk.read(name) == expected, "{name}");
    }

    // Features as Parquet hold the same values.
    desk.good(&format!("transform recipe.yaml events.jsonl {keys} --output f.parquet"));
    let bytes = bytes::Bytes::from(desk.read("f.parquet"));
    let reader = parquet::Reader::new(bytes, None).unwrap();
    let mut text = Vec::new();
    encode::csv::header(reader.columns().iter().map(|(name, _)| name.as_str()), &mut text);
    for columns in reader {
        let columns = columns.unwrap();
        (0..columns[0].len()).for_each(|row| encode::csv::row(&columns, row, &mut text));
    }
    assert!(text == expected, "f.parquet");
}

/// What is written does not depend on the number of cores, to the byte: from lines and from Parquet, in and out of order.
#[test]
fn bytes_do_not_depend_on_the_cores() {
    let desk = Desk::new();
    let keys = "--keys file:secret --state state.json";
    desk.good("generate card-transactions --events 9000 --seed 6 --output many.jsonl");
    let text = String::from_utf8_lossy(&desk.read("many.jsonl")).into_owned();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_by_key(|line| line.len() % 7);
    lines.extend_from_within(..500); // a producer's retries
    lines.insert(4_000, "{\"transaction_id\": 1}");
    fs::write(desk.path("mixed.jsonl"), lines.join("\n")).unwrap();
    desk.good(&format!("fit recipe.yaml many.jsonl {keys}"));

    // The same events as a table: its columns are those of the schema, in another order.
    let engine = {
        let recipe = String::from_utf8(desk.read("recipe.yaml")).unwrap();
        let read = engine::read(Source { file: "recipe.yaml", text: &recipe }).unwrap();
        let rules = String::from_utf8(desk.read("quality.dqdl")).unwrap();
        let rules = Source { file: "quality.dqdl", text: &rules };
        Engine::new(read, Some(rules), None).unwrap()
    };
    let (mut batch, mut rejects) = (engine.decoder().batch(), Vec::new());
    let mixed = lines.join("\n");
    let mut rows = decode::JsonLines::new(mixed.as_bytes(), "mixed".into(), false);
    rows.read(engine.decoder(), usize::MAX, &mut batch, &mut rejects).unwrap();
    let undecoded = rejects.len() as u64;
    assert!(undecoded > 1, "{undecoded}");
    let fields = engine.recipe().schema.fields.iter();
    let mut columns: Vec<_> =
        fields.zip(batch.columns).map(|(f, c)| ((f.name.clone(), c.kind()), c)).collect();
    columns.reverse();
    let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    fs::write(desk.path("mixed.parquet"), parquet::to_bytes(&names, values).unwrap()).unwrap();

    let mut counts = Vec::new();
    for data in ["mixed.jsonl", "mixed.parquet", "many.jsonl"] {
        for end in ["csv", "jsonl", "parquet"] {
            let made: Vec<(Value, Vec<u8>)> = ["--cores 1", "--cores 2", "--cores 3", ""]
                .iter()
                .map(|cores| {
                    let arguments =
                        format!("transform recipe.yaml {data} {keys} {cores} --output f.{end}");
                    let said = desk.json(&arguments, 0)["data"].clone();
                    (said, desk.read(&format!("f.{end}")))
                })
                .collect();
            assert!(made[1..].iter().all(|other| *other == made[0]), "{data} {end}");
            counts.push(
                ["rows", "rejected", "already_applied"]
                    .map(|name| made[0].0[name].as_u64().unwrap()),
            );
        }
    }
    let fitted: HashSet<Vec<u8>> = ["--cores 1", "--cores 2", "--cores 3", ""]
        .iter()
        .map(|cores| {
            desk.good(&format!("fit recipe.yaml mixed.parquet {keys} {cores}"));
            desk.read("state.json")
        })
        .collect();
    assert_eq!(fitted.len(), 1, "fitted states");
    let [rows, rejected, repeats] = counts[0];
    assert_eq!(
        counts[3],
        [rows, rejected - undecoded, repeats],
        "a table holds no line that is no event"
    );
    assert!(rows > 8_900 && repeats > counts[6][2] + 400, "{rows} rows, {repeats} repeats");
    desk.refused(
        &format!("transform recipe.yaml many.jsonl {keys} --cores 0 --output f.csv"),
        &["--cores"],
    );
}

/// The recipe, and the good rows of the events with the coordinates of a stream, checked and protected.
fn checked(desk: &Desk, keys: &Keys) -> (Engine, Batch) {
    let text = |name: &str| String::from_utf8(desk.read(name)).unwrap();
    let (recipe, rules) = (text("recipe.yaml"), text("quality.dqdl"));
    let read = engine::read(Source { file: "recipe.yaml", text: &recipe }).unwrap();
    let rules = Source { file: "quality.dqdl", text: &rules };
    let engine = Engine::new(read, Some(rules), Some(keys.clone())).unwrap();
    let events = desk.read("events.jsonl");
    let lines = events.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let records: Vec<RawRecord<'_>> = lines
        .zip(1..)
        .map(|(data, n): (_, u64)| RawRecord {
            coordinates: Coordinates {
                source: "events".into(),
                shard: "shardId-000000000000".into(),
                position: Position { sequence: Sequence::new(&n.to_string()), sub: 0, line: 0 },
                arrival: Some(1_800_000_000_000),
            },
            data,
            landed: false,
        })
        .collect();
    let checked = engine.check(&records).unwrap();
    let good: Vec<usize> =
        (0..checked.batch.len()).filter(|&row| !engine::fails(&checked.batch.rows[row])).collect();
    (engine, checked.batch.gather(&good))
}

/// Writes `batch` as the unit `unit` in `folder`, a file for each of `buckets`.
async fn publish(
    engine: &Engine,
    batch: &Batch,
    folder: &Folder,
    unit: &str,
    buckets: u32,
    decision: Decision,
) {
    let columns = cleansed::columns(engine.recipe());
    let mut files = Vec::new();
    for bucket in 0..buckets {
        let of_bucket = |&row: &usize| bucket_of(&engine.entity(batch, row), buckets) == bucket;
        let rows: Vec<usize> = (0..batch.len()).filter(of_bucket).collect();
        let values = cleansed::write(engine.recipe(), &batch.gather(&rows));
        let bytes = parquet::to_bytes(&columns, values).unwrap();
        let path = format!("date=2026-01-01/bucket={bucket:02}/unit={unit}/part-0.parquet");
        files.push(UnitFile {
            path: path.clone(),
            rows: rows.len() as u64,
            bytes: bytes.len() as u64,
        });
        folder.put(&path, bytes).await.unwrap();
    }
    let unit = Unit { files, buckets, ..Unit::without_data(unit, decision) };
    unit.publish(folder).await.unwrap();
}

fn blocking<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Lines as Firehose lands them, and the files that `cleanse` makes of them, with the coordinates of a stream.
#[test]
fn landed_and_cleansed_data_are_replayed_in_the_order_of_the_stream() {
    let desk = Desk::new();
    let keys = Keys::from_secret(&SECRET).unwrap();
    let (engine, batch) = checked(&desk, &keys);
    let mut landed = Vec::new();
    for row in (0..batch.len()).rev() {
        encode::landed::line(engine.recipe(), &batch, row, &keys, &mut landed);
    }
    fs::write(desk.path("landed.jsonl"), landed).unwrap();
    let folder = format!("file:{}", desk.path("cleansed").display());
    let folder = Lake::new(&Default::default()).folder(&folder).unwrap();
    for (unit, decision) in [("a", Decision::Published), ("b", Decision::Refused)] {
        blocking(publish(&engine, &batch, &folder, unit, 3, decision));
    }

    let keys = "--keys file:secret --state state.json";
    desk.good(&format!("fit recipe.yaml landed.jsonl --landed {keys}"));
    let transform = |data: &str, output: &str| {
        let arguments = format!("transform recipe.yaml {data} {keys} --output {output}");
        let made = desk.json(&arguments, 0);
        assert_eq!(made["data"]["order"], "stream", "{data}");
        desk.read(output)
    };
    let landed = transform("landed.jsonl --landed", "landed.csv");
    assert!(landed.len() > 100_000);
    assert!(landed == transform("cleansed", "cleansed.csv"));
    // Events of a stream come by the stream.
    let seed = "seed recipe.yaml cleansed --keys file:secret --output items.jsonl";
    desk.refused(seed, &["events of a stream", "seed from files alone"]);
    // Without `--landed`, `_leat` is an ordinary field: the lines have no coordinates, and tokens are protected anew.
    let made = desk.json(&format!("transform recipe.yaml landed.jsonl {keys} --output x.csv"), 0);
    assert_eq!(made["data"]["order"], "event_time");
}

/// A run whose steps are called one by one, and `leat curate` for its features.
#[test]
fn curate_is_transform_over_a_lake() {
    let desk = Desk::new();
    let keys = Keys::from_secret(&SECRET).unwrap();
    let (engine, batch) = checked(&desk, &keys);
    let lake = Lake::new(&Default::default());
    let at = |name: &str| format!("file:{}", desk.path(name).display());
    let folder = lake.folder(&at("cleansed/card-transactions")).unwrap();
    let run_folder = at("artifacts/runs/card-transactions/r-1/");
    // The last three quarters of the time are for evaluation: they are features as `transform` makes them.
    let (shop, job) = blocking(async {
        publish(&engine, &batch, &folder, "a", 4, Decision::Published).await;
        let shop = Workshop::new(lake.clone(), None);
        let run = shop.run(&run_folder).unwrap();
        let wanted = Wanted {
            as_of: leat::timestamp::parse("2030-01-01T00:00:00Z").unwrap(),
            cleansed: &folder,
            engine: &engine,
            recipe_url: &at("recipe.yaml"),
            labels: None,
        };
        Snapshot::make(&run, wanted).await.unwrap().keep(&run).await.unwrap();
        let job = shop.job(&run_folder).await.unwrap();
        for bucket in job.snapshot.numbers() {
            measure(&job, bucket).await.unwrap();
        }
        let criteria = Criteria { evaluation_share: Some(0.75), ..Criteria::default() };
        decide(&job, criteria).await.unwrap();
        (shop, job)
    });
    desk.good("fit recipe.yaml cleansed/card-transactions --keys file:secret --state state.json");
    desk.good(
        "transform recipe.yaml cleansed/card-transactions --keys file:secret --state state.json --output f.csv",
    );
    let curate = "curate --run-folder artifacts/runs/card-transactions/r-1 --state state.json";
    let said = desk.json(&format!("{curate} --slice evaluate"), 0);
    assert_eq!(said["buckets"], 4);
    let rows = said["rows"].as_u64().unwrap();
    assert!(rows > 500, "{rows}");

    let text = String::from_utf8(desk.read("f.csv")).unwrap();
    let header = text.lines().next().unwrap();
    let names: Vec<&str> = header.split(',').collect();
    let known: HashSet<&str> = text.lines().skip(1).collect();
    let mut found = 0;
    for bucket in job.snapshot.numbers() {
        let path = desk.path("curated/card-transactions/run=r-1/name=candidate");
        let file = fs::read(path.join(leat_batch::curate::file(bucket))).unwrap();
        for columns in parquet::Reader::new(bytes::Bytes::from(file), Some(&names)).unwrap() {
            let columns = columns.unwrap();
            for row in 0..columns[0].len() {
                let mut line = Vec::new();
                encode::csv::row(&columns, row, &mut line);
                let line = String::from_utf8(line).unwrap();
                assert!(known.contains(line.trim_end()), "{line}");
                found += 1;
            }
        }
    }
    assert_eq!(found, rows, "every row of the slice is a row of `transform`");

    // All slices, on all cores; then what the function does, bucket by bucket: the same bytes.
    desk.good(curate);
    let files = |folder: &str| {
        let folder = lake.folder(&at(folder)).unwrap();
        blocking(async {
            let mut files = Vec::new();
            for object in folder.list("").await.unwrap() {
                files.push((object.key.clone(), folder.get(&object.key).await.unwrap().unwrap()));
            }
            files
        })
    };
    let before = [files("curated"), files("artifacts")];
    assert!(before[1].iter().any(|(key, _)| key.ends_with("channels/candidate/train/0.csv")));
    blocking(async {
        let (state, curated) = (at("state.json"), at("curated/"));
        let wanted = leat_batch::curate::Wanted {
            name: "candidate",
            state: &state,
            recipe: None,
            slices: &leat_batch::Slice::ALL,
            curated: &curated,
        };
        let bound = leat_batch::curate::bind(&shop, &job, wanted).await.unwrap();
        for bucket in job.snapshot.numbers() {
            leat_batch::curate::bucket(&job, &bound, bucket).await.unwrap();
        }
    });
    assert!([files("curated"), files("artifacts")] == before);

    desk.refused(&format!("{curate} --bucket 9"), &["no bucket 9"]);
    desk.refused("curate --run-folder runs/x --state state.json", &["runs/<recipe>/<run>/"]);
    let other = "artifacts/runs/card-transactions/r-2";
    desk.refused(
        &format!("curate --run-folder {other} --state state.json"),
        &["r-2/snapshot.json does not exist"],
    );
}

#[test]
fn labels_are_a_data_set_of_their_own() {
    let desk = Desk::new();
    for name in ["labels.yaml", "labels.dqdl"] {
        fs::copy(Path::new(RECIPES).join(name), desk.path(name)).unwrap();
    }
    assert_eq!(desk.json("check labels.yaml", 0)["recipe"], "card-transactions-labels");
    desk.good("check labels.dqdl");
    let generate = "generate card-transactions --events 2000 --seed 5";
    desk.good(&format!("{generate} --output bare.jsonl --labels labels.jsonl"));
    desk.good(&format!("{generate} --output again.jsonl --labels labels.csv"));
    assert!(desk.read("bare.jsonl") == desk.read("again.jsonl"));
    let text = |name: &str| String::from_utf8(desk.read(name)).unwrap();
    assert!(!text("bare.jsonl").contains("is_fraud"));
    let labels = "validate labels.dqdl labels.jsonl --recipe labels.yaml";
    let found = desk.json(labels, 0);
    assert_eq!(found["passed"], true);
    assert_eq!(found["rows"].as_u64(), Some(text("labels.jsonl").lines().count() as u64));
    let plain = |line: &str| {
        let label: Value = serde_json::from_str(line).unwrap();
        format!("{},{}\n", label["transaction_id"].as_str().unwrap(), label["is_fraud"])
    };
    let plain: String = text("labels.jsonl").lines().map(plain).collect();
    assert_eq!(text("labels.csv"), format!("transaction_id,is_fraud\n{plain}"));
    // Without labels nothing can be learnt from them, and the step says so.
    let fit = "fit recipe.yaml bare.jsonl --keys file:secret --state state.json";
    desk.refused(fit, &["target_encode", "no row that has a label"]);
}

#[test]
fn a_sentinel_is_dropped_by_its_rule() {
    let desk = Desk::new();
    let mut events = desk.read("events.jsonl");
    events.extend(b"{\"_leat_sentinel\":\"go-1\"}\n{\"_leat_sentinel\":7}\n");
    fs::write(desk.path("marked.jsonl"), events).unwrap();
    let fit = |data: &str| {
        desk.json(&format!("fit recipe.yaml {data} --keys file:secret --state {data}.json"), 0)
    };
    let (plain, marked) = (fit("events.jsonl"), fit("marked.jsonl"));
    assert_eq!(
        (&plain["data"]["dropped_by"], &marked["data"]["dropped_by"]["sentinel"]),
        (&json!({}), &json!(1))
    );
    assert_eq!(plain["state_hash"], marked["state_hash"]);
    let rejected = |found: &Value| found["data"]["rejected"].as_u64().unwrap();
    assert_eq!(rejected(&marked), rejected(&plain) + 1, "the lookalike");
}

#[test]
fn a_row_to_train_on_does_not_see_its_own_label() {
    let desk = Desk::new();
    desk.good("fit recipe.yaml events.jsonl --keys file:secret --state state.json");
    let state: Value = serde_json::from_slice(&desk.read("state.json")).unwrap();
    let columns = state["columns"].as_array().unwrap().iter();
    let flagged: Vec<_> =
        columns.filter(|c| c["out_of_fold"] == true).map(|c| &c["name"]).collect();
    assert_eq!(flagged, ["merchant_fraud"]);
    let transform = "transform recipe.yaml events.jsonl --keys file:secret --state state.json";
    let made = desk.json(&format!("{transform} --output serve.csv"), 0);
    assert_eq!(made["mode"], "serve");
    desk.good(&format!("{transform} --output train.csv --mode train"));
    let table = |name: &str| -> Vec<Vec<String>> {
        let text = String::from_utf8(desk.read(name)).unwrap();
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let (serve, train) = (table("serve.csv"), table("train.csv"));
    let at = serve[0].iter().position(|name| name == "merchant_fraud").unwrap();
    for (a, b) in serve.iter().zip(&train) {
        let differs: Vec<_> = (0..a.len()).filter(|&column| a[column] != b[column]).collect();
        assert!(differs.is_empty() || differs == [at], "{differs:?}");
    }
    assert!(serve != train);
}

#[test]
fn a_seed_is_what_a_replay_leaves_behind() {
    let desk = Desk::new();
    let seed = "seed recipe.yaml events.jsonl --keys file:secret";
    let said = desk.json(&format!("{seed} --output items.jsonl"), 0);
    desk.good(&format!("{seed} --output again.jsonl"));
    assert!(desk.read("items.jsonl") == desk.read("again.jsonl"));
    let items = String::from_utf8(desk.read("items.jsonl")).unwrap();
    assert_eq!(said["entities"].as_u64().unwrap(), items.lines().count() as u64);
    let plan: String = said["state_plan"].as_str().unwrap().chars().take(16).collect();
    for line in items.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (key, bytes) = (&line["Item"]["pk"]["S"], line["Item"]["b"]["B"].as_str().unwrap());
        assert!(key.as_str().unwrap().starts_with(&format!("{plan}#")), "{key}");
        assert_eq!(line["Item"]["v"]["N"], "1");
        let item = Item::decode(&base64_simd::STANDARD.decode_to_vec(bytes).unwrap()).unwrap();
        assert!(item.marks.is_empty() && item.outbox.is_empty());
        assert!(EntityState::decode(&item.windows).unwrap().greatest().is_some());
    }
}

/// A state that is given, and a sparse vector in every format.
#[test]
fn what_is_given_is_sealed() {
    let desk = Desk::new();
    let folder = Path::new(RECIPES).with_file_name("bench-transactions");
    fs::create_dir(desk.path("bench")).unwrap();
    for name in ["recipe.yaml", "quality.dqdl", "given.json"] {
        fs::copy(folder.join(name), desk.path("bench").join(name)).unwrap();
    }
    let sealed = desk.json("seal bench/recipe.yaml --given bench/given.json --state state.json", 0);
    assert_eq!(sealed["features"].as_array().unwrap().len(), 35);
    let event = |id: u32, words: &str| {
        json!({
            "transaction_id": format!("t-{id:08}"), "event_time": format!("2026-03-01T00:00:0{id}Z"), "customer_id": "c-1",
            "merchant_id": "m-1", "amount": 3.5, "currency": "HKD", "channel": "web", "description": words,
        })
    };
    let events = [event(1, "coffee shop"), event(2, "")];
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    fs::write(desk.path("bench.jsonl"), lines).unwrap();
    let transform = "transform bench/recipe.yaml bench.jsonl --state state.json --output";
    for name in ["f.jsonl", "f.csv", "f.parquet"] {
        desk.good(&format!("{transform} {name}"));
    }
    let jsonl = String::from_utf8(desk.read("f.jsonl")).unwrap();
    let words: Vec<String> = jsonl
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["words"].as_str().unwrap().into())
        .collect();
    assert_eq!((words[0].matches(':').count(), words[1].as_str()), (2, ""));
    let csv = String::from_utf8(desk.read("f.csv")).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].ends_with(",words"), "{}", rows[0]);
    assert!(rows[1].ends_with(&format!(",{}", words[0])) && rows[2].ends_with(",\"\""), "{rows:?}");
    let bytes = bytes::Bytes::from(desk.read("f.parquet"));
    let columns = parquet::Reader::new(bytes, Some(&["words"])).unwrap().next().unwrap().unwrap();
    assert_eq!((columns[0].text(0), columns[0].text(1)), (Some(words[0].as_str()), Some("")));
    let again = desk.json("seal bench/recipe.yaml --given bench/given.json --state again.json", 0);
    assert_eq!(again["state_hash"], sealed["state_hash"]);
    fs::write(desk.path("given.json"), "[]").unwrap();
    let seal = "seal bench/recipe.yaml --given given.json --state s.json";
    desk.refused(seal, &["given.json", "step 1 (`impute`) is given nothing"]);
}

#[test]
fn quarantine_is_put_through_the_recipe_as_it_is_now() {
    let desk = Desk::new();
    let events = desk.read("events.jsonl");
    let good: Vec<&[u8]> = events.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()).collect();
    let aside = |line: u64, arrival: Option<i64>, rule: &str, payload: &[u8]| {
        let reject = Reject {
            coordinates: Coordinates {
                source: "events".into(),
                shard: "shardId-000000000000".into(),
                position: Position { sequence: Sequence::new("49"), sub: 0, line },
                arrival,
            },
            reason: Reason { rule: rule.into(), message: "so it was said".into() },
            payload: payload.to_vec(),
        };
        let mut out = Vec::new();
        encode::quarantine::write(&reject, &mut out);
        out
    };
    // 2026-11-22T23:59:59.999Z and the next midnight; the first line stands there twice.
    let (before, midnight) = (1_795_391_999_999, 1_795_392_000_000);
    let lines = [
        aside(0, Some(before), "ColumnValues \"amount\" < 1", good[0]),
        aside(1, Some(midnight), "ColumnValues \"amount\" < 1", good[1]),
        aside(2, Some(midnight), "decode", b"{\"transaction_id\":"),
        aside(3, None, "type", good[2]),
        aside(0, Some(before), "ColumnValues \"amount\" < 1", good[0]),
    ];
    fs::create_dir(desk.path("quarantine")).unwrap();
    fs::write(desk.path("quarantine/a.jsonl"), lines.concat()).unwrap();
    let replay = "replay recipe.yaml quarantine --keys file:secret";

    let all = desk.json(&format!("{replay} --output now.jsonl --refused still.jsonl"), 1);
    let counts = |of: &Value| {
        ["records", "passed", "refused", "repeated", "not_asked_for"]
            .map(|name| of[name].as_u64().unwrap())
    };
    assert_eq!(counts(&all), [4, 3, 1, 1, 0]);
    assert_eq!(all["refused_by"], json!({"decode": 1}));
    assert_eq!(
        all["rules"][0],
        json!({"rule": "ColumnValues \"amount\" < 1", "records": 2, "passed": 2, "refused": 0})
    );
    // The lines are what Firehose would have landed: believed, in their place in the stream.
    let landed = desk.read("now.jsonl");
    assert_eq!(landed.iter().filter(|byte| **byte == b'\n').count(), 3);
    let text = String::from_utf8(landed).unwrap();
    for line in [0, 1, 3] {
        assert!(text.contains(&format!("\"seq\":\"49\",\"sub\":0,\"line\":{line},")), "{text}");
    }
    let fitted =
        desk.json("fit recipe.yaml now.jsonl --landed --keys file:secret --state s.json", 0);
    assert_eq!((&fitted["data"]["rows"], &fitted["data"]["rejected"]), (&json!(3), &json!(0)));
    // What was refused again can be replayed again.
    let again = desk.json("replay recipe.yaml still.jsonl --refused more.jsonl", 1);
    assert_eq!(counts(&again), [1, 0, 1, 0, 0]);
    assert_eq!(desk.read("still.jsonl"), desk.read("more.jsonl"));

    for (asked, expected) in [
        ("--since 2026-11-23", [2, 1, 1, 0, 3]),
        ("--until 2026-11-23T00:00:00Z", [1, 1, 0, 1, 3]),
        ("--rule type --rule decode", [2, 1, 1, 0, 3]),
        ("--rule type", [1, 1, 0, 0, 4]),
    ] {
        let told = desk.json(&format!("{replay} {asked}"), i32::from(expected[2] > 0));
        assert_eq!(counts(&told), expected, "{asked}");
    }
    // Firehose's wrapper has no coordinates: what it holds would stand before the whole stream.
    let wrapped =
        json!({"attemptsMade": 4, "errorCode": "Lambda.FunctionTimedOut", "rawData": "e30="});
    fs::write(desk.path("failed.jsonl"), format!("{wrapped}\n")).unwrap();
    desk.refused(
        "replay recipe.yaml failed.jsonl",
        &["failed.jsonl, line 1", "no line of a quarantine object"],
    );
    desk.refused("replay recipe.yaml quarantine --output o.jsonl", &["--output needs --keys"]);
    desk.refused(&format!("{replay} --rule tipe --output o.jsonl"), &["`tipe`", "`type`"]);
    assert!(!desk.path("o.jsonl").exists());
    desk.refused(&format!("{replay} --since yesterday"), &["no time"]);
    desk.refused("replay recipe.yaml events.jsonl", &["events.jsonl, line 1", "quarantine object"]);
}
