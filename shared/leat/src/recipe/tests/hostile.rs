//! Texts of any kind: refused with words, in time, without a panic.

use super::*;

#[test]
fn texts_that_are_no_recipe() {
    for (text, expected) in [
        ("", "1:1: the recipe is empty"),
        ("# only a comment\n", "1:1: the recipe is empty"),
        (
            "leat",
            "1:1: the recipe is a map of keys; this is the text `leat` (its keys are leat, name, dialect, schema, \
             quality, protect, derive, windows, features, output)",
        ),
    ] {
        assert_eq!(said(text), [expected], "{text}");
    }
}

#[test]
fn hostile_texts_are_refused_in_time() {
    let deep = format!("a: {}", "[".repeat(100_000));
    let dashes = "- ".repeat(100_000);
    let indents: String = (0..400).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let bomb =
        "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b]\n";
    let long = format!("{SMALL}{}", "#".repeat(yaml::MAX_BYTES));
    let many = format!("{SMALL}x: [{}]", "1, ".repeat(30_000));
    let keys: String = (0..30_000).map(|i| format!("k{i}: 1\n")).collect();
    let name = format!("{SMALL}{}: 1", "n".repeat(100_000));
    let unknown: Vec<_> = (0..400).map(|i| format!("unknown{i}")).collect();
    let unknown = unknown.join(",");
    let steps = format!("in: kind}}\n{}", format!("  - {{op: log, in: [{unknown}]}}\n").repeat(30));
    let spans: Vec<_> = (1..500).map(|i| format!("{i}s")).collect();
    let fields: String =
        (0..400).map(|i| format!("    - {{name: {i}{}, type: long}}\n", "n".repeat(90))).collect();
    let names: Vec<_> = (0..400).map(|i| format!("{i}{}", "n".repeat(90))).collect();
    let (spans, names) = (spans.join(","), names.join(","));
    let wide = small("  dedupe:", &format!("{fields}  dedupe:"));
    let wide = wide
        .replace("1h, 24h", &spans)
        .replace("sum: amount", &format!("sum: [{names}], mean: [{names}]"));
    let lost = small("  dedupe:", &format!("{fields}  dedupe:")).replace("in: kind}", &steps);
    assert!(wide.len() < yaml::MAX_BYTES && lost.len() < yaml::MAX_BYTES);
    for text in [&deep, &dashes, &indents, bomb, &long, &many, &keys, &name, &wide, &lost] {
        let errors = check(text).unwrap_err();
        let size: usize = errors
            .iter()
            .map(|e| e.message.len() + e.hint.iter().map(String::len).sum::<usize>())
            .sum();
        assert!(!errors.is_empty() && size < 500_000, "{size}");
        assert!(errors.iter().all(|e| e.message.len() < 400));
    }
}

#[test]
fn a_long_name_is_cut_in_messages() {
    let text = small("in: kind", &format!("in: {}", "k".repeat(199)));
    assert_eq!(said(&text).len(), 1);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = check(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = check(&String::from_utf8_lossy(&bytes));
    }

    /// Lines of the example taken out, doubled, swapped, cut and sprinkled with signs of YAML.
    #[test]
    fn mutants_of_the_example_are_read_or_refused(
        cuts in proptest::collection::vec((0usize..4000, 0usize..30, 0usize..14), 1..6),
    ) {
        let mut text = EXAMPLE.to_owned();
        for (at, len, sign) in cuts {
            let start = (0..=at % (text.len() + 1)).rev().find(|i| text.is_char_boundary(*i)).unwrap();
            let end = (start..=text.len()).find(|i| *i >= (start + len).min(text.len()) && text.is_char_boundary(*i));
            let signs = ["", ":", "-", "{", "}", "[", "]", "*a", "&a ", "'", "\n", "\t", "null", "é"];
            text.replace_range(start..end.unwrap(), signs[sign]);
        }
        let lines = text.lines().count() + 1;
        if let Err(errors) = read("r.yaml", &text, &crate::features::specs()) {
            for error in errors {
                assert!((1..=lines).contains(&error.line) && error.column >= 1, "{error}\n{text}");
                let _ = error.render(&text);
            }
        }
    }

    /// What is read can be planned: nothing is left for later to find.
    #[test]
    fn what_is_read_can_be_planned(expression in "(amount|age|ratio|kind|1|'a'| |\\+|/|=|and|\\(|\\)){1,12}") {
        let text = small("ratio * 2", &format!("'{}'", expression.replace('\'', "''")));
        if let Ok(recipe) = check(&text) {
            assert!(plan(&recipe, None).is_ok());
        }
    }
}
