"""Who settles on a ledger: the holder of the lock of its newest epoch.

Beside the ledger lies a file of which each epoch locks the byte of its own number. The operating
system holds such a lock for as long as the process lives, so that a killed market never leaves one
behind. A market that lives but does nothing (stopped, or on a machine that has stalled) keeps its
lock; its *sign of life*, the file's time stamp, grows old instead. So a successor never needs the
predecessor's help, and locks a byte that the predecessor never wanted.

The lock only keeps markets from getting into each other's way. That no tick is settled twice rests
on the epoch, which every transaction of the ledger checks.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from services.market.errors import LedgerUnavailable

_ELECTION: Final = 0
"""The byte that is locked by whoever is looking whether it may take over: one at a time."""


class LedgerLock:
    """The lock file of one ledger; a ledger in memory has none, and is always free.

    POSIX record locks: they belong to the process, so one process makes one of these per ledger.
    """

    def __init__(self, ledger_url: str) -> None:
        """Raises ``LedgerUnavailable`` when the ledger's folder cannot be written."""
        path = ledger_url.removeprefix("sqlite://").removeprefix("/").partition("?")[0]
        self._file: int | None = None
        self._epoch: int | None = None
        if not path or path == ":memory:":
            return
        lock = Path(f"{path}.lock")
        try:
            self._file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LedgerUnavailable(
                f"The ledger's folder {lock.parent} cannot be written ({error.strerror}): "
                f"choose another with ENERGYMARKET_LEDGER_URL."
            ) from error

    def begin_election(self) -> bool:
        """True when nobody else is looking just now; then ``end_election`` must follow."""
        return self._try(_ELECTION)

    def end_election(self) -> None:
        """Lets others look."""
        self._free(_ELECTION)

    def is_free(self, epoch: int) -> bool:
        """Whether the market of ``epoch`` has ended; epoch 0 is nobody's."""
        if epoch in (0, self._epoch):
            return True
        if not self._try(epoch):
            return False
        self._free(epoch)
        return True

    def take(self, epoch: int) -> None:
        """Locks ``epoch``, which is new and ours, and lets go of an earlier one of ours."""
        self.release()
        self._try(epoch)
        self._epoch = epoch
        self.show_life()

    def release(self) -> None:
        """Lets go of our epoch: whoever stands by takes over at once."""
        if self._epoch is not None:
            self._free(self._epoch)
            self._epoch = None

    def show_life(self) -> None:
        """Renews the sign of life; needs no room on the disk."""
        if self._file is not None:
            os.utime(self._file)

    def sign_of_life(self) -> int:
        """Changes as long as whoever settles is at work; only comparable, no time of day."""
        return 0 if self._file is None else os.fstat(self._file).st_mtime_ns

    def close(self) -> None:
        """Lets go of everything."""
        if self._file is not None:
            os.close(self._file)
            self._file = self._epoch = None

    def _try(self, byte: int) -> bool:
        if self._file is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    def _free(self, byte: int) -> None:
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)
