//! What a recipe comes to: its hash, its state plan, its columns.

use super::*;

#[test]
fn the_hash_is_of_what_is_meant() {
    let hash = |text: &str| good(text).hash(None);
    let same = [
        small("name: small", "name:   'small'  # a comment"),
        small("{name: id, type: string, role: id}", "{role: id, type: string, name: id}"),
        small("{op: one_hot, in: kind}", "{in: [kind], op: one_hot}"),
        small("output:\n  features: all\n", ""),
        small("sum: amount, count: \"*\"", "count: \"*\", sum: [amount]"),
    ];
    for text in same {
        assert_eq!(hash(&text), hash(SMALL), "{text}");
    }
    let other = [
        small("name: small", "name: smaller"),
        small("ratio * 2", "ratio * 3"),
        small("1h, 24h", "24h, 1h"),
        small("features: all", "features: ['*']"),
    ];
    for text in other {
        assert_ne!(hash(&text), hash(SMALL), "{text}");
    }
    let recipe = good(SMALL);
    assert_eq!(recipe.hash(None).len(), 64);
    assert_ne!(recipe.hash(None), recipe.hash(Some("Rules = [ ]")));
    // Pinned: what it is a part of lies in stores. It may change only with a version.
    assert_eq!(recipe.hash(None)[..16], *"958b1f394fec952e");
}

#[test]
fn the_state_plan_is_of_what_decides_state() {
    let state_plan = |text: &str| plan(&good(text), None).unwrap().state_plan;
    let over_derived = small("sum: amount", "sum: twice");
    let same = [
        (SMALL.to_owned(), small("op: one_hot, in: kind", "op: log, in: age")),
        (SMALL.to_owned(), small("ratio * 2", "ratio * 3")),
        (SMALL.to_owned(), small("name: small", "name: other")),
        (over_derived.clone(), over_derived.replace("  twice:", "  beside: age + 1\n  twice:")),
    ];
    for (a, b) in same {
        assert_eq!(state_plan(&a), state_plan(&b), "{b}");
    }
    let other = [
        (SMALL.to_owned(), small("24h", "23h")),
        (SMALL.to_owned(), small("within: 1h", "within: 2h")),
        (SMALL.to_owned(), small("method: tokenize", "method: drop")),
        (SMALL.to_owned(), small("type: double", "type: long")),
        (over_derived.clone(), over_derived.replace("ratio * 2", "ratio * 3")),
        // A derived column that another one reads, which a window reads.
        (over_derived.clone(), over_derived.replace("nullif(age, 0)", "nullif(age, 1)")),
    ];
    for (a, b) in other {
        assert_ne!(state_plan(&a), state_plan(&b), "{b}");
    }
    let recipe = good(SMALL);
    let with = |rules| plan(&recipe, rules).unwrap().state_plan;
    assert_ne!(with(None), with(Some("Rules = [ ]")));
    assert_eq!(with(None)[..16], *"f2c722c47289566a");
}

#[test]
fn the_plan_has_columns_by_slot() {
    let plan = plan(&good(SMALL), None).unwrap();
    let columns: Vec<_> =
        plan.columns.iter().map(|c| (c.name.as_str(), c.kind, c.origin)).collect();
    assert_eq!(columns[3], ("card", Type::String, Origin::Field));
    assert_eq!(columns[8], ("ratio", Type::Double, Origin::Derive));
    assert_eq!(
        columns[10..],
        [
            ("count_1h", Type::Long, Origin::Window),
            ("amount_sum_1h", Type::Double, Origin::Window),
            ("count_24h", Type::Long, Origin::Window),
            ("amount_sum_24h", Type::Double, Origin::Window),
        ]
    );
    assert_eq!(plan.derives[1].reads(), [plan.slot("ratio").unwrap()]);
    assert_eq!(plan.levels, [1, 2, 1]);
    assert_eq!(plan.slot("nothing"), None);
}
