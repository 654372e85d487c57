"""Starts external as a process: ``python -m services.external``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from energymarket.bus.port import Bus
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.clock import SystemClock
from energymarket.runtime import StopRequest, main, run_service
from energymarket.settings import load
from energymarket.telemetry import configure
from services.external.catalogue_file import load_catalogue
from services.external.domain.catalogue import Catalogue
from services.external.meter import Meter
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
    with meter(settings, bus, catalogue) as counting:
        service = ExternalService(bus=bus, catalogue=catalogue, log=log, meter=counting)
        run_service(service, bus, clock, stop)


@contextmanager
def meter(chosen: ExternalSettings, bus: Bus, catalogue: Catalogue) -> Iterator[Meter]:
    """One that counts nothing, or where a port is set, one whose numbers are served there."""
    if not chosen.metrics_port:
        yield Meter()
        return
    from energymarket.exporter import serving  # noqa: PLC0415 - has its price in memory
    from services.external.metrics import ExternalMetrics  # noqa: PLC0415

    metrics = ExternalMetrics(catalogue)
    with serving(metrics, bus.counters, chosen):
        yield metrics


if __name__ == "__main__":
    main(run)
