"""Who runs the I/O loop of a connection: a thread of its own, or its owner whenever it waits.

A thread keeps the connection alive while the owner computes for long, at the price of two threads
that hand over to each other with every message. An owner that never computes for long does without.
No driver of a broker here: the loop is handed in.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from energymarket.waker import LONGEST_SLEEP_S

_WAKE_BYTES: Final = 1_024

Work = Callable[[], None]


class LoopDriver(Protocol):
    """Runs a loop until its end."""

    def start(self, loop: Any, begin: Work, stumbled: Work) -> None:
        """Runs ``loop``, with ``begin`` as the first that is done in it. ``stumbled`` is called in
        the handling of an exception that came out of it; the loop then goes on."""

    def call(self, work: Work) -> None:
        """Has ``work`` done where the loop runs; the owner calls, or the loop itself."""

    def end(self) -> None:
        """Ends the loop; called where it runs."""

    def stop(self, timeout_s: float) -> bool:
        """Waits for the end; False when it did not come in time."""


class ThreadDriver:
    """The loop has a thread of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ended = False

    def start(self, loop: Any, begin: Work, stumbled: Work) -> None:
        self._loop = loop
        run = (begin, stumbled)
        self._thread = threading.Thread(target=self._run, args=run, name=self._name, daemon=True)
        self._thread.start()

    def call(self, work: Work) -> None:
        self._loop.add_callback_threadsafe(work)

    def end(self) -> None:
        self._ended = True
        self._loop.stop()

    def stop(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self, begin: Work, stumbled: Work) -> None:
        self._loop.add_callback_threadsafe(begin)
        while not self._ended:
            try:
                self._loop.start()
            except Exception:  # noqa: BLE001 - a fault of ours; without its thread a bus is deaf
                stumbled()
        self._loop.close()


class OwnerDriver:
    """The owner runs the loop while it waits: this is its ``Waker`` too."""

    def __init__(self) -> None:
        self._loop: Any = None
        self._stumbled: Work = self._on_alarm
        self._running = False
        self._ended = False
        self._listening, self._waking = -1, -1
        self._alarm_s = math.inf  # when the loop ends a wait at the latest

    def start(self, loop: Any, begin: Work, stumbled: Work) -> None:
        self._loop, self._stumbled = loop, stumbled
        self._listening, self._waking = os.pipe()
        for end in (self._listening, self._waking):
            os.set_blocking(end, False)
        loop.activate_poller()
        loop.add_handler(self._listening, self._on_wake, loop.READ)
        begin()

    def call(self, work: Work) -> None:
        if self._running:  # within a callback: what is asked for twice is to be done once
            self._loop.add_callback_threadsafe(work)
        else:
            work()

    def end(self) -> None:
        self._ended = True

    def stop(self, timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while not self._ended and (left_s := deadline_s - time.monotonic()) > 0:
            self.wait(left_s)
        self._loop.remove_handler(self._listening)
        waking, self._waking = self._waking, -1  # first, for a signal may come at any moment
        os.close(waking)
        os.close(self._listening)
        self._loop.deactivate_poller()
        self._loop.close()
        return self._ended

    def set(self) -> None:
        """Ends the wait, or the next one. Nothing but a write: a signal handler may call it."""
        if self._waking >= 0:
            with contextlib.suppress(BlockingIOError):  # full of earlier wishes to wake
                os.write(self._waking, b"\0")

    def wait(self, timeout_s: float | None) -> None:
        """Runs the loop once: until something has happened in it, or after ``timeout_s``, or now
        and then for no reason."""
        if self._loop is None:
            return
        sleep_s = LONGEST_SLEEP_S if timeout_s is None else min(timeout_s, LONGEST_SLEEP_S)
        loop, due_s = self._loop, time.monotonic() + max(sleep_s, 0.0)
        if due_s < self._alarm_s:  # else an earlier wait's alarm is early enough
            loop.call_later(max(sleep_s, 0.0), self._on_alarm)
            self._alarm_s = due_s
        self._running = True
        try:
            loop.poll()
            loop.process_timeouts()
        except Exception:  # noqa: BLE001 - a fault of ours must not end the service
            self._stumbled()
        finally:
            self._running = False

    def _on_alarm(self) -> None:
        self._alarm_s = math.inf

    def _on_wake(self, _fd: int, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._listening, _WAKE_BYTES)
