"""What external can be told through the environment."""

from __future__ import annotations

from pydantic import Field

from energymarket.settings import ExporterSettings
from services.external.catalogue_file import shipped_catalogues


class ExternalSettings(ExporterSettings):
    """The settings of ``python -m services.external``."""

    catalogue: str = Field(
        default="standard",
        min_length=1,
        description=f"which events can happen: {', '.join(shipped_catalogues())}, or the path of a "
        "TOML file",
    )
