"""What makes MiniStack behave where it does not: one file per service.

The overlay moves bytes and time. It never computes a feature, a verdict, a score or a count.
Every hook is checked when it is set, so that a new MiniStack fails at start and not by silence.
"""

from . import (
    crawler,
    firehose,
    glue,
    hooks,
    iam,
    kinesis_mapping,
    sagemaker,
    states,
    states_calls,
    states_map,
)

PARTS = (iam, glue, crawler, kinesis_mapping, firehose, sagemaker, states, states_map, states_calls)


def install() -> None:
    """Sets every hook; raises `hooks.Moved` when MiniStack is not the one they were made for."""
    hooks.check_version()
    for part in PARTS:
        hooks.check(part.USES)
    for part in PARTS:
        part.install()
