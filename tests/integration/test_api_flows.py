"""``/flows``: who gave to whom over several ticks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from services.market.api.routes import flows
from tests.live_api import LiveApi
from tests.world import World

TICKS = 60


@pytest.fixture(scope="module")
def api() -> Iterator[LiveApi]:
    live = LiveApi(World("sqlite://", homes=20))
    live.world.turn_until_tick(TICKS)
    yield live
    live.close()


@pytest.mark.parametrize("ticks", [1, 7, 50, 500])
def test_the_links_are_the_sums_of_the_gifts_of_these_ticks(api: LiveApi, ticks: int) -> None:
    """R9."""
    found = api.get("/flows", ticks=ticks, limit=200)
    wanted = range(max(1, TICKS + 1 - ticks), TICKS + 1)
    assert (found["from_tick"], found["to_tick"]) == (wanted[0], wanted[-1] + 1)
    energy_wh: Counter[tuple[int, int]] = Counter()
    given_in: Counter[tuple[int, int]] = Counter()
    for tick in wanted:
        for gift in api.get("/trades", tick=tick)["gifts"]:
            energy_wh[gift["giver"], gift["taker"]] += gift["wh"]
            given_in[gift["giver"], gift["taker"]] += 1
    links = {(link["giver"], link["taker"]): link for link in found["links"]}
    assert {pair: link["wh"] for pair, link in links.items()} == dict(energy_wh)
    assert {pair: link["ticks"] for pair, link in links.items()} == dict(given_in)
    assert all(link["kwh"] == link["wh"] / 1_000 for link in found["links"])


def test_the_strongest_links_come_first_and_no_more_than_are_wanted(api: LiveApi) -> None:
    whole = api.get("/flows", ticks=TICKS, limit=200)["links"]
    assert len(whole) > 3
    order = [(-link["wh"], link["giver"], link["taker"]) for link in whole]
    assert order == sorted(order)
    assert api.get("/flows", ticks=TICKS, limit=3)["links"] == whole[:3]


def test_the_split_is_that_of_the_history(api: LiveApi) -> None:
    split = api.get("/flows", ticks=10)["split"]
    rows = api.get("/prices", limit=10)["prices"]
    for name, value in split.items():
        assert value == pytest.approx(sum(row[name] for row in rows))


def test_before_the_first_tick_nothing_has_flown() -> None:
    live = LiveApi(World("sqlite://"))
    found = live.get("/flows")
    assert (found["from_tick"], found["to_tick"], found["links"]) == (1, 1, [])
    assert set(found["split"].values()) == {0}
    live.close()


def test_of_a_large_market_fewer_ticks_are_looked_at(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "_MAX_ROWS_READ", 20 * 4)
    assert api.get("/flows", ticks=33)["from_tick"] == TICKS - 3


def test_an_answer_is_sent_once_to_who_keeps_it(api: LiveApi) -> None:
    tag = api.ask("/flows", ticks=5).headers["etag"]
    kept = {"If-None-Match": tag}
    assert api.client.get("/flows?ticks=5", headers=kept).status_code == 304
    assert api.client.get("/flows?ticks=6", headers=kept).status_code == 200


@pytest.mark.parametrize("asked", ["ticks=0", "ticks=501", "limit=0", "limit=201"])
def test_a_window_out_of_bounds_is_refused(api: LiveApi, asked: str) -> None:
    """R24."""
    api.problem(f"/flows?{asked}", 422)
