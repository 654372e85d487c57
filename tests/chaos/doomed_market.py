"""The market with an end to come: ``python -m tests.chaos.doomed_market``.

It is the market as it runs anywhere else, with something handed in at its named steps. While the
file that ``ENERGYMARKET_DOOM`` names is there, its two lines say at which step, and at which
occurrence of it from then on, this process kills itself. A running market can so be doomed at any
time. Before it dies it renames the file, by which whoever wrote it knows that the step was hit.
"""

from __future__ import annotations

import os
import signal
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
            doomed_step, occurrence = self._file.read_text().splitlines()
        except FileNotFoundError:
            return
        if step != doomed_step:
            return
        self._passed += 1
        if self._passed >= int(occurrence):
            self._file.rename(met(self._file))
            os.kill(os.getpid(), signal.SIGKILL)


def pronounce(file: Path, step: str, occurrence: int) -> None:
    """Dooms the market that watches ``file``, and forgets the one before."""
    met(file).unlink(missing_ok=True)
    written = file.with_suffix(".new")
    written.write_text(f"{step}\n{occurrence}\n")
    written.rename(file)  # whole, or not there yet


def met(file: Path) -> Path:
    """Where the file of a doom is when the process that it was for has killed itself."""
    return file.with_suffix(".met")


if __name__ == "__main__":
    runtime.main(lambda: run(checkpoint=Doom(Path(os.environ["ENERGYMARKET_DOOM"]))))
