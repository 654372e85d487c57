"""One running system of real processes for many troubles, each service on a wire of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab.verify import verify
from tests.rabbit_probe import RabbitProbe
from tests.redis_server import RedisServer
from tests.servers import VHOST, RabbitServer
from tests.system.processes import ServiceProcess, System
from tests.system.test_embedded_run import head_hash, plan
from tests.tcp_proxy import TcpProxy

HOMES: Final = 4
FLEETS: Final = 3
TICK_S: Final = 0.1
MORE_TICKS: Final = 10
"""That many ticks after the trouble show that they go on, and did not merely twitch."""

PATIENCE_S: Final = 30.0
"""The promise is 10 s from health; the rest is for a machine that has other things to do."""


class Rig:
    """A strict system: no deadline, so the ledger must come out as in a calm run (I7)."""

    def __init__(self, rabbit: RabbitServer, redis: RedisServer, folder: Path) -> None:
        self.rabbit, self.redis = rabbit, redis
        self.system = System(rabbit, redis, folder)
        self.system.modules["market"] = "tests.chaos.deadly_market"
        self.wires: dict[str, TcpProxy] = {}
        for number in range(FLEETS):
            homes = HOMES - FLEETS + 1 if number == 0 else 1
            self.start("home", f"home-{number}", homes_per_replica=homes, instance_id=f"h{number}")
        self.start("external")
        self.start("weather")
        self.start_market()
        self.system.wait_for_tick(3)

    def start(self, service: str, wire_name: str = "", **settings: object) -> ServiceProcess:
        """Starts a service whose connection goes over the wire called ``wire_name``."""
        name = wire_name or service
        wire = self.wires.get(name) or TcpProxy(self.rabbit.port)
        self.wires[name] = wire
        url = self.rabbit.url.replace(f":{self.rabbit.port}/", f":{wire.port}/")
        return self.system.start(service, amqp_url=url, **settings)

    def start_market(self) -> ServiceProcess:
        """The market, or after its end another one."""
        self.market = self.start(
            "market", tick_seconds=TICK_S, tick_deadline_seconds=0, start_homes=HOMES
        )
        return self.market

    def probe(self) -> RabbitProbe:
        """A client of the test's own, as an operator or a stranger could have."""
        return RabbitProbe(self.rabbit.url)

    def ctl(self, *arguments: str) -> str:
        """``rabbitmqctl``; a command on queues is told the virtual host by the caller."""
        return self.rabbit.ctl(*arguments)

    def queues(self) -> dict[str, tuple[int, int]]:
        """Messages and consumers of each queue."""
        told = self.ctl(
            "list_queues", "-q", "-s", "-p", VHOST, "name", "messages", "consumers"
        ).splitlines()
        rows = [line.split() for line in told]
        return {name: (int(messages), int(consumers)) for name, messages, consumers in rows}

    def recovers(self, trouble: str, since_s: float | None = None) -> float:
        """Waits until ticks go on; says how long that took from health, and checks the books."""
        health_s = time.monotonic() if since_s is None else since_s
        self.wait_for_ticks(1)
        first_s = time.monotonic() - health_s
        self.wait_for_ticks(MORE_TICKS)
        whole_s = time.monotonic() - health_s
        print(
            f"{trouble}: first tick {first_s:.1f} s after health, {MORE_TICKS} more {whole_s:.1f} s"
        )
        assert whole_s < PATIENCE_S, f"{trouble}: {whole_s:.1f} s"
        self.the_books_are_right()
        return first_s

    def wait_for_ticks(self, more: int) -> None:
        """Until so many ticks that are not open yet have been settled."""
        open_tick = self.tick() + 1
        self.system.wait_for_tick(open_tick + more, timeout_s=2 * PATIENCE_S)

    def tick(self) -> int:
        return self.system.tick()

    def the_books_are_right(self) -> None:
        """Every residual is 0, and the head is that of a run in which nothing went wrong."""
        audit = self.system.get("/audit").json()
        assert audit["ok"], audit
        assert audit["energy_residual_wh"] == audit["money_residual_neur"] == 0
        run = self.system.get("/run").json()
        assert run["head_hash"] == head_hash(plan(run["tick"], homes=HOMES))

    def metric(self, name: str, **labels: str) -> float:
        """A number of the market's, 0 if it has not been counted yet."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in self.system.get("/metrics").text.splitlines():
            if line.startswith(name) and all(each in line for each in wanted):
                return float(line.split()[-1])
        return 0.0

    def until(self, what: str, true: Callable[[], bool]) -> None:
        """Waits until it is so; fails with the logs."""
        self.system.wait_for(what, true)

    def said(self, service: str, text: str) -> int:
        """How often the service of that name, all of its processes together, has logged it."""
        processes = [each for each in self.system.processes if each.name == service]
        return sum(each.text().count(text) for each in processes)

    def stop(self) -> None:
        """Ends everything, and audits the ledger from its first tick."""
        try:
            self.system.stop()
        finally:
            for wire in self.wires.values():
                wire.close()
        verify(self.system.ledger)
