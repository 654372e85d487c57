"""Two markets on one ledger: one settles, the other reads, and takes over (I6, I7)."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.verify import verify
from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import ServiceProcess, System, system
from tests.system.test_embedded_run import head_hash, plan

HOMES = 3
PACE = {"tick_seconds": 0.02, "tick_deadline_seconds": 0, "start_homes": HOMES}
CHANGES = {"/clock": {"state": "paused"}, "/clock/step": {"ticks": 2}}
AUTHORISED = {"Authorization": "Bearer a-token-for-tests"}


@pytest.fixture
def running(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> Iterator[System]:
    with system(rabbit_server, redis_server, tmp_path) as made:
        for number in range(HOMES):
            made.start("home", instance_id=f"home-{number}")
        made.start("external")
        made.start("weather")
        yield made


def addresses(market: ServiceProcess) -> list[str]:
    """Where a market has said that it serves, the newest last."""
    lines = [line for line in market.text().splitlines() if " market on http" in line]
    return [line.split("market on ")[1].split()[0] for line in lines]


def ask(address: str, path: str) -> Any:
    return httpx.get(f"{address}{path}", timeout=5, trust_env=False).json()


def start_standby(running: System, **settings: object) -> ServiceProcess:
    standby = running.start("market", **(PACE | settings))
    running.wait_for("the standby", lambda: "standing by" in standby.text())
    return standby


def freeze(market: ServiceProcess, ledger: Path) -> None:
    """Stops a market, not in the middle of a transaction: SQLite's own lock would be frozen too."""
    for _ in range(50):
        market.signal(signal.SIGSTOP)
        time.sleep(0.05)
        connection = sqlite3.connect(ledger, timeout=0.1, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            market.signal(signal.SIGCONT)
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("never found the market between two transactions")


def test_a_standby_serves_reads_and_no_writes(running: System) -> None:
    running.start("market", **PACE)
    running.wait_for_tick(5)
    standby = start_standby(running)
    (address,) = addresses(standby)
    assert address != running.url
    assert ask(address, "/run")["role"] == "standby"
    assert ask(running.url, "/run")["role"] == "settling"
    assert ask(address, "/readyz") == {
        "status": "ready",
        "role": "standby",
        "checks": {"ledger": True, "market": True},
        "waiting_for": ["the market that settles"],
    }
    assert ask(address, "/audit")["ok"] is True
    assert [home["id"] for home in ask(address, "/homes")["homes"]] == [1, 2, 3]
    tick = ask(address, "/price")["tick"]
    running.wait_for("news", lambda: ask(address, "/price")["tick"] >= tick + 20)
    prices = {row["tick"]: row for row in ask(running.url, "/prices?from_tick=1")["prices"]}
    same = ask(address, "/prices?from_tick=1&to_tick=6")["prices"]
    assert same == [prices[number] for number in range(1, 6)]
    body = {"name": "war", "coefficient_eur_per_kwh": 0.1, "ttl_ticks": 3}
    answer = httpx.post(f"{address}/events", json=body, headers=AUTHORISED, trust_env=False)
    assert answer.status_code == 503
    assert "ask the market that settles" in answer.json()["detail"]
    assert ask(address, "/clock")["state"] == "running"
    for method, path in (("PATCH", "/clock"), ("POST", "/clock/step")):
        answer = httpx.request(
            method, f"{address}{path}", json=CHANGES[path], headers=AUTHORISED, trust_env=False
        )
        assert answer.status_code == 503
        assert "ask the market that settles" in answer.json()["detail"]


def test_a_standby_takes_over_at_once_on_the_port_of_the_market_that_died(running: System) -> None:
    settings = PACE | {"max_ticks": 200}
    first = running.start("market", **settings)
    running.wait_for_tick(5)
    second = start_standby(running, **settings)
    first.kill()
    begun = time.monotonic()
    running.wait_for("the takeover", lambda: "settling  epoch=2" in second.text())
    print(f"took over {time.monotonic() - begun:.2f} s after the death of the first")
    running.wait_for_tick(200)
    assert ask(running.url, "/run")["role"] == "settling"
    assert ask(running.url, "/run")["head_hash"] == head_hash(plan(200, homes=HOMES))


def test_a_market_that_wakes_after_a_takeover_writes_nothing_and_stands_by(
    running: System,
) -> None:
    """I6: the ledger goes on as if nothing had happened, whoever settles (I7)."""
    settings = PACE | {"max_ticks": 400, "takeover_seconds": 1}
    first = running.start("market", **settings)
    running.wait_for_tick(5)
    second = start_standby(running, **settings)
    freeze(first, running.ledger)
    running.wait_for("the takeover", lambda: "settling  epoch=2" in second.text())
    assert "no sign of life" in second.text()
    (away,) = addresses(second)
    tick = ask(away, "/run")["tick"]
    running.wait_for("ticks by the second", lambda: ask(away, "/run")["tick"] >= tick + 20)
    first.signal(signal.SIGCONT)
    running.wait_for(
        "the first to stand by",
        lambda: (
            "another market has taken over: nothing is written" in first.text()
            and "standing by" in first.text()
        ),
    )
    assert "epoch 1 has ended" in first.text()
    running.wait_for("reads from the first", lambda: running.get("/run").json()["epoch"] == 2)
    assert running.get("/run").json()["role"] == "standby"
    second.kill()
    running.wait_for("the first to take over again", lambda: "epoch=3" in first.text())
    running.wait_for_tick(400)
    assert running.get("/run").json()["head_hash"] == head_hash(plan(400, homes=HOMES))
    assert verify(running.ledger).ticks == 400
    assert epochs_of_ticks(running.ledger) == [1, 2, 3]


def epochs_of_ticks(ledger: Path) -> list[int]:
    """The epochs in the order in which they settled; fails if one comes back."""
    connection = sqlite3.connect(ledger)
    try:
        rows = [row[0] for row in connection.execute("SELECT epoch FROM ticks ORDER BY tick")]
    finally:
        connection.close()
    assert rows == sorted(rows)
    return sorted(set(rows))
