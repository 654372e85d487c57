"""``/homes``, receipts and ``/trades`` of a real market over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.market.api.routes import homes as homes_route
from services.market.domain.record import SettledTick
from tests.live_api import LiveApi
from tests.world import WITH_DEADLINE, World

TICKS = 40
HOMES = 12


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """A market of twelve homes that has settled ``TICKS`` ticks."""
    world = World(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db", homes=HOMES)
    world.turn_until_tick(TICKS)
    live = LiveApi(world)
    yield live
    live.close()


def newest(api: LiveApi) -> SettledTick:
    last = api.world.market.view.last
    assert last is not None
    return last


# ------------------------------------------------------------------------------------------ homes


def test_the_homes_are_shown_with_stock_bill_and_their_last_tick(api: LiveApi) -> None:
    """R3, R6, R7: what the market keeps of each home, for people and exactly."""
    last = newest(api)
    page = api.get("/homes")
    assert (page["tick"], page["total"], page["next_cursor"]) == (last.tick, HOMES, None)
    assert [home["id"] for home in page["homes"]] == list(range(1, HOMES + 1))
    for row, home in enumerate(page["homes"]):
        assert home["status"] == "active"
        assert home["stock_wh"] == last.outcome.stock_wh[row]
        assert home["stock_kwh"] == home["stock_wh"] / 1_000
        assert home["capacity_kwh"] == last.orders.capacity_wh[row] / 1_000
        assert home["balance_neur"] == last.outcome.balance_neur[row]
        assert home["balance_eur"] == home["balance_neur"] / 1e9
        assert home["bill_eur"] == -home["balance_eur"]
        assert home["last_tick"]["tick"] == last.tick
        assert home["last_tick"]["bought_kwh"] == last.outcome.bought_wh[row] / 1_000
        assert home["last_tick"]["consumed_kwh"] == last.orders.consumed_wh[row] / 1_000


def test_a_policy_is_shown_once_the_home_has_used_it(api: LiveApi) -> None:
    """R3: surplus and need policy by name; null until an order has carried one."""
    used: dict[int, set[str]] = {home: set() for home in range(1, HOMES + 1)}
    for home, policies in used.items():
        for page in api.pages(f"/homes/{home}/receipts"):
            policies.update(receipt["policy"] for receipt in page["receipts"])
    for home in api.get("/homes")["homes"]:
        shown = {home["surplus_policy"], home["need_policy"]} - {None}
        assert shown == used[home["id"]]


def test_a_home_by_itself_is_the_same_as_in_the_list(api: LiveApi) -> None:
    """R25: one home, one address."""
    for home in api.get("/homes")["homes"]:
        assert api.get(f"/homes/{home['id']}") == home


@pytest.mark.parametrize("limit", [1, 5, 11, 12, 13])
@pytest.mark.parametrize("sort", ["id", "-id", "stock", "-stock", "balance", "-balance"])
def test_the_pages_of_homes_are_the_whole_in_order(api: LiveApi, limit: int, sort: str) -> None:
    """R25: none twice, none left out, sorted as asked; equal values by id."""
    pages = api.pages("/homes", limit=limit, sort=sort)
    found = [home for page in pages for home in page["homes"]]
    assert all(page["total"] == HOMES for page in pages)
    assert sorted(home["id"] for home in found) == list(range(1, HOMES + 1))
    key = {"id": "id", "stock": "stock_wh", "balance": "balance_neur"}[sort.lstrip("-")]
    sign = -1 if sort.startswith("-") else 1
    assert found == sorted(found, key=lambda home: (sign * home[key], home["id"]))


def test_homes_are_found_by_policy(api: LiveApi) -> None:
    """R3: and the total counts what was found."""
    everyone = api.get("/homes")["homes"]
    for policy in {home["need_policy"] for home in everyone} - {None}:
        wanted = [home["id"] for home in everyone if home["need_policy"] == policy]
        pages = api.pages("/homes", policy=policy, limit=2)
        assert [home["id"] for page in pages for home in page["homes"]] == wanted
        assert pages[0]["total"] == len(wanted)


def test_a_home_that_was_never_seen_is_a_404(api: LiveApi) -> None:
    """R25: and so are its receipts."""
    assert "home 99 " in api.problem("/homes/99", 404)["detail"]
    assert "home 99 " in api.problem("/homes/99/receipts", 404)["detail"]


def test_a_home_is_joining_then_active_then_absent_then_left() -> None:
    """R2: homes come and go while it runs; what they owe is kept."""
    world = World("sqlite://", homes=2, tempo=WITH_DEADLINE)
    live = LiveApi(world)
    try:
        assert live.get("/homes")["total"] == 0
        live.problem("/homes/1", 404)
        while world.market.view.homes < 2:
            world.turn()
        joining = live.get("/homes/2")
        assert (joining["status"], joining["last_tick"]) == ("joining", None)
        assert (joining["capacity_kwh"], joining["surplus_policy"]) == (None, None)
        world.turn_until_tick(5)
        active = live.get("/homes/2")
        assert active["status"] == "active"
        world.homes[1].stopped = True
        world.pass_time(12)
        absent = live.get("/homes/2")
        assert (absent["status"], absent["last_tick"]) == ("absent", None)
        assert live.get("/homes/2/receipts", limit=1)["receipts"][0]["present"] is False
        world.pass_time(40)
        left = live.get("/homes/2")
        assert left["status"] == "left"
        assert [home["id"] for home in live.get("/homes")["homes"]] == [1]
        pages = live.pages("/homes/2/receipts", limit=50)
        last = next(receipt for page in pages for receipt in page["receipts"])
        assert (left["stock_kwh"], left["balance_neur"]) == (
            last["stock_kwh"],
            last["balance_neur"],
        )
    finally:
        live.close()


# --------------------------------------------------------------------------------------- receipts


def test_the_receipts_of_a_home_are_those_of_the_ledger_newest_first(api: LiveApi) -> None:
    """R7, R8: the signed amount, the price, the charge, the stock after it."""
    history = api.world.market.books.ledger.history
    receipts = api.get("/homes/3/receipts")["receipts"]
    assert [receipt["tick"] for receipt in receipts] == list(range(TICKS, 0, -1))
    for receipt in receipts:
        settled = history.settled(receipt["tick"])
        assert settled is not None
        row, out = settled.home.index(3), settled.outcome
        net_wh = out.received_wh[row] + out.bought_wh[row] - out.given_wh[row] - out.sold_wh[row]
        assert receipt["net_wh"] == net_wh
        assert receipt["net_kwh"] == net_wh / 1_000
        assert receipt["price_neur_per_wh"] == settled.opening.price_neur_per_wh
        assert receipt["charge_neur"] == settled.opening.price_neur_per_wh * (
            out.bought_wh[row] - out.sold_wh[row]
        )
        assert receipt["balance_neur"] == out.balance_neur[row]
        assert receipt["present"] is True


def test_the_charges_of_a_home_add_up_to_its_bill(api: LiveApi) -> None:
    """R7: a person can check the bill from the receipts alone, exactly."""
    for home in api.get("/homes")["homes"]:
        pages = api.pages(f"/homes/{home['id']}/receipts", limit=7)
        charges = sum(r["charge_neur"] for page in pages for r in page["receipts"])
        assert charges == -home["balance_neur"]


@pytest.mark.parametrize("limit", [1, 7, 39, 40, 41])
def test_the_pages_of_receipts_are_the_whole(api: LiveApi, limit: int) -> None:
    """R7: none twice, none left out."""
    pages = api.pages("/homes/5/receipts", limit=limit)
    ticks = [receipt["tick"] for page in pages for receipt in page["receipts"]]
    assert ticks == list(range(TICKS, 0, -1))


def test_receipts_are_chosen_by_tick(api: LiveApi) -> None:
    """R7: half-open, as everywhere."""
    page = api.get("/homes/5/receipts", from_tick=3, to_tick=6)
    assert [receipt["tick"] for receipt in page["receipts"]] == [5, 4, 3]
    assert (page["from_tick"], page["to_tick"], page["next_cursor"]) == (3, 6, None)


def test_a_page_of_receipts_of_a_large_market_is_short_and_not_slow(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R14: the work of one page is bounded by homes times ticks; the pages are still the whole."""
    monkeypatch.setattr(homes_route, "_MAX_ROWS_READ", 3 * HOMES)
    pages = api.pages("/homes/5/receipts")
    assert [len(page["receipts"]) for page in pages][:3] == [3, 3, 3]
    ticks = [receipt["tick"] for page in pages for receipt in page["receipts"]]
    assert ticks == list(range(TICKS, 0, -1))


def test_giver_and_taker_are_both_told_with_whom_and_how_much(api: LiveApi) -> None:
    """R9, R13: every gift stands in two receipts and in the tick's trades."""
    seen = 0
    for tick in range(1, TICKS + 1):
        gifts = api.get("/trades", tick=tick)["gifts"]
        for gift in gifts:
            given = receipt(api, gift["giver"], tick)["gave_to"]
            taken = receipt(api, gift["taker"], tick)["received_from"]
            assert {"home": gift["taker"], "wh": gift["wh"], "kwh": gift["wh"] / 1_000} in given
            assert {"home": gift["giver"], "wh": gift["wh"], "kwh": gift["wh"] / 1_000} in taken
        seen += len(gifts)
    assert seen > 10


def receipt(api: LiveApi, home: int, tick: int) -> dict[str, Any]:
    page = api.get(f"/homes/{home}/receipts", from_tick=tick, to_tick=tick + 1)
    found: dict[str, Any] = page["receipts"][0]
    for kind, parties in (("given", "gave_to"), ("received", "received_from")):
        assert sum(party["wh"] for party in found[parties]) == round(found[f"{kind}_kwh"] * 1_000)
    return found


# ----------------------------------------------------------------------------------------- trades


def test_the_trades_of_a_tick_are_its_outcome(api: LiveApi) -> None:
    """R9, R11: who gave to whom, who sold, who bought, and the sums."""
    last = newest(api)
    trades = api.get("/trades")
    out = last.outcome
    assert trades["tick"] == last.tick
    assert [(g["giver"], g["taker"], g["wh"]) for g in trades["gifts"]] == out.gifts(last.home)
    for rows, column in (("sales", out.sold_wh), ("purchases", out.bought_wh)):
        expected = [(home, wh) for home, wh in zip(last.home, column, strict=True) if wh]
        assert [(row["home"], row["wh"]) for row in trades[rows]] == expected
        price = last.opening.price_neur_per_wh
        assert all(row["amount_neur"] == row["wh"] * price for row in trades[rows])
    assert trades["totals"]["given_wh"] == sum(out.given_wh) == sum(out.received_wh)
    assert trades["totals"]["bought_wh"] == sum(out.bought_wh)
    assert trades["totals"]["sold_kwh"] == sum(out.sold_wh) / 1_000


def test_the_totals_of_the_trades_are_those_of_the_history(api: LiveApi) -> None:
    """R15: two views of one tick agree."""
    for row in api.get("/prices", from_tick=1)["prices"]:
        totals = api.get("/trades", tick=row["tick"])["totals"]
        assert totals["given_kwh"] == row["given_kwh"]
        assert totals["sold_kwh"] == row["sold_kwh"]
        assert totals["bought_kwh"] == row["bought_kwh"]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_pages_of_trades_are_the_whole_of_one_tick(api: LiveApi, limit: int) -> None:
    """R9: the cursor stays with its tick, however many are settled meanwhile."""
    whole = api.get("/trades")
    pages = api.pages("/trades", limit=limit)
    for rows in ("gifts", "sales", "purchases"):
        assert [row for page in pages for row in page[rows]] == whole[rows]
    assert {page["tick"] for page in pages} == {whole["tick"]}


def test_trades_of_a_tick_that_is_not_settled_are_a_404(api: LiveApi) -> None:
    """R9: the open tick has none yet."""
    assert str(TICKS) in api.problem("/trades", 404, tick=TICKS + 1)["detail"]
    live = LiveApi(World("sqlite://", homes=1))
    try:
        assert live.problem("/trades", 404)["detail"] == "no tick is settled yet"
    finally:
        live.close()


def test_settled_trades_are_sent_once_to_who_keeps_them(api: LiveApi) -> None:
    """R9: what is settled never changes, within a run."""
    tag = api.ask("/trades", tick=3).headers["etag"]
    headers = {"If-None-Match": tag}
    assert api.client.get("/trades?tick=3", headers=headers).status_code == 304
    assert api.client.get("/trades?tick=4", headers=headers).status_code == 200
    assert api.client.get("/trades?tick=3&limit=1", headers=headers).status_code == 200
