"""One fleet of a worker: the service of a home process, and the line of the bus that it has.

The fleet is ``HomeService`` itself, so that a load test says exactly what a home says. The line
looks over its shoulder: when its orders went out, and which of them have their receipts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import perf_counter

from energymarket.bus.counters import BusCounters
from energymarket.bus.port import Bus, BusEvent, Delivery, Publication, TopologyMaker
from energymarket.clock import Clock
from energymarket.messages import Join, Leave, Orders, Receipts, Refused, TickOpened, Welcome
from energymarket.topology import Topology
from lab.load.pacing import Schedule
from lab.load.tally import Tally


class FleetLine:
    """The ``Bus`` port for one fleet: publishes on the shared bus, and measures.

    ``opened_tick`` is the newest tick that is open, ``ordered_tick`` the newest that the fleet has
    ordered for, ``settled_tick`` the newest for which all its orders have receipts.
    """

    def __init__(self, bus: Bus, clock: Clock, tally: Tally, homes: int) -> None:
        self._bus, self._clock, self._tally, self.homes = bus, clock, tally, homes
        self.make_topology: TopologyMaker = Topology
        self.schedule: Schedule | None = None
        self.asked = self.joined = False
        self.run = ""
        self.first_tick = self.opened_tick = self.ordered_tick = self.settled_tick = 0
        self.publishing_s = 0.0
        self._opened_at = self._sent_at = 0.0
        self._pending: set[int] = set()

    # --------------------------------------------------------------------- what the fleet calls

    @property
    def counters(self) -> BusCounters:
        return self._bus.counters

    def open(self, topology: TopologyMaker) -> None:
        self.make_topology = topology

    def poll(self, timeout_s: float | None) -> list[BusEvent]:  # noqa: ARG002 - the port's
        """Never anything: the worker hands the fleet its events."""
        return []

    def publish(
        self, publications: Iterable[Publication], then_acknowledge: Sequence[Delivery] = ()
    ) -> None:
        publications = list(publications)
        begun = perf_counter()
        self._bus.publish(publications, then_acknowledge)
        self.publishing_s += perf_counter() - begun
        self._tally.messages_out += len(publications)
        match publications[0].message:
            case Orders(tick=tick):
                self._note_orders(tick, publications)
            case Join():
                self.asked, self.joined = True, False
            case Leave():
                self.asked = self.joined = False

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._bus.acknowledge(deliveries)

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        self._bus.dead_letter(delivery, reason)

    def wake(self) -> None:
        self._bus.wake()

    def flush(self, timeout_s: float) -> bool:  # noqa: ARG002 - the port's
        """The worker flushes once for all its fleets."""
        return True

    def close(self) -> None:
        """The bus is the worker's."""

    # -------------------------------------------------------------------- what the worker calls

    def connected(self) -> None:
        """A new connection: the fleet joins anew."""
        self.asked = self.joined = False

    def hear(self, delivery: Delivery) -> None:
        """Looks at a delivery before the fleet gets it."""
        self._tally.messages_in += 1
        match delivery.message:
            case Receipts() as receipts:
                self._note_receipts(receipts)
                if receipts.opened:
                    self._note_opened(receipts.opened.tick)
            case TickOpened(tick=tick):
                self._note_opened(tick)
            case Welcome() as welcome:
                self._note_welcome(welcome)
            case Refused() as refused:
                self._tally.refused += max(len(refused.home), 1)
                self.asked = False

    def held_until(self, now: float) -> float | None:
        """Until when the orders of the open tick are to wait; None: not at all, inf: for a word."""
        if not self.joined or self.opened_tick <= self.ordered_tick:
            return None
        if self.schedule is None:
            return float("inf")
        due_at = self.schedule.due_at(self.opened_tick)
        return due_at if due_at is not None and due_at > now else None

    def give_up(self, now: float) -> None:
        """The run ends: what has been due for long and was not answered counts as it stands.

        Also when the connection is lost just then: the orders of who has ever joined are due.
        """
        if self.schedule is None or not self.first_tick:
            return
        for waited_s in self.schedule.overdue(self.settled_tick, now):
            self._tally.unanswered += self.homes
            self._tally.latencies.record(waited_s, self.homes)

    # ------------------------------------------------------------------------------------ notes

    def _note_opened(self, tick: int) -> None:
        if tick > self.opened_tick:
            self.opened_tick, self._opened_at = tick, self._clock.monotonic()

    def _note_orders(self, tick: int, publications: Sequence[Publication]) -> None:
        if tick <= self.ordered_tick:
            self._tally.repeated += len(publications)
            return
        now = self._clock.monotonic()
        self.ordered_tick, self._sent_at = tick, now
        orders = (each.message for each in publications)
        self._pending = {home for each in orders if isinstance(each, Orders) for home in each.home}
        if self.schedule and self.schedule.counts(tick):
            self._tally.sent(now)
            due_at = self.schedule.due_at(tick)
            if due_at is not None and self.opened_tick == tick:
                self._tally.held_s += max(min(due_at, now) - self._opened_at, 0.0)

    def _note_welcome(self, welcome: Welcome) -> None:
        self.joined, self.run, self.first_tick = True, welcome.run, welcome.first_tick
        if welcome.opened:
            self._note_opened(welcome.opened.tick)
        if self._pending and self.ordered_tick <= welcome.settled_tick:
            # Their receipts went to a queue that is gone; this is the first word of them.
            self._count_settled(self.ordered_tick, len(self._pending))
            self._pending.clear()
        self.settled_tick = max(self.settled_tick, welcome.settled_tick)

    def _note_receipts(self, receipts: Receipts) -> None:
        """Each home of the newest order once, whatever comes twice or in how many messages."""
        if receipts.tick != self.ordered_tick or not self._pending:
            self._note_absence(receipts)
            return
        before = len(self._pending)
        self._pending.difference_update(receipts.home)
        settled = before - len(self._pending)
        if not self._pending:
            self.settled_tick = receipts.tick
        if settled:
            self._count_settled(receipts.tick, settled, absent=receipts.present.count(0))

    def _count_settled(self, tick: int, homes: int, *, absent: int = 0) -> None:
        if self.schedule is None or not self.schedule.counts(tick):
            return
        now = self._clock.monotonic()
        due_at = self.schedule.due_at(tick)
        since = self._sent_at if due_at is None else due_at
        self._tally.absent += absent
        if homes > absent:
            self._tally.settled(homes - absent, now - since, now)

    def _note_absence(self, receipts: Receipts) -> None:
        """A tick that was settled before this fleet had ordered for it."""
        if receipts.tick <= max(self.ordered_tick, self.settled_tick):
            return
        self.settled_tick = receipts.tick
        if self.schedule and self.schedule.counts(receipts.tick):
            self._tally.absent += len(receipts.home)
