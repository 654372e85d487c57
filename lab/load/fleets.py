"""All the fleets of a worker as one service, on one bus and one thread."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from energymarket.bus.port import Bus, BusEvent, Connected, Delivery, Disconnected
from energymarket.clock import Clock
from energymarket.messages import Receipts
from energymarket.telemetry import Log
from energymarket.topology import Topology
from lab.load.line import FleetLine
from lab.load.pacing import Schedule
from lab.load.tally import Tally
from lab.load.wire import Sample
from services.home.service import HomeService

SAMPLE_S = 1.0
_WELCOME_TURNS = 30
_WELCOME_TURN_S = 0.1


@dataclass(slots=True)
class _Fleet:
    service: HomeService
    line: FleetLine
    due: float = math.inf


class LoadFleets:
    """See ``energymarket.service.Service`` for how it is called.

    It holds its orders back until ``go``, so that all workers begin with the same tick.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        clock: Clock,
        log: Log,
        new_key: Callable[[], str],
        instance: str,
        sizes: Sequence[int],
        homes_per_message: int = 0,
        report: Callable[[Sample], None] = lambda _: None,
        cpu_s: Callable[[], float] = lambda: 0.0,
        refusal: Callable[[], str] = lambda: "",
    ) -> None:
        """``report`` is given a sample a second, and when something was reached; ``cpu_s`` says
        how much processor time the process has used, ``refusal`` why the broker will never let it
        in, if that is so."""
        self._bus, self._clock, self._report, self._cpu_s = bus, clock, report, cpu_s
        self._refusal = refusal
        self._tally = Tally()
        self._fleets: list[_Fleet] = []
        for number, homes in enumerate(sizes):
            line = FleetLine(bus, clock, self._tally, homes)
            service = HomeService(
                bus=line,
                clock=clock,
                log=log,
                new_key=new_key,
                instance=f"{instance}-{number}",
                homes=homes,
                homes_per_message=homes_per_message,
            )
            self._fleets.append(_Fleet(service, line))
        self._by_queue: dict[str, int] = {}
        self._due: list[tuple[float, int]] = []
        self._ready = dict.fromkeys(range(len(self._fleets)))
        self._schedule: Schedule | None = None
        self._opened_tick = self._settled_tick = 0
        self._sample_at = 0.0
        self._reached: tuple[bool, ...] = ()
        self._all_joined = self._gone = False

    # ------------------------------------------------------------------------------ life cycle

    def start(self) -> None:
        for fleet in self._fleets:
            fleet.service.start()
        self._bus.open(self._topology)

    def go(self, schedule: Schedule) -> None:
        """Lets the orders go out, by this schedule."""
        self._schedule = schedule
        for number, fleet in enumerate(self._fleets):
            fleet.line.schedule = schedule
            self._ready[number] = None

    def stop(self) -> None:
        """Leaves; a fleet that has asked to join is waited for, since it may have homes already."""
        now = self._clock.monotonic()
        for fleet in self._fleets:
            fleet.line.give_up(now)
        for _ in range(_WELCOME_TURNS):
            if not any(fleet.line.asked and not fleet.line.joined for fleet in self._fleets):
                break
            self.handle(self._bus.poll(_WELCOME_TURN_S))
        for fleet in self._fleets:
            fleet.service.stop()
        self._bus.flush(0.5)
        self._bus.close()
        self._gone = True
        self._send_sample(self._clock.monotonic())

    @property
    def finished(self) -> bool:
        return False

    # ------------------------------------------------------------------------- collect and act

    def handle(self, events: Sequence[BusEvent]) -> None:
        for event in events:
            match event:
                case Delivery(queue=queue):
                    number = self._by_queue[queue]
                    fleet = self._fleets[number]
                    if isinstance(event.message, Receipts):
                        self._settled_tick = max(self._settled_tick, event.message.tick)
                    fleet.line.hear(event)
                    self._opened_tick = max(self._opened_tick, fleet.line.opened_tick)
                    fleet.service.handle((event,))
                    self._ready[number] = None
                case Connected():
                    self._on_connected(event)
                case Disconnected():
                    self._all_joined = False
                    for each in self._fleets:
                        each.line.connected()
                        each.service.handle((event,))

    def _on_connected(self, event: Connected) -> None:
        """Each fleet is told of its own queue only."""
        self._by_queue = {}
        queues = event.topology.consumes
        for number, (queue, fleet) in enumerate(zip(queues, self._fleets, strict=True)):
            self._by_queue[queue] = number
            fleet.line.connected()
            fleet.service.handle((Connected(event.generation, Topology(consumes=(queue,))),))
            self._ready[number] = None

    def act(self) -> float | None:
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            due, number = heapq.heappop(self._due)
            if due == self._fleets[number].due:
                self._fleets[number].due = math.inf
                self._ready[number] = None
        ready, self._ready = self._ready, {}
        for number in ready:
            self._act(number, now)
        self._sample_if_due(self._clock.monotonic())
        return min(self._due[0][0], self._sample_at) if self._due else self._sample_at

    def _act(self, number: int, now: float) -> None:
        """One fleet's turn, unless its orders are to wait; what is not publishing is computing."""
        fleet = self._fleets[number]
        due = fleet.line.held_until(now)
        if due is None:
            begun, publishing_s = perf_counter(), fleet.line.publishing_s
            due = fleet.service.act()
            publishing_s = fleet.line.publishing_s - publishing_s
            self._tally.compute_s += perf_counter() - begun - publishing_s
        if due is not None and due not in (math.inf, fleet.due):
            heapq.heappush(self._due, (due, number))
        fleet.due = math.inf if due is None else due

    # --------------------------------------------------------------------------------- samples

    def _sample_if_due(self, now: float) -> None:
        """Once a second, and at once when all have joined, the count begins, the first tick that
        counts is open, or all is done."""
        base = self._schedule.base_tick if self._schedule else math.inf
        begun, opened = self._settled_tick >= base - 1, self._opened_tick >= base
        if not self._all_joined:
            self._all_joined = all(fleet.line.joined for fleet in self._fleets)
        reached = (self._all_joined, begun, opened, self._done())
        if now >= self._sample_at or reached != self._reached:
            self._reached = reached
            self._send_sample(now)

    def _done(self) -> bool:
        if self._schedule is None or self._settled_tick < self._schedule.last_tick:
            return False
        last = self._schedule.last_tick
        return all(fleet.line.settled_tick >= last for fleet in self._fleets)

    def _send_sample(self, now: float) -> None:
        tally, counters, cpu_s = self._tally, self._bus.counters, self._cpu_s()
        joined = [fleet.line for fleet in self._fleets if fleet.line.joined]
        sample = Sample(
            run=joined[0].run if joined else "",
            joined_fleets=len(joined),
            first_tick=max((line.first_tick for line in joined), default=0),
            opened_tick=self._opened_tick,
            settled_tick=self._settled_tick,
            orders=tally.orders,
            absent=tally.absent,
            refused=tally.refused,
            repeated=tally.repeated,
            unanswered=tally.unanswered,
            latencies=tally.latencies.take(),
            compute_s=tally.compute_s,
            held_s=tally.held_s / len(self._fleets),
            encode_s=counters.encode_s - tally.encoded_s,
            decode_s=counters.decode_s - tally.decoded_s,
            messages_out=tally.messages_out,
            messages_in=tally.messages_in,
            reconnects=counters.reconnects,
            cpu_s=cpu_s - tally.cpu_s,
            first_sent_at=tally.first_sent_at,
            last_receipt_at=tally.last_receipt_at,
            done=self._done(),
            gone=self._gone,
            refusal=self._refusal(),
        )
        tally.clear(counters, cpu_s)
        self._sample_at = now + SAMPLE_S
        self._report(sample)

    def _topology(self) -> Topology:
        """The queues and bindings of all fleets on one connection; called by the bus's thread."""
        made = [fleet.line.make_topology() for fleet in self._fleets]
        return Topology(
            expected_exchanges=made[0].expected_exchanges,
            queues=tuple(queue for each in made for queue in each.queues),
            bindings=tuple(binding for each in made for binding in each.bindings),
            consumes=tuple(queue for each in made for queue in each.consumes),
        )
