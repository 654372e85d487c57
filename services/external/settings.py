"""What external can be told through the environment."""

from __future__ import annotations

from pydantic import Field

from energymarket.settings import ExporterSettings


class ExternalSettings(ExporterSettings):
    """The settings of ``python -m services.external``."""

    catalogue: str = Field(
        default="standard",
        min_length=1,
        description="which events can happen: standard, classic, or the path of a TOML file",
    )
