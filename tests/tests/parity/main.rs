//! The parity table: one corpus, a column for each path, every feature of every event equal to the bit.
//!
//! Each path is made by the built artefacts, each in its own process. A missing event or one differing bit is red.
//! The whole is done twice: as the processor is, and with its FMA and AVX2 switched off.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is a test"
)]

mod corpus;
mod paths;
mod workers;

use std::path::Path;

use leat::protect::Keys;
use leat_tests::artefacts;
use paths::{Cells, Run};

const SECRET: &str = "a secret for tests alone, of forty-nine characters";

/// How two paths differ: events that one lacks, and values that are not the same.
fn differences(a: &Cells, b: &Cells) -> usize {
    let lacking = a.keys().filter(|id| !b.contains_key(*id)).count()
        + b.keys().filter(|id| !a.contains_key(*id)).count();
    let values: usize = a
        .iter()
        .filter_map(|(id, x)| b.get(id).map(|y| (x, y)))
        .map(|(x, y)| {
            let common = x.iter().filter(|(name, value)| y.get(*name) != Some(value)).count();
            common + y.keys().filter(|name| !x.contains_key(*name)).count()
        })
        .sum();
    lacking + values
}

/// The first few differences, for people.
fn show(name: &str, a: &Cells, b: &Cells) {
    let mut shown = 0;
    for (id, x) in a {
        let Some(y) = b.get(id) else {
            println!("  {name}: {id} is missing");
            shown += 1;
            continue;
        };
        for (column, value) in x {
            if y.get(column) != Some(value) && shown < 20 {
                println!("  {name}: {id} {column}: {value} against {:?}", y.get(column));
                shown += 1;
            }
        }
        if shown >= 20 {
            return;
        }
    }
    b.keys()
        .filter(|id| !a.contains_key(*id))
        .take(5)
        .for_each(|id| println!("  {name}: {id} is extra"));
}

/// What a path made, and what it has to be if that is not what the command line made.
struct Column {
    path: &'static str,
    cells: Cells,
    expected: Option<Cells>,
}

fn run(
    folder: &Path,
    variables: Vec<(&'static str, &'static str)>,
    dice: u64,
) -> (Run, Vec<Column>) {
    std::fs::create_dir_all(folder.join("recipe")).unwrap();
    for file in ["recipe.yaml", "quality.dqdl"] {
        let from = artefacts::root().join("recipes/card-transactions").join(file);
        std::fs::copy(from, folder.join("recipe").join(file)).unwrap();
    }
    std::fs::write(folder.join("secret"), SECRET).unwrap();
    let corpus = corpus::make(folder, &Keys::from_secret(SECRET.as_bytes()).unwrap());
    assert!(corpus.lines >= 2000, "the corpus has only {} lines", corpus.lines);
    let run = Run { folder: folder.to_owned(), variables, dice };
    run.fit(&corpus);
    let file = folder.join("corpus.jsonl");
    let serve = run.command_line(&file, "command_line.jsonl");
    let train = run.transform(&file, "train.jsonl", "train");
    assert!(differences(&serve, &train) > 0, "no feature is out of fold");
    let (stream, lake) = (run.stream(&corpus), run.lake(&corpus, false));
    let workers = [
        ("feature-transform, a call for each bucket", run.workers()),
        ("leat curate, as Processing runs it", run.processing()),
        ("features on Glue (Spark + wheel)", run.glue()),
    ];
    let workers = workers.map(|(path, made)| {
        let expected = Some(made.expected(&serve, &train));
        Column { path, cells: made.cells, expected }
    });
    let serving =
        [("command line", serve), ("kinesis-features", stream), ("Firehose + Spark cleanse", lake)];
    let serving = serving.map(|(path, cells)| Column { path, cells, expected: None });
    let columns = serving.into_iter().chain(workers).collect();
    (run, columns)
}

#[test]
fn every_path_gives_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    let (path, columns) = run(&plain, Vec::new(), 1);
    let old = folder.path().join("old");
    let without = [("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-FMA,-FMA_Usable")];
    let (_, more) = run(&old, without.to_vec(), 2);

    let reference = &columns[0].cells;
    let width = reference.values().next().map_or(0, |row| row.len());
    println!("\n  {:<58} {:>7} {:>9} {:>12}", "path", "events", "values", "differences");
    let mut red = 0;
    let all = columns
        .iter()
        .map(|column| (column.path.to_owned(), column))
        .chain(more.iter().map(|column| (format!("{}, no FMA, no AVX2", column.path), column)));
    for (name, Column { cells, expected, .. }) in all {
        let expected = expected.as_ref().unwrap_or(reference);
        let differences = differences(expected, cells);
        println!("  {name:<58} {:>7} {:>9} {differences:>12}", cells.len(), cells.len() * width);
        if differences > 0 {
            show(&name, expected, cells);
        }
        red += differences;
    }
    assert!(reference.len() > 2000, "only {} events came through", reference.len());
    assert!(width > 10, "only {width} features");

    // The table can turn red: one unit in the last place of one value of one path.
    let corpus = corpus::make(&plain, &Keys::from_secret(SECRET.as_bytes()).unwrap());
    let mutant = path.lake(&corpus, true);
    let found = differences(reference, &mutant);
    println!(
        "  {:<58} {:>7} {:>9} {found:>12}\n",
        "mutant: one ulp in one amount",
        mutant.len(),
        mutant.len() * width
    );
    assert!(found > 0, "one ulp in one path was not seen");
    assert_eq!(red, 0, "the paths differ");
}
