"""Delivery tags: what is confirmed, what may be acknowledged together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from energymarket.bus.amqp_session import Session
from energymarket.bus.amqp_tags import Batch, Confirms, Outgoing, Part, Unacknowledged
from energymarket.bus.counters import BusCounters
from energymarket.bus.port import Delivery

MESSAGE = Outgoing("exchange", "key", "Join", b"{}", persistent=True, mandatory=False)
QUESTION = Delivery(
    queue="orders",
    exchange="offers",
    routing_key="",
    body=b"{}",
    message=None,
    refusal=("malformed", "no message"),
    redelivered=False,
    generation=1,
    tag=7,
)


class BrokersSide:
    """What a broker makes of acknowledgements; it closes the channel over an unknown tag."""

    def __init__(self, delivered: int) -> None:
        self.outstanding = set(range(1, delivered + 1))

    def acknowledge(self, tag: int, multiple: bool) -> None:
        assert tag in self.outstanding, f"406 PRECONDITION_FAILED - unknown delivery tag {tag}"
        self.outstanding -= {t for t in self.outstanding if t == tag or (multiple and t < tag)}


@given(
    delivered=st.integers(1, 40),
    rounds=st.lists(st.lists(st.integers(-2, 45), max_size=20), max_size=10),
)
def test_exactly_what_was_asked_for_is_acknowledged(
    delivered: int, rounds: list[list[int]]
) -> None:
    ours = Unacknowledged()
    broker = BrokersSide(delivered)
    for tag in range(1, delivered + 1):
        ours.add(tag)
    expected = set(range(1, delivered + 1))

    for tags in rounds:
        for tag, multiple in ours.settle(tags):
            broker.acknowledge(tag, multiple)
        expected -= set(tags)
        assert broker.outstanding == expected
        assert len(ours) == len(expected)


def test_what_stands_at_the_front_is_acknowledged_with_one_word() -> None:
    ours = Unacknowledged()
    for tag in range(1, 1_001):
        ours.add(tag)

    assert ours.settle(range(1, 501)) == [(500, True)]
    assert ours.settle([900, 501]) == [(501, False), (900, False)]


@given(st.data())
def test_a_batch_is_complete_when_the_broker_has_spoken_on_each_of_its_messages(
    data: st.DataObject,
) -> None:
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=8))
    confirms = Confirms()
    batches = [Batch(()) for _ in sizes]
    owner: dict[int, Batch] = {}
    for batch, size in zip(batches, sizes, strict=True):
        for _ in range(size):
            confirms.expect(batch)
            owner[len(owner) + 1] = batch
        batch.all_sent = True
    open_tags = set(owner)
    refused: set[int] = set()
    complete: list[Batch] = []

    while open_tags:
        tag = data.draw(st.sampled_from(sorted(open_tags)))
        multiple, confirmed = data.draw(st.booleans()), data.draw(st.booleans())
        named = {t for t in open_tags if t == tag or (multiple and t < tag)}
        count, some = confirms.settle(tag, multiple=multiple, confirmed=confirmed)
        open_tags -= named
        refused |= set() if confirmed else {id(owner[t]) for t in named}
        complete += some
        assert count == len(named)
        assert len(confirms) == len(open_tags)
        assert {id(b) for b in complete} == {id(b) for b in batches} - {
            id(owner[t]) for t in open_tags
        }

    assert len(complete) == len(batches)
    assert {id(batch) for batch in batches if batch.failed} == refused


class _Channel:
    """Notes what is acknowledged and what is given back."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.given_back: list[int] = []

    def basic_ack(self, delivery_tag: int, multiple: bool) -> None:
        assert not multiple
        self.acknowledged.append(delivery_tag)

    def basic_nack(self, delivery_tag: int, multiple: bool, requeue: bool) -> None:
        assert requeue
        assert not multiple
        self.given_back.append(delivery_tag)


@given(st.data())
def test_what_a_batch_answers_is_settled_when_its_last_part_is_sent_and_all_is_spoken_on(
    data: st.DataObject,
) -> None:
    channel, counters = _Channel(), BusCounters()
    session = Session(channel, 1, counters, lambda _: None)
    session.unacknowledged.add(QUESTION.tag)
    batch = Batch((QUESTION,))
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    awaited: list[int] = []
    tag, refused = 0, False

    def spoken_on(count: int) -> None:
        nonlocal refused
        for _ in range(count):
            confirmed = data.draw(st.booleans())
            refused |= not confirmed
            which = data.draw(st.sampled_from(awaited))
            awaited.remove(which)
            session.on_confirm(which, multiple=False, confirmed=confirmed)
            session.settle()

    for number, size in enumerate(sizes, start=1):
        assert not channel.acknowledged + channel.given_back
        session.send(Part(batch, [MESSAGE] * size, is_last=number == len(sizes)))
        session.settle()
        awaited += range(tag + 1, tag + size + 1)
        tag += size
        some = len(awaited) if number < len(sizes) else max(len(awaited) - 1, 0)
        spoken_on(data.draw(st.integers(0, some)))
    assert bool(awaited) is not bool(channel.acknowledged + channel.given_back)
    spoken_on(len(awaited))

    assert (channel.acknowledged, channel.given_back) == (([], [7]) if refused else ([7], []))


def test_a_word_on_a_tag_that_is_not_awaited_changes_nothing() -> None:
    confirms = Confirms()
    confirms.expect(Batch(()))

    assert confirms.settle(7, multiple=False, confirmed=True) == (0, [])
    assert len(confirms) == 1
