"""Where and when figures were taken."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from energymarket import __version__

_LIBRARIES = ("pika", "msgspec", "sqlalchemy", "redis", "pydantic", "fastapi", "numpy")


def described() -> dict[str, Any]:
    """Cores, processor, memory, versions, date, revision, and how busy the machine is already."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "cpu": _cpu_model(),
        "memory_mib": _memory_mib(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": load_average(),
        "revision": revision(),
        "versions": {
            "energymarket": __version__,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: version(name) for name in _LIBRARIES},
        },
    }


def load_average() -> list[float]:
    """Processes that wanted to run, on average over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def revision() -> str | None:
    """The commit that is checked out, with ``+`` when files differ from it; None without git."""
    head = said_by(["git", "rev-parse", "--short", "HEAD"])
    if head is None:
        return None
    return f"{head}+" if said_by(["git", "status", "--porcelain", "-uno"]) else head


def redis_version() -> str | None:
    """Of the installed ``redis-server``; None without one."""
    said = said_by(["redis-server", "--version"])
    words = [word for word in (said or "").split() if word.startswith("v=")]
    return words[0].removeprefix("v=") if words else None


def said_by(command: Sequence[str]) -> str | None:
    """What a command prints; None when there is no such command, or it fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
