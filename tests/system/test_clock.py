"""The clock of a market that is a process: what a pause leaves untouched, and its end."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import System, system

HOMES = 2
AUTHORISED = {"Authorization": "Bearer a-token-for-tests"}


def change(running: System, **body: object) -> dict[str, object]:
    answer = httpx.patch(f"{running.url}/clock", json=body, headers=AUTHORISED, trust_env=False)
    assert answer.status_code == 200, answer.text
    clock: dict[str, object] = answer.json()
    return clock


def test_a_pause_keeps_homes_and_readiness_and_ends_at_once_on_sigterm(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """R23: gone within 3 s; and a market that starts again runs, with the homes it had."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        for number in range(HOMES):
            running.start("home", instance_id=f"home-{number}")
        for name in ("external", "weather"):
            running.start(name)
        settings = {"tick_seconds": 0.02, "start_homes": HOMES, "tick_deadline_seconds": 1}
        settings |= {"lease_seconds": 1}
        market = running.start("market", **settings)
        running.wait_for_tick(5)
        assert change(running, state="paused")["state"] == "paused"
        running.wait_for("rest", lambda: running.get("/readyz").json()["waiting_for"] == ["clock"])
        rested_at = running.tick()
        step = httpx.post(f"{running.url}/clock/step", headers=AUTHORISED, trust_env=False)
        assert step.status_code == 200
        running.wait_for_tick(rested_at + 1)
        running.wait_for("rest", lambda: running.get("/clock").json()["steps_left"] == 0)
        assert running.get("/readyz").status_code == 200
        assert len(running.get("/homes").json()["homes"]) == HOMES
        assert running.tick() == rested_at + 1
        assert market.stop() < 3
        assert market.exit_code == 0
        running.start("market", **settings)
        running.wait_for_tick(rested_at + 5)
        assert running.get("/clock").json()["pace_s"] == 0.02
        assert running.get("/price").json()["homes"] == HOMES
