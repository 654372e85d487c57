"""A new ledger is there whole, or not at all.

It is made under another name and linked to its own when it is complete: a market that is killed on
the way leaves no file that only looks like a ledger, and of two markets that begin one at the same
time the second finds that of the first. So a ledger that is empty can be called damaged.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from services.market.errors import LedgerUnavailable, LedgerUnreadable

_BESIDE = ("", "-wal", "-shm", "-journal")


def begin_ledger(path: Path, make: Callable[[Path], None]) -> None:
    """Has ``make`` write a ledger under a name of its own, and puts it at ``path``.

    ``make`` closes what it opened. Raises ``LedgerUnavailable``, ``LedgerUnreadable``; then there
    is no ledger at ``path``, and nothing else is left behind.
    """
    _check_nothing_is_left_of_another(path)
    apart = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        _remove(apart)
        make(apart)
        if _beside(apart, "-wal").exists():
            raise LedgerUnavailable("the ledger cannot be begun: its disk has no room")
        # Unlike a rename, a link never replaces the ledger of a market that was quicker.
        with contextlib.suppress(FileExistsError):
            os.link(apart, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise LedgerUnavailable(f"the ledger cannot be begun: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            _remove(apart)


def _check_nothing_is_left_of_another(path: Path) -> None:
    """SQLite would take the log of a ledger that is gone for that of the new one."""
    log = _beside(path, "-wal")
    if log.exists() and log.stat().st_size:
        raise LedgerUnreadable(
            f"the ledger {path.name} is gone and its log {log.name} is still there: bring the "
            f"ledger back, or remove the log to begin a new one"
        )


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _remove(apart: Path) -> None:
    for ending in _BESIDE:
        _beside(apart, ending).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
