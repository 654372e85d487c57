"""The cycle of a tick, as phases; each moves on to the next or says when to look again::

    gather homes -> await inputs -> collect orders -> commit -> rest -> gather homes -> ...

A phase in which the ledger refuses raises ``LedgerUnavailable`` and can be entered again: nothing
that anybody may have heard of has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from energymarket import topology
from energymarket.bus.port import Bus, Publication
from energymarket.clock import Clock
from energymarket.messages import EventStart, Message, TickAwaited
from energymarket.telemetry import Log
from energymarket.units import degrees, eur_per_kwh
from services.market import answers
from services.market.checkpoints import (
    AFTER_COMMIT,
    BEFORE_COMMIT,
    TICK_COMPLETE,
    TICK_OPENED,
)
from services.market.domain.home_ids import to_ranges
from services.market.domain.order_book import OrderBook
from services.market.domain.record import DEGRADED, Opening
from services.market.errors import LedgerUnavailable
from services.market.floor import Floor, OpenTick
from services.market.front_desk import FrontDesk
from services.market.pacing import Pace
from services.market.report import degraded
from services.market.tick_answers import TickAnswers

_ANNOUNCE_AGAIN_S = 2.0
_AWAIT_AGAIN_S = 0.5
_LOOK_AT_REST_S = 2.0
_PHASES_OF_A_TICK = 5


@dataclass(frozen=True, slots=True)
class Tempo:
    """When things happen: first pace, deadline (0: none), first roster, end (0: never), lease."""

    tick_s: float = 1.0
    deadline_s: float = 5.0
    start_homes: int = 1
    max_ticks: int = 0
    lease_s: float = 30.0


Phase = Callable[[float], float | None]
"""Given the time, does what is due: enters another phase, or returns when to be called again
(None: when something comes in)."""


class TickCycle:
    """Opens, closes and commits one tick after the other."""

    def __init__(
        self, floor: Floor, *, desk: FrontDesk, bus: Bus, clock: Clock, log: Log, tempo: Tempo
    ) -> None:
        self._floor, self._desk, self._bus = floor, desk, bus
        self._clock, self._log, self._tempo = clock, log, tempo
        self._books, self._metrics = floor.books, floor.metrics
        self._phase: Phase = self._gather_homes
        self._phase_since = self._announce_at = 0.0
        self._first_of_epoch = self._books.tick + 1
        self._given_up_on: set[str] = set()
        self.pace = Pace(tempo.tick_s)
        self._answers = TickAnswers(floor, bus=bus, clock=clock, log=log)
        self.waiting_for: tuple[str, ...] = ()
        self.newest_opening = self._books.last.opening if self._books.last else None
        self.roster_homes = len(self._books.last.home) if self._books.last else 0
        self.opened_at = clock.now()

    @property
    def done(self) -> bool:
        """True after the last tick that was asked for."""
        return 0 < self._tempo.max_ticks <= self._books.tick

    @property
    def phase(self) -> Phase:
        """The present phase, to see whether it has changed."""
        return self._phase

    def advance(self) -> float | None:
        """Goes through phases until one has to wait; at most one tick, so that a market that waits
        for nobody still listens. Returns when to be called again, None if not before news."""
        try:
            due = self._go_on()
        except LedgerUnavailable:
            self._answers.send(None)
            raise
        self._answers.send(None)
        return due

    def _go_on(self) -> float | None:
        now = self._clock.monotonic()
        if self.pace.holds and self._phase in (self._gather_homes, self._await_inputs):
            self._enter(self._rest, now)
        for _ in range(_PHASES_OF_A_TICK):
            phase = self._phase
            due = phase(now)
            if self._phase == phase:
                return due
            now = self._clock.monotonic()
        return now

    def reconnected(self) -> None:
        """What is open is said again, for those who listen have new queues; and a deadline counts
        the time in which somebody could have been heard."""
        self._announce_at = 0.0
        self._phase_since = self._clock.monotonic()
        tick = self._floor.open_tick
        if tick:
            tick.held.clear()
            tick.announce_at = 0.0
            tick.opened_at = self._phase_since

    def _enter(self, phase: Phase, now: float) -> None:
        self._phase, self._phase_since, self._announce_at = phase, now, 0.0
        self.waiting_for = ()

    def _announce(self, message: Message, *exchanges: str, trace: str = "") -> None:
        self._bus.publish([Publication(name, "", message, trace=trace) for name in exchanges])

    # -------------------------------------------------------------------------- before a tick

    def _gather_homes(self, now: float) -> float | None:
        """Before the first tick until enough homes have joined, later until there is any."""
        if self.done:
            return None
        wanted = 1 if self._books.tick else self._tempo.start_homes
        if self._books.membership.homes < wanted:
            return self._await(("homes",), now)
        self._enter(self._await_inputs, now)
        return None

    def _await(self, missing: tuple[str, ...], now: float) -> float:
        """Says again and again what the coming tick lacks; returns when to say it next."""
        self.waiting_for = missing
        if now >= self._announce_at:
            world = self._books.world
            awaited = TickAwaited(
                run=world.run,
                epoch=self._books.ledger.epoch,
                seed=world.seed,
                tick=self._books.tick + 1,
                missing=list(missing),
            )
            self._announce(awaited, *topology.TO_ALL)
            self._announce_at = now + _AWAIT_AGAIN_S
        return self._announce_at

    def _await_inputs(self, now: float) -> float | None:
        """Until the temperature and the bulletin of the coming tick are here, or time is up."""
        stored = self._stored_opening()
        if stored:
            self._open(stored, now)
            return None
        tick, inputs = self._books.tick + 1, self._floor.inputs
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
            temperature_mdeg = self._books.last_temperature_mdeg
        starts = bulletin.events if bulletin else []
        self._open(self._opening(temperature_mdeg, starts, missing), now)
        return None

    def _stored_opening(self) -> Opening | None:
        """How the tick that a predecessor announced was opened, if a clock had decided it."""
        if self._books.tick + 1 != self._first_of_epoch:
            return None
        stored = self._books.ledger.opening(self._first_of_epoch)
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
        """How the tick opens. Where a clock may decide it, it is stored before anyone hears of it
        and stands after a restart, for homes may have acted on it: a market that takes over could
        miss its own deadline for an input that this one had, as well as the other way round."""
        bits = sum(DEGRADED[name] for name in missing)
        opening = self._books.opening(temperature_mdeg, starts, bits)
        if self._tempo.deadline_s:
            self._books.ledger.save_opening(opening)
        if bits:
            self._log.warning(f"tick {opening.tick} opens without {degraded(bits)}")
            for name in missing:
                self._metrics.degraded.labels(name).inc()
        return opening

    def _open(self, opening: Opening, now: float) -> None:
        """Freezes the roster and announces the tick."""
        self._floor.presence.excuse(self.pace.unasked_s(now, self._tempo.lease_s))
        self._end_lapsed_leases(now)
        fleets = self._books.membership.roster(opening.tick)
        roster = self._books.roster(fleets)
        # Who left during this tick, before a predecessor died, may have ordered, or never will.
        here = [fleet for fleet in fleets if fleet.left_tick is None]
        present = self._floor.presence.awaited(here)
        awaited = (
            roster.home
            if len(present) == len(fleets)
            else [home for fleet in present for home in fleet.homes]
        )
        announced = answers.tick_opened(self._books, opening, len(roster.home))
        span = self._floor.tracer.root("tick", opening.tick)
        self._floor.open_tick = OpenTick(
            opening=opening,
            fleets=fleets,
            roster=roster,
            book=OrderBook(roster, awaited),
            announced=announced,
            opened_at=now,
            announce_at=now + _ANNOUNCE_AGAIN_S,
            span=span,
        )
        self.pace.opened(now)
        self.newest_opening, self.opened_at = opening, self._clock.now()
        self.roster_homes = len(roster.home)
        self._metrics.homes.set(len(roster.home))
        self._metrics.price.set(eur_per_kwh(opening.price_neur_per_wh))
        self._metrics.temperature.set(degrees(opening.temperature_mdeg))
        told = self._answers.send(None if span.trace else announced)
        if not told or not told.issuperset(fleet.key for fleet in here):
            # Nobody heard of it with their receipts, or not all: there were none, some joined of
            # late, or it has a trace of its own.
            to = [topology.OPENINGS] if told else topology.TO_ALL
            self._announce(announced, *to, trace=span.trace)
        self._floor.checkpoint(TICK_OPENED)
        self._enter(self._collect_orders, now)
        self._desk.receive_again()

    def _end_lapsed_leases(self, now: float) -> None:
        fleets = self._books.membership.roster(self._books.tick + 1)
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
                    self._announce(tick.announced, *topology.TO_ALL, trace=tick.span.trace)
                    tick.announce_at = now + _ANNOUNCE_AGAIN_S
                due = tick.announce_at
                return min(due, tick.opened_at + deadline_s) if deadline_s else due
            self._record_absences(tick, now)
        self._floor.checkpoint(TICK_COMPLETE)
        self._metrics.collect_seconds.observe(now - tick.opened_at)
        with self._floor.tracer.child("settle", tick.span.trace):
            tick.settled = self._books.settle(tick.opening, tick.roster, tick.book.columns())
        self._metrics.settle_seconds.observe(self._clock.monotonic() - now)
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
        self._floor.checkpoint(BEFORE_COMMIT)
        with self._floor.tracer.child("commit", tick.span.trace):
            self._books.commit(tick.settled, tick.roster, self._clock.now())
        self._floor.checkpoint(AFTER_COMMIT)
        committed_at = self._clock.monotonic()
        self._metrics.commit_seconds.observe(committed_at - now)
        self.pace.settled(committed_at, len(tick.roster.home) - tick.settled.absent)
        self._floor.open_tick = None
        self._desk.receive_again()
        self._answers.settled(tick, tick.settled)
        self._enter(self._rest, committed_at)
        return None

    def _rest(self, now: float) -> float | None:
        """Until the pace lets the next tick open, and whoever has paused the clock."""
        if self.done:
            return None
        opens_at = self.pace.opens_at()
        if opens_at is not None and now >= opens_at:
            self._enter(self._gather_homes, now)
            return None
        self.waiting_for = ("clock",) if opens_at is None else ()
        # Whether the store answers is asked of a market that rests for hours as well.
        self._floor.inputs.temperature_mdeg(self._books.tick + 1)
        look_again_at = now + _LOOK_AT_REST_S
        return look_again_at if opens_at is None else min(opens_at, look_again_at)
