"""Settings of a home process."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from energymarket.messages import MAX_HOMES_PER_FLEET
from energymarket.settings import ExporterSettings
from services.home.domain.profile import PolicyChoice


def _known_policy(text: str) -> str:
    PolicyChoice.parse(text)
    return text


class HomeSettings(ExporterSettings):
    """What a home process reads from the environment."""

    homes_per_replica: int = Field(
        default=1, ge=1, le=MAX_HOMES_PER_FLEET, description="homes that this process hosts"
    )
    home_policy: Annotated[str, AfterValidator(_known_policy)] = Field(
        default="", description="policies of every home; empty draws them per home"
    )
    home_profile: Literal["residential", "classic"] = Field(
        default="residential", description="how homes are drawn"
    )
    instance_id: str = Field(
        default="",
        max_length=64,
        pattern=r"^(@hostname|[A-Za-z0-9_.:-]*)$",
        description="identity kept over restarts; @hostname for containers, empty: a new one",
    )
