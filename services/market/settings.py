"""Settings of the market."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from energymarket.settings import RedisUrl, Settings
from services.market.domain.pricing import PRICE_MODELS
from services.market.pacing import LONGEST_PACE_S


def _known_model(name: str) -> str:
    if name not in PRICE_MODELS:
        raise ValueError(f"one of {', '.join(PRICE_MODELS)}")
    return name


def _sqlite_url(url: str) -> str:
    if url != "sqlite://" and not url.startswith("sqlite:///"):
        raise ValueError("a SQLite URL, such as sqlite:////var/lib/energymarket/ledger.db")
    return url


class MarketSettings(Settings):
    """What the market reads from the environment."""

    redis_url: RedisUrl = Field(
        default="redis://127.0.0.1:6379/0", description="where weather leaves the temperatures"
    )
    ledger_url: Annotated[str, AfterValidator(_sqlite_url)] = Field(
        default="sqlite:///ledger.db", description="where the ledger is kept"
    )
    seed: int = Field(default=42, ge=0, le=2**63 - 1, description="the luck of this world")
    tick_seconds: float = Field(
        default=1.0,
        ge=0,
        le=LONGEST_PACE_S,
        description="pace; 0 is as fast as the barrier allows",
    )
    tick_deadline_seconds: float = Field(
        default=5.0, ge=0, le=1_200, description="longest wait for orders; 0 waits for all"
    )
    max_ticks: int = Field(default=0, ge=0, description="ticks to settle; 0 is without end")
    start_homes: int = Field(
        default=1, ge=1, le=1_000_000, description="homes that must have joined before tick 1"
    )
    price_model: Annotated[str, AfterValidator(_known_model)] = Field(
        default="normalised", description="how the price is made"
    )
    credit_limit_eur: float | None = Field(
        default=None, ge=0, le=1_000_000, description="debt beyond which a home may not buy"
    )
    lease_seconds: float = Field(
        default=30.0, gt=0, le=86_400, description="silence after which a home's id is free"
    )
    takeover_seconds: float = Field(
        default=10.0,
        ge=0,
        le=86_400,
        description="silence of the market that settles after which a standby takes over though "
        "it lives; 0 waits until it has ended",
    )
    history_ticks: int = Field(
        default=100_000,
        ge=0,
        description="ticks that the ledger keeps at least; older ones are trimmed; 0 keeps all",
    )
    history_mib: int = Field(
        default=1_024,
        ge=0,
        le=2**24,
        description="size from which the ledger keeps fewer ticks, in MiB; 0 is no bound",
    )
    max_orders_in_flight: int = Field(
        default=20_000,
        ge=100,
        le=65_535,
        description="order messages taken from the broker and not yet settled",
    )
    api_host: str = Field(
        default="127.0.0.1", min_length=1, description="address that the API listens on"
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="port of the API")
    api_token: str = Field(
        default="", description="bearer token for writes; empty makes one and logs it once"
    )
    trace_ratio: float = Field(
        default=1.0, ge=0, le=1, description="share of ticks to trace, where spans have a collector"
    )

    def shown(self) -> dict[str, object]:
        """The settings that anyone may see: no token, and no address with a password in it."""
        hidden = {"amqp_url", "redis_url", "ledger_url", "api_token"}
        return {name: value for name, value in self.model_dump().items() if name not in hidden}
