"""What is written about run folder and live view is what the code has."""

from __future__ import annotations

from typing import get_args

import pytest

from lab.export.columns import TABLES, Table
from lab.watch.keys import PACES_S
from lab.watch.picture import State
from tests.unit.test_docs import ROOT, rows, sections


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_every_column_of_the_run_folder_stands_in_its_order(table: Table) -> None:
    assert list(rows(ROOT / "docs" / "run-folder.md", table.name.capitalize())) == table.header


def test_every_key_and_every_state_of_the_live_view_stands() -> None:
    terminal = ROOT / "docs" / "terminal.md"
    assert list(rows(terminal, "The live view")) == [*get_args(State)]
    paces = ", ".join(f"{each:g}" for each in PACES_S[1:-1])
    assert paces in sections(terminal)["Keys"].tables[0][2]["does"]
