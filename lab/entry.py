"""Entry of the installed ``energymarket`` command.

It imports next to nothing itself: what ``lab.cli`` imports takes a second, in which Ctrl-C is to be
no traceback either.
"""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """The command; exit code 130 when it is interrupted before it listens to signals."""
    try:
        from lab.cli import main as command  # noqa: PLC0415 - so that it may be interrupted

        command()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
