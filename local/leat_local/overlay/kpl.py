"""KPL aggregates: Firehose opens them itself when a stream is its source."""

from __future__ import annotations

import hashlib

MAGIC = b"\xf3\x89\x9a\xc2"


def split(data: bytes) -> list[tuple[str, bytes]] | None:
    """The (partition key, bytes) inside an aggregate; None where `data` is a plain record."""
    body = data[len(MAGIC) : -16]
    if not data.startswith(MAGIC) or not body or hashlib.md5(body).digest() != data[-16:]:
        return None
    try:
        keys, records = [], []
        for number, value in _fields(body):
            if number == 1:
                keys.append(value.decode())
            elif number == 3:
                records.append(dict(_fields(value)))
        return [(keys[record[1]], record[3]) for record in records]
    except (ValueError, IndexError, KeyError, AttributeError, TypeError):
        return None


def _fields(data: bytes):
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            size, at = _varint(data, at)
            if size > len(data) - at:
                raise ValueError("a length beyond the end")
            value, at = data[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at : at + size], at + size
        else:
            raise ValueError("an unknown wire type")
        yield tag >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
