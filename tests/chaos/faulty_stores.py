"""A weather store and a ledger's database that misbehave by a seed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from energymarket.errors import WeatherStoreUnavailable
from energymarket.weather_store import MemoryWeatherStore
from lab.verify import audited
from services.market.domain import record
from services.market.domain.home_ids import from_ranges
from services.market.domain.record import SettledTick
from services.market.domain.rules import Rules
from services.market.errors import LedgerUnavailable
from services.market.ledger import Inspection, Ledger, ledger
from services.market.ledger.tables import Database
from tests.chaos.plan import Fate

_NAME = "file:/simulation?vfs=memdb"


class Killed(Exception):
    """The process is gone: nothing after this line of it has happened."""


class FaultyStore(MemoryWeatherStore):
    """A weather store that sometimes does not answer, and sometimes has lost everything."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    def write(self, run: str, temperatures_mdeg: Mapping[int, int], keep_from_tick: int) -> None:
        self._stumble()
        super().write(run, temperatures_mdeg, keep_from_tick)

    def read(self, run: str, from_tick: int) -> dict[int, int]:
        self._stumble()
        return super().read(run, from_tick)

    def _stumble(self) -> None:
        plan = self._fate.plan
        if self._fate.strikes(plan.store_fault, "weather store failed"):
            raise WeatherStoreUnavailable("the store does not answer")
        if self._fate.strikes(plan.store_emptied, "weather store emptied"):
            self.close()


@cache
def _database() -> Database:
    """One for all simulations of this process, one after the other, in memory: what it costs to
    make is the compiling of every statement anew."""
    return Database(f"sqlite:///{_NAME}&uri=true")


class Disk:
    """Where a simulation's ledger lies: it outlives the connections of a market that is killed.

    Reads the truth with a connection of its own, which never fails.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._keeper = sqlite3.connect(_NAME, uri=True)
        self._settled: dict[int, tuple[int, SettledTick, dict[int, int]]] = {}
        self._tick: int | None = 0

    def close(self) -> None:
        """Gives the memory back: the database goes with its last connection."""
        _database().close()
        self._keeper.close()

    @property
    def tick(self) -> int:
        """The newest tick in the ledger."""
        if self._tick is None:
            found = self._keeper.execute("SELECT max(tick) FROM ticks").fetchone()[0]
            self._tick = int(found or 0)
        return self._tick

    def changed(self) -> None:
        """Somebody has written."""
        self._tick = None

    def settled(self, tick: int) -> tuple[int, SettledTick, dict[int, int]] | None:
        """(epoch, tick, row by home) of a tick in the ledger."""
        if tick not in self._settled:
            query = "SELECT epoch, record FROM ticks WHERE tick = ?"
            row = self._keeper.execute(query, (tick,)).fetchone()
            if row is None:
                return None
            settled = record.from_bytes(row[1])
            rows = {home: index for index, home in enumerate(settled.home)}
            self._settled[tick] = row[0], settled, rows
        return self._settled[tick]

    def stock_wh(self, home: int, tick: int) -> int:
        """A home's stock after ``tick``, as the ledger's records say."""
        for past in range(tick, 0, -1):
            found = self.settled(past)
            assert found is not None, f"tick {past} is not in the ledger"
            if home in found[2]:
                return found[1].outcome.stock_wh[found[2][home]]
        return 0

    def instance_of(self, key: str) -> str | None:
        """The instance of the fleet that has, or had, this key; None when none is stored."""
        query = "SELECT instance FROM fleets WHERE key = ?"
        row = self._keeper.execute(query, (key,)).fetchone()
        return row and str(row[0])

    def instance_is_stored(self, instance: str) -> bool:
        """True when a fleet of this instance is, or was, a member."""
        query = "SELECT 1 FROM fleets WHERE instance = ?"
        return self._keeper.execute(query, (instance,)).fetchone() is not None

    def members(self) -> dict[str, tuple[int, ...]]:
        """The homes of each fleet that is a member, by instance."""
        rows = self._keeper.execute("SELECT instance, homes FROM fleets WHERE left_tick IS NULL")
        return {instance: from_ranges(homes) for instance, homes in rows}

    def verify(self) -> bytes:
        """Replays all of the ledger (I1, I2, I3, I5, I6); returns its head hash.

        Raises ``LedgerFault``.
        """
        with Inspection.of(_database()) as look:
            return audited(look).head_hash


class FaultyDatabase(Database):
    """The ledger's database as a market sees it: refuses to be read or written by ``plan``; or the
    market dies when a transaction has taken effect, before it can know."""

    def __init__(self, disk: Disk, fate: Fate) -> None:
        self.__dict__.update(_database().__dict__)
        self._disk, self._fate = disk, fate

    @contextmanager
    def reading(self) -> Iterator[Any]:
        self._refuse(self._fate.plan.ledger_read_refused, "read")
        with super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self, what: str) -> Iterator[Any]:
        plan = self._fate.plan
        self._refuse(plan.ledger_write_refused, "write")
        with super().writing(what) as connection:
            yield connection
            self._refuse(plan.ledger_commit_refused, "commit")
        self._disk.changed()
        stored = "a tick" if what.startswith("tick") else what
        if self._fate.strikes(plan.killed_after_write, f"market killed as it had stored {stored}"):
            raise Killed(f"stored {what}")

    def close(self) -> None:
        """Others use the connections too; a market that dies holds none."""

    def _refuse(self, probability: float, what: str) -> None:
        if self._fate.strikes(probability, f"ledger refused a {what}"):
            raise LedgerUnavailable(f"the ledger refuses to {what}")


def open_ledger(database: Database, rules: Rules) -> Ledger:
    """As ``Ledger.open``, on this database."""
    with patch.object(ledger, "Database", lambda _url: database):
        return Ledger.open("sqlite://", rules)
