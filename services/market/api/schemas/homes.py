"""Homes and their receipts."""

from __future__ import annotations

from typing import Literal

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

SurplusPolicy = Literal["give_only", "sell_only", "sell_if_none"]
NeedPolicy = Literal["ask_only", "buy_only", "buy_if_none"]
PolicyName = Literal[
    "give_only", "sell_only", "sell_if_none", "ask_only", "buy_only", "buy_if_none"
]
HomeStatus = Literal["active", "absent", "joining", "left"]
HomeOrder = Literal["id", "-id", "stock", "-stock", "balance", "-balance"]


class HomeTick(Answer):
    """What the newest settled tick did to a home, kWh."""

    tick: Tick
    produced_kwh: Kwh
    consumed_kwh: Kwh
    given_kwh: Kwh
    received_kwh: Kwh
    sold_kwh: Kwh
    bought_kwh: Kwh
    unserved_kwh: Kwh
    spilled_kwh: Kwh


class Home(Answer):
    """A home, as of the newest settled tick."""

    id: HomeId
    status: HomeStatus = Field(
        description="`active` traded in the newest tick, `absent` missed it, `joining` has not "
        "taken part yet, `left` holds no place in the market any more"
    )
    surplus_policy: SurplusPolicy | None = Field(description="null until it has shown one")
    need_policy: NeedPolicy | None = Field(description="null until it has shown one")
    stock_kwh: Kwh
    stock_wh: int = Field(ge=0, description="the same exactly: Wh")
    capacity_kwh: Kwh | None = Field(description="of its stock, kWh; null while not known")
    balance_eur: Eur
    balance_neur: Neur
    bill_eur: float = Field(description="what it owes: the balance with the other sign, EUR")
    last_tick: HomeTick | None = Field(description="null unless it traded in the newest tick")


class Homes(Answer):
    """A page of the homes that the market holds a place for."""

    tick: Tick = Field(description="newest settled tick, which the page is as of")
    total: int = Field(ge=0, description="homes that the filter lets through, on all pages")
    limit: int = Field(ge=1, description="most homes on a page")
    homes: list[Home]
    next_cursor: NextCursor


class Counterparty(Answer):
    """The other side of a gift."""

    home: HomeId
    kwh: Kwh
    wh: int = Field(ge=0, description="the same exactly: Wh")


class Receipt(Answer):
    """What one tick did to one home."""

    tick: Tick
    present: bool = Field(description="false: recorded absent")
    policy: PolicyName | None = Field(description="that directed its order; null when absent")
    price_eur_per_kwh: EurPerKwh
    price_neur_per_wh: NeurPerWh
    net_kwh: float = Field(description="given and sold below zero, received and bought above, kWh")
    net_wh: int = Field(description="the same exactly: Wh")
    produced_kwh: Kwh
    consumed_kwh: Kwh
    given_kwh: Kwh
    received_kwh: Kwh
    sold_kwh: Kwh
    bought_kwh: Kwh
    unserved_kwh: Kwh
    spilled_kwh: Kwh
    stock_kwh: Kwh = Field(description="after the tick, kWh")
    charge_eur: float = Field(description="what it paid; below zero: earned, EUR")
    charge_neur: Neur
    balance_eur: float = Field(description="its money after the tick, EUR")
    balance_neur: Neur
    gave_to: list[Counterparty]
    received_from: list[Counterparty]


class ReceiptPage(Answer):
    """Receipts of one home from the half-open interval [from_tick, to_tick), newest first."""

    home: HomeId
    from_tick: Tick
    to_tick: Tick
    limit: int = Field(ge=1, description="most ticks looked at for a page")
    receipts: list[Receipt]
    next_cursor: NextCursor
