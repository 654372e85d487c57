"""Renews the lock files: the newest versions that pyproject.toml allows.

``make lock``. Each is what a new virtual environment holds after an installation, less what those
before it name. Comments stay, and so do markers: a line with one is for some Pythons or machines
only, and perhaps not for this one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENDINGS = ("", "-parquet", "-otlp", "-dev")
RUN, PARQUET, OTLP, DEV = (ROOT / f"requirements{ending}.lock" for ending in ENDINGS)


def main() -> None:
    """Writes all four files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"]
    extras = project["project"]["optional-dependencies"]
    tools = project["dependency-groups"]["dev"] + project["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        python = _new_environment(Path(folder))
        run = _installed(python, wanted)
        parquet = _installed(python, extras["parquet"])
        otlp = _installed(python, extras["otlp"])
        everything = _installed(python, tools)
    _write(RUN, run)
    _write(PARQUET, {name: pin for name, pin in parquet.items() if name not in run})
    _write(OTLP, {name: pin for name, pin in otlp.items() if name not in parquet})
    _write(DEV, {name: pin for name, pin in everything.items() if name not in otlp})


def _new_environment(folder: Path) -> str:
    venv.create(folder, with_pip=True)
    return str(folder / "bin" / "python")


def _installed(python: str, requirements: list[str]) -> dict[str, str]:
    """Pins by name, of all that is there once the requirements are."""
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *requirements], check=True)
    frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
    pins = (line.partition("==") for line in frozen.splitlines())
    return {_name(name): version for name, _, version in pins if _name(name) != "setuptools"}


def _name(distribution: str) -> str:
    """A distribution's name as packaging normalises it."""
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()


def _write(lock: Path, pins: dict[str, str]) -> None:
    old = lock.read_text().splitlines()
    comments = [line for line in old if line.startswith("#")]
    marked = {_name(line.split("==")[0]): line for line in old if ";" in line.partition("#")[0]}
    for_others = [line for name, line in marked.items() if name not in pins]
    lines = [
        f"{name}=={version}" + "".join(marked.get(name, "").partition(" ;")[1:])
        for name, version in pins.items()
    ]
    lines += for_others
    lines.sort(key=lambda line: _name(line.partition("==")[0]))
    lock.write_text("\n".join([*comments, *lines]) + "\n")
    sys.stderr.write(f"{lock.name}: {len(lines)} distributions\n")


if __name__ == "__main__":
    main()
