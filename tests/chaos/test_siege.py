"""Exactly once on the real stack: kills, stops and restarts change no bit of the ledger (I7)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from services.market.checkpoints import STEPS
from tests.chaos.schedule import KINDS, STEP, schedule
from tests.chaos.siege import IN_CI, IN_THE_LONG_RUN, besiege

SEED = 34
"""Has each step of a commit at once and with a pause before the end, and does not kill the broker
just as it makes a queue: from that the market recovers too, but only after a minute."""


@pytest.mark.timeout(900)  # it takes a minute and a half on a machine that has nothing else to do
def test_more_than_sixty_kills_stops_and_restarts_change_no_bit_of_the_ledger(
    tmp_path: Path,
) -> None:
    """I3, I5, I6, I7: every process, the broker and the store too; every step of a commit."""
    happened, _ = besiege(SEED, IN_CI, tmp_path)
    assert happened == IN_CI


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
def test_a_thousand_kills_stops_and_restarts_change_no_bit_of_the_ledger(tmp_path: Path) -> None:
    happened, ending = besiege(SEED, IN_THE_LONG_RUN, tmp_path)
    assert happened == IN_THE_LONG_RUN
    print(ending)


@pytest.mark.parametrize(("counts", "least"), [(IN_CI, 60), (IN_THE_LONG_RUN, 1_000)])
def test_a_siege_hits_every_process_and_every_step_of_a_commit(
    counts: Mapping[str, int], least: int
) -> None:
    """A test that never hits its kill point passes: so the counts are compared with these."""
    assert set(counts) == set(KINDS)
    assert all(counts.values())
    assert sum(counts.values()) >= least
    assert {f"{STEP}{step}" for step in STEPS} <= set(KINDS)


def test_one_integer_decides_a_siege() -> None:
    assert schedule(7, IN_CI) == schedule(7, IN_CI) != schedule(8, IN_CI)
    planned = [point.kind for points in schedule(7, IN_CI) for point in points]
    assert {kind: planned.count(kind) for kind in KINDS} == IN_CI
