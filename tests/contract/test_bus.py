"""What every bus does, in memory and on a real RabbitMQ: one suite, run over both."""

from __future__ import annotations

import threading

import pytest

from energymarket.bus.port import BusEvent, Connected, Delivery, Publication, Returned
from energymarket.codec import MAX_BODY_BYTES, encode
from energymarket.errors import BusClosed
from energymarket.topology import (
    DEAD,
    Binding,
    Exchange,
    ExchangeKind,
    Queue,
    QueueKind,
    Topology,
)
from tests.contract.bus_worlds import (
    PATIENCE_S,
    AnyBus,
    World,
    after_a_cut,
    connected,
    deliveries,
    disconnected,
    events_until,
    eventually,
    message_number,
    numbered,
    numbers,
    opened,
    reconnected,
)


class Post:
    """One exchange, one queue bound to it, and what may be varied about them."""

    def __init__(
        self,
        world: World,
        *,
        exchange_kind: ExchangeKind = "fanout",
        queue_kind: QueueKind = "classic",
        binding_key: str = "",
        max_length: int = 1_000,
        reject_when_full: bool = False,
        delivery_limit: int | None = None,
        prefetch: int = 100,
        consume: bool = True,
        acknowledged_on_delivery: bool = False,
    ) -> None:
        self.exchange = world.name("post")
        self.queue = world.name("box")
        self.dead_queue = world.name("dead")
        self.topology = Topology(
            exchanges=(Exchange(self.exchange, exchange_kind), Exchange(DEAD, "fanout")),
            queues=(
                Queue(
                    self.queue,
                    queue_kind,
                    max_length,
                    reject_when_full=reject_when_full,
                    dead_letter_exchange=DEAD,
                    delivery_limit=delivery_limit,
                    acknowledged_on_delivery=acknowledged_on_delivery,
                ),
                Queue(self.dead_queue, "classic", 1_000),
            ),
            bindings=(
                Binding(self.exchange, self.queue, binding_key),
                Binding(DEAD, self.dead_queue),
            ),
            consumes=(self.queue,) if consume else (),
            prefetch=prefetch,
        )

    def message(self, number: int, key: str = "", *, mandatory: bool = False) -> Publication:
        return Publication(
            self.exchange, key, numbered(number), persistent=True, mandatory=mandatory
        )

    def messages(self, *asked: int) -> list[Publication]:
        return [self.message(number) for number in asked]


def sender(world: World) -> AnyBus:
    """A connected bus that only publishes."""
    bus = world.bus()
    opened(bus, Topology())
    return bus


# -------------------------------------------------------------------------- publish and deliver


@pytest.mark.parametrize(
    ("exchange_kind", "binding_key", "routing_key"),
    [("fanout", "", "any.key"), ("direct", "abc", "abc"), ("topic", "home.*", "home.abc")],
)
def test_a_message_arrives_as_it_was_sent(
    world: World, exchange_kind: ExchangeKind, binding_key: str, routing_key: str
) -> None:
    post = Post(world, exchange_kind=exchange_kind, binding_key=binding_key)
    bus = world.bus()
    opened(bus, post.topology)

    bus.publish([post.message(7, routing_key)])

    (delivery,) = deliveries(bus, 1)
    assert delivery.message == numbered(7)
    assert delivery.body == encode(numbered(7))
    assert delivery.refusal is None
    assert (delivery.queue, delivery.exchange) == (post.queue, post.exchange)
    assert delivery.routing_key == routing_key
    assert not delivery.redelivered


@pytest.mark.parametrize(
    ("exchange_kind", "binding_key", "other_key", "own_key"),
    [
        ("direct", "abc", "abcd", "abc"),
        ("topic", "home.*", "home", "home.abc"),
        ("topic", "home.*", "home.abc.d", "home.abc"),
    ],
)
def test_a_queue_gets_only_what_its_binding_asks_for(
    world: World, exchange_kind: ExchangeKind, binding_key: str, other_key: str, own_key: str
) -> None:
    post = Post(world, exchange_kind=exchange_kind, binding_key=binding_key)
    bus = world.bus()
    opened(bus, post.topology)

    bus.publish([post.message(1, other_key), post.message(2, own_key)])

    assert numbers(deliveries(bus, 1)) == [2]


def test_a_fanout_reaches_each_queue_once_however_often_it_is_bound(world: World) -> None:
    exchange = world.name("post")
    boxes = [world.name("box") for _ in range(3)]
    topology = Topology(
        exchanges=(Exchange(exchange, "fanout"),),
        queues=tuple(Queue(box, "classic", 10) for box in boxes),
        bindings=tuple(Binding(exchange, box, key) for box in boxes for key in ("", "twice")),
        consumes=tuple(boxes),
    )
    bus = world.bus()
    opened(bus, topology)

    bus.publish([Publication(exchange, "", numbered(1))])

    assert sorted(each.queue for each in deliveries(bus, 3)) == sorted(boxes)


@pytest.mark.parametrize("queue_kind", ["classic", "quorum", "exclusive"])
def test_a_queue_gives_its_messages_in_the_order_they_were_published(
    world: World, queue_kind: QueueKind
) -> None:
    post = Post(world, queue_kind=queue_kind, prefetch=1_000)
    bus = world.bus()
    opened(bus, post.topology)

    for first in range(0, 500, 50):
        bus.publish(post.messages(*range(first, first + 50)))

    assert numbers(deliveries(bus, 500)) == list(range(500))


def test_buses_in_several_threads_share_a_broker(world: World) -> None:
    post = Post(world, prefetch=2_000)
    reader = world.bus()
    opened(reader, post.topology)
    writers = [sender(world) for _ in range(4)]

    def write(bus: AnyBus, first: int) -> None:
        for number in range(first, first + 100):
            bus.publish([post.message(number)])

    threads = [
        threading.Thread(target=write, args=(bus, 1_000 * i)) for i, bus in enumerate(writers)
    ]
    for thread in threads:
        thread.start()
    found = numbers(deliveries(reader, 400))
    for thread in threads:
        thread.join()

    assert sorted(found) == [1_000 * i + n for i in range(4) for n in range(100)]
    for i in range(4):
        assert [n for n in found if n // 1_000 == i] == [1_000 * i + n for n in range(100)]


def test_no_more_than_the_prefetch_is_out_at_a_time(world: World) -> None:
    post = Post(world, prefetch=3)
    bus = world.bus()
    opened(bus, post.topology)

    bus.publish(post.messages(*range(10)))
    assert bus.flush(PATIENCE_S)
    first = deliveries(bus, 3)
    eventually(lambda: world.ready(post.queue) == 7, "seven wait")

    assert numbers(first) == [0, 1, 2]
    bus.acknowledge(first[:2])
    assert numbers(deliveries(bus, 2)) == [3, 4]
    eventually(lambda: world.ready(post.queue) == 5, "five wait")


# ---------------------------------------------------------------- acknowledgement and redelivery


def test_a_queue_can_be_done_with_its_messages_when_they_are_delivered(world: World) -> None:
    """No prefetch holds them back, nothing comes again, and they can still be dead-lettered."""
    post = Post(world, prefetch=3, acknowledged_on_delivery=True)
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(*range(10)))
    found = deliveries(bus, 10)
    assert numbers(found) == list(range(10))

    bus.acknowledge(found[:2])  # does nothing, and no harm
    bus.dead_letter(found[2], "unwanted")
    _answered_dead(bus, world, post)
    world.cut(bus)
    opened_again = after_a_cut(bus, 0)
    assert opened_again == []
    assert world.ready(post.queue) == 0


def _answered_dead(bus: AnyBus, world: World, post: Post) -> None:
    assert bus.flush(PATIENCE_S)
    eventually(lambda: world.ready(post.dead_queue) == 1, "the dead letter")


def test_what_was_not_acknowledged_comes_again_in_order_and_says_so(world: World) -> None:
    post = Post(world, queue_kind="quorum")
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(0, 1, 2, 3, 4))
    first = deliveries(bus, 5)
    assert not any(each.redelivered for each in first)

    world.cut(bus)

    again = after_a_cut(bus, 5)
    assert numbers(again) == [0, 1, 2, 3, 4]
    assert all(each.redelivered for each in again)


def test_what_was_acknowledged_does_not_come_again(world: World) -> None:
    post = Post(world, queue_kind="quorum")
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(*range(6)))
    first = deliveries(bus, 6)

    bus.acknowledge([first[0], first[1], first[3]])
    bus.acknowledge([first[4]])
    _answered(bus, post)
    world.cut(bus)

    assert numbers(after_a_cut(bus, 2)) == [2, 5]


def _answered(bus: AnyBus, post: Post) -> None:
    """All that was sent before has been taken in: a confirm comes after what went before it."""
    bus.publish([Publication(DEAD, "", numbered(0))])
    assert bus.flush(PATIENCE_S)


def test_an_acknowledgement_of_an_earlier_connection_is_void(world: World) -> None:
    post = Post(world, queue_kind="quorum")
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(1, 2))
    old = deliveries(bus, 2)
    world.cut(bus)
    new = after_a_cut(bus, 2)
    assert new[0].generation > old[0].generation

    bus.acknowledge(old)
    _answered(bus, post)
    world.cut(bus)

    assert numbers(after_a_cut(bus, 2)) == [1, 2]


def test_to_acknowledge_twice_does_no_harm(world: World) -> None:
    post = Post(world)
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(1, 2))
    first = deliveries(bus, 2)

    bus.acknowledge(first[:1])
    bus.acknowledge(first)
    bus.acknowledge(first)
    bus.publish(post.messages(3))

    assert numbers(deliveries(bus, 1)) == [3]
    assert bus.counters.connects == 1


def test_a_delivery_that_was_not_fetched_before_the_loss_is_void(world: World) -> None:
    post = Post(world, queue_kind="quorum")
    bus = world.bus()
    opened(bus, post.topology)
    other = sender(world)
    other.publish(post.messages(1, 2))
    assert other.flush(PATIENCE_S)
    eventually(lambda: world.ready(post.queue) == 0, "they are on their way to the bus")

    world.cut(bus)

    assert numbers(after_a_cut(bus, 2)) == [1, 2]


def test_an_answer_that_is_confirmed_acknowledges_the_question(world: World) -> None:
    post = Post(world, queue_kind="quorum")
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(1, 2))
    questions = deliveries(bus, 2)

    answers = [Publication(DEAD, "", numbered(10)), Publication(DEAD, "", numbered(11))]
    bus.publish(answers, then_acknowledge=questions[:1])
    assert bus.flush(PATIENCE_S)
    _answered(bus, post)
    world.cut(bus)

    assert numbers(after_a_cut(bus, 1)) == [2]
    assert world.ready(post.dead_queue) == 3


def _full(world: World) -> Post:
    """A queue that takes no more, and says so."""
    full = Post(world, max_length=1, reject_when_full=True, consume=False)
    keeper = world.bus()
    opened(keeper, full.topology)
    for number in range(3):
        keeper.publish(full.messages(number))
        keeper.flush(PATIENCE_S)
    assert keeper.counters.rejected > 0
    return full


def _asked(world: World) -> tuple[AnyBus, list[Delivery]]:
    """A bus that has been asked number 1, and the question."""
    post = Post(world)
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(1))
    return bus, deliveries(bus, 1)


def _is_given_back(bus: AnyBus) -> None:
    (again,) = deliveries(bus, 1)
    assert message_number(again) == 1
    assert again.redelivered


def test_an_answer_that_is_refused_gives_the_question_back(world: World) -> None:
    full = _full(world)
    bus, question = _asked(world)

    bus.publish(full.messages(50), then_acknowledge=question)

    _is_given_back(bus)


def test_a_long_answer_that_is_refused_at_its_beginning_gives_the_question_back(
    world: World,
) -> None:
    full = _full(world)
    bus, question = _asked(world)

    more = [Publication(DEAD, "", numbered(number)) for number in range(5_000)]
    bus.publish(iter([*full.messages(50), *more]), then_acknowledge=question)

    _is_given_back(bus)
    assert bus.flush(PATIENCE_S) is False
    assert bus.counters.published == bus.counters.confirmed + bus.counters.rejected == 5_002


def test_an_answer_that_nobody_wants_still_acknowledges_the_question(world: World) -> None:
    post = Post(world, queue_kind="quorum")
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(1, 2))
    questions = deliveries(bus, 2)
    nowhere = Post(world, exchange_kind="direct", binding_key="abc", consume=False)
    keeper = world.bus()
    opened(keeper, nowhere.topology)

    bus.publish([nowhere.message(9, "xyz")], then_acknowledge=questions[:1])
    assert bus.flush(PATIENCE_S)
    _answered(bus, post)
    world.cut(bus)

    assert numbers(after_a_cut(bus, 1)) == [2]


def test_publishing_nothing_acknowledges_at_once(world: World) -> None:
    post = Post(world, queue_kind="quorum")
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(1, 2))

    bus.publish([], then_acknowledge=deliveries(bus, 2)[:1])
    _answered(bus, post)
    world.cut(bus)

    assert numbers(after_a_cut(bus, 1)) == [2]


def test_every_question_is_answered_however_often_connections_break(world: World) -> None:
    post = Post(world, queue_kind="quorum", prefetch=20)
    replies = Post(world, queue_kind="quorum")
    asker, market = world.bus(), world.bus()
    opened(market, post.topology)
    opened(asker, replies.topology)
    asker.publish(post.messages(*range(100)))
    answered: set[int] = set()
    cuts = rounds = 0

    while len(answered) < 100 or cuts < 10:
        questions = [event for event in market.poll(0.01) if isinstance(event, Delivery)]
        market.publish(replies.messages(*numbers(questions)), then_acknowledge=questions)
        for event in asker.poll(0.01):
            if isinstance(event, Delivery):
                answered.add(message_number(event))
                asker.acknowledge([event])
            elif isinstance(event, Connected):
                asker.publish(post.messages(*(n for n in range(100) if n not in answered)))
        rounds += 1
        if rounds % 3 == 0 and cuts < 10:
            world.cut(asker if cuts % 2 else market)
            cuts += 1

    assert answered == set(range(100))


# ------------------------------------------------------------------------------ what goes astray


def test_a_mandatory_message_that_no_queue_wants_comes_back(world: World) -> None:
    post = Post(world, exchange_kind="direct", binding_key="abc")
    bus = world.bus()
    opened(bus, post.topology)

    bus.publish([post.message(1, "abc", mandatory=True), post.message(2, "xyz", mandatory=True)])
    bus.publish([post.message(3, "xyz")])
    assert bus.flush(PATIENCE_S)
    events = events_until(bus, lambda events: len(events) >= 2)

    returned = [event for event in events if isinstance(event, Returned)]
    assert returned == [Returned(post.exchange, "xyz", "Join")]
    assert bus.counters.returned == 1
    assert bus.counters.confirmed == 3


@pytest.mark.parametrize("body", [b"", b"not json", b'{"type":"Join","homes":-1}', b"\xff\xfe"])
def test_a_malformed_body_is_delivered_with_the_reason(world: World, body: bytes) -> None:
    post = Post(world)
    bus = world.bus()
    opened(bus, post.topology)

    world.publish_raw(post.exchange, "", body)

    (delivery,) = deliveries(bus, 1)
    assert delivery.message is None
    assert delivery.refusal is not None
    assert delivery.refusal[0] == "malformed"
    assert delivery.body == body
    assert bus.counters.refused == 1


def test_an_oversized_body_is_delivered_with_the_reason(world: World) -> None:
    post = Post(world)
    bus = world.bus()
    opened(bus, post.topology)

    world.publish_raw(post.exchange, "", b" " * (MAX_BODY_BYTES + 1))

    (delivery,) = deliveries(bus, 1)
    assert delivery.refusal is not None
    assert delivery.refusal[0] == "oversized"


def test_a_dead_letter_keeps_its_body_and_says_why_and_where_from(world: World) -> None:
    post = Post(world, queue_kind="quorum", exchange_kind="topic", binding_key="home.*")
    bus = world.bus()
    opened(bus, post.topology)
    world.publish_raw(post.exchange, "home.abc", b"poison")
    (poison,) = deliveries(bus, 1)
    bus.publish([post.message(1, "home.abc")])
    deliveries(bus, 1)

    bus.dead_letter(poison, "malformed")
    assert bus.flush(PATIENCE_S)
    _answered(bus, post)
    world.cut(bus)

    assert numbers(after_a_cut(bus, 1)) == [1]
    dead, _ = world.take(post.dead_queue)
    assert dead.body == b"poison"
    assert dead.headers["x-reason"] == "malformed"
    assert dead.headers["x-exchange"] == post.exchange
    assert dead.headers["x-routing-key"] == "home.abc"
    assert bus.counters.dead_lettered == 1


def test_a_message_that_came_back_too_often_is_dead_lettered_by_the_broker(world: World) -> None:
    post = Post(world, queue_kind="quorum", delivery_limit=2)
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(1))
    deliveries(bus, 1)
    for _ in range(2):
        world.cut(bus)
        assert numbers(after_a_cut(bus, 1)) == [1]

    world.cut(bus)

    eventually(lambda: world.ready(post.dead_queue) == 1, "it is dead")
    (dead,) = world.take(post.dead_queue)
    assert dead.body == encode(numbered(1))
    assert dead.headers["x-first-death-reason"] == "delivery_limit"
    assert dead.headers["x-first-death-queue"] == post.queue


# ------------------------------------------------------------------------------------- the limits


def test_a_full_queue_drops_its_oldest_into_the_dead_letters(world: World) -> None:
    post = Post(world, max_length=3, consume=False)
    bus = world.bus()
    opened(bus, post.topology)

    bus.publish(post.messages(*range(5)))
    assert bus.flush(PATIENCE_S)

    eventually(lambda: world.ready(post.dead_queue) == 2, "two had to go")
    assert [f.body for f in world.take(post.queue)] == [encode(numbered(n)) for n in (2, 3, 4)]
    assert [f.body for f in world.take(post.dead_queue)] == [encode(numbered(n)) for n in (0, 1)]
    assert bus.counters.confirmed == 5


@pytest.mark.parametrize("queue_kind", ["classic", "quorum"])
def test_a_full_queue_that_rejects_keeps_its_oldest_and_tells_the_publisher(
    world: World, queue_kind: QueueKind
) -> None:
    post = Post(world, queue_kind=queue_kind, max_length=3, reject_when_full=True, consume=False)
    bus = world.bus()
    opened(bus, post.topology)

    for number in range(10):
        bus.publish(post.messages(number))
        bus.flush(PATIENCE_S)

    # A quorum queue takes one or two more than it should before it refuses.
    kept = [found.body for found in world.take(post.queue)]
    assert 3 <= len(kept) < 10
    assert kept == [encode(numbered(n)) for n in range(len(kept))]
    assert bus.counters.confirmed == len(kept)
    assert bus.counters.rejected == 10 - len(kept)


# ------------------------------------------------------------------------ connections come and go


def test_an_exclusive_queue_is_gone_after_close(world: World) -> None:
    post = Post(world, queue_kind="exclusive")
    bus = world.bus()
    opened(bus, post.topology)
    assert world.ready(post.queue) is not None

    bus.close()

    eventually(lambda: world.ready(post.queue) is None, "the queue is gone")


def test_a_classic_queue_stays_after_close_with_what_is_in_it(world: World) -> None:
    post = Post(world, queue_kind="quorum")
    bus = world.bus()
    opened(bus, post.topology)
    bus.publish(post.messages(1, 2))
    bus.acknowledge(deliveries(bus, 2)[:1])

    bus.close()

    eventually(lambda: world.ready(post.queue) == 1, "one came back")
    assert [found.body for found in world.take(post.queue)] == [encode(numbered(2))]


def test_each_connection_gets_a_topology_of_its_own(world: World) -> None:
    exchange = world.name("post")
    names = [world.name("box") for _ in range(2)]
    unused = iter(names)

    def new_box() -> Topology:
        box = next(unused)
        return Topology(
            exchanges=(Exchange(exchange, "fanout"),),
            queues=(Queue(box, "exclusive", 10),),
            bindings=(Binding(exchange, box),),
            consumes=(box,),
        )

    bus = world.bus()
    bus.open(new_box)
    first = connected(bus)
    world.cut(bus)
    second = connected(bus)

    assert [first.topology.queues[0].name, second.topology.queues[0].name] == names
    assert second.generation > first.generation
    assert bus.counters.reconnects == 1
    bus.publish([Publication(exchange, "", numbered(1))])
    assert [each.queue for each in deliveries(bus, 1)] == names[1:]


def test_a_bus_waits_for_the_exchanges_it_expects(world: World) -> None:
    post = Post(world)
    waiting = world.bus()
    waiting.open(lambda: Topology(expected_exchanges=(post.exchange, DEAD)))
    assert waiting.poll(0.3) == []

    owner = world.bus()
    opened(owner, post.topology)

    connected(waiting)
    waiting.publish(post.messages(1))
    assert numbers(deliveries(owner, 1)) == [1]


def test_a_bus_waits_in_its_poll_for_the_exchanges_it_expects(world: World) -> None:
    post = Post(world)
    waiting = world.bus()
    waiting.open(lambda: Topology(expected_exchanges=(post.exchange,)))
    came: list[BusEvent] = []
    thread = threading.Thread(target=lambda: came.extend(waiting.poll(PATIENCE_S)))
    thread.start()

    opened(world.bus(), post.topology)
    thread.join()

    assert [type(event) for event in came] == [Connected]


def test_what_is_published_while_the_broker_is_away_is_dropped_and_counted(world: World) -> None:
    post = Post(world)
    bus = world.bus()
    opened(bus, post.topology)
    world.go_away()
    disconnected(bus)

    bus.publish(post.messages(1, 2, 3))
    assert bus.counters.dropped == 3
    assert not bus.flush(PATIENCE_S)
    world.come_back()
    connected(bus)
    bus.publish(post.messages(4))

    assert numbers(deliveries(bus, 1)) == [4]
    assert bus.flush(PATIENCE_S)


def test_what_is_published_before_open_is_dropped_and_counted(world: World) -> None:
    bus = world.bus()

    bus.publish([Publication("nowhere", "", numbered(1))])

    assert bus.counters.dropped == 1
    assert bus.poll(0) == []


def test_publishing_to_an_exchange_that_is_not_there_costs_the_connection(world: World) -> None:
    post = Post(world)
    bus = world.bus()
    opened(bus, post.topology)

    bus.publish([Publication(world.name("nowhere"), "", numbered(1))])
    reconnected(bus)
    bus.publish(post.messages(2))

    assert numbers(deliveries(bus, 1)) == [2]
    assert bus.counters.lost == 1


# ---------------------------------------------------------------------------- waiting and closing


def test_wake_ends_a_poll_from_another_thread(world: World) -> None:
    bus = sender(world)
    threading.Timer(0.1, bus.wake).start()

    assert bus.poll(None) == []


def test_wake_before_the_poll_ends_it_too(world: World) -> None:
    bus = sender(world)
    bus.wake()

    assert bus.poll(None) == []


def test_a_poll_ends_at_its_timeout(world: World) -> None:
    bus = sender(world)

    assert bus.poll(0) == []
    assert bus.poll(0.05) == []


def test_close_sends_what_was_published_and_acknowledged(world: World) -> None:
    post = Post(world)
    reader = world.bus()
    opened(reader, post.topology)
    writer = sender(world)

    writer.publish(post.messages(*range(200)))
    writer.close()
    first = deliveries(reader, 100)
    reader.acknowledge(first)
    rest = deliveries(reader, 100)
    reader.acknowledge(rest)
    reader.close()

    assert numbers(first + rest) == list(range(200))
    assert world.ready(post.queue) == 0


def test_to_close_twice_does_nothing_and_to_use_it_then_is_an_error(world: World) -> None:
    bus = sender(world)

    bus.close()
    bus.close()
    bus.wake()

    for use in (
        lambda: bus.poll(0),
        lambda: bus.publish([]),
        lambda: bus.acknowledge([]),
        lambda: bus.flush(0),
        lambda: bus.open(Topology),
    ):
        with pytest.raises(BusClosed, match="make a new one"):
            use()


def test_a_bus_that_was_never_opened_can_be_closed(world: World) -> None:
    world.bus().close()


def test_close_does_not_wait_for_a_broker_that_is_away(world: World) -> None:
    post = Post(world)
    bus = world.bus()
    opened(bus, post.topology)
    world.go_away()
    disconnected(bus)

    bus.publish(post.messages(1))
    bus.close()
