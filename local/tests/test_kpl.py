"""Aggregates open into their user records; what is none stays whole."""

import hashlib

import pytest

from leat_local.overlay import kpl


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def aggregate(body: bytes) -> bytes:
    return kpl.MAGIC + body + hashlib.md5(body).digest()


ONE = field(1, b"a") + field(1, b"b")
TWO = field(3, b"\x08\x01" + field(3, b"first")) + field(3, b"\x08\x00" + field(3, b""))


@pytest.mark.parametrize("body", [ONE + TWO, TWO + ONE])  # fields come in any order
def test_an_aggregate(body):
    assert kpl.split(aggregate(body)) == [("b", b"first"), ("a", b"")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        kpl.MAGIC,
        kpl.MAGIC + bytes(16),
        aggregate(ONE + TWO)[:-1] + b"\0",  # another sum
        aggregate(b"\x1a\xff\xff\xff\xff\x7f"),  # a length beyond the end
        aggregate(field(3, b"\x08\x07" + field(3, b"x"))),  # an index out of range
    ],
)
def test_a_plain_record(data):
    assert kpl.split(data) is None
