"""Settings from the environment, checked before anything starts.

A service's settings extend ``Settings``; ``load`` turns the first wrong one into one sentence that
names the variable, its value and what is allowed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, TypeVar, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from energymarket.errors import SettingsError

PREFIX = "ENERGYMARKET_"
OTLP_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
HIDDEN: Final = "…"
_SECRET = ("TOKEN", "PASSWORD", "SECRET")
_LARGEST_PORT: Final = 65_535
_LONGEST_SHOWN: Final = 100


def _url_with(*schemes: str) -> Any:
    def check(value: str) -> str:
        parts = _well_formed(value)
        place = parts and (parts.path if parts.scheme == "unix" else parts.hostname)
        if not parts or parts.scheme not in schemes or not place:
            begin = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(
                f"a URL that begins with {begin}, names a host, and has / ? # @ in a password as "
                "%2F %3F %23 %40"
            )
        return value

    return AfterValidator(check)


def _well_formed(url: str) -> SplitResult | None:
    """The parts of a URL that means what it seems to; None for anything else.

    A password with an unescaped ``/``, ``?`` or ``#`` cuts the URL short and leaves its ``@`` (and
    the rest of the password) behind in a part that one would show.
    """
    try:
        parts = urlsplit(url)
        if (parts.port or 0) > _LARGEST_PORT:
            return None
    except ValueError:  # no IPv6 address, or a port that is no number
        return None
    begins = parts.scheme and url[len(parts.scheme) :].startswith("://")
    whole = "@" not in parts.path + parts.query + parts.fragment
    return parts if begins and (parts.netloc or parts.path) and whole else None


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


class ExporterSettings(Settings):
    """Of a service whose only server is the one of its metrics."""

    metrics_host: str = Field(
        default="127.0.0.1", min_length=1, description="address that the metrics are served on"
    )
    metrics_port: int = Field(
        default=0, ge=0, le=_LARGEST_PORT, description="port of the metrics; 0 serves none"
    )


SettingsT = TypeVar("SettingsT", bound=Settings)


def load(settings_type: type[SettingsT]) -> SettingsT:
    """The settings in the environment; raises ``SettingsError`` with one sentence."""
    try:
        return settings_type()
    except ValidationError as error:
        # Not chained: pydantic's own text shows the value, and that may be a password.
        raise SettingsError(explain(error, settings_type)) from None


def otlp_endpoint() -> str:
    """Where spans go, by the name that OpenTelemetry gives it everywhere; empty: nowhere.

    Raises ``SettingsError``.
    """
    url = os.environ.get(OTLP_ENDPOINT, "")
    parts = _well_formed(url)
    if url and not (parts and parts.scheme in ("http", "https") and parts.hostname):
        shown = _shown("URL", url)
        raise SettingsError(f"{OTLP_ENDPOINT} is {shown}; it must be an http:// or https:// URL.")
    return url


def opentelemetry_variables() -> list[str]:
    """The names of those that are set and are OpenTelemetry's own, which checks their values."""
    return sorted(name for name in os.environ if name.startswith("OTEL_"))


def explain(error: ValidationError, settings_type: type[Settings]) -> str:
    """One sentence for the first wrong setting: variable, value, what is allowed."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    variable = PREFIX + name.upper()
    field = settings_type.model_fields[name]
    allowed = _allowed(field) or first["msg"].removeprefix("Value error, ")
    if field.default is None:
        allowed += ", or unset"
    return f"{variable} is {_shown(variable, str(first['input']))}; it must be {allowed}."


def _shown(variable: str, value: str) -> str:
    """The value as it may be printed: no password, no token."""
    if variable.endswith(_SECRET):
        return HIDDEN
    if variable.endswith("URL"):
        shown = without_password(value)
        return shown if shown == HIDDEN else repr(shown)
    return repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…")


def _allowed(field: FieldInfo) -> str:
    """What a field takes, read off its type; empty when only its own check can say."""
    kind = field.annotation
    if choices := [str(choice) for choice in get_args(kind) if isinstance(choice, str)]:
        return f"one of {', '.join(choices)}"
    kinds = get_args(kind) or (kind,)
    if int in kinds:
        return "a whole number" + _range(field.metadata)
    if float in kinds:
        return "a number" + _range(field.metadata)
    return _text(field.metadata)


def _range(metadata: Iterable[Any]) -> str:
    """`` from 1 to 9``, or what there is of it."""
    limits = {
        name: value
        for limit in metadata
        for name in ("ge", "gt", "le", "lt")
        if (value := getattr(limit, name, None)) is not None
    }
    if {"ge", "le"} <= set(limits):
        return f" from {limits['ge']} to {limits['le']}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    said = [f"{words[name]} {value}" for name, value in limits.items()]
    return f", {' and '.join(said)}" if said else ""


def _text(metadata: Iterable[Any]) -> str:
    said = []
    for limit in metadata:
        if shortest := getattr(limit, "min_length", None):
            said.append(f"of at least {_characters(shortest)}")
        if longest := getattr(limit, "max_length", None):
            said.append(f"of at most {_characters(longest)}")
        if pattern := getattr(limit, "pattern", None):
            said.append(f"of the form {pattern}")
    return f"a text {', '.join(said)}" if said else ""


def _characters(count: int) -> str:
    return f"{count} character{'s' if count != 1 else ''}"


def without_password(url: str) -> str:
    """``url`` as it may stand in a log: scheme, host, port and path only.

    One of which that cannot be told for certain is not shown at all.
    """
    parts = _well_formed(url)
    if parts is None:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def instance_id(setting: str, fallback: str) -> str:
    """The identity that a home process keeps over restarts.

    ``@hostname`` takes the host name (a container's is kept over its restarts); empty takes
    ``fallback``, which is to be new for each process.
    """
    if setting == "@hostname":
        return socket.gethostname()
    return setting or fallback
