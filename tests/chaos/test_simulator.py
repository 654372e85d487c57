"""Exactly once under seeded faults: every seed ends in the ledger of a run without any (I7)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from services.market.checkpoints import STEPS
from tests.chaos.faulty_bus import BUS_STEPS
from tests.chaos.simulation import Simulation
from tests.chaos.simulator import elastic, fingerprint, replay_command, run, strict, with_deadline

SEEDS_IN_CI = 500
ELASTIC_SEEDS_IN_CI = 250
SEEDS_WITH_DEADLINE_IN_CI = 120
SEEDS_IN_THE_LONG_RUN = 20_000
ELASTIC_SEEDS_IN_THE_LONG_RUN = 5_000
SEEDS_WITH_DEADLINE_IN_THE_LONG_RUN = 2_000

ROOT = Path(__file__).resolve().parents[2]

STORED = ("its tables", "the epoch", "a fleet", "a tick")

FAULTS = (
    *(f"message {fate}" for fate in ("dropped", "doubled", "delayed")),
    "messages reordered",
    "confirm lost",
    "connection lost",
    "broker forgot everything",
    *(f"{kind} killed" for kind in ("market", "home", "weather", "external")),
    *(f"{kind} stayed down" for kind in ("market", "home", "weather", "external")),
    *(f"clock of {kind} jumped" for kind in ("market", "home", "weather", "external")),
    *(f"market killed at: {step}" for step in (*STEPS, *BUS_STEPS)),
    *(f"market killed as it had stored {what}" for what in STORED),
    *(f"ledger refused a {access}" for access in ("read", "write", "commit")),
    "market could not start",
    "second market started",
    "superseded market gave up",
    "weather store failed",
    "weather store emptied",
    "old order repeated",
    "old order repeated, altered",
)

COMING_AND_GOING = (
    *FAULTS,
    "home came back at once",
    "home came back in another size",
    "home had to come back to leave",
    "home joined",
    "home left",
    "home left for good",
    "home left to come back in another size",
    "join of an old connection came late",
    "market killed after a departure",
    "home absent",
)

FAULTS_WITH_DEADLINE = (
    *COMING_AND_GOING,
    "market killed as it had stored an opening",
    *(f"{kind} slept" for kind in ("market", "home", "weather", "external")),
    "home dawdled",
    "home vanished",
    "home never came back",
    "late receipt",
    "lease ran out",
    "tick without weather",
    "tick without external",
)


def run_seeds(make: Callable[[int], Simulation], seeds: range) -> Counter[str]:
    """Runs them all; what happened in them. The first that ends badly says how to see it again."""
    happened: Counter[str] = Counter()
    for seed in seeds:
        simulation = make(seed)
        try:
            run(simulation)
        except Exception as error:
            again = replay_command(simulation)
            raise AssertionError(f"seed {seed}: {error}; to see it again: {again}") from error
        happened += simulation.happened
    return happened


def never(happened: Counter[str], wanted: Iterable[str]) -> list[str]:
    """Which of the wanted did not happen: a fault that never strikes shows nothing."""
    return [what for what in wanted if not happened[what]]


def test_faults_and_kills_at_every_step_change_no_bit_of_the_ledger() -> None:
    happened = run_seeds(strict, range(SEEDS_IN_CI))
    assert not never(happened, FAULTS)


def test_whoever_comes_or_goes_or_is_killed_the_ticks_go_on_and_nobody_is_absent_in_vain() -> None:
    happened = run_seeds(elastic, range(ELASTIC_SEEDS_IN_CI))
    assert not never(happened, COMING_AND_GOING)


def test_with_a_deadline_no_tick_hangs_no_account_is_lost_and_all_take_part_again() -> None:
    happened = run_seeds(with_deadline, range(SEEDS_WITH_DEADLINE_IN_CI))
    assert not never(happened, FAULTS_WITH_DEADLINE)


@pytest.mark.parametrize("make", [strict, elastic, with_deadline])
def test_a_seed_decides_everything_that_happens(make: Callable[[int], Simulation]) -> None:
    # Made one after the other: their ledgers take turns in the same memory.
    simulations = []
    for seed in (7, 7, 8):
        simulations.append(make(seed))
        simulations[-1].run()
    first, second, other = simulations
    assert first.trace == second.trace
    assert first.happened == second.happened
    assert fingerprint(first) == fingerprint(second) != fingerprint(other)


@pytest.mark.parametrize("options", [["7"], ["7", "--elastic"], ["7", "--deadline"]])
def test_the_command_replays_a_seed_alike_in_every_process(options: list[str]) -> None:
    said = {
        subprocess.run(
            [sys.executable, "-m", "tests.chaos.simulator", *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(said) == 1
    assert said.pop().endswith("well ended\n")


def test_a_seed_that_ends_badly_names_itself_and_the_command_that_replays_it() -> None:
    class Bad(Simulation):
        def run(self) -> bytes:
            self.disk.close()
            return b"another hash"

    def make(seed: int) -> Simulation:
        simulation = strict(seed)
        simulation.disk.close()
        return Bad(seed, simulation.plan)

    with pytest.raises(AssertionError, match=r"seed 3: .*python -m tests\.chaos\.simulator 3$"):
        run_seeds(make, range(3, 4))


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_twenty_thousand_seeds_of_faults_change_no_bit_of_the_ledger() -> None:
    run_seeds(strict, range(SEEDS_IN_CI, SEEDS_IN_THE_LONG_RUN))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_five_thousand_seeds_of_coming_and_going_keep_every_promise() -> None:
    run_seeds(elastic, range(ELASTIC_SEEDS_IN_CI, ELASTIC_SEEDS_IN_THE_LONG_RUN))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_thousand_seeds_with_a_deadline_keep_every_promise() -> None:
    run_seeds(with_deadline, range(SEEDS_WITH_DEADLINE_IN_CI, SEEDS_WITH_DEADLINE_IN_THE_LONG_RUN))
