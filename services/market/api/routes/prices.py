"""``/price`` and ``/prices``."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from energymarket.units import degrees, eur_per_kwh
from services.market.api.caching import settled_answer, tagged_answer
from services.market.api.context import ApiContext, Context
from services.market.api.openapi import UNCHANGED, problems
from services.market.api.price_rows import price_row
from services.market.api.problems import Problem
from services.market.api.schemas.prices import Price, PriceRow, Prices, PriceTerms, Term
from services.market.api.wanted import (
    MAX_TICK,
    FromTick,
    ToTick,
    Window,
    WindowCursor,
    prefers_csv,
    window,
)
from services.market.domain.pricing import PRICE_MODELS
from services.market.view import View

router = APIRouter(tags=["prices"])

_CSV_COLUMNS = tuple(PriceRow.model_fields)


@router.get("/price", summary="The price now", responses=problems(503))
async def price(context: Context) -> Price:
    """The price of the tick that is open, or between two ticks of the one that was.

    Before the first tick has opened there is none yet: 503, which says what the market waits for.
    """
    view = context.view
    opening = context.opening(view)
    before = await _price_before(context, view, opening.tick)
    return Price(
        tick=opening.tick,
        price_eur_per_kwh=eur_per_kwh(opening.price_neur_per_wh),
        price_neur_per_wh=opening.price_neur_per_wh,
        change_eur_per_kwh=eur_per_kwh(opening.price_neur_per_wh - before),
        temperature_c=degrees(opening.temperature_mdeg),
        homes=view.roster_homes,
        at=datetime.fromtimestamp(view.opened_at, UTC),
    )


async def _price_before(context: ApiContext, view: View, tick: int) -> int:
    """The price of the tick before ``tick``; of ``tick`` itself where there was none before."""
    last = view.last
    if last and last.tick == tick - 1:
        return last.opening.price_neur_per_wh
    memory = context.prices_before
    if tick not in memory:
        rows = await run_in_threadpool(context.history.prices, tick - 1, tick + 1, 2)
        memory.clear()
        memory[tick] = rows[0].price_neur_per_wh if rows else _start_price(view)
    return memory[tick]


@router.get(
    "/prices",
    summary="The history of the price",
    response_model=Prices,
    responses=problems(503)
    | UNCHANGED
    | {
        200: {
            "headers": {
                "Link": {
                    "description": 'the next page, with rel="next", if there is one',
                    "schema": {"type": "string"},
                }
            },
            "content": {
                "text/csv": {
                    "schema": {"type": "string"},
                    "example": ",".join(_CSV_COLUMNS) + "\n16,0.214666,214666,12.25,…\n",
                }
            },
        }
    },
)
def prices(
    request: Request,
    context: Context,
    from_tick: FromTick = None,
    to_tick: ToTick = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="most ticks on a page")] = 1_000,
    cursor: WindowCursor = None,
    form: Annotated[
        Literal["json", "csv"] | None,
        Query(alias="format", description="instead of the `Accept` header"),
    ] = None,
) -> Any:
    """Settled ticks of the half-open interval [from_tick, to_tick), oldest first.

    Without `from_tick`: the newest `limit` ticks before `to_tick`. Without `to_tick`: up to the
    newest settled tick. The answer says which interval that was. As CSV with `Accept: text/csv` or
    `format=csv`; the header row has the units, the `Link` header the next page.
    """
    view = context.view
    newest = view.last.tick if view.last else 0
    asked = window(from_tick=from_tick, to_tick=to_tick, cursor=cursor, newest=newest, limit=limit)
    as_csv = form == "csv" or (form is None and prefers_csv(request.headers.get("accept", "")))
    held = asked.held(context.history.oldest_tick(), newest)
    tag = f"{view.run}-{asked.cursor}-{held}-{limit}-{'csv' if as_csv else 'json'}"

    def answer() -> Response:
        return _page(request, context, asked, limit, as_csv=as_csv)

    return tagged_answer(request, tag, answer, vary="Accept")


def _page(
    request: Request, context: ApiContext, asked: Window, limit: int, *, as_csv: bool
) -> Response:
    rows = context.history.prices(asked.from_tick, asked.to_tick, limit + 1)
    following = Window(rows[limit].tick, asked.to_tick).cursor if len(rows) > limit else None
    found = [price_row(row) for row in rows[:limit]]
    headers = {}
    if following:
        next_page = request.url.include_query_params(cursor=following)
        next_page = next_page.remove_query_params(["from_tick", "to_tick"])
        headers["Link"] = f'<{next_page.path}?{next_page.query}>; rel="next"'
    if as_csv:
        return Response(_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
    answer = Prices(
        from_tick=asked.from_tick,
        to_tick=asked.to_tick,
        limit=limit,
        prices=found,
        next_cursor=following,
    )
    return Response(answer.model_dump_json(), media_type="application/json", headers=headers)


def _csv(rows: list[PriceRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for row in rows:
        values = row.model_dump(mode="json")
        values["degraded"] = "+".join(values["degraded"])
        writer.writerow(values.values())
    return text.getvalue()


@router.get(
    "/prices/{tick}",
    summary="A price with its terms",
    response_model=PriceTerms,
    responses=problems(404, 503) | UNCHANGED,
)
def price_terms(
    request: Request,
    context: Context,
    tick: Annotated[int, Path(ge=1, le=MAX_TICK, description="settled, open, or the next to open")],
) -> Any:
    """The price of a tick and the terms that made it, which add up to it exactly.

    Each price is made at the close of the tick before, so the next tick has one before it opens.
    Tick 1 has the start price of the price model, as one term `start`.
    """
    view = context.view
    settled = view.last.tick if view.last else 0
    if tick > settled + 1:
        raise Problem(404, f"tick {tick} has no price yet; the newest that has is {settled + 1}")
    status = _status(view, tick)
    return settled_answer(
        request, f"{view.run}-{tick}-{status}", lambda: _terms(context, view, tick, status)
    )


def _status(view: View, tick: int) -> Literal["settled", "open", "coming"]:
    if view.last and tick <= view.last.tick:
        return "settled"
    return "open" if view.opening and view.opening.tick == tick else "coming"


def _terms(
    context: ApiContext, view: View, tick: int, status: Literal["settled", "open", "coming"]
) -> PriceTerms:
    if tick == 1:
        made, terms = _start_price(view), [("start", _start_price(view))]
    else:
        last = view.last
        maker = last if last and last.tick == tick - 1 else context.history.settled(tick - 1)
        if maker is None:
            raise Problem(404, f"the ledger does not hold tick {tick - 1}, which made this price")
        made, terms = maker.next_price_neur_per_wh, maker.terms
    return PriceTerms(
        tick=tick,
        status=status,
        model=view.price_model,
        price_eur_per_kwh=eur_per_kwh(made),
        price_neur_per_wh=made,
        terms=[
            Term(name=name, eur_per_kwh=eur_per_kwh(value), neur_per_wh=value)
            for name, value in terms
        ],
    )


def _start_price(view: View) -> int:
    return PRICE_MODELS[view.price_model].start_neur_per_wh
