"""The clock: whether ticks go on, and how fast."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from services.market.api.schemas.base import Answer, Tick, like, whole
from services.market.pacing import LONGEST_PACE_S

PaceSeconds = Annotated[
    float,
    Field(
        ge=0,
        le=LONGEST_PACE_S,
        allow_inf_nan=False,
        description="seconds from one opening to the next; 0: as fast as the barrier allows",
    ),
]


class Clock(Answer):
    """The clock of the market, and how fast the newest settled ticks have gone."""

    model_config = like(
        state="running",
        pace_s=1.0,
        tick=17,
        steps_left=0,
        ticks_per_s=1.0,
        orders_per_s=20.0,
        tick_ms_p50=12.1,
        tick_ms_p99=15.3,
        window_ticks=16,
    )

    state: Literal["running", "paused", "finished"] = Field(
        description="`paused`: no tick opens but for the steps that are left; `finished`: after "
        "the last tick of a run with an end"
    )
    pace_s: float = Field(
        ge=0, description="seconds from one opening to the next; 0: as fast as the barrier allows"
    )
    tick: Tick = Field(description="newest tick that was opened; 0 before the first")
    steps_left: int = Field(ge=0, description="ticks that a paused market is still to open")
    ticks_per_s: float | None = Field(description="ticks per second, without pauses")
    orders_per_s: float | None = Field(description="orders per second, without pauses")
    tick_ms_p50: float | None = Field(
        description="from a tick's opening to its commit, the median, ms"
    )
    tick_ms_p99: float | None = Field(description="the same, the 99th percentile, ms")
    window_ticks: int = Field(
        ge=0, le=200, description="settled ticks that rates and times are of, the newest ones"
    )


def _without_default(schema: dict[str, Any]) -> None:
    """What is left out stays as it is, whatever that is."""
    schema.pop("default", None)


class ClockChange(BaseModel):
    """What is to be different from now on; what is left out stays as it is."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"example": {"state": "paused"}, "minProperties": 1},
    )

    state: Literal["running", "paused"] = Field(
        default=cast(Any, None),
        json_schema_extra=_without_default,
        description="`paused`: the open tick is settled and no other opened",
    )
    pace_s: PaceSeconds = Field(default=cast(Any, None), json_schema_extra=_without_default)

    @model_validator(mode="after")
    def _says_something(self) -> ClockChange:
        if not self.model_fields_set:
            raise PydanticCustomError("empty", "nothing is to be changed")
        return self

    @property
    def paused(self) -> bool | None:
        """True to pause, False to run, None to leave it."""
        return self.state == "paused" if "state" in self.model_fields_set else None

    @property
    def new_pace_s(self) -> float | None:
        """The pace that is wanted, None to leave it."""
        return self.pace_s if "pace_s" in self.model_fields_set else None


class ClockSteps(BaseModel):
    """How many ticks a paused market is to open."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"example": {"ticks": 1}}
    )

    ticks: Annotated[int, Field(ge=1, le=1_000, description="ticks"), BeforeValidator(whole)] = 1
