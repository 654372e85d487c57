"""Who gives to whom, over several ticks."""

from __future__ import annotations

from pydantic import Field

from services.market.api.schemas.base import Answer, HomeId, Kwh, Tick, like


class FlowLink(Answer):
    """Energy that one home gave to another, over all ticks of the window."""

    giver: HomeId
    taker: HomeId
    kwh: Kwh
    wh: int = Field(ge=0, description="the same exactly: Wh")
    ticks: int = Field(ge=1, description="ticks of the window in which it gave")


class Split(Answer):
    """Where the energy of all homes went, over all ticks of the window."""

    given_kwh: Kwh = Field(description="from home to home, kWh")
    sold_kwh: Kwh = Field(description="sold by homes to the market, kWh")
    bought_kwh: Kwh = Field(description="bought by homes from the market, kWh")
    spilled_kwh: Kwh = Field(description="that no stock could hold, kWh")
    unserved_kwh: Kwh = Field(description="needed and not got, kWh")


class Flows(Answer):
    """The strongest links between homes in the half-open interval [from_tick, to_tick)."""

    model_config = like(
        from_tick=1,
        to_tick=51,
        links=[{"giver": 3, "taker": 8, "kwh": 4.2, "wh": 4200, "ticks": 12}],
        split={
            "given_kwh": 12.5,
            "sold_kwh": 30.25,
            "bought_kwh": 41.0,
            "spilled_kwh": 0.0,
            "unserved_kwh": 0.5,
        },
    )

    from_tick: Tick = Field(description="first tick that was looked at")
    to_tick: Tick = Field(description="tick after the last")
    links: list[FlowLink] = Field(description="strongest first, equal ones by giver and taker")
    split: Split
