"""What a tick needs before it can open: its temperature and the bulletin of its events.

Weather and external run ahead, so most often both are here long before they are needed.
"""

from __future__ import annotations

from energymarket.bus.port import Delivery
from energymarket.clock import Clock
from energymarket.errors import WeatherStoreUnavailable
from energymarket.messages import Bulletin
from energymarket.telemetry import Log
from energymarket.weather_store import WeatherStore

_LOOK_AGAIN_S = 0.05
_LOOK_AGAIN_AFTER_FAILURE_S = 0.5
_LOOK_ANYWAY_S = 2.0
_MAX_BULLETINS_AHEAD = 10_000


class Inputs:
    """Temperatures and bulletins of the coming ticks."""

    def __init__(self, *, run: str, store: WeatherStore, clock: Clock, log: Log) -> None:
        self._run, self._store, self._clock, self._log = run, store, clock, log
        self._temperature_mdeg: dict[int, int] = {}
        self._bulletins: dict[int, tuple[Bulletin, Delivery]] = {}
        self.look_again_at = 0.0
        self._look_anyway_at = 0.0
        self.store_answers = True

    def temperature_mdeg(self, tick: int) -> int | None:
        """The temperature of ``tick``, or None while weather has not written it.

        The store is looked at when the tick is not at hand, and every few seconds anyway: readiness
        is to tell soon that it is gone, not when the forecast has been used up.
        """
        now = self._clock.monotonic()
        due = self._look_anyway_at if tick in self._temperature_mdeg else self.look_again_at
        if now >= due:
            self._look(tick)
        return self._temperature_mdeg.get(tick)

    def forecast(self) -> dict[int, int]:
        """Temperatures known by tick, milli-degrees C."""
        return dict(self._temperature_mdeg)

    def _look(self, tick: int) -> None:
        try:
            found = self._store.read(self._run, tick)
        except WeatherStoreUnavailable as error:
            if self.store_answers:
                self._log.warning("waiting for the weather store", why=str(error))
            self.store_answers = False
            self.look_again_at = self._clock.monotonic() + _LOOK_AGAIN_AFTER_FAILURE_S
            self._look_anyway_at = self._clock.monotonic() + _LOOK_ANYWAY_S
            return
        if not self.store_answers:
            self._log.info("the weather store answers again")
        self.store_answers = True
        self._temperature_mdeg.update(found)
        self._look_anyway_at = self._clock.monotonic() + _LOOK_ANYWAY_S
        if tick not in found:
            self.look_again_at = self._clock.monotonic() + _LOOK_AGAIN_S

    def take(self, bulletin: Bulletin, delivery: Delivery) -> Delivery | None:
        """Keeps a bulletin; returns the delivery that nothing needs any more, if there is one.

        The first bulletin of a tick stands. Of its copies the newest delivery is kept, for an
        older one may be void since the bus reconnected.
        """
        kept = self._bulletins.get(bulletin.tick)
        if kept is None and len(self._bulletins) >= _MAX_BULLETINS_AHEAD:
            return delivery
        self._bulletins[bulletin.tick] = (kept[0] if kept else bulletin, delivery)
        return kept[1] if kept else None

    def bulletin(self, tick: int) -> Bulletin | None:
        """The bulletin of ``tick``, or None while external has not published it."""
        kept = self._bulletins.get(tick)
        return kept[0] if kept else None

    def done_with(self, tick: int) -> list[Delivery]:
        """Forgets everything up to ``tick``; returns the deliveries to acknowledge."""
        old = [t for t in self._bulletins if t <= tick]
        for t in [t for t in self._temperature_mdeg if t <= tick]:
            del self._temperature_mdeg[t]
        return [self._bulletins.pop(t)[1] for t in old]
