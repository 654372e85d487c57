"""A run in a process of its own, for what it costs from beginning to end, memory included.

``python -m bench.alone HOMES TICKS LEDGER_URL`` is one embedded run of ours; like the peer's
(``bench.assume_world``) it prints a line of JSON, which ``measured_alone`` reads.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.embedded_run import Case, embedded
from bench.processes import own_peak_mib
from bench.report import BenchFailed
from services.market.ledger import TEMPORARY

_LONGEST_TROUBLE = 1_500


@dataclass(frozen=True, slots=True)
class Alone:
    """``settled`` orders or bids in all; seconds of the run without the making of the world."""

    settled: int
    wall_s: float
    cpu_s: float
    peak_mib: float | None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def settled_per_s(self) -> float:
        return self.settled / self.wall_s

    @property
    def settled_per_cpu_s(self) -> float:
        return self.settled / self.cpu_s


def ours_alone(case: Case, *, ledger: Path | None, timeout_s: float) -> Alone:
    """An embedded run of ours, its ledger in a file or a temporary one. Raises ``BenchFailed``."""
    url = f"sqlite:///{ledger}" if ledger else TEMPORARY
    command = [sys.executable, "-m", "bench.alone", str(case.homes), str(case.ticks), url]
    return measured_alone(command, timeout_s=timeout_s)


def measured_alone(
    command: Sequence[str], *, timeout_s: float, folder: Path | None = None
) -> Alone:
    """Runs ``command`` in ``folder`` and reads the last line that it prints.

    Raises ``BenchFailed`` when it fails, takes too long, or prints anything else.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchFailed(f"{' '.join(command)} took more than {timeout_s:g} s") from error
    try:
        if done.returncode:
            raise ValueError(f"exit code {done.returncode}")
        return Alone(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, TypeError, IndexError) as error:
        said = (done.stdout + done.stderr)[-_LONGEST_TROUBLE:]
        raise BenchFailed(f"{' '.join(command)} failed ({error}):\n{said}") from error


def main(homes: int, ticks: int, ledger_url: str) -> None:
    """One embedded run; prints what it came to."""
    timed = embedded(Case(homes, 0, ticks), ledger_url=ledger_url)
    figures = Alone(
        settled=homes * ticks,
        wall_s=timed.wall_us * ticks / 1e6,
        cpu_s=timed.cpu_us * ticks / 1e6,
        peak_mib=own_peak_mib(),
    )
    print(json.dumps(asdict(figures)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
