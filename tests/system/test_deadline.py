"""With a deadline, on the real stack: who is missing is named and not waited for; all recover."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.verify import verify
from services.market.ledger import History
from tests.home_logs import agreeing, receipts_of, recorded
from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import ServiceProcess, System
from tests.tcp_proxy import TcpProxy

HOMES = 4
DEADLINE_S, LEASE_S = 1.5, 3.0


class Town(System):
    """Four single homes, the first of them over a wire that can be held; each under its name."""

    def __init__(self, rabbit: RabbitServer, redis: RedisServer, folder: Path) -> None:
        super().__init__(rabbit, redis, folder)
        self.wire = TcpProxy(rabbit.port)

    def open(self) -> None:
        """Starts everything, and waits until everybody trades."""
        slow_url = self.rabbit.url.replace(f":{self.rabbit.port}/", f":{self.wire.port}/")
        self.slow = self.start("home", instance_id="slow", amqp_url=slow_url)
        for number in range(HOMES - 1):
            self.start("home", instance_id=f"home-{number}")
        self.start("external")
        self.start("weather")
        self.start(
            "market",
            start_homes=HOMES,
            tick_seconds=0.05,
            tick_deadline_seconds=DEADLINE_S,
            lease_seconds=LEASE_S,
        )
        self.wait_for("all homes to trade", lambda: self.statuses() == ["active"] * HOMES)

    def statuses(self) -> list[str]:
        """Of all homes that hold a place, by id."""
        answer = self.get("/homes").json() if self.tick() >= 0 else {"homes": []}
        return [home["status"] for home in answer["homes"]]

    def status(self, home: int) -> str:
        found: str = self.get(f"/homes/{home}").json()["status"]
        return found

    def count(self, metric: str) -> int:
        """A counter of the market."""
        text = self.get("/metrics").text
        values = re.findall(rf"^energymarket_{re.escape(metric)} (\S+)$", text, re.MULTILINE)
        return int(float(values[0])) if values else 0

    def newest(self, name: str) -> ServiceProcess:
        """The process of a service that was started last."""
        return [process for process in self.processes if process.name == name][-1]

    @property
    def market(self) -> ServiceProcess:
        return self.newest("market")

    def goes_on(self, ticks: int = 10) -> None:
        """Waits for so many more ticks."""
        self.wait_for_tick(self.tick() + ticks)


@pytest.fixture(scope="module")
def town(rabbit_server: RabbitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    redis = RedisServer(folder)
    running = Town(rabbit_server, redis, folder)
    try:
        redis.start()
        running.open()
        yield running
    finally:
        running.stop()
        running.wire.close()
        redis.stop()


def home_of(process: ServiceProcess) -> int:
    """The id of the home that a process hosts."""
    return int(re.findall(r"joined as home (\d+)", process.text())[-1])


def missed(town: Town, home: int) -> bool:
    """Whether the market's log says by name that a home missed its deadline."""
    return bool(re.search(rf"WARNING .*homes {home} missed the deadline", town.market.text()))


def agree(town: Town, process: ServiceProcess, ticks: range) -> int:
    """How many of a home's receipts in ``ticks`` say what the ledger says; all of them must."""
    return agreeing(receipts_of(process.text()), recorded(town.ledger, ticks))


def test_a_home_that_is_stopped_is_absent_by_name_and_trades_again_with_its_stock_right(
    town: Town,
) -> None:
    """I3: SIGSTOP. The tick waits one deadline for it; later ones do not wait at all."""
    begun, absences = town.tick(), town.count("absences_total")
    process = town.processes[1]
    home = home_of(process)
    process.signal(signal.SIGSTOP)
    town.wait_for("its absence", lambda: town.status(home) == "absent")
    town.goes_on()
    assert missed(town, home)
    assert town.count("absences_total") >= absences + 10
    town.wait_for("the others", lambda: town.statuses().count("active") == HOMES - 1)

    process.signal(signal.SIGCONT)
    town.wait_for("its return", lambda: town.status(home) == "active")
    town.goes_on()
    assert f"homes {home} heard of again" in town.market.text()
    assert agree(town, process, range(begun, town.tick())) >= 10
    assert absent_with_stock_kept(town, home, range(begun, town.tick())) >= 10


def absent_with_stock_kept(town: Town, home: int, ticks: range) -> int:
    """In how many of the ticks the home was absent; in none of them its stock may change."""
    absent, stock_wh = 0, None
    for _, settled in sorted(recorded(town.ledger, ticks).items()):
        row = settled.home.index(home)
        if not settled.orders.policy[row]:
            absent += 1
            assert stock_wh in (None, settled.outcome.stock_wh[row])
        stock_wh = settled.outcome.stock_wh[row]
    return absent


def test_a_home_that_is_slow_gets_a_late_receipt_and_trades_from_the_next_tick_on(
    town: Town,
) -> None:
    """Its order leaves in time and arrives after the deadline: nothing of it is lost or counted."""
    begun, home = town.tick(), home_of(town.slow)
    late = town.count("late_orders_total")
    for _ in range(2):
        town.wire.hold_upward()
        town.wait_for("its absence", lambda: town.status(home) == "absent")
        town.wire.release()
        town.wait_for("its return", lambda: town.status(home) == "active")
    town.goes_on()
    assert missed(town, home)
    assert town.count("late_orders_total") >= late + 2
    assert agree(town, town.slow, range(begun, town.tick())) >= 10


def test_a_home_that_is_gone_is_absent_until_its_lease_ends_and_the_next_goes_on_as_it(
    town: Town,
) -> None:
    """SIGKILL. The home's id, stock and money are the next one's."""
    gone = town.processes[2]
    home = home_of(gone)
    gone.kill()
    town.wait_for("its absence", lambda: town.status(home) == "absent")
    town.goes_on()
    town.wait_for("the end of its lease", lambda: town.status(home) == "left")
    assert missed(town, home)
    assert f"homes {home} silent beyond their lease" in town.market.text()
    kept = town.get(f"/homes/{home}").json()
    town.goes_on()
    assert town.get(f"/homes/{home}").json() == kept

    begun = town.tick()
    successor = town.start("home", instance_id="successor")
    town.wait_for("the next one", lambda: town.status(home) == "active")
    assert home_of(successor) == home
    town.goes_on()
    assert agree(town, successor, range(begun, town.tick())) >= 5


@pytest.mark.parametrize("name", ["weather", "external"])
def test_ticks_without_an_input_are_marked_and_stop_being_so_by_themselves(
    town: Town, name: str
) -> None:
    """Gone for longer than what it had said ahead; back without a hand laid on the market."""
    metric = f'degraded_ticks_total{{missing="{name}"}}'
    before = town.count(metric)
    town.newest(name).kill()
    town.wait_for("degraded ticks", lambda: degraded(town) == [name])
    town.goes_on()
    assert f"opens without {name}" in town.market.text()
    assert town.count(metric) >= before + 10

    town.start(name)
    town.wait_for("whole ticks", lambda: degraded(town) == [])
    town.goes_on()
    assert degraded(town) == []


def degraded(town: Town) -> list[str]:
    """What the newest settled tick went without."""
    (newest,) = town.get("/prices?limit=1").json()["prices"]
    found: list[str] = newest["degraded"]
    return found


def test_a_store_that_hangs_or_forgets_degrades_ticks_until_it_is_back(town: Town) -> None:
    """Redis stopped by SIGSTOP, then killed and started empty."""
    for goes, comes in ((town.redis.pause, town.redis.resume), (town.redis.kill, town.redis.start)):
        goes()
        town.wait_for("degraded ticks", lambda: degraded(town) == ["weather"])
        town.goes_on()
        comes()
        town.wait_for("whole ticks", lambda: degraded(town) == [])


def test_a_ledger_that_a_clock_had_a_say_in_replays_to_the_same_hash(town: Town) -> None:
    """I5: after all of the above; the last test of the module."""
    for process in reversed(town.processes):
        if process.running and process.name == "home":
            process.stop()
    town.market.stop()
    history = History.of_file(str(town.ledger))
    try:
        verdict = verify(town.ledger)
        head = history.tick_hash(verdict.ticks)
        bits = {row.degraded for row in history.prices(1, verdict.ticks + 1, verdict.ticks)}
    finally:
        history.close()
    assert head is not None
    assert verdict.head_hash == head.hex()
    assert {0, 1, 2} <= bits
