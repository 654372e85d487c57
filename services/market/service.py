"""The market: owns time, takes orders, settles each tick once, and answers for it.

It goes through phases, each a method that either moves on or says when to look again::

    gather homes -> await inputs -> collect orders -> commit -> rest -> gather homes -> ...

See docs/architecture.md for the protocol and for why nothing here can settle a tick twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from energymarket import topology
from energymarket.bus import (
    Bus,
    BusEvent,
    Connected,
    Delivery,
    Disconnected,
    Publication,
    Returned,
)
from energymarket.clock import Clock
from energymarket.messages import EventStart, Message, TickAwaited
from energymarket.telemetry import Log
from energymarket.units import degrees, eur_per_kwh
from energymarket.weather_store import WeatherStore
from services.market import answers
from services.market.books import Books
from services.market.domain.home_ids import to_ranges
from services.market.domain.order_book import OrderBook
from services.market.domain.record import (
    DEGRADED_EXTERNAL,
    DEGRADED_WEATHER,
    Opening,
    SettledTick,
)
from services.market.errors import LedgerUnavailable
from services.market.floor import Floor, OpenTick
from services.market.front_desk import FrontDesk
from services.market.inputs import Inputs
from services.market.metrics import MarketMetrics
from services.market.presence import Presence
from services.market.report import degraded, report_tick
from services.market.view import Commands, View

_ANNOUNCE_AGAIN_S = 2.0
_AWAIT_AGAIN_S = 0.5
_LEDGER_AGAIN_S = 1.0
_PHASES_OF_A_TICK = 5


@dataclass(frozen=True, slots=True)
class Tempo:
    """When things happen: pace, deadline (0: none), first roster, end (0: never), lease."""

    tick_s: float = 1.0
    deadline_s: float = 5.0
    start_homes: int = 1
    max_ticks: int = 0
    lease_s: float = 30.0


Phase = Callable[[float], float | None]
"""Given the time, does what is due: enters another phase, or returns when to be called again
(None: when something comes in)."""


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
    ) -> None:
        """``end_when_done`` finishes the service after the last tick; else it keeps answering."""
        self._bus, self._clock, self._log, self._tempo = bus, clock, log, tempo
        self._max_orders_in_flight = max_orders_in_flight
        self._end_when_done = end_when_done
        self.metrics = MarketMetrics()
        self.commands = Commands(bus.wake)
        self._floor = Floor(
            books=books,
            inputs=Inputs(run=books.world.run, store=store, clock=clock, log=log),
            presence=Presence(tempo.lease_s),
            metrics=self.metrics,
        )
        self.books = books
        self._desk = FrontDesk(self._floor, bus=bus, log=log)
        self._phase: Phase = self._gather_homes
        self._connected = False
        self._ledger_writable = True
        self._phase_since = self._announce_at = self._next_open_at = 0.0
        self._opened_at_wall = clock.now()
        self._newest_opening = books.last.opening if books.last else None
        self._first_of_epoch = books.tick + 1
        self._given_up_on: set[str] = set()
        self._waiting_for: tuple[str, ...] = ("broker",)
        self._shown: tuple[object, ...] = ()
        self.view = self._picture()

    # ------------------------------------------------------------------------------ life cycle

    def start(self) -> None:
        self._bus.open(lambda: topology.market_topology(self._max_orders_in_flight))

    def stop(self) -> None:
        self._bus.flush(0.5)
        self._bus.close()

    @property
    def finished(self) -> bool:
        return self._end_when_done and self._done

    @property
    def _done(self) -> bool:
        return 0 < self._tempo.max_ticks <= self.books.tick

    # --------------------------------------------------------------------------------- collect

    def handle(self, events: Sequence[BusEvent]) -> None:
        for event in events:
            match event:
                case Delivery():
                    self._desk.receive(event)
                case Connected():
                    self._on_connected()
                case Disconnected():
                    self._connected = False
                case Returned():
                    self.metrics.unroutable.inc()

    def _on_connected(self) -> None:
        """Deliveries of before are void: the broker gives them again. What is open is said again,
        for those who listen have new queues too."""
        self.metrics.connections.inc()
        self._connected = True
        self._announce_at = 0.0
        # A deadline counts the time in which somebody could have been heard.
        self._phase_since = self._clock.monotonic()
        self._desk.forget_deliveries()
        if self._floor.open_tick:
            self._floor.open_tick.held.clear()
            self._floor.open_tick.announce_at = 0.0
            self._floor.open_tick.opened_at = self._phase_since

    # ------------------------------------------------------------------------------------- act

    def act(self) -> float | None:
        now = self._clock.monotonic()
        commanded = self.commands.run_all()
        due = self._answer_all(now)
        if due is None and self._connected:
            due = self._advance(now)
        if commanded or self._shown != self._showing():
            self.view = self._picture()
        return due

    def _advance(self, now: float) -> float | None:
        """Goes through phases until one has to wait; at most one tick, so that a market that waits
        for nobody still listens."""
        for _ in range(_PHASES_OF_A_TICK):
            if self.finished:
                return None
            phase = self._phase
            due = phase(now)
            if self._phase == phase:
                return due
            now = self._clock.monotonic()
        return now

    def _answer_all(self, now: float) -> float | None:
        """Stores and answers what came in; returns when to try again if the ledger refuses."""
        try:
            self._desk.close_batch()
        except LedgerUnavailable as error:
            return self._ledger_refused(error, now)
        return None

    def _enter(self, phase: Phase, now: float) -> None:
        self._phase, self._phase_since, self._announce_at = phase, now, 0.0
        self._waiting_for = ()

    # -------------------------------------------------------------------------- before a tick

    def _gather_homes(self, now: float) -> float | None:
        """Before the first tick until enough homes have joined, later until there is any."""
        if self._done:
            return None
        wanted = 1 if self.books.tick else self._tempo.start_homes
        if self.books.membership.homes < wanted:
            return self._await(("homes",), now)
        self._enter(self._await_inputs, now)
        return None

    def _await(self, missing: tuple[str, ...], now: float) -> float:
        """Says again and again what the coming tick lacks; returns when to say it next."""
        self._waiting_for = missing
        if now >= self._announce_at:
            world = self.books.world
            self._announce(
                TickAwaited(
                    run=world.run,
                    epoch=self.books.ledger.epoch,
                    seed=world.seed,
                    tick=self.books.tick + 1,
                    missing=list(missing),
                )
            )
            self._announce_at = now + _AWAIT_AGAIN_S
        return self._announce_at

    def _await_inputs(self, now: float) -> float | None:
        """Until the temperature and the bulletin of the coming tick are here, or time is up."""
        try:
            stored = self._stored_opening()
        except LedgerUnavailable as error:
            return self._ledger_refused(error, now)
        if stored:
            self._open(stored, now)
            return None
        tick, inputs = self.books.tick + 1, self._floor.inputs
        temperature_mdeg, bulletin = inputs.temperature_mdeg(tick), inputs.bulletin(tick)
        missing = {"weather"} if temperature_mdeg is None else set()
        if bulletin is None:
            missing.add("external")
        self._given_up_on &= missing
        if missing:
            due = self._await(tuple(sorted(missing)), now)
            if not self._may_go_without(missing, now):
                if temperature_mdeg is None:
                    due = min(due, inputs.look_again_at)
                deadline_s = self._tempo.deadline_s
                return min(due, self._phase_since + deadline_s) if deadline_s else due
            self._given_up_on |= missing
        if temperature_mdeg is None:
            temperature_mdeg = self.books.last_temperature_mdeg
        starts = bulletin.events if bulletin else []
        try:
            opening = self._opening(temperature_mdeg, starts, missing)
        except LedgerUnavailable as error:
            return self._ledger_refused(error, now)
        self._open(opening, now)
        return None

    def _stored_opening(self) -> Opening | None:
        """How the tick that a predecessor announced was opened, if a clock had decided it."""
        if self.books.tick + 1 != self._first_of_epoch:
            return None
        stored = self.books.ledger.opening(self._first_of_epoch)
        self._first_of_epoch = 0
        return stored

    def _may_go_without(self, missing: set[str], now: float) -> bool:
        """True when a deadline is set, and has passed for this tick, or did for one before."""
        deadline_s = self._tempo.deadline_s
        if not deadline_s:
            return False
        return missing <= self._given_up_on or now >= self._phase_since + deadline_s

    def _opening(
        self, temperature_mdeg: int, starts: Sequence[EventStart], missing: set[str]
    ) -> Opening:
        """How the tick opens. What a clock decided is stored before anyone hears of it and stands
        after a restart, for homes may have acted on it."""
        bits = DEGRADED_WEATHER * ("weather" in missing) | (
            DEGRADED_EXTERNAL * ("external" in missing)
        )
        opening = self.books.opening(temperature_mdeg, starts, bits)
        if bits:
            self._log.warning(f"tick {opening.tick} opens without {degraded(bits)}")
            self.books.ledger.save_opening(opening)
            for name in missing:
                self.metrics.degraded.labels(name).inc()
        return opening

    def _open(self, opening: Opening, now: float) -> None:
        """Freezes the roster and announces the tick."""
        self._end_lapsed_leases(now)
        fleets = self.books.membership.roster(opening.tick)
        roster = self.books.roster(fleets)
        awaited = [home for f in self._floor.presence.awaited(fleets) for home in f.homes]
        announced = answers.tick_opened(self.books, opening, len(roster.home))
        self._floor.open_tick = OpenTick(
            opening=opening,
            fleets=fleets,
            roster=roster,
            book=OrderBook(roster, awaited),
            announced=announced,
            opened_at=now,
            announce_at=now + _ANNOUNCE_AGAIN_S,
        )
        self._newest_opening, self._opened_at_wall = opening, self._clock.now()
        self.metrics.homes.set(len(roster.home))
        self.metrics.price.set(eur_per_kwh(opening.price_neur_per_wh))
        self.metrics.temperature.set(degrees(opening.temperature_mdeg))
        self._announce(announced)
        self._enter(self._collect_orders, now)
        self._desk.receive_again()

    def _end_lapsed_leases(self, now: float) -> None:
        fleets = self.books.membership.roster(self.books.tick + 1)
        for fleet in self._floor.presence.lapsed(fleets, now):
            self._desk.release(fleet.key, "silent beyond their lease")

    # -------------------------------------------------------------------------- during a tick

    def _collect_orders(self, now: float) -> float | None:
        """Until every home of the roster that is waited for is in, or the deadline has passed."""
        tick = self._floor.open_tick
        assert tick is not None
        deadline_s = self._tempo.deadline_s
        if not tick.book.complete:
            if not deadline_s or now < tick.opened_at + deadline_s:
                if now >= tick.announce_at:
                    self._announce(tick.announced)
                    tick.announce_at = now + _ANNOUNCE_AGAIN_S
                due = tick.announce_at
                return min(due, tick.opened_at + deadline_s) if deadline_s else due
            self._record_absences(tick, now)
        self.metrics.collect_seconds.observe(now - tick.opened_at)
        tick.settled = self.books.settle(tick.opening, tick.roster, tick.book.columns())
        self.metrics.settle_seconds.observe(self._clock.monotonic() - now)
        self._enter(self._commit, now)
        return None

    def _record_absences(self, tick: OpenTick, now: float) -> None:
        """The deadline has passed: whoever is still awaited is absent, by name."""
        silent = set(tick.book.awaited)
        tick.book.give_up_on(silent)
        for fleet in tick.fleets:
            late = silent.intersection(fleet.homes)
            if late and self._floor.presence.missed(fleet, now):
                self._log.warning(
                    f"tick {tick.opening.tick}: homes {to_ranges(sorted(late))} missed the "
                    f"deadline and are not waited for until they speak"
                )

    def _commit(self, now: float) -> float | None:
        """Until the tick is in the ledger; only then does anybody hear of it."""
        tick = self._floor.open_tick
        assert tick is not None
        assert tick.settled is not None
        try:
            self.books.commit(tick.settled, tick.roster, self._clock.now())
        except LedgerUnavailable as error:
            return self._ledger_refused(error, now)
        if not self._ledger_writable:
            self._log.info("the ledger takes writes again")
            self._ledger_writable = True
        committed_at = self._clock.monotonic()
        self.metrics.commit_seconds.observe(committed_at - now)
        self._floor.open_tick = None
        self._desk.receive_again()
        self._send_receipts(tick, tick.settled)
        self._count(tick.settled)
        self.metrics.answer_seconds.observe(self._clock.monotonic() - committed_at)
        self._next_open_at = tick.opened_at + self._tempo.tick_s
        self._enter(self._rest, committed_at)
        return None

    def _send_receipts(self, tick: OpenTick, settled: SettledTick) -> None:
        """Receipts out, and once they are confirmed the orders acknowledged; then the news."""
        writer = answers.ReceiptWriter(self.books.world.run, settled)
        present = (self.books.membership.holder(fleet.homes[0]) for fleet in tick.fleets)
        receipts = [
            Publication(topology.RECEIPTS, fleet.key, writer.receipts(fleet), mandatory=True)
            for fleet in present
            if fleet
        ]
        done = [*tick.held, *self._floor.inputs.done_with(settled.tick)]
        self._bus.publish(receipts, then_acknowledge=done)
        self._announce(answers.tick_settled(self.books, settled))

    def _count(self, settled: SettledTick) -> None:
        metrics, out = self.metrics, settled.outcome
        metrics.ticks.inc()
        metrics.absences.inc(settled.absent)
        metrics.given.inc(sum(out.given_wh))
        metrics.sold.inc(sum(out.sold_wh))
        metrics.bought.inc(sum(out.bought_wh))
        metrics.spilled.inc(sum(out.spilled_wh))
        metrics.unserved.inc(sum(out.unserved_wh))
        report_tick(self._log, settled)

    def _rest(self, now: float) -> float | None:
        """Until the pace lets the next tick open."""
        if self._done:
            return None
        if now < self._next_open_at:
            return self._next_open_at
        self._enter(self._gather_homes, now)
        return None

    # ------------------------------------------------------------------------------- bookkeeping

    def start_event(self, start: EventStart) -> tuple[int, int]:
        """Has an event begin in the first tick not open yet; returns (its id, that tick).

        To be run as a command, on the market's thread. Raises ``LedgerUnavailable``.
        """
        tick = self._floor.coming_tick
        return self.books.add_event(start, tick), tick

    def _announce(self, message: Message) -> None:
        self._bus.publish([Publication(topology.TICKS, "", message)])

    def _ledger_refused(self, error: LedgerUnavailable, now: float) -> float:
        self.metrics.ledger_failures.inc()
        if self._ledger_writable:
            self._log.error(
                "nothing is acknowledged until the ledger can be written", why=str(error)
            )
            self._ledger_writable = False
            self.view = self._picture()
        return now + _LEDGER_AGAIN_S

    def _showing(self) -> tuple[object, ...]:
        """What makes a new picture necessary when it changes."""
        return (
            self._phase,
            self.books.tick,
            self.books.membership.members(),
            self._connected,
            self._waiting_for,
            self._ledger_writable,
            self._floor.inputs.store_answers,
        )

    def _picture(self) -> View:
        books, floor = self.books, self._floor
        self._shown = self._showing()
        absent = 0
        if books.last:
            absent = books.last.absent
        return View(
            run=books.world.run,
            seed=books.world.seed,
            epoch=books.ledger.epoch,
            price_model=books.world.price_model,
            opening=self._newest_opening,
            opened_at=self._opened_at_wall,
            last=books.last,
            head_hash=books.head_hash.hex(),
            next_price_neur_per_wh=books.next_price_neur_per_wh,
            residuals=books.residuals,
            fleets=books.membership.members(),
            homes=books.membership.homes,
            absent_homes=absent,
            forecast_mdeg=floor.inputs.forecast(),
            waiting_for=self._waiting_for if self._connected else ("broker",),
            broker_connected=self._connected,
            store_answers=floor.inputs.store_answers,
            ledger_writable=self._ledger_writable,
            finished=self._done,
        )
