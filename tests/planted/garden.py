"""A copy of the project in which bugs are planted and pulled out again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LIST: Final = Path(__file__).with_name("bugs.toml")
_PARTS: Final = ("energymarket", "services", "lab", "bench", "deploy", "docs", "scripts", "tests")
_LONGEST_S: Final = 600


@dataclass(frozen=True, slots=True)
class Bug:
    """A text of a file that is replaced by another, and the tests that see it."""

    name: str
    file: str
    before: str
    after: str
    caught_by: tuple[str, ...]


def bugs() -> list[Bug]:
    """All that are listed."""
    listed = tomllib.loads(LIST.read_text())["bug"]
    return [Bug(**(row | {"caught_by": tuple(row["caught_by"])})) for row in listed]


class Garden:
    """The copy; its files are deleted at the end of the block."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="energymarket-planted-"))

    def __enter__(self) -> Garden:
        leave = shutil.ignore_patterns("__pycache__", ".*")
        for part in _PARTS:
            shutil.copytree(ROOT / part, self.folder / part, ignore=leave)
        for name in ("pyproject.toml", "Makefile", "README.md", ".env"):
            shutil.copy(ROOT / name, self.folder / name)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def caught_by(self, bug: Bug) -> str | None:
        """The first test that fails with the bug; None when all pass."""
        path = self.folder / bug.file
        healthy = path.read_text()
        assert healthy.count(bug.before) == 1, f"{bug.name}: its place in {bug.file} has changed"
        path.write_text(healthy.replace(bug.before, bug.after))
        try:
            return self._first_failure(bug.caught_by)
        finally:
            path.write_text(healthy)

    def passes_without(self, chosen: Iterable[Bug]) -> bool:
        """Whether the tests that are to catch these bugs pass in the copy as it is."""
        return self._first_failure({test for bug in chosen for test in bug.caught_by}) is None

    def _first_failure(self, tests: Iterable[str]) -> str | None:
        """The first test that fails; a run that hangs or cannot even begin is a failure too."""
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-m", "not long"]
        options = ("-p", "no:cacheprovider", "--no-header", "-rfE", "--tb=no")
        try:
            done = subprocess.run(
                [*command, *options, *sorted(tests)],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.folder)},
                capture_output=True,
                text=True,
                timeout=_LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"nothing within {_LONGEST_S} s"
        if done.returncode == 0:
            return None
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return found[1] if found else f"pytest, exit code {done.returncode}: {done.stdout[-300:]}"
