"""The market as a process that watches itself: ``python -m bench.profiled_market``.

It is ``services.market`` with a sampler. SIGUSR1 has it count anew, SIGUSR2 has it write what it
has counted beside its ledger, as ``profile.json``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from bench.sampler import Sampler
from energymarket import runtime
from services.market.__main__ import run

FILE = "profile.json"


def main() -> None:
    """Runs the market; its settings are those of any market."""
    ledger = os.environ["ENERGYMARKET_LEDGER_URL"].removeprefix("sqlite:///")
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, lambda *_: sampler.begin())
    signal.signal(signal.SIGUSR2, lambda *_: sampler.write(Path(ledger).with_name(FILE)))
    sampler.start()
    runtime.main(run)


if __name__ == "__main__":
    main()
