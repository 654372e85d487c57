"""The market with an end to come: ``python -m tests.chaos.doomed_market``.

It is the market as it runs anywhere else, with something handed in at its named steps. While the
file that ``ENERGYMARKET_DOOM`` names is there, its lines say at which step, at which occurrence of
it from then on, and how many seconds later this process kills itself. A running market can so be
doomed at any time. Before it dies it renames the file, by which whoever wrote it knows that the
step was hit.

The seconds are for the thread of its connection, which meanwhile sends what it has been given: an
acknowledgement that was given too early is only then with the broker before the process dies.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from energymarket import runtime
from services.market.__main__ import run


class Doom:
    """A ``Checkpoint`` that passes by until its file says otherwise."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed = 0

    def __call__(self, step: str) -> None:
        """Ends the process when its time has come: SIGKILL, so that nothing is cleaned up."""
        try:
            doomed_step, occurrence, linger_s = self._file.read_text().splitlines()
        except FileNotFoundError:
            return
        if step != doomed_step:
            return
        self._passed += 1
        if self._passed >= int(occurrence):
            self._file.rename(met(self._file))
            time.sleep(float(linger_s))
            os.kill(os.getpid(), signal.SIGKILL)


def pronounce(file: Path, step: str, occurrence: int, linger_s: float) -> None:
    """Dooms the market that watches ``file``, and forgets the one before."""
    met(file).unlink(missing_ok=True)
    written = file.with_suffix(".new")
    written.write_text(f"{step}\n{occurrence}\n{linger_s}\n")
    written.rename(file)  # whole, or not there yet


def met(file: Path) -> Path:
    """Where the file of a doom is when the process that it was for has killed itself."""
    return file.with_suffix(".met")


if __name__ == "__main__":
    runtime.main(lambda: run(checkpoint=Doom(Path(os.environ["ENERGYMARKET_DOOM"]))))
