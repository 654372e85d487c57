"""The services as processes over a real RabbitMQ and Redis, against the embedded run."""

from __future__ import annotations

import signal
from pathlib import Path

from services.market.domain.rules import Rules
from services.market.ledger import Ledger
from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import System, system
from tests.system.test_embedded_run import head_hash, plan

HOMES, TICKS = 20, 100


def test_twenty_home_processes_end_in_the_hash_of_the_embedded_run(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """I7, R1, R25: same seed, same roster, no deadline, 100 ticks."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        start_all(running, tick_seconds=0, tick_deadline_seconds=0, max_ticks=TICKS)
        running.wait_for_tick(TICKS, timeout_s=120)
        head = running.get("/run").json()["head_hash"]
        audit = running.get("/audit").json()
        stopping = [process.stop() for process in reversed(running.processes)]
    assert head == head_hash(plan(TICKS, homes=HOMES))
    assert audit["ok"]
    assert audit["energy_residual_wh"] == audit["money_residual_neur"] == 0
    assert max(stopping) < 3
    assert [process.exit_code for process in running.processes] == [0] * (HOMES + 3)
    assert every_log_has_a_line_per_tick(running)
    assert "guest:" not in running.logs()


def start_all(running: System, *, homes: int = HOMES, **market: object) -> None:
    """All services; homes first, to show that the order does not matter."""
    for _ in range(homes):
        running.start("home")
    running.start("external")
    running.start("weather")
    running.start("market", start_homes=homes, **market)


def every_log_has_a_line_per_tick(running: System) -> bool:
    """R22: each service logs one clear line per tick."""
    return all(
        sum(f" tick {tick} " in line for line in process.text().splitlines()) >= 1
        for process in running.processes
        for tick in (1, TICKS // 2, TICKS)
    )


def test_a_killed_market_and_a_killed_home_change_no_bit_of_the_ledger(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """I5, I6, I7: SIGKILL in the middle of ticks, then the same processes again."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        settings = {"tick_seconds": 0, "tick_deadline_seconds": 0, "max_ticks": 150}
        for number in range(4):
            running.start("home", instance_id=f"home-{number}")
        running.start("external")
        running.start("weather")
        market = running.start("market", start_homes=4, **settings)
        for round_number in range(1, 4):
            running.wait_for_tick(30 * round_number)
            market.kill()
            market = running.start("market", start_homes=4, **settings)
            victim = running.processes[round_number]
            victim.kill()
            running.start("home", instance_id=f"home-{round_number}")
        running.wait_for_tick(150)
        head = running.get("/run").json()["head_hash"]
    assert head == head_hash(plan(150, homes=4))
    ledger = Ledger.open(f"sqlite:///{running.ledger}", Rules(seed=42))
    assert ledger.raise_epoch(0) == 5
    ledger.close()


def test_services_wait_for_a_broker_and_a_store_that_come_later(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """They say so once, with the address and without the password, and go on."""
    rabbit = RabbitServer()
    redis = RedisServer(tmp_path)
    try:
        with system(rabbit, redis, tmp_path) as running:
            start_all(running, homes=2, tick_seconds=0.05)
            running.wait_for(
                "every service to say what it waits for",
                lambda: all("WARNING" in process.text() for process in running.processes),
            )
            rabbit.start()
            running.wait_for(
                "the market to miss Redis",
                lambda: "waiting for the weather store" in running.processes[-1].text(),
            )
            redis.start()
            running.wait_for_tick(5)
            for process in running.processes:
                text = process.text()
                assert rabbit.password not in text
                assert f"127.0.0.1:{rabbit.port}" in text
                assert sum("WARNING" in line for line in text.splitlines()) <= 4
    finally:
        redis.stop()
        rabbit.remove()


def test_a_stopped_home_is_absent_and_comes_back_by_itself(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """I3: with a deadline the barrier cannot hang."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        start_all(running, homes=3, tick_seconds=0.05, tick_deadline_seconds=0.5)
        running.wait_for_tick(5)
        running.processes[0].signal(signal.SIGSTOP)
        running.wait_for(
            "an absence", lambda: any(home["status"] == "absent" for home in homes(running))
        )
        running.wait_for_tick(running.tick() + 10)
        running.processes[0].signal(signal.SIGCONT)
        running.wait_for(
            "all to be back", lambda: all(home["status"] == "active" for home in homes(running))
        )
        assert running.get("/audit").json()["ok"]


def homes(running: System) -> list[dict[str, object]]:
    found: list[dict[str, object]] = running.get("/homes").json()["homes"]
    return found
