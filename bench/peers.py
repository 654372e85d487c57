"""Starts the bare loop or the afternoon's version as processes, measures them, ends them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.bare_loop import AMQP_URL, HOMES, LEDGER
from bench.measured_run import Measured, Span, measured
from bench.processes import Kinds

MARKET, HOME_PROCESSES, LISTENERS, BROKER = "market", "homes", "weather, external", "broker"

_ROLES = {
    "bench.bare_loop": {"weather": (LISTENERS, 1), "external": (LISTENERS, 1)},
    "bench.afternoon": {},
}
_LONGEST_TROUBLE = 1_500


def measured_peer(
    module: str, *, url: str, broker_pid: int, folder: Path, homes: int, span: Span
) -> Measured:
    """``module`` with ``homes`` home processes over the broker at ``url``, for ``span``.

    Its ledger and its log go to ``folder``, an empty one. Raises ``BenchFailed``.
    """
    ledger, log = folder / "ledger.db", folder / "output.log"
    environment = {AMQP_URL: url, LEDGER: str(ledger), HOMES: str(homes)}
    roles = {"market": (MARKET, 1), "home": (HOME_PROCESSES, homes), **_ROLES[module]}
    with processes(module, roles, environment, log) as (kinds, running):

        def trouble() -> str:
            if all(process.poll() is None for process in running):
                return ""
            return f"{module} broke down:\n{log.read_text()[-_LONGEST_TROUBLE:]}"

        return measured(ledger, span, {**kinds, BROKER: [broker_pid]}, trouble=trouble)


@contextmanager
def processes(
    module: str,
    roles: Mapping[str, tuple[str, int]],
    environment: Mapping[str, str],
    log: Path,
) -> Iterator[tuple[Kinds, list[subprocess.Popen[bytes]]]]:
    """Processes of ``module``: by role, the kind that they are counted as, and how many."""
    kinds: dict[str, list[int]] = {}
    running: list[subprocess.Popen[bytes]] = []
    try:
        with log.open("ab") as output:
            for role, (kind, count) in roles.items():
                for _ in range(count):
                    process = subprocess.Popen(
                        [sys.executable, "-m", module, role],
                        env={**os.environ, **environment},
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )
                    running.append(process)
                    kinds.setdefault(kind, []).append(process.pid)
        yield kinds, running
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()
