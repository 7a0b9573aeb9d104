//! What an event says: plain functions over JSON, as lenient as the services are.
//!
//! S3 notifications and EventBridge's "Object Created" come as they are, in an SQS body, in an SNS `Message`, or in SNS in
//! SQS. The key of a notification is encoded as a form, that of EventBridge is not.

use leat_jobs::object::object;
use leat_lake::manifest::ManifestObject;
use serde_json::Value;

/// Wrappings within wrappings: SQS, SNS, the notification.
const DEPTH_MAX: usize = 4;
/// The most bytes of a key, by S3's rule.
const KEY_MAX: usize = 1024;

/// An event.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// The hourly start.
    Start,
    /// Messages; an event that came without SQS is one message without an id.
    Messages(Vec<Message>),
}

/// One message: what SQS would deliver again.
#[derive(Debug, PartialEq)]
pub struct Message {
    /// SQS's id of it.
    pub id: Option<String>,
    /// What it says.
    pub notices: Vec<Notice>,
}

/// One thing that a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// An object was created. Whether it is trusted is not known yet.
    Created(ManifestObject),
    /// Nothing to do, for this reason: `test`, `not_created`, `other_event`, `unnamed` (neither version nor ETag: the hourly
    /// listing has both).
    Nothing(&'static str),
    /// This cannot be understood, and will not be when it comes again.
    Invalid(String),
}

/// Reads an event. What is no JSON is one message that cannot be understood.
pub fn read(text: &str) -> Event {
    let event: Value = match serde_json::from_str(text) {
        Ok(event) => event,
        Err(why) => {
            let notices = vec![Notice::Invalid(format!("the event is no JSON: {why}"))];
            return Event::Messages(vec![Message { id: None, notices }]);
        }
    };
    if event["leat"] == "start" {
        return Event::Start;
    }
    let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !records.is_empty() && records.iter().all(|record| record["eventSource"] == "aws:sqs") {
        let message = |record: &Value| Message {
            id: record["messageId"].as_str().map(Into::into),
            notices: inside(&record["body"], 1),
        };
        return Event::Messages(records.iter().map(message).collect());
    }
    Event::Messages(vec![Message { id: None, notices: notices(&event, 0) }])
}

/// The notices in a text that holds an event.
fn inside(text: &Value, depth: usize) -> Vec<Notice> {
    let invalid = |what: String| vec![Notice::Invalid(what)];
    match text.as_str().map(serde_json::from_str::<Value>) {
        Some(Ok(event)) if depth < DEPTH_MAX => notices(&event, depth),
        Some(Ok(_)) => invalid(format!("more than {DEPTH_MAX} wrappings")),
        Some(Err(why)) => invalid(format!("the message is no JSON: {why}")),
        None => invalid("the message has no text".into()),
    }
}

fn notices(event: &Value, depth: usize) -> Vec<Notice> {
    if let Some(records) = event["Records"].as_array() {
        return records.iter().flat_map(|record| of_record(record, depth)).collect();
    }
    if event["Event"] == "s3:TestEvent" {
        return vec![Notice::Nothing("test")];
    }
    if event["Type"] == "Notification" {
        return inside(&event["Message"], depth + 1);
    }
    if let Some(kind) = event["detail-type"].as_str() {
        let created = event["source"] == "aws.s3" && kind == "Object Created";
        let s3 = event["source"] == "aws.s3";
        return vec![match (created, s3) {
            (true, _) => of_event_bridge(&event["detail"]),
            (false, true) => Notice::Nothing("not_created"),
            (false, false) => Notice::Nothing("other_event"),
        }];
    }
    vec![Notice::Invalid(
        "this is no notification of S3, EventBridge, SNS or SQS, nor {\"leat\":\"start\"}".into(),
    )]
}

fn of_record(record: &Value, depth: usize) -> Vec<Notice> {
    if record["EventSource"] == "aws:sns" {
        return inside(&record["Sns"]["Message"], depth + 1);
    }
    if record["eventSource"] != "aws:s3" {
        return vec![Notice::Invalid("a record is of no known source".into())];
    }
    // The name comes without `s3:` here, and with it elsewhere.
    let name = record["eventName"].as_str().unwrap_or_default();
    if !name.trim_start_matches("s3:").starts_with("ObjectCreated:") {
        return vec![Notice::Nothing("not_created")];
    }
    let object = &record["s3"]["object"];
    let Some(key) = object["key"].as_str() else {
        return vec![Notice::Invalid("`s3.object.key` is no text".into())];
    };
    let bucket = &record["s3"]["bucket"]["name"];
    vec![match form_decoded(key) {
        Some(key) => created(bucket, key, object, "eTag", "versionId"),
        None => Notice::Invalid("`s3.object.key` is not UTF-8 once decoded".into()),
    }]
}

fn of_event_bridge(detail: &Value) -> Notice {
    let object = &detail["object"];
    match object["key"].as_str() {
        Some(key) => created(&detail["bucket"]["name"], key.into(), object, "etag", "version-id"),
        None => Notice::Invalid("`detail.object.key` is no text".into()),
    }
}

fn created(bucket: &Value, key: String, found: &Value, etag: &str, version: &str) -> Notice {
    let Some(bucket) = bucket.as_str().filter(|name| !name.is_empty()) else {
        return Notice::Invalid("the bucket has no name".into());
    };
    if key.is_empty() || key.len() > KEY_MAX {
        return Notice::Invalid(format!("a key of {} bytes; S3 has 1 to {KEY_MAX}", key.len()));
    }
    match object(bucket, &key, found[version].as_str(), found[etag].as_str()) {
        None => Notice::Nothing("unnamed"),
        Some(object) => Notice::Created(ManifestObject {
            size: found["size"].as_u64().unwrap_or_default(),
            sequencer: found["sequencer"].as_str().map(Into::into),
            ..object
        }),
    }
}

/// A key as a form encodes it: `+` is a blank, `%XX` a byte; decoded once. None if that is not UTF-8. A `%` that no two hex
/// digits follow stands for itself, as in the URL standard.
fn form_decoded(key: &str) -> Option<String> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16);
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        out.push(match (byte, after.first().and_then(hex), after.get(1).and_then(hex)) {
            (b'+', ..) => b' ',
            (b'%', Some(high), Some(low)) => {
                rest = &after[2..];
                u8::try_from(high << 4 | low).ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/");

    fn notices_of(event: &Value) -> Vec<Notice> {
        match read(&event.to_string()) {
            Event::Messages(messages) => messages.into_iter().flat_map(|m| m.notices).collect(),
            Event::Start => Vec::new(),
        }
    }

    fn notification(key: &str) -> Value {
        json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {
            "bucket": {"name": "b"},
            "object": {"key": key, "size": 1, "eTag": "e", "versionId": "v", "sequencer": "0A"}}}]})
    }

    fn bridge(key: &str) -> Value {
        json!({"detail-type": "Object Created", "source": "aws.s3", "detail": {"bucket": {"name": "b"},
            "object": {"key": key, "size": 1, "etag": "e", "version-id": "v", "sequencer": "0A"}}})
    }

    fn landed(key: &str) -> Notice {
        let named = object("b", key, Some("v"), Some("e")).unwrap();
        Notice::Created(ManifestObject { size: 1, sequencer: Some("0A".into()), ..named })
    }

    fn in_sns(event: &Value) -> Value {
        json!({"Type": "Notification", "MessageId": "m", "Message": event.to_string()})
    }

    fn in_sqs(bodies: &[String]) -> Value {
        let record = |(i, body): (usize, &String)| json!({"eventSource": "aws:sqs", "messageId": i.to_string(), "body": body});
        json!({"Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>()})
    }

    #[test]
    fn every_wrapping() {
        let (s3, eb) = (notification("a+b%2B"), bridge("a+b%2B"));
        let sns = |event: &Value| json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": event.to_string()}}]});
        for (event, key) in [
            (s3.clone(), "a b+"),
            (eb.clone(), "a+b%2B"),
            (sns(&s3), "a b+"),
            (sns(&eb), "a+b%2B"),
            (in_sqs(&[s3.to_string()]), "a b+"),
            (in_sqs(&[eb.to_string()]), "a+b%2B"),
            (in_sqs(&[in_sns(&s3).to_string()]), "a b+"),
            (in_sqs(&[in_sns(&eb).to_string()]), "a+b%2B"),
        ] {
            assert_eq!(notices_of(&event), [landed(key)], "{event}");
        }
        assert_eq!(read(r#"{"leat":"start","scheduled":"2026-01-01T00:00:00Z"}"#), Event::Start);
    }

    #[test]
    fn messages_keep_their_ids() {
        let event =
            in_sqs(&[notification("a").to_string(), "no".into(), notification("c").to_string()]);
        let Event::Messages(messages) = read(&event.to_string()) else { panic!() };
        let ids: Vec<_> = messages.iter().map(|m| m.id.as_deref().unwrap()).collect();
        assert_eq!(ids, ["0", "1", "2"]);
        assert!(matches!(messages[1].notices[..], [Notice::Invalid(_)]));
        assert_eq!(messages[2].notices, [landed("c")]);
    }

    #[test]
    fn nothing_to_do() {
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
        let removed = json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete",
            "s3": {"bucket": {"name": "b"}, "object": {"key": "a"}}}]});
        let deleted = json!({"detail-type": "Object Deleted", "source": "aws.s3", "detail": {}});
        let other = json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
        for (event, word) in [
            (test.clone(), "test"),
            (in_sqs(&[test.to_string()]), "test"),
            (removed, "not_created"),
            (deleted, "not_created"),
            (other, "other_event"),
        ] {
            assert_eq!(notices_of(&event), [Notice::Nothing(word)], "{event}");
        }
        assert_eq!(notices_of(&json!({"Records": []})), []);
    }

    #[test]
    fn invalid_ones_say_why() {
        let deep = (0..9).fold(notification("a"), |event, _| in_sns(&event));
        for (event, part) in [
            (json!({}), "no notification"),
            (json!([1]), "no notification"),
            (json!({"Records": [1]}), "no known source"),
            (notification("%FF"), "not UTF-8"),
            (notification(""), "0 bytes"),
            (notification(&"x".repeat(1025)), "1025 bytes"),
            (bridge(""), "0 bytes"),
            (deep, "wrappings"),
            (in_sqs(&["{".into()]), "no JSON"),
        ] {
            let notices = notices_of(&event);
            assert!(
                matches!(&notices[..], [Notice::Invalid(why)] if why.contains(part)),
                "{notices:?}"
            );
        }
        assert!(
            matches!(read("{"), Event::Messages(m) if matches!(m[0].notices[..], [Notice::Invalid(_)]))
        );
        let no_bucket = json!({"detail-type": "Object Created", "source": "aws.s3", "detail": {"object": {"key": "a"}}});
        assert!(matches!(notices_of(&no_bucket)[..], [Notice::Invalid(_)]));
    }

    #[test]
    fn versions_and_etags() {
        let mut event = notification("a");
        let object = &mut event["Records"][0]["s3"]["object"];
        *object = json!({"key": "a", "versionId": "null", "eTag": "\"e\""});
        let notices = notices_of(&event);
        let [Notice::Created(landed)] = &notices[..] else { panic!("{notices:?}") };
        assert_eq!((landed.version.as_deref(), landed.etag.as_deref()), (None, Some("e")));
        assert_eq!((landed.size, landed.sequencer.as_deref()), (0, None));
        event["Records"][0]["s3"]["object"] = json!({"key": "a"});
        assert_eq!(notices_of(&event), [Notice::Nothing("unnamed")]);
    }

    #[test]
    fn our_own_examples() {
        for (file, objects) in [
            ("s3-glue-trigger.json", 1),
            ("s3-glue-trigger.eventbridge.json", 1),
            ("s3-glue-trigger.sqs.json", 2),
        ] {
            let event: Value =
                serde_json::from_str(&std::fs::read_to_string(format!("{EVENTS}{file}")).unwrap())
                    .unwrap();
            let notices = notices_of(&event);
            let created = notices.iter().filter(|n| matches!(n, Notice::Created(_))).count();
            assert_eq!((created, notices.len()), (objects, objects), "{file}");
        }
        let start = std::fs::read_to_string(format!("{EVENTS}s3-glue-trigger.start.json")).unwrap();
        assert_eq!(read(&start), Event::Start);
    }

    /// Events as AWS and the SDKs show them. What is created is told of; what is deleted, restored or replicated is not.
    #[test]
    fn events_of_others() {
        let Some(folder) = std::env::var_os("LEAT_CONFORMANCE") else {
            println!("skipped: LEAT_CONFORMANCE names no folder");
            return;
        };
        let folder = std::path::PathBuf::from(folder).join("events");
        let keys = std::fs::read_to_string(folder.join("s3/key_encoding.json")).unwrap();
        for case in serde_json::from_str::<Vec<Value>>(&keys).unwrap() {
            let raw = case["raw"].as_str().unwrap();
            let event = notification(case["event_key"].as_str().unwrap());
            let bridged = bridge(case["eventbridge_key"].as_str().unwrap());
            // The list of naughty strings has some that are longer than a key can be.
            let want = |notice: &Notice| match raw.len() {
                1..=KEY_MAX => assert_eq!(*notice, landed(raw)),
                _ => assert!(matches!(notice, Notice::Invalid(_)), "{raw}"),
            };
            notices_of(&event).iter().for_each(want);
            notices_of(&bridged).iter().for_each(want);
        }
        let mut created = 0;
        for group in ["s3", "other", "kinesis", "firehose"] {
            for file in std::fs::read_dir(folder.join(group)).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                let Event::Messages(messages) = read(&text) else { panic!("{name} starts") };
                let notices: Vec<_> = messages.into_iter().flat_map(|m| m.notices).collect();
                let starts = notices.iter().any(|notice| matches!(notice, Notice::Created(_)));
                created += usize::from(starts);
                let ends = [
                    "Delete",
                    "Expired",
                    "Restore",
                    "restore",
                    "lifecycle",
                    "glacier",
                    "replication",
                    "intelligenttier",
                ];
                assert!(
                    !starts || !ends.iter().any(|word| name.contains(word)),
                    "{name}: {notices:?}"
                );
                assert!(!starts || group == "s3", "{name}: {notices:?}");
            }
        }
        assert!(created >= 8, "only {created} files tell of an object");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = read(&text);
            let _ = form_decoded(&text);
        }

        #[test]
        fn keys_come_through(key in ".{1,100}") {
            let encoded: String = key.bytes().map(|b| format!("%{b:02x}")).collect();
            proptest::prop_assert_eq!(form_decoded(&encoded), Some(key));
        }
    }
}
