"""How many homes a system can take: the knee, where p99 passes the pace.

A step of so many homes holds when 99 % of its orders were settled within one pace of the moment
they were due: what is settled later is still there when the next tick is due, so that the line of
those waiting grows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from energymarket.errors import SettingsError
from lab.load.errors import Interrupted, LoadFailed

PRECISE_ENOUGH = 1.1
MOST_STEPS = 24


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement of the search; ``failed`` says why there was nothing to measure."""

    homes: int
    p99_ms: float
    orders_per_s: float
    holds: bool
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Knee:
    """``homes`` is the largest number that held, 0 when none did; ``steps`` in order of homes.

    ``interrupted``: the search was told to stop, and these are the steps that were over by then.
    """

    homes: int
    pace_s: float
    steps: tuple[Step, ...]
    interrupted: bool = False

    def sentence(self) -> str:
        """The knee in words."""
        if not self.steps:
            return "No knee: Ctrl-C ended the search in its first step."
        if not self.homes:
            least = self.steps[0]
            return (
                f"No knee: {least.homes:,} homes already have a p99 of {least.p99_ms:,.0f} ms, "
                f"more than the pace of {self.pace_s:g} s. Begin with fewer --homes."
            )
        best = next(step for step in self.steps if step.homes == self.homes)
        name = "As far as Ctrl-C let the search come" if self.interrupted else "The knee"
        said = (
            f"{name}: {self.homes:,} homes at a tick each {self.pace_s:g} s "
            f"({best.orders_per_s:,.0f} orders/s, p99 {best.p99_ms:,.0f} ms)"
        )
        worse = [step for step in self.steps if not step.holds]
        if not worse:
            return f"{said}; more were not tried."
        least = worse[0]
        found = f": {least.failed}" if least.failed else f" p99 is {least.p99_ms:,.0f} ms."
        return f"{said}; with {least.homes:,}{found}"


def find_knee(
    measure: Callable[[int], tuple[float, float]], *, homes: int, most: int, pace_s: float
) -> Knee:
    """Doubles ``homes`` until a step does not hold, then halves the gap to within a tenth.

    ``measure`` is given a number of homes and returns (p99 in ms, orders/s). When it raises
    ``LoadFailed``, or ``SettingsError`` since the market's limits refuse so many, that number does
    not hold, unless it is the first: then nothing will. ``Interrupted`` ends the search with what
    it has found.
    """
    steps: list[Step] = []

    def holds(number: int) -> bool:
        try:
            p99_ms, orders_per_s = measure(number)
        except (LoadFailed, SettingsError) as error:
            if not steps:
                raise
            steps.append(Step(number, 0.0, 0.0, False, str(error)))
        else:
            steps.append(Step(number, p99_ms, orders_per_s, p99_ms <= 1_000 * pace_s))
        return steps[-1].holds

    good, bad = 0, 0
    interrupted = False
    try:
        while not bad and good < most and len(steps) < MOST_STEPS:
            number = min(2 * good or homes, most)
            if holds(number):
                good = number
            else:
                bad = number
        while good and bad > PRECISE_ENOUGH * good and bad - good > 1 and len(steps) < MOST_STEPS:
            number = (good + bad) // 2
            if holds(number):
                good = number
            else:
                bad = number
    except Interrupted:
        interrupted = True
    found = tuple(sorted(steps, key=lambda step: step.homes))
    return Knee(good, pace_s, found, interrupted)
