"""The message bus as the services see it; ``memory`` and ``rabbit`` implement it.

A service owns its bus: one thread calls ``poll``, acts on what it got, publishes. Nothing is called
back. What is published while the broker is away is dropped and counted: every conversation here
repeats itself until it is answered, so the bus need not remember.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from energymarket.bus.counters import BusCounters
from energymarket.messages import AnyMessage, Message
from energymarket.refusals import DeadLetterReason
from energymarket.topology import Topology


class Publication(Struct, frozen=True, gc=False):
    """A message on its way out.

    ``persistent`` survives a broker restart in a durable queue. ``mandatory`` comes back as
    ``Returned`` when no queue is bound for it. ``trace`` is the trace context that goes with it.
    """

    exchange: str
    routing_key: str
    message: Message
    persistent: bool = False
    mandatory: bool = False
    trace: str = ""


class Delivery(Struct, frozen=True, gc=False):
    """A message that came in and waits to be acknowledged.

    Exactly one of ``message`` and ``refusal`` is set: a body that is no message of this system is
    delivered too, with the reason, so that its reader can dead-letter it. ``generation`` and
    ``tag`` are the bus's own: an acknowledgement after the connection was lost is dropped, for the
    broker delivers that message again. ``trace`` is the trace context that came with it, which
    anybody may have written; empty where there was none.
    """

    queue: str
    exchange: str
    routing_key: str
    body: bytes
    message: AnyMessage | None
    refusal: tuple[DeadLetterReason, str] | None
    redelivered: bool
    generation: int
    tag: int
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Connected:
    """The bus is up, with ``topology`` in place; said again after each reconnect.

    Deliveries of earlier generations are void: what was not acknowledged comes again.
    """

    generation: int
    topology: Topology


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; the bus is trying to get it back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A mandatory message that no queue wanted."""

    exchange: str
    routing_key: str
    kind: str


BusEvent = Delivery | Connected | Disconnected | Returned
TopologyMaker = Callable[[], Topology]


class Bus(Protocol):
    """The port. All methods but ``wake`` belong to the owning thread."""

    @property
    def counters(self) -> BusCounters:
        """What the bus counts; any thread may read."""

    def open(self, topology: TopologyMaker) -> None:
        """Begins to connect, and returns at once; ``Connected`` follows through ``poll``.

        ``topology`` is called for each connection, from any thread: an exclusive queue needs a new
        name every time, because a half-open old connection may still lock the old one.
        """

    def poll(self, timeout_s: float | None) -> list[BusEvent]:
        """All that has come in, in order; waits up to ``timeout_s`` (None: for ever) if nothing.

        Returns an empty list on the timeout or after ``wake``.
        """

    def publish(
        self, publications: Iterable[Publication], then_acknowledge: Sequence[Delivery] = ()
    ) -> None:
        """Sends messages; when the broker has confirmed all of them, acknowledges the deliveries.

        They are taken one by one, and the first may be on their way before the last is made.
        If one is not confirmed the deliveries go back to their queue, so that whoever reads them
        can answer again. An unroutable message counts as confirmed.
        """

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tells the broker that these deliveries are done with."""

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Moves a delivery's body to the dead letters, with the reason as a header."""

    def wake(self) -> None:
        """Makes a waiting ``poll`` return; any thread may call it."""

    def flush(self, timeout_s: float) -> bool:
        """Waits until all that was published is confirmed; False when the time ran out."""

    def close(self) -> None:
        """Sends what is still to be sent, then closes; does nothing the second time."""
