"""What AWS checks of a request before any service sees it: the rules of its own model.

botocore carries the model of each call: required members, types, lengths, patterns, enumerations.
boto3 checks the first two before it sends; a caller that is no boto3 (a workflow, a Rust function)
sends whatever it has, and a name of 64 characters must fail here as it would on AWS.
"""

from __future__ import annotations

import functools
import re

import botocore.session
from botocore.validate import ParamValidator


class Invalid(ValueError):
    """What is wrong, in the words of AWS's own validation."""


@functools.cache
def model(service: str):
    """botocore's model of `service` (its name in boto3)."""
    return botocore.session.get_session().get_service_model(service)


def check(service: str, operation: str, given: dict) -> None:
    """Raises `Invalid` where `given` is no legal input of `operation`."""
    shape = model(service).operation_model(operation).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(given, shape)
    wrong = [report.generate_report()] if report.has_errors() else list(_broken(given, shape, ""))
    if wrong:
        some = "error" if len(wrong) == 1 else "errors"
        raise Invalid(f"{len(wrong)} validation {some} detected: {'; '.join(wrong)}")


def _broken(value, shape, where: str):
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            if name in value:
                yield from _broken(
                    value[name], member, f"{where}.{_lower(name)}" if where else _lower(name)
                )
    elif kind == "list" and isinstance(value, list):
        yield from _size(value, shape, where)
        for number, item in enumerate(value, 1):
            yield from _broken(item, shape.member, f"{where}.{number}.member")
    elif kind == "map" and isinstance(value, dict):
        yield from _size(value, shape, where)
        for key, item in value.items():
            yield from _broken(item, shape.value, f"{where}.{key}.member")
    elif kind == "string" and isinstance(value, str):
        yield from _text(value, shape, where)
    elif kind in ("integer", "long") and isinstance(value, int):
        rules = shape.metadata
        if "min" in rules and value < rules["min"]:
            yield _words(value, where, f"value greater than or equal to {rules['min']}")
        if "max" in rules and value > rules["max"]:
            yield _words(value, where, f"value less than or equal to {rules['max']}")


def _text(value: str, shape, where: str):
    if shape.enum and value not in shape.enum:
        yield _words(value, where, f"satisfy enum value set: [{', '.join(shape.enum)}]")
        return
    yield from _size(value, shape, where)
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield _words(value, where, f"satisfy regular expression pattern: {pattern}")


def _size(value, shape, where: str):
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    if len(value) < least:
        yield _words(value, where, f"length greater than or equal to {least}")
    if most is not None and len(value) > most:
        yield _words(value, where, f"length less than or equal to {most}")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # a pattern that only Java reads
        return True


def _words(value, where: str, must: str) -> str:
    verb = "" if must.startswith("satisfy") else "have "
    return f"Value '{value}' at '{where}' failed to satisfy constraint: Member must {verb}{must}"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
