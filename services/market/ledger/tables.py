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

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from services.market.errors import LedgerUnavailable

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


class Database:
    """Connections to one SQLite database: in a file, or in memory.

    A database in memory has one connection, which threads share one at a time; a file has one for
    each, and its write-ahead log lets readers go on while a tick is written.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        if read_only:
            url = f"sqlite:///file:{url.removeprefix('sqlite:///')}?mode=ro&uri=true"
        memory = url in ("sqlite://", "sqlite:///:memory:")
        self._turn = threading.RLock() if memory else nullcontext()
        options: dict[str, Any] = (
            {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
            if memory
            else {"connect_args": {"timeout": 10}}
        )
        self._engine = sa.create_engine(url, **options)
        if not read_only:
            sa.event.listen(self._engine, "connect", _configure)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with. Raises ``LedgerUnavailable``."""
        with self._turn, _translated("be read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def reading_at_one_moment(self) -> Iterator[sa.Connection]:
        """Like ``reading``; several queries see the same ledger, whatever is written meanwhile."""
        with self.reading() as connection:
            connection.exec_driver_sql("BEGIN")  # the driver begins none for a mere SELECT
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self, what: str) -> Iterator[sa.Connection]:
        """A transaction that holds the write lock from its start, and is on the disk at its end.

        Raises ``LedgerUnavailable``, which names ``what``; then nothing was written.
        """
        with self._turn, _translated(f"store {what}"), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def close(self) -> None:
        """Gives all connections back."""
        self._engine.dispose()


def _configure(connection: Any, _record: Any) -> None:
    # Transactions are begun by hand: the driver's own begin comes too late to check the epoch.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


@contextmanager
def _translated(action: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise LedgerUnavailable(f"the ledger cannot {action}: {error.args[0]}") from error
