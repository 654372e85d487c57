"""A home process: it asks until it is answered, and is never ahead of its receipts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import UNSET

from energymarket import topology
from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import Delivery, Publication
from energymarket.messages import Join, Message, Offers, Receipts, Requests, TickOpened, Welcome
from services.home.service import HomeService
from tests.fakes import FakeClock, RecordedLog
from tests.world import STRICT, WITH_DEADLINE, World, closing_ledgers

RUN = "0123456789abcdef"


class Counter:
    """The market's side of one home, spoken by hand."""

    def __init__(self, homes: int = 1) -> None:
        self.clock, self.broker = FakeClock(), MemoryBroker()
        self.bus = MemoryBus(self.broker)
        self.bus.open(lambda: topology.market_topology(100))
        self.bus.poll(0)
        bus = MemoryBus(self.broker)
        self._home_bus = bus
        log = RecordedLog().log
        self.home = HomeService(
            bus=bus, clock=self.clock, log=log, new_key=lambda: "key", instance="i", homes=homes
        )
        self.home.start()

    def welcome(self, homes: int = 1) -> None:
        """The home joins, and has its homes."""
        assert [type(message) for message in self.turn()] == [Join]
        welcome = Welcome(
            run=RUN,
            seed=42,
            fleet="key",
            secret="s" * 32,
            first_tick=1,
            settled_tick=0,
            home=[*range(1, homes + 1)],
            stock_wh=[0] * homes,
            opened=None,
        )
        assert self.say(welcome) == []

    def turn(self, seconds: float = 0.0) -> list[Message | None]:
        """Time passes, the home acts; what it has said."""
        self.clock.time_s += seconds
        self.home.handle(self._home_bus.poll(0))
        self.home.act()
        return [event.message for event in self.bus.poll(0) if isinstance(event, Delivery)]

    def say(self, message: Message, *, to_all: bool = False) -> list[Message | None]:
        """The market says something; what the home answers."""
        exchange, key = (topology.OPENINGS, "") if to_all else (topology.RECEIPTS, "key")
        self.bus.publish([Publication(exchange, key, message)])
        return self.turn()

    def open(self, tick: int) -> list[Message | None]:
        return self.say(
            TickOpened(
                run=RUN,
                epoch=1,
                seed=42,
                tick=tick,
                price_neur_per_wh=200_000,
                temperature_mdeg=15_000,
                events=[],
                homes=1,
                degraded=False,
            ),
            to_all=True,
        )


@pytest.fixture
def counter() -> Counter:
    made = Counter()
    made.welcome()
    return made


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with closing_ledgers():
        yield f"sqlite:///{tmp_path}/ledger.db"


def receipt(order: Message | None) -> Receipts:
    """What a market would answer that takes nothing from anybody and gives nothing."""
    assert isinstance(order, (Offers, Requests))
    zero = [0]
    return Receipts(
        run=RUN,
        fleet="key",
        tick=order.tick,
        price_neur_per_wh=200_000,
        late=False,
        home=order.home,
        present=[1],
        net_wh=zero,
        given_wh=zero,
        received_wh=zero,
        sold_wh=zero,
        bought_wh=zero,
        spilled_wh=zero,
        unserved_wh=zero,
        stock_wh=[7],
        charged_neur=zero,
        balance_neur=zero,
        gift_giver=[],
        gift_taker=[],
        gift_wh=[],
        opened=None,
    )


@pytest.mark.parametrize(("homes", "most"), [(1, UNSET), (50_000, UNSET), (50_001, 50_000)])
def test_a_fleet_too_large_for_a_message_asks_for_several(homes: int, most: int) -> None:
    (join,) = Counter(homes).turn()
    assert isinstance(join, Join)
    assert (join.homes, join.homes_per_message) == (homes, most)


def test_an_order_is_repeated_word_for_word_at_doubling_intervals_until_its_receipt(
    counter: Counter,
) -> None:
    (order,) = counter.open(1)
    for silence_s in (1, 2, 4, 8, 10, 10):
        assert counter.turn(silence_s - 0.1) == []
        assert counter.turn(0.1) == [order]
    assert counter.say(receipt(order)) == []
    assert counter.turn(60) == []


@pytest.mark.parametrize(
    ("took_s", "silences_s"), [(0.4, (1, 2, 4)), (0.9, (1.8, 3.6, 7.2)), (30, (5, 10, 10))]
)
def test_where_receipts_take_long_the_next_order_is_given_twice_that_time(
    counter: Counter, took_s: float, silences_s: tuple[float, ...]
) -> None:
    """Or a slow tick would be slowed further by a copy of every order; up to 5 s."""
    (first,) = counter.open(1)
    counter.turn(took_s)
    assert counter.say(receipt(first)) == []
    (order,) = counter.open(2)
    for silence_s in silences_s:
        assert counter.turn(silence_s - 0.1) == []
        assert counter.turn(0.1 + 1e-6) == [order]


def test_many_homes_are_given_more_time_for_their_first_receipts() -> None:
    counter = Counter(homes=100_000)
    counter.welcome(homes=100_000)
    orders = counter.open(1)
    assert counter.turn(1.9) == []
    assert counter.turn(0.2) == orders


def test_a_join_is_repeated_until_it_is_answered() -> None:
    counter = Counter()
    for silence_s in (0, 1, 2, 4):
        (join,) = counter.turn(silence_s)
        assert isinstance(join, Join)


def test_no_order_of_a_tick_before_the_receipt_of_the_last_however_often_it_is_announced(
    counter: Counter,
) -> None:
    """R7: it asks for its stocks instead, by joining again."""
    (first,) = counter.open(1)
    said = counter.open(2) + counter.turn(0.5) + counter.turn(1) + counter.turn(2)
    assert said
    assert all(isinstance(message, Join) for message in said)
    (second,) = counter.say(receipt(first))
    assert isinstance(second, (Offers, Requests))
    assert (second.tick, second.stock_wh) == (2, [7])


def test_a_tick_opened_again_in_a_new_epoch_is_ordered_for_at_once(counter: Counter) -> None:
    """Another market may have lost what the first one took."""
    (order,) = counter.open(1)
    opened = TickOpened(
        run=RUN,
        epoch=2,
        seed=42,
        tick=1,
        price_neur_per_wh=200_000,
        temperature_mdeg=15_000,
        events=[],
        homes=1,
        degraded=False,
    )
    assert counter.say(opened, to_all=True) == [order]


def test_a_home_that_was_absent_and_speaks_again_is_waited_for_again(url: str) -> None:
    """I3: for one that had spoken just now, a tick waits as long as for any other."""
    world = World(url, tempo=WITH_DEADLINE)
    world.turn_until_tick(3)
    world.homes[1].stopped = True
    world.pass_time(6)
    world.homes[1].stopped = False
    world.turn(20)
    world.homes[1].stopped = True
    world.turn(3)
    waiting = world.tick
    world.turn(50)
    assert world.tick <= waiting + 1
    assert world.log.saying("homes 2 heard of again")


def test_without_faults_no_order_is_said_twice(url: str) -> None:
    world = World(url, tempo=STRICT)
    world.turn_until_tick(20)
    assert world.market.metrics.copies._value.get() == 0
