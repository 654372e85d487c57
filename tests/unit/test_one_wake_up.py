"""An opening that goes along with receipts, and when it does not (ADR 0022)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from energymarket import topology
from energymarket.messages import Receipts, TickOpened
from services.market.errors import LedgerUnavailable
from services.market.ledger import Ledger
from tests.world import STRICT, WITH_DEADLINE, Ear, World, closing_ledgers


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with closing_ledgers():
        yield f"sqlite:///{tmp_path}/ledger.db"


def key_of(world: World, number: int) -> str:
    """The key of the fleet that holds a home."""
    (key,) = [f.key for f in world.market.books.membership.members() if number in f.homes]
    return key


def test_at_full_speed_each_opening_comes_once_with_the_receipts_of_the_tick_before(
    url: str,
) -> None:
    """R21."""
    world = World(url)
    world.turn_until_tick(3)
    homes, everybody = Ear(world, topology.OPENINGS), Ear(world, topology.TICKS)
    own = Ear(world, topology.RECEIPTS, key_of(world, 2))
    world.turn_until_tick(13)
    receipts: list[Receipts] = own.heard(Receipts)
    opened: list[TickOpened] = everybody.heard(TickOpened)
    assert [each.tick for each in opened] == [each.tick + 1 for each in receipts]
    for receipt, announced in zip(receipts, opened, strict=True):
        along = receipt.opened
        assert along is not None
        for name in along.__struct_fields__:
            assert getattr(along, name) == getattr(announced, name)
    assert homes.heard(TickOpened) == []


def test_with_a_pace_receipts_come_at_once_and_the_opening_when_it_is_due(url: str) -> None:
    world = World(url, tempo=replace(STRICT, tick_s=1.0))
    world.turn_until_tick(2)
    homes = Ear(world, topology.OPENINGS)
    own = Ear(world, topology.RECEIPTS, key_of(world, 1))
    world.pass_time(5)
    receipts: list[Receipts] = own.heard(Receipts)
    assert len(receipts) >= 4
    assert all(each.opened is None for each in receipts)
    assert len(homes.heard(TickOpened)) >= 4


def test_a_home_that_has_just_joined_hears_of_its_first_tick_all_the_same(url: str) -> None:
    """R2: it has no receipts that could bring it."""
    world = World(url)
    world.turn_until_tick(3)
    homes = Ear(world, topology.OPENINGS)
    world.add_home()
    begun_s = world.clock.time_s
    world.turn_until_tick(world.tick + 3)
    assert world.clock.time_s - begun_s < 1.0, "it had to be repeated"
    heard: list[TickOpened] = homes.heard(TickOpened)
    assert [each.homes for each in heard] == [4]


def test_a_paused_clock_holds_no_receipts_back(url: str) -> None:
    world = World(url)
    world.turn_until_tick(3)
    own = Ear(world, topology.RECEIPTS, key_of(world, 1))
    world.market.change_clock(paused=True, pace_s=None)
    world.turn(20)
    tick = world.tick
    receipts: list[Receipts] = own.heard(Receipts)
    assert receipts[-1].tick == tick
    assert receipts[-1].opened is None


def test_an_opening_that_cannot_be_stored_holds_no_receipts_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a deadline it is written before anybody hears of it; the tick before is settled."""
    world = World(url, tempo=WITH_DEADLINE)
    world.turn_until_tick(3)
    own = Ear(world, topology.RECEIPTS, key_of(world, 1))

    def full(*_: Any) -> None:
        raise LedgerUnavailable("the ledger cannot store an opening: disk full")

    monkeypatch.setattr(Ledger, "save_opening", full)
    world.turn(20)
    tick = world.tick
    receipts: list[Receipts] = own.heard(Receipts)
    assert receipts[-1].tick == tick
    assert receipts[-1].opened is None
    monkeypatch.undo()
    world.pass_time(2)
    world.turn_until_tick(tick + 3)


def test_receipts_that_are_lost_with_the_opening_in_them_are_asked_for_again(url: str) -> None:
    world = World(url)
    world.turn_until_tick(3)
    lost = world.homes[0]
    held: list[Receipts] = []
    for _ in range(50):  # until it is sent receipts with an opening, which it does not see
        for member in (world.market_member, world.weather, world.external, *world.homes[1:]):
            member.turn()
        events = lost.bus.poll(0)
        came = [getattr(event, "message", None) for event in events]
        held = [each for each in came if isinstance(each, Receipts) and each.opened]
        if held:
            break
        lost.service.handle(events)
        lost.service.act()
    assert held
    tick = world.tick
    world.pass_time(5)
    assert world.tick > tick + 1
    assert world.market.books.last is not None
    assert not world.market.books.last.absent
