"""What a bus puts right by itself: whatever was deleted under it, and connections that are dead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from energymarket.bus.port import Delivery, Disconnected, Publication
from energymarket.bus.pulse import MOST_SILENT_BEATS
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.topology import (
    DEAD,
    Binding,
    Exchange,
    Queue,
    Topology,
    fleet_topology,
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
    numbered,
    numbers,
    opened,
)
from tests.servers import VHOST, RabbitServer

BEAT_S = 0.3  # not less: seven of them are what a busy machine may keep the broker waiting
QUICK = RabbitOptions(beat_s=BEAT_S, first_retry_s=0.05, longest_retry_s=0.2, missing_retry_s=0.1)
PATIENT = replace(QUICK, beat_s=PATIENCE_S)


@pytest.fixture
def world(rabbit_server: RabbitServer) -> Iterator[RabbitWorld]:
    made = RabbitWorld(rabbit_server)
    yield made
    made.close()


class Office:
    """A market in small: two exchanges, a queue that it reads, and one of dead letters."""

    def __init__(self, world: RabbitWorld) -> None:
        self.world = world
        self.post, self.box = world.name("post"), world.name("box")
        self.dead_box = world.name("dead")
        self.topology = Topology(
            exchanges=(Exchange(self.post, "topic"), Exchange(DEAD, "fanout")),
            queues=(
                Queue(self.box, "quorum", 1_000, dead_letter_exchange=DEAD, delivery_limit=2),
                Queue(self.dead_box, "classic", 1_000),
            ),
            bindings=(Binding(self.post, self.box, "home.*"), Binding(DEAD, self.dead_box)),
            consumes=(self.box,),
        )

    def open(self, options: RabbitOptions = QUICK) -> RabbitBus:
        bus = self.world.bus(options)
        opened(bus, self.topology)
        return bus

    def bound(self) -> list[str]:
        """The queues bound to the exchange."""
        told = self.world.server.ctl(
            "list_bindings", "-q", "-p", VHOST, "source_name", "destination_name"
        )
        rows = [line.split("\t") for line in told.splitlines()]
        return [row[1] for row in rows if row[0] == self.post]

    def message(self, number: int) -> Publication:
        return Publication(self.post, "home.x", numbered(number), persistent=True)


def test_an_exchange_that_its_owner_does_not_use_itself_is_put_back(world: RabbitWorld) -> None:
    """Those who publish to it wait for it, and nobody else could make it."""
    office = Office(world)
    owner = office.open()
    world.probe.channel.exchange_delete(office.post)
    writer = world.bus(QUICK)
    writer.open(lambda: Topology(expected_exchanges=(office.post,)))

    connected(writer)
    eventually(lambda: office.box in office.bound(), "it is bound again")
    writer.publish([office.message(1)])

    assert numbers(deliveries(owner, 1)) == [1]


def test_a_binding_that_was_taken_away_is_put_back(world: RabbitWorld) -> None:
    office = Office(world)
    owner = office.open()
    world.probe.channel.queue_unbind(office.box, office.post, "home.*")

    eventually(lambda: office.box in office.bound(), "it is bound again")
    owner.publish([office.message(1)])

    assert numbers(deliveries(owner, 1)) == [1]


def test_a_queue_that_nobody_reads_is_put_back(world: RabbitWorld) -> None:
    office = Office(world)
    office.open()
    world.probe.channel.queue_delete(office.dead_box)

    eventually(lambda: world.ready(office.dead_box) is not None, "the dead letters have a queue")


def test_a_reader_whose_exchange_was_made_anew_is_bound_to_it(world: RabbitWorld) -> None:
    """It would hear nothing any more, on a connection in the best of health."""
    exchange, box = world.name("ticks"), world.name("fleet")
    owner = world.bus(QUICK)
    opened(owner, Topology(exchanges=(Exchange(exchange, "fanout"),)))
    reader = world.bus(QUICK)
    mine = Topology(
        expected_exchanges=(exchange,),
        queues=(replace(fleet_topology("x").queues[0], name=box),),
        bindings=(Binding(exchange, box),),
        consumes=(box,),
    )
    opened(reader, mine)
    world.probe.channel.exchange_delete(exchange)

    found: list[Delivery] = []

    def heard() -> bool:
        owner.publish([Publication(exchange, "", numbered(1))])
        events = reader.poll(0.05) + owner.poll(0)
        found.extend(event for event in events if isinstance(event, Delivery))
        return bool(found)

    eventually(heard, "the reader hears its owner")


def test_a_dead_letter_that_no_queue_takes_is_not_acknowledged(world: RabbitWorld) -> None:
    """Its queue is made anew first; so nothing that was refused is gone without a trace."""
    office = Office(world)
    bus = office.open(PATIENT)  # which has not looked yet
    world.publish_raw(office.post, "home.x", b"poison")
    (poison,) = deliveries(bus, 1)
    world.probe.channel.queue_delete(office.dead_box)
    for other in dead_queues(world):  # of another test, where it would not be missed
        world.probe.channel.queue_unbind(other, DEAD, "")

    bus.dead_letter(poison, "malformed")
    (again,) = after_a_cut(bus, 1)
    bus.dead_letter(again, "malformed")

    assert again.body == b"poison"
    eventually(lambda: world.ready(office.dead_box) == 1, "the dead letter")
    assert world.recorded.saying("a dead letter found no queue")


def dead_queues(world: RabbitWorld) -> list[str]:
    told = world.server.ctl("list_bindings", "-q", "-p", VHOST, "source_name", "destination_name")
    rows = [line.split("\t") for line in told.splitlines()]
    return [row[1] for row in rows if row[0] == DEAD]


def test_a_queue_that_somebody_made_otherwise_is_said_and_taken_back_when_it_is_gone(
    world: RabbitWorld,
) -> None:
    """The broker closes the channel over it: PRECONDITION_FAILED, on a bus that was up."""
    office = Office(world)
    bus = office.open()
    world.probe.channel.queue_delete(office.dead_box)
    world.probe.channel.queue_declare(office.dead_box, durable=False, auto_delete=True)
    disconnected(bus)
    eventually(lambda: bool(world.recorded.saying("exists with other arguments")), "it is said")

    world.probe.channel.queue_delete(office.dead_box)
    connected(bus)


def test_a_broker_that_does_not_wait_for_an_acknowledgement_is_named_as_the_cause(
    world: RabbitWorld,
) -> None:
    """Not a queue with other arguments, which AMQP has the same number for."""
    short = "consumer_timeout, 1500), application:set_env(rabbit, channel_tick_interval, 500)."
    world.server.ctl("eval", f"application:set_env(rabbit, {short}")
    try:
        office = Office(world)
        bus = office.open()
        world.publish_raw(office.post, "home.x", b"held for long")
        deliveries(bus, 1)
        disconnected(bus)
    finally:
        usual = (
            "consumer_timeout, 1800000), application:set_env(rabbit, channel_tick_interval, 60000)."
        )
        world.server.ctl("eval", f"application:set_env(rabbit, {usual}")
    assert deliveries(bus, 1)[0].redelivered
    assert world.recorded.saying("longer for an acknowledgement than its consumer_timeout")
    assert not world.recorded.saying("exists with other arguments")


# ---------------------------------------------------------------------------- half-open connections


def test_a_connection_that_was_forgotten_on_its_way_is_given_up_soon(world: RabbitWorld) -> None:
    """Long before the heartbeat would notice, which takes twenty seconds and more."""
    bus = world.bus(replace(QUICK, heartbeat_s=600))
    opened(bus, Topology())

    world.wire(bus).forget()

    disconnected(bus)
    connected(bus)
    assert world.recorded.saying("the broker is not there")[0]["reason"].startswith("no word")


def test_what_comes_goes_to_the_new_connection_and_not_to_the_dead_one(world: RabbitWorld) -> None:
    office = Office(world)
    bus = office.open(replace(QUICK, heartbeat_s=600))
    bus.publish([office.message(0)])
    bus.acknowledge(deliveries(bus, 1))  # so the broker does know this consumer
    world.wire(bus).forget()
    disconnected(bus)
    connected(bus)
    columns = ("queue_name", "channel_pid")

    def consumers() -> int:
        told = world.server.ctl("list_consumers", "-q", "-s", "-p", VHOST, *columns)
        return told.split().count(office.box)

    eventually(lambda: consumers() == 2, "the broker believes in both")

    bus.publish([office.message(number) for number in range(1, 51)])

    assert numbers(deliveries(bus, 50)) == list(range(1, 51))


def test_nothing_is_concluded_from_the_silence_of_a_broker_that_has_an_alarm(
    world: RabbitWorld,
) -> None:
    """It does not read, so it cannot answer; it will go on where it stopped."""
    office = Office(world)
    bus = office.open()
    world.server.ctl("set_disk_free_limit", "100000GB")
    try:
        bus.publish([office.message(0)])
        eventually(lambda: bool(world.recorded.saying("has stopped reading")), "it is blocked")
        assert bus.poll(2 * MOST_SILENT_BEATS * BEAT_S) == []
    finally:
        world.server.ctl("set_disk_free_limit", "10MB")

    assert numbers(deliveries(bus, 1)) == [0]


def test_an_alarm_that_outlasts_our_patience_ends_with_everything_in_place(
    world: RabbitWorld,
) -> None:
    """The connection is given up and made again, as often as it takes; nothing is asked of it."""
    office = Office(world)
    bus = office.open(replace(QUICK, blocked_timeout_s=0.5))
    world.server.ctl("set_disk_free_limit", "100000GB")
    try:
        bus.publish([office.message(0)])
        disconnected(bus)
        connected(bus)
    finally:
        world.server.ctl("set_disk_free_limit", "10MB")
    number = 0

    def through() -> bool:
        nonlocal number
        number += 1
        bus.publish([office.message(number)])
        events = bus.poll(0.2)
        assert sum(isinstance(event, Disconnected) for event in events) <= 1
        return any(isinstance(event, Delivery) for event in events)

    eventually(through, "messages go through again")


def test_every_queue_that_the_market_reads_has_a_limit_to_its_returns() -> None:
    topology = market_topology(1_000)
    read = [queue for queue in topology.queues if queue.name in topology.consumes]
    assert len(read) == 2
    for queue in read:
        assert queue.kind == "quorum", "a classic queue counts no returns"
        assert queue.delivery_limit is not None
        assert queue.dead_letter_exchange == DEAD
