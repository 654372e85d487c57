"""One load test from its first question to its end, with workers that do as the test wants."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.console import Console

from energymarket.errors import SettingsError
from energymarket.runtime import StopRequest
from lab.load import conductor, wire
from lab.load.conductor import INTERRUPTED, Conductor
from lab.load.display import Lines
from lab.load.errors import Interrupted, LoadFailed
from lab.load.plan import LoadPlan
from lab.load.result import Result
from tests.unit.test_load_figures import sample
from tests.unit.test_load_refusals import RUN, api, market_that_says

BASE = RUN["tick"] + 1 + 3
"""The first tick that counts, after the one that is open and three that warm up."""
FREE = RUN | {"settings": {}}

Says = Callable[["FakeCrew"], list[dict[str, Any]]]


class FakeCrew:
    """One worker with one fleet; ``says`` has what it says next, since it was told to go."""

    def __init__(
        self, says: Says = lambda _: [], *, run: str = RUN["run"], fleets: int = 1
    ) -> None:
        self._says, self._run, self._fleets = says, run, fleets
        self.told: list[wire.Go] = []
        self.told_at: list[float] = []
        self.looks = 0
        self.dismissed = 0

    def __len__(self) -> int:
        return 1

    def go(self, go: wire.Go) -> None:
        self.told.append(go)
        self.told_at.append(time.monotonic())

    def news(self, timeout_s: float) -> Iterator[tuple[int, wire.Sample]]:
        joined = {"run": self._run, "joined_fleets": self._fleets, "first_tick": 1}
        if not self.told:
            yield 0, sample(**joined)
            return
        self.looks += 1
        for said in self._says(self):
            yield 0, sample(**joined | said)
        time.sleep(min(timeout_s, 0.01))

    def last_words(self) -> str:
        return "ACCESS_REFUSED"

    def dismiss(self) -> list[tuple[int, wire.Sample]]:
        self.dismissed += 1
        return []


def measured(crew: FakeCrew, stop: StopRequest | None = None, **plan: Any) -> Result:
    """What a conductor makes of that crew."""
    with api(market_that_says(FREE, 0.0)) as market:
        watcher = Lines(Console(file=io.StringIO()))
        made = Conductor(market, stop or StopRequest(), watcher, lambda _: crew)
        return made.measure(LoadPlan("amqp://x/v", homes=4, fleets=1, **plan))


@pytest.fixture(autouse=True)
def somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker is needed where the workers are none."""
    monkeypatch.setattr(conductor, "_check_broker", lambda _: None)


def one_settled_tick(crew: FakeCrew) -> list[dict[str, Any]]:
    """All of the first look; then nothing comes any more."""
    begun = crew.told_at[0]
    times = {"first_sent_at": begun, "last_receipt_at": begun + 0.01}
    settled = {"settled_tick": BASE, "orders": 4, "latencies": {10_000: 4}}
    return [settled | times] if crew.looks == 1 else []


# ---------------------------------------------------------------------------- what ends too early


def test_fleets_that_cannot_join_are_a_sentence_and_the_workers_are_dismissed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conductor, "_JOIN_S", 0.05)
    crew = FakeCrew(fleets=0)
    with pytest.raises(LoadFailed, match="only 0 of 1 fleets could join: ACCESS_REFUSED"):
        measured(crew)
    assert crew.dismissed == 1


def test_ctrl_c_while_fleets_join_dismisses_the_workers() -> None:
    stop, crew = StopRequest(), FakeCrew(fleets=0)
    stop.request()
    with pytest.raises(Interrupted):
        measured(crew, stop)
    assert crew.dismissed == 1


def test_fleets_of_another_run_are_refused_and_dismissed() -> None:
    crew = FakeCrew(run="another")
    with pytest.raises(SettingsError, match="were welcomed by run another"):
        measured(crew)
    assert crew.dismissed == 1


# ------------------------------------------------------------------------------------- what hangs


def test_a_run_that_is_cut_off_is_as_long_as_it_was() -> None:
    """Its market has hung since the first tick."""
    found = measured(FakeCrew(one_settled_tick), seconds=0.5)
    assert found.ended == "after 0.5 s"
    assert 0.5 <= found.elapsed_s < 2
    stop = StopRequest()

    def then_ctrl_c(crew: FakeCrew) -> list[dict[str, Any]]:
        if time.monotonic() > crew.told_at[0] + 0.3:
            stop.request()
        return one_settled_tick(crew)

    found = measured(FakeCrew(then_ctrl_c), stop, seconds=600)
    assert found.ended == INTERRUPTED
    assert 0.3 <= found.elapsed_s < 2


def test_a_run_that_does_all_its_ticks_ends_with_its_last_receipt() -> None:
    def all_done(crew: FakeCrew) -> list[dict[str, Any]]:
        said = one_settled_tick(crew)
        return [said[0] | {"done": True}] if said else []

    found = measured(FakeCrew(all_done), ticks=1)
    assert found.ended == "after 1 ticks"
    assert found.elapsed_s == pytest.approx(0.01)


def test_a_run_in_which_nothing_was_settled_has_failed_and_was_not_interrupted() -> None:
    def orders_only(crew: FakeCrew) -> list[dict[str, Any]]:
        return [{"settled_tick": BASE - 1, "first_sent_at": crew.told_at[0]}]

    with pytest.raises(LoadFailed, match=r"ended after 0.2 s, and not one order was settled"):
        measured(FakeCrew(orders_only), seconds=0.2)
    stop = StopRequest()

    def then_ctrl_c(crew: FakeCrew) -> list[dict[str, Any]]:
        stop.request()
        return orders_only(crew)

    with pytest.raises(Interrupted):
        measured(FakeCrew(then_ctrl_c), stop, seconds=600)


# -------------------------------------------------------------------------------------- open mode


def test_the_moments_of_open_mode_begin_when_the_first_tick_that_counts_is_open() -> None:
    """Or it would be late, and many after it, for as long as the market took for those before."""
    open_at: list[float] = []

    def warms_up_slowly(crew: FakeCrew) -> list[dict[str, Any]]:
        if len(crew.told) > 1:
            now = time.monotonic()
            begun = crew.told[1].begin_at
            times = {"first_sent_at": begun, "last_receipt_at": now, "done": True}
            return [{"settled_tick": BASE, "orders": 4, "latencies": {10_000: 4}, **times}]
        if time.monotonic() < crew.told_at[0] + 0.3:
            return [{"settled_tick": BASE - 1, "opened_tick": BASE - 1}]
        open_at.append(time.monotonic())
        return [{"settled_tick": BASE - 1, "opened_tick": BASE}]

    crew = FakeCrew(warms_up_slowly)
    measured(crew, pace_s=0.1, ticks=1)
    first, second = crew.told
    assert (first.base_tick, first.begin_at) == (BASE, math.inf)
    assert (second.base_tick, second.last_tick, second.pace_s) == (BASE, BASE, 0.1)
    assert open_at[0] <= second.begin_at <= open_at[0] + 0.1, "within a pace of it"


def test_a_market_that_never_warms_up_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in open mode, in which the seconds end it as soon as they have begun."""
    monkeypatch.setattr(conductor, "_STUCK_S", 0.2)
    with pytest.raises(LoadFailed, match="no tick was settled for 0 s: the market waits for"):
        measured(FakeCrew(), pace_s=0.1, seconds=5)
