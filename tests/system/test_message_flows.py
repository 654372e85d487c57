"""What the four services say on a real broker is what docs/asyncapi.json says of them."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import structs
from pika.frame import Header, decode_frame  # type: ignore[import-untyped]
from pika.spec import Basic  # type: ignore[import-untyped]

from energymarket import topology
from energymarket.codec import encode
from energymarket.messages import Join, Offers
from lab.message_flows import FLOWS, exchanges
from tests.contract.golden import EXAMPLES
from tests.rabbit_probe import RabbitProbe
from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import system
from tests.tcp_proxy import TcpProxy

TAP, OURS, STRANGER = "tap", "a-fleet-of-the-test", "no-fleet-at-all"
KEYS = {
    topology.OFFERS: ["#"],
    topology.REQUESTS: ["#"],
    topology.MEMBERSHIP: [topology.MEMBERSHIP_KEY],
    topology.RECEIPTS: [OURS, STRANGER],
}
Seen = tuple[str, str, str, int]
"""Who, on which exchange, what, with which delivery mode."""

WANTED = {
    (flow.sender, flow.exchange, kind.__name__, 2 if flow.persistent else 1)
    for flow in FLOWS
    for kind in flow.messages
}


MANDATORY = {
    (flow.sender, flow.exchange, kind.__name__, flow.mandatory)
    for flow in FLOWS
    for kind in flow.messages
}
"""Who, on which exchange, what, whether it is to come back when no queue takes it."""


class Wire(TcpProxy):
    """Reads what is published on its way to the broker, which tells nobody what was mandatory."""

    def __init__(self, broker: RabbitServer) -> None:
        self.published: set[tuple[str, str, str, bool]] = set()
        self._rest: dict[int, bytes] = {}
        self._publishing: dict[tuple[int, int], Any] = {}  # by connection and channel
        super().__init__(broker.port)
        self.url = broker.url.replace(f":{broker.port}/", f":{self.port}/")

    def heard(self, number: int, data: bytes) -> None:
        data = self._rest.get(number, b"") + data
        used, said = decode_frame(data)
        while said is not None:
            self._note(number, said)
            data = data[used:]
            used, said = decode_frame(data)
        self._rest[number] = data

    def _note(self, number: int, said: Any) -> None:
        method = getattr(said, "method", None)
        if isinstance(method, Basic.Publish):
            self._publishing[number, said.channel_number] = method
        elif isinstance(said, Header):
            method, its = self._publishing.pop((number, said.channel_number)), said.properties
            if method.exchange != topology.DEAD:  # what earlier tests left on the broker
                self.published.add((its.app_id, method.exchange, its.type, method.mandatory))


class Tap:
    """A queue bound to all exchanges but that of the dead; joins as a fleet to be answered too."""

    def __init__(self, url: str) -> None:
        self.seen: set[Seen] = set()
        self._probe = RabbitProbe(url)
        self._probe.channel.queue_declare(TAP)
        for exchange in exchanges():
            if exchange.name == topology.DEAD:
                continue  # what earlier tests left on the broker
            for key in KEYS.get(exchange.name, [""]):
                self._probe.channel.queue_bind(TAP, exchange.name, key)

    def speak(self) -> None:
        """Asks for a home, and sends an order that is refused."""
        join = Join(fleet=OURS, instance="test", homes=1)
        self._probe.publish(topology.MEMBERSHIP, topology.MEMBERSHIP_KEY, encode(join))
        offers = structs.replace(EXAMPLES[Offers], fleet=STRANGER)
        self._probe.publish(topology.OFFERS, topology.order_key(STRANGER), encode(offers))

    def look(self) -> set[Seen]:
        """Takes in what came; returns what is missing still."""
        for message in self._probe.take(TAP):
            its = message.properties
            if its.app_id is None:
                continue  # our own
            body = json.loads(message.body)
            assert its.type == body["type"]
            assert its.content_type == "application/json"
            self.seen.add((its.app_id, message.exchange, its.type, its.delivery_mode))
        return WANTED - self.seen

    def close(self) -> None:
        self._probe.close([TAP])


def test_every_message_goes_from_whom_and_where_the_document_says(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """R8, R25."""
    wire = Wire(rabbit_server)
    with closing(wire), system(rabbit_server, redis_server, tmp_path) as running:
        by_wire = {"amqp_url": wire.url}
        running.start("market", tick_seconds=0.1, tick_deadline_seconds=0.5, **by_wire)
        running.wait_for("the market", lambda: running.tick() >= 0)
        tap = Tap(rabbit_server.url)
        homes = [running.start("home", homes_per_replica=5, **by_wire) for _ in range(2)]
        running.start("external", **by_wire)
        running.start("weather", **by_wire)
        tap.speak()
        running.wait_for("a home", lambda: "joined as" in homes[0].text())
        homes[0].stop()
        running.wait_for("all kinds of messages", lambda: not tap.look() or None)
        seen = tap.seen
        tap.close()
    assert seen == WANTED
    assert wire.published == MANDATORY
