"""The benchmarks of growth, with plans of seconds. No figure decides a test."""

from __future__ import annotations

import pytest

from bench import growth, profile
from bench.growth import Size
from bench.report import Comparison


def everything_is_there(table: Comparison) -> None:
    for row in table.rows:
        assert row.values.keys() == set(table.columns), row.name
        assert all(value is not None and value >= 0 for value in row.values.values()), row.name


def test_growth_measures_homes_as_columns_and_as_processes() -> None:
    plan = growth.Plan(homes=[Size(1_200, 1, 4)], processes=[Size(2, 1, 4)])
    result = growth.run(plan)
    assert result.skipped is None
    homes, wanted, processes = result.comparisons
    assert homes.columns == ("1,200",)
    assert processes.columns == ("2",)
    for table in (homes, processes):
        everything_is_there(table)
    (ledger,) = (row for row in homes.rows if row.name == "ledger")
    assert (ledger.values["1,200"] or 0) > 10, "a home-tick is some bytes of the ledger"
    assert [row.name for row in wanted.rows] == [
        "market's CPU per order, the dearest from 1,200 homes on",
        "market's memory with 1,200 homes, peak",
    ]
    assert result.versions["rabbitmq"]


def test_the_profile_names_phases_and_functions_of_the_market() -> None:
    result = profile.run(profile.Plan(sizes=[Size(300, 2, 25)]))
    assert result.skipped is None
    phases, functions = result.comparisons
    everything_is_there(phases)
    names = [row.name for row in functions.rows]
    assert any(name.startswith("services/market/") for name in names)
    assert names[-2:] == [profile.OTHER_THREADS, profile.ALL]


def test_where_there_is_no_broker_nothing_is_measured_and_the_reason_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for result in (growth.run(), profile.run()):
        assert result.skipped
        assert "is not installed" in result.skipped
