//! A record → its lines: KPL, one level; then gzip, one level; then lines.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::{BOM, Limits, RawRecord, kpl, reason};
use crate::record::{Coordinates, Reason};

const GZIP: [u8; 3] = [0x1F, 0x8B, 0x08];

/// A part of a record.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A line that is not blank, without its line break.
    Line(&'a [u8]),
    /// What cannot be opened, whole, and why.
    Damaged(&'a [u8], Reason),
}

/// Hands each part of `record` to `each`, in order, with its coordinates: sub counts the user records of an aggregate,
/// line the lines of a user record, blank ones too.
///
/// Lines end with LF or CRLF, the last one also with the data. A byte order mark at the start is skipped. A record
/// without any line is damaged (`empty`), so that it leaves a trace; an aggregate of no user records has no part.
/// An aggregate with a wrong table index gives the user records before it and is then damaged (`kpl`) as a whole, at the
/// place of the wrong one.
pub fn expand(
    record: &RawRecord<'_>,
    limits: &Limits,
    each: &mut impl FnMut(Coordinates, Piece<'_>),
) {
    let Some(users) = kpl::user_records(record.data) else {
        return unpack(&record.coordinates, record.data, limits, each);
    };
    let mut coordinates = record.coordinates.clone();
    for user in users {
        match user {
            Ok(data) => unpack(&coordinates, &data, limits, each),
            Err(what) => each(
                coordinates.clone(),
                Piece::Damaged(
                    record.data,
                    reason(
                        "kpl",
                        format!("an aggregated record refers to {what} that is not in its table"),
                    ),
                ),
            ),
        }
        coordinates.position.sub += 1;
    }
}

fn unpack(
    coordinates: &Coordinates,
    data: &[u8],
    limits: &Limits,
    each: &mut impl FnMut(Coordinates, Piece<'_>),
) {
    let plain = match gunzip(data, limits) {
        Ok(plain) => plain,
        Err(reason) => return each(coordinates.clone(), Piece::Damaged(data, reason)),
    };
    let mut empty = true;
    for (line, text) in lines(&plain) {
        empty = false;
        let mut coordinates = coordinates.clone();
        coordinates.position.line += line;
        each(coordinates, Piece::Line(text));
    }
    if empty {
        let reason = reason("empty", "the record holds no event");
        each(coordinates.clone(), Piece::Damaged(data, reason));
    }
}

/// The lines of `data` that are not blank, with their numbers.
fn lines(data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let data = data.strip_prefix(&BOM).unwrap_or(data);
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', data).chain([data.len()]);
    let split = ends.map(move |end| {
        let line = data.get(start..end).unwrap_or_default();
        start = end + 1;
        line
    });
    (0..)
        .zip(split)
        .map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// The data itself, or what it unpacks to if it is gzip.
fn gunzip<'a>(data: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, Reason> {
    if !data.starts_with(&GZIP) {
        return Ok(Cow::Borrowed(data));
    }
    let limit = limits.unpacked.max(data.len().saturating_mul(limits.ratio));
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(data).take(most).read_to_end(&mut plain).map_err(|_| {
        reason("gzip", "the record begins as gzip and does not unpack: cut off or damaged")
    })?;
    if plain.len() > limit {
        return Err(reason("gzip", format!("the record unpacks to more than {limit} bytes")));
    }
    Ok(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use md5::{Digest, Md5};

    use super::*;
    use crate::decode::fixture::coordinates;

    /// `sub/line text` of each line, `sub/line !rule` of what is damaged.
    fn parts(data: &[u8]) -> Vec<String> {
        parts_within(data, &Limits::default())
    }

    fn parts_within(data: &[u8], limits: &Limits) -> Vec<String> {
        let record = RawRecord { coordinates: coordinates(), data, landed: false };
        let mut out = Vec::new();
        expand(&record, limits, &mut |c, piece| {
            let what = match piece {
                Piece::Line(text) => String::from_utf8_lossy(text).into_owned(),
                Piece::Damaged(_, reason) => format!("!{}", reason.rule),
            };
            out.push(format!("{}/{} {what}", c.position.sub, c.position.line));
        });
        out
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(data).unwrap();
        out.finish().unwrap()
    }

    fn varint(mut value: u64, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    /// Field `tag` of bytes.
    fn bytes(tag: u64, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        varint(tag << 3 | 2, &mut out);
        varint(data.len() as u64, &mut out);
        out.extend_from_slice(data);
        out
    }

    /// Field `tag` of a number.
    fn number(tag: u64, value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        varint(tag << 3, &mut out);
        varint(value, &mut out);
        out
    }

    /// A user record with the partition key at `key`.
    fn user(key: u64, data: &[u8]) -> Vec<u8> {
        bytes(3, &[number(1, key), bytes(3, data)].concat())
    }

    fn aggregate(fields: &[Vec<u8>]) -> Vec<u8> {
        let message = fields.concat();
        [&[0xF3, 0x89, 0x9A, 0xC2][..], &message, &Md5::digest(&message)].concat()
    }

    #[test]
    fn lines_of_a_plain_record() {
        for (data, expected) in [
            (&b"a"[..], &["0/0 a"][..]),
            (b"a\nb\n", &["0/0 a", "0/1 b"]),
            (b"a\r\n\r\n  \nb\r", &["0/0 a", "0/3 b"]),
            (b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb", &["0/0 a", "0/1 \u{feff}b"]),
            (b"", &["0/0 !empty"]),
            (b"\n\n", &["0/0 !empty"]),
        ] {
            assert_eq!(parts(data), expected, "{data:?}");
        }
    }

    #[test]
    fn gzip_is_opened_once_and_within_bounds() {
        assert_eq!(parts(&gzip(b"a\nb\n")), ["0/0 a", "0/1 b"]);
        assert_eq!(parts(&[gzip(b"a\n"), gzip(b"b")].concat()), ["0/0 a", "0/1 b"]);
        assert_eq!(parts(&gzip(b"")), ["0/0 !empty"]);
        let packed = gzip(b"a\nb");
        assert_eq!(parts(&packed[..packed.len() - 5]), ["0/0 !gzip"]);
        assert_eq!(parts(&[&packed[..], b"x"].concat()), ["0/0 !gzip"]);
        let twice = parts(&gzip(&gzip(b"a")));
        assert!(twice.iter().all(|part| !part.ends_with(" a")), "{twice:?}");
        let bomb = gzip(&vec![b'a'; 1 << 20]);
        let limits = Limits { unpacked: 1 << 19, ..Limits::default() };
        assert_eq!(parts_within(&bomb, &limits), ["0/0 !gzip"]);
        let limits = Limits { unpacked: 1 << 20, ..limits };
        assert_eq!(parts_within(&bomb, &limits).len(), 1);
        assert_ne!(parts_within(&bomb, &limits), ["0/0 !gzip"]);
    }

    #[test]
    fn aggregates() {
        let table = bytes(1, b"key");
        let check = |fields: &[Vec<u8>], expected: &[&str]| {
            assert_eq!(parts(&aggregate(fields)), expected);
        };
        check(&[table.clone(), user(0, b"a"), user(0, b"b\nc")], &["0/0 a", "1/0 b", "1/1 c"]);
        check(&[user(0, b"a"), table.clone()], &["0/0 a"]); // tables may come last
        check(std::slice::from_ref(&table), &[]); // no user record is valid
        check(&[table.clone(), user(0, b"")], &["0/0 !empty"]);
        check(
            &[table.clone(), user(0, b"a"), user(1, b"b"), user(0, b"c")],
            &["0/0 a", "1/0 !kpl"],
        );
        check(&[table.clone(), user(0, &gzip(b"a\nb"))], &["0/0 a", "0/1 b"]);
        let tagged = [number(1, 0), bytes(3, b"a"), bytes(4, &bytes(1, b"tag")), number(9, 7)];
        check(&[table.clone(), bytes(3, &tagged.concat()), bytes(8, b"new")], &["0/0 a"]);
        let hashed = |index| bytes(3, &[number(1, 0), number(2, index), bytes(3, b"a")].concat());
        check(&[table.clone(), bytes(2, b"0"), hashed(0)], &["0/0 a"]);
        check(&[table.clone(), hashed(0)], &["0/0 !kpl"]); // an index, and no table
        check(&[bytes(1, &[0xFF]), user(0, b"a")], &["0/0 a"]); // a key that is not UTF-8
        let huge = bytes(3, &[number(1, u64::MAX), bytes(3, b"a")].concat());
        check(&[table.clone(), huge], &["0/0 !kpl"]);
        let inner = aggregate(&[table.clone(), user(0, b"a")]);
        let outer = parts(&aggregate(&[table, user(0, &inner)]));
        assert!(!outer.contains(&"0/0 a".to_string()), "one level only: {outer:?}");
    }

    #[test]
    fn what_is_almost_an_aggregate_is_plain() {
        let good = aggregate(&[bytes(1, b"key"), user(0, b"a")]);
        let mut wrong_digest = good.clone();
        *wrong_digest.last_mut().unwrap() ^= 1;
        let no_message = aggregate(&[]);
        let no_data = aggregate(&[bytes(1, b"key"), bytes(3, &number(1, 0))]);
        let no_index = aggregate(&[bytes(1, b"key"), bytes(3, &bytes(3, b"a"))]);
        let too_long = aggregate(&[vec![3 << 3 | 2, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]]);
        for data in
            [&wrong_digest, &no_message, &no_data, &no_index, &too_long, &good[..4].to_vec()]
        {
            assert_eq!(kpl::user_records(data), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(data: Vec<u8>) {
            parts(&data);
            parts(&aggregate(std::slice::from_ref(&data)));
            parts(&aggregate(&[bytes(1, b"key"), user(0, &data)]));
            parts(&[&GZIP[..], &data].concat());
        }
    }
}
