//! A plain line of JSON → the columns, without a detour: no value is kept in between, and nothing is allocated.
//!
//! A line is plain if it is an object of the schema's fields alone, each at most once, all values valid for their
//! fields. Names are expected in the schema's order and found in any. Whatever else a line holds (unknown fields,
//! `_leat`, nested values, a name twice, anything invalid) is left to [`super::json`], the one judge: a line that is
//! taken here becomes the very row that it would become there.

use super::Batch;
use super::cursor::{Cursor, Number, Text};
use super::decoder::{Decoder, Target};
use super::value::whole;
use crate::column::{Column, Type, Value};
use crate::recipe::Role;
use crate::record::{Identity, identity_of_id};
use crate::timestamp;

/// Schemas of more fields are left to the strict parser.
pub(super) const MOST_FIELDS: usize = 256;

/// Whose the line is.
pub(super) enum Taken {
    /// The identity of its id.
    Id(Identity),
    /// The schema has no id.
    NoId,
}

/// Appends the values of a plain line to the columns of `batch`. None: the line is not plain, and the batch is as it was.
pub(super) fn line(
    decoder: &Decoder,
    line: &[u8],
    limit: usize,
    batch: &mut Batch,
) -> Option<Taken> {
    if !decoder.plain || line.len() > limit || batch.columns.len() != decoder.fields.len() {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    let taken = members(decoder, text, &mut batch.columns);
    if taken.is_none() {
        let rows = batch.rows.len();
        batch.columns.iter_mut().for_each(|column| column.truncate(rows));
    }
    taken
}

fn members(decoder: &Decoder, text: &str, columns: &mut [Column]) -> Option<Taken> {
    let mut cursor = Cursor::new(text);
    cursor.blank();
    if !cursor.take(b'{') {
        return None;
    }
    let (mut seen, mut count, mut near) = ([0u64; MOST_FIELDS / 64], 0, 0);
    let mut taken = Taken::NoId;
    loop {
        cursor.blank();
        let slot = match decoder.fields.get(near) {
            Some(field) if cursor.take_name(&field.quoted) => near,
            _ => {
                let slot = decoder.names.slot(cursor.plain_text()?)?;
                cursor.blank();
                if !cursor.take(b':') {
                    return None;
                }
                slot
            }
        };
        let (word, bit) = (seen.get_mut(slot / 64)?, 1 << (slot % 64));
        if *word & bit != 0 {
            return None;
        }
        *word |= bit;
        count += 1;
        near = slot + 1;
        cursor.blank();
        let field = decoder.fields.get(slot)?;
        value(field, decoder.limits.text, &mut cursor, columns.get_mut(slot)?, &mut taken)?;
        cursor.blank();
        if !cursor.take(b',') {
            break;
        }
    }
    if !cursor.take(b'}') || count > decoder.limits.fields {
        return None;
    }
    cursor.blank();
    if !cursor.is_done() {
        return None;
    }
    if count < decoder.fields.len() {
        for (slot, (field, column)) in decoder.fields.iter().zip(columns).enumerate() {
            if seen.get(slot / 64)? >> (slot % 64) & 1 == 0 {
                if field.required() {
                    return None;
                }
                column.push(Value::Null);
            }
        }
    }
    Some(taken)
}

/// Takes the value of `field` and appends it to its column.
#[inline]
fn value(
    field: &Target,
    limit: usize,
    cursor: &mut Cursor<'_>,
    column: &mut Column,
    taken: &mut Taken,
) -> Option<()> {
    let next = cursor.peek()?;
    if next == b'n' && !field.required() && cursor.take_all(b"null") {
        column.push(Value::Null);
        return Some(());
    }
    if field.kind != field.column {
        return None;
    }
    match (field.kind, next) {
        (Type::String | Type::Timestamp, b'"') => {
            let unescaped;
            let text = match cursor.text()? {
                Text::Plain(text) => text,
                Text::Escaped(token) => {
                    unescaped = serde_json::from_str::<String>(token).ok()?;
                    &unescaped
                }
            };
            if text.len() > limit {
                return None;
            }
            if field.kind == Type::Timestamp {
                column.push(Value::Timestamp(timestamp::parse(text)?));
                return Some(());
            }
            if text.is_empty() && field.required() {
                return None;
            }
            if field.role == Some(Role::Id) {
                *taken = Taken::Id(identity_of_id(text));
            }
            column.push(Value::String(text));
        }
        (Type::Bool, b't') if cursor.take_all(b"true") => column.push(Value::Bool(true)),
        (Type::Bool, b'f') if cursor.take_all(b"false") => column.push(Value::Bool(false)),
        (Type::Double, b'-' | b'0'..=b'9') => {
            column.push(Value::Double(match cursor.number()? {
                Number::Long(x) => x as f64,
                Number::Double(x) => x,
            }))
        }
        (Type::Long | Type::Timestamp, b'-' | b'0'..=b'9') => {
            let x = match cursor.number()? {
                Number::Long(x) => x,
                Number::Double(x) => whole(x)?,
            };
            if field.role == Some(Role::Id) {
                *taken = Taken::Id(identity_of_id(&x.to_string()));
            }
            column.push(match field.kind {
                Type::Timestamp => Value::Timestamp(timestamp::from_unix(x)?),
                _ => Value::Long(x),
            });
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{coordinates, decoder_of, landed, recipe};
    use super::super::json;
    use super::*;
    use crate::record::{Reject, Row};

    /// The fixture's decoder without fields that become text, so that lines are plain.
    fn decoder() -> Decoder {
        let mut recipe = recipe();
        recipe.protect.clear();
        decoder_of(&recipe)
    }

    /// What a line comes to by the strict parser alone.
    fn strictly(decoder: &Decoder, line: &[u8]) -> (Batch, Vec<Reject>) {
        let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
        let mut coordinates = coordinates();
        if let Err(reason) = json::line(decoder, &mut coordinates, line, false, &mut batch) {
            rejects.push(Reject { coordinates, reason, payload: line.to_vec() });
        }
        (batch, rejects)
    }

    /// What a line comes to, after a row that is already there.
    #[track_caller]
    fn same(decoder: &Decoder, line: &[u8]) -> bool {
        if line.trim_ascii().is_empty() {
            return false;
        }
        let first = br#"{"id":"first","who":"c","at":0,"phone":"1"}"#;
        let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
        decoder.line(coordinates(), first, false, &mut batch, &mut rejects);
        assert_eq!((batch.len(), rejects.len()), (1, 0));
        let (mut expected, _) = strictly(decoder, first);
        let mut alone = decoder.batch();
        let is_plain = super::line(decoder, line, decoder.limits.line, &mut alone).is_some();
        let found = decoder.line(coordinates(), line, false, &mut batch, &mut rejects);
        let (more, refused) = strictly(decoder, line);
        expected.append(more);
        let shown = String::from_utf8_lossy(line);
        assert_eq!(batch, expected, "{shown}");
        if found.is_none() {
            assert_eq!(rejects, refused, "{shown}");
        }
        is_plain
    }

    #[test]
    fn plain_lines_are_taken() {
        let decoder = decoder();
        for line in [
            r#"{"id":"e","who":"c","at":0,"amount":1.5,"n":3,"ok":true,"card":4,"phone":"x","secret":null}"#,
            r#" { "id" : "e" , "who" : "c" , "at" : "2026-01-01T00:00:00Z" , "n" : 3.0 } "#,
            r#"{"secret":1e-7,"at":"1970-01-01 00:00:00","phone":"a\"\u00e9\ud83d\ude00","who":"c","ok":false,"id":"é"}"#,
            r#"{"id":"e","who":"c","at":0,"amount":-0,"n":-0.0}"#,
        ] {
            assert!(same(&decoder, line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn all_others_are_left_to_the_strict_parser() {
        let decoder = decoder();
        let event = |members: &str| format!(r#"{{"id":"e","who":"c","at":0{members}}}"#);
        for line in [
            event(r#","n":1,"n":2"#),
            event(r#","id":"f""#),
            event(r#","x":1"#),
            event(r#","_leat":{}"#),
            event(r#","amount":[1]"#),
            event(r#","amount":1e999"#),
            event(r#","amount":"1""#),
            event(r#","n":1.5"#),
            event(r#","n":9223372036854775807"#),
            event(r#","n":9223372036854775808"#),
            event(r#","n":01"#),
            event(r#","n":1,"#),
            event(r#","ok":1"#),
            event(r#","ok":tru"#),
            event(r#","phone":"\ud83d""#),
            event(",\"phone\":\"\t\""),
            event(r#","\u006e":1"#),
            event("} {"),
            event("}x"),
            r#"{"id":"e","who":"c"}"#.into(),
            r#"{"id":"e","who":"","at":0}"#.into(),
            r#"{"id":null,"who":"c","at":0}"#.into(),
            r#"{"id":"e","who":"c","at":"yesterday"}"#.into(),
            r#"{"_leat_sentinel":"go-1"}"#.into(),
            "{}".into(),
            "[]".into(),
            "{".into(),
            "\u{c}{}".into(),
        ] {
            assert!(!same(&decoder, line.as_bytes()), "{line}");
        }
        assert!(!same(&decoder, b"{\"id\":\"e\xff\",\"who\":\"c\",\"at\":0}"));
        let long = "x".repeat((256 << 10) + 1);
        assert!(!same(&decoder, event(&format!(r#","phone":"{long}""#)).as_bytes()));
        assert!(!same(&decoder, event(&" ".repeat(1 << 20)).as_bytes()));
    }

    #[test]
    fn names_that_need_an_escape_and_wide_schemas_are_not_plain() {
        let mut odd = recipe();
        odd.protect.clear();
        odd.schema.fields[4].name = "a\"b".into();
        assert!(!same(&decoder_of(&odd), br#"{"id":"e","who":"c","at":0,"a"b":1}"#));
        let mut wide = recipe();
        wide.protect.clear();
        let field = wide.schema.fields[4].clone();
        let more = (0..MOST_FIELDS)
            .map(|n| crate::recipe::Field { name: format!("n{n}"), ..field.clone() });
        wide.schema.fields.extend(more);
        assert!(!same(&decoder_of(&wide), br#"{"id":"e","who":"c","at":0,"n255":1}"#));
    }

    #[test]
    fn a_number_can_be_the_id() {
        let mut recipe = recipe();
        recipe.protect.clear();
        recipe.schema.fields[0].kind = Type::Long;
        let decoder = decoder_of(&recipe);
        let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
        for (line, id) in [("7", "7"), ("7.0", "7"), ("-12", "-12")] {
            let line = format!(r#"{{"id":{line},"who":"c","at":0}}"#);
            assert!(super::line(&decoder, line.as_bytes(), 1000, &mut decoder.batch()).is_some());
            decoder.line(coordinates(), line.as_bytes(), false, &mut batch, &mut rejects);
            assert_eq!(batch.rows.last().unwrap().identity, identity_of_id(id));
            let (strict, _) = strictly(&decoder, line.as_bytes());
            assert_eq!(strict.rows.last(), batch.rows.last());
        }
    }

    #[test]
    fn a_landed_line_that_says_nothing_of_itself_is_plain_too() {
        let (batch, rejects) = landed(&decoder(), br#"{"id":"e","who":"c","at":0}"#);
        assert!(rejects.is_empty());
        let Row { verdict, protected, unknown, .. } = &batch.rows[0];
        assert!(verdict.is_none() && protected.is_empty() && unknown.is_none());
    }

    /// A value as JSON, mostly of the kind that the field takes.
    fn json_value() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            "[a-z0-9 -]{0,24}".prop_map(|text| format!("\"{text}\"")),
            any::<i64>().prop_map(|x| x.to_string()),
            any::<f64>().prop_map(|x| format!("{x:?}")),
            (-1_000_000i64..1_000_000).prop_map(|x| format!("{:?}", x as f64 / 100.0)),
            "-?[0-9]{1,20}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("{\"a\":[1,\"]\"]}".to_owned()),
            Just("\"2026-03-01T10:20:30.123Z\"".to_owned()),
            Just("\"\\ud83d\\ude00\\n\"".to_owned()),
            Just("\"\\ud83d\"".to_owned()),
        ]
    }

    prop_compose! {
        /// An event of which most members suit their fields, in some order, with blanks.
        fn events()(
            id in "[a-z]{1,9}", amount in any::<f64>(), n in any::<i64>(), phone in any::<String>(),
            odd in proptest::option::weighted(0.5, (0usize..11, json_value())),
            order in Just((0usize..9).collect::<Vec<_>>()).prop_shuffle(),
            shuffled in any::<bool>(), left_out in 0usize..20, blank in prop_oneof![Just(""), Just(" ")],
        ) -> String {
            let phone = serde_json::to_string(&phone).unwrap();
            let mut members = vec![
                ("id", format!("\"{id}\"")), ("who", "\"c-1\"".into()), ("at", "\"2026-01-01T00:00:00Z\"".into()),
                ("amount", format!("{amount:?}")), ("n", n.to_string()), ("ok", "true".into()),
                ("card", "12".into()), ("phone", phone), ("secret", "0.25".into()),
            ];
            if let Some((slot, value)) = odd {
                match members.get_mut(slot) {
                    Some(member) => member.1 = value,
                    None => members.push((if slot == 9 { "n" } else { "unknown" }, value)),
                }
            }
            let mut order = if shuffled { order } else { (0..9).collect() };
            order.extend(9..members.len());
            order.retain(|&at| at != left_out);
            let members: Vec<String> = order
                .into_iter()
                .map(|at| format!("\"{}\"{blank}:{blank}{}", members[at].0, members[at].1))
                .collect();
            format!("{{{blank}{}{blank}}}", members.join(&format!(",{blank}")))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn a_line_comes_to_the_same_by_either_way(
            event in events(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 0..3),
        ) {
            let decoder = decoder();
            same(&decoder, event.as_bytes());
            let mut bytes = event.into_bytes();
            for (at, byte, how) in changes {
                let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
                match how {
                    _ if bytes.is_empty() => {}
                    0 => bytes[at] = byte,
                    1 => bytes.truncate(at),
                    2 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            same(&decoder, &bytes);
        }
    }
}
