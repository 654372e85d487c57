"""Runs one service as a process: the loop, the signals, and errors as sentences."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TextIO

from energymarket.bus.port import Bus
from energymarket.clock import Clock
from energymarket.errors import EnergyMarketError, SettingsError
from energymarket.service import Service
from energymarket.waker import Waker

EXIT_FAILED = 1
EXIT_WRONG_SETTING = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT  # as a shell reports it
_LONGEST_WAIT_S = 1.0
_OBJECTS_BEFORE_COLLECTION = 50_000
"""Python's own 700 are not one message per home of a large fleet: measured, a third of a market's
processor time went into looking through messages for cycles that they cannot have."""


class StopRequest:
    """Set by SIGTERM or SIGINT; wakes the loop so that it ends at once.

    A signal's handler runs between any two steps of the main thread, so nothing here takes a lock
    that the main thread may hold just then (``threading.Event`` would).
    """

    def __init__(self) -> None:
        self._requested = False
        self._waker = Waker()
        self._wakers: list[Callable[[], None]] = []

    def on_request(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called when the stop is requested; safe in a signal handler it must be."""
        self._wakers.append(wake)

    def request(self) -> None:
        """Asks for the stop; any thread or signal handler may."""
        self._requested = True
        self._waker.set()
        for wake in self._wakers:
            wake()

    @property
    def requested(self) -> bool:
        return self._requested

    def wait(self, timeout_s: float) -> bool:
        """Sleeps up to ``timeout_s``; True as soon as the stop is requested. One thread waits."""
        deadline_s = time.monotonic() + timeout_s
        while not self._requested and (left_s := deadline_s - time.monotonic()) > 0:
            self._waker.wait(left_s)
        return self._requested

    def listen_to_signals(self) -> None:
        """SIGTERM and SIGINT request the stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.request())


def run_service(service: Service, bus: Bus, clock: Clock, stop: StopRequest) -> None:
    """Calls ``service`` until it has finished or a stop is requested, then stops it."""
    stop.on_request(bus.wake)
    try:
        service.start()
        while not (stop.requested or service.finished):
            due = service.act()
            wait_s = _LONGEST_WAIT_S if due is None else due - clock.monotonic()
            service.handle(bus.poll(min(max(wait_s, 0.0), _LONGEST_WAIT_S)))
    finally:
        service.stop()


def main(run: Callable[[], None]) -> None:
    """Entry of a process: an error of ours becomes one sentence on stderr and an exit code.

    A log that nobody reads any more ends it without a word.
    """
    _collect_garbage_seldom()
    try:
        run()
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_WRONG_SETTING)
    except EnergyMarketError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:  # before the signals were listened to
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        if not _nobody_reads(sys.stdout):
            raise
        # Whoever read the log has read enough, as `| head` does. What is still in the buffer goes
        # nowhere, or the interpreter would fail at it once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)


def _nobody_reads(stream: TextIO) -> bool:
    """Whether the other end of a pipe is closed."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)  # errors are reported unasked
    return bool(poll.poll(0))


def _collect_garbage_seldom() -> None:
    """What has been imported stays for good, and need not be looked through again and again."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
