//! The landed line: what Firehose's transform delivers, and what decode believes under the trusted prefix.

use super::json;
use crate::column::Value;
use crate::decode::Batch;
use crate::protect::Keys;
use crate::recipe::Recipe;
use crate::sentinel::{self, Sentinel};
use crate::tag::Tag;

/// Appends the row `row` of `batch`: the schema's fields in order, missing ones left out; the unknown fields that were
/// kept; [`crate::tag`]. Decoding it gives the row again, with its coordinates and verdict.
pub fn line(recipe: &Recipe, batch: &Batch, row: usize, keys: &Keys, out: &mut Vec<u8>) {
    let Some(meta) = batch.rows.get(row) else { return };
    let mut line = vec![b'{'];
    for (field, column) in recipe.schema.fields.iter().zip(&batch.columns) {
        match column.get(row) {
            Value::Null => {}
            value => {
                json::name(&field.name, &mut line);
                json::value(value, &mut line);
            }
        }
    }
    if let Some(unknown) = meta.unknown.as_deref().filter(|unknown| !unknown.is_empty()) {
        if line.len() > 1 {
            line.push(b',');
        }
        line.extend_from_slice(unknown.as_bytes());
    }
    Tag::of(meta).seal(keys, &mut line);
    out.append(&mut line);
    out.push(b'\n');
}

/// Appends the line of a sentinel. Decoding it gives the sentinel again, with its coordinates.
pub fn sentinel(sentinel: &Sentinel, keys: &Keys, out: &mut Vec<u8>) {
    let mut line = vec![b'{'];
    json::name(sentinel::NAME, &mut line);
    json::plain(&*sentinel.id, &mut line);
    Tag::at(&sentinel.coordinates).seal(keys, &mut line);
    out.append(&mut line);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::column::Column;
    use crate::decode::fixture::{decoder, keys, landed, recipe, record};
    use crate::protect::protect;
    use crate::record::Verdict;

    const EVENT: &str = r#"{"id":"e","who":"c","at":0,"amount":5,"card":4111111111111111,"phone":"555-0199","x":[1, 2]}"#;

    /// The event as the transform lands it.
    fn land(event: &str, verdict: Option<Verdict>) -> (Batch, String) {
        let (mut batch, rejects) = record(&decoder(), event.as_bytes());
        assert!(rejects.is_empty(), "{:?}", rejects[0].reason);
        protect(&mut batch, &recipe(), Some(&keys())).unwrap();
        batch.rows[0].verdict = verdict;
        let mut out = Vec::new();
        line(&recipe(), &batch, 0, &keys(), &mut out);
        let text = String::from_utf8(out).unwrap();
        (batch, text.strip_suffix('\n').unwrap().to_string())
    }

    #[test]
    fn the_form_of_a_line() {
        let failed = vec!["IsComplete \"n\"".into()];
        let verdict = Verdict { rules: "ab".into(), failed, ..Verdict::default() };
        let (_, text) = land(EVENT, Some(verdict));
        let token = keys().token("card", "4111111111111111");
        let (before, mac) = text.split_at(text.len() - 35);
        assert_eq!(
            before,
            [
                r#"{"id":"e","who":"c","at":"1970-01-01T00:00:00Z","amount":5.0,"card":""#,
                &token,
                r#"","phone":"******99","x":[1, 2],"_leat":{"v":1,"source":"events","#,
                r#""shard":"shardId-000000000000","seq":"495","sub":0,"line":0,"arrival":1767225600000,"#,
                r#""verdict":{"rules":"ab","failed":["IsComplete \"n\""]},"#,
                r#""protected":{"card":{"method":"tokenize","key":1},"phone":{"method":"mask"},"#,
                r#""secret":{"method":"drop"}},"mac":""#,
            ]
            .concat()
        );
        assert!(mac.ends_with("\"}}") && mac[..32].bytes().all(|b| b.is_ascii_hexdigit()), "{mac}");
    }

    #[test]
    fn a_changed_line_is_not_ours() {
        let (_, text) = land(EVENT, None);
        let mac = text.rfind("\"mac\":\"").unwrap() + 7;
        let changed_mac = |digit: &str| format!("{}{digit}{}", &text[..mac], &text[mac + 1..]);
        let own = r#"{"id":"e","who":"c","at":0,"_leat":{"v":1,"source":"s","shard":"","seq":"1","sub":0,"line":0,"mac":"00000000000000000000000000000000"}}"#;
        for line in [
            text.replace("5.0", "6.0"),
            text.replace("\"line\":0", "\"line\":1"),
            text.replace(":{\"v\"", ": {\"v\""),
            text.replace("{\"id\"", "{ \"id\""),
            text.replace("\"_leat\"", "\"\\u005fleat\""),
            format!("{}, \"n\":1}}", text.strip_suffix('}').unwrap()),
            format!("{text} "),
            changed_mac("g"),
            changed_mac(if text[mac..].starts_with('0') { "1" } else { "0" }),
            own.to_string(),
            own.replace(r#"{"v":1"#, r#"{"v":2"#),
            r#"{"id":"e","who":"c","at":0,"_leat":null}"#.to_string(),
            r#"{"_leat":{},"id":"e","who":"c","at":0}"#.to_string(),
        ] {
            let (batch, rejects) = landed(&decoder(), line.as_bytes());
            assert!(batch.is_empty(), "{line}");
            assert_eq!(rejects[0].reason.rule, "leat", "{line}");
            assert_eq!(&*rejects[0].coordinates.source, "file");
        }
        assert_eq!(landed(&decoder(), text.as_bytes()).0.len(), 1);
    }

    #[test]
    fn a_landed_line_is_believed_only_where_it_lies() {
        let (_, text) = land(EVENT, None);
        let (batch, rejects) = record(&decoder(), text.as_bytes());
        assert!(batch.is_empty());
        assert_eq!(rejects[0].reason.rule, "type"); // `card` is a long, and its token is none
        let (_, text) = land(r#"{"id":"e","who":"c","at":0}"#, None);
        let (batch, _) = record(&decoder(), text.as_bytes());
        assert!(batch.rows[0].protected.is_empty());
        assert!(batch.rows[0].unknown.as_deref().unwrap().starts_with("\"_leat_untrusted\":{"));
    }

    #[test]
    fn under_the_trusted_prefix_a_line_may_say_nothing_of_itself() {
        let (batch, _) = landed(&decoder(), br#"{"id":"e","who":"c","at":0}"#);
        assert_eq!(&*batch.rows[0].coordinates.source, "file");
    }

    #[test]
    fn without_keys_nothing_is_believed() {
        let (_, text) = land(EVENT, None);
        let blind = crate::decode::Decoder::new(&recipe(), None, Default::default());
        assert_eq!(landed(&blind, text.as_bytes()).1[0].reason.rule, "leat");
    }

    #[test]
    fn a_newer_recipe_protects_what_landed_raw() {
        let mut old = recipe();
        old.protect.retain(|p| p.field != "card");
        let decoder_old = crate::decode::fixture::decoder_of(&old);
        let (mut batch, _) = record(&decoder_old, EVENT.as_bytes());
        protect(&mut batch, &old, Some(&keys())).unwrap();
        let mut out = Vec::new();
        line(&old, &batch, 0, &keys(), &mut out);
        let (mut batch, _) = landed(&decoder(), out.trim_ascii_end());
        assert_eq!(batch.columns[6], Column::strings([Some("4111111111111111")]));
        protect(&mut batch, &recipe(), Some(&keys())).unwrap();
        // Now as if the newer recipe had landed it: the token of the raw value, the mask as it was.
        assert_eq!(batch, land(EVENT, None).0);
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z]{1,8}", "\\PC{1,12}", any::<String>().prop_map(|s| format!("x{s}"))]
    }

    prop_compose! {
        /// Any event as JSON: values of all kinds, present, absent or null; unknown fields.
        fn events()(
            id in texts(), who in texts(), at in -62_167_219_200i64..=253_402_300_799,
            amount in proptest::option::of(any::<f64>().prop_filter("finite", |x| x.is_finite())),
            n in proptest::option::of(any::<i64>()), ok in proptest::option::of(any::<bool>()),
            card in proptest::option::of(any::<i64>()), phone in proptest::option::of(any::<String>()),
            secret in proptest::option::of(any::<f64>().prop_filter("finite", |x| x.is_finite())),
            unknown in proptest::collection::btree_map(any::<String>(), texts(), 0..3),
        ) -> String {
            let at = crate::timestamp::to_text(at * 1_000_000 + 1);
            let mut event = serde_json::json!({
                "id": id, "who": who, "at": at, "amount": amount, "n": n, "ok": ok, "card": card,
                "phone": phone, "secret": secret, "_leat": {"v": 1},
            });
            let members = event.as_object_mut().unwrap();
            for (name, value) in unknown {
                members.entry(name).or_insert(serde_json::json!({"nested": [value]}));
            }
            event.to_string()
        }
    }

    proptest! {
        #[test]
        fn a_landed_line_gives_its_row_again(
            event in events(),
            failed in proptest::option::of(proptest::collection::vec(any::<String>(), 0..3)),
        ) {
            let verdict = failed.map(|failed| Verdict {
                rules: "r".into(),
                warned: failed.clone(),
                failed,
            });
            let (batch, text) = land(&event, verdict);
            let (mut again, rejects) = landed(&decoder(), text.as_bytes());
            prop_assert!(rejects.is_empty(), "{:?}", rejects[0].reason);
            prop_assert_eq!(&again, &batch);
            protect(&mut again, &recipe(), Some(&keys())).unwrap(); // never twice
            prop_assert_eq!(&again, &batch);
            let mut out = Vec::new();
            line(&recipe(), &again, 0, &keys(), &mut out);
            prop_assert_eq!(out, format!("{text}\n").into_bytes());
        }
    }
}
