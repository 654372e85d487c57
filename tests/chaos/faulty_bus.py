"""A bus that misbehaves by a seed: drops, doubles, delays, reorders, and loses its connection.

Worse than any broker that keeps AMQP's promises, so that nothing may rest on those promises. And
one that its process can die in: between two receipts, between the receipts and the acknowledgement
of the orders, and right after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from energymarket.bus.counters import BusCounters
from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import BusEvent, Delivery, Publication, TopologyMaker
from energymarket.clock import Clock
from energymarket.messages import Orders, Receipts
from services.market.checkpoints import Checkpoint, pass_by
from tests.chaos.plan import Fate

SOME_RECEIPTS_PUBLISHED: Final = "some receipts published"
RECEIPTS_PUBLISHED: Final = "receipts published"
ORDERS_ACKNOWLEDGED: Final = "orders acknowledged"

BUS_STEPS: Final = (SOME_RECEIPTS_PUBLISHED, RECEIPTS_PUBLISHED, ORDERS_ACKNOWLEDGED)


class Witness(Protocol):
    """Whoever is told what a process says and what it declares done with, before it happens."""

    def said(self, bus: MemoryBus, publications: Sequence[Publication]) -> None: ...

    def done_with(
        self, bus: MemoryBus, deliveries: Sequence[Delivery], said: Sequence[Publication]
    ) -> None: ...


class FaultyBus:
    """The ``Bus`` port over a ``MemoryBus``, with faults drawn from ``luck``."""

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        fate: Fate,
        clock: Clock,
        witness: Witness,
        checkpoint: Checkpoint = pass_by,
    ) -> None:
        self.inner = MemoryBus(broker)
        self._broker, self._fate, self._clock = broker, fate, clock
        self._witness, self._checkpoint = witness, checkpoint
        self._late: list[tuple[float, Publication]] = []

    @property
    def counters(self) -> BusCounters:
        return self.inner.counters

    def open(self, topology: TopologyMaker) -> None:
        self.inner.open(topology)

    def poll(self, timeout_s: float | None) -> list[BusEvent]:
        fate = self._fate
        faults = fate.plan.faults
        if fate.strikes(faults.disconnect, "connection lost"):
            self.drop_connection()
        if self._late:
            self._send_late()
        events = self.inner.poll(timeout_s)
        if len(events) > 1 and fate.strikes(faults.reorder, "messages reordered"):
            self._shuffle(events)
        return events

    def _send_late(self) -> None:
        now = self._clock.monotonic()
        for due, publication in self._late:
            if due <= now:
                self.inner.publish([publication])
        self._late = [(due, publication) for due, publication in self._late if due > now]

    def _shuffle(self, events: list[BusEvent]) -> None:
        places = [i for i, event in enumerate(events) if isinstance(event, Delivery)]
        shuffled = [events[i] for i in places]
        self._fate.luck.shuffle(shuffled)
        for place, event in zip(places, shuffled, strict=True):
            events[place] = event

    def publish(
        self, publications: Iterable[Publication], then_acknowledge: Sequence[Delivery] = ()
    ) -> None:
        publications = list(publications)
        self._witness.said(self.inner, publications)
        some_receipts = False
        for publication in publications:
            if some_receipts:
                self._checkpoint(SOME_RECEIPTS_PUBLISHED)
            self._send(publication)
            some_receipts = isinstance(publication.message, Receipts)
        if then_acknowledge:
            self._confirm(publications, then_acknowledge)

    def _send(self, publication: Publication) -> None:
        fate = self._fate
        faults = fate.plan.faults
        if fate.strikes(faults.drop, "message dropped"):
            return
        if fate.strikes(faults.delay, "message delayed"):
            due = self._clock.monotonic() + fate.luck.uniform(0.05, 4)
            self._late.append((due, publication))
            return
        twice = fate.strikes(faults.double, "message doubled")
        self.inner.publish([publication, publication] if twice else [publication])

    def _confirm(self, said: Sequence[Publication], deliveries: Sequence[Delivery]) -> None:
        orders = any(isinstance(delivery.message, Orders) for delivery in deliveries)
        if orders:
            self._checkpoint(RECEIPTS_PUBLISHED)
        if self._fate.strikes(self._fate.plan.faults.lose_confirm, "confirm lost"):
            return
        self._witness.done_with(self.inner, deliveries, said)
        self.inner.acknowledge(deliveries)
        if orders:
            self._checkpoint(ORDERS_ACKNOWLEDGED)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._witness.done_with(self.inner, deliveries, ())
        self.inner.acknowledge(deliveries)

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        self.inner.dead_letter(delivery, reason)

    def wake(self) -> None:
        self.inner.wake()

    def flush(self, timeout_s: float) -> bool:
        return self.inner.flush(timeout_s)

    def close(self) -> None:
        self.inner.close()

    def drop_connection(self) -> None:
        """The connection breaks; what was not acknowledged comes again."""
        self._broker.drop_connection(self.inner)
