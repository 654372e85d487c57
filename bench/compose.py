"""Benchmark ``compose``: the whole system in containers, 20 homes, every setting at its default.

Measured, from images that are built and volumes that are new: the seconds from the call of
``docker compose up -d --scale home=20`` until ``GET /price`` first answers 200, until it gives
another price, and until it counts all homes; then, some ticks later, the memory of every container,
and the sizes of the images.

Beside the seconds stands how long the broker and Redis alone take to be healthy, for nothing can
settle before; beside the memory, a container of the same image in which Python only sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from bench.containers import Held, Project
from bench.report import BenchFailed, Comparison, Result, Row, Target, at_most
from tests.system.stack import why_no_engine

FIRST_PRICE_WITHIN_S = 15
STACK_MIB = 1024
HOME_MIB = 45
MARKET_MIB = 150

IN_USE, ANONYMOUS, RESIDENT = "in use", "anonymous", "resident, summed"
SYSTEM, SERVERS = "the system", "its servers alone"

_TIMEOUT_S = 180.0
_LOOK_AGAIN_S = 0.02
_SLEEPER = ("python", "-c", "import time; time.sleep(600)")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many homes, and how many ticks pass before the memory is read."""

    homes: int = 20
    ticks_before_memory: int = 30


@dataclass(frozen=True, slots=True)
class Started:
    """Seconds since ``up`` was called."""

    first_price_s: float
    changed_price_s: float
    all_homes_s: float
    up_returned_s: float


def run(plan: Plan | None = None) -> Result:
    """Measures, and leaves nothing behind; raises ``BenchFailed``. Says so without an engine."""
    plan = plan or Plan()
    missing = why_no_engine()
    if missing:
        return Result(skipped=f"no Docker engine answers here: {missing}")
    with _project() as project:
        servers_s = _servers_alone(project)
        started = _started(project, plan.homes)
        _price_when(project, lambda price: price["tick"] > plan.ticks_before_memory)
        held = project.memory()
        floor = _sleeper(project)
        images = project.image_mib()
        versions = _versions(project)
    return Result(
        [_seconds(plan, started, servers_s), _memory(plan, held, floor), _images(images)], versions
    )


@contextmanager
def _project() -> Iterator[Project]:
    project = Project()
    try:
        project.compose("build")
        project.pull_missing()
        yield project
    finally:
        project.remove()


# ------------------------------------------------------------------------------------- measuring


def _servers_alone(project: Project) -> float:
    """Seconds until broker and Redis are healthy, on new volumes; they are taken away again."""
    begun = time.monotonic()
    project.compose("up", "-d", "--wait", "rabbitmq", "redis")
    took_s = time.monotonic() - begun
    project.compose("down", "-v")
    return took_s


def _started(project: Project, homes: int) -> Started:
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        up = pool.submit(_up, project, homes)
        first = _price_when(project, lambda _: True, up)
        first_s = time.monotonic() - begun
        _price_when(project, lambda now: now["price_eur_per_kwh"] != first["price_eur_per_kwh"], up)
        changed_s = time.monotonic() - begun
        _price_when(project, lambda now: now["homes"] == homes, up)
        all_s = time.monotonic() - begun
        return Started(first_s, changed_s, all_s, up.result() - begun)


def _up(project: Project, homes: int) -> float:
    project.compose("up", "-d", "--scale", f"home={homes}")
    return time.monotonic()


def _price_when(
    project: Project, wanted: Callable[[dict[str, Any]], bool], up: Future[float] | None = None
) -> dict[str, Any]:
    """The first answer of ``GET /price`` that is ``wanted``; asked for 50 times a second."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    with httpx.Client(base_url=f"http://127.0.0.1:{project.port}", trust_env=False) as client:
        while time.monotonic() < deadline_s:
            if up and up.done():
                up.result()  # raises what went wrong
            try:
                answer = client.get("/price", timeout=2)
            except httpx.TransportError:
                answer = None
            if answer and answer.status_code == httpx.codes.OK:
                price: dict[str, Any] = answer.json()
                if wanted(price):
                    return price
            time.sleep(_LOOK_AGAIN_S)
    raise BenchFailed(f"GET /price did not become what was awaited in {_TIMEOUT_S:g} s")


def _sleeper(project: Project) -> Held:
    """A container of our image with nothing in it but a Python interpreter."""
    name = f"{project.name}-sleeper"
    entrypoint, *command = _SLEEPER
    project.docker(
        *("run", "-d", "--rm", "--init", "--name", name, "--entrypoint", entrypoint),
        *(project.image, *command),
    )
    try:
        time.sleep(2)
        return project.memory_of(name)
    finally:
        project.docker("rm", "-f", name)


def _versions(project: Project) -> dict[str, str]:
    def first_line(service: str, *command: str) -> str:
        return (project.compose("exec", "-T", service, *command).splitlines() or ["?"])[0]

    return {
        "docker": project.docker("version", "--format", "{{.Server.Version}}").strip(),
        "compose": project.compose("version", "--short").strip(),
        "rabbitmq": first_line("rabbitmq", "rabbitmqctl", "version"),
        "redis": first_line("redis", "redis-server", "--version"),
        "python": first_line("market", "python", "--version"),
    }


# --------------------------------------------------------------------------------------- showing


def _seconds(plan: Plan, started: Started, servers_s: float) -> Comparison:
    def row(name: str, value: float, target: Target | None = None) -> Row:
        return Row(name, "s", {SYSTEM: value, SERVERS: servers_s}, target)

    return Comparison(
        title=f"docker compose up -d --scale home={plan.homes}: seconds until",
        columns=(SYSTEM, SERVERS),
        rows=[
            row("first price", started.first_price_s, at_most(FIRST_PRICE_WITHIN_S)),
            row("first change of the price", started.changed_price_s),
            row(f"{plan.homes} homes in the price", started.all_homes_s),
            row("the command returns", started.up_returned_s),
        ],
        floor=SERVERS,
        notes=(
            "images built, volumes new, a tick a second",
            f"{SERVERS}: until broker and Redis are healthy",
        ),
    )


def _memory(plan: Plan, held: Mapping[str, Sequence[Held]], floor: Held) -> Comparison:
    everything = [each for containers in held.values() for each in containers]
    targets = {"home": at_most(HOME_MIB), "market": at_most(MARKET_MIB)}
    rows = [_memory_row("the whole stack", _sum(everything), at_most(STACK_MIB))]
    for service, containers in held.items():
        count = len(containers)
        name = f"a {service} (mean of {count})" if count > 1 else service
        rows.append(_memory_row(name, _mean(containers), targets.get(service)))
    rows.append(_memory_row("floor: an idle Python in the same image", floor, None))
    return Comparison(
        title=f"Memory of the containers, {plan.homes} homes, after "
        f"{plan.ticks_before_memory} ticks",
        columns=(IN_USE, ANONYMOUS, RESIDENT),
        rows=rows,
        notes=(
            f"{IN_USE}: as docker stats has it; {ANONYMOUS}: without any file cache",
            f"{RESIDENT}: of all processes, what they share counted in each",
        ),
    )


def _memory_row(name: str, held: Held, target: Target | None) -> Row:
    values = {IN_USE: held.in_use, ANONYMOUS: held.anonymous, RESIDENT: held.resident}
    return Row(name, "MiB", values, target)


def _sum(containers: Sequence[Held]) -> Held:
    anonymous = [each.anonymous for each in containers if each.anonymous is not None]
    return Held(
        in_use=sum(each.in_use for each in containers),
        anonymous=sum(anonymous) if len(anonymous) == len(containers) else None,
        resident=sum(each.resident for each in containers),
    )


def _mean(containers: Sequence[Held]) -> Held:
    total, count = _sum(containers), len(containers)
    anonymous = None if total.anonymous is None else total.anonymous / count
    return Held(total.in_use / count, anonymous, total.resident / count)


def _images(images: Mapping[str, float]) -> Comparison:
    return Comparison(
        title="Images",
        columns=("size",),
        rows=[Row(name, "MiB", {"size": size}) for name, size in images.items()],
    )
