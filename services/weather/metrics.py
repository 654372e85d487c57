"""Weather's numbers for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from energymarket.exporter import ServiceMetrics
from energymarket.units import degrees
from services.weather.meter import Meter


class WeatherMetrics(Meter, ServiceMetrics):
    """Counts what weather does."""

    def __init__(self) -> None:
        super().__init__()

        def counter(name: str, text: str) -> Counter:
            return Counter(f"energymarket_weather_{name}", text, registry=self.registry)

        self._ticks = counter("ticks", "Ticks heard of as open")
        self._written = counter("written_ticks", "Ticks whose temperature was put into Redis")
        self._errors = counter("redis_errors", "Writes that Redis did not take")
        self._temperature = Gauge(
            "energymarket_weather_temperature_celsius",
            "Temperature of the open tick, as put into Redis",
            registry=self.registry,
        )

    def opened(self, temperature_mdeg: int) -> None:
        self._ticks.inc()
        self._temperature.set(degrees(temperature_mdeg))

    def wrote(self, ticks: int) -> None:
        self._written.inc(ticks)

    def failed(self) -> None:
        self._errors.inc()
