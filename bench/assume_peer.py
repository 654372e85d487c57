"""The peer ASSUME in a virtual environment of its own, for it has heavy dependencies (350 MiB).

The environment is kept in the user's cache folder. It is made when it is asked for (``install``);
a benchmark uses it where it is there, and says how to get it where it is not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.alone import Alone, measured_alone
from bench.report import BenchFailed

REQUIREMENT: Final = "assume-framework==0.6.0"
HOW_TO_GET_IT: Final = (
    f"ASSUME is not installed, and not measured: `python -m bench embedded --peers` gets "
    f"{REQUIREMENT} from PyPI (about 350 MiB)"
)

_COMPLETE: Final = "complete"
_INSTALL_TIMEOUT_S: Final = 900.0
_LONGEST_TROUBLE: Final = 500
_SCRIPT: Final = Path(__file__).with_name("assume_world.py")


def environment_folder() -> Path:
    """Where the environment is, or would be; another version of Python or ASSUME has its own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    return cache / "energymarket-bench" / f"{REQUIREMENT.replace('==', '-')}-{version}"


def python() -> Path | None:
    """The Python that has ASSUME; None where it was not installed, or only in part."""
    folder = environment_folder()
    return folder / "bin" / "python" if (folder / _COMPLETE).exists() else None


def install() -> None:
    """Makes the environment unless it is there.

    Raises ``BenchFailed`` with what pip said when it cannot be had.
    """
    if python():
        return
    folder = environment_folder()
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, "install", "--quiet", "--retries", "1", REQUIREMENT],
    ):
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_INSTALL_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchFailed(f"ASSUME could not be installed: {error}") from error
        if done.returncode:
            said = done.stdout.strip()[-_LONGEST_TROUBLE:]
            raise BenchFailed(f"ASSUME could not be installed into {folder}: {said}")
    (folder / _COMPLETE).touch()


def assume_alone(units: int, hours: int, *, timeout_s: float) -> Alone | None:
    """``units`` bids an hour, cleared by ASSUME; None where it is not installed.

    Raises ``BenchFailed`` when it is installed and does not do it.
    """
    found = python()
    if found is None:
        return None
    with tempfile.TemporaryDirectory(prefix="energymarket-bench-") as folder:  # for its log
        command = [str(found), str(_SCRIPT), str(units), str(hours)]
        return measured_alone(command, timeout_s=timeout_s, folder=Path(folder))
