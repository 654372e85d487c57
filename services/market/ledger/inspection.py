"""Looking a ledger over without trusting it: what kind of file it is, and what its rows hold.

A damaged file can hold anything anywhere, a number where bytes belong or a text that is none. So
rows are read as SQLite gives them, and nobody computes with one before its types are checked. All
that one inspection sees is of one moment, however busily a market writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from energymarket.messages import EventStart
from services.market.domain import columns, record
from services.market.domain.accounts import Accounts
from services.market.domain.crosscheck import (
    NewestTicks,
    StoredStart,
    Surroundings,
    TickLine,
)
from services.market.domain.home_ids import from_ranges
from services.market.domain.membership import Fleet
from services.market.domain.pricing import PRICE_MODELS
from services.market.domain.replay import HIGHEST_HOME, LedgerFault, StoredTick
from services.market.domain.rules import Rules
from services.market.domain.snapshot import PAGE_HOMES, Page, Snapshot
from services.market.errors import LedgerUnreadable
from services.market.ledger.tables import Database, read_only_url_of

_TABLES: Final = {"world", "epochs", "ticks", "accounts", "fleets", "events", "openings"}
"""Without these a file is no ledger; a market adds what later versions brought."""

_BESIDE: Final = (
    *("tick", "price_neur_per_wh", "next_price_neur_per_wh", "temperature_mdeg", "degraded"),
    *("homes", "absent", "given_wh", "sold_wh", "bought_wh", "spilled_wh", "unserved_wh"),
)
_TICK_TYPES: Final = (*(int,) * len(_BESIDE), int, float, bytes, bytes)
_TICKS: Final = (
    f"SELECT {', '.join(_BESIDE)}, epoch, at, record, hash FROM ticks WHERE tick > ? ORDER BY tick"
)

_MOST_PAGES: Final = HIGHEST_HOME // PAGE_HOMES
_LOOK_BACK_TICKS: Final = 1_000
_LOOK_BACK_HOME_TICKS: Final = 200_000
_QUICK_CHECK_BYTES: Final = 1 << 30
_ROWS_AT_ONCE: Final = 8  # of a million homes one has 36 MB
"""Up to this size a market that starts has SQLite check all pages (about a second per GB)."""


class Inspection:
    """One look at a ledger. Its methods raise ``LedgerUnreadable``, which says what is wrong."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def of_file(cls, path: Path) -> Iterator[Inspection]:
        """A look at a file, which is only read. Raises ``LedgerUnavailable``."""
        database = Database(read_only_url_of(path), read_only=True)
        try:
            with cls.of(database) as look:
                yield look
        finally:
            database.close()

    @classmethod
    @contextmanager
    def of(cls, database: Database) -> Iterator[Inspection]:
        """A look at a database that is open."""
        with database.reading() as connection:
            connection.exec_driver_sql("BEGIN")
            yield cls(connection)

    # ------------------------------------------------------------------------------ what it is

    def check_kind(self) -> None:
        """It is a ledger, and one that this version reads."""
        found = {name for (name,) in self._rows("SELECT name FROM sqlite_master", str)}
        missing = sorted(_TABLES - found)
        if missing:
            what = f"it has no table {missing[0]}" if found else "it is empty"
            raise LedgerUnreadable(f"this is no ledger: {what}")
        formats = self._rows("SELECT format FROM world", int)
        if len(formats) != 1:
            raise LedgerUnreadable(f"the ledger is damaged: it is of {len(formats)} worlds")
        if formats[0][0] != record.FORMAT:
            raise LedgerUnreadable(
                f"the ledger is of format {formats[0][0]}, and this version reads format "
                f"{record.FORMAT}: use the version of energymarket that wrote it"
            )

    def check_pages(self, *, thoroughly: bool) -> None:
        """The file is in order as SQLite sees it; ``thoroughly`` with every index."""
        statement = "PRAGMA integrity_check(1)" if thoroughly else "PRAGMA quick_check(1)"
        said = self._connection.exec_driver_sql(statement).scalars().all()
        if said != ["ok"]:
            detail = " ".join(" ".join(map(str, said)).split())
            raise LedgerUnreadable(f"the ledger is damaged: {detail}")

    def rules(self) -> Rules:
        """What its world is made by."""
        query = "SELECT seed, price_model, run, fleet_secret_key, credit_limit_neur FROM world"
        seed, model, run, key, limit = self._row(query, int, str, str, bytes, (int, type(None)))
        if model not in PRICE_MODELS or not re.fullmatch("[0-9a-f]{16}", run) or len(key) != 32:
            raise LedgerUnreadable("the ledger is damaged: its world cannot be")
        return Rules(seed, model, limit)

    # --------------------------------------------------------------------------- what it holds

    def ticks(self, *, after: int = 0) -> Iterator[TickLine]:
        """Every tick after a tick, oldest first; read in steps, so that it takes no memory."""
        connection = self._connection.execution_options(yield_per=_ROWS_AT_ONCE)
        for row in connection.exec_driver_sql(_TICKS, (after,)):
            _check_types("ticks", row, _TICK_TYPES)
            *beside, epoch, _, body, tick_hash = row
            stored = StoredTick(row[0], epoch, body, tick_hash)
            yield TickLine(stored, dict(zip(_BESIDE, beside, strict=True)))

    def newest_ticks(self) -> Iterator[TickLine]:
        """The newest ticks: few enough to be looked through in a fraction of a second."""
        homes_together, from_tick = 0, 0
        limit = f"ORDER BY tick DESC LIMIT {_LOOK_BACK_TICKS}"
        for tick, homes in self._rows(f"SELECT tick, homes FROM ticks {limit}", int, int):
            if homes_together > _LOOK_BACK_HOME_TICKS:
                break
            homes_together, from_tick = homes_together + homes, tick
        return self.ticks(after=from_tick - 1)

    def home_ticks(self) -> int:
        """Homes of all ticks together: as many rows as there are receipts."""
        ((found,),) = self._rows("SELECT sum(homes) FROM ticks", (int, type(None)))
        return int(found or 0)

    def oldest_tick(self) -> int:
        """The first tick that is left; 1 before there is any."""
        ((oldest,),) = self._rows("SELECT min(tick) FROM ticks", (int, type(None)))
        return int(oldest or 1)

    def accounts(self) -> Accounts:
        """What every home has."""
        held = Accounts()
        query = "SELECT page, stock_wh, balance_neur FROM accounts ORDER BY page"
        for page, stocks, balances in self._rows(query, int, bytes, bytes):
            stock_wh, balance_neur = _unpacked(stocks), _unpacked(balances)
            even = len(stock_wh) == len(balance_neur) <= PAGE_HOMES
            if not 0 <= page < _MOST_PAGES or not even:
                raise LedgerUnreadable(f"the ledger is damaged: page {page} of the accounts")
            held.grow_to(page * PAGE_HOMES)
            held.stock_wh.extend(stock_wh)
            held.balance_neur.extend(balance_neur)
        return held

    def snapshots(self) -> dict[int, Snapshot]:
        """The snapshots by their tick, without their accounts."""
        if not self._rows("SELECT name FROM sqlite_master WHERE name = 'snapshots'", str):
            return {}  # a ledger of a version that forgot nothing
        query = "SELECT tick, epoch, tick_hash, next_price_neur_per_wh, seal FROM snapshots"
        rows = self._rows(query, int, int, bytes, int, bytes)
        return {row[0]: Snapshot(*row) for row in rows}

    def snapshot_pages(self, tick: int) -> list[Page]:
        """The accounts of a snapshot, in ascending page."""
        query = f"SELECT page, stock_wh, balance_neur, tick FROM snapshot_pages WHERE tick = {tick}"
        rows = self._rows(f"{query} ORDER BY page", int, bytes, bytes, int)
        return [Page(*row[:3]) for row in rows]

    def base(self) -> Snapshot | None:
        """The snapshot that the history begins with; None when it begins with the first tick, or
        when ticks are missing for which there is no snapshot.

        Ticks of before may still be there: the market deletes them little by little.
        """
        oldest = self.oldest_tick()
        if oldest == 1:
            return None
        later = {tick: each for tick, each in self.snapshots().items() if tick >= oldest - 1}
        return later[min(later)] if later else None

    def surroundings(self) -> Surroundings:
        """All that stands beside ticks and accounts."""
        epochs = self._rows("SELECT epoch, from_tick, at FROM epochs ORDER BY epoch", *_EPOCH)
        return Surroundings(
            epochs=[(epoch, from_tick) for epoch, from_tick, _ in epochs],
            starts=self._starts(),
            openings=self._openings(),
            fleets=self._fleets(),
        )

    def _starts(self) -> list[StoredStart]:
        query = (
            "SELECT id, name, coefficient_neur_per_wh, ttl_ticks, start_tick, source FROM events"
        )
        return [
            StoredStart(
                row[0],
                EventStart(name=row[1], coefficient_neur_per_wh=row[2], ttl_ticks=row[3]),
                row[4],
                row[5],
            )
            for row in self._rows(query, int, str, int, int, int, str)
        ]

    def _openings(self) -> list[record.Opening]:
        found = []
        for tick, body in self._rows("SELECT tick, opening FROM openings", int, bytes):
            try:
                opening = record.opening_from_bytes(body)
            except record.RecordCorrupt as error:
                raise LedgerUnreadable(f"the ledger is damaged: {error}") from error
            if opening.tick != tick:
                raise LedgerUnreadable(f"the ledger is damaged: the opening of tick {tick}")
            found.append(opening)
        return found

    def _fleets(self) -> list[Fleet]:
        query = "SELECT instance, key, homes, first_tick, left_tick FROM fleets"
        rows = self._rows(query, str, str, str, int, (int, type(None)))
        return [Fleet(row[0], row[1], _homes(row[2]), row[3], row[4]) for row in rows]

    def _row(self, query: str, *types: Any) -> Sequence[Any]:
        (row,) = self._rows(query, *types)
        return row

    def _rows(self, query: str, *types: Any) -> list[Sequence[Any]]:
        """The rows of a small table, each value of its type."""
        table = query.rpartition(" FROM ")[2].partition(" ")[0]
        rows: list[Sequence[Any]] = []
        for row in self._connection.exec_driver_sql(query):
            _check_types(table, row, types)
            rows.append(row)
        return rows


_EPOCH: Final = (int, int, float)


def check_before_writing(path: Path) -> None:
    """What a market asks of a file before it opens it for writing: a whole ledger of this version.

    A foreign database gets no table of ours, and SQLite's own check finds a file that was cut.
    Raises ``LedgerUnreadable``, ``LedgerUnavailable``.
    """
    with Inspection.of_file(path) as look:
        look.check_kind()
        if path.stat().st_size <= _QUICK_CHECK_BYTES:
            look.check_pages(thoroughly=False)


def check_newest(database: Database) -> None:
    """What a market asks of a ledger before it goes on with it: its newest ticks chain up, their
    columns and accounts are what their records say, and what is to come can follow.

    Takes a fraction of a second however long the ledger is. Raises ``LedgerUnreadable``.
    """
    with Inspection.of(database) as look:
        try:
            check = NewestTicks(
                look.surroundings(), record.genesis_hash(look.rules()), look.oldest_tick()
            )
            for line in look.newest_ticks():
                check.feed(line)
            check.finish(look.accounts())
        except LedgerFault as fault:
            raise LedgerUnreadable(
                f"the ledger is damaged, and nothing is settled on top of it: {fault}"
            ) from fault


def _check_types(table: str, row: Sequence[Any], types: Sequence[Any]) -> None:
    for value, kind in zip(row, types, strict=True):
        if not isinstance(value, kind):
            raise LedgerUnreadable(
                f"the ledger is damaged: a row of {table} (first value {str(row[0])[:40]}) "
                f"holds a value of a wrong kind"
            )


def _unpacked(column: bytes) -> Sequence[int]:
    try:
        return columns.unpack(column)
    except ValueError as error:
        raise LedgerUnreadable(f"the ledger is damaged: accounts hold {error}") from error


def _homes(text: str) -> tuple[int, ...]:
    # The pattern bounds a range before it is written out: a changed digit must not fill the memory.
    if not re.fullmatch(r"\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*|", text):
        raise LedgerUnreadable("the ledger is damaged: a fleet's homes are no home ids")
    return from_ranges(text)
