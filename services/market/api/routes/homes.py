"""``/homes`` and what is below it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from energymarket.units import eur, kwh
from services.market.api.context import Context
from services.market.api.home_book import (
    LABEL_BY_POLICY,
    POLICY_BY_LABEL,
    HomeBook,
    Standing,
)
from services.market.api.openapi import problems
from services.market.api.problems import Problem
from services.market.api.receipts import receipt_of
from services.market.api.schemas.homes import (
    Home,
    HomeOrder,
    Homes,
    HomeTick,
    PolicyName,
    ReceiptPage,
)
from services.market.api.wanted import FIRST_TICK, FromTick, ToTick, Window, WindowCursor, window
from services.market.domain.record import SettledTick

router = APIRouter(tags=["homes"])

_MAX_ROWS_READ = 200_000
"""Homes times ticks that one page of receipts may look at; a page may be short, never slow."""

HomeId = Annotated[int, Path(ge=1, le=2**31 - 1, description="id of a home")]
_SORT_KEYS: dict[str, Callable[[Standing], int]] = {
    "stock": lambda standing: standing.stock_wh,
    "balance": lambda standing: standing.balance_neur,
}


@router.get("/homes", summary="The homes", response_model=Homes, responses=problems(503))
def homes(
    context: Context,
    limit: Annotated[int, Query(ge=1, le=10_000, description="most homes on a page")] = 100,
    cursor: Annotated[
        str | None,
        Query(
            pattern=r"^-?[0-9]{1,20}\.[0-9]{1,10}$",
            description="`next_cursor` of the page before, with the same `sort` and `policy`",
        ),
    ] = None,
    policy: Annotated[PolicyName | None, Query(description="those that have shown it")] = None,
    sort: Annotated[HomeOrder, Query(description="`-`: the largest first")] = "id",
) -> Any:
    """The homes that hold a place in the market, as of the newest settled tick.

    Pages of a list sorted by stock or balance are made one by one, so a home whose value has
    changed in between may come twice or not at all; by id none does.
    """
    view = context.view
    book = HomeBook(context, view)
    chosen = book.having(POLICY_BY_LABEL[policy]) if policy else book.members
    after = _parse(cursor) if cursor else None
    found, following = _page(book, chosen, sort, after, limit)
    answer = Homes(
        tick=book.tick,
        total=len(chosen),
        limit=limit,
        homes=[_home(book, view.last, standing) for standing in found],
        next_cursor=following,
    )
    return Response(answer.model_dump_json(), media_type="application/json")


def _parse(cursor: str) -> tuple[int, int]:
    value, _, home = cursor.partition(".")
    return int(value), int(home)


def _page(
    book: HomeBook,
    chosen: Sequence[int],
    sort: HomeOrder,
    after: tuple[int, int] | None,
    limit: int,
) -> tuple[list[Standing], str | None]:
    """``limit`` standings after the place that a cursor names, and the cursor after them."""
    down, key = sort.startswith("-"), _SORT_KEYS.get(sort.lstrip("-"))
    sign = -1 if down else 1
    if key is None:
        ids = (
            home
            for home in (reversed(chosen) if down else chosen)
            if after is None or sign * home > sign * after[1]
        )
        picked = [home for home, _ in zip(ids, range(limit + 1), strict=False)]
        found = book.standings(picked)
        places = [(home, home) for home in picked]
    else:
        ranked = (
            (sign * key(standing), standing.home, standing) for standing in book.standings(chosen)
        )
        later = (
            entry for entry in ranked if after is None or entry[:2] > (sign * after[0], after[1])
        )
        best = heapq.nsmallest(limit + 1, later, key=lambda entry: entry[:2])
        found = [standing for _, _, standing in best]
        places = [(sign * rank, home) for rank, home, _ in best]
    if len(found) <= limit:
        return found, None
    value, home = places[limit - 1]
    return found[:limit], f"{value}.{home}"


@router.get("/homes/{home_id}", summary="A home", response_model=Home, responses=problems(404, 503))
def home(context: Context, home_id: HomeId) -> Any:
    """A home that holds a place in the market, or once did (`left`)."""
    view = context.view
    book = HomeBook(context, view)
    _require_seen(book, home_id)
    return _home(book, view.last, book.standings([home_id])[0])


def _require_seen(book: HomeBook, home_id: int) -> None:
    if not book.seen(home_id):
        raise Problem(404, f"home {home_id} has never been seen; /homes lists those there are")


@router.get(
    "/homes/{home_id}/receipts",
    summary="A home's receipts",
    response_model=ReceiptPage,
    responses=problems(404, 503),
)
def receipts(
    context: Context,
    home_id: HomeId,
    from_tick: FromTick = None,
    to_tick: ToTick = None,
    limit: Annotated[int, Query(ge=1, le=1_000, description="most ticks looked at")] = 100,
    cursor: WindowCursor = None,
) -> Any:
    """What each tick of [from_tick, to_tick) did to a home, newest first; of all without them.

    A tick that the home had no place in has no receipt. A page looks at `limit` ticks at most, at
    fewer in a large market: follow `next_cursor` until it is null.
    """
    view = context.view
    _require_seen(HomeBook(context, view), home_id)
    newest = view.last.tick if view.last else 0
    from_tick = FIRST_TICK if from_tick is None and to_tick is None else from_tick
    asked = window(from_tick=from_tick, to_tick=to_tick, cursor=cursor, newest=newest, limit=limit)
    ticks = context.history.newest_first(asked.from_tick, asked.to_tick, limit, _MAX_ROWS_READ)
    made = [receipt_of(settled, home_id) for settled in ticks]
    more = ticks and ticks[-1].tick > max(asked.from_tick, 1)
    answer = ReceiptPage(
        home=home_id,
        from_tick=asked.from_tick,
        to_tick=asked.to_tick,
        limit=limit,
        receipts=[receipt for receipt in made if receipt],
        next_cursor=Window(asked.from_tick, ticks[-1].tick).cursor if more else None,
    )
    return Response(answer.model_dump_json(), media_type="application/json")


def _home(book: HomeBook, last: SettledTick | None, standing: Standing) -> Home:
    surplus, need = book.shown_policies(standing.home)
    traded = standing.row is not None and last and last.orders.policy[standing.row]
    row = standing.row if traded else None
    return Home.model_validate(
        {
            "id": standing.home,
            "status": standing.status,
            "surplus_policy": LABEL_BY_POLICY.get(surplus),
            "need_policy": LABEL_BY_POLICY.get(need),
            "stock_kwh": kwh(standing.stock_wh),
            "stock_wh": standing.stock_wh,
            "capacity_kwh": (
                kwh(last.orders.capacity_wh[row]) if last and row is not None else None
            ),
            "balance_eur": eur(standing.balance_neur),
            "balance_neur": standing.balance_neur,
            "bill_eur": eur(-standing.balance_neur),
            "last_tick": _last_tick(last, row) if last and row is not None else None,
        }
    )


def _last_tick(last: SettledTick, row: int) -> HomeTick:
    orders, out = last.orders, last.outcome
    return HomeTick(
        tick=last.tick,
        produced_kwh=kwh(orders.produced_wh[row]),
        consumed_kwh=kwh(orders.consumed_wh[row]),
        given_kwh=kwh(out.given_wh[row]),
        received_kwh=kwh(out.received_wh[row]),
        sold_kwh=kwh(out.sold_wh[row]),
        bought_kwh=kwh(out.bought_wh[row]),
        unserved_kwh=kwh(out.unserved_wh[row]),
        spilled_kwh=kwh(out.spilled_wh[row]),
    )
