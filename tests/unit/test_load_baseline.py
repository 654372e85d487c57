"""Two runs of the load test side by side: which may be compared, and by what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from energymarket.errors import SettingsError
from lab.load import baseline, report
from lab.load.latencies import Latencies
from tests.unit.test_load_figures import compared, result


def test_a_closed_run_is_compared_by_its_throughput() -> None:
    assert compared(result(orders=1_000), result(orders=900)).ok
    worse = compared(result(orders=1_000), result(orders=890))
    assert not worse.ok
    assert "orders/s: 89.0 now, 100.0 in the baseline, a ratio of 0.89" in worse.sentence()
    assert compared(result(orders=1_000), result(orders=890), ratio=0.8).ok


def test_an_open_run_is_compared_by_its_p99_for_its_pace_is_given() -> None:
    fast, slow = result(mode="open"), result(mode="open", slow_ms=40.0)
    assert compared(slow, fast).ok
    assert not compared(fast, slow).ok


def test_a_baseline_of_another_plan_is_refused_by_what_differs() -> None:
    with pytest.raises(SettingsError, match="the baseline has mode closed, and this run open"):
        baseline.check_comparable(result().as_json(), result(mode="open").plan)


def with_knee(homes: int, *, at: int = 10) -> dict[str, Any]:
    """The JSON of a search that found ``homes``, or 0 for none with the ``at`` that it tried."""
    data = result(mode="open").as_json()
    data["plan"] |= {"homes": homes or at}
    return data | {"knee": {"homes": homes}}


def test_two_knees_are_compared_by_their_homes_wherever_they_began() -> None:
    plan = result(mode="open").plan
    baseline.check_comparable(with_knee(5_000), plan, find_knee=True)
    assert baseline.compare(with_knee(5_000), with_knee(4_500), 0.9).ok
    worse = baseline.compare(with_knee(5_000), with_knee(0), 0.9)
    assert not worse.ok
    assert worse.ratio == 0


def test_a_knee_and_a_run_of_given_homes_are_not_compared() -> None:
    plain = result(mode="open")
    with pytest.raises(SettingsError, match="this run looks for the knee, and the baseline does"):
        baseline.check_comparable(plain.as_json(), plain.plan, find_knee=True)
    with pytest.raises(SettingsError, match="the baseline looks for the knee, and this run does"):
        baseline.check_comparable(with_knee(5_000), plain.plan)


def test_a_search_that_was_interrupted_is_no_baseline() -> None:
    """It would have gone on to more homes, or to fewer: nobody knows."""
    then = with_knee(5_000)
    then["knee"]["interrupted"] = True
    with pytest.raises(SettingsError, match="the search of the baseline was interrupted"):
        baseline.check_comparable(then, then["plan"], find_knee=True)


def test_a_baseline_in_which_nothing_was_settled_is_refused() -> None:
    """Anything would be as fast as that."""
    closed, opened = (
        replace(result(mode=mode), orders=0, latencies=Latencies()) for mode in ("closed", "open")
    )
    for then, knee, figure in (
        (closed.as_json(), False, "orders/s"),
        (opened.as_json(), False, "p99, ms"),
        (with_knee(0), True, "homes at the knee"),
    ):
        with pytest.raises(SettingsError, match=f"{figure}: 0 compares with nothing"):
            baseline.check_comparable(then, then["plan"], find_knee=knee)
    plan = dict(closed.plan)
    with pytest.raises(SettingsError, match="the baseline is not whole"):
        baseline.check_comparable({"format": 1, "plan": plan}, plan)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99, "plan": {}}', "{}"])
def test_a_baseline_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "earlier.json"
    file.write_text(text)
    with pytest.raises(SettingsError, match="is not"):
        baseline.read(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        baseline.read(tmp_path / "nowhere.json")


def test_a_written_report_can_be_a_baseline(tmp_path: Path) -> None:
    report.write(report.folder_for(tmp_path / "a" / "b"), result(), None, None)
    earlier = baseline.read(tmp_path / "a" / "b" / report.JSON)
    baseline.check_comparable(earlier, result().plan)
    assert baseline.compare(earlier, result().as_json(), 1.0).ok
