"""A tick's orders and receipts in several messages of few homes, at either end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import UNSET, structs

from energymarket import topology
from energymarket.bus.memory import MemoryBus
from energymarket.codec import decode, encode
from energymarket.messages import Join, Message, Offers, Orders, Receipts
from services.home.orders import order_messages
from services.home.receipts import ReceiptParts
from services.home.service import HomeService
from services.market import answers
from services.market.domain.membership import Fleet
from services.market.domain.record import SettledTick
from tests.contract.golden import EXAMPLES
from tests.message_bodies import refusal
from tests.world import Member, World

EXAMPLE = EXAMPLES[Receipts]
assert isinstance(EXAMPLE, Receipts)


def receipts(tick: int, *homes: int) -> Receipts:
    """Receipts of these homes; only what matters here is filled in."""
    assert isinstance(EXAMPLE, Receipts)
    return structs.replace(EXAMPLE, tick=tick, home=list(homes), stock_wh=[0] * len(homes))


def test_a_tick_is_complete_when_every_home_has_its_receipt_however_they_are_divided() -> None:
    parts = ReceiptParts()
    assert parts.take(receipts(7, 1, 2), 4) == []
    assert parts.take(receipts(7, 3), 4) == []
    assert [part.home for part in parts.take(receipts(7, 4), 4)] == [[1, 2], [3], [4]]


def test_a_part_that_comes_twice_counts_once() -> None:
    parts = ReceiptParts()
    assert parts.take(receipts(7, 1, 2), 3) == []
    assert parts.take(receipts(7, 1, 2), 3) == []
    assert len(parts.take(receipts(7, 3), 3)) == 2


def test_a_later_tick_takes_the_place_of_one_that_lost_a_part() -> None:
    parts = ReceiptParts()
    assert parts.take(receipts(7, 1), 2) == []
    assert parts.take(receipts(8, 2), 2) == []
    assert parts.take(receipts(7, 2), 2) == [], "the past is settled otherwise"
    assert [part.tick for part in parts.take(receipts(8, 1), 2)] == [8, 8]


def test_a_join_says_how_many_homes_go_into_a_message_only_where_it_matters() -> None:
    join = Join(fleet="f", instance="i", homes=5)
    assert join.homes_per_message is UNSET
    assert b"homes_per_message" not in encode(join)
    some = structs.replace(join, homes_per_message=2)
    assert encode(some).endswith(b'"homes":5,"homes_per_message":2}')
    assert decode(encode(some)) == some


def test_a_field_that_may_be_left_out_hides_no_field_that_is_given_twice() -> None:
    """Such a body has as many colons as a whole one."""
    body = b'{"type":"Join","version":1,"fleet":"f","fleet":"g","instance":"i","homes":1}'
    assert str(refusal(body)) == "a field is given twice"


class _Fleet:
    """A home process with five homes, two in a message, and all that the market sends it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: list[Message] = []
        bus = MemoryBus(world.broker)
        keys = iter(f"parts-{number}" for number in range(100))
        self.service = HomeService(
            bus=bus,
            clock=world.clock,
            log=world.log.log,
            new_key=keys.__next__,
            instance="five",
            homes=5,
            homes_per_message=2,
        )
        self.service.start()
        self.member = Member(self.service, bus)
        world.homes.append(self.member)
        self._eavesdrop("parts-0")

    def _eavesdrop(self, key: str) -> None:
        self._ear = MemoryBus(self.world.broker)
        queue = topology.own_queue("ear")
        self._ear.open(
            lambda: topology.Topology(
                expected_exchanges=(topology.RECEIPTS,),
                queues=(queue,),
                bindings=(topology.Binding(topology.RECEIPTS, "ear", key),),
                consumes=("ear",),
            )
        )
        self._ear.poll(0)

    def receipts(self) -> list[Receipts]:
        found = [getattr(event, "message", None) for event in self._ear.poll(0)]
        return [message for message in found if isinstance(message, Receipts)]


def test_a_fleet_gets_its_receipts_in_messages_of_as_many_homes_as_it_wants() -> None:
    world = World("sqlite://", homes=1)
    fleet = _Fleet(world)
    world.turn_until_tick(5)
    by_tick: dict[int, list[int]] = {}
    for each in fleet.receipts():
        assert len(each.home) <= 2
        by_tick.setdefault(each.tick, []).extend(each.home)
    assert len(by_tick) >= 3
    assert all(sorted(homes) == [2, 3, 4, 5, 6] for homes in by_tick.values())


def test_a_message_that_is_repeated_gets_the_receipts_of_its_own_homes_only() -> None:
    """Else a fleet of many messages would be sent all its receipts once for each of them."""
    world = World("sqlite://", homes=1)
    fleet = _Fleet(world)
    world.turn_until_tick(5)
    fleet.receipts()
    sent = fleet.service._sent
    tick = sent[0].message.tick  # type: ignore[attr-defined]
    world.turn_until_tick(tick)
    fleet.receipts()
    fleet.member.stopped = True
    for each in sent:
        world.send(each.exchange, each.routing_key, each.message)
    world.turn(2)
    again = [each for each in fleet.receipts() if each.tick == tick]
    assert sorted(home for each in again for home in each.home) == [2, 3, 4, 5, 6]
    assert [len(each.home) for each in again] == [
        len(each.message.home)  # type: ignore[attr-defined]
        for each in sent
    ]


def test_what_a_fleet_wants_is_forgotten_when_it_leaves() -> None:
    world = World("sqlite://", homes=1)
    fleet = _Fleet(world)
    world.turn_until_tick(3)
    assert world.market._floor.homes_per_message == {"five": 2}
    fleet.service.stop()
    fleet.member.stopped = True
    world.turn(2)
    assert world.market._floor.homes_per_message == {}


def test_a_fleet_of_many_messages_logs_one_line_a_tick() -> None:
    """R22."""
    world = World("sqlite://", homes=1)
    _Fleet(world)
    world.turn_until_tick(6)
    lines = [line for line in world.log.lines if line["event"] == "tick 4" and "homes" in line]
    assert [line["homes"] for line in lines if "balance_eur" in line] == [5]


def test_a_mended_message_is_held_beside_the_one_that_it_mends_also_when_both_come_again(
    tmp_path: Path,
) -> None:
    """Nothing is acknowledged before its tick is in the ledger: the one has an order that the other
    has not, though both are of the same homes."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=1)
    fleet = _Fleet(world)
    world.turn_until_tick(5)
    fleet.member.stopped = True
    world.turn(10)
    right = _next_order_of_two_homes(fleet)
    wrong = structs.replace(right, stock_wh=[right.stock_wh[0], right.stock_wh[1] + 1])
    exchange = topology.OFFERS if isinstance(right, Offers) else topology.REQUESTS
    for message in (wrong, right):
        world.send(exchange, topology.order_key(right.fleet), message)
        world.turn(1)
    world.broker.drop_connection(world.market_member.bus)  # type: ignore[arg-type]
    world.turn(4)
    world.kill_market()
    kept = [decode(stored.body) for stored in world.broker.messages_in(topology.ORDERS_QUEUE)]
    assert wrong in kept
    assert right in kept


def _next_order_of_two_homes(fleet: _Fleet) -> Orders:
    """A message of orders for the open tick that the fleet has not sent yet."""
    service = fleet.service
    service.handle(fleet.member.bus.poll(0))
    assert service.hosted is not None
    assert service._welcome is not None
    assert service._opened is not None
    offers, requests = service.hosted.orders(service._opened)
    sent = order_messages(service._welcome, service._opened.tick, offers, requests, 2)
    found = [each.message for each in sent if isinstance(each.message, Orders)]
    return next(message for message in found if len(message.home) == 2)


def test_a_home_with_more_takers_than_fit_into_a_message_gets_them_in_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else its receipt could not be sent, and its market would die of it again and again."""
    monkeypatch.setattr(answers, "MOST_GIFTS_PER_MESSAGE", 3)
    world = World("sqlite://", homes=8)
    world.turn_until_tick(1)
    settled = _with_one_giver_to_all(world.market.books.last)
    fleet = Fleet("i", "k", tuple(settled.home), 1)
    writer = answers.ReceiptWriter("run", settled)
    parts = list(writer.messages(fleet, late=True))
    assert [len(part.gift_wh) for part in parts] == [3, 3, 1]
    assert [list(part.home) for part in parts] == [[], [], list(settled.home)]
    assert all(part.late for part in parts)
    whole = writer.receipts(fleet)
    assert [taker for part in parts for taker in part.gift_taker] == list(whole.gift_taker)
    collected = ReceiptParts()
    assert [collected.take(decoded(part), 8) for part in parts[:-1]] == [[], []]
    assert [len(part.gift_wh) for part in collected.take(decoded(parts[-1]), 8)] == [3, 3, 1]


def decoded(receipts: Receipts) -> Receipts:
    """As it arrives."""
    message = decode(encode(receipts))
    assert isinstance(message, Receipts)
    return message


def _with_one_giver_to_all(settled: SettledTick | None) -> SettledTick:
    """The tick, as if its first home had given 1 Wh to each of the others."""
    assert settled is not None
    takers = len(settled.home) - 1
    outcome = replace(
        settled.outcome, given_wh=[takers, *[0] * takers], received_wh=[0, *[1] * takers]
    )
    return replace(settled, outcome=outcome)


def test_homes_that_are_too_many_for_a_message_get_their_receipts_in_several_unasked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also from a market that was started again, and has forgotten what was asked for."""
    monkeypatch.setattr(answers, "MOST_HOMES_PER_MESSAGE", 3)
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=1)
    fleet = _Fleet(world)
    world.turn_until_tick(3)
    fleet.receipts()
    world.restart_market()
    world.turn_until_tick(6)
    assert {len(each.home) for each in fleet.receipts() if each.tick > 4} == {2, 3}


def test_a_copy_that_names_a_home_twice_is_answered_for_the_homes_of_its_sender_alone() -> None:
    world = World("sqlite://", homes=1)
    fleet = _Fleet(world)
    world.turn_until_tick(5)
    sent = [each for each in fleet.service._sent if isinstance(each.message, Orders)]
    (publication, *_) = sent
    order = publication.message
    assert isinstance(order, Orders)
    world.turn_until_tick(order.tick)
    fleet.member.stopped = True
    fleet.receipts()
    columns = ("home", "policy", "amount_wh", "produced_wh", "consumed_wh", "stock_wh")
    twice = {name: _first_again(getattr(order, name)) for name in (*columns, "capacity_wh")}
    copy = structs.replace(order, **twice)
    world.send(publication.exchange, publication.routing_key, copy)
    world.turn(2)
    assert [list(each.home) for each in fleet.receipts() if each.tick == order.tick] == [
        list(order.home)
    ]


def _first_again(column: Sequence[int]) -> list[int]:
    return [column[0], *column]
