"""Home processes come and go by the dozen while ticks run, on the real stack."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from lab.verify import verify
from services.market.ledger import History
from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import ServiceProcess, System, system

FEW, MANY = 5, 50
SINGLES, FLEETS, FLEET_HOMES = 5, 4, 10  # what comes to the few and makes them many
ROUNDS = 3
DEADLINE_S, LEASE_S = 4.0, 1.0


def test_processes_scale_from_5_homes_to_50_and_back_while_ticks_run(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """R2, I2, I3: some say good-bye, some are killed; ids and accounts go to whoever comes next."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        running.start("external")
        running.start("weather")
        market = running.start(
            "market",
            start_homes=FEW,
            tick_seconds=0.05,
            tick_deadline_seconds=DEADLINE_S,
            lease_seconds=LEASE_S,
        )
        for number in range(FEW):
            running.start("home", instance_id=f"resident-{number}")
        running.wait_for("the residents", lambda: active(running) == set(range(1, FEW + 1)))
        for number in range(ROUNDS):
            visitors = grow(running, number)
            assert ids(running) == set(range(1, MANY + 1))
            resting = shrink(running, visitors, politely=number != 1)
            running.wait_for_tick(running.tick() + 5)
            assert accounts(running) == resting
        assert running.get("/audit").json()["ok"]
        market.stop()
    verdict = verify(running.ledger)
    assert verdict.ticks >= 5 * ROUNDS
    everybody_trades_within_two_ticks(running)


def grow(running: System, number: int) -> list[ServiceProcess]:
    """The instances of the first round come back in the third, and get what they had."""
    generation = number % 2
    visitors = [
        running.start(
            "home", instance_id=f"visitor-{generation}-{n}", homes_per_replica=FLEET_HOMES
        )
        for n in range(FLEETS)
    ]
    visitors += [
        running.start("home", instance_id=f"visitor-{generation}-{FLEETS + n}")
        for n in range(SINGLES)
    ]
    everybody = set(range(1, MANY + 1))
    running.wait_for("everybody to trade", lambda: active(running) == everybody)
    return visitors


def shrink(
    running: System, visitors: list[ServiceProcess], *, politely: bool
) -> dict[int, tuple[int, int]]:
    """All visitors go; gives the accounts that they leave behind."""
    for visitor in visitors:
        visitor.signal(signal.SIGTERM if politely else signal.SIGKILL)
    few = set(range(1, FEW + 1))
    running.wait_for("the visitors to be gone", lambda: ids(running) == few)
    running.wait_for("the residents alone", lambda: active(running) == few)
    return accounts(running)


def homes(running: System) -> list[dict[str, object]]:
    found: list[dict[str, object]] = running.get("/homes?limit=100").json()["homes"]
    return found


def ids(running: System) -> set[object]:
    """The homes that hold a place."""
    return {home["id"] for home in homes(running)}


def active(running: System) -> set[object]:
    """The homes that traded in the newest tick."""
    if running.tick() < 1:
        return set()
    return {home["id"] for home in homes(running) if home["status"] == "active"}


def accounts(running: System) -> dict[int, tuple[int, int]]:
    """(stock, money) of the homes that nobody holds now."""
    history = History.of_file(str(running.ledger))
    try:
        stock_wh, balance_neur = history.accounts()
    finally:
        history.close()
    every = enumerate(zip(stock_wh, balance_neur, strict=True), start=1)
    return {home: account for home, account in every if FEW < home <= MANY}


def everybody_trades_within_two_ticks(running: System) -> None:
    """From what each process has logged: its homes, and the first tick that its Welcome named,
    which is the next one to open. Late for that one, if it was busy, it trades in the one after."""
    history = History.of_file(str(running.ledger))
    joined = re.compile(r"joined as (?:home (\d+)|(\d+) homes, (\d+) first) .*first_tick=(\d+)")
    try:
        for process in running.processes:
            for single, _, first, tick in joined.findall(process.text()):
                home = int(single or first)
                ticks = history.settled_between(int(tick), int(tick) + 2, 2)
                traded = [each.orders.policy[each.home.index(home)] for each in ticks]
                assert any(traded), (process.log.name, tick)
    finally:
        history.close()
