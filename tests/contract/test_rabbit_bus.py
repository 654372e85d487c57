"""What only a bus on a real broker can show: brokers that die, hang, refuse, and what is logged."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from energymarket.bus.port import Delivery, Publication
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.codec import encode
from energymarket.errors import BusError
from energymarket.topology import (
    DEAD,
    ORDERS_QUEUE,
    Binding,
    Exchange,
    Queue,
    QueueKind,
    Topology,
    market_topology,
)
from tests.contract.bus_worlds import (
    PATIENCE_S,
    RabbitWorld,
    after_a_cut,
    connected,
    deliveries,
    disconnected,
    eventually,
    message_number,
    numbered,
    numbers,
    opened,
    reconnected,
)
from tests.fakes import RecordedLog
from tests.servers import USER, VHOST, RabbitServer, free_ports

QUICK = RabbitOptions(first_retry_s=0.05, longest_retry_s=0.2, missing_retry_s=0.1)


@pytest.fixture
def world(rabbit_server: RabbitServer) -> Iterator[RabbitWorld]:
    made = RabbitWorld(rabbit_server)
    yield made
    made.close()


def box(world: RabbitWorld, kind: QueueKind = "quorum", prefetch: int = 1_000) -> Topology:
    """A fanout exchange with one queue, which is consumed."""
    exchange, queue = world.name("post"), world.name("box")
    return Topology(
        exchanges=(Exchange(exchange, "fanout"), Exchange(DEAD, "fanout")),
        queues=(Queue(queue, kind, 100_000),),
        bindings=(Binding(exchange, queue),),
        consumes=(queue,),
        prefetch=prefetch,
    )


def to(topology: Topology, *asked: int) -> list[Publication]:
    """Numbered messages to the exchange of ``box``."""
    exchange = topology.exchanges[0].name
    return [Publication(exchange, "", numbered(number), persistent=True) for number in asked]


def bus_at(url: str, recorded: RecordedLog, options: RabbitOptions = QUICK) -> RabbitBus:
    return RabbitBus(url=url, name="contract", app_id="tests", log=recorded.log, options=options)


# --------------------------------------------------------------------------- brokers that go away


def test_orders_survive_a_broker_that_is_stopped_and_one_that_is_killed(world: RabbitWorld) -> None:
    topology = box(world)
    bus = world.bus()
    opened(bus, topology)
    world.drop_probe()
    # RabbitMQ 3.10 may empty a quorum queue whose first half second ends in a kill: it saves the
    # directory of its logs only that often. An orderly restart saves it for certain.
    world.server.stop()
    disconnected(bus)
    world.server.start()
    connected(bus)
    bus.publish(to(topology, *range(50)))
    assert bus.flush(PATIENCE_S)
    first = deliveries(bus, 50)
    bus.acknowledge(first[:20])
    bus.publish(to(topology, 50))
    assert bus.flush(PATIENCE_S)

    world.server.restart()

    assert numbers(after_a_cut(bus, 31)) == list(range(20, 51))


def test_an_absent_broker_is_said_once_and_its_return_once(rabbit_server: RabbitServer) -> None:
    (port,) = free_ports(1)
    recorded = RecordedLog()
    bus = bus_at(f"amqp://someone:hush@127.0.0.1:{port}/energymarket", recorded)
    bus.open(Topology)
    eventually(lambda: len(recorded.lines) > 0, "it is said")
    assert bus.poll(1.0) == []  # several attempts later

    (line,) = recorded.lines
    assert line["level"] == "warning"
    assert line["event"] == "the broker is not there; trying again"
    assert line["broker"] == f"amqp://127.0.0.1:{port}/energymarket"
    assert line["reason"] == "Connection refused"
    assert "hush" not in str(line)
    bus.close()


def test_a_loss_is_said_once_and_the_return_once(world: RabbitWorld) -> None:
    bus = world.bus()
    opened(bus, Topology())
    world.go_away()
    disconnected(bus)
    assert bus.poll(0.5) == []
    world.come_back()
    connected(bus)

    levels = [line["level"] for line in world.recorded.lines]
    assert levels == ["info", "warning", "info"]
    assert len(world.recorded.saying("connected to the broker")) == 2


def test_a_broker_that_hangs_is_given_up_after_the_heartbeat(world: RabbitWorld) -> None:
    bus = world.bus(RabbitOptions(heartbeat_s=2, first_retry_s=0.05))
    opened(bus, Topology())

    world.wire(bus).hold()
    disconnected(bus)
    world.wire(bus).release()

    connected(bus)


def test_a_heartbeat_that_the_url_asks_for_stands(
    world: RabbitWorld, rabbit_server: RabbitServer
) -> None:
    opened(world.bus(RabbitOptions(heartbeat_s=600), query="?heartbeat=457"), Topology())

    assert "457" in rabbit_server.ctl("list_connections", "timeout").split()


def test_a_queue_that_the_broker_cannot_serve_is_made_anew(
    world: RabbitWorld, rabbit_server: RabbitServer
) -> None:
    """As after a broker that was killed while it made the queue: no leader, and no consumer."""
    topology = box(world)
    queue = replace(topology.queues[0], said_again=True)
    bus = world.bus(QUICK)
    opened(bus, replace(topology, queues=(queue,)))
    world.go_away()
    disconnected(bus)
    rabbit_server.ctl("eval", f"ra:stop_server(quorum_queues, {{'{VHOST}_{queue.name}', node()}}).")

    world.come_back()

    eventually(lambda: said_last(world, "making it anew", "connected"), "it is made anew")
    world.publish_raw(topology.exchanges[0].name, "", encode(numbered(1)))
    assert numbers(after_a_cut(bus, 1)) == [1]


def said_last(world: RabbitWorld, *texts: str) -> bool:
    """Whether the last lines of the log say ``texts``."""
    lines = world.recorded.lines[-len(texts) :]
    return all(text in line["event"] for text, line in zip(texts, lines, strict=False))


def test_close_does_not_wait_for_a_broker_that_hangs(world: RabbitWorld) -> None:
    topology = box(world)
    bus = world.bus()
    opened(bus, topology)
    world.wire(bus).hold()
    bus.publish(to(topology, 1))

    began_s = time.monotonic()
    bus.close()

    assert time.monotonic() - began_s < 10
    assert not any(thread.name == "rabbit-bus" for thread in threading.enumerate())


def test_close_does_not_wait_for_a_connection_that_is_never_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bus = bus_at(f"amqp://a:b@127.0.0.1:{silent.getsockname()[1]}/x", RecordedLog())
        bus.open(Topology)
        client, _ = silent.accept()
        began_s = time.monotonic()
        bus.close()
        assert time.monotonic() - began_s < 10
        assert not any(thread.name == "rabbit-bus" for thread in threading.enumerate())
        client.close()


# --------------------------------------------------------------------------- brokers that refuse


@pytest.mark.parametrize(
    ("user", "vhost", "event"),
    [
        ("nobody", VHOST, "the broker refuses this user"),
        (USER, "elsewhere", "the broker refuses the virtual host"),
    ],
)
def test_a_refused_login_says_what_to_check(
    rabbit_server: RabbitServer, user: str, vhost: str, event: str
) -> None:
    recorded = RecordedLog()
    login, port = f"{user}:{rabbit_server.password}", rabbit_server.port
    bus = bus_at(f"amqp://{login}@127.0.0.1:{port}/{vhost}", recorded)
    bus.open(Topology)
    eventually(lambda: bool(recorded.saying(event)), "it is said")

    assert "ENERGYMARKET_AMQP_URL" in recorded.lines[0]["event"]
    assert rabbit_server.password not in str(recorded.lines)
    bus.close()


def test_a_queue_with_other_arguments_says_what_to_do_and_is_tried_again(
    world: RabbitWorld,
) -> None:
    topology = box(world)
    queue = topology.queues[0].name
    world.probe.channel.queue_declare(queue, durable=True)
    bus = world.bus(QUICK)
    bus.open(lambda: topology)
    eventually(lambda: bool(world.recorded.saying("exists with other arguments")), "it is said")
    assert bus.poll(0.5) == []

    (line,) = world.recorded.lines
    assert "rabbitmqctl delete_queue" in line["event"]
    assert queue in line["reason"]
    world.probe.channel.queue_delete(queue)
    connected(bus)


def test_an_exchange_that_is_awaited_is_said_once(world: RabbitWorld) -> None:
    missing = world.name("missing")
    bus = world.bus(QUICK)
    bus.open(lambda: Topology(expected_exchanges=(missing,)))
    eventually(lambda: bool(world.recorded.lines), "it is said")
    assert bus.poll(0.5) == []

    (line,) = world.recorded.lines
    assert missing in line["reason"]
    world.probe.channel.exchange_declare(missing, "fanout", durable=True)
    connected(bus)


def test_a_url_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(BusError, match="is not an AMQP URL"):
        bus_at("amqp://guest:secret@localhost:port/", RecordedLog())


# -------------------------------------------------------------------------------- while it is up


def test_a_queue_that_is_deleted_is_declared_again(world: RabbitWorld) -> None:
    topology = box(world)
    bus = world.bus(QUICK)
    opened(bus, topology)

    world.probe.channel.queue_delete(topology.queues[0].name)
    reconnected(bus)
    bus.publish(to(topology, 1))

    assert numbers(deliveries(bus, 1)) == [1]
    assert world.recorded.saying("a queue was deleted")


def test_an_alarm_is_said_and_what_is_beyond_the_window_is_dropped(world: RabbitWorld) -> None:
    topology = box(world)
    reader = world.bus()
    opened(reader, topology)
    writer = world.bus(RabbitOptions(max_unconfirmed=10, first_retry_s=0.05))
    opened(writer, Topology())
    world.server.ctl("set_vm_memory_high_watermark", "0.000001")
    try:
        writer.publish(to(topology, 0))  # an alarm stops a connection at its first publication
        eventually(lambda: bool(world.recorded.saying("stopped reading")), "it is blocked")
        writer.publish(to(topology, *range(1, 11)))
        writer.publish(to(topology, 11, 12))
        assert writer.counters.dropped == 2
        assert not writer.flush(0.1)
    finally:
        world.server.ctl("set_vm_memory_high_watermark", "0.4")

    assert numbers(deliveries(reader, 11)) == list(range(11))
    eventually(lambda: bool(world.recorded.saying("reads again")), "it goes on")
    eventually(lambda: writer.counters.confirmed == 11, "what was in the window is confirmed")


def test_a_message_says_who_sent_what_and_when(world: RabbitWorld) -> None:
    topology = box(world, "classic")
    box_only = Topology(topology.exchanges, (), topology.queues, topology.bindings)
    bus = world.bus()
    opened(bus, box_only)
    began_s = int(time.time())

    persistent, transient = to(topology, 1, 2)
    transient = Publication(transient.exchange, "", transient.message)
    bus.publish([persistent, transient])
    assert bus.flush(PATIENCE_S)
    first, second = (found.properties for found in world.take(box_only.queues[0].name))

    assert first.content_type == "application/json"
    assert (first.type, first.app_id) == ("Join", "tests")
    assert began_s <= first.timestamp <= time.time()
    assert (first.delivery_mode, second.delivery_mode) == (2, 1)
    assert first.message_id != second.message_id


def test_the_broker_shows_the_name_of_the_connection(world: RabbitWorld) -> None:
    opened(world.bus(), Topology())

    assert "contract" in world.server.ctl("list_connections", "client_properties")


@pytest.mark.parametrize("corked", [True, False])
def test_corked_and_plain_writes_carry_the_same(world: RabbitWorld, corked: bool) -> None:
    topology = box(world)
    reader = world.bus()
    opened(reader, topology)
    writer = world.bus(RabbitOptions(corked=corked))
    opened(writer, Topology())

    for first in range(0, 5_000, 500):
        writer.publish(to(topology, *range(first, first + 500)))
    found: list[int] = []
    while len(found) < 5_000:
        some = [event for event in reader.poll(PATIENCE_S) if isinstance(event, Delivery)]
        found += [message_number(each) for each in some]
        reader.acknowledge(some)

    assert found == list(range(5_000))
    assert writer.flush(PATIENCE_S)
    assert writer.counters.confirmed == 5_000


def test_a_body_larger_than_a_frame_goes_through_whole(world: RabbitWorld) -> None:
    topology = box(world)
    bus = world.bus()
    opened(bus, topology)
    body = b"x" * 1_000_003
    world.publish_raw(topology.exchanges[0].name, "", body)
    (poison,) = deliveries(bus, 1)
    assert poison.body == body

    dead = world.name("dead")
    world.probe.channel.queue_declare(dead, durable=True)
    world.probe.channel.queue_bind(dead, DEAD, "")
    bus.dead_letter(poison, "malformed")
    assert bus.flush(PATIENCE_S)

    assert [found.body for found in world.take(dead)] == [body]


def test_a_routing_key_that_amqp_cannot_carry_is_the_senders_error(world: RabbitWorld) -> None:
    bus = world.bus()
    opened(bus, Topology())

    with pytest.raises(BusError, match="longer than AMQP's 255 bytes"):
        bus.publish([Publication(DEAD, "k" * 256, numbered(1))])


def test_a_fault_of_our_own_does_not_end_the_bus(world: RabbitWorld) -> None:
    topology = box(world)
    bus = world.bus(QUICK)
    asked: list[Any] = []

    def maker() -> Topology:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("a fault in the service")
        return topology

    bus.open(maker)
    connected(bus)

    (line,) = world.recorded.saying("the connection stumbled")
    assert line["level"] == "error"


def test_the_markets_own_topology_is_taken_by_the_broker(rabbit_server: RabbitServer) -> None:
    recorded = RecordedLog()
    bus = bus_at(rabbit_server.url, recorded)
    opened(bus, market_topology(1_000))
    bus.close()
    again = bus_at(rabbit_server.url, recorded)
    opened(again, market_topology(2_000))
    again.close()

    assert [line["level"] for line in recorded.lines] == ["info", "info"]
    told = rabbit_server.ctl("list_queues", "-p", "energymarket", "name", "type", "arguments")
    (orders,) = [line for line in told.splitlines() if line.startswith(ORDERS_QUEUE)]
    for expected in ("quorum", "x-delivery-limit", "reject-publish", "energymarket.dead"):
        assert expected in orders


def test_a_bus_without_confirms_loses_nothing_on_its_way_out(world: RabbitWorld) -> None:
    """A home's bus: what is sent counts as confirmed, and close sends the rest before it ends."""
    topology = box(world)
    reader = world.bus()
    opened(reader, topology)
    writer = world.bus(RabbitOptions(confirms=False))
    opened(writer, Topology())

    writer.publish(to(topology, *range(50)))
    assert writer.flush(PATIENCE_S)
    assert numbers(deliveries(reader, 50)) == list(range(50))
    assert (writer.counters.published, writer.counters.confirmed) == (50, 50)

    writer.publish(to(topology, 50, 51))
    writer.close()
    assert numbers(deliveries(reader, 2)) == [50, 51]


def test_a_bus_without_confirms_still_gives_back_what_no_queue_wants(world: RabbitWorld) -> None:
    topology = box(world)
    writer = world.bus(RabbitOptions(confirms=False))
    opened(writer, Topology(exchanges=topology.exchanges))
    writer.publish(
        [Publication(topology.exchanges[0].name, "", numbered(1), persistent=True, mandatory=True)]
    )
    eventually(lambda: writer.counters.returned == 1, "the message that came back")
