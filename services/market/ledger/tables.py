"""The tables of the ledger, and how SQLite is set up for them.

``world``     what this ledger is of; one row
``epochs``    which market settled from which tick on
``ticks``     one row per tick, with its canonical record and its chained hash
``accounts``  pages of stock and money by home id
``fleets``    home processes and the homes they hold
``events``    external events that began, or are to begin
``openings``  what a clock decided before a tick was announced
``snapshots`` the accounts as of some ticks, in ``snapshot_pages``: see ``retention``
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool

from services.market.errors import LedgerUnavailable, LedgerUnreadable

metadata = sa.MetaData()

world = sa.Table(
    "world",
    metadata,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("format", sa.Integer, nullable=False),
    sa.Column("seed", sa.Integer, nullable=False),
    sa.Column("price_model", sa.String, nullable=False),
    sa.Column("credit_limit_neur", sa.Integer),
    sa.Column("fleet_secret_key", sa.LargeBinary, nullable=False),
)
epochs = sa.Table(
    "epochs",
    metadata,
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("from_tick", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
ticks = sa.Table(
    "ticks",
    metadata,
    sa.Column("tick", sa.Integer, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("price_neur_per_wh", sa.Integer, nullable=False),
    sa.Column("next_price_neur_per_wh", sa.Integer, nullable=False),
    sa.Column("temperature_mdeg", sa.Integer, nullable=False),
    sa.Column("degraded", sa.Integer, nullable=False),
    sa.Column("homes", sa.Integer, nullable=False),
    sa.Column("absent", sa.Integer, nullable=False),
    sa.Column("given_wh", sa.Integer, nullable=False),
    sa.Column("sold_wh", sa.Integer, nullable=False),
    sa.Column("bought_wh", sa.Integer, nullable=False),
    sa.Column("spilled_wh", sa.Integer, nullable=False),
    sa.Column("unserved_wh", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("page", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stock_wh", sa.LargeBinary, nullable=False),
    sa.Column("balance_neur", sa.LargeBinary, nullable=False),
)
fleets = sa.Table(
    "fleets",
    metadata,
    sa.Column("instance", sa.String, primary_key=True),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("homes", sa.String, nullable=False),
    sa.Column("first_tick", sa.Integer, nullable=False),
    sa.Column("left_tick", sa.Integer),
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("coefficient_neur_per_wh", sa.Integer, nullable=False),
    sa.Column("ttl_ticks", sa.Integer, nullable=False),
    sa.Column("start_tick", sa.Integer, nullable=False, index=True),
    sa.Column("source", sa.String, nullable=False),
)
openings = sa.Table(
    "openings",
    metadata,
    sa.Column("tick", sa.Integer, primary_key=True),
    sa.Column("opening", sa.LargeBinary, nullable=False),
)
snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("tick", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("tick_hash", sa.LargeBinary, nullable=False),
    sa.Column("next_price_neur_per_wh", sa.Integer, nullable=False),
    sa.Column("seal", sa.LargeBinary, nullable=False),
)
snapshot_pages = sa.Table(
    "snapshot_pages",
    metadata,
    sa.Column("tick", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("page", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stock_wh", sa.LargeBinary, nullable=False),
    sa.Column("balance_neur", sa.LargeBinary, nullable=False),
)


class Prepared:
    """A statement that is run with every tick, put into words once and handed to the driver itself:
    SQLAlchemy's own way to find and to pass on the words takes longer than SQLite takes to carry
    them out."""

    def __init__(self, statement: sa.Insert | sa.Select[Any]) -> None:
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        self._text = str(compiled)
        self._names = tuple(compiled.positiontup or ())

    def insert(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Runs an insertion, once with each of the rows."""
        values = [tuple([row[name] for name in self._names]) for row in rows]
        _driver_of(connection).executemany(self._text, values)

    def value(self, connection: sa.Connection) -> Any:
        """Runs a question whose answer is one value."""
        row = _driver_of(connection).execute(self._text).fetchone()
        return row[0] if row else None


def _driver_of(connection: sa.Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    return cast("sqlite3.Connection", driver)


TEMPORARY: Final = "sqlite:///file:?uri=true"
"""The URL of a ledger that goes with its market. SQLite keeps it in a file that has lost its name
before its first byte is written, in the folder that SQLITE_TMPDIR, else TMPDIR, else the system
names: whatever ends the process, nothing is left. Up to 2 MB of it are in memory, and nothing is
synced."""


class Database:
    """Connections to one SQLite database: in a file, in memory, or temporary.

    One in memory, or a temporary one, has one connection, which threads share one at a time; a file
    has one for each, and its write-ahead log lets readers go on while a tick is written.
    """

    def __init__(self, url: str | sa.URL, *, read_only: bool = False) -> None:
        self.file = file_of(url)
        with_its_connection = url in ("sqlite://", "sqlite:///:memory:", TEMPORARY)
        self._turn = threading.RLock() if with_its_connection else nullcontext()
        options: dict[str, Any] = (
            {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
            if with_its_connection
            else {"connect_args": {"timeout": 10}}
        )
        self._engine = sa.create_engine(url, **options)
        if not read_only:
            sa.event.listen(self._engine, "connect", _configure)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with. Raises ``LedgerUnavailable``, and ``LedgerUnreadable`` also
        when the block cannot make sense of what it reads."""
        with self._turn, _translated("be read"), self._engine.connect() as connection:
            try:
                yield connection
            except (TypeError, ValueError, OverflowError, MemoryError) as error:
                raise LedgerUnreadable(
                    f"the ledger is damaged: it holds what no market writes ({error})"
                ) from error

    @contextmanager
    def writing(self, what: str) -> Iterator[sa.Connection]:
        """A transaction that holds the write lock from its start, and is on the disk at its end.

        Raises ``LedgerUnavailable``, which names ``what``; then nothing was written.
        """
        with self._turn, _translated(f"store {what}"), self._engine.connect() as connection:
            driver = _driver_of(connection)
            driver.execute("BEGIN IMMEDIATE")
            yield connection
            driver.commit()

    def close(self) -> None:
        """Gives all connections back."""
        self._engine.dispose()


def file_of(url: str | sa.URL) -> Path | None:
    """The file that a URL names; None for a ledger in memory, and for names in SQLite's own form,
    which may mean anything."""
    name = sa.make_url(url).database
    return None if not name or name == ":memory:" or name.startswith("file:") else Path(name)


def url_of(path: Path) -> sa.URL:
    """The URL of a file, whatever signs are in its name."""
    return sa.URL.create("sqlite", database=str(path))


def read_only_url_of(path: Path) -> sa.URL:
    """The URL of a file for which nothing is ever written into it."""
    # Where SQLite may not put its index of the log, a file without a log can be read all the same.
    log = path.with_name(f"{path.name}-wal")
    fixed = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    mode = {"immutable": "1"} if fixed else {"mode": "ro"}
    return sa.URL.create(
        "sqlite", database=f"file:{quote(str(path))}", query=mode | {"uri": "true"}
    )


def _configure(connection: Any, _record: Any) -> None:
    # Transactions are begun by hand: the driver's own begin comes too late to check the epoch.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


@contextmanager
def _translated(action: str) -> Iterator[None]:
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        of_driver = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        said = " ".join(str(of_driver).split())[:200]  # of a damaged schema SQLite shows it all
        code = getattr(of_driver, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _NEVER_A_LEDGER:
            raise LedgerUnreadable(f"the ledger is damaged, or none: {said}") from error
        raise LedgerUnavailable(f"the ledger cannot {action}: {said}") from error
    except sa.exc.SQLAlchemyError as error:
        raise LedgerUnavailable(f"the ledger cannot {action}: {error.args[0]}") from error


_NEVER_A_LEDGER: Final = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""SQLite's words for a table or column that is not there, for damage, and for a foreign file."""
