"""The ledger's lock: one process settles on a ledger; a second one waits for it to end.

The operating system holds the lock for as long as the process lives, so that a killed market never
leaves one behind. A ledger in memory needs none.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import IO

from energymarket.telemetry import Log
from services.market.errors import LedgerUnavailable

_LOOK_AGAIN_S = 0.2


class LedgerLock:
    """An exclusive lock beside the ledger's file."""

    def __init__(self, ledger_url: str) -> None:
        path = ledger_url.removeprefix("sqlite://").removeprefix("/").partition("?")[0]
        self._path = Path(f"{path}.lock") if path and path != ":memory:" else None
        self._file: IO[bytes] | None = None

    def acquire(self, wait: Callable[[float], bool], log: Log) -> bool:
        """Waits until the lock is ours; False when ``wait(seconds)`` says that we are to stop.

        Raises ``LedgerUnavailable`` when the folder cannot be written.
        """
        if self._path is None:
            return True
        try:
            self._file = self._path.open("ab")
        except OSError as error:
            raise LedgerUnavailable(
                f"The ledger's folder {self._path.parent} cannot be written ({error.strerror}): "
                f"choose another with ENERGYMARKET_LEDGER_URL."
            ) from error
        said = False
        while not self._try():
            if not said:
                log.info("standing by: another market settles on this ledger")
                said = True
            if wait(_LOOK_AGAIN_S):
                return False
        return True

    def _try(self) -> bool:
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Gives the lock to whoever waits for it."""
        if self._file:
            self._file.close()
            self._file = None
