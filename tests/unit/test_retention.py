"""A ledger of bounded size: what it forgets, and that what it keeps can be verified."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lab.embedded import EmbeddedRun, WorldPlan
from lab.verify import verify
from services.market.domain import columns
from services.market.domain.replay import LedgerFault
from services.market.domain.snapshot import Page, seal
from services.market.ledger import Retention
from services.market.tick_cycle import Tempo
from tests.fakes import RecordedLog
from tests.world import World

HOMES = 5
KEPT = 40


def run_on(ledger: Path, ticks: int, retention: Retention) -> str:
    """Goes on to ``ticks``; the head hash then."""
    plan = WorldPlan(
        homes=HOMES,
        ledger_url=f"sqlite:///{ledger}",
        retention=retention,
        tempo=Tempo(tick_s=0, deadline_s=0, start_homes=HOMES, max_ticks=ticks),
    )
    return EmbeddedRun(plan, log=RecordedLog().log).run_to_end()


def query(ledger: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(ledger)
    try:
        rows = connection.execute(sql, values).fetchall()
        connection.commit()
        return rows
    finally:
        connection.close()


def test_a_bounded_history_ends_in_the_hash_of_an_unbounded_one(tmp_path: Path) -> None:
    """I7: forgetting changes no bit of what is settled."""
    bounded = run_on(tmp_path / "bounded.db", 300, Retention(ticks=KEPT))
    assert bounded == run_on(tmp_path / "whole.db", 300, Retention())


def test_ticks_beyond_the_bound_are_trimmed_and_those_within_are_kept(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    run_on(ledger, 302, Retention(ticks=KEPT))  # a snapshot at 300, and time to trim up to one
    ticks = [row[0] for row in query(ledger, "SELECT tick FROM ticks ORDER BY tick")]
    assert ticks == list(range(ticks[0], 303))
    assert query(ledger, "SELECT min(tick) FROM snapshots") == [(ticks[0] - 1,)]
    assert KEPT <= len(ticks) <= KEPT + KEPT // 8 + 1
    assert query(ledger, "SELECT count(*) FROM snapshots")[0][0] <= 10
    ended = "SELECT count(*) FROM events WHERE start_tick + ttl_ticks < ?"
    assert query(ledger, ended, ticks[0] - 1) == [(0,)]


def test_a_trimmed_ledger_verifies_from_its_snapshot_on(tmp_path: Path) -> None:
    """I5."""
    ledger = tmp_path / "ledger.db"
    head = run_on(ledger, 300, Retention(ticks=KEPT))
    verdict = verify(ledger)
    assert verdict.head_hash == head
    assert verdict.from_tick + verdict.ticks == 301
    assert KEPT <= verdict.ticks <= KEPT + KEPT // 8 + 1


def test_the_size_of_the_ledger_stays_bounded(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    bound = 400_000
    sizes = []
    for ticks in (600, 1_200, 1_800):
        run_on(ledger, ticks, Retention(size_bytes=bound))
        sizes.append(ledger.stat().st_size)
    assert sizes[0] > bound / 2
    assert max(sizes) < bound * 1.5
    assert verify(ledger).from_tick > 600


def test_a_run_that_is_begun_anew_goes_on_trimming(tmp_path: Path) -> None:
    """Also when it ended in the middle of a deletion."""
    ledger = tmp_path / "ledger.db"
    for ticks in range(50, 200, 7):
        head = run_on(ledger, ticks, Retention(ticks=KEPT))
        assert verify(ledger).head_hash == head
    assert verify(ledger).from_tick > 100


def test_a_bound_may_be_given_and_taken_away_later(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    run_on(ledger, 100, Retention())
    run_on(ledger, 200, Retention(ticks=KEPT))
    assert verify(ledger).from_tick > 100
    run_on(ledger, 260, Retention())
    assert verify(ledger).ticks > 60


DAMAGE = {
    "a balance in the snapshot": (
        "UPDATE snapshot_pages SET balance_neur = zeroblob(length(balance_neur))",
        "is not what was sealed",
    ),
    "the hash of the snapshot": (
        "UPDATE snapshots SET tick_hash = zeroblob(32)",
        "is not what was sealed",
    ),
    "the price of the snapshot": (
        "UPDATE snapshots SET next_price_neur_per_wh = next_price_neur_per_wh + 1",
        "is not what was sealed",
    ),
    "no snapshot at all": ("DELETE FROM snapshots", "follows tick 0"),
    "a tick in the middle": (
        "DELETE FROM ticks WHERE tick = 299",
        "tick 300 follows tick 298",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_what_a_trimmed_ledger_rests_on_is_named(tmp_path: Path, damage: str) -> None:
    ledger = tmp_path / "ledger.db"
    run_on(ledger, 300, Retention(ticks=KEPT))
    statement, sentence = DAMAGE[damage]
    query(ledger, statement)
    with pytest.raises(LedgerFault) as refused:
        verify(ledger)
    assert sentence in str(refused.value)


def test_a_snapshot_sealed_over_other_accounts_is_named(tmp_path: Path) -> None:
    """I5: every snapshot on the way is compared with the replay, not only with its own seal."""
    ledger = tmp_path / "ledger.db"
    run_on(ledger, 300, Retention(ticks=KEPT))
    tick, epoch, tick_hash, price, _ = query(
        ledger, "SELECT * FROM snapshots ORDER BY tick DESC LIMIT 1"
    )[0]
    (page,) = query(ledger, "SELECT * FROM snapshot_pages WHERE tick = ?", tick)
    forged = Page(0, page[2], columns.pack([1_000_000] * HOMES))
    sealed = seal(tick, epoch, tick_hash, price, [forged])
    query(ledger, "UPDATE snapshots SET seal = ? WHERE tick = ?", sealed, tick)
    sql = "UPDATE snapshot_pages SET balance_neur = ? WHERE tick = ?"
    query(ledger, sql, forged.balance_neur, tick)
    with pytest.raises(LedgerFault) as refused:
        verify(ledger)
    assert f"the snapshot of tick {tick} holds" in str(refused.value)


def test_fleets_that_the_market_forgets_are_dropped_from_the_ledger(tmp_path: Path) -> None:
    """However many processes come and go, the table stays small."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=1, max_orders_in_flight=10)
    for number in range(30):
        visitor = world.add_home(instance=f"visitor-{number}")
        world.turn_until_tick(world.tick + 3)
        visitor.service.stop()
        world.homes.remove(visitor)
        world.turn_until_tick(world.tick + 3)
    assert len(world.market.books.ledger.fleets()) <= 5
    assert world.market.books.membership.homes == 1
