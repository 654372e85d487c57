"""A bus that misbehaves by a seed: drops, doubles, delays, reorders, and loses its connection.

Worse than any broker that keeps AMQP's promises, so that nothing may rest on those promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from energymarket.bus.counters import BusCounters
from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import BusEvent, Delivery, Publication, TopologyMaker
from energymarket.clock import Clock


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each fault happens, as probabilities per message, or per poll."""

    drop: float = 0.03
    double: float = 0.03
    delay: float = 0.05
    lose_confirm: float = 0.03
    reorder: float = 0.1
    disconnect: float = 0.01


SOME_FAULTS = Faults()
NO_FAULTS = Faults(0, 0, 0, 0, 0, 0)


class FaultyBus:
    """The ``Bus`` port over a ``MemoryBus``, with faults drawn from ``luck``."""

    def __init__(self, broker: MemoryBroker, *, luck: Random, faults: Faults, clock: Clock) -> None:
        self._broker, self._luck, self._faults, self._clock = broker, luck, faults, clock
        self._inner = MemoryBus(broker)
        self._late: list[tuple[float, Publication]] = []

    @property
    def counters(self) -> BusCounters:
        return self._inner.counters

    def open(self, topology: TopologyMaker) -> None:
        self._inner.open(topology)

    def poll(self, timeout_s: float | None) -> list[BusEvent]:
        if self._luck.random() < self._faults.disconnect:
            self.drop_connection()
        now = self._clock.monotonic()
        for due, publication in self._late:
            if due <= now:
                self._inner.publish([publication])
        self._late = [(due, publication) for due, publication in self._late if due > now]
        events = self._inner.poll(timeout_s)
        if self._luck.random() < self._faults.reorder:
            places = [i for i, event in enumerate(events) if isinstance(event, Delivery)]
            shuffled = [events[i] for i in places]
            self._luck.shuffle(shuffled)
            for place, event in zip(places, shuffled, strict=True):
                events[place] = event
        return events

    def publish(
        self, publications: Sequence[Publication], then_acknowledge: Sequence[Delivery] = ()
    ) -> None:
        faults, luck = self._faults, self._luck
        for publication in publications:
            fate = luck.random()
            if fate < faults.drop:
                continue
            if fate < faults.drop + faults.double:
                self._inner.publish([publication, publication])
            elif fate < faults.drop + faults.double + faults.delay:
                due = self._clock.monotonic() + luck.uniform(0.05, 4)
                self._late.append((due, publication))
            else:
                self._inner.publish([publication])
        if then_acknowledge and luck.random() >= faults.lose_confirm:
            self._inner.acknowledge(then_acknowledge)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._inner.acknowledge(deliveries)

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        self._inner.dead_letter(delivery, reason)

    def wake(self) -> None:
        self._inner.wake()

    def flush(self, timeout_s: float) -> bool:
        return self._inner.flush(timeout_s)

    def close(self) -> None:
        self._inner.close()

    def drop_connection(self) -> None:
        """The connection breaks; what was not acknowledged comes again."""
        self._broker.drop_connection(self._inner)
