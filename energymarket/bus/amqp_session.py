"""One open channel: what was sent over it and what came in, until it closes; no driver.

Its end voids everything: what was not confirmed is lost, what was not acknowledged comes again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

from energymarket.bus.amqp_tags import Batch, Confirms, Outgoing, Part, Unacknowledged
from energymarket.bus.counters import BusCounters
from energymarket.clock import Clock
from energymarket.codec import CONTENT_TYPE

PERSISTENT: Final = 2
TRANSIENT: Final = 1


class Channel(Protocol):
    """What is asked of the driver's channel."""

    def basic_ack(self, delivery_tag: int, multiple: bool) -> None: ...

    def basic_nack(self, delivery_tag: int, multiple: bool, requeue: bool) -> None: ...


class Session:
    """Belongs to the I/O thread."""

    def __init__(
        self,
        channel: Channel,
        generation: int,
        counters: BusCounters,
        publish: Callable[[Outgoing], None],
        *,
        confirms: bool = True,
    ) -> None:
        self.generation = generation
        self.unacknowledged = Unacknowledged()
        self._channel = channel
        self._counters = counters
        self._publish = publish
        self._confirms = Confirms()
        self._confirmed_by_broker = confirms
        self._complete: list[Batch] = []

    def send(self, part: Part) -> None:
        """Publishes messages of a batch; its deliveries wait for ``settle``."""
        batch = part.batch
        for message in part.messages:
            if self._confirmed_by_broker:
                self._confirms.expect(batch)
            self._publish(message)
        if not self._confirmed_by_broker:
            self._counters.confirmed += len(part.messages)
        batch.all_sent = part.is_last
        if batch.complete and batch.deliveries:
            self._complete.append(batch)

    def on_confirm(self, tag: int, *, multiple: bool, confirmed: bool) -> bool:
        """The broker's word on what was published; True when there is something to settle now."""
        count, complete = self._confirms.settle(tag, multiple=multiple, confirmed=confirmed)
        if confirmed:
            self._counters.confirmed += count
        else:
            self._counters.rejected += count
        self._complete += [batch for batch in complete if batch.deliveries]
        return bool(self._complete)

    def settle(self) -> None:
        """Acknowledges, or gives back, the deliveries of all batches that are complete."""
        if not self._complete:
            return
        acknowledged: list[int] = []
        given_back: list[int] = []
        for batch in self._complete:
            tags = given_back if batch.failed else acknowledged
            tags += [d.tag for d in batch.deliveries if d.generation == self.generation]
        self._complete.clear()
        for tag, multiple in self.unacknowledged.settle(given_back):
            self._channel.basic_nack(tag, multiple, True)
        for tag, multiple in self.unacknowledged.settle(acknowledged):
            self._channel.basic_ack(tag, multiple)

    def end(self) -> None:
        """Counts the end, and what was never confirmed as lost."""
        self._counters.disconnects += 1
        self._counters.lost += len(self._confirms)


class Names:
    """What each message says of itself: who sent it, when, and a name of its own."""

    def __init__(self, app_id: str, clock: Clock) -> None:
        self.app_id = app_id
        self.now = clock.now
        self._prefix = uuid.uuid4().hex
        self._count = 0

    def next_name(self) -> str:
        """A name that no message has had."""
        self._count += 1
        return f"{self._prefix}-{self._count}"

    def properties(self, message: Outgoing) -> dict[str, Any]:
        """AMQP's properties of a message, by name."""
        return {
            "content_type": CONTENT_TYPE,
            "headers": message.headers,
            "delivery_mode": PERSISTENT if message.persistent else TRANSIENT,
            "message_id": self.next_name(),
            "timestamp": int(self.now()),
            "type": message.kind,
            "app_id": self.app_id,
        }
