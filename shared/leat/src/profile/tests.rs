use proptest::prelude::*;

use super::*;
use crate::column::{Bits, Values};

fn columns() -> Vec<(String, Type)> {
    let named = |(name, kind): (&str, Type)| (name.to_owned(), kind);
    [
        ("amount", Type::Double),
        ("age", Type::Long),
        ("channel", Type::String),
        ("at", Type::Timestamp),
        ("ok", Type::Bool),
    ]
    .map(named)
    .to_vec()
}

/// A row of nulls and of values that random numbers give.
type Row = (Option<f64>, Option<i64>, Option<String>, Option<i64>, Option<bool>);

fn batch(rows: &[Row]) -> Vec<Column> {
    let valid: Bits = rows.iter().map(|row| row.4.is_some()).collect();
    let bools: Bits = rows.iter().map(|row| row.4.unwrap_or_default()).collect();
    let mut times = Column::new(Type::Timestamp);
    rows.iter().for_each(|row| times.push(row.3.map_or(Value::Null, Value::Timestamp)));
    vec![
        Column::doubles(rows.iter().map(|row| row.0)),
        Column::longs(rows.iter().map(|row| row.1)),
        Column::strings(rows.iter().map(|row| row.2.as_deref())),
        times,
        Column::from_parts(Values::Bool(bools), valid).unwrap(),
    ]
}

fn profile(rows: &[Row]) -> Profile {
    let mut profile = Profile::new(&columns());
    profile.update(&batch(rows), rows.len());
    profile
}

use crate::column::Value;

#[test]
fn summaries() {
    let row = |amount: f64, channel: &str, at: i64, ok: bool| {
        (Some(amount), None, Some(channel.to_owned()), Some(at), Some(ok))
    };
    let rows = [
        row(1.5, "web", 0, true),
        row(-2.5, "pos", 1_000_000, true),
        row(4.0, "web", 2_000_000, false),
        (None, Some(7), None, None, None),
    ];
    let found = profile(&rows).finish(|_| false);
    let [amount, age, channel, at, ok] = &found[..] else { panic!("{found:?}") };
    assert_eq!((amount.rows, amount.nulls, amount.distinct, amount.unique), (4, 1, 3.0, true));
    assert_eq!((amount.min.clone(), amount.mean), (Some(serde_json::json!(-2.5)), Some(1.0)));
    assert_eq!(amount.std, Some((21.5f64 / 3.0).sqrt()));
    assert_eq!(amount.signs, [("negative", 1)].into());
    assert_eq!(amount.quantiles["p50"], 1.5);
    assert_eq!((age.min.clone(), age.nulls), (Some(serde_json::json!(7)), 3));
    let top: Vec<_> = channel.top.iter().map(|top| (top.value.as_str(), top.count)).collect();
    assert_eq!(top, [("web", 2), ("pos", 1)]);
    assert_eq!(channel.patterns[0].value, "a{3}");
    assert!(!channel.unique && channel.readings.is_empty());
    assert_eq!(at.max, Some(serde_json::json!("1970-01-01T00:00:02Z")));
    assert_eq!((at.mean, ok.top[0].value.as_str()), (None, "true"));
}

#[test]
fn personal_values_are_not_shown() {
    let rows: Vec<Row> = ["ann@example.com", "bob@example.com", "x"]
        .iter()
        .cycle()
        .take(30)
        .enumerate()
        .map(|(i, text)| {
            let text = if i < 27 { text.replace('x', "yy") } else { (*text).to_owned() };
            (Some(1.0), Some(4_111_111_111_111_111), Some(text.replace("yy@", "x@")), None, None)
        })
        .collect();
    let shown = |hides: &str| {
        let summaries = profile(&rows).finish(|name| name == hides);
        serde_json::to_value(summaries).unwrap()
    };
    // A third of the texts is no address: the column is not told to be one.
    assert_eq!(shown("")[2]["personal"], serde_json::Value::Null);
    assert!(shown("")[2]["top"].to_string().contains("ann@"));
    assert!(!shown("channel")[2].to_string().contains("ann@"));
    let ages = shown("")[1].to_string();
    assert!(ages.contains("card_number") && !ages.contains("411111"), "{ages}");
}

#[test]
fn what_a_name_says_of_numbers() {
    let told = |values: [i64; 2]| {
        let mut profile = Profile::new(&[("phone".to_owned(), Type::Long)]);
        profile.update(&[Column::longs(values.map(Some))], 2);
        profile.columns()[0].personal()
    };
    assert_eq!(told([0, 1]), None);
    assert_eq!(told([5_550_100, 5_550_101]), Some((Personal::Phone, None)));
}

#[test]
fn profiles_of_other_columns_do_not_merge() {
    let mut one = Profile::new(&columns());
    assert_eq!(one.merge(&Profile::new(&columns()[..2])), Err(OtherColumns));
    let mut other = columns();
    other[0].1 = Type::Long;
    assert_eq!(one.merge(&Profile::new(&other)), Err(OtherColumns));
}

#[test]
fn a_column_that_is_not_there_is_null() {
    let mut profile = Profile::new(&columns());
    profile.update(&[], 3);
    profile.update(&[Column::longs([Some(1)])], 1);
    assert!(profile.columns().iter().all(|column| column.nulls == 4));
    assert_eq!(profile.finish(|_| false).len(), 5);
}

#[test]
fn above_the_bound_top_values_are_those_of_a_sample() {
    let rows: Vec<Row> = (0..70_000)
        .map(|i| (None, Some(i), None, None, None))
        .chain([(None, Some(1), None, None, None)])
        .collect();
    let whole = profile(&rows);
    let age = whole.column("age").unwrap();
    let (top, exact) = age.top();
    assert!(!exact && top.len() <= 1 << 16 && top.len() > 30_000, "{}", top.len());
    assert_eq!(age.distinct(), (70_000.0, true));
    let mut merged = profile(&rows[..20_000]);
    merged.merge(&profile(&rows[20_000..])).unwrap();
    assert!(merged == whole);
    assert_eq!(serde_json::to_string(&merged).unwrap(), serde_json::to_string(&whole).unwrap());
}

fn row() -> impl Strategy<Value = Row> {
    let double = prop_oneof![any::<f64>(), (-3..3i64).prop_map(|x| x as f64 / 2.0)];
    let text = prop_oneof!["[a-c]{0,2}", "\\PC{0,6}", Just("4111111111111111".to_owned())];
    (
        proptest::option::of(double),
        proptest::option::of(prop_oneof![any::<i64>(), 0..4i64]),
        proptest::option::of(text),
        proptest::option::of(-1_000_000..1_000_000i64),
        proptest::option::of(any::<bool>()),
    )
}

proptest! {
    #[test]
    fn parts_merge_into_the_whole(
        rows in prop::collection::vec(row(), 0..40), cuts in prop::collection::vec(0usize..40, 0..4), turn in 0usize..5,
    ) {
        let whole = profile(&rows);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| *cut.min(&rows.len())).collect();
        ends.extend([0, rows.len()]);
        ends.sort_unstable();
        let mut parts: Vec<Profile> = ends.windows(2).map(|w| profile(&rows[w[0]..w[1]])).collect();
        let turns = turn % parts.len();
        parts.rotate_left(turns);
        let mut merged = Profile::new(&columns());
        for part in &parts {
            // As it travels.
            let text = serde_json::to_string(part).unwrap();
            merged.merge(&serde_json::from_str(&text).unwrap()).unwrap();
        }
        prop_assert_eq!(serde_json::to_string(&merged).unwrap(), serde_json::to_string(&whole).unwrap());
        prop_assert_eq!(
            serde_json::to_string(&merged.finish(|_| false)).unwrap(),
            serde_json::to_string(&whole.finish(|_| false)).unwrap()
        );
        prop_assert!(merged == whole);
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values(
        values in prop::collection::vec(-100.0..100.0f64, 1..40), shares in prop::collection::vec(0.0..=1.0f64, 1..6),
    ) {
        let mut shares = shares;
        shares.sort_by(f64::total_cmp);
        let mut numbers = Numbers::default();
        values.iter().for_each(|x| numbers.add(*x));
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for (share, found) in shares.iter().zip(numbers.quantiles(&shares)) {
            let place = (sorted.len() - 1) as f64 * share;
            let (low, high) = (sorted[place as usize], sorted[(place as usize + 1).min(sorted.len() - 1)]);
            let expected = low + (high - low) * (place - place.floor());
            prop_assert!((found - expected).abs() < 1e-9, "{} {} {}", share, found, expected);
        }
    }
}
