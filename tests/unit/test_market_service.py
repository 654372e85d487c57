"""The market's protocol: barrier, deadline, copies, forgeries, restarts, degraded ticks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from energymarket import codec, topology
from energymarket.errors import WeatherStoreUnavailable
from energymarket.messages import (
    EventStart,
    Join,
    Leave,
    Offers,
    Orders,
    Receipts,
    Refused,
    TickAwaited,
    TickOpened,
    TickSettled,
    Welcome,
)
from services.home.hosted import FewHomes
from services.home.service import HomeService
from services.market.domain.rules import Rules
from services.market.errors import EpochLost, LedgerUnavailable
from services.market.ledger import Ledger
from tests.world import STRICT, WITH_DEADLINE, Ear, Member, World


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def world(url: str) -> World:
    made = World(url)
    made.turn_until_tick(3)
    return made


def service_of(member: Member) -> HomeService:
    assert isinstance(member.service, HomeService)
    return member.service


# ------------------------------------------------------------------------------------- the barrier


def test_without_a_deadline_a_tick_waits_for_every_home_however_long(world: World) -> None:
    """R21."""
    world.homes[1].stopped = True
    world.turn(20)
    stuck = world.tick
    world.pass_time(3_600)
    assert world.tick == stuck
    world.homes[1].stopped = False
    world.turn_until_tick(stuck + 2)


def test_the_first_tick_opens_when_enough_homes_have_joined(url: str) -> None:
    world = World(url, homes=3)
    world.homes[2].stopped = True
    world.pass_time(60)
    assert world.tick == 0
    assert world.market.view.waiting_for == ("homes",)
    world.homes[2].stopped = False
    world.turn_until_tick(1)
    assert world.market.books.last is not None
    assert len(world.market.books.last.home) == 3


def test_a_home_that_misses_the_deadline_is_absent_named_and_waited_for_no_longer(url: str) -> None:
    """I3: recorded absent; the tick goes on."""
    world = World(url, tempo=WITH_DEADLINE)
    world.turn_until_tick(3)
    world.homes[1].stopped = True
    world.turn(10)
    settled = world.tick
    world.pass_time(5.5)
    assert world.tick > settled + 3  # one deadline was waited for, not one per tick
    last = world.market.books.last
    assert last is not None
    assert [bool(policy) for policy in last.orders.policy] == [True, False, True]
    assert world.log.saying("homes 2 missed the deadline")


def test_an_absent_home_that_speaks_again_takes_part_with_its_stock_right(url: str) -> None:
    world = World(url, tempo=WITH_DEADLINE)
    world.turn_until_tick(5)
    world.homes[1].stopped = True
    world.pass_time(10)
    stock = world.market.books.stock_wh(2)
    world.homes[1].stopped = False
    world.turn(10)
    present = world.tick
    world.turn_until_tick(present + 3)
    last = world.market.books.last
    assert last is not None
    assert all(last.orders.policy)
    settled = world.market.books.ledger.history.settled_between(1, 10**9, 10**6)
    held = [tick.outcome.stock_wh[1] for tick in settled if not tick.orders.policy[1]]
    assert set(held) == {stock}
    assert world.market.books.residuals.ok
    assert not world.log.saying("order refused")


def test_a_home_whose_lease_ran_out_makes_room_for_the_next(url: str) -> None:
    world = World(url, tempo=WITH_DEADLINE)
    world.turn_until_tick(2)
    world.homes[0].stopped = True
    world.pass_time(40)
    assert world.market.books.membership.homes == 2
    newcomer = world.add_home(instance="newcomer")
    world.turn(5)
    assert service_of(newcomer).home_ids == (1,)
    world.homes[0].stopped = False
    world.pass_time(5)
    assert service_of(world.homes[0]).home_ids == (4,)


# ------------------------------------------------------------------------- exactly once, and copies


def recorded(world: World) -> tuple[Ear, Ear]:
    return Ear(world, topology.OFFERS, "home.*"), Ear(world, topology.REQUESTS, "home.*")


def an_order(world: World) -> Orders:
    """An order that was settled in the newest tick."""
    ears = recorded(world)
    world.turn_until_tick(world.tick + 2)
    heard: list[Orders] = [order for ear in ears for order in ear.heard(Orders)]
    return next(order for order in heard if order.tick == world.tick)


def say_again(world: World, order: Orders) -> Ear:
    ear = Ear(world, topology.RECEIPTS, order.fleet)
    exchange = topology.OFFERS if isinstance(order, Offers) else topology.REQUESTS
    for member in world.homes:
        member.stopped = True
    world.send(exchange, topology.order_key(order.fleet), order)
    world.turn(2)
    return ear


def test_a_second_copy_of_an_order_gets_the_stored_receipt(world: World) -> None:
    order = an_order(world)
    history = world.market.books.ledger.history
    before = history.tick_hash(order.tick)
    (receipt,) = [r for r in say_again(world, order).heard(Receipts) if r.tick == order.tick]
    assert receipt.home == order.home
    assert not receipt.late
    settled = history.settled(order.tick)
    assert settled is not None
    assert receipt.stock_wh == [settled.outcome.stock_wh[settled.home.index(order.home[0])]]
    assert history.tick_hash(order.tick) == before


def test_a_copy_with_another_content_is_refused_and_changes_nothing(world: World) -> None:
    order = an_order(world)
    history = world.market.books.ledger.history
    before = history.tick_hash(order.tick)
    forged = msgspec.structs.replace(order, produced_wh=[order.produced_wh[0] + 1])
    (refused,) = say_again(world, forged).heard(Refused)
    assert (refused.reason, refused.home) == ("different_copy", order.home)
    assert history.tick_hash(order.tick) == before


def test_an_order_of_a_tick_that_was_settled_without_it_gets_a_receipt_that_says_so(
    url: str,
) -> None:
    world = World(url, tempo=WITH_DEADLINE)
    world.turn_until_tick(3)
    order = an_order(world)
    silent = next(m for m in world.homes if service_of(m).home_ids == tuple(order.home))
    silent.stopped = True
    world.turn(10)
    missed = world.tick + 1
    world.pass_time(6)
    for member in world.homes:
        member.stopped = True
    ear = say_again(world, msgspec.structs.replace(order, tick=missed))
    (receipt,) = [r for r in ear.heard(Receipts) if r.tick == missed]
    assert receipt.late
    assert receipt.present == [0]


def test_nothing_is_acknowledged_before_its_tick_is_in_the_ledger(world: World) -> None:
    """A market that dies with orders in hand finds them in the queue again."""
    world.homes[2].stopped = True
    world.turn(10)
    settled = world.tick
    world.kill_market()
    waiting = world.broker.messages_in(topology.ORDERS_QUEUE)
    orders = [codec.decode(stored.body) for stored in waiting]
    ticks = {order.tick for order in orders if isinstance(order, Orders)}
    homes = {home for order in orders if isinstance(order, Orders) for home in order.home}
    assert ticks == {settled + 1}
    assert len(homes) == 2


def test_a_home_that_repeats_itself_for_hours_does_not_use_up_the_orders_in_flight(
    world: World,
) -> None:
    """R14: copies are acknowledged, for their original is held."""
    world.homes[2].stopped = True
    world.turn(10)
    settled = world.tick
    world.pass_time(2_000)
    held = len(world.market._floor.open_tick.held)  # type: ignore[union-attr]
    assert held == 2
    world.kill_market()
    waiting = [codec.decode(s.body) for s in world.broker.messages_in(topology.ORDERS_QUEUE)]
    kept = {home for order in waiting if isinstance(order, Orders) for home in order.home}
    assert len(kept) == 2
    assert world.tick == settled


def test_every_order_of_a_fleet_that_sends_them_one_by_one_is_held_until_its_tick_is_stored(
    world: World,
) -> None:
    """Nothing is acknowledged before its tick is in the ledger, however many messages it takes."""
    world.homes[2].stopped = True
    world.turn(3)
    ear = Ear(world, topology.RECEIPTS, "many")
    join = Join(fleet="many", instance="many", homes=9)
    world.send(topology.MEMBERSHIP, topology.MEMBERSHIP_KEY, join)
    world.turn(3)
    (welcome,) = ear.heard(Welcome)
    world.homes[2].stopped = False
    world.turn_until_tick(welcome.first_tick - 1)
    world.turn(3)
    for home in welcome.home:
        offer = Offers(
            run=welcome.run,
            fleet="many",
            secret=welcome.secret,
            tick=welcome.first_tick,
            home=[home],
            policy=[1],
            amount_wh=[0],
            produced_wh=[5],
            consumed_wh=[5],
            stock_wh=[0],
            capacity_wh=[0],
        )
        if home != welcome.home[-1]:
            world.send(topology.OFFERS, topology.order_key("many"), offer)
    world.turn(3)
    assert world.tick == welcome.first_tick - 1
    world.kill_market()
    waiting = [codec.decode(s.body) for s in world.broker.messages_in(topology.ORDERS_QUEUE)]
    kept = [
        [*order.home] for order in waiting if isinstance(order, Offers) and order.fleet == "many"
    ]
    assert sorted(kept) == [[home] for home in welcome.home[:-1]]


def test_a_market_that_is_killed_at_any_turn_leaves_the_ledger_as_if_it_had_not(
    tmp_path: Path,
) -> None:
    """I7, in small: the same head hash after 12 ticks, with a restart after every k turns."""
    quiet = World(f"sqlite:///{tmp_path}/quiet.db")
    quiet.turn_until_tick(12)
    expected = quiet.market.books.ledger.history.tick_hash(12)
    for every in (2, 3, 4, 5):
        world = World(f"sqlite:///{tmp_path}/killed-{every}.db")
        for turn in range(1, 2_000):
            world.clock.time_s += 0.3
            world.turn()
            if turn % every == 0:
                world.restart_market()
            if world.tick >= 12:
                break
        assert world.market.books.ledger.history.tick_hash(12) == expected
        assert world.market.books.ledger.epoch > 3


def test_a_market_that_was_superseded_writes_nothing(world: World, url: str) -> None:
    """I6: a commit under an old epoch fails."""
    other = Ledger.open(url, Rules(seed=42))
    other.raise_epoch(0)
    settled = world.tick
    with pytest.raises(EpochLost, match="another market took over"):
        world.turn(20)
    assert other.head()[0].tick == settled  # type: ignore[union-attr]
    other.close()


# -------------------------------------------------------------------------- forged and broken input


def dead(world: World) -> list[str]:
    return [stored.headers["x-reason"] for stored in world.broker.messages_in(topology.DEAD_QUEUE)]


def test_a_message_with_a_wrong_secret_is_dead_lettered_and_its_fleet_not_disturbed(
    world: World,
) -> None:
    order = an_order(world)
    forged = msgspec.structs.replace(order, secret="0" * 32, tick=world.tick + 1)
    ear = say_again(world, forged)
    world.send(
        topology.MEMBERSHIP,
        topology.MEMBERSHIP_KEY,
        Leave(run=order.run, fleet=order.fleet, secret="nope"),
    )
    world.turn(2)
    assert dead(world) == ["wrong_secret", "wrong_secret"]
    assert ear.heard(Refused) == []
    assert world.market.books.membership.homes == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fleet": "nobody"}, "unknown_fleet"),
        ({"run": "another"}, "wrong_run"),
        ({"home": [3]}, "not_your_home"),
        ({"tick": 10_000}, "not_open"),
    ],
)
def test_an_order_that_is_not_the_senders_is_refused_with_its_reason(
    world: World, change: dict[str, Any], reason: str
) -> None:
    order = next(o for o in (an_order(world) for _ in range(50)) if o.home != [3])
    (refused,) = say_again(world, msgspec.structs.replace(order, **change)).heard(Refused)
    assert refused.reason == reason
    assert dead(world) == []


def test_a_body_that_is_no_message_is_dead_lettered_and_the_market_goes_on(world: World) -> None:
    for body in (b"", b"{", b"[" * 200_000, b'{"type":"Offers"}', b"\xff\xfe"):
        world.broker.publish_raw(topology.OFFERS, "home.x", body)
    world.broker.publish_raw(
        topology.MEMBERSHIP, topology.MEMBERSHIP_KEY, codec.encode(a_settled_tick())
    )
    world.turn_until_tick(world.tick + 3)
    assert sorted(dead(world)) == ["malformed"] * 5 + ["unexpected"]
    assert refusals(world) == {"malformed": 5, "unexpected": 1}


def a_settled_tick() -> TickSettled:
    return TickSettled(
        run="r",
        epoch=1,
        tick=1,
        price_neur_per_wh=1,
        next_price_neur_per_wh=1,
        homes=0,
        absent=0,
        given_wh=0,
        sold_wh=0,
        bought_wh=0,
        spilled_wh=0,
        unserved_wh=0,
        head_hash="0" * 64,
    )


def refusals(world: World) -> dict[str, float]:
    (family,) = (
        family
        for family in world.market.metrics.registry.collect()
        if family.name == "energymarket_messages_refused"
    )
    counted = [each for each in family.samples if each.name.endswith("_total") and each.value]
    return {each.labels["reason"]: each.value for each in counted}


def test_a_home_with_a_wrong_stock_is_told_the_right_one_and_trades(world: World) -> None:
    member = world.homes[0]
    home = service_of(member)
    tick = world.tick
    member.stopped = True
    world.turn(10)
    home.handle(member.bus.poll(0))
    assert isinstance(home.hosted, FewHomes)
    home.hosted.stock_wh[home.home_ids[0]] += 17
    member.stopped = False
    world.turn_until_tick(tick + 3)
    assert refusals(world)["stock_mismatch"] >= 1
    assert world.market.books.residuals.ok


def test_a_market_that_is_full_says_so_and_the_home_tries_again(url: str) -> None:
    """R14, R24: the limit on orders in flight bounds the fleets."""
    world = World(url, homes=1)
    world.turn_until_tick(1)
    for number in range(60):
        join = Join(fleet=f"f{number}", instance=f"i{number}", homes=1)
        world.send(topology.MEMBERSHIP, topology.MEMBERSHIP_KEY, join)
    world.turn(3)
    assert world.market.books.membership.homes == 50
    late = world.add_home(instance="late")
    world.turn(3)
    assert service_of(late).home_ids == ()
    assert world.log.saying("not admitted; trying again")


# --------------------------------------------------------------------------- weather and external


def test_a_market_that_lacks_weather_or_external_says_again_and_again_which_tick_it_wants(
    url: str,
) -> None:
    world = World(url)
    ear = Ear(world, topology.TICKS)
    world.weather.stopped = world.external.stopped = True
    world.pass_time(10)
    said: list[TickAwaited] = ear.heard(TickAwaited)
    assert len(said) > 10
    assert said[-1].missing == ["external", "weather"]
    assert said[-1].tick == 1
    world.weather.stopped = world.external.stopped = False
    world.turn_until_tick(2)


def test_a_tick_without_weather_or_external_is_marked_degraded_and_recovers_by_itself(
    url: str,
) -> None:
    world = World(url, tempo=WITH_DEADLINE)
    world.turn_until_tick(2)
    world.weather.stopped = world.external.stopped = True
    world.turn(400)  # what weather and external had prepared is used up
    world.pass_time(6)
    last = world.market.books.last
    assert last is not None
    assert last.opening.degraded == 3
    gone = world.tick
    world.weather.stopped = world.external.stopped = False
    world.turn_until_tick(gone + 40)
    last = world.market.books.last
    assert last is not None
    assert last.opening.degraded == 0


def test_how_a_degraded_tick_opened_stands_after_a_restart(url: str) -> None:
    """Homes may have acted on it: the stored opening wins over weather that came meanwhile."""
    world = World(url, tempo=WITH_DEADLINE)
    world.weather.stopped = True
    ear = Ear(world, topology.TICKS)
    world.homes[2].stopped = True
    for _ in range(90):  # past the deadline for weather, not yet past that for home 3
        world.clock.time_s += 0.1
        world.turn()
        world.homes[2].stopped = world.market.books.membership.homes == 3
    (first, *_) = opened = [o for o in ear.heard(TickOpened) if o.tick == 1]
    assert first.degraded
    assert all(o.temperature_mdeg == first.temperature_mdeg for o in opened)
    assert world.tick == 0
    world.weather.stopped = False
    world.restart_market()
    world.turn(5)
    again = [o for o in ear.heard(TickOpened) if o.tick == 1]
    assert {o.temperature_mdeg for o in again} == {first.temperature_mdeg}
    assert again[-1].degraded
    assert again[-1].epoch > first.epoch


# ------------------------------------------------------------------------------- ledger and events


def test_a_ledger_that_refuses_loses_nothing_and_goes_on_when_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = world.tick
    real = Ledger.commit

    def full(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("the ledger cannot store tick: disk full")

    monkeypatch.setattr(Ledger, "commit", full)
    world.pass_time(5)
    assert world.tick == settled
    assert not world.market.view.ledger_writable
    assert world.log.saying("nothing is acknowledged until the ledger can be written")
    monkeypatch.setattr(Ledger, "commit", real)
    world.pass_time(3)
    assert world.tick > settled
    assert world.market.view.ledger_writable
    assert world.market.books.residuals.ok


def test_an_event_that_a_person_starts_begins_in_the_coming_tick_and_survives_a_restart(
    world: World,
) -> None:
    start = EventStart(name="strike", coefficient_neur_per_wh=30_000, ttl_ticks=3)
    future = world.market.commands.submit(lambda: world.market.start_event(start))
    world.market_member.turn()
    _, tick = future.result(0)
    world.restart_market()
    world.turn_until_tick(tick + 4)
    history = world.market.books.ledger.history
    alive = [
        {e.name: e.remaining_ticks for e in settled.opening.events}.get("strike")
        for settled in history.settled_between(tick - 1, tick + 4, 9)[::-1]
    ]
    assert alive == [None, 3, 2, 1, None]
    assert [e.source for e in history.events() if e.start.name == "strike"] == ["api"]


def test_homes_leave_and_join_while_ticks_run(world: World) -> None:
    """R2."""
    leaver = world.homes[1]
    gone = service_of(leaver).home_ids
    leaver.service.stop()
    leaver.stopped = True
    world.turn(3)
    assert world.market.books.membership.homes == 2
    joined = [service_of(world.add_home(instance=f"new{n}")) for n in range(3)]
    world.turn_until_tick(world.tick + 3)
    assert sorted(h for j in joined for h in j.home_ids) == sorted([*gone, 4, 5])
    last = world.market.books.last
    assert last is not None
    assert all(last.orders.policy)
    assert len(last.home) == 5
    assert not world.broker.has_queue(topology.fleet_queue("key2"))


def test_a_home_never_sends_the_order_of_a_tick_before_it_has_the_receipt_of_the_last(
    world: World,
) -> None:
    """R7."""
    ears = recorded(world)
    receipts = [Ear(world, topology.RECEIPTS, f"key{n}") for n in (1, 2, 3)]
    seen: dict[str, int] = {}
    for _ in range(60):
        world.turn()
        for receipt in [r for ear in receipts for r in ear.heard(Receipts)]:
            seen[receipt.fleet] = receipt.tick
        for order in [o for ear in ears for o in ear.heard(Orders)]:
            assert seen.get(order.fleet, order.tick - 1) == order.tick - 1
    assert len(seen) == 3


def test_a_welcome_tells_the_homes_their_stocks_and_the_open_tick(world: World) -> None:
    world.homes[2].stopped = True
    world.turn(5)
    ear = Ear(world, topology.RECEIPTS, "visitor")
    join = Join(fleet="visitor", instance="visitor", homes=2)
    world.send(topology.MEMBERSHIP, topology.MEMBERSHIP_KEY, join)
    world.turn(2)
    (welcome,) = ear.heard(Welcome)
    assert welcome.home == [4, 5]
    assert welcome.first_tick == world.tick + 2
    assert welcome.opened.tick == world.tick + 1
    assert len(welcome.secret) == 32


def test_the_market_settles_its_last_tick_and_stops_there(url: str) -> None:
    world = World(url, tempo=replace(STRICT, max_ticks=4))
    world.turn(400)
    assert world.tick == 4
    assert world.market.view.finished


def test_a_store_that_is_gone_is_told_within_seconds_though_the_forecast_still_lasts(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(url, tempo=replace(WITH_DEADLINE, tick_s=1))
    world.turn_until_tick(2)

    def gone(*_: object) -> dict[int, int]:
        raise WeatherStoreUnavailable("the store does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(world.store, "read", gone)
        world.pass_time(4)
        assert not world.market.view.store_answers
        settled = world.tick
        world.pass_time(4)
        assert world.tick > settled
    world.pass_time(4)
    assert world.market.view.store_answers
    assert world.market.books.last is not None
    assert world.market.books.last.opening.degraded == 0


@pytest.mark.parametrize("silent", [0, 49])
def test_as_many_homes_as_the_orders_in_flight_allow_and_one_that_is_late_do_not_lock_the_market(
    url: str, silent: int
) -> None:
    """R14, R21: without a deadline the others repeat themselves, and the late one still gets in."""
    world = World(url, homes=50, max_orders_in_flight=100)
    world.turn_until_tick(2)
    world.homes[silent].stopped = True
    world.turn(5)
    world.pass_time(120)
    stuck = world.tick
    world.homes[silent].stopped = False
    world.pass_time(30)
    assert world.tick > stuck


def test_a_stock_that_is_not_in_the_ledger_is_told_to_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("the ledger cannot store tick: disk full")

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "commit", full)
        world.turn(10)
        assert not world.market.view.ledger_writable
        settled = world.market.books.last
        assert settled is not None
        assert [*world.market.books.accounts.stock_wh] == settled.outcome.stock_wh
        assert [*world.market.books.accounts.balance_neur] == settled.outcome.balance_neur
