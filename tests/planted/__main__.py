"""Plants each bug of ``bugs.toml`` in a copy of the project, where its tests must then fail.

``python -m tests.planted [WORD…]`` takes the bugs whose name holds one of the words, or all. It
prints a table; the exit code is 1 when a bug was not caught, or when the tests fail without it.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from tests.planted.garden import Bug, Garden, bugs


def main(words: list[str]) -> int:
    """Plants, runs, reports; the exit code."""
    chosen = [bug for bug in bugs() if not words or any(word in bug.name for word in words)]
    table = Table("planted bug", "in", "caught by", "seconds")
    missed = 0
    with Garden() as garden:
        for bug in chosen:
            begun = time.monotonic()
            caught_by = garden.caught_by(bug)
            missed += caught_by is None
            seconds = f"{time.monotonic() - begun:.0f}"
            table.add_row(bug.name, bug.file, caught_by or "NOT CAUGHT", seconds)
            print(f"{'caught' if caught_by else 'MISSED'}: {bug.name}", flush=True)
        healthy = garden.passes_without(chosen)
    Console(width=160).print(table)
    print(f"{len(chosen) - missed} of {len(chosen)} caught")
    if not healthy:
        print("the same tests do not pass without a bug: their verdict is worth nothing")
    return int(missed > 0 or not healthy)


__all__ = ["Bug", "main"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
