"""The bus inside one process: for the embedded run and for tests.

It behaves like the broker wherever a service could notice: bodies are really encoded and decoded,
queues are bounded, what was not acknowledged comes back, exclusive queues die with their
connection. One lock guards the broker, so that several threads may each own a bus of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import perf_counter

from energymarket.bus.counters import BusCounters
from energymarket.bus.memory_broker import MemoryBroker
from energymarket.bus.memory_queue import Channel, Consumer, Content, MemoryQueue, Stored
from energymarket.bus.port import (
    BusEvent,
    Connected,
    Delivery,
    Disconnected,
    Publication,
    Returned,
    TopologyMaker,
)
from energymarket.codec import encode
from energymarket.errors import BusClosed
from energymarket.topology import DEAD
from energymarket.tracing import headers_of, trace_in

__all__ = ["MemoryBroker", "MemoryBus"]


class MemoryBus:
    """The ``Bus`` port on a ``MemoryBroker``."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.counters = BusCounters()
        self._broker = broker
        self._channel = Channel()
        self._maker: TopologyMaker | None = None
        self._generation = 0
        self._failures_flushed = 0
        self._closed = False

    def open(self, topology: TopologyMaker) -> None:
        self._check_open()
        self._maker = topology
        with self._broker.lock:
            self._broker.buses.append(self)
        self._try_to_connect()

    def poll(self, timeout_s: float | None) -> list[BusEvent]:
        self._check_open()
        channel = self._channel
        if not channel.connected:
            self._try_to_connect()
        if not channel.inbox.items:
            channel.inbox.wait_for_news(timeout_s, self._has_news)
        return self._take()

    def publish(
        self, publications: Iterable[Publication], then_acknowledge: Sequence[Delivery] = ()
    ) -> None:
        self._check_open()
        begun = perf_counter()
        publications = list(publications)
        bodies = [encode(publication.message) for publication in publications]
        self.counters.encode_s += perf_counter() - begun
        with self._broker.lock:
            confirmed = True
            for publication, body in zip(publications, bodies, strict=True):
                confirmed &= self._send(publication, body)
            if then_acknowledge:
                self._settle(then_acknowledge, give_back=not confirmed)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._check_open()
        with self._broker.lock:
            self._settle(deliveries, give_back=False)

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        self._check_open()
        headers = {
            "x-reason": reason,
            "x-exchange": delivery.exchange,
            "x-routing-key": delivery.routing_key,
        }
        content = Content(delivery.body)
        dead = Stored(content, DEAD, delivery.routing_key, persistent=True, headers=headers)
        kind = type(delivery.message).__name__ if delivery.message is not None else ""
        with self._broker.lock:
            if not self._is_current(delivery):
                return
            self.counters.dead_lettered += 1
            self._settle((delivery,), give_back=not self._deliver(dead, mandatory_kind=kind))

    def wake(self) -> None:
        self._channel.inbox.wake()

    def flush(self, timeout_s: float) -> bool:  # noqa: ARG002 - the port's signature
        """There is nothing to wait for: a memory broker has answered when ``publish`` returns."""
        self._check_open()
        failures = self.counters.dropped + self.counters.rejected + self.counters.lost
        failed = failures != self._failures_flushed
        self._failures_flushed = failures
        return not failed

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with self._broker.lock:
            self._leave()
            if self in self._broker.buses:
                self._broker.buses.remove(self)

    # ------------------------------------------------------- for the broker; its lock must be held

    def lose_connection(self, reason: str) -> None:
        """What was unacknowledged goes back, exclusive queues go away, the owner is told."""
        if self._channel.connected:
            self._leave()
            self._channel.inbox.put(Disconnected(reason))

    def retry(self) -> None:
        """Has a bus that waits for its exchanges look again."""
        if not self._channel.connected:
            self._channel.inbox.nudge()

    # ------------------------------------------------------------------------------------- inside

    def _check_open(self) -> None:
        if self._closed:
            raise BusClosed("the bus is closed; make a new one")

    def _try_to_connect(self) -> None:
        if self._maker is None:
            return
        topology = self._maker()
        channel = self._channel
        with self._broker.lock:
            if not self._broker.declare(topology, channel):
                return
            self._generation += 1
            self.counters.connects += 1
            channel.connected = True
            channel.inbox.put(Connected(self._generation, topology))
            for name in topology.consumes:
                queue = self._broker.queues[name]
                consumer = Consumer(channel, queue, topology.prefetch, topology.consumer_priority)
                channel.consumers.append(consumer)
                queue.consumers.append(consumer)
                queue.dispatch()

    def _leave(self) -> None:
        self.counters.disconnects += self._channel.connected
        for queue, returned in self._channel.abandon().items():
            self._broker.give_back(queue, returned)
        self._broker.delete_queues_of(self._channel)

    def _has_news(self) -> bool:
        if not self._channel.connected:
            self._try_to_connect()
        return bool(self._channel.inbox.items)

    def _take(self) -> list[BusEvent]:
        """Everything that has come in, decoded by the owner's thread and outside the lock."""
        if not self._channel.inbox.items:
            return []
        with self._broker.lock:
            items = self._channel.inbox.take()
            generation = self._generation
        begun = perf_counter()
        events: list[BusEvent] = []
        for item in items:
            if not isinstance(item, tuple):
                events.append(item)
                continue
            consumer, tag, stored = item
            events.append(self._delivery(consumer.queue.spec.name, tag, stored, generation))
        self.counters.decode_s += perf_counter() - begun
        return events

    def _delivery(self, queue: str, tag: int, stored: Stored, generation: int) -> Delivery:
        content = stored.content
        content.decode()
        self.counters.delivered += 1
        self.counters.refused += content.refusal is not None
        return Delivery(
            queue,
            stored.exchange,
            stored.routing_key,
            content.body,
            content.message,
            content.refusal,
            stored.returns > 0,
            generation,
            tag,
            trace_in(stored.headers),
        )

    def _send(self, publication: Publication, body: bytes) -> bool:
        """Routes one message; True when the broker would confirm it."""
        if not self._channel.connected:
            self.counters.dropped += 1
            return False
        exchange, key = publication.exchange, publication.routing_key
        headers = headers_of(publication.trace)
        stored = Stored(Content(body), exchange, key, publication.persistent, headers)
        kind = type(publication.message).__name__ if publication.mandatory else None
        return self._deliver(stored, mandatory_kind=kind)

    def _deliver(self, stored: Stored, *, mandatory_kind: str | None) -> bool:
        counters = self.counters
        counters.published += 1
        accepted, routed = self._route(stored)
        if accepted:
            counters.confirmed += 1
        elif self._channel.connected:
            counters.rejected += 1
        else:
            counters.lost += 1
        if mandatory_kind is not None and accepted and not routed:
            counters.returned += 1
            returned = Returned(stored.exchange, stored.routing_key, mandatory_kind)
            self._channel.inbox.put(returned)
        return accepted

    def _route(self, stored: Stored) -> tuple[bool, bool]:
        """As a broker does: to publish to an exchange that is not there ends the connection."""
        if not self._channel.connected:
            return False, False
        if stored.exchange not in self._broker.router:
            self.lose_connection(f"there is no exchange {stored.exchange}")
            return False, False
        return self._broker.route(stored)

    def _is_current(self, delivery: Delivery) -> bool:
        if delivery.generation != self._generation:
            return False
        queue = self._broker.queues[delivery.queue]
        return queue.spec.acknowledged_on_delivery or delivery.tag in self._channel.unacked

    def _settle(self, deliveries: Sequence[Delivery], *, give_back: bool) -> None:
        """Acknowledges, or gives back; deliveries of earlier connections are void."""
        settled: dict[MemoryQueue, list[Stored]] = {}
        for delivery in deliveries:
            if delivery.generation != self._generation:
                continue
            entry = self._channel.settle(delivery.tag)
            if entry is not None:
                settled.setdefault(entry[0], []).append(entry[1])
        for queue, stored in settled.items():
            if give_back:
                self._broker.give_back(queue, stored)
            elif queue.ready:
                queue.dispatch()
