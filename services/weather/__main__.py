"""Starts weather as a process: ``python -m services.weather``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from energymarket.bus.port import Bus
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.clock import SystemClock
from energymarket.redis_weather_store import RedisWeatherStore
from energymarket.runtime import StopRequest, main, run_service
from energymarket.settings import load
from energymarket.telemetry import configure
from services.weather.domain.climate import CLIMATES
from services.weather.meter import Meter
from services.weather.service import WeatherService
from services.weather.settings import WeatherSettings


def run() -> None:
    """Reads the environment, builds the adapters, runs until told to stop."""
    settings = load(WeatherSettings)
    log = configure("weather", level=settings.log_level, form=settings.log_format)
    stop = StopRequest()
    stop.listen_to_signals()
    clock = SystemClock()
    options = RabbitOptions(own_thread=False)
    bus = RabbitBus(
        url=settings.amqp_url, name="weather", app_id="weather", log=log, options=options
    )
    store = RedisWeatherStore(settings.redis_url)
    climate = CLIMATES[settings.climate]
    try:
        with meter(settings, bus) as counting:
            service = WeatherService(
                bus=bus, store=store, climate=climate, clock=clock, log=log, meter=counting
            )
            run_service(service, bus, clock, stop)
    finally:
        store.close()


@contextmanager
def meter(chosen: WeatherSettings, bus: Bus) -> Iterator[Meter]:
    """One that counts nothing, or where a port is set, one whose numbers are served there."""
    if not chosen.metrics_port:
        yield Meter()
        return
    from energymarket.exporter import serving  # noqa: PLC0415 - has its price in memory
    from services.weather.metrics import WeatherMetrics  # noqa: PLC0415

    metrics = WeatherMetrics()
    with serving(metrics, bus.counters, chosen):
        yield metrics


if __name__ == "__main__":
    main(run)
