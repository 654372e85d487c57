"""Queues of the memory bus, and the two sides of a delivery that is not yet acknowledged.

Nothing here locks: the broker's lock is held by whoever calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

from energymarket.bus.inbox import Inbox
from energymarket.bus.port import BusEvent
from energymarket.codec import decode
from energymarket.errors import BusError, MessageRefused
from energymarket.messages import AnyMessage
from energymarket.refusals import DeadLetterReason
from energymarket.topology import Queue


class Content:
    """A body, shared by all queues that it reaches, and decoded at most once."""

    __slots__ = ("_decoded", "body", "message", "refusal")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.message: AnyMessage | None = None
        self.refusal: tuple[DeadLetterReason, str] | None = None
        self._decoded = False

    def decode(self) -> None:
        """Fills ``message`` or ``refusal``; messages are frozen, so readers may share one."""
        if self._decoded:
            return
        try:
            self.message = decode(self.body)
        except MessageRefused as error:
            self.refusal = (error.reason, str(error))
        self._decoded = True


class Stored:
    """A message in one queue. ``returns`` counts how often it came back unacknowledged."""

    __slots__ = ("content", "exchange", "headers", "persistent", "returns", "routing_key")

    def __init__(
        self,
        content: Content,
        exchange: str,
        routing_key: str,
        persistent: bool,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.content = content
        self.exchange = exchange
        self.routing_key = routing_key
        self.persistent = persistent
        self.headers = headers
        self.returns = 0

    def copy(self) -> Stored:
        """The same message for another queue."""
        return Stored(self.content, self.exchange, self.routing_key, self.persistent, self.headers)


class Channel:
    """A bus as the broker sees it: what it was given, and what of that is unacknowledged."""

    __slots__ = ("connected", "consumers", "inbox", "tag", "unacked")

    def __init__(self) -> None:
        self.connected = False
        self.consumers: list[Consumer] = []
        self.inbox: Inbox[Arrival | BusEvent] = Inbox()
        self.unacked: dict[int, tuple[Consumer, Stored]] = {}
        self.tag = 0

    def settle(self, tag: int) -> tuple[MemoryQueue, Stored] | None:
        """Takes a delivery off the unacknowledged; None if it is not one of them (any more)."""
        entry = self.unacked.pop(tag, None)
        if entry is None:
            return None
        entry[0].unacked -= 1
        return entry[0].queue, entry[1]

    def abandon(self) -> dict[MemoryQueue, list[Stored]]:
        """Ends the channel; gives what was unacknowledged, by queue, in order of delivery."""
        self.connected = False
        returned: dict[MemoryQueue, list[Stored]] = {}
        for consumer, stored in self.unacked.values():
            returned.setdefault(consumer.queue, []).append(stored)
        for consumer in self.consumers:
            consumer.queue.consumers.remove(consumer)
        self.consumers.clear()
        self.unacked.clear()
        events = [item for item in self.inbox.take() if not isinstance(item, tuple)]
        self.inbox.items.extend(events)  # the deliveries among them are void
        return returned


class Consumer:
    """A channel's claim on a queue: at most ``prefetch`` unacknowledged, as with RabbitMQ."""

    __slots__ = ("channel", "prefetch", "priority", "queue", "unacked")

    def __init__(self, channel: Channel, queue: MemoryQueue, prefetch: int, priority: int) -> None:
        self.channel = channel
        self.queue = queue
        self.prefetch = prefetch
        self.priority = priority
        self.unacked = 0

    def deliver(self, stored: Stored) -> None:
        """Hands the message to the channel's owner."""
        channel = self.channel
        channel.tag += 1
        if not self.queue.spec.acknowledged_on_delivery:
            self.unacked += 1
            channel.unacked[channel.tag] = (self, stored)
        channel.inbox.put((self, channel.tag, stored))


Arrival: TypeAlias = tuple[Consumer, int, Stored]
"""A delivery on its way to the owner; the number is its tag."""


class MemoryQueue:
    """First in, first out; never longer than its spec says.

    Shared fairly among its consumers of the highest priority that may take more.
    """

    def __init__(self, spec: Queue, owner: Channel | None) -> None:
        self.spec = spec
        self.owner = owner
        self.ready: deque[Stored] = deque()
        self.consumers: deque[Consumer] = deque()

    def check_same(self, spec: Queue) -> None:
        """Raises ``BusError`` when the queue was declared otherwise before."""
        if spec != self.spec:
            raise BusError(
                f"queue {spec.name} exists with other arguments; delete it or change its name"
            )

    def offer(self, stored: Stored) -> tuple[bool, Stored | None]:
        """Takes the message; says (accepted, the oldest that had to go for it)."""
        if not self.ready and (consumer := self._free_consumer()) is not None:
            consumer.deliver(stored)
            return True, None
        overflow = None
        if len(self.ready) >= self.spec.max_length:
            if self.spec.reject_when_full:
                return False, None
            overflow = self.ready.popleft()
        self.ready.append(stored)
        return True, overflow

    def dispatch(self) -> None:
        """Delivers what waits to the consumers that may take more."""
        while self.ready and (consumer := self._free_consumer()) is not None:
            consumer.deliver(self.ready.popleft())

    def take_back(self, returned: Iterable[Stored]) -> list[Stored]:
        """Puts deliveries back in front, in order; gives those that came back too often."""
        limit = self.spec.delivery_limit if self.spec.kind == "quorum" else None
        kept: list[Stored] = []
        given_up: list[Stored] = []
        for stored in returned:
            stored.returns += 1
            (kept if limit is None or stored.returns <= limit else given_up).append(stored)
        self.ready.extendleft(reversed(kept))
        return given_up

    def forget_transient(self) -> None:
        """What a broker's restart does: a quorum queue keeps all, a classic one what persists."""
        if self.spec.kind != "quorum":
            self.ready = deque(stored for stored in self.ready if stored.persistent)

    def _free_consumer(self) -> Consumer | None:
        """Of the highest priority that has prefetch left, the one whose turn is longest ago."""
        consumers = self.consumers
        found: Consumer | None = None
        for consumer in consumers:
            may_take = consumer.unacked < consumer.prefetch
            if may_take and (found is None or consumer.priority > found.priority):
                found = consumer
        if found is not None and len(consumers) > 1:
            consumers.remove(found)
            consumers.append(found)
        return found
