"""Trades of one tick."""

from __future__ import annotations

from pydantic import Field

from services.market.api.schemas.base import (
    Answer,
    Eur,
    EurPerKwh,
    HomeId,
    Kwh,
    Neur,
    NeurPerWh,
    NextCursor,
    Tick,
)

_WH = Field(ge=0, description="the same exactly: Wh")


class GiftRow(Answer):
    """Energy that one home gave to another."""

    giver: HomeId
    taker: HomeId
    kwh: Kwh
    wh: int = _WH


class TradeRow(Answer):
    """Energy that one home sold to the market, or bought from it."""

    home: HomeId
    kwh: Kwh
    wh: int = _WH
    amount_eur: Eur
    amount_neur: Neur


class TradeTotals(Answer):
    """Sums over all homes of the tick."""

    given_kwh: Kwh
    given_wh: int = _WH
    sold_kwh: Kwh
    sold_wh: int = _WH
    bought_kwh: Kwh
    bought_wh: int = _WH
    paid_to_homes_eur: Eur
    paid_by_homes_eur: Eur


class Trades(Answer):
    """Who gave to whom, who sold and who bought in a settled tick.

    A page holds up to `limit` rows of each of the three lists.
    """

    tick: Tick
    price_eur_per_kwh: EurPerKwh
    price_neur_per_wh: NeurPerWh
    totals: TradeTotals
    gifts: list[GiftRow]
    sales: list[TradeRow]
    purchases: list[TradeRow]
    next_cursor: NextCursor
