"""Starts the market as a process: ``python -m services.market``."""

from __future__ import annotations

import secrets

from energymarket import runtime, settings, telemetry, tracing
from energymarket.bus.rabbit import RabbitBus
from energymarket.clock import SystemClock
from energymarket.redis_weather_store import RedisWeatherStore
from energymarket.units import NEUR_IN_EUR
from services.market.api import ApiServer, create_app
from services.market.books import Books
from services.market.checkpoints import Checkpoint, pass_by
from services.market.domain.rules import Rules
from services.market.errors import EpochLost
from services.market.front_door import FrontDoor
from services.market.leadership import Leadership
from services.market.ledger import Ledger, Retention
from services.market.lock import LedgerLock
from services.market.metrics import MarketMetrics
from services.market.service import MarketService
from services.market.settings import MarketSettings
from services.market.shown import OnDuty
from services.market.standby import Standby
from services.market.tick_cycle import Tempo


def run(checkpoint: Checkpoint = pass_by) -> None:
    """Reads the environment, builds the adapters, runs until told to stop.

    ``checkpoint`` is called at each of ``checkpoints.STEPS``; in production it does nothing.
    """
    chosen = settings.load(MarketSettings)
    log = telemetry.configure("market", level=chosen.log_level, form=chosen.log_format)
    stop = runtime.StopRequest()
    stop.listen_to_signals()
    collector = settings.otlp_endpoint()
    lock = LedgerLock(chosen.ledger_url)
    ledger = Ledger.open(chosen.ledger_url, rules(chosen), retention(chosen))
    try:
        with tracing.exported(collector, "market", log, chosen.trace_ratio) as tracer:
            _Process(chosen, log, stop, ledger, lock, checkpoint, tracer).run()
    finally:
        ledger.close()
        lock.close()


class _Process:
    """A market that settles while it may and stands by while it may not, until it is stopped."""

    def __init__(
        self,
        chosen: MarketSettings,
        log: telemetry.Log,
        stop: runtime.StopRequest,
        ledger: Ledger,
        lock: LedgerLock,
        checkpoint: Checkpoint,
        tracer: tracing.Tracer,
    ) -> None:
        self._chosen, self._log, self._stop, self._tracer = chosen, log, stop, tracer
        self._ledger, self._checkpoint = ledger, checkpoint
        self._clock, self._metrics = SystemClock(), MarketMetrics()
        self._leadership = Leadership(
            ledger, lock, self._clock, log, takeover_s=chosen.takeover_seconds
        )
        self._standby = Standby(
            ledger,
            self._leadership,
            self._clock,
            log,
            self._metrics,
            pace_s=chosen.tick_seconds,
        )
        self._on_duty = OnDuty(self._standby)
        self._token = chosen.api_token or secrets.token_urlsafe(16)
        facts = {"run": ledger.world.run}
        if not chosen.api_token:
            facts["token_for_writes"] = self._token
        self._door = FrontDoor(self._server, chosen.port, log, facts)

    def run(self) -> None:
        """Takes turns at both roles."""
        leads = self._standby.look()
        try:
            self._door.open(settling=leads)
            while leads or self._stand_by():
                leads = False
                self._door.move_home()
                self._settle()
        finally:
            self._door.close()

    def _server(self, port: int) -> ApiServer:
        chosen = self._chosen
        app = create_app(self._on_duty, token=self._token, settings=chosen.shown())
        return ApiServer(app, host=chosen.api_host, port=port, log=self._log)

    def _stand_by(self) -> bool:
        """Until it is ours to settle; False when the process is to stop."""
        if self._stop.requested:
            return False
        self._on_duty.market = self._standby
        self._metrics.settling.set(0)
        self._log.info("standing by: another market settles on this ledger")
        return self._standby.wait_to_lead(self._stop.wait)

    def _settle(self) -> None:
        """Until told to stop, or until another market has taken over."""
        chosen = self._chosen
        store = RedisWeatherStore(chosen.redis_url)
        bus = RabbitBus(url=chosen.amqp_url, name="market", app_id="market", log=self._log)
        market = MarketService(
            bus=bus,
            books=Books(self._ledger, max_fleets=chosen.max_orders_in_flight // 2),
            store=store,
            clock=self._clock,
            log=self._log,
            tempo=tempo(chosen),
            max_orders_in_flight=chosen.max_orders_in_flight,
            checkpoint=self._checkpoint,
            renew=self._leadership.renew,
            metrics=self._metrics,
            tracer=self._tracer,
        )
        self._on_duty.market = market
        self._metrics.settling.set(1)
        next_tick = market.books.tick + 1
        self._log.info("settling", epoch=self._ledger.epoch, next_tick=next_tick)
        try:
            runtime.run_service(market, bus, self._clock, self._stop)
        except EpochLost as error:
            self._log.warning("another market has taken over: nothing is written", why=str(error))
        finally:
            store.close()
            self._leadership.give_up()


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


def retention(chosen: MarketSettings) -> Retention:
    """How much history is kept, as the settings say."""
    return Retention(ticks=chosen.history_ticks, size_bytes=chosen.history_mib * 2**20)


if __name__ == "__main__":
    runtime.main(run)
