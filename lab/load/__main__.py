"""The load test alone, as the container of that name runs it: ``python -m lab.load``."""

from __future__ import annotations

import typer

from energymarket import runtime
from lab.load.command import EXAMPLE, load

app = typer.Typer(
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
app.command(epilog=EXAMPLE)(load)

if __name__ == "__main__":
    runtime.main(app)
