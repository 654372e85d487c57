"""Writing the ledger: the market's memory. Only the holder of the newest epoch may write."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from energymarket.messages import EventStart
from services.market.domain import columns, record
from services.market.domain.accounts import Accounts, stretch_of
from services.market.domain.home_ids import from_ranges, to_ranges
from services.market.domain.membership import Fleet
from services.market.domain.record import Opening, SettledTick
from services.market.domain.replay import StoredTick
from services.market.domain.rules import Rules
from services.market.domain.snapshot import PAGE_HOMES
from services.market.errors import EpochLost, LedgerMismatch
from services.market.ledger.beginning import begin_ledger
from services.market.ledger.history import History
from services.market.ledger.inspection import check_before_writing, check_newest
from services.market.ledger.retention import Retention, Trimmer
from services.market.ledger.tables import (
    Database,
    Prepared,
    accounts,
    epochs,
    events,
    file_of,
    fleets,
    metadata,
    openings,
    ticks,
    url_of,
    world,
)


@dataclass(frozen=True, slots=True)
class World:
    """What a ledger is of; fixed when it is made.

    ``fleet_secret_key`` is what fleets' secrets are derived from. It is no part of the record.
    """

    run: str
    rules: Rules
    fleet_secret_key: bytes

    @property
    def seed(self) -> int:
        return self.rules.seed

    @property
    def price_model(self) -> str:
        return self.rules.price_model


class Ledger:
    """The ledger of one world, open for writing. Make it with ``Ledger.open``."""

    def __init__(self, database: Database, stored_world: World, retention: Retention) -> None:
        self._database = database
        self._retention = retention
        self._trimmer: Trimmer | None = None
        self._uncertain = False  # whether a commit has failed in a way that may have been none
        self.world = stored_world
        self.history = History(database)
        self.epoch = 0

    @classmethod
    def open(cls, url: str, rules: Rules, retention: Retention | None = None) -> Ledger:
        """Opens the ledger at ``url``, or makes it where there is none; without ``retention`` it
        keeps everything.

        Raises ``LedgerMismatch`` when it was begun with other rules, ``LedgerUnreadable`` when it
        is damaged or no ledger of this version, ``LedgerUnavailable`` when it cannot be read or
        written.
        """
        path = file_of(url)
        if path and not path.exists():
            begin_ledger(path, lambda apart: cls._open(url_of(apart), rules).close())
        if path:
            check_before_writing(path)
        return cls._open(url, rules, retention)

    @classmethod
    def _open(cls, url: str | sa.URL, rules: Rules, retention: Retention | None = None) -> Ledger:
        database = Database(url)
        with database.writing("its tables") as connection:
            metadata.create_all(connection)
            row = connection.execute(sa.select(world)).one_or_none()
            if row is None:
                made = World(secrets.token_hex(8), rules, secrets.token_bytes(32))
                connection.execute(sa.insert(world), _world_row(made))
            else:
                _check_world(row, rules)
                made = World(row.run, rules, row.fleet_secret_key)
        return cls(database, made, retention or Retention())

    def newest_epoch(self) -> int:
        """The epoch of the market that took over last; 0 before the first."""
        with self._database.reading() as connection:
            return _NEWEST_EPOCH.value(connection) or 0

    def check_epoch(self) -> None:
        """Raises ``EpochLost`` when another market took over, ``LedgerUnavailable``."""
        with self._database.reading() as connection:
            self._check_epoch(connection)

    def newest_tick(self) -> int:
        """The newest tick; 0 before the first."""
        with self._database.reading() as connection:
            return connection.execute(_NEWEST_TICK).scalar() or 0

    def raise_epoch(self, at: float) -> int:
        """Takes over: from now on a write under any earlier epoch fails. Returns the new epoch.

        Raises ``LedgerUnreadable`` when what a market would go on with is damaged.
        """
        check_newest(self._database)
        with self._database.writing("the epoch") as connection:
            newest = _NEWEST_EPOCH.value(connection) or 0
            head = connection.execute(_NEWEST_TICK).scalar() or 0
            row = {"epoch": newest + 1, "from_tick": head + 1, "at": at}
            connection.execute(sa.insert(epochs), row)
            self._trimmer = Trimmer(self._retention, connection)
        self.epoch = newest + 1
        return self.epoch

    def commit(
        self,
        settled: SettledTick,
        body: bytes,
        tick_hash: bytes,
        *,
        after: Accounts,
        starts: Sequence[EventStart],
        at: float,
    ) -> None:
        """Writes a tick whole, or not at all; returns when it is on the disk.

        ``after`` are the accounts after the tick, ``starts`` the events that external began in it.
        Raises ``EpochLost`` when another market took over, ``LedgerUnavailable`` when the disk
        refuses: then the caller may try again, also if the tick should be there all the same.
        """
        stored = StoredTick(settled.tick, self.epoch, body, tick_hash)
        uncertain, self._uncertain = self._uncertain, True
        with self._database.writing(f"tick {settled.tick}") as connection:
            self._check_epoch(connection)
            if uncertain and self._is_stored(connection, stored):
                self._settle_doubt()
                return
            row = _tick_row(settled, self.epoch, at, body=body, tick_hash=tick_hash)
            _INSERT_TICK.insert(connection, [row])
            pages = _changed_pages(settled.home, after)
            if pages:
                _REPLACE_PAGE.insert(connection, pages)
            if starts:
                rows = [_event_row(start, settled.tick, "external") for start in starts]
                connection.execute(_INSERT_EVENT, rows)
            if self._trimmer:
                self._trimmer.within(connection, settled, stored)
        self._settle_doubt()

    def _settle_doubt(self) -> None:
        """The tick is on the disk, for certain."""
        self._uncertain = False
        if self._trimmer:
            self._trimmer.done()

    @staticmethod
    def _is_stored(connection: sa.Connection, tick: StoredTick) -> bool:
        """Whether a commit that was reported to have failed has taken effect all the same."""
        query = sa.select(ticks.c.hash).where(ticks.c.tick == tick.tick)
        return connection.execute(query).scalar() == tick.tick_hash

    def save_fleets(self, changed: Iterable[Fleet], forgotten: Sequence[Fleet] = ()) -> None:
        """Stores fleets that joined or left, before they are answered, and drops those forgotten:
        however many come and go, the table stays as small as the market's memory."""
        rows = [
            {
                "instance": fleet.instance,
                "key": fleet.key,
                "homes": to_ranges(fleet.homes),
                "first_tick": fleet.first_tick,
                "left_tick": fleet.left_tick,
            }
            for fleet in changed
        ]
        with self._database.writing("a fleet") as connection:
            self._check_epoch(connection)
            if forgotten:
                gone = [fleet.instance for fleet in forgotten]
                connection.execute(sa.delete(fleets).where(fleets.c.instance.in_(gone)))
            connection.execute(_REPLACE_FLEET, rows)

    def add_event(self, start: EventStart, start_tick: int, source: str) -> int:
        """Stores an event that is to begin in a coming tick; returns its id."""
        with self._database.writing("an event") as connection:
            self._check_epoch(connection)
            result = connection.execute(_INSERT_EVENT, _event_row(start, start_tick, source))
            return int(result.lastrowid)

    def save_opening(self, opening: Opening) -> None:
        """Stores how a tick opens, where a clock decided it, before it is announced."""
        row = {"tick": opening.tick, "opening": record.opening_to_bytes(opening)}
        with self._database.writing("an opening") as connection:
            self._check_epoch(connection)
            connection.execute(sa.delete(openings).where(openings.c.tick < opening.tick))
            connection.execute(sa.insert(openings), row)

    def head(self) -> tuple[SettledTick | None, bytes]:
        """The newest tick (None before the first) and the hash that the next one continues."""
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(ticks.c.record, ticks.c.hash).order_by(ticks.c.tick.desc()).limit(1)
            ).one_or_none()
        if row is None:
            return None, record.genesis_hash(self.world.rules)
        return record.from_bytes(row.record), bytes(row.hash)

    def accounts(self) -> Accounts:
        """Every account as of the newest tick."""
        return Accounts(*self.history.accounts())

    def fleets(self) -> list[Fleet]:
        """Every fleet that is remembered."""
        with self._database.reading() as connection:
            return [
                Fleet(row.instance, row.key, from_ranges(row.homes), row.first_tick, row.left_tick)
                for row in connection.execute(sa.select(fleets))
            ]

    def opening(self, tick: int) -> Opening | None:
        """How ``tick`` was opened, if a clock decided it."""
        query = sa.select(openings.c.opening).where(openings.c.tick == tick)
        with self._database.reading() as connection:
            body = connection.execute(query).scalar()
        return None if body is None else record.opening_from_bytes(body)

    def close(self) -> None:
        """Gives all connections back."""
        self._database.close()

    def _check_epoch(self, connection: sa.Connection) -> None:
        newest = _NEWEST_EPOCH.value(connection)
        if newest != self.epoch:
            raise EpochLost(
                f"epoch {self.epoch} has ended: another market took over with epoch {newest}"
            )


_INSERT_TICK = Prepared(sa.insert(ticks))
_INSERT_EVENT = sa.insert(events)
_REPLACE_PAGE = Prepared(sa.insert(accounts).prefix_with("OR REPLACE"))
_REPLACE_FLEET = sa.insert(fleets).prefix_with("OR REPLACE")
_NEWEST_TICK = sa.select(sa.func.max(ticks.c.tick))
_NEWEST_EPOCH = Prepared(sa.select(sa.func.max(epochs.c.epoch)))


def _world_row(made: World) -> dict[str, Any]:
    return {
        "run": made.run,
        "format": record.FORMAT,
        "seed": made.rules.seed,
        "price_model": made.rules.price_model,
        "credit_limit_neur": made.rules.credit_limit_neur,
        "fleet_secret_key": made.fleet_secret_key,
    }


def _check_world(row: Any, rules: Rules) -> None:
    for name, wanted, found in (
        ("format", record.FORMAT, row.format),
        ("seed", rules.seed, row.seed),
        ("price model", rules.price_model, row.price_model),
        ("a credit limit in nEUR of", rules.credit_limit_neur, row.credit_limit_neur),
    ):
        if wanted != found:
            raise LedgerMismatch(
                f"The ledger was begun with {name} {found}, not {wanted}: set it back, or choose "
                f"another ledger with ENERGYMARKET_LEDGER_URL."
            )


def _tick_row(
    settled: SettledTick, epoch: int, at: float, *, body: bytes, tick_hash: bytes
) -> dict[str, Any]:
    return {
        **record.summary(settled),
        "epoch": epoch,
        "at": at,
        "record": body,
        "hash": tick_hash,
    }


def _changed_pages(homes: Sequence[int], after: Accounts) -> list[dict[str, Any]]:
    starts = [page * PAGE_HOMES for page in _pages(homes)]
    return [
        {
            "page": start // PAGE_HOMES,
            "stock_wh": columns.pack(after.stock_wh[start : start + PAGE_HOMES]),
            "balance_neur": columns.pack(after.balance_neur[start : start + PAGE_HOMES]),
        }
        for start in starts
    ]


def _pages(homes: Sequence[int]) -> Iterable[int]:
    """The pages on which these ascending homes stand."""
    if homes and stretch_of(homes):
        return range((homes[0] - 1) // PAGE_HOMES, (homes[-1] - 1) // PAGE_HOMES + 1)
    return sorted({(home - 1) // PAGE_HOMES for home in homes})


def _event_row(start: EventStart, start_tick: int, source: str) -> dict[str, Any]:
    return {
        "name": start.name,
        "coefficient_neur_per_wh": start.coefficient_neur_per_wh,
        "ttl_ticks": start.ttl_ticks,
        "start_tick": start_tick,
        "source": source,
    }
