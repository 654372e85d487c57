"""Reading the ledger: what the API shows, and what a market needs to go on."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import sqlalchemy as sa

from energymarket.messages import EventStart
from services.market.domain import columns, record
from services.market.domain.pricing import Term
from services.market.domain.record import SettledTick
from services.market.domain.snapshot import Page, unpacked
from services.market.errors import LedgerUnreadable
from services.market.ledger import copying
from services.market.ledger.inspection import Inspection
from services.market.ledger.tables import (
    Database,
    accounts,
    epochs,
    events,
    ticks,
)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A tick's line in the history of prices; sums over its homes."""

    tick: int
    price_neur_per_wh: int
    next_price_neur_per_wh: int
    temperature_mdeg: int
    degraded: int
    homes: int
    absent: int
    given_wh: int
    sold_wh: int
    bought_wh: int
    spilled_wh: int
    unserved_wh: int
    at: float


@dataclass(frozen=True, slots=True)
class Headline:
    """A tick in short: its line, the terms of the price that it made, its chained hash."""

    row: PriceRow
    terms: Sequence[Term]
    head_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An external event as the ledger keeps it; ``source`` is ``external`` or ``api``."""

    id: int
    start: EventStart
    start_tick: int
    source: str


_END_TICK = events.c.start_tick + events.c.ttl_ticks
"""The first tick after the life of an event."""

_PRICE_COLUMNS = [ticks.c[name] for name in PriceRow.__dataclass_fields__]


class History:
    """Ticks, prices and events of the past; any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def of_file(cls, path: str) -> History:
        """The history in a ledger's file, which is only read; a market may be writing it."""
        return cls(Database(f"sqlite:///{path}", read_only=True))

    def close(self) -> None:
        """Gives all connections back."""
        self._database.close()

    @contextmanager
    def inspection(self) -> Iterator[Inspection]:
        """A look at the whole ledger as of this moment."""
        with Inspection.of(self._database) as look:
            yield look

    def copied(self, give_up: Callable[[], bool]) -> BinaryIO:
        """The whole ledger as one SQLite file without a name: see ``copying``."""
        return copying.copied(self._database, give_up)

    def oldest_tick(self) -> int:
        """The first tick that is kept; 0 before there is any."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(sa.func.min(ticks.c.tick))).scalar() or 0

    def accounts(self) -> tuple[array[int], array[int]]:
        """(stock, money) of every home as stored, home 1 first."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(accounts).order_by(accounts.c.page))
            return unpacked(Page(row.page, row.stock_wh, row.balance_neur) for row in rows)

    def settled(self, tick: int) -> SettledTick | None:
        """A tick of the past; None when the ledger does not hold it."""
        with self._database.reading() as connection:
            body = connection.execute(
                sa.select(ticks.c.record).where(ticks.c.tick == tick)
            ).scalar()
        return None if body is None else _opened(body)

    def settled_between(self, from_tick: int, to_tick: int, limit: int) -> list[SettledTick]:
        """Ticks of ``[from_tick, to_tick)``, newest first, at most ``limit``."""
        query = (
            sa.select(ticks.c.record)
            .where(ticks.c.tick >= from_tick, ticks.c.tick < to_tick)
            .order_by(ticks.c.tick.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_opened(body) for body in connection.execute(query).scalars()]

    def newest_first(
        self, from_tick: int, to_tick: int, limit: int, max_rows: int
    ) -> list[SettledTick]:
        """Ticks of ``[from_tick, to_tick)``, newest first: at most ``limit``, and only as many as
        have ``max_rows`` homes together (but one at least), for a record grows with its homes."""
        sizes = (
            sa.select(ticks.c.tick, ticks.c.homes)
            .where(ticks.c.tick >= from_tick, ticks.c.tick < to_tick)
            .order_by(ticks.c.tick.desc())
            .limit(limit)
        )
        chosen: list[int] = []
        rows = 0
        with self._database.reading() as connection:
            for tick, homes in connection.execute(sizes):
                rows += homes
                if chosen and rows > max_rows:
                    break
                chosen.append(tick)
        if not chosen:
            return []
        query = (
            sa.select(ticks.c.record)
            .where(ticks.c.tick >= chosen[-1], ticks.c.tick <= chosen[0])
            .order_by(ticks.c.tick.desc())
        )
        with self._database.reading() as connection:
            bodies = connection.execute(query).scalars().all()
        return [_opened(body) for body in bodies]

    def tick_hash(self, tick: int) -> bytes | None:
        """The chained hash of a tick; None when the ledger does not hold it."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(ticks.c.hash).where(ticks.c.tick == tick)).scalar()
        return None if found is None else bytes(found)

    def prices(self, from_tick: int, to_tick: int, limit: int) -> list[PriceRow]:
        """Ticks of ``[from_tick, to_tick)``, oldest first, at most ``limit``."""
        query = (
            sa.select(*_PRICE_COLUMNS)
            .where(ticks.c.tick >= from_tick, ticks.c.tick < to_tick)
            .order_by(ticks.c.tick)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [PriceRow(*row) for row in connection.execute(query)]

    def headlines(self, from_tick: int, to_tick: int, limit: int, max_rows: int) -> list[Headline]:
        """Ticks of ``[from_tick, to_tick)``, oldest first: at most ``limit``, and only as many as
        have ``max_rows`` homes together (but one at least), for a record grows with its homes."""
        query = (
            sa.select(*_PRICE_COLUMNS, ticks.c.hash, ticks.c.record)
            .where(ticks.c.tick >= from_tick, ticks.c.tick < to_tick)
            .order_by(ticks.c.tick)
            .limit(limit)
        )
        found: list[Headline] = []
        rows = 0
        with self._database.reading() as connection:
            for *values, tick_hash, body in connection.execute(query):
                row = PriceRow(*values)
                rows += row.homes
                if found and rows > max_rows:
                    break
                found.append(Headline(row, _terms_in(body), tick_hash))
        return found

    def events(self, *, from_tick: int = 0, limit: int = 1_000) -> list[StoredEvent]:
        """External events that begin at ``from_tick`` or later, the newest first."""
        return self._newest_events(limit, events.c.start_tick >= from_tick)

    def events_alive(self, tick: int, limit: int) -> list[StoredEvent]:
        """External events in whose life ``tick`` lies, the newest first, however old they are."""
        return self._newest_events(limit, events.c.start_tick <= tick, tick < _END_TICK)

    def events_past(self, tick: int, limit: int) -> list[StoredEvent]:
        """External events whose last tick was before ``tick``, those that began last first."""
        return self._newest_events(limit, events.c.start_tick < tick, tick >= _END_TICK)

    def _newest_events(self, limit: int, *which: sa.ColumnElement[bool]) -> list[StoredEvent]:
        query = (
            sa.select(events)
            .where(*which)
            .order_by(events.c.start_tick.desc(), events.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_stored_event(row) for row in connection.execute(query)]

    def events_begun_in(self, from_tick: int, to_tick: int) -> list[StoredEvent]:
        """External events that began in ``[from_tick, to_tick)``, the oldest first."""
        query = (
            sa.select(events)
            .where(events.c.start_tick >= from_tick, events.c.start_tick < to_tick)
            .order_by(events.c.start_tick, events.c.id)
        )
        with self._database.reading() as connection:
            return [_stored_event(row) for row in connection.execute(query)]

    def account_page(self, page: int) -> tuple[Sequence[int], Sequence[int]] | None:
        """(stocks in Wh, balances in nEUR) of a page of accounts; None when there is none."""
        query = sa.select(accounts.c.stock_wh, accounts.c.balance_neur).where(
            accounts.c.page == page
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return columns.unpack(row.stock_wh), columns.unpack(row.balance_neur)

    def newest_account_page(self) -> int | None:
        """The number of the last page of accounts; None before the first tick."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(sa.func.max(accounts.c.page))).scalar()

    def epoch_began(self, epoch: int) -> int | None:
        """The first tick that the market of ``epoch`` could settle; None for an unknown epoch."""
        query = sa.select(epochs.c.from_tick).where(epochs.c.epoch == epoch)
        with self._database.reading() as connection:
            return connection.execute(query).scalar()


def _opened(body: bytes) -> SettledTick:
    try:
        return record.from_bytes(body)
    except record.RecordCorrupt as error:
        raise LedgerUnreadable(f"the ledger is damaged: {error}") from error


def _terms_in(body: bytes) -> Sequence[Term]:
    try:
        return record.terms_in(body)
    except record.RecordCorrupt as error:
        raise LedgerUnreadable(f"the ledger is damaged: {error}") from error


def _stored_event(row: Any) -> StoredEvent:
    start = EventStart(
        name=row.name,
        coefficient_neur_per_wh=row.coefficient_neur_per_wh,
        ttl_ticks=row.ttl_ticks,
    )
    return StoredEvent(row.id, start, row.start_tick, row.source)
