"""A run of several processes, measured while it goes: pace, processor time, memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Kinds, Memory, cpu_by_kind, memory
from bench.tick_clock import Pace, TickClock

FIRST_TICK_TIMEOUT_S = 90.0
SLOWEST_TICK_S = 2.0


@dataclass(frozen=True, slots=True)
class Span:
    """The ticks that count: at least ``ticks`` of them, behind at least ``warm_up_ticks``.

    A fast run is further at either end before that is seen. Counting begins where it is seen, so
    that a run which was through its warm-up and more by then is measured over as many ticks.
    What takes longer than it may has broken down: the first tick, with all that has to start
    before it, and each further tick on average.
    """

    warm_up_ticks: int
    ticks: int
    first_tick_within_s: float = FIRST_TICK_TIMEOUT_S
    slowest_tick_s: float = SLOWEST_TICK_S


@dataclass(frozen=True, slots=True)
class Measured:
    """``cpu_ms`` is processor time per tick of all processes of a kind together."""

    pace: Pace
    cpu_ms: dict[str, float]
    memory: dict[str, Memory]

    @property
    def all_cpu_ms(self) -> float:
        return sum(self.cpu_ms.values())

    @property
    def busy_cores(self) -> float:
        """How many processors the run kept busy on average."""
        return self.all_cpu_ms * self.pace.ticks_per_s / 1_000


def measured(
    ledger: Path,
    span: Span,
    kinds: Kinds,
    *,
    trouble: Callable[[], str],
    at_the_ends: Callable[[], None] = lambda: None,
) -> Measured:
    """Waits for the span's first and last tick, and takes processor times at both.

    ``trouble`` says why the run cannot go on, or is empty; ``at_the_ends`` is called at both ends.
    Raises ``BenchFailed``.
    """
    clock = TickClock(ledger)
    timeout_s = span.first_tick_within_s + span.slowest_tick_s * span.warm_up_ticks
    begun = clock.wait_for(span.warm_up_ticks, timeout_s=timeout_s, trouble=trouble)
    before = cpu_by_kind(kinds)
    at_the_ends()
    timeout_s = 10 + span.slowest_tick_s * span.ticks
    ended = clock.wait_for(begun + span.ticks, timeout_s=timeout_s, trouble=trouble)
    after = cpu_by_kind(kinds)
    at_the_ends()
    ticks = ended - begun
    return Measured(
        pace=Pace.of(clock.settled_at(begun, ended)),
        cpu_ms={kind: 1_000 * (after[kind] - before[kind]) / ticks for kind in kinds},
        memory={kind: memory(pids) for kind, pids in kinds.items()},
    )
