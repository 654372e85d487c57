"""The run folder: which files it has, and how they come to be there whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

from energymarket import __version__
from energymarket.errors import EnergyMarketError, SettingsError
from lab.export import columns, report
from lab.export.columns import Table
from lab.export.story import Progress, Story, home_rows, read
from lab.export.writers import NO_PARQUET, CsvWriter, ParquetWriter, TableWriter, has_parquet
from services.market.ledger import Inspection

LEDGER: Final = "ledger.db"
SETTINGS, REPORT = "settings.json", "report.html"
EXPORTED: Final = (
    SETTINGS,
    REPORT,
    *(f"{table.name}.{ending}" for table in columns.TABLES for ending in ("csv", "parquet")),
)

MOST_HOME_TICKS: Final = 10_000_000
"""Up to here a run's trades are exported unasked: a year of 1,000 homes is 8.8 million, and takes
20 s of processor time and 360 MB."""

_PACKAGES: Final = ("msgspec", "numpy", "pyarrow", "sqlalchemy")


class ExportFailed(EnergyMarketError):
    """The files could not be written; what was there before is still there."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and what was left out, in sentences."""

    files: tuple[str, ...]
    notes: tuple[str, ...]


def check_folder(folder: Path, *, option: str) -> None:
    """Makes the folder if need be; raises ``SettingsError`` for one that cannot be written to, or
    that holds other files than a run folder has."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = sorted(each.name for each in folder.iterdir())
    except OSError as error:
        raise SettingsError(f"{option} {folder} cannot be made: {error.strerror}.") from error
    foreign = [
        name for name in there if name not in EXPORTED and not name.startswith((LEDGER, "."))
    ]
    if foreign:
        raise SettingsError(
            f"{option} {folder} holds other files ({', '.join(foreign[:3])}): choose an empty "
            "folder."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(f"{option} {folder} cannot be written to: Permission denied.")


def export(
    look: Inspection,
    folder: Path,
    *,
    again: str,
    trades: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress = lambda _tick: None,
) -> Exported:
    """Writes the tables, the settings and the report of a ledger into a folder, over earlier ones.

    ``trades`` None: unless they are very many; then a note has the command ``again`` that would
    write them. ``settings`` are what the run was asked for. Raises
    ``ExportFailed``, ``LedgerFault``, ``LedgerUnreadable``, ``LedgerUnavailable``.
    """
    notes = [] if has_parquet() else [NO_PARQUET]
    with _translated(folder), _parts(folder) as parts:
        if trades is None:
            trades = look.home_ticks() <= MOST_HOME_TICKS
            if not trades:
                notes.append(f"No trades: they would be very many; {again} --trades writes them.")
        price_files, trade_files = parts.writers(columns.PRICES), []
        if trades:
            trade_files = parts.writers(columns.TRADES)
        story = read(look, price_files, trade_files, progress)
        for writer in parts.writers(columns.HOMES):
            writer.write(*home_rows(story))
        parts.text(SETTINGS, json.dumps(_settings(story, settings), indent=1) + "\n")
        parts.text(REPORT, report.html(story))
    return Exported(parts.names, tuple(notes))


class _Parts:
    """Files under names of their own, until all of them are complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: list[TableWriter] = []
        self._names: list[str] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._names))

    def writers(self, table: Table) -> list[TableWriter]:
        made: list[TableWriter] = [CsvWriter(self._part(f"{table.name}.csv"), table)]
        self._writers += made
        if has_parquet():
            made.append(ParquetWriter(self._part(f"{table.name}.parquet"), table))
            self._writers.append(made[-1])
        return made

    def text(self, name: str, text: str) -> None:
        self._part(name).write_text(text, encoding="utf-8")

    def _part(self, name: str) -> Path:
        self._names.append(name)
        return self._folder / f".{name}.part"

    def close(self) -> None:
        while self._writers:
            self._writers.pop().close()

    def put_in_place(self) -> None:
        for name in EXPORTED:
            if name in self._names:
                (self._folder / f".{name}.part").replace(self._folder / name)
            else:  # of an earlier export, and no longer true
                (self._folder / name).unlink(missing_ok=True)

    def remove(self) -> None:
        for name in self._names:
            (self._folder / f".{name}.part").unlink(missing_ok=True)


@contextlib.contextmanager
def _parts(folder: Path) -> Iterator[_Parts]:
    parts = _Parts(folder)
    try:
        yield parts
        parts.close()
        parts.put_in_place()
    finally:
        with contextlib.suppress(OSError):
            parts.close()
        with contextlib.suppress(OSError):
            parts.remove()


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportFailed(
            f"{folder} could not be written ({error.strerror or error}): nothing was exported."
        ) from error


def _settings(story: Story, asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """Without times of day and addresses: the same run leaves the same file."""
    rules = story.rules
    return {
        "world": {
            "seed": rules.seed,
            "price_model": rules.price_model,
            "credit_limit_neur": rules.credit_limit_neur,
            "first_tick": story.first_tick,
            "last_tick": story.last_tick,
            "homes": len(story.after.stock_wh),
        },
        "head_hash": story.head_hash.hex(),
        "settings": dict(asked) if asked is not None else None,
        "versions": {
            "energymarket": __version__,
            "python": platform.python_version(),
            **{name: found for name in _PACKAGES if (found := _version(name))},
        },
    }


def _version(package: str) -> str | None:
    try:
        return installed(package)
    except PackageNotFoundError:
        return None
