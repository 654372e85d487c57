"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Waits that double from ``first_s`` up to ``longest_s``.

    Each is shortened by chance, by up to a half, so that the clients of a broker that comes back
    do not all come at once. The chance decides nothing that is recorded; ``luck`` draws it, from 0
    to 1.
    """

    def __init__(
        self, first_s: float, longest_s: float, luck: Callable[[], float] = random.random
    ) -> None:
        self.longest_s = longest_s
        self._first_s = first_s
        self._next_s = first_s
        self._luck = luck

    def next_s(self) -> float:
        """Seconds to wait now; the next time it is longer."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self.longest_s)
        return wait_s * (1 + self._luck()) / 2

    def succeeded(self, lasted_s: float) -> None:
        """Begins again with the shortest wait, after a success that lasted longer than the next.

        A shorter one may have failed over what was done with it, and would fail again as fast.
        """
        if lasted_s > self._next_s:
            self._next_s = self._first_s
