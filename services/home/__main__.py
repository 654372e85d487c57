"""One home process: ``python -m services.home``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from energymarket import runtime, settings, telemetry, tracing
from energymarket.bus.port import Bus
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.clock import Clock, SystemClock
from services.home.domain.profile import PolicyChoice
from services.home.meter import Meter
from services.home.service import HomeService
from services.home.settings import HomeSettings


def new_key() -> str:
    """An unguessable fleet key."""
    return secrets.token_hex(16)


def run() -> None:
    """Builds the process from the environment and runs it."""
    chosen = settings.load(HomeSettings)
    log = telemetry.configure("home", level=chosen.log_level, form=chosen.log_format)
    clock = SystemClock()
    # A home's orders are confirmed by their receipts, and repeated until then.
    options = RabbitOptions(confirms=False, own_thread=False)
    bus = RabbitBus(url=chosen.amqp_url, name="home", app_id="home", log=log, options=options)
    collector = settings.otlp_endpoint()
    with (
        meter(chosen, bus, clock) as counting,
        tracing.exported(collector, "home", log) as tracer,
    ):
        service = HomeService(
            bus=bus,
            clock=clock,
            log=log,
            new_key=new_key,
            instance=settings.instance_id(chosen.instance_id, fallback=new_key()),
            homes=chosen.homes_per_replica,
            policy=PolicyChoice.parse(chosen.home_policy),
            profile=chosen.home_profile,
            meter=counting,
            tracer=tracer,
        )
        stop = runtime.StopRequest()
        stop.listen_to_signals()
        runtime.run_service(service, bus, clock, stop)


@contextmanager
def meter(chosen: HomeSettings, bus: Bus, clock: Clock) -> Iterator[Meter]:
    """One that counts nothing, or where a port is set, one whose numbers are served there."""
    if not chosen.metrics_port:
        yield Meter()
        return
    from energymarket.exporter import serving  # noqa: PLC0415 - has its price in memory
    from services.home.metrics import HomeMetrics  # noqa: PLC0415

    metrics = HomeMetrics(clock)
    with serving(metrics, bus.counters, chosen):
        yield metrics


if __name__ == "__main__":
    runtime.main(run)
