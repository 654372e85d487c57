"""The run, its audit, and whether it is up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from services.market.api.schemas.base import Answer, Tick

HeadHash = Annotated[
    str,
    Field(pattern=r"^[0-9a-f]{64}$", description="chained hash of the newest settled tick"),
]


Role = Annotated[
    Literal["settling", "standby"],
    Field(description="whether this market settles, or waits for the one that does to end"),
]


class Run(Answer):
    """What runs here."""

    run: str = Field(description="id of the run: another one is another ledger")
    role: Role
    seed: int = Field(ge=0)
    epoch: int = Field(ge=0, description="how often a market took over this ledger")
    price_model: str
    tick: Tick = Field(description="newest settled tick; 0 before the first")
    head_hash: HeadHash
    homes: int = Field(ge=0, description="homes that hold a place in the market")
    finished: bool = Field(description="true after the last tick of a run with an end")
    settings: dict[str, Any] = Field(description="without secrets")
    versions: dict[str, str]


class Invariant(Answer):
    """One invariant and how far the run is from it."""

    name: str
    rule: str
    residual: int = Field(description="0, or the invariant is broken")
    unit: str


class Replayed(Answer):
    """How far the ledger has been read back and computed anew: hash chain, settlement, prices,
    accounts. Each call of `/audit` goes on a bit; `energymarket verify` does it in one go."""

    from_tick: Tick = Field(description="where the history of the ledger begins")
    to_tick: Tick = Field(description="the last tick that was replayed; 0 before the first")
    head_hash: HeadHash = Field(description="the replay's own, after `to_tick`")
    complete: bool = Field(description="`to_tick` was the newest tick, and all accounts agree")
    fault: str | None = Field(description="the first thing that is wrong, if anything is")


class Audit(Answer):
    """The invariants: of every tick since this process began to settle, as it was settled, and of
    what stands in the ledger, read back and computed anew.
    """

    ok: bool
    tick: Tick = Field(description="newest settled tick")
    head_hash: HeadHash
    epoch: int = Field(ge=0)
    since_tick: Tick = Field(description="first tick that these sums hold")
    ticks_checked: int = Field(ge=0)
    energy_residual_wh: int
    gifts_residual_wh: int
    money_residual_neur: int
    bounds_violations: int
    outcomes_violations: int
    late_messages: int = Field(
        ge=0,
        examples=[0],
        description="orders that came after their tick was settled without them",
    )
    refused_messages: int = Field(
        ge=0, examples=[0], description="messages or orders that were not taken"
    )
    replay: Replayed | None = Field(
        description="null beyond 20,000 homes a tick: then `energymarket verify` does it"
    )
    invariants: list[Invariant]


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Answer):
    """The market reaches all that it needs."""

    status: Literal["ready"] = "ready"
    role: Role
    checks: dict[str, bool] = Field(description="`broker`, `redis`, `ledger`, `market`")
    waiting_for: list[str] = Field(description="what the next tick waits for, if anything")
