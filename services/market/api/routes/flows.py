"""``/flows``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from energymarket.units import kwh
from services.market.api.caching import settled_answer
from services.market.api.context import Context
from services.market.api.openapi import UNCHANGED, problems
from services.market.api.schemas.flows import FlowLink, Flows, Split
from services.market.domain.flows import strongest
from services.market.domain.gifts import Gifts
from services.market.domain.record import SettledTick

router = APIRouter(tags=["homes"])

_MAX_ROWS_READ = 200_000
"""Homes times ticks that one answer may look at; it may be about fewer ticks, never slow."""


@router.get(
    "/flows",
    summary="Who gives to whom",
    response_model=Flows,
    responses=problems(503) | UNCHANGED,
)
def flows(
    request: Request,
    context: Context,
    ticks: Annotated[int, Query(ge=1, le=500, description="how many settled ticks")] = 50,
    limit: Annotated[int, Query(ge=1, le=200, description="most links")] = 20,
) -> Any:
    """The homes that gave most to one another over the newest settled ticks, and where the energy
    of all homes went meanwhile.

    In a large market it looks at fewer ticks, so as not to be slow; `from_tick` says at which.
    """
    view = context.view
    newest = view.last.tick if view.last else 0
    tag = f"{view.run}-{newest}-{ticks}-{limit}"
    first = max(newest + 1 - ticks, 1)

    def answer() -> Flows:
        found = context.history.newest_first(first, newest + 1, ticks, _MAX_ROWS_READ)
        return _flows(found, newest, limit)

    return settled_answer(request, tag, answer)


def _flows(settled: Sequence[SettledTick], newest: int, limit: int) -> Flows:
    gifts = [
        Gifts.paired(each.home, each.outcome.given_wh, each.outcome.received_wh) for each in settled
    ]
    sums = [each.totals for each in settled]
    return Flows(
        from_tick=settled[-1].tick if settled else newest + 1,
        to_tick=newest + 1,
        links=[
            FlowLink(
                giver=link.giver,
                taker=link.taker,
                kwh=kwh(link.energy_wh),
                wh=link.energy_wh,
                ticks=link.ticks,
            )
            for link in strongest(gifts, limit)
        ],
        split=Split(
            given_kwh=kwh(sum(each.given_wh for each in sums)),
            sold_kwh=kwh(sum(each.sold_wh for each in sums)),
            bought_kwh=kwh(sum(each.bought_wh for each in sums)),
            spilled_kwh=kwh(sum(each.spilled_wh for each in sums)),
            unserved_kwh=kwh(sum(each.unserved_wh for each in sums)),
        ),
    )
