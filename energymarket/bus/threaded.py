"""The half of a bus that its owner calls, when the other half, the link, runs in a thread.

The owner encodes, decodes and decides; the link only carries. No driver here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Protocol, TypeAlias

from energymarket.bus.amqp_tags import Batch, Outgoing, Part
from energymarket.bus.counters import BusCounters
from energymarket.bus.inbox import Inbox
from energymarket.bus.port import BusEvent, Delivery, Publication, TopologyMaker
from energymarket.codec import decode, encode
from energymarket.errors import BusClosed, BusError, MessageRefused
from energymarket.messages import AnyMessage
from energymarket.refusals import DeadLetterReason
from energymarket.topology import DEAD
from energymarket.tracing import headers_of

RawDelivery: TypeAlias = tuple[int, str, str, str, bool, int, bytes, str]
"""Generation, queue, exchange, routing key, redelivered, tag, body, trace context."""

Arrivals: TypeAlias = Inbox[RawDelivery | BusEvent]

_FLUSH_AT_CLOSE_S = 0.5
_STOP_S = 1.0
_MAX_SHORT_STRING_BYTES = 255  # AMQP's limit for a routing key
_PART_BYTES = 256 * 1024
"""So much goes out at a time of what is published together. The broker, and whoever is waiting
behind it, begin to work while the rest is still being encoded. Less would have the two threads in
each other's way over what is made in a moment."""


class Link(Protocol):
    """The half that talks to the broker. Its thread puts into the inbox and counts what it does."""

    @property
    def is_up(self) -> bool:
        """Whether there is a connection with the topology in place."""

    @property
    def generation(self) -> int:
        """Number of the connection, the first being 1."""

    def start(self, topology: TopologyMaker) -> None:
        """Starts the thread, which connects, and again whenever the connection is lost."""

    def submit(self, part: Part) -> None:
        """Sends messages of a batch, and settles its deliveries when all of it is confirmed."""

    def stop(self, timeout_s: float) -> None:
        """Carries out what was submitted, closes, and ends the thread, within the time given."""


class ThreadedBus:
    """The ``Bus`` port over a ``Link``."""

    def __init__(
        self, link: Link, inbox: Arrivals, counters: BusCounters, max_unconfirmed: int
    ) -> None:
        self.counters = counters
        self._link = link
        self._inbox = inbox
        self._max_unconfirmed = max_unconfirmed
        self._failures_flushed = 0
        self._opened = False
        self._closed = False

    def open(self, topology: TopologyMaker) -> None:
        self._check_open()
        if self._opened:
            raise BusError("the bus is open already; make a second one for another topology")
        self._opened = True
        self._link.start(topology)

    def poll(self, timeout_s: float | None) -> list[BusEvent]:
        self._check_open()
        inbox = self._inbox
        if not inbox.items:
            inbox.wait(timeout_s)
        if not inbox.items:
            return []
        begun = perf_counter()
        items = inbox.take()
        # Looked at after them: what comes of a connection that is made meanwhile is not void.
        current = self._link.generation if self._link.is_up else None
        events: list[BusEvent] = []
        for item in items:
            if not isinstance(item, tuple):
                events.append(item)
            elif item[0] == current:  # else void: the broker has taken it back
                events.append(self._delivery(item))
        self.counters.decode_s += perf_counter() - begun
        return events

    def publish(
        self, publications: Iterable[Publication], then_acknowledge: Sequence[Delivery] = ()
    ) -> None:
        self._check_open()
        is_up, is_full = self._link.is_up, self._unconfirmed() >= self._max_unconfirmed
        batch = Batch(then_acknowledge)
        part: list[Outgoing] = []
        size = 0
        for publication in publications:
            begun = perf_counter()
            message = _outgoing(publication)
            self.counters.encode_s += perf_counter() - begun
            if not is_up or is_full:
                self.counters.dropped += 1
                batch.failed = True
                continue
            if size >= _PART_BYTES:
                self._send(Part(batch, part, is_last=False))
                part, size = [], 0
            part.append(message)
            size += len(message.body)
        if is_up:
            self._send(Part(batch, part))

    def _send(self, part: Part) -> None:
        self.counters.published += len(part.messages)
        self._link.submit(part)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._check_open()
        if deliveries and self._link.is_up:
            self._link.submit(Part(Batch(deliveries), ()))

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        self._check_open()
        if not self._link.is_up or delivery.generation != self._link.generation:
            return
        self.counters.dead_lettered += 1
        self._send(Part(Batch((delivery,)), (_dead(delivery, reason),)))

    def wake(self) -> None:
        self._inbox.wake()

    def flush(self, timeout_s: float) -> bool:
        self._check_open()
        settled = self._inbox.wait_until(lambda: self._unconfirmed() <= 0, timeout_s)
        failures = self.counters.dropped + self.counters.rejected + self.counters.lost
        failed = failures != self._failures_flushed
        self._failures_flushed = failures
        return settled and not failed

    def close(self) -> None:
        if self._closed:
            return
        if self._opened:
            if self._link.is_up:
                self.flush(_FLUSH_AT_CLOSE_S)
            self._link.stop(_STOP_S)
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise BusClosed("the bus is closed; make a new one")

    def _unconfirmed(self) -> int:
        counters = self.counters
        return counters.published - counters.confirmed - counters.rejected - counters.lost

    def _delivery(self, raw: RawDelivery) -> Delivery:
        generation, queue, exchange, routing_key, redelivered, tag, body, trace = raw
        message: AnyMessage | None = None
        refusal: tuple[DeadLetterReason, str] | None = None
        self.counters.delivered += 1
        try:
            message = decode(body)
        except MessageRefused as error:
            refusal = (error.reason, str(error))
            self.counters.refused += 1
        return Delivery(
            queue,
            exchange,
            routing_key,
            body,
            message,
            refusal,
            redelivered,
            generation,
            tag,
            trace,
        )


def _outgoing(publication: Publication) -> Outgoing:
    """Encoded by the owner's thread, so that a message that cannot be sent raises at its sender."""
    routing_key = publication.routing_key
    if len(routing_key.encode()) > _MAX_SHORT_STRING_BYTES:
        raise BusError(f"routing key {routing_key[:40]}… is longer than AMQP's 255 bytes")
    message = publication.message
    return Outgoing(
        publication.exchange,
        routing_key,
        type(message).__name__,
        encode(message),
        publication.persistent,
        publication.mandatory,
        headers_of(publication.trace),
    )


def _dead(delivery: Delivery, reason: str) -> Outgoing:
    headers = {
        "x-reason": reason,
        "x-exchange": delivery.exchange,
        "x-routing-key": delivery.routing_key,
    }
    kind = type(delivery.message).__name__ if delivery.message is not None else ""
    return Outgoing(
        DEAD,
        delivery.routing_key,
        kind,
        delivery.body,
        persistent=True,
        mandatory=True,  # a dead letter that no queue takes is to be noticed
        headers=headers,
    )
