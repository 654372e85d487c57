"""Exactly once under seeded faults: every seed ends in the ledger of a run without any (I7)."""

from __future__ import annotations

from collections import Counter

import pytest

from services.market.checkpoints import STEPS
from tests.chaos.simulator import Plan, Simulation, without_faults

SEEDS_IN_CI = 200
SEEDS_IN_THE_LONG_RUN = 20_000


def run_seeds(seeds: range) -> Counter[str]:
    plan = Plan()
    expected = without_faults(plan)
    happened: Counter[str] = Counter()
    for seed in seeds:
        simulation = Simulation(seed, plan)
        try:
            same = simulation.run() == expected
        except Exception as error:
            raise AssertionError(replay(seed)) from error
        assert same, replay(seed)
        happened += simulation.happened
    return happened


def replay(seed: int) -> str:
    return f"seed {seed} ended wrong; replay it: python -m tests.chaos.simulator {seed}"


def test_faults_and_kills_at_every_step_change_no_bit_of_the_ledger() -> None:
    happened = run_seeds(range(SEEDS_IN_CI))
    assert all(happened[f"market killed at: {step}"] for step in STEPS), happened
    for what in (
        "MarketService killed",
        "HomeService killed",
        "WeatherService killed",
        "ExternalService killed",
        "second market started",
        "superseded market gave up",
        "broker forgot everything",
    ):
        assert happened[what], what


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_twenty_thousand_seeds_of_faults_change_no_bit_of_the_ledger() -> None:
    run_seeds(range(SEEDS_IN_CI, SEEDS_IN_THE_LONG_RUN))
