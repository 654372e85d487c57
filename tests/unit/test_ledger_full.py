"""SQLite itself has no room: what a market does then, step by step, with its own ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from energymarket import topology
from energymarket.messages import EventStart
from lab.verify import verify
from services.market.domain.record import Opening
from services.market.errors import LedgerUnavailable
from services.market.ledger import Ledger
from tests.world import STRICT, WITH_DEADLINE, World

REFUSES = "nothing is acknowledged until the ledger can be written"


@contextmanager
def no_room(world: World) -> Iterator[None]:
    """The database may not get a single page more: every commit fails once its pages are full."""
    engine = world.market.books.ledger._database._engine
    most_pages = [1]  # SQLite takes it for as many as there are

    def limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {most_pages[0]}")

    sa.event.listen(engine, "checkout", limit)
    yield
    most_pages[0] = 1 << 30


def until_it_refuses(world: World) -> None:
    for _ in range(2_000):
        if not world.market.view.ledger_writable:
            return
        world.clock.time_s += 0.01
        world.turn()
    raise AssertionError("there was room for ever")


def test_a_tick_that_sqlite_has_no_room_for_is_settled_once_there_is(tmp_path: Path) -> None:
    """I7: receipts, orders and hash are those of a world with room."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=3)
    quiet = World("sqlite://", homes=3)
    world.turn_until_tick(2)
    with no_room(world):
        until_it_refuses(world)
        stuck = world.tick
        world.pass_time(10)
        assert world.tick == stuck
        (line,) = world.log.saying(REFUSES)
        assert line["why"].endswith("database or disk is full")
        assert orders_that_wait(world) >= 3
    world.turn_until_tick(stuck + 20)
    quiet.turn_until_tick(stuck + 20)
    assert world.market.view.ledger_writable
    wanted = quiet.market.books.ledger.history.tick_hash(stuck + 20)
    assert world.market.books.ledger.history.tick_hash(stuck + 20) == wanted
    world.kill_market()
    assert verify(tmp_path / "ledger.db").ticks >= stuck + 20


def orders_that_wait(world: World) -> int:
    """Messages of orders that the market has not acknowledged: another one would get them."""
    world.broker.drop_connection(world.market_member.bus)  # type: ignore[arg-type]
    return len(world.broker.messages_in(topology.ORDERS_QUEUE))


def test_an_opening_that_there_is_no_room_for_is_logged_and_announced_when_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a clock decided is stored before anybody hears of it."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=2, tempo=WITH_DEADLINE)
    world.turn_until_tick(2)
    world.external.stopped = True

    store = Ledger.save_opening

    def full_when_degraded(ledger: Ledger, opening: Opening) -> None:
        if opening.degraded:
            raise LedgerUnavailable("the ledger cannot store an opening: database or disk is full")
        store(ledger, opening)

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "save_opening", full_when_degraded)
        until_it_refuses(world)
        world.pass_time(20)
        assert not world.log.saying("opens without")
        assert len(world.log.saying(REFUSES)) == 1
        stuck = world.tick
    world.turn_until_tick(stuck + 1)
    assert len(world.log.saying(f"tick {stuck + 1} opens without")) == 1


def test_an_event_that_there_is_no_room_for_is_refused_and_does_not_begin(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=2, tempo=STRICT)
    world.turn_until_tick(2)
    start = EventStart(name="n" * 60, coefficient_neur_per_wh=1, ttl_ticks=3)
    taken = 0
    with no_room(world), contextlib.suppress(LedgerUnavailable):
        while taken < 1_000:
            world.market.start_event(start)
            taken += 1
    assert taken < 1_000
    tick = world.tick
    world.turn_until_tick(tick + 3)
    begun = [
        sum(event.name == start.name for event in settled.opening.events)
        for settled in world.market.books.ledger.history.settled_between(tick + 1, tick + 4, 9)
    ]
    assert max(begun) == taken
    world.kill_market()
    assert verify(tmp_path / "ledger.db").ticks >= tick + 3


def test_an_event_of_a_person_begins_in_no_tick_that_was_announced_without_it(
    tmp_path: Path,
) -> None:
    """A market was killed in a tick that it had opened without external: that one stays so."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=2, tempo=WITH_DEADLINE)
    world.turn_until_tick(2)
    world.external.stopped = True
    while not world.market.books.ledger.opening(tick := world.tick + 1):
        world.pass_time(0.1)
        assert tick < 200
    world.restart_market()
    assert world.tick + 1 == tick
    start = EventStart(name="strike", coefficient_neur_per_wh=1, ttl_ticks=3)
    assert world.market.start_event(start)[1] == tick + 1
    world.turn_until_tick(tick + 2)
    world.kill_market()
    assert verify(tmp_path / "ledger.db").ticks >= tick + 2
