"""A wrong setting ends a service at once: exit code 2, one sentence, no password in it (R24)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from energymarket.errors import SettingsError
from energymarket.settings import PREFIX, Settings, instance_id, load, without_password
from services.external.settings import ExternalSettings
from services.home.settings import HomeSettings
from services.market.settings import MarketSettings
from services.weather.settings import WeatherSettings

ROOT = Path(__file__).resolve().parents[2]

CLASSES: dict[str, type[Settings]] = {
    "market": MarketSettings,
    "home": HomeSettings,
    "weather": WeatherSettings,
    "external": ExternalSettings,
}

AMQP = (
    "a URL that begins with amqp:// or amqps://, names a host, and has / ? # @ in a password as "
    "%2F %3F %23 %40"
)
REDIS = AMQP.replace("amqp:// or amqps://", "redis:// or rediss:// or unix://")
SQLITE = "a SQLite URL, such as sqlite:////var/lib/energymarket/ledger.db"
POLICY = (
    "one of give_only, sell_only, sell_if_none, or one of ask_only, buy_only, buy_if_none, or one "
    "of each joined by + (such as sell_only+ask_only)"
)
INSTANCE = "a text of at most 64 characters, of the form ^(@hostname|[A-Za-z0-9_.:-]*)$"


class Wrong(NamedTuple):
    """Values that a setting does not take, and what the sentence says that it takes."""

    values: tuple[str, ...]
    allowed: str


NOT_WHOLE = ("", "abc", "1.5", "1e3", "nan", "0x10", "٣", "1,000")
NO_NUMBER = ("", "abc", "nan", "inf", "-inf", "1e400", "1,5", "-0.1")

_EVERYWHERE = {
    "amqp_url": Wrong(
        ("", "localhost", "http://broker/", "amqp://", "amqp:/broker", "amqp://broker:rabbit/"),
        AMQP,
    ),
    "log_level": Wrong(("", "INFO", "loud"), "one of debug, info, warning, error"),
    "log_format": Wrong(("", "xml"), "one of text, json"),
}
_REDIS_URL = Wrong(("", "http://redis/", "redis://", "redis://redis:70000/0", "unix://"), REDIS)
_EXPORTER = {
    "metrics_port": Wrong((*NOT_WHOLE, "-1", "65536"), "a whole number from 0 to 65535"),
    "metrics_host": Wrong(("",), "a text of at least 1 character"),
}

WRONG: dict[str, dict[str, Wrong]] = {
    "market": {
        **_EVERYWHERE,
        "redis_url": _REDIS_URL,
        "ledger_url": Wrong(("", "ledger.db", "postgresql://db/ledger"), SQLITE),
        "seed": Wrong(
            (*NOT_WHOLE, "-1", str(2**63)), "a whole number from 0 to 9223372036854775807"
        ),
        "tick_seconds": Wrong((*NO_NUMBER, "86401"), "a number from 0 to 86400"),
        "tick_deadline_seconds": Wrong((*NO_NUMBER, "1201"), "a number from 0 to 1200"),
        "max_ticks": Wrong((*NOT_WHOLE, "-1"), "a whole number, at least 0"),
        "start_homes": Wrong((*NOT_WHOLE, "0", "1000001"), "a whole number from 1 to 1000000"),
        "price_model": Wrong(("", "Classic", "free"), "one of normalised, classic"),
        "credit_limit_eur": Wrong((*NO_NUMBER, "1e7"), "a number from 0 to 1000000, or unset"),
        "lease_seconds": Wrong((*NO_NUMBER, "0", "1e6"), "a number, above 0 and at most 86400"),
        "takeover_seconds": Wrong((*NO_NUMBER, "86401"), "a number from 0 to 86400"),
        "history_ticks": Wrong((*NOT_WHOLE, "-1"), "a whole number, at least 0"),
        "history_mib": Wrong((*NOT_WHOLE, "-1"), "a whole number from 0 to 16777216"),
        "max_orders_in_flight": Wrong(
            (*NOT_WHOLE, "99", "65536"), "a whole number from 100 to 65535"
        ),
        "port": Wrong((*NOT_WHOLE, "-1", "65536"), "a whole number from 0 to 65535"),
        "trace_ratio": Wrong((*NO_NUMBER, "1.1"), "a number from 0 to 1"),
    },
    "home": {
        **_EVERYWHERE,
        **_EXPORTER,
        "homes_per_replica": Wrong(
            (*NOT_WHOLE, "0", "1000001"), "a whole number from 1 to 1000000"
        ),
        "home_policy": Wrong(
            (
                "GIVE_ONLY",
                "give",
                "give_only,ask_only",
                "give_only+",
                "+ask_only",
                "give_only+sell_only",
                "ask_only+buy_only",
                "give_only+ask_only+buy_only",
            ),
            POLICY,
        ),
        "home_profile": Wrong(("", "rich"), "one of residential, classic"),
        "instance_id": Wrong(("a b", "ä", "@host", "a\n", "x" * 65), INSTANCE),
    },
    "weather": {
        **_EVERYWHERE,
        **_EXPORTER,
        "redis_url": _REDIS_URL,
        "climate": Wrong(
            ("", "tropical"), "one of temperate, mediterranean, nordic, classic"
        ),
    },
    "external": {
        **_EVERYWHERE,
        **_EXPORTER,
        "catalogue": Wrong(("",), "a text of at least 1 character"),
    },
}  # fmt: skip

NOT_SHOWN = {
    *("localhost", "amqp://", "amqp:/broker", "amqp://broker:rabbit/"),
    *("redis://", "redis://redis:70000/0", "unix://", "ledger.db"),
}
"""No whole URLs: what would be a password in them cannot be told."""

TAKE_ANYTHING = {("market", "api_host"), ("market", "api_token")}

CASES = [
    pytest.param(service, name, value, wrong.allowed, id=f"{service}-{name}-{value[:12]!r}")
    for service, settings_ in WRONG.items()
    for name, wrong in settings_.items()
    for value in wrong.values
]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)


def _sentence(service: str) -> str:
    with pytest.raises(SettingsError) as wrong:
        load(CLASSES[service])
    return str(wrong.value)


# ---------------------------------------------------------------------------------- the sentences


@pytest.mark.parametrize(("service", "name", "value", "allowed"), CASES)
def test_a_wrong_setting_is_one_sentence_with_variable_value_and_what_is_allowed(
    service: str, name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R24."""
    variable = PREFIX + name.upper()
    monkeypatch.setenv(variable, value)
    sentence = _sentence(service)
    assert sentence.startswith(f"{variable} is ")
    assert sentence.endswith(f"; it must be {allowed}.")
    shown = sentence.removeprefix(f"{variable} is ").removesuffix(f"; it must be {allowed}.")
    hidden = value in NOT_SHOWN or (name.endswith("url") and not value)
    assert shown == ("…" if hidden else repr(value))
    assert "\n" not in sentence


@pytest.mark.parametrize("service", CLASSES)
def test_every_setting_of_every_service_is_checked_or_known_to_take_anything(service: str) -> None:
    """A new setting has to be put into the table above."""
    free = {name for owner, name in TAKE_ANYTHING if owner == service}
    assert set(CLASSES[service].model_fields) == set(WRONG[service]) | free


@pytest.mark.parametrize("service", CLASSES)
def test_every_setting_says_what_it_is_for(service: str) -> None:
    assert all(field.description for field in CLASSES[service].model_fields.values())


@pytest.mark.parametrize("service", CLASSES)
def test_without_any_setting_a_service_has_its_defaults(service: str) -> None:
    chosen = load(CLASSES[service])
    defaults = {name: field.default for name, field in CLASSES[service].model_fields.items()}
    assert chosen.model_dump() == defaults


@pytest.mark.parametrize(
    ("service", "name", "value", "expected"),
    [
        ("market", "amqp_url", "amqps://u:p%2F%40@broker:5671/vhost", None),
        ("market", "redis_url", "unix:///run/redis.sock", None),
        ("market", "redis_url", "rediss://u:p@[::1]:6380/0", None),
        ("market", "ledger_url", "sqlite:////var/lib/ledger.db", None),
        ("market", "seed", "9223372036854775807", 2**63 - 1),
        ("market", "tick_seconds", "0", 0.0),
        ("market", "tick_seconds", "0.25", 0.25),
        ("market", "tick_deadline_seconds", "1200", 1200.0),
        ("market", "credit_limit_eur", "0", 0.0),
        ("market", "port", "0", 0),
        ("home", "home_policy", "", None),
        ("home", "home_policy", "buy_only", None),
        ("home", "home_policy", "sell_only+ask_only", None),
        ("home", "home_policy", "ask_only + sell_only", None),
        ("home", "instance_id", "@hostname", None),
        ("home", "instance_id", "", None),
        ("external", "catalogue", "/etc/events.toml", None),
    ],
)
def test_a_right_setting_is_taken(
    service: str, name: str, value: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R24."""
    monkeypatch.setenv(PREFIX + name.upper(), value)
    assert getattr(load(CLASSES[service]), name) == (value if expected is None else expected)


def test_variables_of_others_and_a_dot_env_are_none_of_a_services_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root's .env is for Docker Compose, and says things that no service knows."""
    (tmp_path / ".env").write_text("COMPOSE_FILE=x\nENERGYMARKET_SEED=no number\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PREFIX + "RABBITMQ_MARKET_PASSWORD", "x")
    assert load(MarketSettings).seed == 42


def test_a_very_long_value_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "SEED", "x" * 100_000)
    assert len(_sentence("market")) < 300


# ------------------------------------------------------------------------------------ no passwords


@pytest.mark.parametrize("service", CLASSES)
@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@host/",
        "amqp://user:hunter2@host:port/",
        "amqp://user:hunter2",
        "user:hunter2@host",
        "amqp:user:hunter2@host",
        "hunter2",
        "amqp://user:12/hunter2@host/vhost",
        "amqp://user:hunter2#@host/vhost",
        "amqp://user:hunter2?@host/vhost",
        "amqp://user:[hunter2@host/vhost",
        "http://host/?password=hunter2",
    ],
)
def test_a_password_in_a_wrong_url_is_not_shown(
    service: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it in the errors that this one came from, which a traceback would print."""
    monkeypatch.setenv(PREFIX + "AMQP_URL", url)
    with pytest.raises(SettingsError) as wrong:
        load(CLASSES[service])
    error: BaseException | None = wrong.value
    assert error is not None
    assert error.__suppress_context__ or error.__context__ is None
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__


def test_a_wrong_token_would_not_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Guarded(Settings):
        api_token: int = 0

    monkeypatch.setenv(PREFIX + "API_TOKEN", "hunter2")
    with pytest.raises(SettingsError) as wrong:
        load(Guarded)
    assert str(wrong.value) == "ENERGYMARKET_API_TOKEN is …; it must be a whole number."


@given(st.text(max_size=20))
@example("a/b")
@example("12/b")
@example("a@b")
@example("a?b")
@example("a#b")
@example("[")
@settings(deadline=None)
def test_a_url_in_a_log_shows_where_it_leads_and_nothing_of_its_password(password: str) -> None:
    """Also where the password was not percent-encoded, and cuts the URL into odd parts."""
    shown = without_password(f"amqp://user:{password}@host:5672/vhost")
    assert shown in ("amqp://host:5672/vhost", "…")


@given(st.text(max_size=40))
@settings(deadline=None)
def test_what_is_no_url_can_be_logged_too(text: str) -> None:
    assert isinstance(without_password(text), str)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://guest:guest@127.0.0.1:5672/energymarket", "amqp://127.0.0.1:5672/energymarket"),
        ("redis://redis/0", "redis://redis/0"),
        ("redis://:p%40@[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://redis/0?password=p", "redis://redis/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis://redis:port/0", "…"),
        ("", "…"),
    ],
)
def test_a_url_is_logged_with_scheme_host_port_and_path(url: str, shown: str) -> None:
    assert without_password(url) == shown


# -------------------------------------------------------------------------------------- identities


def test_an_instance_is_who_it_is_told_to_be_or_its_host_or_someone_new() -> None:
    """R2: a container keeps its host name over a restart."""
    assert instance_id("home-1", fallback="new") == "home-1"
    assert instance_id("@hostname", fallback="new") == socket.gethostname()
    assert instance_id("", fallback="new") == "new"


# ----------------------------------------------------------------------------------- real processes


def _start(service: str, **environment: str | bytes) -> subprocess.CompletedProcess[bytes]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
    return subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT,
        env={**{k: v.encode() for k, v in inherited.items()}, **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("service", "variable", "value", "shown", "allowed"),
    [
        ("market", "SEED", b"abc", "'abc'", "a whole number from 0 to 9223372036854775807"),
        ("market", "SEED", b"\xff", r"'\udcff'", "a whole number from 0 to 9223372036854775807"),
        ("market", "REDIS_URL", b"redis://:hunter2@redis:x/0", "…", REDIS),
        ("home", "HOME_POLICY", b"give", "'give'", POLICY),
        ("home", "AMQP_URL", b"http://u:hunter2@broker/", "'http://broker/'", AMQP),
        ("weather", "LOG_LEVEL", b"loud", "'loud'", "one of debug, info, warning, error"),
        ("external", "LOG_FORMAT", b"xml", "'xml'", "one of text, json"),
    ],
)
def test_a_service_with_a_wrong_setting_ends_with_code_2_and_that_sentence_alone(
    service: str, variable: str, value: bytes, shown: str, allowed: str
) -> None:
    """R24."""
    ended = _start(service, **{PREFIX + variable: value})
    sentence = f"{PREFIX}{variable} is {shown}; it must be {allowed}.\n"
    assert ended.returncode == 2
    assert ended.stdout == b""
    assert ended.stderr.decode() == sentence
