"""``/run``, ``/audit``, the probes and the metrics of a real market over a real socket."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from energymarket.errors import WeatherStoreUnavailable
from services.market.errors import LedgerUnavailable
from services.market.ledger import History, Ledger
from services.market.settings import MarketSettings
from tests.live_api import LiveApi
from tests.world import World

HASH = re.compile(r"[0-9a-f]{64}")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[LiveApi]:
    """A market that has settled five ticks into a file."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=3)
    world.turn_until_tick(5)
    settings = MarketSettings(
        api_token="very secret",
        amqp_url="amqp://user:password@broker/energymarket",
        redis_url="redis://user:password@redis:6379/0",
    )
    live = LiveApi(world, settings=settings.shown())
    yield live
    live.close()


def test_the_run_says_what_it_is(api: LiveApi) -> None:
    """R24, R25: identity, progress, settings, versions."""
    view = api.world.market.view
    run = api.get("/run")
    assert (run["run"], run["seed"], run["epoch"]) == (view.run, 42, 1)
    assert (run["tick"], run["head_hash"]) == (5, view.head_hash)
    assert HASH.fullmatch(run["head_hash"])
    assert run["settings"]["tick_deadline_seconds"] == 5.0
    assert {"python", "energymarket", "fastapi", "pika", "redis", "msgspec", "sqlalchemy"} <= set(
        run["versions"]
    )


def test_the_run_shows_no_secret(api: LiveApi) -> None:
    """R24: neither token nor password, nor the key that fleets' secrets are made of."""
    text = api.ask("/run").text
    assert "secret" not in text
    assert "password" not in text
    assert api.world.market.books.world.fleet_secret_key.hex() not in text


def test_the_audit_shows_every_invariant_with_its_residual(api: LiveApi) -> None:
    """R13: nothing is lost; each residual is 0."""
    audit = api.get("/audit")
    assert audit["ok"] is True
    assert (audit["tick"], audit["since_tick"], audit["ticks_checked"]) == (5, 1, 5)
    for name in ("energy_residual_wh", "gifts_residual_wh", "money_residual_neur"):
        assert audit[name] == 0
    assert audit["bounds_violations"] == 0
    assert audit["outcomes_violations"] == 0
    assert (audit["late_messages"], audit["refused_messages"]) == (0, 0)
    assert [i["name"] for i in audit["invariants"]] == [
        *("energy", "bounds", "gifts", "money", "outcomes", "replay")
    ]
    assert all(invariant["residual"] == 0 for invariant in audit["invariants"])


def test_the_audit_counts_messages_that_were_late_or_refused(api: LiveApi) -> None:
    """R13: for any reason; the invariants hold all the same."""
    metrics = api.world.market.metrics
    metrics.late.inc(2)
    metrics.refused.labels("malformed").inc()
    metrics.refused.labels("trimmed").inc(3)
    audit = api.get("/audit")
    assert (audit["late_messages"], audit["refused_messages"]) == (2, 4)
    assert audit["ok"] is True


def test_the_audit_reads_the_ledger_back(api: LiveApi) -> None:
    """I5, I6."""
    replay = api.get("/audit")["replay"]
    assert replay == {
        "from_tick": 1,
        "to_tick": 5,
        "head_hash": api.get("/run")["head_hash"],
        "complete": True,
        "fault": None,
    }
    api.world.turn_until_tick(8)
    assert api.get("/audit")["replay"]["to_tick"] == 8


def test_the_audit_names_what_is_wrong_in_the_ledger(api: LiveApi) -> None:
    """I5: behind the market's back, and for as long as it serves."""
    connection = sqlite3.connect(api.world.url.removeprefix("sqlite:///"))
    connection.execute("UPDATE ticks SET hash = zeroblob(32) WHERE tick = 3")
    connection.commit()
    connection.close()
    for _ in range(2):
        audit = api.get("/audit")
        assert audit["ok"] is False
        assert audit["replay"]["fault"] == "tick 3: the hash chain is broken (I5)"
        assert {i["name"]: i["residual"] for i in audit["invariants"]}["replay"] == 1


def test_the_audit_of_a_restarted_market_says_since_when_it_looks(api: LiveApi) -> None:
    """R13: residuals are sums since this process started; the epoch counts the take-overs."""
    api.world.restart_market()
    api.world.turn_until_tick(8)
    again = LiveApi(api.world)
    try:
        audit = again.get("/audit")
        assert (audit["epoch"], audit["since_tick"]) == (2, 6)
        assert audit["ticks_checked"] == audit["tick"] - 5
    finally:
        again.client.close()
        again.server.stop()


def test_alive_depends_on_nothing(api: LiveApi) -> None:
    """R25: also while the market stands still and the broker is away."""
    api.world.broker.stop()
    api.world.turn()
    assert api.get("/livez") == {"status": "alive"}


def test_ready_names_what_it_reaches(api: LiveApi) -> None:
    """R25: broker, Redis and ledger."""
    assert api.get("/readyz") == {
        "status": "ready",
        "role": "settling",
        "checks": {"broker": True, "redis": True, "ledger": True, "market": True},
        "waiting_for": [],
    }


def test_without_the_broker_it_is_not_ready(api: LiveApi) -> None:
    """R25: and is again when the broker is back."""
    api.world.broker.stop()
    api.world.turn()
    problem = api.problem("/readyz", 503)
    assert problem["checks"] == {"broker": False, "redis": True, "ledger": True, "market": True}
    assert problem["waiting_for"] == ["broker"]
    assert problem["detail"] == "not ready: broker does not answer"
    api.world.broker.start()
    api.world.turn(5)
    assert api.get("/readyz")["status"] == "ready"


def test_without_the_weather_store_it_is_not_ready(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R20, R25: as soon as the market needs the store and gets no answer."""

    def gone(run: str, from_tick: int) -> dict[int, int]:
        raise WeatherStoreUnavailable("the weather store does not answer")

    monkeypatch.setattr(api.world.store, "read", gone)
    api.world.pass_time(20)
    problem = api.problem("/readyz", 503)
    assert problem["checks"]["redis"] is False
    assert problem["waiting_for"] == ["weather"]
    monkeypatch.undo()
    api.world.pass_time(3)
    assert api.get("/readyz")["checks"]["redis"] is True


def test_without_the_ledger_it_is_not_ready_and_goes_on_answering(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R25: a disk that is full; what is known is still told."""

    def full(*_args: object, **_names: object) -> None:
        raise LedgerUnavailable("the ledger cannot store tick 6: disk full")

    monkeypatch.setattr(Ledger, "commit", full)
    api.world.pass_time(2)
    problem = api.problem("/readyz", 503)
    assert problem["checks"] == {"broker": True, "redis": True, "ledger": False, "market": True}
    assert api.get("/price")["tick"] == 6
    assert api.get("/prices", limit=1)["prices"][0]["tick"] == 5
    monkeypatch.undo()
    api.world.pass_time(3)
    assert api.get("/readyz")["checks"]["ledger"] is True


def test_a_market_whose_thread_hangs_is_not_ready(api: LiveApi) -> None:
    """R25: it would answer for ever with the same price."""
    api.world.clock.time_s += 10
    problem = api.problem("/readyz", 503)
    assert problem["detail"] == "not ready: market does not answer"
    api.world.turn()
    assert api.get("/readyz")["checks"]["market"] is True


def test_a_ledger_that_cannot_be_read_is_503(api: LiveApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """R25: what needs the past says so, what does not goes on."""

    def unreadable(*_args: object, **_names: object) -> None:
        raise LedgerUnavailable("the ledger cannot be read: disk I/O error")

    monkeypatch.setattr(History, "prices", unreadable)
    answer = api.ask("/prices")
    assert answer.headers["retry-after"] == "1"
    assert "disk I/O error" in api.problem("/prices", 503)["detail"]
    assert api.get("/weather")["now"]


def test_a_market_that_waits_for_homes_is_ready_and_says_so() -> None:
    """R25: orchestrators start homes after the market is ready."""
    world = World("sqlite://", homes=1)
    world.homes[0].stopped = True
    live = LiveApi(world)
    try:
        world.turn(4)
        ready = live.get("/readyz")
        assert (ready["status"], ready["waiting_for"]) == ("ready", ["homes"])
    finally:
        live.close()


def test_the_metrics_are_the_markets_and_the_apis(api: LiveApi) -> None:
    """R25: in Prometheus' own format, without one label per home or address."""
    for path in ("/price", "/prices/1", "/prices/2", "/homes/2", "/nowhere/1", "/nowhere/2"):
        api.ask(path)
    answer = api.ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["energymarket_ticks"].samples[0].value == 5
    requests = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for sample in families["energymarket_api_requests"].samples
        if sample.name.endswith("_total")
    }
    assert requests["/prices/{tick}", "200"] == 2
    assert requests["other", "404"] == 2
    assert "energymarket_api_request_seconds" in families


def test_prices_that_were_read_are_the_prices_of_the_metrics(api: LiveApi) -> None:
    """R15: two ways to watch one number."""
    families = text_string_to_metric_families(api.ask("/metrics").text)
    gauge = next(f for f in families if f.name == "energymarket_price_eur_per_kwh")
    assert gauge.samples[0].value == api.get("/price")["price_eur_per_kwh"]


def test_numbers_for_people_are_json_numbers(api: LiveApi) -> None:
    """R15: not strings, and without the noise of a float."""
    text = api.ask("/price").text
    price = json.loads(text)
    assert isinstance(price["price_eur_per_kwh"], float)
    shown = re.search(r'"price_eur_per_kwh":([0-9.]+)', text)
    assert shown is not None
    assert len(shown.group(1).partition(".")[2]) <= 6
