"""The fleets of a load test on the memory bus, against a real market."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest

from energymarket import topology
from energymarket.bus.memory import MemoryBus
from energymarket.messages import Offers, Receipts, Requests, TickOpened
from lab.load.fleets import LoadFleets
from lab.load.latencies import Latencies
from lab.load.pacing import Schedule
from lab.load.wire import Sample
from tests.world import World

FOR_EVER = 2**53
SIZES = [3, 4, 5]


class Load:
    """The fleets of one worker in a world that has one home of its own."""

    def __init__(self, *, homes_per_message: int = 0, sizes: Sequence[int] = tuple(SIZES)) -> None:
        self.world = World("sqlite://", homes=1)
        self.sizes = sizes
        self.samples: list[Sample] = []
        keys = iter(f"load-key-{number}" for number in range(1_000))
        self.bus = MemoryBus(self.world.broker)
        self.fleets = LoadFleets(
            bus=self.bus,
            clock=self.world.clock,
            log=self.world.log.log,
            new_key=keys.__next__,
            instance="load",
            sizes=sizes,
            homes_per_message=homes_per_message,
            report=self.samples.append,
        )
        self.world.turn()
        self.fleets.start()

    def turn(self, times: int = 1, *, seconds: float = 0.01) -> None:
        """Everyone's turn, time going on a little before each."""
        for _ in range(times):
            self.world.clock.time_s += seconds
            self.world.turn()
            self.fleets.handle(self.bus.poll(0))
            self.fleets.act()

    def joined(self) -> Load:
        for _ in range(20):
            if self.samples and self.samples[-1].joined_fleets == len(self.sizes):
                return self
            self.turn()
        raise AssertionError("the fleets did not join")

    def go(self, *, ticks: int = FOR_EVER, pace_s: float = 0) -> Schedule:
        begin_at = self.world.clock.time_s
        base = self.samples[-1].first_tick
        schedule = Schedule(base, min(base + ticks - 1, FOR_EVER), begin_at, pace_s)
        self.fleets.go(schedule)
        return schedule

    def run_until_done(self) -> None:
        for _ in range(2_000):
            self.turn()
            if self.samples[-1].done:
                return
        raise AssertionError("the last tick was not settled")

    def total(self, what: str) -> int:
        return sum(getattr(sample, what) for sample in self.samples)

    def latencies(self) -> Latencies:
        found = Latencies()
        for sample in self.samples:
            found.add(sample.latencies)
        return found


@pytest.fixture
def load() -> Iterator[Load]:
    made = Load()
    yield made.joined()
    made.bus.close()


def test_every_order_of_every_tick_is_settled_once(load: Load) -> None:
    load.go(ticks=10)
    load.run_until_done()
    assert load.total("orders") == 10 * sum(SIZES)
    assert load.latencies().total == 10 * sum(SIZES)
    assert load.total("absent") == load.total("refused") == load.total("repeated") == 0
    assert load.world.market.books.residuals.ok


def test_nothing_is_ordered_before_all_workers_may_begin(load: Load) -> None:
    load.turn(20)
    assert load.total("messages_out") == len(SIZES), "a Join each"
    before = load.world.tick
    load.turn(20)
    assert load.world.tick == before, "the market waits for the fleets that have joined"


def test_orders_travel_in_messages_of_at_most_so_many_homes_and_receipts_too() -> None:
    load = Load(homes_per_message=2).joined()
    sent = spy_on(load)
    load.go(ticks=5)
    load.run_until_done()
    orders = [each for each in sent if isinstance(each, Offers | Requests)]
    receipts = [each for each in sent if isinstance(each, Receipts) and each.fleet.startswith("l")]
    for each in [*orders, *receipts]:
        assert 1 <= len(each.home) <= 2
    assert len(receipts) >= 5 * (2 + 2 + 3)
    assert load.total("orders") == 5 * sum(SIZES)
    load.bus.close()


def test_the_homes_of_a_load_make_fewer_gifts_than_two_to_a_home_of_a_message() -> None:
    """So many fit; each message has the gifts of its own homes alone, to whomever they go."""
    load = Load(homes_per_message=500, sizes=[6_000]).joined()
    sent = spy_on(load)
    load.go(ticks=24)
    load.run_until_done()
    gifts = [len(e.gift_wh) for e in sent if isinstance(e, Receipts) and len(e.home) == 500]
    assert len(gifts) == 24 * 12
    assert 0 < max(gifts) < 2 * 500
    load.bus.close()


def spy_on(load: Load) -> list[object]:
    """All that the market publishes, and all that the fleets do, from now on."""
    sent: list[object] = []
    for bus in (load.bus, load.world.market_member.bus):
        publish = bus.publish

        def noting(publications: object, *rest: object, publish: object = publish, **more: object):  # type: ignore[no-untyped-def]
            several = list(publications)  # type: ignore[call-overload]
            sent.extend(each.message for each in several)
            return publish(several, *rest, **more)  # type: ignore[operator]

        bus.publish = noting  # type: ignore[method-assign]
    return sent


def test_a_market_that_starts_again_settles_the_orders_in_messages_as_before() -> None:
    """It has forgotten how the fleets want their receipts, and nothing is lost by that."""
    load = Load(homes_per_message=2).joined()
    load.go(ticks=20)
    load.turn(6)
    load.world.restart_market()
    load.run_until_done()
    assert load.total("orders") == 20 * sum(SIZES)
    assert load.world.market.books.residuals.ok
    load.bus.close()


def test_after_the_end_no_home_is_left_and_the_market_goes_on(load: Load) -> None:
    load.go()
    load.turn(50)
    load.fleets.stop()
    assert load.samples[-1].gone
    before = load.world.tick
    load.world.turn(20)
    assert load.world.market.books.membership.homes == 1
    assert load.world.tick > before + 5


def test_a_fleet_that_ends_before_its_welcome_leaves_all_the_same() -> None:
    load = Load()
    load.fleets.handle(load.bus.poll(0))
    load.fleets.act()
    market, poll = load.world.market_member, load.bus.poll

    def market_meanwhile(timeout_s: float | None) -> list[object]:
        market.turn()
        return list(poll(0))

    load.bus.poll = market_meanwhile  # type: ignore[assignment,method-assign]
    load.fleets.stop()
    market.turn()
    assert load.world.market.books.membership.homes == 1


def test_who_loses_the_connection_joins_again_and_loses_no_order(load: Load) -> None:
    load.go(ticks=10)
    load.turn(5)
    load.world.broker.drop_connection(load.bus)
    load.run_until_done()
    assert load.samples[-1].joined_fleets == len(SIZES)
    assert load.total("orders") == 10 * sum(SIZES)


# --------------------------------------------------------------------------------------- open mode


def test_in_open_mode_a_tick_waits_for_its_moment(load: Load) -> None:
    schedule = load.go(ticks=3, pace_s=1.0)
    load.turn(50)
    assert load.world.tick == schedule.base_tick, "one tick in half a second"
    load.turn(100)
    assert load.world.tick == schedule.base_tick + 1


def test_in_open_mode_latency_counts_from_the_intended_moment(load: Load) -> None:
    load.go(ticks=5, pace_s=1.0)
    load.run_until_done()
    (p100,) = load.latencies().percentiles_ms([100])
    assert p100 < 100, "a turn takes 10 ms, and a tick a few turns"


def test_a_stall_of_the_market_makes_all_later_orders_late_until_it_has_caught_up(
    load: Load,
) -> None:
    """Coordinated omission: a closed loop would have measured one slow tick and nineteen fast."""
    load.go(ticks=20, pace_s=0.1)
    load.turn(55)
    load.world.market_member.stopped = True
    load.turn(100)  # a second
    load.world.market_member.stopped = False
    load.run_until_done()
    late = sorted(load.latencies().counts.items())
    waits = {bucket // 1_000 for bucket, _ in late}
    slow = sum(count for bucket, count in late if bucket > 100_000)
    assert max(waits) >= 900
    assert slow >= 8 * sum(SIZES), "ten ticks were due in that second"
    assert load.total("orders") == 20 * sum(SIZES)


def test_a_stall_that_outlasts_the_run_is_in_the_figures_too(load: Load) -> None:
    load.go(pace_s=0.1)
    load.turn(55)
    load.world.market_member.stopped = True
    load.turn(100)
    load.fleets.stop()
    assert load.total("unanswered") >= 8 * sum(SIZES)
    (p100,) = load.latencies().percentiles_ms([100])
    assert p100 >= 900


def test_a_broker_that_is_gone_until_the_end_of_the_run_is_in_the_figures_too(load: Load) -> None:
    """Who has lost the connection has not joined anew, and its orders are due all the same."""
    load.go(pace_s=0.1)
    load.turn(55)
    load.world.broker.stop()
    load.turn(100)
    assert load.samples[-1].joined_fleets == 0
    load.fleets.stop()
    assert load.total("unanswered") >= 8 * sum(SIZES)
    (p100,) = load.latencies().percentiles_ms([100])
    assert p100 >= 900


def test_the_first_moment_may_be_told_when_the_first_tick_that_counts_is_open(load: Load) -> None:
    """However slow those before were: a market that needs 0.9 s for a tick keeps a pace of 1 s."""
    load.world.market.change_clock(paused=None, pace_s=0.9)
    base = load.samples[-1].first_tick + 3
    load.fleets.go(Schedule(base, base + 4, math.inf, 1.0))
    sent = spy_on(load)
    for _ in range(600):
        if any(isinstance(each, TickOpened) and each.tick == base for each in sent):
            break
        load.turn()
    load.turn(2)
    assert load.samples[-1].opened_tick == base, "said at once"
    load.turn(100)
    assert load.world.tick == base - 1, "the orders that count wait for a word"
    load.fleets.go(Schedule(base, base + 4, load.world.clock.time_s, 1.0))
    load.run_until_done()
    assert load.total("orders") == 5 * sum(SIZES)
    (p100,) = load.latencies().percentiles_ms([100])
    assert p100 < 100


def test_a_queue_of_a_fleet_is_that_of_a_home_process(load: Load) -> None:
    """So the same user of the broker, and the same permissions, do for both."""
    queues = [name for name in load.world.broker.queues if name.startswith("fleet.load-key")]
    assert len(queues) == len(SIZES)
    for queue in queues:
        key = queue.removeprefix("fleet.")
        assert load.world.broker.queues[queue].spec == topology.fleet_topology(key).queues[0]
