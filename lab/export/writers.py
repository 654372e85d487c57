"""Tables as files: CSV always, Parquet where pyarrow is installed. Integers stay integers.

The same rows make the same bytes, however they come in batches.
"""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

from lab.export.columns import Cells, Table

ROWS_TOGETHER: Final = 100_000
"""Rows of a group in a Parquet file; as many are in the memory at a time."""

NO_PARQUET: Final = (
    "No Parquet files: they need pyarrow, which make run brings, or in a checkout of energymarket "
    "pip install '.[parquet]'."
)


class TableWriter(Protocol):
    """Takes the rows of a table bit by bit."""

    def write(self, *cells: Cells) -> None:
        """Adds rows: one sequence per column, all of the same length."""

    def close(self) -> None:
        """Ends the file."""


class CsvWriter:
    """Lines end in a single line feed; an empty cell is nothing between two commas."""

    def __init__(self, path: Path, table: Table) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(table.header)

    def write(self, *cells: Cells) -> None:
        self._rows.writerows(zip(*cells, strict=True))

    def close(self) -> None:
        self._file.close()


class ParquetWriter:
    """Groups of ``ROWS_TOGETHER`` rows, compressed; 64-bit integers and text."""

    def __init__(self, path: Path, table: Table) -> None:
        self._arrow = _arrow()
        kinds = {"integer": self._arrow.int64(), "text": self._arrow.string()}
        self._schema = self._arrow.schema(
            [
                self._arrow.field(each.name, kinds[each.kind], nullable=each.empty)
                for each in table.columns
            ]
        )
        self._file = self._arrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[list[Any]] = [[] for _ in table.columns]

    def write(self, *cells: Cells) -> None:
        for waiting, column in zip(self._waiting, cells, strict=True):
            waiting.extend(column)
        while len(self._waiting[0]) >= ROWS_TOGETHER:
            self._write_group([column[:ROWS_TOGETHER] for column in self._waiting])
            self._waiting = [column[ROWS_TOGETHER:] for column in self._waiting]

    def _write_group(self, columns: list[list[Any]]) -> None:
        arrays = [
            self._arrow.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._file.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        if self._waiting[0]:
            self._write_group(self._waiting)
        self._file.close()


def has_parquet() -> bool:
    """Whether Parquet files can be written here."""
    return importlib.util.find_spec("pyarrow") is not None


def _arrow() -> ModuleType:
    # Half a second and 60 MiB: only for who exports.
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    module: ModuleType = pyarrow
    return module
