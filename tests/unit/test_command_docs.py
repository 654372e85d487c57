"""What is written about commands, run folder and live view is what the code has."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
import typer.main

from energymarket.settings import PREFIX
from lab import cli
from lab.export.columns import TABLES, Table
from lab.watch.keys import PACES_S
from lab.watch.picture import State
from services.external.catalogue_file import shipped_catalogues
from tests.unit.test_docs import INTERFACES, ROOT, WORDS, coded, rows, sections


def test_every_command_and_every_option_stands_with_its_default() -> None:
    commands: dict[str, Any] = vars(typer.main.get_command(cli.app))["commands"]
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = {" ".join(command.split()[:2]) for command in rows(INTERFACES, "Commands")}
    assert words >= {f"energymarket {name}" for name in commands}
    assert {word for word in words if "make" in word} == {f"make {name}" for name in targets}
    for table, name in enumerate(("run", "watch", "export", "doctor", "load"), start=1):
        said = rows(INTERFACES, "Commands", table)
        assert {option: row["default"].strip("`") for option, row in said.items()} == {
            option.opts[-1]: WORDS.get(str(option.default), str(option.default))
            for option in commands[name].params
            if option.opts[-1].startswith("--")
        }


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_every_column_of_the_run_folder_stands_in_its_order(table: Table) -> None:
    assert list(rows(ROOT / "docs" / "run-folder.md", table.name.capitalize())) == table.header


def test_every_key_and_every_state_of_the_live_view_stands() -> None:
    terminal = ROOT / "docs" / "terminal.md"
    assert list(rows(terminal, "The live view")) == [*get_args(State)]
    paces = ", ".join(f"{each:g}" for each in PACES_S[1:-1])
    assert paces in sections(terminal)["Keys"].tables[0][2]["does"]


def test_every_shipped_catalogue_is_named_where_one_is_chosen() -> None:
    named = set(shipped_catalogues())
    cells = (
        rows(INTERFACES, "Settings", 4)[f"{PREFIX}CATALOGUE"]["meaning"],
        rows(INTERFACES, "Commands", 1)["--catalogue"]["meaning"],
    )
    for cell in cells:
        assert set(coded(cell)) == named
    row = rows(ROOT / "docs" / "deploy.md", "Settings")[f"{PREFIX}CATALOGUE"]
    assert {*coded(row[""]), row["default"]} == named
