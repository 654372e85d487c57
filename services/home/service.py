"""A home process: hosts one or many homes, and never runs ahead of their receipts.

It repeats whatever is not answered (Join, orders), so neither a lost message nor a lost broker
loses an order; the market takes each order once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from energymarket import topology
from energymarket.bus.port import Bus, BusEvent, Connected, Delivery, Disconnected, Publication
from energymarket.clock import Clock
from energymarket.messages import (
    MOST_HOMES_PER_MESSAGE,
    Join,
    Leave,
    Receipts,
    Refused,
    TickAwaited,
    TickOpened,
    Welcome,
)
from energymarket.telemetry import Log
from energymarket.tracing import Tracer
from services.home.domain.profile import PolicyChoice
from services.home.hosted import Hosted, Opened, hosted
from services.home.meter import Meter
from services.home.orders import order_messages
from services.home.receipts import ReceiptParts, stocks
from services.home.report import report_receipts

FIRST_REPEAT_S = 1.0
LONGEST_REPEAT_S = 10.0
LONGEST_FIRST_REPEAT_S = 5.0
_GUESSED_ANSWER_S_PER_HOME = 10e-6
_REFUSALS_THAT_END_MEMBERSHIP = frozenset({"unknown_fleet", "wrong_run", "not_your_home"})


@dataclass(slots=True)
class _Repeat:
    """When to say a thing again: first after 1 s, unless told otherwise, then at doubling intervals
    up to 10 s."""

    due: float = 0.0
    interval_s: float = FIRST_REPEAT_S

    def said(self, now: float) -> None:
        self.due = now + self.interval_s
        self.interval_s = min(2 * self.interval_s, LONGEST_REPEAT_S)


class HomeService:
    """One fleet. See ``energymarket.service.Service`` for how it is called."""

    def __init__(
        self,
        *,
        bus: Bus,
        clock: Clock,
        log: Log,
        new_key: Callable[[], str],
        instance: str,
        homes: int = 1,
        policy: PolicyChoice | None = None,
        profile: str = "residential",
        homes_per_message: int = 0,
        meter: Meter | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """``homes_per_message`` is the most homes in one message, either way; 0: as many as fit.

        ``meter`` is told what happens, for whoever counts it.
        """
        self._bus, self._clock, self._log, self._new_key = bus, clock, log, new_key
        self._instance, self._homes = instance, homes
        self._policy, self._profile = policy or PolicyChoice(), profile
        fits = homes <= MOST_HOMES_PER_MESSAGE
        self._homes_per_message = homes_per_message or (0 if fits else MOST_HOMES_PER_MESSAGE)
        self._meter, self._tracer = meter or Meter(), tracer or Tracer()
        self._fleet = ""
        self._welcome: Welcome | None = None
        self._parts = ReceiptParts()
        self.hosted: Hosted | None = None
        """The homes of this process; none before it was welcomed."""
        self._stock_tick = 0  # the stocks are those after this tick
        self._settled_tick = 0
        self._opened: Opened | None = None
        self._opened_trace = ""
        self._sent: list[Publication] = []
        self._sent_for = (0, 0)  # (tick, epoch)
        self._join = _Repeat()
        self._order = _Repeat()
        self._ordered_at = 0.0
        # How long the newest receipts took; before any, what so many homes may well take.
        self._answered_within_s = _GUESSED_ANSWER_S_PER_HOME * homes

    # ------------------------------------------------------------------------------ life cycle

    def start(self) -> None:
        self._bus.open(lambda: topology.fleet_topology(self._new_key()))

    def stop(self) -> None:
        if self._welcome:
            leave = Leave(run=self._welcome.run, fleet=self._fleet, secret=self._welcome.secret)
            self._publish(topology.MEMBERSHIP, topology.MEMBERSHIP_KEY, leave)
            self._bus.flush(0.5)
        self._bus.close()

    @property
    def finished(self) -> bool:
        return False

    @property
    def home_ids(self) -> tuple[int, ...]:
        """The homes that this process hosts; none before it was welcomed."""
        return tuple(self.hosted.home_ids) if self.hosted else ()

    # --------------------------------------------------------------------------------- collect

    def handle(self, events: Sequence[BusEvent]) -> None:
        for event in events:
            match event:
                case Delivery(refusal=None):
                    self._receive(event)
                case Delivery(refusal=(reason, detail)):
                    self._log.warning("message refused", reason=reason, why=detail)
                    self._bus.dead_letter(event, reason)
                case Connected():
                    self._fleet = event.topology.consumes[0].removeprefix(topology.fleet_queue(""))
                    self._join_anew()
                case Disconnected():
                    self._fleet, self._welcome = "", None

    def _receive(self, delivery: Delivery) -> None:
        match delivery.message:
            case Receipts() as receipts:
                with self._tracer.child("take receipts", delivery.trace):
                    self._on_receipts(receipts)
                if receipts.opened and self._welcome and receipts.run == self._welcome.run:
                    self._note_opened(receipts.opened)
            case TickOpened() as opened:
                self._on_opened(opened, delivery.trace)
            case Welcome() as welcome:
                self._on_welcome(welcome)
            case Refused() as refused:
                self._on_refused(refused)
            case TickAwaited() as awaited if self._welcome and awaited.run != self._welcome.run:
                self._join_anew()

    def _on_welcome(self, welcome: Welcome) -> None:
        if welcome.fleet != self._fleet:
            return
        if self._welcome is None or welcome.home != self._welcome.home or not self.hosted:
            self.hosted = hosted(self._profile, welcome, self._policy)
            self._log.info(
                f"joined as {_homes(welcome.home)}",
                run=welcome.run,
                first_tick=welcome.first_tick,
            )
        if self._welcome is None or welcome.run != self._welcome.run:
            self._opened, self._sent_for = None, (0, 0)
        self._welcome = welcome
        self._meter.joined(len(welcome.home))
        self._parts.forget()
        self.hosted.set_stocks(welcome.home, welcome.stock_wh)
        self._stock_tick = welcome.settled_tick
        # A joiner waits for no receipt of a tick that was open before it came. One comes if another
        # process had ordered for its homes, and then it changes their stocks.
        self._settled_tick = max(welcome.settled_tick, welcome.first_tick - 1)
        self._join = _Repeat()
        if welcome.opened:
            self._on_opened(welcome.opened)

    def _on_opened(self, opened: TickOpened, trace: str = "") -> None:
        if self._welcome and opened.run != self._welcome.run:
            self._join_anew()
        else:
            self._note_opened(opened, trace)

    def _note_opened(self, opened: Opened, trace: str = "") -> None:
        newest = self._opened
        if newest is None or (opened.epoch, opened.tick) >= (newest.epoch, newest.tick):
            self._opened, self._opened_trace = opened, trace
            self._meter.opened(opened.tick)

    def _on_receipts(self, receipts: Receipts) -> None:
        if (
            self._welcome is None
            or self.hosted is None
            or receipts.run != self._welcome.run
            or receipts.fleet != self._fleet
            or receipts.tick <= self._stock_tick
        ):
            return
        if receipts.tick <= self._settled_tick:
            self._on_receipts_of_a_predecessor(receipts, self.hosted)
            return
        parts = self._parts.take(receipts, len(self._welcome.home))
        if parts:
            self.hosted.set_stocks(*stocks(parts))
            self._stock_tick = self._settled_tick = receipts.tick
            self._meter.received(parts)
            self._answered_within_s = self._clock.monotonic() - self._ordered_at
            report_receipts(self._log, parts, self.hosted.only_profile)

    def _on_receipts_of_a_predecessor(self, receipts: Receipts, homes: Hosted) -> None:
        """Of a tick before this fleet's first: of those of its homes that had ordered for it."""
        homes.set_stocks(receipts.home, receipts.stock_wh)
        if not self._homes_per_message:  # else more of them may follow
            self._stock_tick = receipts.tick
        self._meter.received([receipts])
        report_receipts(self._log, [receipts], homes.only_profile)

    def _on_refused(self, refused: Refused) -> None:
        if refused.fleet != self._fleet:
            return
        self._meter.refused(refused.reason)
        if refused.reason == "full":
            self._log.warning("not admitted; trying again", why=refused.detail)
        elif refused.reason in _REFUSALS_THAT_END_MEMBERSHIP:
            self._log.warning("membership lost; joining again", why=refused.detail)
            self._join_anew()
        elif refused.reason == "stock_mismatch":
            # The refusal carries the true stocks: mend ours and order anew. After the receipt of
            # its tick it is of the past.
            if self.hosted and refused.tick > self._stock_tick:
                self.hosted.set_stocks(refused.home, refused.stock_wh)
                self._stock_tick = refused.tick - 1
                self._sent_for = (0, 0)
        else:
            self._log.error(
                "order refused", tick=refused.tick, reason=refused.reason, why=refused.detail
            )

    # ------------------------------------------------------------------------------------- act

    def act(self) -> float | None:
        if not self._fleet:
            return None
        now = self._clock.monotonic()
        if self._welcome is None or self.hosted is None:
            return self._ask_to_join(now)
        opened = self._opened
        if opened is None or opened.tick <= self._settled_tick:
            return None
        if opened.tick > self._settled_tick + 1:
            # Receipts in between were lost on the way: the market's Welcome has the stocks.
            return self._ask_to_join(now)
        if self._sent_for[0] != opened.tick:
            with self._tracer.child("make orders", self._opened_trace) as span:
                offers, requests = self.hosted.orders(opened)
            self._sent = order_messages(
                self._welcome, opened.tick, offers, requests, self._homes_per_message, span.trace
            )
            self._meter.computed(offers, requests)
            # In a large market a tick takes seconds, and a copy of every order would lengthen it.
            patience_s = min(2 * self._answered_within_s, LONGEST_FIRST_REPEAT_S)
            self._order = _Repeat(interval_s=max(patience_s, FIRST_REPEAT_S))
            self._ordered_at = now
        elif self._sent_for[1] == opened.epoch and now < self._order.due:
            return self._order.due
        self._sent_for = (opened.tick, opened.epoch)
        self._bus.publish(self._sent)
        self._meter.ordered(opened.tick)
        self._order.said(now)
        return self._order.due

    def _ask_to_join(self, now: float) -> float:
        if now >= self._join.due:
            join = Join(
                fleet=self._fleet,
                instance=self._instance,
                homes=self._homes,
                homes_per_message=self._homes_per_message or UNSET,
            )
            self._publish(topology.MEMBERSHIP, topology.MEMBERSHIP_KEY, join)
            self._join.said(now)
        return self._join.due

    def _join_anew(self) -> None:
        self._welcome = None
        self._join = _Repeat()

    def _publish(self, exchange: str, key: str, message: Join | Leave) -> None:
        self._bus.publish([Publication(exchange, key, message, persistent=True, mandatory=True)])


def _homes(homes: Sequence[int]) -> str:
    return f"home {homes[0]}" if len(homes) == 1 else f"{len(homes)} homes, {homes[0]} first"
