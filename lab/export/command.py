"""``energymarket export``, and what ``energymarket run --out`` leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from energymarket.errors import SettingsError
from energymarket.runtime import EXIT_INTERRUPTED, StopRequest
from lab.export.folder import EXPORTED, check_folder
from lab.export.folder import export as export_ledger
from lab.verify import ledger_file
from services.market.ledger import Inspection

EXAMPLE: Final = "Example: energymarket export runs/april/ledger.db tables/april"

Trades = Annotated[
    bool | None,
    typer.Option(
        "--trades/--no-trades",
        show_default="unless they are very many",
        help="export every single gift, sale and purchase",
    ),
]


def export(
    ledger: Annotated[Path, typer.Argument(help="the ledger.db of a run or of a market")],
    folder: Annotated[Path, typer.Argument(help="folder for the tables and the report")],
    trades: Trades = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="write over the tables of an earlier export")
    ] = False,
) -> None:
    """Writes a ledger as tables (CSV, Parquet) and as a report with pictures.

    The ledger is only read; a market may be writing it meanwhile. Every sum in the tables is the
    ledger's, to the last Wh and nEUR: docs/run-folder.md has the columns.
    """
    ledger_file(ledger)
    with Inspection.of_file(ledger) as look:
        look.check_kind()
        check_folder(folder, option="folder")
        there = [name for name in EXPORTED if (folder / name).exists()]
        if there and not replace:
            raise SettingsError(
                f"folder {folder} holds {there[0]} of an earlier export: choose another, or write "
                "over it by --replace."
            )
        stop = StopRequest()
        stop.listen_to_signals()
        written = export_with_progress(
            Console(),
            look,
            folder,
            again=f"energymarket export {ledger} {folder}",
            trades=trades,
            leave_out=lambda: stop.requested,
        )
    if not written:
        raise typer.Exit(EXIT_INTERRUPTED)


class _LeftOut(Exception):
    """Nobody wants to wait for the tables any longer."""


def export_with_progress(
    console: Console,
    look: Inspection,
    folder: Path,
    *,
    again: str,
    trades: bool | None,
    settings: Mapping[str, Any] | None = None,
    leave_out: Callable[[], bool],
) -> bool:
    """Exports, tells how far it is where there is a terminal, and says what was written.

    ``again`` is the command that exports once more. ``leave_out`` is asked at each tick; then
    nothing is written, and the answer is False. Raises as ``folder.export``.
    """
    status = console.status("exporting") if console.is_terminal else None

    def progress(tick: int) -> None:
        if leave_out():
            raise _LeftOut
        if status and tick % 100 == 0:
            status.update(f"exporting tick {tick:,}; Ctrl-C leaves it out")

    try:
        with status or nullcontext():
            done = export_ledger(
                look, folder, again=again, trades=trades, settings=settings, progress=progress
            )
    except _LeftOut:
        console.out(f"tables left out: {again} writes them", highlight=False)
        return False
    console.out(f"{folder}: {', '.join(done.files)}", highlight=False)
    for note in done.notes:
        console.out(note, highlight=False)
    return True
