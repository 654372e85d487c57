"""Starts the market as a process: ``python -m services.market``."""

from __future__ import annotations

import secrets

from energymarket import runtime, settings, telemetry
from energymarket.bus.rabbit import RabbitBus
from energymarket.clock import SystemClock
from energymarket.redis_weather_store import RedisWeatherStore
from energymarket.units import NEUR_IN_EUR
from services.market.api import ApiServer, create_app
from services.market.books import Books
from services.market.checkpoints import Checkpoint, pass_by
from services.market.domain.rules import Rules
from services.market.ledger import Ledger
from services.market.lock import LedgerLock
from services.market.service import MarketService
from services.market.settings import MarketSettings
from services.market.tick_cycle import Tempo


def run(checkpoint: Checkpoint = pass_by) -> None:
    """Reads the environment, builds the adapters, runs until told to stop.

    ``checkpoint`` is called at each of ``checkpoints.STEPS``; in production it does nothing.
    """
    chosen = settings.load(MarketSettings)
    log = telemetry.configure("market", level=chosen.log_level, form=chosen.log_format)
    stop = runtime.StopRequest()
    stop.listen_to_signals()
    lock = LedgerLock(chosen.ledger_url)
    if not lock.acquire(stop.wait, log):
        return
    try:
        _settle(chosen, log, stop, checkpoint)
    finally:
        lock.release()


def _settle(
    chosen: MarketSettings, log: telemetry.Log, stop: runtime.StopRequest, checkpoint: Checkpoint
) -> None:
    clock = SystemClock()
    ledger = Ledger.open(chosen.ledger_url, rules(chosen))
    ledger.raise_epoch(clock.now())
    store = RedisWeatherStore(chosen.redis_url)
    bus = RabbitBus(url=chosen.amqp_url, name="market", app_id="market", log=log)
    market = MarketService(
        bus=bus,
        books=Books(ledger, max_fleets=chosen.max_orders_in_flight // 2),
        store=store,
        clock=clock,
        log=log,
        tempo=tempo(chosen),
        max_orders_in_flight=chosen.max_orders_in_flight,
        checkpoint=checkpoint,
    )
    token = chosen.api_token or secrets.token_urlsafe(16)
    server = ApiServer(
        create_app(market, token=token, settings=chosen.shown()),
        host=chosen.api_host,
        port=chosen.port,
        log=log,
    )
    server.start()
    log.info(
        f"market on {server.url}",
        run=ledger.world.run,
        epoch=ledger.epoch,
        next_tick=market.books.tick + 1,
        **({} if chosen.api_token else {"token_for_writes": token}),
    )
    try:
        runtime.run_service(market, bus, clock, stop)
    finally:
        server.stop()
        store.close()
        ledger.close()


def tempo(chosen: MarketSettings) -> Tempo:
    """When things happen, as the settings say."""
    return Tempo(
        tick_s=chosen.tick_seconds,
        deadline_s=chosen.tick_deadline_seconds,
        start_homes=chosen.start_homes,
        max_ticks=chosen.max_ticks,
        lease_s=chosen.lease_seconds,
    )


def rules(chosen: MarketSettings) -> Rules:
    """What a new world is made by, as the settings say."""
    limit = chosen.credit_limit_eur
    return Rules(
        seed=chosen.seed,
        price_model=chosen.price_model,
        credit_limit_neur=None if limit is None else round(limit * NEUR_IN_EUR),
    )


if __name__ == "__main__":
    runtime.main(run)
