"""One home process: ``python -m services.home``."""

from __future__ import annotations

import secrets

from energymarket import runtime, settings, telemetry
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.clock import SystemClock
from services.home.domain.profile import PolicyChoice
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
    service = HomeService(
        bus=bus,
        clock=clock,
        log=log,
        new_key=new_key,
        instance=settings.instance_id(chosen.instance_id, fallback=new_key()),
        homes=chosen.homes_per_replica,
        policy=PolicyChoice.parse(chosen.home_policy),
        profile=chosen.home_profile,
    )
    stop = runtime.StopRequest()
    stop.listen_to_signals()
    runtime.run_service(service, bus, clock, stop)


if __name__ == "__main__":
    runtime.main(run)
