//! A sentinel: a line that is put into every shard to see how far landing has come. It is no event: neither a row nor
//! a reject. Every path counts it as dropped by the rule [`RULE`].
//!
//! As a record of a stream it is `{"_leat_sentinel":"<id>"}`: one object with that one member, whose value is a text of
//! 1 to 64 ASCII letters, digits and dashes. Landed it has `_leat` as its last member, as every landed line has. With
//! any other member, or another value, it is an ordinary line.

use crate::record::Coordinates;

/// The member's name.
pub const NAME: &str = "_leat_sentinel";
/// The rule by which it is dropped.
pub const RULE: &str = "sentinel";

/// A sentinel and where it lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinel {
    /// Its id: the same in all shards.
    pub id: Box<str>,
    /// Where it came from: those of the stream, if the line was landed.
    pub coordinates: Coordinates,
}

impl Sentinel {
    /// `<id>/<shard>`: what names it in a published unit.
    pub fn name(&self) -> String {
        format!("{}/{}", self.id, self.coordinates.shard)
    }
}

/// True if `text` can be the id of a sentinel.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The record to put into a shard, without a line break; none if `id` is no id.
pub fn record(id: &str) -> Option<String> {
    is_id(id).then(|| format!("{{\"{NAME}\":\"{id}\"}}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::fixture::{coordinates, decoder, keys, recipe};
    use crate::decode::{Batch, JsonLines, RawRecord};
    use crate::encode::landed;
    use crate::record::{Coordinates, Position, Reject};

    /// What a line of a stream, or a landed one, comes to.
    fn decode(line: &[u8], is_landed: bool) -> (Option<Sentinel>, Batch, Vec<Reject>) {
        let (mut batch, mut rejects) = (decoder().batch(), Vec::new());
        let at = if is_landed { file() } else { coordinates() };
        let found = decoder().line(at, line, is_landed, &mut batch, &mut rejects);
        (found, batch, rejects)
    }

    fn file() -> Coordinates {
        let position = Position { line: 7, ..Position::default() };
        Coordinates { source: "file".into(), shard: "".into(), position, arrival: None }
    }

    #[track_caller]
    fn is_sentinel(line: &str, is_landed: bool, at: Coordinates) {
        let (found, batch, rejects) = decode(line.as_bytes(), is_landed);
        assert_eq!(found, Some(Sentinel { id: "go-1".into(), coordinates: at }), "{line}");
        assert!(batch.is_empty() && rejects.is_empty(), "{line}");
    }

    #[track_caller]
    fn is_ordinary(line: &str, is_landed: bool) {
        let (found, batch, rejects) = decode(line.as_bytes(), is_landed);
        assert_eq!((found, batch.len() + rejects.len()), (None, 1), "{line}");
    }

    #[test]
    fn ids() {
        for (id, good) in [
            ("a", true),
            ("Run-2026-01", true),
            ("-", true),
            ("x".repeat(64).as_str(), true),
            ("x".repeat(65).as_str(), false),
            ("", false),
            ("a b", false),
            ("a_b", false),
            ("é", false),
        ] {
            assert_eq!((is_id(id), record(id).is_some()), (good, good), "{id}");
        }
    }

    #[test]
    fn a_line_with_that_one_member_is_no_event() {
        let line = record("go-1").unwrap();
        assert_eq!(line, r#"{"_leat_sentinel":"go-1"}"#);
        is_sentinel(&line, false, coordinates());
        is_sentinel(" { \"_leat_sentinel\" : \"go\\u002d1\" } ", false, coordinates());
        is_sentinel(&line, true, file()); // under the trusted prefix a line may say nothing of itself
    }

    #[test]
    fn lookalikes_are_ordinary() {
        let landed = land(r#"{"_leat_sentinel":"go-1"}"#);
        for line in [
            r#"{"_leat_sentinel":"go-1","id":"e"}"#,
            r#"{"_leat_sentinel":"go-1","x":null}"#,
            r#"{"_leat_sentinel":"go-1","_leat_sentinel":"go-1"}"#,
            r#"{"_leat_sentinel":1}"#,
            r#"{"_leat_sentinel":null}"#,
            r#"{"_leat_sentinel":["go-1"]}"#,
            r#"{"_leat_sentinel":""}"#,
            r#"{"_leat_sentinel":"go 1"}"#,
            r#"{"_LEAT_SENTINEL":"go-1"}"#,
            r#"[{"_leat_sentinel":"go-1"}]"#,
            r#"{"_leat_sentinel":"go-1"} {}"#,
            r#"{"id":"e","who":"c","at":0,"_leat_sentinel":"go-1"}"#,
            format!(r#"{{"_leat_sentinel":"{}"}}"#, "x".repeat(65)).as_str(),
            landed.as_str(), // `_leat` is believed only where it lies
        ] {
            is_ordinary(line, false);
            if line != landed {
                is_ordinary(line, true);
            }
        }
        let (_, batch, _) =
            decode(br#"{"id":"e","who":"c","at":0,"_leat_sentinel":"go-1"}"#, false);
        assert_eq!(batch.rows[0].unknown.as_deref(), Some(r#""_leat_sentinel":"go-1""#));
    }

    /// The landed line of a sentinel that came by the stream, without its line break.
    fn land(line: &str) -> String {
        let (found, ..) = decode(line.as_bytes(), false);
        let mut out = Vec::new();
        landed::sentinel(&found.unwrap(), &keys(), &mut out);
        let text = String::from_utf8(out).unwrap();
        text.strip_suffix('\n').unwrap().to_owned()
    }

    #[test]
    fn landed_it_comes_back_with_the_coordinates_of_the_stream() {
        let line = land(&record("go-1").unwrap());
        let (before, mac) = line.split_at(line.len() - 35);
        assert_eq!(
            before,
            [
                r#"{"_leat_sentinel":"go-1","_leat":{"v":1,"source":"events","shard":"shardId-000000000000","#,
                r#""seq":"495","sub":0,"line":0,"arrival":1767225600000,"mac":""#,
            ]
            .concat()
        );
        assert!(mac.ends_with("\"}}"), "{mac}");
        is_sentinel(&line, true, coordinates());
        let (found, ..) = decode(line.as_bytes(), true);
        assert_eq!(found.unwrap().name(), "go-1/shardId-000000000000");
        for forged in [
            line.replace("go-1", "go-2"),
            line.replace("\"_leat\":", "\"x\":1,\"_leat\":"),
            line.replace("495", "496"),
        ] {
            let (found, batch, rejects) = decode(forged.as_bytes(), true);
            assert!(found.is_none() && batch.is_empty(), "{forged}");
            assert_eq!(rejects[0].reason.rule, "leat", "{forged}");
        }
    }

    #[test]
    fn records_and_files_hold_them_between_events() {
        let event = r#"{"id":"e","who":"c","at":0}"#;
        let text = format!("{event}\n{}\nno\n{}\n", record("a").unwrap(), record("b").unwrap());
        let raw = RawRecord { coordinates: coordinates(), data: text.as_bytes(), landed: false };
        let (mut batch, mut rejects) = (decoder().batch(), Vec::new());
        let found = decoder().record(&raw, &mut batch, &mut rejects);
        let places: Vec<_> = found.iter().map(|s| (&*s.id, s.coordinates.position.line)).collect();
        assert_eq!(places, [("a", 1), ("b", 3)]);
        assert_eq!((batch.len(), rejects.len()), (1, 1));

        let mut file = JsonLines::new(text.as_bytes(), "file".into(), false);
        let (mut batch, mut rejects) = (decoder().batch(), Vec::new());
        while file.read(&decoder(), 2, &mut batch, &mut rejects).unwrap() {}
        let found = file.sentinels();
        let places: Vec<_> = found.iter().map(|s| (&*s.id, s.coordinates.position.line)).collect();
        assert_eq!(places, [("a", 1), ("b", 3)]);
        assert_eq!((batch.len(), rejects.len()), (1, 1));
    }

    #[test]
    fn no_schema_can_take_the_name() {
        let recipe = recipe();
        assert!(recipe.field(NAME).is_none());
        let text = format!(
            "{{leat: 1, name: r, schema: {{fields: [{{name: {NAME}, type: string, role: entity}}, \
             {{name: at, type: timestamp, role: event_time}}]}}}}"
        );
        let errors = crate::recipe::read("r.yaml", &text, &[]).unwrap_err();
        assert!(errors[0].to_string().contains("begin with _ are Leat's own"), "{errors:?}");
    }
}
