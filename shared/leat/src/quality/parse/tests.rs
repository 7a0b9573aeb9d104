//! What is read, what is refused and where, and that no text does harm.

use proptest::prelude::*;

use super::parse;
use crate::quality::tree::{Condition, Rule};

/// The canonical text of `text`, which must read back to the same tree.
fn canonical(text: &str) -> String {
    let ruleset = match parse("t", text) {
        Ok(ruleset) => ruleset,
        Err(errors) => panic!("{text}: {errors:?}"),
    };
    let printed = ruleset.to_string();
    assert_eq!(parse("t", &printed).as_ref(), Ok(&ruleset), "{printed}");
    printed
}

/// The canonical text of the one rule `rule`.
fn rule(rule: &str) -> String {
    let text = canonical(&format!("Rules = [ {rule} ]"));
    text["Rules = [\n    ".len()..text.len() - "\n]\n".len()].to_owned()
}

#[test]
fn rules() {
    for (written, printed) in [
        ("RowCount > 0", "RowCount > 0"),
        ("( RowCount>0 )", "RowCount > 0"),
        ("IsComplete of col_1", "IsComplete \"col_1\""),
        (
            "ColumnCorrelation OF a AND \"b c\" between 0.4 AND -0.8",
            "ColumnCorrelation \"a\" \"b c\" between 0.4 and -0.8",
        ),
        ("RowCount not in [1,2 , 3]", "RowCount not in [1, 2, 3]"),
        ("RowCount = null", "RowCount = NULL"),
        ("RowCount > 2 + 3*2", "RowCount > 2 + 3 * 2"),
        ("RowCount > 10 -3", "RowCount > 10 - 3"),
        ("RowCount > 10 - -3", "RowCount > 10 - -3"),
        (
            "RowCount between (0.9*avg(last(10))) and 1.1 * avg( last( ) )",
            "RowCount between (0.9 * avg(last(10))) and 1.1 * avg(last())",
        ),
        ("ColumnValues c != \"a\\\"b\"", "ColumnValues \"c\" != \"a\\\"b\""),
        (
            "ColumnValues c matches \"\\d{3}\\\\\\\\\"",
            "ColumnValues \"c\" matches \"\\d{3}\\\\\\\\\"",
        ),
        (
            "ColumnValues c in [\"a\", null, empty, whitespaces_only]",
            "ColumnValues \"c\" in [\"a\", NULL, EMPTY, WHITESPACES_ONLY]",
        ),
        ("ColumnValues c = \"2024-13-45\"", "ColumnValues \"c\" = \"2024-13-45\""),
        ("ColumnValues c > \"2024-02-29\"", "ColumnValues \"c\" > \"2024-02-29\""),
        (
            "ColumnValues c between \"9:30 AM\" and \"21:45\"",
            "ColumnValues \"c\" between \"9:30 AM\" and \"21:45\"",
        ),
        (
            "ColumnValues c in [now( ),(now()-3 days), \"2024-01-01\"]",
            "ColumnValues \"c\" in [now(), (now() - 3 days), \"2024-01-01\"]",
        ),
        ("DataFreshness c in [3 days, 4 hours]", "DataFreshness \"c\" in [3 days, 4 hours]"),
        ("FileSize > 2", "FileSize > 2 B"),
        ("FileSize in [3 KB, 4]", "FileSize in [3 KB, 4 B]"),
        ("FileMatch \"a\" \"b\" with note = 1", "FileMatch \"a\" \"b\" with note = \"1\""),
        (
            "ColumnValues c > 1 where \"d > 1\" labels=[\"k\"=\"\"] with a = \"b\" with threshold>0.9",
            "ColumnValues \"c\" > 1 where \"d > 1\" labels = [\"k\" = \"\"] with threshold > 0.9 with a = \"b\"",
        ),
        // AND binds tighter, left to right; a parenthesis keeps its own node.
        (
            "RowCount > 1 or RowCount > 2 and RowCount > 3 AND RowCount > 4",
            "(RowCount > 1) OR ((RowCount > 2) AND (RowCount > 3) AND (RowCount > 4))",
        ),
        (
            "(RowCount > 1 or RowCount > 2) and IsComplete a and IsComplete b",
            "((RowCount > 1) OR (RowCount > 2)) AND (IsComplete \"a\") AND (IsComplete \"b\")",
        ),
        ("((RowCount > 1)) labels=[\"a\"=\"b\"]", "RowCount > 1 labels = [\"a\" = \"b\"]"),
        (
            "((RowCount > 1 AND RowCount > 2) labels=[\"a\"=\"b\"] OR RowCount > 3) labels=[\"c\"=\"d\"]",
            "(((RowCount > 1) AND (RowCount > 2)) labels = [\"a\" = \"b\"] OR (RowCount > 3)) labels = [\"c\" = \"d\"]",
        ),
    ] {
        assert_eq!(rule(written), printed, "{written}");
    }
}

#[test]
fn documents() {
    let written = "# a comment\r\nMetadata={\"Version\":\"1.0\"}DataSources={\"Primary\":\"a\",\
        \"AdditionalDataSources\":[\"b\",\"c\"]}\r\nlist=[\"x\",NULL] one=\"y\\\"\"\nDefaultLabels=[\"k\"=\"v\"]\
        Rules=[ColumnValues c in $list,ColumnValues $one=$one]Analyzers=[RowCount,Completeness of c]#end";
    let printed = r#"Metadata = {
    "Version": "1.0"
}

DataSources = {
    "Primary": "a",
    "AdditionalDataSources": ["b", "c"]
}

list = ["x", NULL]
one = "y\""

DefaultLabels = ["k" = "v"]

Rules = [
    ColumnValues "c" in $list,
    ColumnValues $one = $one
]

Analyzers = [
    RowCount,
    Completeness "c"
]
"#;
    assert_eq!(canonical(written), printed);
    assert_eq!(
        canonical("Rules = [] Analyzers = [ RowCount ]"),
        "Analyzers = [\n    RowCount\n]\n"
    );
}

#[test]
fn the_hash_is_of_the_meaning() {
    let hash = |text| parse("t", text).unwrap().hash();
    let one = hash("Rules = [ RowCount > 0, IsComplete \"a\" ]");
    assert_eq!(one, hash("# why\nRules=[RowCount>0,(IsComplete of a)]"));
    assert_ne!(one, hash("Rules = [ IsComplete \"a\", RowCount > 0 ]"));
    assert_eq!(one.len(), 64);
}

#[test]
fn labels_of_a_rule() {
    let text =
        "DefaultLabels = [\"a\"=\"1\", \"b\"=\"2\"] Rules = [ RowCount > 0 labels=[\"a\"=\"3\"] ]";
    let ruleset = parse("t", text).unwrap();
    let labels = ruleset.labels(&ruleset.rules[0]);
    assert_eq!(
        labels.into_iter().collect::<Vec<_>>(),
        [("a".into(), "3".into()), ("b".into(), "2".into())]
    );
}

/// The errors of `text` as `line:column message (hint)`.
fn errors(text: &str) -> Vec<String> {
    let errors = parse("t", text).expect_err(text);
    errors.iter().map(|error| error.to_string()["t:".len()..].to_owned()).collect()
}

#[test]
fn what_is_wrong_with_a_rule() {
    for (rule, expected) in [
        ("IsComplet \"a\"", "no rule type is named `IsComplet` (the nearest is `IsComplete`)"),
        ("Zzz \"a\"", "no rule type is named `Zzz`"),
        ("IsComplete", "`IsComplete` does not take 0 parameters (write `IsComplete \"column\"`)"),
        ("IsComplete \"\"", "`IsComplete` names an empty column"),
        ("IsComplete \"a\" > 0.5", "`IsComplete` takes no condition, found a number condition"),
        (
            "Completeness \"a\"",
            "`Completeness` takes a number condition (`> 0.9`), found no condition",
        ),
        ("Completeness \"a\" = \"1.0\"", "found a text condition"),
        ("RowCount > $n", "no variable is named `n`"),
        ("RowCount > 1 where \"a > 1\" where \"b\"", "`where` stands too late"),
        ("RowCount > 1 labels=[\"a\"=\"b\"] where \"b\"", "`where` stands too late"),
        ("ColumnCount > 1 where \"a > 1\"", "`ColumnCount` takes no `where`"),
        ("RowCount > 1 where \" \"", "`where` has an empty predicate"),
        ("RowCount > 1 with threshold > 1", "`RowCount` takes no `threshold`"),
        (
            "ColumnValues a > 1 with threshold > 1 with threshold > 2",
            "the tag `threshold` stands twice",
        ),
        ("ColumnValues a > 1 with threshold", "found `]`, expected a number condition"),
        ("ColumnValues a > 1 with threshold = \"a\"", "`threshold` takes a number condition"),
        ("ColumnValues a > 1 with", "found `]`, expected a tag"),
        ("ColumnValues a > 1 with note != \"b\"", "the tag `note` takes `=` and a value"),
        ("ColumnValues a > 1 with \"note\" = \"b\"", "expected a tag"),
        (
            "FileFreshness > \"09:30\" with timeZone = \"America/New_Chicago\"",
            "no time zone is named",
        ),
        ("ColumnValues a matches", "found `]`, expected a regular expression in quotes"),
        ("ColumnValues a matches \"[a\"", "does not compile: unclosed character class"),
        ("ColumnNamesMatchPattern \"[a\"", "does not compile"),
        ("ColumnValues a in []", "expected a value"),
        ("ColumnValues a in [1, \"2\"]", "found a text, expected a number like the other values"),
        ("ColumnValues a in $b", "no variable is named `b`"),
        ("ColumnValues a in b", "found `b`, expected a list"),
        ("ColumnValues a > \"b\"", "\"b\" is no date"),
        ("ColumnValues a > \"2024-02-30\"", "\"2024-02-30\" is not in the calendar"),
        ("ColumnValues a > \"25:00\"", "is no date"),
        ("ColumnValues a > now() + 1 hours", "found `+`, expected `,` and another rule, or `]`"),
        ("ColumnValues a > (now() 3 days)", "found `3`, expected `+` or `-` and a duration"),
        ("ColumnValues a > (now() - 1)", "found `)`, expected `days`, `hours` or `minutes`"),
        ("ColumnValues a > (now() - 3 weeks)", "`weeks` is no unit"),
        ("ColumnValues a > (now() - 3 KB)", "a date is shifted by days, hours or minutes"),
        ("ColumnValues a > (now() - 1.5 days)", "`1.5` is no whole number"),
        ("ColumnValues a between 1 or 2", "found `or`, expected `and` with the upper end"),
        (
            "DataFreshness a <= 3",
            "`DataFreshness` takes a duration condition (`<= 3 days`), found a number",
        ),
        ("DataFreshness a <= 3 day", "`day` is no unit"),
        ("DataFreshness a between 2 and 4 days", "found a duration"),
        ("FileSize > 1.5", "`1.5` is no whole number of bytes"),
        ("FileSize > 99999999999999999999 KB", "is no whole number up to 10^12"),
        ("RowCount > 1e5", "`1e5` is no number of DQDL"),
        ("RowCount > .5", "`.5` is no number of DQDL"),
        ("RowCount > 5.", "`5.` is no number of DQDL"),
        ("RowCount > +5", "found `+`, expected a value"),
        ("RowCount > - 5", "expected digits right after the sign `-`"),
        ("RowCount >", "found `]`, expected a value"),
        ("RowCount not 3", "expected `between`, `in` or `matches`"),
        ("RowCount Between 1 and 3", "`Between` is no word of DQDL (write `between`)"),
        (
            "RowCount > 1 Or RowCount > 2",
            "found `Or`, expected `,` and another rule, or `]` (it is written `or`)",
        ),
        ("AllStatistics \"a\"", "`AllStatistics` stands under `Analyzers` only"),
        ("IsComplete \"a\" labels=[]", "expected a label's key in quotes"),
        ("IsComplete \"a\" labels=[k=\"v\"]", "expected a label's key in quotes"),
        ("IsComplete \"a\" labels=[\"k\"=\"v\", \"k\"=\"w\"]", "the label `k` stands twice"),
        ("IsComplete \"a\" labels=[\"\"=\"v\"]", "a label's key has 1 to 128 characters"),
        ("(RowCount > 0", "found `]`, expected AND, OR or `)`"),
        ("RowCount > 0)", "found `)`, expected `,` and another rule, or `]`"),
        ("RowCount > 0 AND", "found `]`, expected a rule"),
        ("RowCount > 0,", "no rule follows this comma"),
        ("ColumnValues 'a' > 0", "found `'`, expected"),
        ("ColumnValues \"a > 0", "this text has no closing quote"),
        ("Uniqueness $v > 0", "no variable is named `v`"),
    ] {
        let found = errors(&format!("Rules = [ {rule} ]"));
        assert!(found[0].contains(expected), "{rule}\n{found:?}");
    }
}

#[test]
fn what_is_wrong_with_a_document() {
    for (text, expected) in [
        ("", "1:1: there is no rule and no analyzer"),
        ("Rules = []", "1:11: there is no rule and no analyzer"),
        ("Rules = [", "1:10: found the end of the document, expected a rule"),
        ("Rules [ RowCount > 0 ]", "1:7: found `[`, expected `=`"),
        (
            "rules = [ RowCount > 0 ]",
            "1:11: found `RowCount`, expected a text in quotes, NULL, EMPTY or WHITESPACES_ONLY (is `rules` the section `Rules`?)",
        ),
        ("Rules = [ RowCount > 0 ] ]", "1:26: found `]`, expected"),
        ("Rules = [ RowCount > 0 ] Rules = [ RowCount > 1 ]", "1:26: `Rules` stands twice"),
        ("Rules = [ RowCount > 0 ] a = \"b\"", "1:26: a variable must stand before `Rules`"),
        (
            "Analyzers = [ RowCount ] Rules = [ RowCount > 0 ]",
            "`Rules` must stand before `Analyzers`",
        ),
        ("Analyzers = [ IsComplete a ]", "`IsComplete` gives no value, so it is no analyzer"),
        ("Analyzers = [ RowCount > 0 ]", "the analyzer `RowCount` takes no condition"),
        (
            "Analyzers = [ RowCount labels=[\"a\"=\"b\"] ]",
            "the analyzer `RowCount` takes parameters only",
        ),
        ("Metadata = {} Rules = [ RowCount > 0 ]", "expected a key in quotes"),
        ("Metadata = {\"V\": \"1\"} Rules = [ RowCount > 0 ]", "`Metadata` has no key `V`"),
        ("Metadata = {\"Version\": [\"1\"]} Rules = [ RowCount > 0 ]", "`Version` takes one text"),
        (
            "DataSources = {\"Primary\": [\"1\"]} Rules = [ RowCount > 0 ]",
            "`Primary` takes one text",
        ),
        (
            "DataSources = {\"AdditionalDataSources\": \"1\"} Rules = [ RowCount > 0 ]",
            "takes a list of texts",
        ),
        ("a = 1\nRules = [ RowCount > 0 ]", "1:5: found `1`, expected a text in quotes"),
        ("_a = \"1\"\nRules = [ RowCount > 0 ]", "1:1: the variable `_a` begins with `.` or `_`"),
        ("in = \"1\"\nRules = [ RowCount > 0 ]", "1:1: `in` is a word of DQDL"),
        (
            "a = \"1\" a = \"2\"\nRules = [ RowCount > 0 ]",
            "1:9: the variable `a` is declared twice",
        ),
        (
            "a = \"1\" b = \"x $a\"\nRules = [ RowCount > 0 ]",
            "1:13: a variable's value refers to the variable `a`",
        ),
        ("a = $b\nRules = [ RowCount > 0 ]", "1:5: a variable's value refers to no other variable"),
        ("a = [\"b\"] Rules = [ Mean $a > 0 ]", "1:26: the variable `a` is not one text"),
        ("a = [\"b\"] Rules = [ ColumnValues c = $a ]", "the variable `a` is a list"),
        (
            "a = \"b\" Rules = [ ColumnValues c in $a ]",
            "the variable `a` is one value, `in` takes a list",
        ),
        (
            "abc = \"b\" Rules = [ Mean $abd > 0 ]",
            "no variable is named `abd` (the nearest is `abc`)",
        ),
        (
            "DefaultLabels=[\"a\"=\"b\",\"a\"=\"c\"] Rules = [ RowCount > 0 ]",
            "the label `a` stands twice",
        ),
    ] {
        let found = errors(text);
        assert!(found[0].contains(expected), "{text}\n{found:?}");
        assert_eq!(found.len(), 1, "{text}\n{found:?}");
    }
}

#[test]
fn all_errors_come_at_once() {
    let text = "Metadata = { \"Versio\": \"1\" }\n\
        list = [1]\n\
        Rules = [\n\
        \x20   IsComplet \"a\",\n\
        \x20   ColumnValues \"a\" in [1, \"b\"],\n\
        \x20   (RowCount > multiply(1, 2) AND IsComplete,\n\
        \x20   ColumnValues \"a\" in $list,\n\
        \x20   RowCount > 0,\n\
        \x20   ColumnValues \"a\" between \"2024-13-01\" and \"2024-02-30\" labels = [\"k\" = 3]\n\
        ]\n\
        Analyzers = [ Foo ] trailing";
    let places: Vec<_> = errors(text)
        .iter()
        .map(|error| error.splitn(3, ':').take(2).collect::<Vec<_>>().join(":"))
        .collect();
    assert_eq!(places, ["1:14", "2:9", "4:5", "5:29", "6:36", "9:30", "9:47", "11:15", "11:21"]);
}

#[test]
fn what_is_unbounded_is_refused() {
    let nested = format!("Rules = [ {}RowCount > 0{} ]", "(".repeat(50_000), ")".repeat(50_000));
    assert!(errors(&nested)[0].contains("more than 32 parentheses"));
    let calls = format!("Rules = [ RowCount > {}1{} ]", "a(".repeat(50_000), ")".repeat(50_000));
    assert!(errors(&calls)[0].contains("more than 32 parentheses"));
    assert!(errors(&"#".repeat(2 << 20))[0].contains("at most"));
    assert_eq!(errors(&"?\na = 1\n".repeat(50_000)).len(), super::MAX_ERRORS);
    assert_eq!(
        errors(&format!("Rules = [ {} ]", "Foo, ".repeat(100_000))).len(),
        super::MAX_ERRORS
    );
    assert!(
        errors(&format!("Rules = [ RowCount > {} ]", "9".repeat(400)))[0].contains("too great")
    );
    // Long but flat is fine: no recursion along a chain.
    let long = format!("Rules = [ RowCount > 1{} ]", " + 1".repeat(50_000));
    assert!(parse("t", &long).is_ok_and(|r| r.to_string().len() > 200_000));
    let many = format!("Rules = [ RowCount > 1{} ]", " AND RowCount > 1".repeat(50_000));
    assert!(parse("t", &many).is_ok_and(|r| r == parse("t", &r.to_string()).unwrap()));
}

#[test]
fn the_quotes_decide_the_kind() {
    let condition = |text: &str| match &parse("t", &format!("Rules = [ {text} ]")).unwrap().rules[0]
    {
        Rule::Single(single) => single.condition.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    for text in ["= \"2024-01-01\"", "in [\"2024-01-01\", NULL]", "!= EMPTY"] {
        let found = condition(&format!("ColumnValues a {text}"));
        assert!(matches!(found, Condition::Text(_)), "{text}");
    }
    for text in ["> \"2024-01-01\"", "= now()", "in [now(), \"2024-01-01\", NULL]"] {
        let found = condition(&format!("ColumnValues a {text}"));
        assert!(matches!(found, Condition::Date(_)), "{text}");
    }
    assert!(matches!(condition("FileFreshness = \"2024-01-01\""), Condition::Date(_)));
    assert!(matches!(condition("ColumnValues a = NULL"), Condition::Number(_)));
}

/// Words of the language in any order: more of them parse than of random characters.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "Rules",
        "Analyzers",
        "Metadata",
        "DefaultLabels",
        "RowCount",
        "IsComplete",
        "ColumnValues",
        "FileSize",
        "a",
        "\"b\"",
        "\"2024-01-01\"",
        "\"",
        "1",
        "2.5",
        "-3",
        "=",
        "!=",
        ">",
        "<=",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        ":",
        "$",
        "$a",
        "and",
        "OR",
        "of",
        "NULL",
        "EMPTY",
        "between",
        "in",
        "not",
        "matches",
        "where",
        "with",
        "threshold",
        "labels",
        "days",
        "KB",
        "now()",
        "avg(",
        "+",
        "-",
        "*",
        "#",
        "\n",
        "'",
        "é",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.join(" "))
}

fn rule_text() -> impl Strategy<Value = String> {
    let number = prop_oneof!["-?[0-9]{1,4}(\\.[0-9]{1,3})?", "NULL"];
    let numbers = prop::collection::vec(number.clone(), 1..4).prop_map(|n| n.join(", "));
    let value = prop_oneof![
        "[a-z\\\\\"' \\n]{0,6}".prop_map(|text| {
            let mut quoted = String::new();
            crate::quality::lexer::quote(&text, &mut quoted);
            quoted
        }),
        prop::sample::select(vec!["NULL".to_owned(), "EMPTY".into(), "whitespaces_only".into()]),
    ];
    let values = prop::collection::vec(value.clone(), 1..4).prop_map(|v| v.join(","));
    let condition = prop_oneof![
        (prop::sample::select(vec!["=", "!=", ">", "<="]), number.clone(), number.clone())
            .prop_map(|(sign, x, y)| format!("{sign} {x} * ({y} - 1)")),
        (number.clone(), number).prop_map(|(x, y)| format!("not between {x} and {y}")),
        numbers.prop_map(|n| format!("in [{n}]")),
        (prop::sample::select(vec!["=", "!="]), value).prop_map(|(sign, v)| format!("{sign} {v}")),
        values.prop_map(|v| format!("not in [{v}]")),
        Just("> (now() - 3 days)".to_owned()),
        Just("matches \"[a-z]+\" with threshold > 0.5".to_owned()),
    ];
    let leaf = prop_oneof![
        condition.prop_map(|condition| format!("ColumnValues \"a b\" {condition}")),
        Just("IsComplete a labels=[\"k\"=\"v\"]".to_owned()),
        Just("DataFreshness a <= 3 hours where \"x > 1\"".to_owned()),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        (prop::collection::vec(inner, 2..4), any::<bool>(), any::<bool>()).prop_map(
            |(parts, and, labelled)| {
                let joined = parts.join(if and { ") and (" } else { ") OR (" });
                let labels = if labelled { " labels=[\"n\"=\"w\"]" } else { "" };
                format!("(({joined})){labels}")
            },
        )
    })
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = parse("t", &text);
    }

    #[test]
    fn no_soup_of_words_panics(text in soup()) {
        if let Ok(ruleset) = parse("t", &text) {
            prop_assert_eq!(parse("t", &ruleset.to_string()), Ok(ruleset));
        }
    }

    #[test]
    fn a_printed_ruleset_reads_back(rules in prop::collection::vec(rule_text(), 1..4)) {
        canonical(&format!("Rules = [{}]", rules.join(", ")));
    }
}
