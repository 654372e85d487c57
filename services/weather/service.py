"""Weather: keeps the temperatures of the coming ticks in the store, ahead of the market.

The market's messages say which run, seed and tick count, and the climate says the rest: this
service may be killed, moved or started late, and writes the same temperatures again.
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from energymarket.backoff import Backoff
from energymarket.bus.port import Bus, BusEvent
from energymarket.clock import Clock
from energymarket.errors import WeatherStoreUnavailable
from energymarket.listening import listen
from energymarket.messages import TickAwaited, TickOpened
from energymarket.telemetry import Log
from energymarket.topology import Topology, listener_topology
from energymarket.units import degrees
from energymarket.weather_store import WeatherStore
from services.weather.domain.climate import Climate
from services.weather.meter import Meter

HORIZON_TICKS: Final = 32
"""How far ahead of the market the temperatures go."""

LOW_TICKS: Final = HORIZON_TICKS // 2
"""With fewer than this many ahead they are topped up, so that one write serves many ticks."""

FIRST_RETRY_S: Final = 0.1
LONGEST_RETRY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Written:
    """What the store holds: every tick of ``run`` under ``seed`` up to ``through_tick``."""

    run: str
    seed: int
    through_tick: int


class WeatherService:
    """Implements ``energymarket.service.Service``."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: WeatherStore,
        climate: Climate,
        clock: Clock,
        log: Log,
        new_key: Callable[[], str] = lambda: secrets.token_hex(8),
        luck: Callable[[], float] = random.random,
        meter: Meter | None = None,
    ) -> None:
        """``luck`` draws from 0 to 1, only for how long to wait after a failure. ``meter`` is told
        what happens, for whoever counts it."""
        self._bus = bus
        self._store = store
        self._climate = climate
        self._clock = clock
        self._log = log
        self._new_key = new_key
        self._meter = meter or Meter()
        self._wanted: TickOpened | TickAwaited | None = None
        self._opened: TickOpened | None = None  # its temperature is still to be shown
        self._told: tuple[str, int] | None = None  # run and tick of the last line
        self._written: _Written | None = None
        self._failures = 0
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, luck)
        self._retry_at_s = 0.0

    @property
    def finished(self) -> bool:
        """Never: weather goes on until it is stopped."""
        return False

    def start(self) -> None:
        """Opens the bus."""
        self._log.info("weather starts", climate=self._climate.name, horizon_ticks=HORIZON_TICKS)
        self._bus.open(self._topology)

    def handle(self, events: Sequence[BusEvent]) -> None:
        """Notes what the market wants; only its newest word counts."""
        heard = listen(self._bus, events, self._log)
        self._wanted = heard.newest or self._wanted
        self._opened = heard.opened or self._opened
        if "weather" in heard.missing:
            self._written = None  # the store may have lost its memory, so trust nothing

    def act(self) -> float | None:
        """Writes what is due; after a failure not before the back-off has passed."""
        if self._wanted is None:
            return None
        if self._failures and self._clock.monotonic() < self._retry_at_s:
            return self._retry_at_s
        try:
            self._write_ahead(self._wanted)
            self._show_opened()
        except WeatherStoreUnavailable as error:
            return self._put_off(error)
        self._wanted = None
        self._note_success()
        return None

    def stop(self) -> None:
        """Closes the bus."""
        self._bus.close()

    def _topology(self) -> Topology:
        return listener_topology("weather", self._new_key())

    def _write_ahead(self, wanted: TickOpened | TickAwaited) -> None:
        """Fills the store up to the horizon when it runs low, or was for another run or seed."""
        written = self._written
        if written is None or (written.run, written.seed) != (wanted.run, wanted.seed):
            from_tick = wanted.tick
        elif written.through_tick - wanted.tick >= LOW_TICKS:
            return
        else:
            from_tick = max(written.through_tick + 1, wanted.tick)
        through_tick = wanted.tick + HORIZON_TICKS
        temperatures_mdeg = {
            tick: self._climate.temperature_mdeg(wanted.seed, tick)
            for tick in range(from_tick, through_tick + 1)
        }
        self._store.write(wanted.run, temperatures_mdeg, keep_from_tick=wanted.tick)
        self._written = _Written(wanted.run, wanted.seed, through_tick)
        self._meter.wrote(len(temperatures_mdeg))

    def _show_opened(self) -> None:
        """Sets the current temperature to the one that the market opened its tick with."""
        opened = self._opened
        if opened is None:
            return
        self._store.set_current(opened.temperature_mdeg)
        self._opened = None
        if (opened.run, opened.tick) == self._told:
            return  # the market repeats itself; the log need not
        self._told = (opened.run, opened.tick)
        self._meter.opened(opened.temperature_mdeg)
        self._log.info(
            f"tick {opened.tick}",
            temperature_c=degrees(opened.temperature_mdeg),
            forecast_to_tick=self._written.through_tick if self._written else None,
        )

    def _put_off(self, error: WeatherStoreUnavailable) -> float:
        """Notes a failure, said once; returns when to try again."""
        if self._failures == 0:
            self._log.warning("weather store lost, trying again", reason=str(error))
        self._failures += 1
        self._meter.failed()
        self._written = None
        self._retry_at_s = self._clock.monotonic() + self._backoff.next_s()
        return self._retry_at_s

    def _note_success(self) -> None:
        if self._failures:
            self._log.info("weather store is back", failed_attempts=self._failures)
            self._failures = 0
            self._backoff.succeeded(math.inf)
