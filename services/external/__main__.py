"""Starts external as a process: ``python -m services.external``."""

from __future__ import annotations

from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.clock import SystemClock
from energymarket.runtime import StopRequest, main, run_service
from energymarket.settings import load
from energymarket.telemetry import configure
from services.external.catalogue_file import load_catalogue
from services.external.service import ExternalService
from services.external.settings import ExternalSettings


def run() -> None:
    """Reads the environment, builds the adapters, runs until told to stop."""
    settings = load(ExternalSettings)
    catalogue = load_catalogue(settings.catalogue)
    log = configure("external", level=settings.log_level, form=settings.log_format)
    stop = StopRequest()
    stop.listen_to_signals()
    clock = SystemClock()
    options = RabbitOptions(own_thread=False)
    bus = RabbitBus(
        url=settings.amqp_url, name="external", app_id="external", log=log, options=options
    )
    service = ExternalService(bus=bus, catalogue=catalogue, log=log)
    run_service(service, bus, clock, stop)


if __name__ == "__main__":
    main(run)
