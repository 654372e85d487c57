"""The market: owns time, takes orders, settles each tick once, and answers for it.

The front desk takes in what comes, the tick cycle moves time on; this is the service around them.
See docs/architecture.md for the protocol and for why nothing here can settle a tick twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from energymarket import topology
from energymarket.bus.port import Bus, BusEvent, Connected, Delivery, Disconnected
from energymarket.clock import Clock
from energymarket.messages import EventStart
from energymarket.telemetry import Log
from energymarket.tracing import Tracer
from energymarket.weather_store import WeatherStore
from services.market.books import Books, KnownPolicies
from services.market.checkpoints import Checkpoint, pass_by
from services.market.errors import LedgerUnavailable
from services.market.floor import Floor
from services.market.front_desk import FrontDesk
from services.market.inputs import Inputs
from services.market.leadership import unchallenged
from services.market.ledger import History
from services.market.metrics import MarketMetrics
from services.market.pacing import ClockFace
from services.market.presence import Presence
from services.market.tick_cycle import Tempo, TickCycle
from services.market.view import Commands, View

_LEDGER_AGAIN_S = 1.0


class MarketService:
    """See ``energymarket.service.Service`` for how it is called."""

    def __init__(
        self,
        *,
        bus: Bus,
        books: Books,
        store: WeatherStore,
        clock: Clock,
        log: Log,
        tempo: Tempo,
        max_orders_in_flight: int = 20_000,
        end_when_done: bool = False,
        checkpoint: Checkpoint = pass_by,
        renew: Callable[[float], object] = unchallenged,
        metrics: MarketMetrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """``end_when_done`` finishes the service after the last tick; else it keeps answering.

        ``checkpoint`` is called at each of ``checkpoints.STEPS``; ``renew`` with the time before
        anything is done, and raises ``EpochLost`` if another market has taken over.
        """
        self.books = books
        self.metrics = metrics or MarketMetrics()
        self.metrics.watch(bus.counters)
        self._renew = renew
        self.commands = Commands(bus.wake)
        self._bus, self._clock, self._log = bus, clock, log
        self._max_orders_in_flight = max_orders_in_flight
        self._end_when_done = end_when_done
        self._floor = Floor(
            books=books,
            inputs=Inputs(run=books.world.run, store=store, clock=clock, log=log),
            presence=Presence(tempo.lease_s),
            metrics=self.metrics,
            checkpoint=checkpoint,
            tracer=tracer or Tracer(),
        )
        self._desk = FrontDesk(self._floor, bus=bus, log=log)
        self._cycle = TickCycle(
            self._floor, desk=self._desk, bus=bus, clock=clock, log=log, tempo=tempo
        )
        self._acted_at = clock.monotonic()
        self._connected = False
        self._ledger_writable = True
        self._ledger_again_at = 0.0
        self._shown: tuple[object, ...] = ()
        self.view = self._picture()

    # ------------------------------------------------------------------------------ life cycle

    def start(self) -> None:
        in_flight, epoch = self._max_orders_in_flight, self.books.ledger.epoch
        self._bus.open(lambda: topology.market_topology(in_flight, consumer_priority=epoch))

    def stop(self) -> None:
        self._bus.flush(0.5)
        self._bus.close()

    @property
    def finished(self) -> bool:
        return self._end_when_done and self._cycle.done

    # ------------------------------------------------------------------------- collect and act

    def handle(self, events: Sequence[BusEvent]) -> None:
        begun = self._clock.monotonic()
        for event in events:
            match event:
                case Delivery():
                    self._desk.receive(event)
                case Connected():
                    # Deliveries of before are void: the broker gives them again.
                    self._connected = True
                    self._desk.forget_deliveries()
                    self._cycle.reconnected()
                case Disconnected():
                    self._connected = False
        self._floor.taking_s += self._clock.monotonic() - begun

    def act(self) -> float | None:
        self._acted_at = self._clock.monotonic()
        self._renew(self._acted_at)
        commanded = self.commands.run_all()
        due = self._act_on_ledger()
        if commanded or self._shown != self._showing():
            self.view = self._picture()
        return due

    def _act_on_ledger(self) -> float | None:
        """Answers what came in and moves time on; while the ledger refuses, tries once a second."""
        if not self._ledger_writable and self._clock.monotonic() < self._ledger_again_at:
            return self._ledger_again_at
        try:
            self._desk.close_batch()
            due = self._cycle.advance() if self._connected and not self.finished else None
            self._desk.close_batch()
        except LedgerUnavailable as error:
            self.metrics.ledger_failures.inc()
            if self._ledger_writable:
                text = "nothing is acknowledged until the ledger can be written"
                self._log.error(text, why=str(error))
            self._ledger_writable = False
            self._ledger_again_at = self._clock.monotonic() + _LEDGER_AGAIN_S
            return self._ledger_again_at
        # Without the broker nothing was due, so nothing was tried.
        if not self._ledger_writable and self._connected:
            self._log.info("the ledger takes writes again")
            self._ledger_writable = True
        return due

    def start_event(self, start: EventStart) -> tuple[int, int]:
        """Has an event begin in the first tick not open yet; returns (its id, that tick).

        To be run as a command, on the market's thread. Raises ``LedgerUnavailable``.
        """
        tick = self._floor.coming_tick
        if self._floor.open_tick is None and self.books.ledger.opening(tick):
            tick += 1  # a predecessor has fixed how that one opens, and may have announced it
        return self.books.add_event(start, tick), tick

    def change_clock(self, *, paused: bool | None, pace_s: float | None) -> ClockFace:
        """Pauses, runs on, or takes another pace, in seconds from one opening to the next; None
        leaves as it is. To be run as a command."""
        self._cycle.pace.change(paused=paused, pace_s=pace_s)
        return self._cycle.pace.face

    def step_clock(self, ticks: int) -> ClockFace:
        """Has a paused market open that many ticks. To be run as a command; raises
        ``ClockRuns``."""
        self._cycle.pace.step(ticks)
        return self._cycle.pace.face

    @property
    def history(self) -> History:
        """The ledger's past."""
        return self.books.ledger.history

    @property
    def policies(self) -> KnownPolicies:
        """The policies that homes have shown."""
        return self.books.policies

    @property
    def idle_s(self) -> float:
        """Since when the market's thread has not been seen at work, in seconds; any thread asks."""
        return self._clock.monotonic() - self._acted_at

    # --------------------------------------------------------------------------------- picture

    def _showing(self) -> tuple[object, ...]:
        """What makes a new picture necessary when it changes."""
        return (
            self._cycle.phase,
            self._cycle.waiting_for,
            self.books.tick,
            self.books.membership.members(),
            self._connected,
            self._ledger_writable,
            self._floor.inputs.store_answers,
        )

    def _picture(self) -> View:
        books, inputs, cycle = self.books, self._floor.inputs, self._cycle
        self._shown = self._showing()
        return View(
            standing_by=False,
            run=books.world.run,
            seed=books.world.seed,
            epoch=books.ledger.epoch,
            price_model=books.world.price_model,
            opening=cycle.newest_opening,
            opened_at=cycle.opened_at,
            last=books.last,
            head_hash=books.head_hash.hex(),
            residuals=books.residuals,
            fleets=books.membership.members(),
            homes=books.membership.homes,
            roster_homes=cycle.roster_homes,
            forecast_mdeg=inputs.forecast(),
            waiting_for=cycle.waiting_for if self._connected else ("broker",),
            broker_connected=self._connected,
            store_answers=inputs.store_answers,
            ledger_writable=self._ledger_writable,
            finished=cycle.done,
            clock=cycle.pace.face,
        )
