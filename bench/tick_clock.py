"""When ticks were settled: read from the ledger, while it is written and afterwards.

Every distributed run here, the peers too, has a table ``ticks`` with the columns ``tick`` and
``at`` (seconds), written in the tick's own transaction.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.report import BenchFailed, percentile

_LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the ticks followed each other."""

    ticks_per_s: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, settled_at: Sequence[float]) -> Pace:
        """From the moments at which consecutive ticks were settled, at least two."""
        durations_s = [after - before for before, after in pairwise(settled_at)]
        return cls(
            ticks_per_s=len(durations_s) / (settled_at[-1] - settled_at[0]),
            p50_ms=1_000 * percentile(durations_s, 50),
            p99_ms=1_000 * percentile(durations_s, 99),
        )


class TickClock:
    """Looks into a ledger that another process writes; reading does not hold that up (WAL)."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger

    def newest(self) -> int:
        """The newest settled tick; 0 before the first."""
        try:
            return int(self._ask("SELECT max(tick) FROM ticks")[0][0] or 0)
        except sqlite3.OperationalError:  # there is no ledger yet, or no table in it
            return 0

    def settled_at(self, from_tick: int, to_tick: int) -> list[float]:
        """When the ticks ``from_tick`` to ``to_tick``, both included, were settled, in seconds."""
        query = "SELECT at FROM ticks WHERE tick BETWEEN ? AND ? ORDER BY tick"
        found = [float(row[0]) for row in self._ask(query, from_tick, to_tick)]
        if len(found) != to_tick - from_tick + 1:
            raise BenchFailed(f"{self._ledger} lacks some of the ticks {from_tick} to {to_tick}")
        return found

    def wait_for(self, tick: int, *, timeout_s: float, trouble: Callable[[], str]) -> int:
        """Until ``tick`` is settled; returns the newest tick.

        Raises ``BenchFailed`` after ``timeout_s``, or as soon as ``trouble`` names some.
        """
        deadline_s = time.monotonic() + timeout_s
        while (newest := self.newest()) < tick:
            if said := trouble():
                raise BenchFailed(said)
            if time.monotonic() > deadline_s:
                raise BenchFailed(f"tick {tick} was not settled in {timeout_s:g} s, but {newest}")
            time.sleep(_LOOK_AGAIN_S)
        return newest

    def _ask(self, query: str, *parameters: int) -> list[tuple[float, ...]]:
        with closing(sqlite3.connect(f"file:{self._ledger}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA busy_timeout = 5000")
            return connection.execute(query, parameters).fetchall()
