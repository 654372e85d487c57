"""One open channel: what was sent over it and what came in, until it closes; no driver.

Its end voids everything: what was not confirmed is lost, what was not acknowledged comes again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

from energymarket.bus.amqp_tags import Batch, Confirms, Outgoing, Unacknowledged
from energymarket.bus.counters import BusCounters
from energymarket.clock import Clock
from energymarket.codec import CONTENT_TYPE

_PERSISTENT: Final = 2
_TRANSIENT: Final = 1


class Channel(Protocol):
    """What is asked of the driver's channel."""

    def basic_publish(
        self, exchange: str, routing_key: str, body: bytes, properties: Any, mandatory: bool
    ) -> None: ...

    def basic_ack(self, delivery_tag: int, multiple: bool) -> None: ...

    def basic_nack(self, delivery_tag: int, multiple: bool, requeue: bool) -> None: ...


class Session:
    """Belongs to the I/O thread."""

    def __init__(
        self,
        channel: Channel,
        generation: int,
        counters: BusCounters,
        properties: Callable[[Outgoing], Any],
        *,
        confirms: bool = True,
    ) -> None:
        self.generation = generation
        self.unacknowledged = Unacknowledged()
        self._channel = channel
        self._counters = counters
        self._properties = properties
        self._confirms = Confirms()
        self._confirmed_by_broker = confirms
        self._complete: list[Batch] = []

    def send(self, batch: Batch) -> None:
        """Publishes the batch's messages; its deliveries wait for ``settle``."""
        if not batch.messages:
            self._complete.append(batch)
            return
        for message in batch.messages:
            if self._confirmed_by_broker:
                self._confirms.expect(batch)
            self._channel.basic_publish(
                message.exchange,
                message.routing_key,
                message.body,
                self._properties(message),
                message.mandatory,
            )
        if not self._confirmed_by_broker:
            self._counters.confirmed += len(batch.messages)
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


class Stamp:
    """The properties of each message: who sent it, what and when, and a name of its own.

    One object per kind of message is used again and again, for ``make`` costs more than to fill in
    what differs. It may be, because the driver has encoded it when its ``basic_publish`` returns.
    """

    def __init__(self, app_id: str, clock: Clock, make: Callable[..., Any]) -> None:
        self._app_id = app_id
        self._clock = clock
        self._make = make
        self._made: dict[tuple[str, bool], Any] = {}
        self._prefix = uuid.uuid4().hex
        self._count = 0

    def __call__(self, message: Outgoing) -> Any:
        """The driver's properties object for ``message``, good until the next call."""
        properties = self._made.get((message.kind, message.persistent))
        if properties is None:
            properties = self._made[message.kind, message.persistent] = self._make(
                content_type=CONTENT_TYPE,
                delivery_mode=_PERSISTENT if message.persistent else _TRANSIENT,
                type=message.kind,
                app_id=self._app_id,
            )
        self._count += 1
        properties.message_id = f"{self._prefix}-{self._count}"
        properties.timestamp = int(self._clock.now())
        properties.headers = message.headers
        return properties
