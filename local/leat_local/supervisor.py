"""Leads the session of a local AWS, and ends all of it when it, or its owner, ends.

Whatever the reason (told to stop, server crashed, the demo killed), nothing stays behind: Lambda's
functions, model servers and Spark are in this session, and the session is ended as a whole.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from . import processes


def main() -> None:
    """`supervisor [--owned]`: with `--owned`, standard input is a pipe that the owner holds."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    if "--owned" in sys.argv:
        processes.when_owner_ends(sys.stdin.fileno(), over.set)
    server = subprocess.Popen([sys.executable, "-m", "leat_local.server"], stdin=subprocess.PIPE)

    def wait_for_server() -> None:
        server.wait()
        over.set()

    threading.Thread(target=wait_for_server, daemon=True).start()
    over.wait()
    processes.end_session(os.getsid(0))
    home = Path(os.environ["LEAT_LOCAL_HOME"])
    shutil.rmtree(home / "tmp", ignore_errors=True)
    (home / "local.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
