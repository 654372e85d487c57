"""The places where a bus lives, alike to the tests: a memory broker, and a real RabbitMQ."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable
from typing import Protocol, TypeAlias

from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import BusEvent, Connected, Delivery, Disconnected
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.messages import Join
from energymarket.topology import Topology
from tests.fakes import RecordedLog
from tests.rabbit_probe import Found, RabbitProbe
from tests.servers import RabbitServer
from tests.tcp_proxy import TcpProxy

PATIENCE_S = 60.0
"""How long anything may take. No test passes or fails by how fast it was."""

AnyBus: TypeAlias = MemoryBus | RabbitBus


class World(Protocol):
    """What the tests of the contract need around a bus."""

    def name(self, what: str) -> str:
        """A name for an exchange or a queue that no other test uses."""

    def bus(self) -> AnyBus:
        """A new bus, closed at the end of the test."""

    def cut(self, bus: AnyBus) -> None:
        """Breaks the connection of ``bus``, which may come back at once."""

    def go_away(self) -> None:
        """Breaks all connections; nobody comes back before ``come_back``."""

    def come_back(self) -> None: ...

    def publish_raw(self, exchange: str, routing_key: str, body: bytes) -> None:
        """Publishes bytes that are no message of ours."""

    def ready(self, queue: str) -> int | None:
        """How many messages wait in ``queue``; None if there is no such queue."""

    def take(self, queue: str) -> list[Found]:
        """What waits in ``queue``, which nobody consumes; call it once."""


class MemoryWorld:
    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self._buses: list[MemoryBus] = []
        self._names = itertools.count()

    def name(self, what: str) -> str:
        return f"{what}.{next(self._names)}"

    def bus(self) -> MemoryBus:
        self._buses.append(MemoryBus(self.broker))
        return self._buses[-1]

    def cut(self, bus: AnyBus) -> None:
        assert isinstance(bus, MemoryBus)
        self.broker.drop_connection(bus)

    def go_away(self) -> None:
        self.broker.stop()

    def come_back(self) -> None:
        self.broker.start()

    def publish_raw(self, exchange: str, routing_key: str, body: bytes) -> None:
        self.broker.publish_raw(exchange, routing_key, body)

    def ready(self, queue: str) -> int | None:
        return len(self.broker.messages_in(queue)) if self.broker.has_queue(queue) else None

    def take(self, queue: str) -> list[Found]:
        return [Found(m.body, dict(m.headers)) for m in self.broker.messages_in(queue)]

    def close(self) -> None:
        for bus in self._buses:
            bus.close()


class RabbitWorld:
    """Each bus reaches the broker over a wire of its own, so that one can be cut alone."""

    def __init__(self, server: RabbitServer, *, own_thread: bool = True) -> None:
        self.server = server
        self._options = RabbitOptions(
            first_retry_s=0.05, missing_retry_s=0.1, own_thread=own_thread
        )
        self.recorded = RecordedLog()
        self._names: list[str] = []
        self._wires: dict[RabbitBus, TcpProxy] = {}
        self._probe: RabbitProbe | None = None

    @property
    def probe(self) -> RabbitProbe:
        if self._probe is None:
            self._probe = RabbitProbe(self.server.url)
        return self._probe

    def name(self, what: str) -> str:
        self._names.append(f"{what}.{uuid.uuid4().hex[:8]}")
        return self._names[-1]

    def bus(self, options: RabbitOptions | None = None, *, query: str = "") -> RabbitBus:
        wire = TcpProxy(self.server.port)
        url = self.server.url.replace(str(self.server.port), str(wire.port)) + query
        bus = RabbitBus(
            url=url,
            name="contract",
            app_id="tests",
            log=self.recorded.log,
            options=options or self._options,
        )
        self._wires[bus] = wire
        return bus

    def wire(self, bus: AnyBus) -> TcpProxy:
        assert isinstance(bus, RabbitBus)
        return self._wires[bus]

    def cut(self, bus: AnyBus) -> None:
        self.wire(bus).cut()

    def go_away(self) -> None:
        for wire in self._wires.values():
            wire.refuse()

    def come_back(self) -> None:
        for wire in self._wires.values():
            wire.listen()

    def publish_raw(self, exchange: str, routing_key: str, body: bytes) -> None:
        self.probe.publish(exchange, routing_key, body)

    def ready(self, queue: str) -> int | None:
        return self.probe.ready(queue)

    def take(self, queue: str) -> list[Found]:
        return self.probe.take(queue)

    def drop_probe(self) -> None:
        """Before the broker is stopped; a new one is made when it is needed."""
        if self._probe is not None:
            self._probe.close([])
            self._probe = None

    def close(self) -> None:
        for bus, wire in self._wires.items():
            bus.close()
            wire.close()
        self.probe.close(self._names)


# ------------------------------------------------------------------------------------- patience


def eventually(true: Callable[[], bool], what: str) -> None:
    """Waits until ``true`` says so."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.01)


def events_until(bus: AnyBus, enough: Callable[[list[BusEvent]], bool]) -> list[BusEvent]:
    """Polls until the events collected are enough."""
    events: list[BusEvent] = []
    deadline = time.monotonic() + PATIENCE_S
    while not enough(events):
        assert time.monotonic() < deadline, f"waited in vain; came: {events}"
        events += bus.poll(1.0)
    return events


def opened(bus: AnyBus, topology: Topology) -> Connected:
    """Opens the bus with a fixed topology and waits until it is connected."""
    bus.open(lambda: topology)
    return connected(bus)


def connected(bus: AnyBus) -> Connected:
    """Waits for ``Connected``, which must be the last that comes."""
    events = events_until(bus, lambda es: any(isinstance(e, Connected) for e in es))
    return next(event for event in events if isinstance(event, Connected))


def disconnected(bus: AnyBus) -> None:
    """Waits for ``Disconnected``."""
    events_until(bus, lambda es: any(isinstance(e, Disconnected) for e in es))


def reconnected(bus: AnyBus) -> None:
    """Waits for ``Disconnected`` and the ``Connected`` after it."""
    events = events_until(bus, _has_connected)
    assert [type(event) for event in events] == [Disconnected, Connected]


def deliveries(bus: AnyBus, count: int) -> list[Delivery]:
    """Waits for ``count`` deliveries and not one more; other events are dropped."""

    def arrived(events: list[BusEvent]) -> list[Delivery]:
        return [event for event in events if isinstance(event, Delivery)]

    found = arrived(events_until(bus, lambda events: len(arrived(events)) >= count))
    assert len(found) == count, [message_number(each) for each in found]
    return found


def after_a_cut(bus: AnyBus, count: int) -> list[Delivery]:
    """Waits for a connection after the one that was cut, and for what it delivers."""
    seen: list[BusEvent] = []

    def enough(events: list[BusEvent]) -> bool:
        seen[:] = _after_last_connected(events)
        return len(seen) >= count

    events_until(bus, lambda events: _has_connected(events) and enough(events))
    found = [event for event in seen if isinstance(event, Delivery)]
    assert len(found) == count
    return found


def _has_connected(events: list[BusEvent]) -> bool:
    return any(isinstance(event, Connected) for event in events)


def _after_last_connected(events: list[BusEvent]) -> list[BusEvent]:
    last = max(i for i, event in enumerate(events) if isinstance(event, Connected))
    return events[last + 1 :]


# ------------------------------------------------------------------------------------- messages


def numbered(number: int) -> Join:
    """A message that says which one it is."""
    return Join(fleet=f"fleet-{number}", instance="tests", homes=1)


def message_number(delivery: Delivery) -> int:
    """Which ``numbered`` message this is."""
    assert isinstance(delivery.message, Join), delivery.refusal
    return int(delivery.message.fleet.removeprefix("fleet-"))


def numbers(found: list[Delivery]) -> list[int]:
    """Which ``numbered`` messages these are."""
    return [message_number(each) for each in found]
