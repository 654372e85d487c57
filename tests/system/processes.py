"""The services as processes of this machine, over a real RabbitMQ and a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx

from tests.redis_server import RedisServer
from tests.servers import RabbitServer, free_ports

Found = TypeVar("Found")


class ServiceProcess:
    """One ``python -m services.<name>``; its log goes to a file."""

    def __init__(
        self, name: str, environment: Mapping[str, str], log: Path, *, module: str = ""
    ) -> None:
        """``module`` stands in for ``services.<name>``."""
        self.name, self.log = name, log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module or f"services.{name}"],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this process alone."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self, timeout_s: float = 10) -> float:
        """SIGTERM; returns how long it took, in seconds. A stopped process is woken first."""
        begun = time.monotonic()
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.monotonic() - begun

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def text(self) -> str:
        """Everything that it has logged."""
        return self.log.read_text()


class System:
    """A market with weather, external and homes as processes; each setting by keyword."""

    def __init__(self, rabbit: RabbitServer, redis: RedisServer, folder: Path) -> None:
        self.rabbit, self.redis, self.folder = rabbit, redis, folder
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.ledger = folder / "ledger.db"
        self.processes: list[ServiceProcess] = []
        self.environment: dict[str, str] = {}  # of all that are started from now on
        self.modules: dict[str, str] = {}  # what stands in for ``services.<name>``
        self._client = httpx.Client(base_url=self.url, timeout=5)

    def start(self, name: str, **settings: object) -> ServiceProcess:
        """Starts a service; ``settings`` go to it as ``ENERGYMARKET_…``."""
        chosen: dict[str, object] = {"AMQP_URL": self.rabbit.url, "LOG_LEVEL": "info"}
        if name in ("market", "weather"):
            chosen["REDIS_URL"] = self.redis.url
        if name == "market":
            chosen |= {
                "LEDGER_URL": f"sqlite:///{self.ledger}",
                "PORT": self.port,
                "API_TOKEN": "a-token-for-tests",
            }
        chosen |= {key.upper(): value for key, value in settings.items()}
        environment = {f"ENERGYMARKET_{key}": str(value) for key, value in chosen.items()}
        environment |= self.environment
        log = self.folder / f"{name}-{len(self.processes)}.log"
        process = ServiceProcess(name, environment, log, module=self.modules.get(name, ""))
        self.processes.append(process)
        return process

    def get(self, path: str) -> httpx.Response:
        """A GET to the market's API."""
        return self._client.get(path)

    def tick(self) -> int:
        """The newest settled tick, -1 while the market does not answer."""
        try:
            return int(self.get("/run").json()["tick"])
        except (httpx.HTTPError, KeyError, ValueError):
            return -1

    def wait_for(self, what: str, find: Callable[[], Found], *, timeout_s: float = 60) -> Found:
        """Asks until ``find`` gives something true; fails with the logs when it never does."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = find()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"waited {timeout_s} s in vain for {what}\n{self.logs()}")

    def wait_for_tick(self, tick: int, *, timeout_s: float = 60) -> None:
        """Until ``tick`` is in the ledger."""
        self.wait_for(f"tick {tick}", lambda: self.tick() >= tick, timeout_s=timeout_s)

    def logs(self) -> str:
        """The last lines of every log."""
        return "\n".join(
            f"--- {process.log.name} (exit code {process.exit_code})\n"
            + "\n".join(process.text().splitlines()[-15:])
            for process in self.processes
        )

    def stop(self) -> None:
        """Ends every process that is still there."""
        for process in reversed(self.processes):
            if process.running:
                process.signal(signal.SIGCONT)
                process.signal(signal.SIGTERM)
        for process in self.processes:
            if process.running:
                process.stop()
        self._client.close()


@contextmanager
def system(rabbit: RabbitServer, redis: RedisServer, folder: Path) -> Iterator[System]:
    """A system whose processes end with the block."""
    made = System(rabbit, redis, folder)
    try:
        yield made
    finally:
        made.stop()
