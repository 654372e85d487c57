"""Settings from the environment, checked before anything starts.

A service's settings extend ``Settings``; ``load`` turns the first wrong one into one sentence that
names the variable, its value and what is allowed.
"""

from __future__ import annotations

import socket
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from energymarket.errors import SettingsError

PREFIX = "ENERGYMARKET_"
_HIDDEN = ("URL", "TOKEN", "PASSWORD")


def _url_with(*schemes: str) -> Any:
    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        return value

    return AfterValidator(check)


AmqpUrl = Annotated[str, _url_with("amqp", "amqps")]
RedisUrl = Annotated[str, _url_with("redis", "rediss", "unix")]


class Settings(BaseSettings):
    """What every service knows."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    amqp_url: AmqpUrl = Field(
        default="amqp://guest:guest@127.0.0.1:5672/energymarket",
        description="the RabbitMQ broker, as amqp://user:password@host:port/vhost",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least severe log line to print"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="text for people, json for machines"
    )


SettingsT = TypeVar("SettingsT", bound=Settings)


def load(settings_type: type[SettingsT]) -> SettingsT:
    """The settings in the environment; raises ``SettingsError`` with one sentence."""
    try:
        return settings_type()
    except ValidationError as error:
        raise SettingsError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """One sentence for the first wrong setting: variable, value, what is allowed."""
    first = error.errors(include_url=False)[0]
    variable = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
    value = "…" if variable.endswith(_HIDDEN) else repr(first["input"])
    allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{variable} is {value}; it must be {allowed}."


def without_password(url: str) -> str:
    """``url`` as it may stand in a log: scheme, host, port and path only."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def instance_id(setting: str, fallback: str) -> str:
    """The identity that a home process keeps over restarts.

    ``@hostname`` takes the host name (a container's is kept over its restarts); empty takes
    ``fallback``, which is to be new for each process.
    """
    if setting == "@hostname":
        return socket.gethostname()
    return setting or fallback
