"""What processes of this machine cost, read from ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

Kinds = Mapping[str, Sequence[int]]
"""Process ids by what those processes are."""

_PROC: Final = Path("/proc")
_UTIME, _STIME = 11, 12  # fields of /proc/PID/stat, counted behind the command's closing bracket


@dataclass(frozen=True, slots=True)
class Memory:
    """Mean per process of a kind. ``pss_mib`` counts a page that n processes share as 1/n;
    ``peak_mib`` is the most that was ever resident."""

    rss_mib: float
    pss_mib: float
    peak_mib: float


def cpu_s(pids: Sequence[int]) -> float:
    """Processor time that these processes have used so far, in user and in kernel mode."""
    clock_ticks = 0
    for pid in pids:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        clock_ticks += int(fields[_UTIME]) + int(fields[_STIME])
    return clock_ticks / os.sysconf("SC_CLK_TCK")


def cpu_by_kind(kinds: Kinds) -> dict[str, float]:
    """Processor time used so far by all processes of each kind, in seconds."""
    return {kind: cpu_s(pids) for kind, pids in kinds.items()}


def memory(pids: Sequence[int]) -> Memory:
    """What the processes hold in memory, on average."""
    sizes = [_rollup_kib(pid) for pid in pids]
    count = len(sizes) * 1024
    return Memory(
        rss_mib=sum(each["Rss"] for each in sizes) / count,
        pss_mib=sum(each["Pss"] for each in sizes) / count,
        peak_mib=sum(peak_mib(pid) for pid in pids) / len(pids),
    )


def peak_mib(pid: int) -> float:
    """The most that a process has held in memory so far, what it shares included.

    Unlike ``getrusage`` it does not begin with what the process was before it became this program.
    """
    return _kib(_PROC / str(pid) / "status")["VmHWM"] / 1024


def own_peak_mib() -> float | None:
    """Of this process; None where there is no ``/proc``."""
    return peak_mib(os.getpid()) if _PROC.exists() else None


def _rollup_kib(pid: int) -> dict[str, int]:
    return _kib(_PROC / str(pid) / "smaps_rollup")


def _kib(file: Path) -> dict[str, int]:
    """The lines of ``file`` that give a size, by name."""
    lines = (line.split() for line in file.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[-1:] == ["kB"]}


def children_named(name: str) -> list[int]:
    """Child processes of this one that run the program ``name``."""
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            head, _, tail = (folder / "stat").read_text().rpartition(")")
        except OSError:  # it has just ended
            continue
        if head.partition("(")[2] == name and int(tail.split()[1]) == os.getpid():
            found.append(int(folder.name))
    return found
