"""The ledger's disk is full: nothing is acknowledged, nothing is lost, and it goes on by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.verify import verify
from services.market.domain.rules import Rules
from services.market.ledger import Ledger
from tests.redis_server import RedisServer
from tests.servers import VHOST, RabbitServer
from tests.system.disk import WAYS, Disk
from tests.system.processes import ServiceProcess, System, system
from tests.system.test_embedded_run import head_hash, plan

HOMES, TICKS = 4, 80
REFUSES = "nothing is acknowledged until the ledger can be written"
AGAIN = "the ledger takes writes again"


@pytest.mark.parametrize("way", WAYS)
def test_a_market_whose_disk_is_full_loses_nothing_and_goes_on_when_there_is_room(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path, way: str
) -> None:
    """I7: full while homes join, and again in the middle; the ledger is that of a run without."""
    with WAYS[way](tmp_path) as disk, system(rabbit_server, redis_server, tmp_path) as running:
        running.ledger = disk.folder / "ledger.db"
        running.start("external")
        running.start("weather")
        market = running.start(
            "market",
            tick_seconds=0.05,
            tick_deadline_seconds=0,
            start_homes=HOMES,
            max_ticks=TICKS,
        )
        running.wait_for("the market", lambda: running.tick() == 0)
        full_while_homes_join(running, market, disk)
        running.wait_for_tick(10)
        full_in_the_middle(running, market, disk)
        running.wait_for_tick(TICKS)
        head = running.get("/run").json()["head_hash"]
        assert running.get("/audit").json()["ok"]
        for process in reversed(running.processes):
            process.stop()
        assert [process.exit_code for process in running.processes] == [0] * (HOMES + 3)
        assert verify(running.ledger).head_hash == head == head_hash(plan(TICKS, homes=HOMES))
        log = market.text()
        assert (log.count(REFUSES), log.count(AGAIN)) == (2, 2)
        assert "full" in log or "disk I/O error" in log
        assert all("Traceback" not in process.text() for process in running.processes)


def full_while_homes_join(running: System, market: ServiceProcess, disk: Disk) -> None:
    """Nobody is admitted who could be forgotten."""
    disk.fill(market.pid)
    homes: list[ServiceProcess] = []
    while ledger_answers(running):  # what is there already may have room for some
        assert len(homes) < HOMES - 1
        homes.append(running.start("home"))
        running.wait_for(
            "the home to be admitted, or the ledger to refuse it",
            lambda: "joined as" in homes[-1].text() or not ledger_answers(running),
        )
    refused = homes.pop() if homes else running.start("home")
    stays_so(running)
    assert "joined as" not in refused.text()
    assert running.tick() == 0
    disk.free(market.pid)
    running.wait_for("the ledger", lambda: ledger_answers(running))
    for _ in range(HOMES - 1 - len(homes)):
        running.start("home")


def full_in_the_middle(running: System, market: ServiceProcess, disk: Disk) -> None:
    """Orders stay with the broker, and no tick is told of that is not in the ledger."""
    disk.fill(market.pid)
    running.wait_for("the ledger to refuse", lambda: not ledger_answers(running))
    tick = running.tick()
    stays_so(running)
    assert running.tick() == tick
    assert verify(running.ledger).ticks == tick
    assert unacknowledged(running.rabbit) >= HOMES
    disk.free(market.pid)


def ledger_answers(running: System) -> bool:
    """What /readyz says of it; with 503 exactly when it does not."""
    answer = running.get("/readyz")
    found = bool(answer.json()["checks"]["ledger"])
    assert found or answer.status_code == 503
    assert found or "ledger" in answer.json()["detail"]
    return found


def stays_so(running: System) -> None:
    """For some further attempts, of which there is one a second at most."""
    begun, before = time.monotonic(), failures(running)
    running.wait_for("more attempts", lambda: failures(running) >= before + 3)
    assert failures(running) - before <= time.monotonic() - begun + 1
    assert not ledger_answers(running)


def failures(running: System) -> float:
    lines = running.get("/metrics").text.splitlines()
    (line,) = (each for each in lines if each.startswith("energymarket_ledger_failures_total"))
    return float(line.split()[-1])


def unacknowledged(rabbit: RabbitServer) -> int:
    """Messages that the market has taken and not acknowledged, by the broker's count."""
    text = rabbit.ctl("-q", "list_queues", "-p", VHOST, "messages_unacknowledged")
    return sum(int(line) for line in text.splitlines() if line.isdigit())


# ------------------------------------------------------------------------------- full at the start

LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
runpy.run_module("services.market", run_name="__main__")
"""


def start_with(ledger: Path, limit_bytes: int) -> subprocess.CompletedProcess[str]:
    """A market that may not write larger files; it ends before it looks for a broker."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit_bytes)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.getcwd(),
            "ENERGYMARKET_LEDGER_URL": f"sqlite:///{ledger}",
            "ENERGYMARKET_AMQP_URL": "amqp://127.0.0.1:1/",
            "ENERGYMARKET_PORT": "0",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def assert_a_sentence(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("the ledger cannot "), line


@pytest.mark.parametrize("room_bytes", [0, 50, 4_096, 30_000])
def test_a_market_without_room_for_a_new_ledger_says_so_and_leaves_nothing_half_made(
    tmp_path: Path, room_bytes: int
) -> None:
    ledger = tmp_path / "ledger.db"
    assert_a_sentence(start_with(ledger, room_bytes))
    Ledger.open(f"sqlite:///{ledger}", Rules(seed=42)).close()
    assert verify(ledger).ticks == 0


@pytest.mark.parametrize("room_bytes", [0, 1_000, 5_000])
def test_a_market_without_room_for_its_epoch_says_so_and_changes_nothing(
    tmp_path: Path, room_bytes: int
) -> None:
    ledger = tmp_path / "ledger.db"
    made = Ledger.open(f"sqlite:///{ledger}", Rules(seed=42))
    made.raise_epoch(1.0)
    made.close()
    assert_a_sentence(start_with(ledger, room_bytes))
    again = Ledger.open(f"sqlite:///{ledger}", Rules(seed=42))
    assert again.raise_epoch(2.0) == 2
    again.close()
