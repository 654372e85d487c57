"""Starts weather as a process: ``python -m services.weather``."""

from __future__ import annotations

from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.clock import SystemClock
from energymarket.redis_weather_store import RedisWeatherStore
from energymarket.runtime import StopRequest, main, run_service
from energymarket.settings import load
from energymarket.telemetry import configure
from services.weather.domain.climate import CLIMATES
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
    service = WeatherService(
        bus=bus, store=store, climate=CLIMATES[settings.climate], clock=clock, log=log
    )
    try:
        run_service(service, bus, clock, stop)
    finally:
        store.close()


if __name__ == "__main__":
    main(run)
