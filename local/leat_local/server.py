"""The process that is the local AWS: MiniStack with the overlay. Started by the supervisor."""

import os
import signal
import sys

from . import overlay, processes


def main() -> None:
    """Serves until told to stop, or until the supervisor is gone."""
    processes.when_owner_ends(sys.stdin.fileno(), lambda: os.kill(os.getpid(), signal.SIGTERM))
    overlay.install()
    sys.argv = ["ministack"]
    from ministack import app

    app.main()


if __name__ == "__main__":
    main()
