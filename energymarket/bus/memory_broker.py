"""The broker that memory buses share: exchanges, queues, and the levers that tests pull."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from energymarket.bus.memory_queue import Channel, Content, MemoryQueue, Stored
from energymarket.bus.routing import Router
from energymarket.topology import Queue, Topology


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message that waits in a queue, as a test sees it."""

    exchange: str
    routing_key: str
    body: bytes
    headers: dict[str, str]
    redelivered: bool


class ConnectedBus(Protocol):
    """What the broker asks of a bus; the lock is held."""

    def lose_connection(self, reason: str) -> None: ...

    def retry(self) -> None: ...


class MemoryBroker:
    """Exchanges and queues of one process. Make one, then a ``MemoryBus`` per service on it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.router: Router[MemoryQueue] = Router()
        self.queues: dict[str, MemoryQueue] = {}
        self.buses: list[ConnectedBus] = []
        self._running = True

    # ------------------------------------------------------------------ for tests and for faults

    def messages_in(self, queue: str) -> list[StoredMessage]:
        """What waits in ``queue`` and is not out for delivery, oldest first; [] if unknown."""
        with self.lock:
            found = self.queues.get(queue)
            return [
                StoredMessage(
                    stored.exchange,
                    stored.routing_key,
                    stored.content.body,
                    stored.headers or {},
                    stored.returns > 0,
                )
                for stored in (found.ready if found else ())
            ]

    def has_queue(self, queue: str) -> bool:
        """Whether ``queue`` exists."""
        with self.lock:
            return queue in self.queues

    def publish_raw(self, exchange: str, routing_key: str, body: bytes) -> None:
        """Publishes any bytes, as a stranger on the broker could."""
        with self.lock:
            self.route(Stored(Content(body), exchange, routing_key, persistent=True))

    def drop_connection(self, bus: ConnectedBus, reason: str = "connection dropped") -> None:
        """Breaks the bus's connection, from any thread; its next ``poll`` connects again."""
        with self.lock:
            bus.lose_connection(reason)

    def stop(self, reason: str = "broker stopped") -> None:
        """Breaks all connections and takes no new ones until ``start``.

        What a broker would not find again on its disk is gone: messages in a classic queue that
        were not persistent.
        """
        with self.lock:
            self._running = False
            for bus in list(self.buses):
                bus.lose_connection(reason)
            for queue in self.queues.values():
                queue.forget_transient()

    def start(self) -> None:
        """Takes connections again."""
        with self.lock:
            self._running = True
            self._have_them_retry()

    # -------------------------------------------------------- for the buses; the lock must be held

    def declare(self, topology: Topology, owner: Channel) -> bool:
        """Puts ``topology`` in place; False when something that it expects is not there yet."""
        if not self._running or any(e not in self.router for e in topology.expected_exchanges):
            return False
        if any(self._is_locked(queue, owner) for queue in topology.queues):
            return False
        for exchange in topology.exchanges:
            self.router.declare(exchange)
        for spec in topology.queues:
            self._declare_queue(spec, owner)
        for binding in topology.bindings:
            self.router.bind(binding, self.queues[binding.queue])
        if topology.exchanges:
            self._have_them_retry()
        return True

    def route(self, stored: Stored) -> tuple[bool, bool]:
        """Puts it into each queue that is bound for it; says (all took it, any was bound)."""
        queues = self.router.queues_for(stored.exchange, stored.routing_key)
        if len(queues) == 1:
            return self._offer(queues[0], stored), True
        accepted = True
        for queue in queues:
            accepted &= self._offer(queue, stored.copy())
        return accepted, bool(queues)

    def give_back(self, queue: MemoryQueue, returned: Sequence[Stored]) -> None:
        """Returns deliveries to the front of their queue, in the order they had."""
        for stored in queue.take_back(returned):
            self._dead_letter(queue, stored, "delivery_limit")
        queue.dispatch()

    def delete_queues_of(self, owner: Channel) -> None:
        """Removes a connection's exclusive queues with what is in them."""
        for queue in [queue for queue in self.queues.values() if queue.owner is owner]:
            self.router.unbind(queue)
            del self.queues[queue.spec.name]

    def _offer(self, queue: MemoryQueue, stored: Stored) -> bool:
        accepted, overflow = queue.offer(stored)
        if overflow is not None:
            self._dead_letter(queue, overflow, "maxlen")
        return accepted

    def _dead_letter(self, queue: MemoryQueue, stored: Stored, reason: str) -> None:
        """What a broker does with a message that a queue gives up: to its DLX, or away.

        One that died before goes away, so that no topology makes it go round for ever.
        """
        exchange = queue.spec.dead_letter_exchange
        died_before = stored.headers is not None and "x-first-death-queue" in stored.headers
        if exchange is None or exchange not in self.router or died_before:
            return
        headers = {
            **(stored.headers or {}),
            "x-first-death-reason": reason,
            "x-first-death-queue": queue.spec.name,
        }
        self.route(Stored(stored.content, exchange, stored.routing_key, stored.persistent, headers))

    def _is_locked(self, spec: Queue, owner: Channel) -> bool:
        queue = self.queues.get(spec.name)
        return queue is not None and queue.owner is not None and queue.owner is not owner

    def _declare_queue(self, spec: Queue, owner: Channel) -> None:
        existing = self.queues.get(spec.name)
        if existing is not None:
            existing.check_same(spec)
        else:
            exclusive = spec.kind == "exclusive"
            self.queues[spec.name] = MemoryQueue(spec, owner if exclusive else None)

    def _have_them_retry(self) -> None:
        for bus in self.buses:
            bus.retry()
