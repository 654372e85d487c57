"""When the next tick may open: the pace, the pause, single steps; and how fast ticks have gone.

All of it decides when a tick happens and never what is in it. So none of it is in the ledger: a
market that starts again runs, at the pace of its settings.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from services.market.errors import ClockRuns

LONGEST_PACE_S: Final = 86_400
"""The most between two openings: of the setting, and of who changes it while the market runs."""

WINDOW_TICKS: Final = 200
"""The settled ticks that rates and times are of."""

_COUNTED_OF_A_REST: Final = 0.25
"""The most that a rest between two ticks counts of a lease: a silent fleet is asked four times
before its lease ends, however long the rests are."""


@dataclass(frozen=True, slots=True)
class TickTime:
    """How long a settled tick took: ``work_s`` from its opening to its commit, ``took_s`` since the
    commit of the tick before; None for the first, and after a pause."""

    work_s: float
    took_s: float | None
    orders: int


@dataclass(frozen=True, slots=True)
class ClockFace:
    """What can be read off the clock; ``pace_s`` 0: as fast as the barrier allows."""

    paused: bool
    pace_s: float
    steps_left: int = 0
    times: tuple[TickTime, ...] = ()


class Pace:
    """The clock of a market; all of it happens on the market's thread."""

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s
        self._paused, self._steps_left = False, 0
        self._times: deque[TickTime] = deque(maxlen=WINDOW_TICKS)
        self._opened_at: float | None = None
        self._settled_at: float | None = None
        self._at_once = self._was_held = False

    @property
    def face(self) -> ClockFace:
        """The clock as of now."""
        return ClockFace(self._paused, self._pace_s, self._steps_left, tuple(self._times))

    @property
    def holds(self) -> bool:
        """No further tick may open until somebody says so."""
        return self._paused and not self._steps_left

    def opens_at(self) -> float | None:
        """From when on the next tick may open; None while none may."""
        if self.holds:
            return None
        return 0.0 if self._opened_at is None or self._at_once else self._opened_at + self._pace_s

    # ------------------------------------------------------------------------- what people want

    def change(self, *, paused: bool | None, pace_s: float | None) -> None:
        """Pauses or runs on, and takes another pace; None leaves as it is. A pause lets the open
        tick come to its end, and takes back the steps that are left."""
        if pace_s is not None:
            self._pace_s = pace_s
        if paused is not None:
            self._paused, self._steps_left = paused, 0
        self._was_held |= self.holds

    def step(self, ticks: int) -> None:
        """Lets that many more ticks open: the first at once, then at the pace. Raises
        ``ClockRuns``."""
        if not self._paused:
            raise ClockRuns(
                "the clock runs, so that there is no single step: pause the clock first"
            )
        self._at_once |= not self._steps_left
        self._steps_left += ticks

    # ---------------------------------------------------------------------------- what happened

    def opened(self, now: float) -> None:
        """A tick has opened."""
        self._opened_at = now
        self._steps_left = max(self._steps_left - 1, 0)
        self._at_once = False

    def settled(self, now: float, orders: int) -> None:
        """The tick is in the ledger."""
        opened_at = now if self._opened_at is None else self._opened_at
        before = None if self._was_held else self._settled_at
        took_s = None if before is None else now - before
        self._times.append(TickTime(now - opened_at, took_s, orders))
        self._settled_at, self._was_held = now, self.holds

    def unasked_s(self, now: float, lease_s: float) -> float:
        """How much of the time since the newest tick is not to count as anybody's silence, because
        nobody was asked anything: all of a pause, and most of a long rest."""
        if self._settled_at is None:
            return 0.0
        rest_s = now - self._settled_at
        return rest_s if self._was_held else max(rest_s - _COUNTED_OF_A_REST * lease_s, 0.0)
