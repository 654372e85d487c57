"""The whole system in containers, as ``docker compose`` at the root starts it, for the tests.

A project of its own, with ports, passwords and an image tag of its own: it meets no stack of the
user's, and what it leaves behind can be told apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from energymarket.settings import OTLP_ENDPOINT
from tests.deployment import ROOT, dot_env
from tests.servers import free_ports

TICK_SECONDS = 0.5
_BUILD_TIMEOUT_S = 600.0
_COMMAND_TIMEOUT_S = 180.0
_DOWN_TRIES = 4
_BETWEEN_TRIES_S = 1.0
_REFUSED_NETWORK = "has active endpoints"
# With all profiles: containers and volumes of theirs would be left.
_DOWN = ("--profile", "*", "down", "--remove-orphans")
_PROMETHEUS_IMAGE = """
FROM python:3.13-slim
COPY prometheus /bin/prometheus
RUN install -d -o 65534 -g 65534 /prometheus
ENTRYPOINT ["/bin/prometheus"]
"""

# A line for each service that sends spans. The image has what reads them.
_COLLECTOR = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            for each in sent.resource.attributes:
                if each.key == "service.name":
                    print(each.value.string_value)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("", 4318), Collector).serve_forever()
"""

Result = TypeVar("Result")


def why_no_engine() -> str | None:
    """Why Docker cannot be used here; None when it can."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"`{' '.join(command)}`: {error}"
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            return f"`{' '.join(command)}` fails: {' '.join(last)}"
    return None


def eventually(
    what: str, ask: Callable[[], Result | None], *, timeout_s: float, every_s: float = 0.2
) -> Result:
    """The first answer that is neither None nor False; a refused connection is none yet."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = answer = ask()
        except httpx.TransportError as error:
            last = error
        else:
            if answer is not None and answer is not False:
                return answer
        time.sleep(every_s)
    raise AssertionError(f"{what}: not within {timeout_s:g} s; last answer: {last!r}")


@dataclass(frozen=True)
class Exit:
    """How a container stopped: its code, and how long after the signal."""

    service: str
    name: str
    code: int
    seconds: float


_MIB = {"B": 1 / 1024**2, "KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


def _mib(text: str) -> float:
    number = text.rstrip("BKMGi")
    return float(number) * _MIB[text.removeprefix(number)]


class Stack:
    """One project of containers. ``up`` at any number of homes, ``down`` without a trace."""

    def __init__(self) -> None:
        self.project = f"energymarket-test-{secrets.token_hex(3)}"
        self.port, self.rabbitmq_port, self.prometheus_port = free_ports(3)
        self.token = secrets.token_hex(16)
        self.passwords = {
            name: secrets.token_hex(12) for name in dot_env() if name.endswith("_PASSWORD")
        }
        self.image_tag = self.project
        self._more: dict[str, str] = {}  # variables of ``docker compose``, while a test wants them
        self._miscounted: set[str] = set()  # networks that the engine keeps, with nothing on them
        self._prometheus_image = f"energymarket-test-prometheus:{self.project}"
        self._api = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=10.0, trust_env=False
        )

    # ---------------------------------------------------------------------------- commands

    @property
    def _environment(self) -> dict[str, str]:
        """The user's own, less whatever would change the stack; the root's .env does the rest."""
        ignored = ("COMPOSE_", "ENERGYMARKET_", "OTEL_")
        own = {k: v for k, v in os.environ.items() if not k.startswith(ignored)}
        return (
            own
            | self.passwords
            | {
                "COMPOSE_PROJECT_NAME": self.project,
                "ENERGYMARKET_PORT": str(self.port),
                "ENERGYMARKET_RABBITMQ_PORT": str(self.rabbitmq_port),
                "ENERGYMARKET_PROMETHEUS_PORT": str(self.prometheus_port),
                "ENERGYMARKET_PROMETHEUS_IMAGE": self._prometheus_image,
                "ENERGYMARKET_IMAGE_TAG": self.image_tag,
                "ENERGYMARKET_API_TOKEN": self.token,
                "ENERGYMARKET_TICK_SECONDS": str(TICK_SECONDS),
            }
            | self._more
        )

    def _run(self, *command: str, timeout_s: float = _COMMAND_TIMEOUT_S) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def compose(self, *arguments: str, timeout_s: float = _COMMAND_TIMEOUT_S) -> str:
        """``docker compose …`` at the root; its output. Fails with all it said."""
        return self._run("docker", "compose", *arguments, timeout_s=timeout_s)

    def docker(self, *arguments: str) -> str:
        """``docker …``; its output."""
        return self._run("docker", *arguments)

    def build(self) -> None:
        """Makes the image, so that ``up`` can be timed without it."""
        self.compose("build", timeout_s=_BUILD_TIMEOUT_S)

    def up(self, homes: int) -> None:
        """Brings everything up, or changes the number of homes while it runs.

        Returns when the market counts that many.
        """
        with ThreadPoolExecutor(1) as pool:
            up = pool.submit(self.compose, "up", "-d", "--no-recreate", "--scale", f"home={homes}")

            def price_unless_up_failed() -> Any:
                if up.done():
                    up.result()
                return self.price()

            eventually("a price", price_unless_up_failed, timeout_s=90.0)
        eventually(
            f"{homes} homes in /price",
            lambda: self.price()["homes"] == homes,
            timeout_s=30.0,
        )

    def up_with_prometheus(self, program: Path) -> None:
        """Adds the Prometheus of the profile ``observability``: this machine's ``program`` in an
        image like the official one (where it is, whose its data are), which need not be had."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(program, Path(folder, "prometheus"))
            Path(folder, "Dockerfile").write_text(_PROMETHEUS_IMAGE)
            self.docker("build", "--quiet", "--tag", self._prometheus_image, folder)
        profile = ("--profile", "observability")
        self.compose(*profile, "up", "-d", "--no-recreate", "--no-deps", "prometheus")

    def prometheus(self, expression: str) -> dict[str, float]:
        """What the stack's own Prometheus says to an expression, by job."""
        answer = httpx.get(
            f"http://127.0.0.1:{self.prometheus_port}/api/v1/query",
            params={"query": expression},
            trust_env=False,
        )
        vector = answer.raise_for_status().json()["data"]["result"]
        return {each["metric"]["job"]: float(each["value"][1]) for each in vector}

    @contextlib.contextmanager
    def traced(self, homes: int) -> Iterator[Callable[[], set[str]]]:
        """Has market and homes made anew for the block, so many of them, with a collector on the
        inner network; gives a call for the services that have sent it spans."""
        network, name = f"{self.project}_backend", f"{self.project}-collector"
        self.docker(
            *("run", "--detach", "--rm", "--name", name, "--network", network),
            *("--network-alias", "collector", "--entrypoint", "python"),
            *(f"energymarket:{self.image_tag}", "-uc", _COLLECTOR),
        )
        try:
            self._more = {OTLP_ENDPOINT: "http://collector:4318"}
            self._make_anew(homes)
            yield lambda: set(self.docker("logs", name).split())
        finally:
            self._more = {}
            self.docker("rm", "--force", name)
            self._make_anew(homes)

    def _make_anew(self, homes: int) -> None:
        """Market and homes, by what the settings are now."""
        scale = ("--scale", f"home={homes}")
        self.compose("up", "-d", "--no-deps", *scale, "market", "home")

    def down(self, *options: str) -> None:
        """Removes containers and networks; with ``-v`` volumes too.

        Engines before version 28 keep a count of a network's endpoints, and lose it now and then
        when many containers go at once: they refuse to remove the network ("has active
        endpoints"), for good or until they are started anew, while they themselves list nothing
        on it (moby/moby#42119). That is the engine's fault, not the stack's. What it lists of
        containers that have gone is taken off by hand, and it gets another try; a network that it
        then refuses still with nothing on it is not counted among the leftovers.
        """
        for _ in range(_DOWN_TRIES):
            try:
                self.compose(*_DOWN, *options)
            except AssertionError as error:
                if _REFUSED_NETWORK not in str(error):
                    raise
                refused = error
            else:
                return
            self._take_gone_containers_off_the_networks()
            time.sleep(_BETWEEN_TRIES_S)
        left = self.leftovers()
        if left["containers"] or any(self._on_network(each) for each in left["networks"]):
            raise refused
        self._miscounted.update(left["networks"])

    def _on_network(self, network: str) -> dict[str, Any]:
        """What the engine lists as being on a network, by container."""
        on_it: dict[str, Any] = json.loads(self.docker("network", "inspect", network))[0]
        return dict(on_it["Containers"])

    def _take_gone_containers_off_the_networks(self) -> None:
        there = set(self.docker("ps", "-aq", "--no-trunc").split())
        for network in self.leftovers()["networks"]:
            on_it = self._on_network(network)
            for container in on_it.keys() - there:
                with contextlib.suppress(AssertionError):  # it may have gone by itself meanwhile
                    self.docker("network", "disconnect", "-f", network, on_it[container]["Name"])

    def clean_up(self) -> None:
        """Removes everything, whatever has happened, the image's tag too."""
        self._api.close()
        self.down("-v")
        for image in (f"energymarket:{self.image_tag}", self._prometheus_image):
            with contextlib.suppress(AssertionError):
                self.docker("image", "rm", image)

    def leftovers(self) -> dict[str, list[str]]:
        """What carries the project's label still, but for what is the engine's own fault (see
        ``down``)."""
        label = f"label=com.docker.compose.project={self.project}"
        networks = self.docker("network", "ls", "-q", "--filter", label).split()
        return {
            "containers": self.docker("ps", "-aq", "--filter", label).split(),
            "volumes": self.docker("volume", "ls", "-q", "--filter", label).split(),
            "networks": [each for each in networks if each not in self._miscounted],
        }

    # -------------------------------------------------------------------------- containers

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """``docker inspect`` of the containers of these services, or of all; stopped ones too."""
        ids = self.compose("ps", "-aq", *services).split()
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *ids))
        return found

    def service_of(self, container: dict[str, Any]) -> str:
        """The service that a container belongs to."""
        return str(container["Config"]["Labels"]["com.docker.compose.service"])

    def python_in(self, service: str, program: str) -> str:
        """Runs a Python program in a container of ``service``, with that service's settings."""
        return self.compose("exec", "-T", service, "python", "-c", program).strip()

    def memory_mib(self) -> dict[str, float]:
        """Memory in use by container name, as ``docker stats`` counts it."""
        ids = [c["Id"] for c in self.containers() if c["State"]["Running"]]
        lines = self.docker("stats", "--no-stream", "--format", "{{json .}}", *ids).splitlines()
        rows = [json.loads(line) for line in lines]
        return {row["Name"]: _mib(row["MemUsage"].partition(" / ")[0]) for row in rows}

    @contextlib.contextmanager
    def exits(self) -> Iterator[list[Exit]]:
        """Fills the list, at the end of the block, with how each container stopped in it."""
        ended: list[Exit] = []
        since = time.time()
        yield ended
        label = f"label=com.docker.compose.project={self.project}"
        lines = self.docker(
            *("events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}"),
            *("--filter", label, "--filter", "type=container", "--format", "{{json .}}"),
        ).splitlines()
        asked_at: dict[str, int] = {}
        for line in lines:
            event = json.loads(line)
            actor, at = event["Actor"], event["timeNano"]
            if event["Action"] == "kill":
                asked_at.setdefault(actor["ID"], at)
            elif event["Action"] == "die":
                took_s = (at - asked_at[actor["ID"]]) / 1e9
                names = actor["Attributes"]
                ended.append(
                    Exit(
                        service=names["com.docker.compose.service"],
                        name=names["name"],
                        code=int(names["exitCode"]),
                        seconds=took_s,
                    )
                )

    # --------------------------------------------------------------------------------- API

    def get(self, path: str, **parameters: str | int) -> Any:
        """The JSON of a GET that succeeds."""
        answer = self._api.get(path, params=parameters)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: dict[str, Any], *, token: str | None) -> httpx.Response:
        """A POST, with a token or without."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self._api.post(path, json=body, headers=headers)

    def price(self) -> Any:
        """``GET /price``, or None while there is no price yet."""
        answer = self._api.get("/price")
        return answer.json() if answer.status_code == 200 else None

    def tick(self) -> int:
        """The open tick."""
        return int(eventually("a price", self.price, timeout_s=30.0)["tick"])

    def wait_for_ticks(self, count: int) -> None:
        """Until ``count`` more ticks have been opened."""
        goal = self.tick() + count
        eventually(f"tick {goal}", lambda: self.tick() >= goal, timeout_s=30.0 + 2 * count)

    def homes(self) -> set[int]:
        """Ids of the homes that hold a place in the market."""
        page = self.get("/homes", limit=1000)
        assert page["next_cursor"] is None
        return {home["id"] for home in page["homes"]}

    def receipts(self, home: int) -> list[dict[str, Any]]:
        """The newest receipts of a home."""
        found: list[dict[str, Any]] = self.get(f"/homes/{home}/receipts")["receipts"]
        return found

    def live_events(self) -> set[str]:
        """Names of the external events that are alive in the open tick."""
        return {event["name"] for event in self.get("/events")["alive"]}

    def read_stream(self, begun: threading.Event) -> None:
        """Reads the event stream until the market ends it; ``begun`` is set at the first line."""
        with (
            contextlib.suppress(httpx.TransportError),
            self._api.stream("GET", "/stream", timeout=60.0) as stream,
        ):
            assert stream.status_code == 200
            for _ in stream.iter_lines():
                begun.set()
