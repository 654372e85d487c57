"""A copy of the whole ledger as of one moment, while a market goes on to write it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final

from services.market.errors import LedgerUnavailable
from services.market.ledger.tables import Database, world

_LEFT_FREE_BYTES: Final = 64 * 2**20
"""What a copy leaves on the disk at least: without room no tick can be settled."""

_STEPS_BETWEEN_LOOKS: Final = 10_000
"""Of SQLite's machine; some milliseconds."""


def copied(database: Database, give_up: Callable[[], bool]) -> BinaryIO:
    """The ledger as one SQLite file, open for reading, with no name: it is gone when it is closed,
    and when the process dies.

    It holds everything but the key that fleets' secrets are made from, which is another one in it:
    who has the copy cannot speak for a home. The file lies beside the ledger in between, for there
    is the room; stops when ``give_up()``. Raises ``LedgerUnavailable``.
    """
    folder = database.file.parent if database.file else Path(tempfile.gettempdir())
    with database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        size_bytes = pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    try:
        _check_room(folder, size_bytes)
        descriptor, name = tempfile.mkstemp(prefix="ledger-copy-", suffix=".db", dir=folder)
        os.close(descriptor)
        path = Path(name)
        try:
            _fill(database, path, give_up)
            _change_key(path)
            return path.open("rb")
        finally:
            path.unlink()
    except (OSError, sqlite3.Error) as error:
        raise LedgerUnavailable(f"the ledger cannot be copied: {error}") from error


def _check_room(folder: Path, size_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < size_bytes + _LEFT_FREE_BYTES:
        raise LedgerUnavailable(
            f"the ledger cannot be copied: it takes {size_bytes >> 20} MiB, and {free_bytes >> 20} "
            f"MiB are free in {folder}, of which {_LEFT_FREE_BYTES >> 20} are to stay free"
        )


def _fill(database: Database, path: Path, give_up: Callable[[], bool]) -> None:
    with database.reading() as connection:
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(give_up, _STEPS_BETWEEN_LOOKS)
        try:
            connection.exec_driver_sql("VACUUM INTO ?", (str(path),))
        finally:
            driver.set_progress_handler(None, 0)


def _change_key(path: Path) -> None:
    """Puts another key in the place of the ledger's own, of which no byte stays in the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = MEMORY")
        copy.execute("PRAGMA secure_delete = ON")
        copy.execute(f"UPDATE {world.name} SET fleet_secret_key = randomblob(32)")
