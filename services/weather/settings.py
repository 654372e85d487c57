"""What weather can be told through the environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from energymarket.settings import ExporterSettings, RedisUrl
from services.weather.domain.climate import CLIMATES


def _known_climate(name: str) -> str:
    if name not in CLIMATES:
        raise ValueError(f"one of {', '.join(CLIMATES)}")
    return name


class WeatherSettings(ExporterSettings):
    """The settings of ``python -m services.weather``."""

    redis_url: RedisUrl = Field(
        default="redis://127.0.0.1:6379/0",
        description="the Redis that the market reads, as redis://user:password@host:port/0",
    )
    climate: Annotated[str, AfterValidator(_known_climate)] = Field(
        default="temperate", description=f"the weather to have: {', '.join(CLIMATES)}"
    )
