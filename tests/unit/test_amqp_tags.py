"""Delivery tags: what is confirmed, what may be acknowledged together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from energymarket.bus.amqp_tags import Batch, Confirms, Outgoing, Unacknowledged

MESSAGE = Outgoing("exchange", "key", "Join", b"{}", persistent=True, mandatory=False)


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
    batches = [Batch([MESSAGE] * size, ()) for size in sizes]
    owner: dict[int, Batch] = {}
    for batch in batches:
        for _ in batch.messages:
            confirms.expect(batch)
            owner[len(owner) + 1] = batch
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


def test_a_word_on_a_tag_that_is_not_awaited_changes_nothing() -> None:
    confirms = Confirms()
    confirms.expect(Batch([MESSAGE], ()))

    assert confirms.settle(7, multiple=False, confirmed=True) == (0, [])
    assert len(confirms) == 1
