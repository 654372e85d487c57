"""A project of containers for the benchmark: its own name, ports and image tag, defaults else."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import BenchFailed
from tests.servers import free_ports

_ROOT = Path(__file__).resolve().parent.parent
_MIB = 2**20
_UNITS = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_CGROUP_FILES = (  # version 2; version 1; the name of what no file stands behind
    ("0", "/sys/fs/cgroup{path}/memory.stat", "anon"),
    ("memory", "/sys/fs/cgroup/memory{path}/memory.stat", "total_rss"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """Memory of one container in MiB.

    ``in_use`` is what ``docker stats`` says: all that the kernel charges the container with, less
    the file cache that it could drop at once. ``anonymous`` is without any file cache (None where
    the control group cannot be read). ``resident`` is the sum over its processes, libraries that
    they share with other containers counted in each.
    """

    in_use: float
    anonymous: float | None
    resident: float


class Project:
    """``docker compose`` at the root of the repository, as a user calls it."""

    def __init__(self) -> None:
        self.name = f"energymarket-bench-{secrets.token_hex(3)}"
        self.port, rabbitmq_port = free_ports(2)
        ignored = ("COMPOSE_", "ENERGYMARKET_")
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(ignored)},
            "COMPOSE_PROJECT_NAME": self.name,
            "ENERGYMARKET_PORT": str(self.port),
            "ENERGYMARKET_RABBITMQ_PORT": str(rabbitmq_port),
            "ENERGYMARKET_IMAGE_TAG": self.name,
        }

    @property
    def image(self) -> str:
        """The image of the four services."""
        return f"energymarket:{self.name}"

    def compose(self, *arguments: str) -> str:
        """``docker compose …``; its output. Raises ``BenchFailed`` with all it said."""
        return self.docker("compose", *arguments)

    def docker(self, *arguments: str) -> str:
        """``docker …``; its output. Raises ``BenchFailed`` with all it said."""
        done = subprocess.run(
            ["docker", *arguments],
            cwd=_ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            raise BenchFailed(f"docker {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def remove(self) -> None:
        """Containers, networks, volumes and the image's tag; whatever there is of them."""
        self.compose("down", "-v", "--remove-orphans")
        if self.docker("image", "ls", "-q", self.image):
            self.docker("image", "rm", self.image)

    def pull_missing(self) -> None:
        """Gets the images that are not on this machine, so that ``up`` need not."""
        for image in self._images():
            if not self.docker("image", "ls", "-q", image).strip():
                self.docker("pull", "--quiet", image)

    def _images(self) -> set[str]:
        return {self.image, *self.compose("config", "--images").split()}

    def image_mib(self) -> dict[str, float]:
        """Size of each image on the disk, all its layers."""
        images = self._images()
        found = json.loads(self.docker("image", "inspect", *sorted(images)))
        return {_name(each["RepoTags"], images): each["Size"] / _MIB for each in found}

    def memory(self) -> dict[str, list[Held]]:
        """What each container holds, by service."""
        ids = self.compose("ps", "-q").split()
        inspected: list[dict[str, Any]] = json.loads(self.docker("inspect", *ids))
        in_use = self._in_use(ids)
        found: dict[str, list[Held]] = {}
        for each in inspected:
            service = each["Config"]["Labels"]["com.docker.compose.service"]
            found.setdefault(service, []).append(self._held(each, in_use[each["Id"]]))
        return found

    def memory_of(self, container: str) -> Held:
        """What one container holds, given by its name."""
        (inspected,) = json.loads(self.docker("inspect", container))
        return self._held(inspected, self._in_use([inspected["Id"]])[inspected["Id"]])

    def _in_use(self, ids: Sequence[str]) -> dict[str, float]:
        command = ("stats", "--no-stream", "--no-trunc", "--format", "{{json .}}")
        rows = [json.loads(line) for line in self.docker(*command, *ids).splitlines()]
        return {row["ID"]: mib(row["MemUsage"].partition(" / ")[0]) for row in rows}

    def _held(self, inspected: dict[str, Any], in_use: float) -> Held:
        lines = self.docker("top", inspected["Id"], "-eo", "pid,rss").splitlines()[1:]
        resident_kib = sum(int(line.split()[1]) for line in lines)
        return Held(in_use, _anonymous_mib(inspected["State"]["Pid"]), resident_kib / 1024)


def mib(text: str) -> float:
    """A size as docker writes it, such as ``12.5MiB``."""
    number = text.rstrip("BKMGi")
    return float(number) * _UNITS[text.removeprefix(number)] / _MIB


def _name(tags: Sequence[str], wanted: set[str]) -> str:
    return next((tag for tag in tags if tag in wanted), tags[0])


def _anonymous_mib(pid: int) -> float | None:
    """From the control group of a process; None where this machine does not show it."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    paths = {}
    for line in groups:
        number, controllers, path = line.split(":", 2)
        paths[controllers or number] = path
    for controller, file, field in _CGROUP_FILES:
        stat = Path(file.format(path=paths.get(controller, "/nowhere")))
        if stat.is_file():
            values = dict(line.split() for line in stat.read_text().splitlines())
            if field in values:
                return int(values[field]) / _MIB
    return None
