"""How long the ledger remembers: bounded, and yet verifiable from its first tick that is left.

Now and then a tick leaves a snapshot of all accounts. Once enough ticks lie behind a snapshot that
whatever is older need not be kept, the ticks up to it are deleted, a few with every new tick, so
that no tick has to wait for the deletion of thousands. All of it is done in the transactions of the
ticks: a crash leaves nothing half done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from services.market.domain.record import SettledTick
from services.market.domain.replay import StoredTick
from services.market.domain.snapshot import Page, seal
from services.market.ledger.tables import (
    accounts,
    epochs,
    events,
    snapshot_pages,
    snapshots,
    ticks,
)

_DELETED_PER_TICK: Final = 4
"""More than one, so that what is to go does go."""

_PARTS: Final = 8
"""Snapshots within what is kept: the finer, the closer to its bound the ledger stays."""

_BYTES_OF_A_ROW: Final = 200


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept at least: the last ``ticks``, or fewer where these would take more than
    ``size_bytes``. 0 is no bound. At most an eighth more is kept, and a few snapshots."""

    ticks: int = 0
    size_bytes: int = 0

    @property
    def bounded(self) -> bool:
        return bool(self.ticks or self.size_bytes)


class Trimmer:
    """Takes the snapshots of one ledger and deletes what need not be kept; one thread calls it.

    ``within`` is called in a tick's transaction and changes nothing but the database; ``done`` once
    that transaction is on the disk.
    """

    def __init__(self, retention: Retention, connection: sa.Connection) -> None:
        """``connection`` reads how far a predecessor came."""
        self._retention = retention
        self._since_tick = connection.execute(_NEWEST_SNAPSHOT).scalar() or 0
        size = connection.execute(_SIZE_SINCE, {"tick": self._since_tick}).scalar()
        self._since_bytes = int(size or 0)
        self._goal = connection.execute(_UNFINISHED).scalar() or 0
        self._next = (self._since_tick, self._since_bytes, self._goal)

    def within(self, connection: sa.Connection, settled: SettledTick, stored: StoredTick) -> None:
        """The share of this tick in taking snapshots and in deleting."""
        if not self._retention.bounded:
            return
        since_tick, since_bytes, goal = self._since_tick, self._since_bytes, self._goal
        since_bytes += len(stored.body) + _BYTES_OF_A_ROW
        if self._snapshot_is_due(settled.tick - since_tick, since_bytes):
            _take_snapshot(connection, settled, stored)
            since_tick, since_bytes = settled.tick, 0
            goal = goal or self._new_goal(connection, settled.tick)
        if goal and _delete_some(connection, goal):
            goal = 0
        self._next = (since_tick, since_bytes, goal)

    def done(self) -> None:
        """The transaction is on the disk."""
        self._since_tick, self._since_bytes, self._goal = self._next

    def _snapshot_is_due(self, since_ticks: int, since_bytes: int) -> bool:
        kept = self._retention
        return (0 < kept.ticks <= since_ticks * _PARTS) or (
            0 < kept.size_bytes <= since_bytes * _PARTS
        )

    def _new_goal(self, connection: sa.Connection, tick: int) -> int:
        """The snapshot up to which everything may go, 0 when nothing may yet."""
        kept = self._retention
        goal = 0
        if kept.ticks:
            by_age = _NEWEST_SNAPSHOT.where(snapshots.c.tick <= tick - kept.ticks)
            goal = connection.execute(by_age).scalar() or 0
        if kept.size_bytes and _size_bytes(connection) > kept.size_bytes:
            first = connection.execute(_OLDEST_TICK).scalar() or 0
            by_size = _OLDEST_SNAPSHOT.where(snapshots.c.tick >= first)
            goal = max(goal, connection.execute(by_size).scalar() or 0)
        return goal if goal < tick else 0


_NEWEST_SNAPSHOT = sa.select(sa.func.max(snapshots.c.tick))
_OLDEST_SNAPSHOT = sa.select(sa.func.min(snapshots.c.tick))
_OLDEST_TICK = sa.select(sa.func.min(ticks.c.tick))
_SIZE_SINCE = sa.select(sa.func.sum(sa.func.length(ticks.c.record) + _BYTES_OF_A_ROW)).where(
    ticks.c.tick > sa.bindparam("tick")
)
# A deletion that was under way: there is a snapshot from before the first tick that is left, and a
# later one up to which the deletion was to go.
_UNFINISHED = sa.select(sa.func.min(snapshots.c.tick)).where(
    snapshots.c.tick >= _OLDEST_TICK.scalar_subquery() - 1,
    sa.exists().where(snapshots.c.tick < _OLDEST_TICK.scalar_subquery() - 1),
)
_SOME_TICKS = (
    sa.select(ticks.c.tick)
    .where(ticks.c.tick <= sa.bindparam("goal"))
    .order_by(ticks.c.tick)
    .limit(_DELETED_PER_TICK)
)
_DELETE_TICKS = sa.delete(ticks).where(ticks.c.tick.in_(_SOME_TICKS))
_AFTERWARDS = (
    sa.delete(snapshot_pages).where(snapshot_pages.c.tick < sa.bindparam("goal")),
    sa.delete(snapshots).where(snapshots.c.tick < sa.bindparam("goal")),
    sa.delete(events).where(events.c.start_tick + events.c.ttl_ticks <= sa.bindparam("goal")),
    sa.delete(epochs).where(
        epochs.c.epoch
        < sa.select(sa.func.max(epochs.c.epoch))
        .where(epochs.c.from_tick <= sa.bindparam("goal") + 1)
        .scalar_subquery()
    ),
)


def _take_snapshot(connection: sa.Connection, settled: SettledTick, stored: StoredTick) -> None:
    rows = connection.execute(sa.select(accounts).order_by(accounts.c.page)).all()
    pages = [Page(row.page, bytes(row.stock_wh), bytes(row.balance_neur)) for row in rows]
    price = settled.next_price_neur_per_wh
    sealed = seal(stored.tick, stored.epoch, stored.tick_hash, price, pages)
    row: dict[str, Any] = {
        "tick": stored.tick,
        "epoch": stored.epoch,
        "tick_hash": stored.tick_hash,
        "next_price_neur_per_wh": price,
        "seal": sealed,
    }
    connection.execute(sa.insert(snapshots), row)
    if pages:
        connection.execute(
            sa.insert(snapshot_pages),
            [
                {
                    "tick": settled.tick,
                    "page": page.page,
                    "stock_wh": page.stock_wh,
                    "balance_neur": page.balance_neur,
                }
                for page in pages
            ],
        )


def _delete_some(connection: sa.Connection, goal: int) -> bool:
    """Deletes a few of the ticks up to ``goal``; True when none of them is left."""
    if connection.execute(_DELETE_TICKS, {"goal": goal}).rowcount == _DELETED_PER_TICK:
        return False
    for statement in _AFTERWARDS:
        connection.execute(statement, {"goal": goal})
    return True


def _size_bytes(connection: sa.Connection) -> int:
    """What the database's pages in use take on the disk."""
    size, pages, free = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0
        for name in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (pages - free))
