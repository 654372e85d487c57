"""Python, packages, clock, Docker, and the files at the root of the project."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from lab.doctor.finding import Finding, note, ok, wrong
from lab.export.writers import NO_PARQUET, has_parquet

OLDEST_PYTHON: Final = (3, 11)
ROOT: Final = Path(__file__).resolve().parents[2]
_LOCK, _ENV = "requirements.lock", ".env"
_DOCKER_S: Final = 10.0


def python(found: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether it is new enough."""
    said = ".".join(map(str, found))
    if found < OLDEST_PYTHON:
        return wrong("Python", f"This is Python {said}: install 3.11 or newer, then make run.")
    return ok("Python", f"{said} at {sys.executable}")


def packages(root: Path = ROOT) -> list[Finding]:
    """What is installed, against the lock file, if the project's folder is here."""
    lock = root / _LOCK
    if not lock.is_file():
        return [note("packages", f"There is no {_LOCK} beside the program to compare with.")]
    pins = [line for line in lock.read_text().splitlines() if "==" in line and line[0] != "#"]
    found = [each for each in map(_pin, pins) if each]
    if not has_parquet():
        found.append(note("pyarrow", NO_PARQUET))
    return found or [ok("packages", f"all {len(pins)} are of the versions in {_LOCK}")]


def _pin(line: str) -> Finding | None:
    name, _, wanted = line.partition(" ;")[0].partition("==")
    mend = f"make run installs it, or {sys.executable} -m pip install '{name}=={wanted}'."
    try:
        there = version(name)
    except PackageNotFoundError:
        if ";" in line:  # for other Pythons or machines, perhaps
            return None
        return wrong(name, f"{name} is not installed: {mend}")
    if there == wanted:
        return None
    return wrong(name, f"{name} {there} is installed, and the lock has {wanted}: {mend}")


def clock(now_s: float | None = None, root: Path = ROOT) -> Finding:
    """Whether the time of day can be right: not before the program itself was written."""
    now_s = time.time() if now_s is None else now_s
    said = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds")
    written_s = (root / "energymarket" / "__init__.py").stat().st_mtime
    if now_s < written_s - 60:
        return wrong(
            "clock",
            f"The clock says {said}, before this program was installed: set it (timedatectl "
            "set-ntp true), for the times in ledger and API come from it.",
        )
    return ok("clock", said)


def env_file(folder: Path) -> Finding:
    """What Docker Compose reads where it is called."""
    file = folder / _ENV
    if not file.is_file():
        return note(
            _ENV,
            f"{folder} has no {_ENV}: call docker compose at the root of the project, or give it "
            "--file deploy/docker-compose.yml.",
        )
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        return wrong(_ENV, f"{file} cannot be read ({error}): Docker Compose will not start.")
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#") and "=" not in line:
            return wrong(_ENV, f"Line {number} of {file} is no NAME=value: mend or remove it.")
    return ok(_ENV, str(file))


def docker() -> list[Finding]:
    """Engine and Compose; for information, for energymarket run needs neither."""
    if shutil.which("docker") is None:
        return [note("Docker", "There is no docker here; only the containers need it.")]
    return [
        _docker("Docker engine", "version", "--format", "{{.Server.Version}}"),
        _docker("Docker Compose", "compose", "version", "--short"),
    ]


def _docker(about: str, *arguments: str) -> Finding:
    try:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=_DOCKER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return note(about, f"docker does not answer ({error}); only the containers need it.")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return note(about, f"does not answer ({last}); only the containers need it.")
    return ok(about, done.stdout.strip())
