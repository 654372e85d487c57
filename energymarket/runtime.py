"""Runs one service as a process: the loop, the signals, and errors as sentences."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable

from energymarket.bus import Bus
from energymarket.clock import Clock
from energymarket.errors import EnergyMarketError, SettingsError
from energymarket.service import Service

EXIT_FAILED = 1
EXIT_WRONG_SETTING = 2
_LONGEST_WAIT_S = 1.0


class StopRequest:
    """Set by SIGTERM or SIGINT; wakes the loop so that it ends at once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._wakers: list[Callable[[], None]] = []

    def on_request(self, wake: Callable[[], None]) -> None:
        """Has ``wake`` called when the stop is requested."""
        self._wakers.append(wake)

    def request(self) -> None:
        self._event.set()
        for wake in self._wakers:
            wake()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Sleeps up to ``timeout_s``; True as soon as the stop is requested."""
        return self._event.wait(timeout_s)

    def listen_to_signals(self) -> None:
        """SIGTERM and SIGINT request the stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.request())


def run_service(service: Service, bus: Bus, clock: Clock, stop: StopRequest) -> None:
    """Calls ``service`` until it has finished or a stop is requested, then stops it."""
    stop.on_request(bus.wake)
    service.start()
    try:
        while not (stop.requested or service.finished):
            due = service.act()
            wait_s = _LONGEST_WAIT_S if due is None else due - clock.monotonic()
            service.handle(bus.poll(min(max(wait_s, 0.0), _LONGEST_WAIT_S)))
    finally:
        service.stop()


def main(run: Callable[[], None]) -> None:
    """Entry of a process: an error of ours becomes one sentence on stderr and an exit code."""
    try:
        run()
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_WRONG_SETTING)
    except EnergyMarketError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_FAILED)
