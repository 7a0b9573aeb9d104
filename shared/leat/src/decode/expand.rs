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
    (0..)
        .zip(data.split(|&byte| byte == b'\n'))
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
