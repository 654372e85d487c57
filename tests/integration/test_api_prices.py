"""``/price``, ``/prices``, ``/prices/{tick}`` of a real market over a real socket."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from energymarket.units import eur_per_kwh
from services.market.domain.record import DEGRADED_EXTERNAL, DEGRADED_WEATHER
from tests.live_api import LiveApi
from tests.world import WITH_DEADLINE, World

TICKS = 30


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """A market that has settled ``TICKS`` ticks and stands still in the next."""
    world = World(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db", homes=6)
    world.turn_until_tick(TICKS)
    live = LiveApi(world)
    yield live
    live.close()


def test_the_price_is_that_of_the_open_tick(api: LiveApi) -> None:
    """R15, R25: the market's price by REST, with what belongs to it."""
    view = api.world.market.view
    assert view.opening is not None
    price = api.get("/price")
    assert price["tick"] == view.opening.tick
    assert price["price_neur_per_wh"] == view.opening.price_neur_per_wh
    assert price["price_eur_per_kwh"] == eur_per_kwh(view.opening.price_neur_per_wh)
    assert price["temperature_c"] == view.opening.temperature_mdeg / 1_000
    assert price["homes"] == 6
    assert datetime.fromisoformat(price["at"]).utcoffset() is not None


def test_the_change_is_against_the_tick_before(api: LiveApi) -> None:
    """R15: also between two ticks, when the newest tick is settled and none is open."""
    price = api.get("/price")
    before = api.get(f"/prices/{price['tick'] - 1}")
    change = price["price_neur_per_wh"] - before["price_neur_per_wh"]
    assert price["change_eur_per_kwh"] == eur_per_kwh(change)


def test_the_first_price_has_not_changed() -> None:
    """R15: there is nothing before tick 1, neither while it is open nor when it is settled."""
    live = LiveApi(World("sqlite://", homes=2))
    try:
        while live.world.market.view.opening is None:
            live.world.turn()
        assert live.get("/price")["tick"] == 1
        assert live.get("/price")["change_eur_per_kwh"] == 0
        live.world.turn_until_tick(2)
        assert live.get("/price")["change_eur_per_kwh"] != 0
    finally:
        live.close()


def test_before_the_first_tick_there_is_no_price_and_the_answer_says_what_is_waited_for() -> None:
    """R25: 503 with Retry-After, not a price that is none."""
    live = LiveApi(World("sqlite://", homes=1))
    try:
        live.world.homes[0].stopped = True
        live.world.turn(5)
        assert live.ask("/price").headers["retry-after"] == "1"
        problem = live.problem("/price", 503)
        assert problem["detail"] == "no tick is open yet: waiting for homes"
        assert live.get("/prices")["prices"] == []
    finally:
        live.close()


def test_the_history_is_the_ledgers_oldest_first(api: LiveApi) -> None:
    """R15: every settled tick has one price."""
    answer = api.get("/prices", from_tick=1)
    assert [row["tick"] for row in answer["prices"]] == list(range(1, TICKS + 1))
    stored = api.world.market.books.ledger.history.prices(1, TICKS + 1, TICKS)
    assert [row["price_neur_per_wh"] for row in answer["prices"]] == [
        row.price_neur_per_wh for row in stored
    ]
    for row, kept in zip(answer["prices"], stored, strict=True):
        assert row["price_eur_per_kwh"] == eur_per_kwh(kept.price_neur_per_wh)
        assert row["next_price_eur_per_kwh"] == eur_per_kwh(kept.next_price_neur_per_wh)
        assert row["bought_kwh"] == kept.bought_wh / 1_000
        assert row["degraded"] == []
    assert (answer["from_tick"], answer["to_tick"]) == (1, TICKS + 1)
    assert answer["next_cursor"] is None


def test_the_interval_is_half_open(api: LiveApi) -> None:
    """R15: from_tick is in it, to_tick is not."""
    answer = api.get("/prices", from_tick=5, to_tick=8)
    assert [row["tick"] for row in answer["prices"]] == [5, 6, 7]
    assert api.get("/prices", from_tick=5, to_tick=5)["prices"] == []


def test_without_from_tick_the_newest_ticks_are_given(api: LiveApi) -> None:
    """R15: who only sets a limit wants the present."""
    answer = api.get("/prices", limit=4)
    assert [row["tick"] for row in answer["prices"]] == [27, 28, 29, 30]
    assert (answer["from_tick"], answer["to_tick"], answer["limit"]) == (27, 31, 4)
    assert answer["next_cursor"] is None
    assert [row["tick"] for row in api.get("/prices", limit=2, to_tick=11)["prices"]] == [9, 10]


def test_who_asks_for_what_is_yet_to_come_gets_an_empty_page(api: LiveApi) -> None:
    """R15: a reader that polls with the tick after its last is not told off."""
    answer = api.get("/prices", from_tick=TICKS + 500)
    assert answer["prices"] == []
    assert answer["next_cursor"] is None


@pytest.mark.parametrize("limit", [1, 7, 29, 30, 31])
def test_the_pages_together_are_the_whole(api: LiveApi, limit: int) -> None:
    """R15: nothing twice, nothing lost, whatever the size of a page."""
    whole = api.get("/prices", from_tick=1)["prices"]
    pages = api.pages("/prices", from_tick=1, limit=limit)
    assert [row for page in pages for row in page["prices"]] == whole
    assert all(len(page["prices"]) == limit for page in pages[:-1])


def test_pages_are_linked(api: LiveApi) -> None:
    """R15: the Link header leads to the next page, which keeps the rest of what was asked."""
    first = api.ask("/prices", from_tick=1, to_tick=9, limit=4, format="csv")
    link = first.headers["link"]
    assert link.endswith('; rel="next"')
    second = api.client.get(link[link.index("<") + 1 : link.index(">")])
    assert [row["tick"] for row in csv_rows(second)] == ["5", "6", "7", "8"]
    assert "link" not in second.headers


@pytest.mark.parametrize("way", ["accept", "parameter"])
def test_the_history_is_given_as_csv_with_units_in_its_header(api: LiveApi, way: str) -> None:
    """R15: the same numbers for a spreadsheet."""
    if way == "accept":
        answer = api.client.get("/prices?from_tick=1", headers={"Accept": "text/csv"})
    else:
        answer = api.ask("/prices", from_tick=1, format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = csv_rows(answer)
    expected = api.get("/prices", from_tick=1)["prices"]
    assert list(rows[0])[:2] == ["tick", "price_eur_per_kwh"]
    assert list(rows[0]) == list(expected[0])
    assert [float(row["price_eur_per_kwh"]) for row in rows] == [
        row["price_eur_per_kwh"] for row in expected
    ]
    assert [row["at"] for row in rows] == [row["at"] for row in expected]


def csv_rows(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_parameter_wins_over_the_accept_header(api: LiveApi) -> None:
    """R15: what stands in the address was meant."""
    answer = api.client.get("/prices?format=json", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept"


def test_the_terms_of_every_price_add_up_to_it_exactly(api: LiveApi) -> None:
    """R16: settled, open and coming ones; the integers exactly, the decimals to the last."""
    view = api.world.market.view
    assert view.last is not None
    for tick in range(1, view.last.tick + 2):
        price = api.get(f"/prices/{tick}")
        assert sum(term["neur_per_wh"] for term in price["terms"]) == price["price_neur_per_wh"]
        assert price["price_eur_per_kwh"] == price["price_neur_per_wh"] / 1e6
        for term in price["terms"]:
            assert term["eur_per_kwh"] == term["neur_per_wh"] / 1e6


def test_the_terms_are_those_that_made_this_price_not_the_next(api: LiveApi) -> None:
    """R16: the price of a tick is made at the close of the tick before, decayed from its price."""
    rows = api.get("/prices", from_tick=1)["prices"]
    for before, after in pairwise(rows):
        made = api.get(f"/prices/{after['tick']}")
        assert made["price_neur_per_wh"] == after["price_neur_per_wh"]
        decay = next(t["neur_per_wh"] for t in made["terms"] if t["name"] == "decay")
        assert abs(decay - 0.75 * before["price_neur_per_wh"]) <= 0.5


def test_the_first_price_has_one_term_the_start(api: LiveApi) -> None:
    """R16, R18: nothing has made it but the model's start price."""
    price = api.get("/prices/1")
    assert price["terms"] == [{"name": "start", "eur_per_kwh": 0.2, "neur_per_wh": 200_000}]
    assert (price["status"], price["model"]) == ("settled", "normalised")


def test_a_price_says_whether_its_tick_is_settled_open_or_coming(tmp_path: Path) -> None:
    """R16: the next price is fixed as soon as the tick before is settled."""
    live = LiveApi(World(f"sqlite:///{tmp_path}/ledger.db", homes=2))
    try:
        assert live.get("/prices/1")["status"] == "coming"
        while live.world.market.view.opening is None:
            live.world.turn()
        assert live.get("/prices/1")["status"] == "open"
        live.problem("/prices/2", 404)
        live.world.turn_until_tick(1)
        assert live.get("/prices/1")["status"] == "settled"
        assert live.get("/prices/2")["status"] in ("open", "coming")
    finally:
        live.close()


def test_a_tick_without_a_price_is_a_404_that_names_the_newest(api: LiveApi) -> None:
    """R16: and so says what can be had."""
    detail = api.problem("/prices/5000", 404)["detail"]
    assert "5000" in detail
    assert str(TICKS + 1) in detail


def test_a_settled_price_is_sent_once_to_who_keeps_it(api: LiveApi) -> None:
    """R16: what is settled never changes, within a run."""
    first = api.ask("/prices/7")
    tag = first.headers["etag"]
    assert api.world.market.view.run in tag
    again = api.client.get("/prices/7", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert api.client.get("/prices/8", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
@pytest.mark.parametrize("asked", ["from_tick=5&to_tick=20", "limit=7", "cursor=3-90", ""])
def test_a_page_is_sent_once_to_who_keeps_it_until_a_tick_is_added_to_it(
    tmp_path: Path, accept: str, asked: str
) -> None:
    """R15: the tag is another one for every page and form, and changes when the page does."""
    live = LiveApi(World(f"sqlite:///{tmp_path}/ledger.db", homes=2))
    live.world.turn_until_tick(12)
    headers = {"Accept": accept}
    first = live.client.get(f"/prices?{asked}", headers=headers)
    tag = first.headers["etag"]
    kept = headers | {"If-None-Match": tag}
    again = live.client.get(f"/prices?{asked}", headers=kept)
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["vary"]) == (tag, "Accept")
    other = "text/csv" if accept == "application/json" else "application/json"
    assert live.client.get(f"/prices?{asked}", headers=kept | {"Accept": other}).content
    assert live.client.get("/prices?from_tick=6&to_tick=9", headers=kept).content
    live.world.turn_until_tick(13)
    after = live.client.get(f"/prices?{asked}", headers=kept)
    assert after.status_code == 200
    assert after.content != first.content
    live.close()


def test_a_page_that_the_ledger_has_forgotten_in_part_is_another_one(tmp_path: Path) -> None:
    """R15: a reader must not believe to have what is not to be had any more."""
    live = LiveApi(World(f"sqlite:///{tmp_path}/ledger.db", homes=2))
    live.world.turn_until_tick(12)
    tag = live.ask("/prices", from_tick=2, to_tick=6).headers["etag"]
    with live.world.market.books.ledger._database.writing("nothing") as connection:
        connection.exec_driver_sql("DELETE FROM ticks WHERE tick < 4")
    kept = {"If-None-Match": tag}
    answer = live.client.get("/prices?from_tick=2&to_tick=6", headers=kept)
    assert [row["tick"] for row in answer.json()["prices"]] == [4, 5]
    live.close()


def test_live_answers_are_not_kept(api: LiveApi) -> None:
    """R15: a price from a cache would be a wrong price."""
    assert api.ask("/price").headers["cache-control"] == "no-store"


def test_a_tick_that_went_without_an_input_says_which() -> None:
    """R15: degraded ticks are marked in the history."""
    live = LiveApi(World("sqlite://", homes=2, tempo=WITH_DEADLINE))
    try:
        live.world.weather.stopped = live.world.external.stopped = True
        live.world.pass_time(8)
        settled = live.world.market.view.last
        assert settled is not None
        assert settled.opening.degraded == DEGRADED_WEATHER + DEGRADED_EXTERNAL
        assert live.get("/prices", limit=1)["prices"][0]["degraded"] == ["weather", "external"]
        assert csv_rows(live.ask("/prices", limit=1, format="csv"))[0]["degraded"] == (
            "weather+external"
        )
    finally:
        live.close()
