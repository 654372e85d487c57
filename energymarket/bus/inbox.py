"""Where a bus's owner waits for what comes in."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from energymarket.waker import Waker

ItemT = TypeVar("ItemT")


class WakerLike(Protocol):
    """What a ``Waker`` offers."""

    def set(self) -> None:
        """Ends the wait, or the next one; safe in a signal handler."""

    def wait(self, timeout_s: float | None) -> None:
        """Returns when set, or after ``timeout_s`` (None: never), or now and then for no reason."""


class Inbox(Generic[ItemT]):
    """Any thread puts and wakes; one thread, the owner, takes and waits.

    Its length is bounded by what fills it: deliveries by the prefetch, or where a queue is done
    with them on delivery by what the market sends in a tick, events by reconnects.
    """

    def __init__(self, own_waker: WakerLike | None = None) -> None:
        """With ``own_waker`` the waiting owner itself is who puts and nudges, from within its
        ``wait``, so that only ``wake`` has anybody to wake."""
        self.items: deque[ItemT] = deque()
        self._waker = own_waker or Waker()
        self._put_by_others = own_waker is None
        self._waiting = False
        self._nudgeable = False
        self._wake_wanted = False

    def put(self, item: ItemT) -> None:
        """Adds an item, and wakes the owner if it waits."""
        self.items.append(item)
        self.rouse()

    def add(self, item: ItemT) -> None:
        """Adds one of several items; ``rouse`` follows the last."""
        self.items.append(item)

    def rouse(self) -> None:
        """Wakes the owner if it waits and something is in."""
        if self._waiting and self.items and self._put_by_others:
            self._waker.set()

    def nudge(self) -> None:
        """Has an owner that waits for more than items look again."""
        if self._nudgeable and self._put_by_others:
            self._waker.set()

    def wake(self) -> None:
        """Ends the owner's wait, or its next one; safe in a signal handler."""
        self._wake_wanted = True
        self._waker.set()

    def take(self) -> list[ItemT]:
        """Everything that is in; what comes meanwhile is left for the next time."""
        items = self.items
        return [items.popleft() for _ in range(len(items))]

    def wait(self, timeout_s: float | None) -> None:
        """Until an item is in, ``wake``, or the timeout."""
        if timeout_s != 0:
            self._wait(lambda: bool(self.items) or self._wake_wanted, timeout_s)
        elif not self._put_by_others:
            self._waker.wait(0)
        self._wake_wanted = False

    def wait_until(self, done: Callable[[], bool], timeout_s: float | None) -> bool:
        """Until ``done``, which is asked after each ``put`` and ``nudge``; False on the timeout.

        Whoever changes the answer must do so before it nudges: the flag goes up before ``done`` is
        asked, so a change that the question missed finds the flag up.
        """
        self._nudgeable = True
        try:
            return self._wait(done, timeout_s)
        finally:
            self._nudgeable = False

    def wait_for_news(self, timeout_s: float | None, has_news: Callable[[], bool]) -> None:
        """As ``wait``, for an owner that has to look for its items by itself."""
        if timeout_s != 0:
            self.wait_until(lambda: self._wake_wanted or has_news(), timeout_s)
        self._wake_wanted = False

    def _wait(self, done: Callable[[], bool], timeout_s: float | None) -> bool:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._waiting = True
        try:
            while not done():
                remaining_s = None if deadline is None else deadline - time.monotonic()
                if remaining_s is not None and remaining_s <= 0:
                    return False
                self._waker.wait(remaining_s)
            return True
        finally:
            self._waiting = False
