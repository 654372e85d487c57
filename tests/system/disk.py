"""A disk without room, for a market's process: a small one that is filled, or a limit on its files.

The small disk is a tmpfs, which only root may mount; the limit needs no rights, and makes every
write beyond it fail. Both fail in the kernel, below SQLite.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

SIZE_KIB = 2_048


class Disk(Protocol):
    """``folder`` is on it."""

    folder: Path

    def fill(self, pid: int) -> None:
        """From now on the process cannot make a file of the folder any larger."""

    def free(self, pid: int) -> None:
        """There is room again."""


class SmallDisk:
    """A tmpfs with a file that takes all the room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, pid: int = 0) -> None:
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (4_096, 1):
                while _has_room(ballast, size):
                    pass

    def free(self, pid: int = 0) -> None:
        self._ballast.unlink()


def _has_room(file: IO[bytes], size: int) -> bool:
    try:
        file.write(bytes(size))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


class LimitedFiles:
    """A limit on the size of the files that a process may write: that of the ledger's log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, pid: int) -> None:
        # What is committed goes into the ledger's log first. The process's own log is smaller.
        (log,) = self.folder.glob("*-wal")
        limit_processes_files(pid, log.stat().st_size)

    def free(self, pid: int) -> None:
        limit_processes_files(pid, resource.RLIM_INFINITY)


def limit_processes_files(pid: int, size: int) -> None:
    """Sets how large a file a process may make; it may be raised again."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """A disk of ``SIZE_KIB``, gone after the block, whatever happens in it."""
    point = folder / "small"
    point.mkdir()
    _mount(point)
    try:
        yield SmallDisk(point)
    finally:
        # Lazily: it goes as soon as the last file on it is closed.
        subprocess.run(["umount", "--lazy", point], check=True, capture_output=True)


@contextmanager
def limited_files(folder: Path) -> Iterator[LimitedFiles]:
    """A folder for a process whose files can be limited."""
    made = folder / "limited"
    made.mkdir()
    yield LimitedFiles(made)


def _mount(point: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KIB}k", "tmpfs", str(point)]
    subprocess.run(command, check=True, capture_output=True)


@functools.cache
def may_mount() -> bool:
    """True for root on a Linux that lets it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount(Path(folder))
        except (subprocess.CalledProcessError, FileNotFoundError):
            return False
        subprocess.run(["umount", folder], check=True, capture_output=True)
    return True


WAYS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Disk]]] = {
    "limited files": limited_files,
    **({"a small disk": small_disk} if may_mount() else {}),
}
"""The ways that this machine has; the limit is one of them on every Linux."""
