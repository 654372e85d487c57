"""Reading the ledger: what the API shows, and what a market needs to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from energymarket.messages import EventStart
from services.market.domain import record
from services.market.domain.record import SettledTick
from services.market.ledger.tables import Database, events, ticks


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
class StoredEvent:
    """An external event as the ledger keeps it; ``source`` is ``external`` or ``api``."""

    id: int
    start: EventStart
    start_tick: int
    source: str


_PRICE_COLUMNS = [ticks.c[name] for name in PriceRow.__dataclass_fields__]


class History:
    """Ticks, prices and events of the past; any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def settled(self, tick: int) -> SettledTick | None:
        """A tick of the past; None when the ledger does not hold it."""
        with self._database.reading() as connection:
            body = connection.execute(
                sa.select(ticks.c.record).where(ticks.c.tick == tick)
            ).scalar()
        return None if body is None else record.from_bytes(body)

    def settled_between(self, from_tick: int, to_tick: int, limit: int) -> list[SettledTick]:
        """Ticks of ``[from_tick, to_tick)``, newest first, at most ``limit``."""
        query = (
            sa.select(ticks.c.record)
            .where(ticks.c.tick >= from_tick, ticks.c.tick < to_tick)
            .order_by(ticks.c.tick.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [record.from_bytes(body) for body in connection.execute(query).scalars()]

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

    def events(self, *, from_tick: int = 0, limit: int = 1_000) -> list[StoredEvent]:
        """External events that begin at ``from_tick`` or later, the newest first."""
        query = (
            sa.select(events)
            .where(events.c.start_tick >= from_tick)
            .order_by(events.c.start_tick.desc(), events.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_stored_event(row) for row in connection.execute(query)]


def _stored_event(row: Any) -> StoredEvent:
    start = EventStart(
        name=row.name,
        coefficient_neur_per_wh=row.coefficient_neur_per_wh,
        ttl_ticks=row.ttl_ticks,
    )
    return StoredEvent(row.id, start, row.start_tick, row.source)
