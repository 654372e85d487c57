"""Time on the wall, as a port: services ask a clock, so that a test can turn it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where a service reads time."""

    def monotonic(self) -> float:
        """Seconds from some origin; never goes back. For deadlines and pace."""

    def now(self) -> float:
        """Seconds since 1970, UTC. For people; decides nothing."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> float:
        return time.time()
