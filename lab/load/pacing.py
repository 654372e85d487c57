"""When the orders of a tick are due, whatever the market does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Ticks ``[base_tick, last_tick]`` count. With ``pace_s`` above 0 (open mode) the orders of
    tick ``base_tick + k`` are due at ``begin_at + k * pace_s`` on the machine's monotonic clock.

    A tick that opens early waits for its moment; one that opens late is late, and so are those
    after it until the market has caught up.
    """

    base_tick: int
    last_tick: int
    begin_at: float
    pace_s: float

    def counts(self, tick: int) -> bool:
        """Whether the tick is measured."""
        return self.base_tick <= tick <= self.last_tick

    def due_at(self, tick: int) -> float | None:
        """The intended moment of a tick's orders; None when they go out as soon as they can."""
        if not self.pace_s or tick < self.base_tick:
            return None
        return self.begin_at + (tick - self.base_tick) * self.pace_s

    def overdue(self, after_tick: int, now: float) -> list[float]:
        """How long the ticks after ``after_tick`` have been due: those due for more than a pace.

        One that is due for less may still be on its way. At the end of a run they count as what
        they have waited so far, or a stall that outlasts the run would be seen by nobody.
        """
        if not self.pace_s:
            return []
        waits = []
        tick = max(after_tick + 1, self.base_tick)
        while tick <= self.last_tick:
            waited_s = now - (self.begin_at + (tick - self.base_tick) * self.pace_s)
            if waited_s <= self.pace_s:
                break
            waits.append(waited_s)
            tick += 1
        return waits
