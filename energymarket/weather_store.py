"""Where weather leaves the temperatures and the market finds them: the port, and one in memory.

``redis_weather_store`` is the one that the containers share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

CURRENT_KEY: Final = "weather:temperature"
"""Degrees C of the current tick as a plain number."""

TICKS_KEY: Final = "weather:ticks"
"""Hash: tick -> milli-degrees C, of the current and the coming ticks."""

RUN_KEY: Final = "weather:run"
"""The run that the temperatures belong to: those of an earlier ledger must not be mistaken."""


class WeatherStore(Protocol):
    """The port. Raises ``WeatherStoreUnavailable`` when the store does not answer."""

    def write(self, run: str, temperatures_mdeg: Mapping[int, int], keep_from_tick: int) -> None:
        """Adds temperatures by tick and drops those before ``keep_from_tick``.

        Another run than the stored one replaces everything.
        """

    def set_current(self, temperature_mdeg: int) -> None:
        """Sets the temperature that people read under ``weather:temperature``."""

    def read(self, run: str, from_tick: int) -> dict[int, int]:
        """Temperatures (milli-degrees C) of ``run`` by tick, from ``from_tick`` on."""

    def close(self) -> None:
        """Gives the connection back."""


class MemoryWeatherStore:
    """The weather store of the embedded run, and of tests."""

    def __init__(self) -> None:
        self._run = ""
        self._ticks: dict[int, int] = {}
        self.current_mdeg: int | None = None

    def write(self, run: str, temperatures_mdeg: Mapping[int, int], keep_from_tick: int) -> None:
        kept = self._ticks if run == self._run else {}
        merged = {**kept, **temperatures_mdeg}
        self._ticks = {tick: t for tick, t in merged.items() if tick >= keep_from_tick}
        self._run = run

    def set_current(self, temperature_mdeg: int) -> None:
        self.current_mdeg = temperature_mdeg

    def read(self, run: str, from_tick: int) -> dict[int, int]:
        if run != self._run:
            return {}
        return {tick: t for tick, t in self._ticks.items() if tick >= from_tick}

    def close(self) -> None:
        self._ticks = {}
