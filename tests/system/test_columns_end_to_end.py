"""Whole runs, home by home and on whole columns: the same ledger; and who loads NumPy for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from energymarket import codec, columns, telemetry
from lab.embedded import EmbeddedRun, WorldPlan
from services.market.domain.rules import Rules
from services.market.ledger import Retention
from services.market.tick_cycle import Tempo
from tests.system.test_embedded_run import GOLDEN_HEAD_AFTER_100_TICKS

ROOT = Path(__file__).resolve().parents[2]
NEVER, ALWAYS = 10**9, 1


def head_hash(world: WorldPlan, many: int) -> str:
    """The head hash of a run in which ``many`` homes, and all bodies of so many bytes, are many."""
    log = telemetry.configure("test", level="error", form="text")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(columns, "MANY", many)
        patched.setattr(codec, "LONG_BODY_BYTES", many)
        return EmbeddedRun(world, log=log).run_to_end()


def world(ticks: int, homes: int, *, fleets: int = 1, rules: Rules | None = None) -> WorldPlan:
    tempo = Tempo(tick_s=0, deadline_s=0, start_homes=homes, max_ticks=ticks)
    return WorldPlan(homes=homes, fleets=fleets, rules=rules or Rules(42), tempo=tempo)


@pytest.mark.parametrize("fleets", [1, 3, 20])
def test_the_series_of_a_seed_is_the_same_when_everything_is_an_array(fleets: int) -> None:
    assert head_hash(world(100, 20, fleets=fleets), ALWAYS) == GOLDEN_HEAD_AFTER_100_TICKS


@pytest.mark.parametrize(
    "rules",
    [
        Rules(7),
        Rules(8, "classic"),
        Rules(9, credit_limit_neur=2 * 10**9),
        Rules(10, credit_limit_neur=0),
    ],
    ids=str,
)
def test_a_run_on_whole_columns_ends_in_the_hash_of_the_run_home_by_home(rules: Rules) -> None:
    """Larger fleets and smaller ones in one roster; with credit that runs out, and without."""
    plan = world(25, 250, fleets=2, rules=rules)
    assert head_hash(plan, 96) == head_hash(plan, ALWAYS) == head_hash(plan, NEVER)


def test_snapshots_and_what_is_forgotten_are_the_same_too(tmp_path: Path) -> None:
    hashes = set()
    for many in (ALWAYS, NEVER):
        url = f"sqlite:///{tmp_path}/ledger-{many}.db"
        plan = world(60, 120)
        plan = WorldPlan(
            homes=120, rules=plan.rules, tempo=plan.tempo, ledger_url=url, retention=Retention(16)
        )
        hashes.add(head_hash(plan, many))
        done = subprocess.run(
            [sys.executable, "-m", "lab.cli", "verify", f"{tmp_path}/ledger-{many}.db"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(hashes) == 1


# ----------------------------------------------------------------------------- who loads NumPy

RUN = """
import json, sys
from energymarket import telemetry
from lab.embedded import EmbeddedRun, WorldPlan
from services.market.domain.rules import Rules
from services.market.tick_cycle import Tempo
homes, fleets = int(sys.argv[1]), int(sys.argv[2])
tempo = Tempo(tick_s=0, deadline_s=0, start_homes=homes, max_ticks=5)
plan = WorldPlan(homes=homes, fleets=fleets, rules=Rules(42), tempo=tempo)
EmbeddedRun(plan, log=telemetry.configure("test", level="error", form="text")).run_to_end()
import services.home.__main__, services.market.__main__, lab.cli
print(json.dumps("numpy" in sys.modules))
"""


@pytest.mark.parametrize(("homes", "fleets"), [(1, 1), (20, 1), (20, 20)])
def test_processes_of_few_homes_and_the_market_that_serves_them_load_no_numpy(
    homes: int, fleets: int
) -> None:
    """A container of one home is to stay small. All services have been at work in the process."""
    assert not _loads_numpy(homes, fleets)


def test_a_process_of_many_homes_loads_it() -> None:
    """The test above would notice."""
    assert _loads_numpy(200, 1)


def _loads_numpy(homes: int, fleets: int) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(homes), str(fleets)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return bool(json.loads(done.stdout))
