"""``/trades``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from energymarket.units import eur, eur_per_kwh, kwh
from services.market.api.caching import settled_answer
from services.market.api.context import ApiContext, Context
from services.market.api.openapi import UNCHANGED, problems
from services.market.api.problems import Problem
from services.market.api.schemas.trades import GiftRow, TradeRow, Trades, TradeTotals
from services.market.api.wanted import MAX_TICK
from services.market.domain.record import SettledTick
from services.market.view import View

router = APIRouter(tags=["homes"])


@router.get(
    "/trades",
    summary="Who traded with whom",
    response_model=Trades,
    responses=problems(404, 503) | UNCHANGED,
)
def trades(
    request: Request,
    context: Context,
    tick: Annotated[
        int | None, Query(ge=1, le=MAX_TICK, description="none: the newest settled one")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="most rows of each list")] = 1_000,
    cursor: Annotated[
        str | None,
        Query(
            pattern=r"^[0-9]{1,15}-[0-9]{1,9}$",
            description="`next_cursor` of the page before; replaces `tick`",
        ),
    ] = None,
) -> Any:
    """Gifts, sales and purchases of a settled tick, by home id; the totals are of all pages."""
    view = context.view
    offset = 0
    if cursor is not None:
        of_tick, _, skipped = cursor.partition("-")
        tick, offset = int(of_tick), int(skipped)
    settled = _settled(context, view, tick)
    return settled_answer(
        request,
        f"{view.run}-{settled.tick}-{offset}-{limit}",
        lambda: _answer(settled, offset, limit),
    )


def _settled(context: ApiContext, view: View, tick: int | None) -> SettledTick:
    last = view.last
    if last and tick in (None, last.tick):
        return last
    newest = last.tick if last else 0
    settled = context.history.settled(tick) if tick and tick < newest else None
    if settled is None:
        raise Problem(404, _not_settled(tick, newest))
    return settled


def _not_settled(tick: int | None, newest: int) -> str:
    if not newest:
        return "no tick is settled yet"
    return f"tick {tick} is not in the ledger; the newest settled tick is {newest}"


def _answer(settled: SettledTick, offset: int, limit: int) -> Trades:
    out, price = settled.outcome, settled.opening.price_neur_per_wh
    gifts = out.gifts(settled.home)
    sales = _trading(settled.home, out.sold_wh)
    purchases = _trading(settled.home, out.bought_wh)
    end = offset + limit
    more = end < max(len(gifts), len(sales), len(purchases))
    return Trades(
        tick=settled.tick,
        price_eur_per_kwh=eur_per_kwh(price),
        price_neur_per_wh=price,
        totals=_totals(settled),
        gifts=[
            GiftRow(giver=giver, taker=taker, kwh=kwh(wh), wh=wh)
            for giver, taker, wh in islice(gifts, offset, end)
        ],
        sales=_rows(islice(sales, offset, end), price),
        purchases=_rows(islice(purchases, offset, end), price),
        next_cursor=f"{settled.tick}-{end}" if more else None,
    )


def _totals(settled: SettledTick) -> TradeTotals:
    out, price = settled.outcome, settled.opening.price_neur_per_wh
    given_wh, sold_wh, bought_wh = sum(out.given_wh), sum(out.sold_wh), sum(out.bought_wh)
    return TradeTotals(
        given_kwh=kwh(given_wh),
        given_wh=given_wh,
        sold_kwh=kwh(sold_wh),
        sold_wh=sold_wh,
        bought_kwh=kwh(bought_wh),
        bought_wh=bought_wh,
        paid_to_homes_eur=eur(sold_wh * price),
        paid_by_homes_eur=eur(bought_wh * price),
    )


def _trading(homes: Sequence[int], amounts_wh: Sequence[int]) -> list[tuple[int, int]]:
    return [(home, wh) for home, wh in zip(homes, amounts_wh, strict=True) if wh]


def _rows(trading: Iterable[tuple[int, int]], price_neur_per_wh: int) -> list[TradeRow]:
    return [
        TradeRow(
            home=home,
            kwh=kwh(wh),
            wh=wh,
            amount_eur=eur(wh * price_neur_per_wh),
            amount_neur=wh * price_neur_per_wh,
        )
        for home, wh in trading
    ]
