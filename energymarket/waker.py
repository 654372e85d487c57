"""Wakes a waiting thread, also out of a signal handler, where ``threading.Event`` may dead-lock."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

LONGEST_SLEEP_S: Final = 1.0
"""A signal can arrive when the waiter has just entered the system's own wait: Python then runs the
handler only after that wait. So no sleep is longer than this, whatever the timeout."""


class Waker:
    """One thread waits; any thread, or a signal handler that interrupts the waiter, may set it.

    ``SimpleQueue.put`` is re-entrant, and what was put stays put until the waiter sleeps.
    """

    def __init__(self) -> None:
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._is_set = False

    def set(self) -> None:
        """Ends the wait, or the next one if nobody waits yet."""
        if not self._is_set:
            self._is_set = True
            self._tokens.put(None)

    def wait(self, timeout_s: float | None) -> None:
        """Returns when set, or after ``timeout_s`` (None: never), or now and then for no reason.

        The flag goes down last: whoever finds it still up has changed what the waiter looks at
        before that, and the waiter looks again after this.
        """
        sleep_s = LONGEST_SLEEP_S if timeout_s is None else min(timeout_s, LONGEST_SLEEP_S)
        with suppress(Empty):
            self._tokens.get(timeout=sleep_s)
        self._is_set = False
