"""`python -m leat_local up | down | status | demo`: the local AWS, and the whole pipeline on it."""

from __future__ import annotations

import argparse
import sys

from . import deploy, stack
from .demo import without


def main() -> int:
    """Runs one command; 2 is misuse or refusal."""
    parser = argparse.ArgumentParser(prog="leat_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start it on a free port of 127.0.0.1")
    start.add_argument("--no-auth", action="store_true", help="let every caller do everything")
    commands.add_parser("down", help="end it with all it started")
    commands.add_parser("status", help="say where it answers")
    demo = commands.add_parser("demo", help="the whole pipeline on a local AWS")
    demo.add_argument("--history", type=int, default=30_000, help="events in the history file")
    demo.add_argument("--live", type=int, default=8_000, help="events put on the stream")
    demo.add_argument("--keep", action="store_true", help="stay up afterwards, until Ctrl-C")
    demo.add_argument(
        "--without",
        metavar="PART",
        choices=(*deploy.FUNCTIONS, without.WHEEL),
        help="put a part that does nothing in the place of this function, or of the wheel: the demo must fail",
    )
    under = commands.add_parser("traffic", help="promotions while events stream: no gap, no overlap")
    under.add_argument("--history", type=int, default=10_000, help="events in the history file")
    under.add_argument("--live", type=int, default=12_000, help="events put on the stream, 50 a second")
    given = parser.parse_args()
    try:
        return {"up": _up, "down": _down, "status": _status, "demo": _demo, "traffic": _traffic}[given.command](given)
    except KeyboardInterrupt:
        print("\nleat_local: stopped", file=sys.stderr)
        return 130
    except stack.Trouble as why:
        print(f"leat_local: {why}", file=sys.stderr)
        return 2


def _up(given) -> int:
    local = stack.up(auth=not given.no_auth)
    print(f"The local AWS answers at {local.endpoint}. Its log: {local.log}\n")
    for name, value in local.environment().items():
        print(f"export {name}={value}")
    return 0


def _down(_) -> int:
    print("The local AWS has ended." if stack.down() else "No local AWS runs here.")
    return 0


def _status(_) -> int:
    local = stack.find()
    if local and local.healthy():
        print(f"running at {local.endpoint} (process {local.pid}); log: {local.log}")
        return 0
    print("not running")
    return 1


def _demo(given) -> int:
    from .demo import run

    return run.run(given.history, given.live, given.keep, given.without)


def _traffic(given) -> int:
    from .demo import traffic

    return traffic.run(given.history, given.live)


if __name__ == "__main__":
    sys.exit(main())
