"""``/clock``: whether ticks go on, and how fast."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from services.market.api.auth import TOKEN_REQUIRED
from services.market.api.clock import clock_of
from services.market.api.context import ApiContext, Context
from services.market.api.openapi import problems
from services.market.api.problems import Problem
from services.market.api.schemas.clock import Clock, ClockChange, ClockSteps
from services.market.errors import ClockRuns

router = APIRouter(tags=["run"])

_ONE = ClockSteps(ticks=1)


@router.get("/clock", summary="The clock", responses=problems())
async def clock(context: Context) -> Clock:
    """Whether ticks go on, at which pace, and how fast the newest ones went.

    Rates and times are null as long as no tick that they could be of is settled. A standby shows
    the pace at which it would go on: that of the market that settles is not in the ledger.
    """
    view = context.view
    return clock_of(view, view.clock)


@router.patch(
    "/clock",
    summary="Pause, run, or another pace",
    dependencies=[TOKEN_REQUIRED],
    responses=problems(401, 409, 413, 415, 503),
)
async def change_clock(context: Context, body: ClockChange) -> Clock:
    """Pauses the market, has it run on, or changes its pace; the answer is the new clock.

    A paused market settles the tick that is open and opens no other. Homes keep their places
    however long it lasts. A market that starts again runs, at the pace of its settings.
    """
    _require_coming_ticks(context)
    face = await context.command(
        lambda: context.market.change_clock(paused=body.paused, pace_s=body.new_pace_s)
    )
    return clock_of(context.view, face)


@router.post(
    "/clock/step",
    summary="Single ticks",
    dependencies=[TOKEN_REQUIRED],
    responses=problems(401, 409, 413, 415, 503),
)
async def step_clock(context: Context, body: Annotated[ClockSteps, Body()] = _ONE) -> Clock:
    """Has a paused market open that many ticks, one without a body, and then be paused again.

    The first opens at once, further ones at the pace. Steps that are left from before are done too.
    """
    _require_coming_ticks(context)
    try:
        face = await context.command(lambda: context.market.step_clock(body.ticks))
    except ClockRuns as error:
        raise Problem(409, str(error)) from error
    return clock_of(context.view, face)


def _require_coming_ticks(context: ApiContext) -> None:
    if context.view.finished:
        raise Problem(409, "the run is over: there is no coming tick")
