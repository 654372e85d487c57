"""What a run leaves in its folder agrees with its ledger to the last Wh and nEUR."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from energymarket import telemetry
from lab.embedded import EmbeddedRun, WorldPlan
from lab.export import folder as run_folder
from lab.export.columns import HOMES, PRICES, TABLES, TRADES
from lab.export.folder import EXPORTED, ExportFailed, export
from lab.export.report import quarters
from lab.export.writers import NO_PARQUET, ROWS_TOGETHER, ParquetWriter
from services.market.domain.replay import LedgerFault
from services.market.errors import LedgerUnreadable
from services.market.ledger import History, Inspection
from services.market.tick_cycle import Tempo

ENDED_AT_TICK_30 = """
import os, signal
from lab.cli import main
from services.market.ledger import Inspection
ticks = Inspection.ticks
def until_30(look, *, after):
    for line in ticks(look, after=after):
        if line.stored.tick == 30:
            os.kill(os.getpid(), signal.SIGTERM)
        yield line
Inspection.ticks = until_30
main()
"""
ENDED_BEFORE_ITS_FIRST_TICK = """
import os, signal
from lab.cli import main
from lab.embedded import EmbeddedRun
start = EmbeddedRun.start
def start_and_end(world):
    start(world)
    {do}
    os.kill(os.getpid(), signal.{how})
EmbeddedRun.start = start_and_end
main()
"""
ONE_TICK = Tempo(tick_s=0, deadline_s=0, start_homes=3, max_ticks=1)
ENERGIES = ("given_wh", "sold_wh", "bought_wh", "spilled_wh", "unserved_wh")


def energymarket(*arguments: str | Path, code: int = 0, **environment: str) -> tuple[str, str]:
    """(standard output, error output) of the command, which must end with ``code``."""
    done = subprocess.run(
        [sys.executable, "-m", "lab.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def a_run(out: Path, *, homes: int = 12, ticks: int = 60, seed: int = 42) -> str:
    """The head hash of a run that left its folder."""
    options = {"--homes": homes, "--ticks": ticks, "--seed": seed, "--pace": 0, "--port": 0}
    arguments = [str(each) for pair in options.items() for each in pair]
    said, _ = energymarket("run", "--headless", "--out", out, *arguments)
    return said.splitlines()[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "one"
    a_run(out)
    return out


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose homes are many enough to be computed as arrays, and to be linked in groups."""
    out = tmp_path_factory.mktemp("runs") / "many"
    a_run(out, homes=700, ticks=4)
    return out


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a CSV file, its numbers as integers, what is empty as None."""
    with (folder / f"{table}.csv").open(newline="") as file:
        return [{name: _value(cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def _value(cell: str) -> int | str | None:
    return None if cell == "" else int(cell) if cell.lstrip("-").isdigit() else cell


def test_a_run_folder_holds_ledger_settings_tables_and_a_report(folder: Path) -> None:
    assert {each.name for each in folder.iterdir()} == {"ledger.db", *EXPORTED}
    said = json.loads((folder / "settings.json").read_text())
    history = History.of_file(str(folder / "ledger.db"))
    assert said["head_hash"] == (history.tick_hash(60) or b"").hex()
    history.close()
    assert said["world"]["seed"] == said["settings"]["seed"] == 42
    assert said["settings"]["homes"] == 12
    assert {"energymarket", "python", "pyarrow"} <= set(said["versions"])


@pytest.mark.parametrize("which", ["folder", "many"])
def test_every_sum_in_the_tables_is_that_of_the_ledger(
    which: str, request: pytest.FixtureRequest
) -> None:
    """To the last Wh and nEUR, by tick, by home and by trade."""
    out: Path = request.getfixturevalue(which)
    history = History.of_file(str(out / "ledger.db"))
    stored = history.prices(0, 2**62, 1_000)
    stock_wh, balance_neur = history.accounts()
    history.close()
    prices, homes, trades = (rows(out, table.name) for table in TABLES)

    assert [row["tick"] for row in prices] == [row.tick for row in stored]
    for name in (*ENERGIES, "price_neur_per_wh", "next_price_neur_per_wh", "temperature_mdeg"):
        assert [row[name] for row in prices] == [getattr(row, name) for row in stored], name
    for name in ENERGIES:
        assert sum(row[name] for row in homes) == sum(getattr(row, name) for row in stored), name
    assert [row["stock_wh"] for row in homes] == list(stock_wh)
    assert [row["balance_neur"] for row in homes] == list(balance_neur)
    for kind, name in (("gift", "given_wh"), ("sale", "sold_wh"), ("purchase", "bought_wh")):
        by_tick = dict.fromkeys((row.tick for row in stored), 0)
        for row in trades:
            if row["kind"] == kind:
                by_tick[row["tick"]] += row["energy_wh"]
        assert by_tick == {row.tick: getattr(row, name) for row in stored}, name


@pytest.mark.parametrize("which", ["folder", "many"])
def test_each_home_balances_over_the_whole_run(which: str, request: pytest.FixtureRequest) -> None:
    """I1 and I2, from the tables alone."""
    out: Path = request.getfixturevalue(which)
    trades = rows(out, "trades")
    for home in rows(out, "homes"):
        gained = home["produced_wh"] + home["received_wh"] + home["bought_wh"] + home["unserved_wh"]
        lost = home["consumed_wh"] + home["given_wh"] + home["sold_wh"] + home["spilled_wh"]
        assert home["stock_wh"] == home["stock_before_wh"] + gained - lost
        assert home["bill_neur"] == home["paid_neur"] - home["earned_neur"]
        assert home["balance_neur"] == home["balance_before_neur"] - home["bill_neur"]
        mine = [row for row in trades if home["home"] in {row["giver"], row["taker"]}]
        assert home["given_wh"] == sum(
            row["energy_wh"]
            for row in mine
            if (row["giver"], row["kind"]) == (home["home"], "gift")
        )
        assert home["paid_neur"] == sum(r["amount_neur"] for r in mine if r["kind"] == "purchase")
        assert home["earned_neur"] == sum(r["amount_neur"] for r in mine if r["kind"] == "sale")
    assert all(row["amount_neur"] == row["energy_wh"] * row["price_neur_per_wh"] for row in trades)


@pytest.mark.parametrize("table", [PRICES, HOMES, TRADES], ids=lambda table: str(table.name))
def test_parquet_holds_the_same_rows_as_csv(folder: Path, table: Any) -> None:
    found = pyarrow.parquet.read_table(folder / f"{table.name}.parquet")
    assert found.column_names == table.header
    assert found.to_pylist() == rows(folder, table.name)
    assert {str(field.type) for field in found.schema} <= {"int64", "string"}


def test_a_parquet_file_is_written_in_groups_so_that_few_rows_are_in_the_memory(
    tmp_path: Path,
) -> None:
    writer = ParquetWriter(tmp_path / "trades.parquet", TRADES)
    for tick in range(1, 8):
        rows = 40_000
        sevens = [7] * rows
        writer.write([tick] * rows, ["gift"] * rows, sevens, sevens, sevens, sevens, sevens)
    writer.close()
    found = pyarrow.parquet.ParquetFile(tmp_path / "trades.parquet").metadata
    groups = [found.row_group(n).num_rows for n in range(found.num_row_groups)]
    assert groups == [ROWS_TOGETHER, ROWS_TOGETHER, 280_000 - 2 * ROWS_TOGETHER]


def test_the_same_seed_leaves_the_same_files_and_another_seed_others(
    folder: Path, tmp_path: Path
) -> None:
    a_run(tmp_path / "again")
    a_run(tmp_path / "other", seed=43)
    for name in EXPORTED:
        same = (tmp_path / "again" / name).read_bytes()
        assert same == (folder / name).read_bytes(), name
        assert same != (tmp_path / "other" / name).read_bytes(), name


def test_any_ledger_can_be_exported_and_gives_the_tables_of_its_run(
    folder: Path, tmp_path: Path
) -> None:
    said, _ = energymarket("export", folder / "ledger.db", tmp_path / "tables")
    assert "trades.parquet" in said
    for name in {*EXPORTED} - {"settings.json"}:
        assert (tmp_path / "tables" / name).read_bytes() == (folder / name).read_bytes(), name
    _, refusal = energymarket("export", folder / "ledger.db", tmp_path / "tables", code=2)
    assert "--replace" in refusal
    energymarket("export", folder / "ledger.db", tmp_path / "tables", "--replace", "--no-trades")
    assert not (tmp_path / "tables" / "trades.csv").exists()


def test_the_report_loads_nothing_and_shows_all_its_pictures(folder: Path, many: Path) -> None:
    for each in (folder, many):
        page = (each / "report.html").read_text()
        assert page.count("<svg") == 5
        assert not any(word in page for word in ("http://", "https://", "<script", "src="))
    assert "2 homes are one dot" in (many / "report.html").read_text()


def test_the_report_of_a_single_tick_shows_its_points(tmp_path: Path) -> None:
    """A line between fewer than two points is none."""
    world = WorldPlan(homes=3, ledger_url=f"sqlite:///{tmp_path}/ledger.db", tempo=ONE_TICK)
    EmbeddedRun(world, log=telemetry.configure("test", level="error", form="text")).run_to_end()
    with Inspection.of_file(tmp_path / "ledger.db") as look:
        export(look, tmp_path, again="", trades=False)
    price, temperature, traded, *_ = (tmp_path / "report.html").read_text().split("<svg")[1:]
    assert [chart.count("<circle") for chart in (price, temperature, traded)] == [1, 1, 4]


def test_a_box_has_its_median_in_the_middle_of_an_even_number_of_bills() -> None:
    euro = 10**9
    assert quarters([euro, 3 * euro]) == (1.0, 1.5, 2.0, 2.5, 3.0)
    assert quarters([0, 0, 4 * euro, 8 * euro]) == (0.0, 0.0, 2.0, 5.0, 8.0)
    assert quarters([7 * euro]) == (7.0,) * 5


def test_without_pyarrow_there_is_csv_and_a_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "has_parquet", lambda: False)
    with Inspection.of_file(folder / "ledger.db") as look:
        done = export(look, tmp_path, again="")
    assert done.notes == (NO_PARQUET,)
    assert {each.name for each in tmp_path.iterdir()} == {
        name for name in EXPORTED if not name.endswith("parquet")
    }


def test_very_many_trades_are_left_out_unless_asked_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "MOST_HOME_TICKS", 100)
    with Inspection.of_file(folder / "ledger.db") as look:
        done = export(look, tmp_path, again="energymarket export L D")
        assert "energymarket export L D --trades" in done.notes[0]
        assert "trades.csv" not in done.files
        assert "trades.csv" in export(look, tmp_path, again="", trades=True).files


def test_an_export_that_fails_or_is_broken_off_leaves_what_was_there(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "prices.csv").write_text("of before\n")

    def full(_tick: int) -> None:
        raise OSError(28, "No space left on device")

    with (
        Inspection.of_file(folder / "ledger.db") as look,
        pytest.raises(ExportFailed, match="No space left on device"),
    ):
        export(look, tmp_path, again="", progress=full)
    assert [each.name for each in tmp_path.iterdir()] == ["prices.csv"]
    assert (tmp_path / "prices.csv").read_text() == "of before\n"


def test_an_export_that_is_ended_by_a_signal_leaves_nothing_behind(
    folder: Path, tmp_path: Path
) -> None:
    words = ["export", str(folder / "ledger.db"), str(tmp_path / "tables")]
    done = subprocess.run(
        [sys.executable, "-c", ENDED_AT_TICK_30, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stdout.replace("\n", " ").startswith("tables left out: energymarket export ")
    assert list((tmp_path / "tables").iterdir()) == []


def test_a_ledger_that_was_changed_is_not_exported(folder: Path, tmp_path: Path) -> None:
    """I5: a table of numbers that nobody settled would be worse than none."""
    copy = tmp_path / "ledger.db"
    copy.write_bytes((folder / "ledger.db").read_bytes())
    with sqlite3.connect(copy) as database:
        ((record,),) = database.execute("SELECT record FROM ticks WHERE tick = 30")
        changed = record[:-1] + bytes((record[-1] ^ 1,))
        database.execute("UPDATE ticks SET record = ? WHERE tick = 30", (changed,))
    database.close()
    (tmp_path / "out").mkdir()
    with (
        Inspection.of_file(copy) as look,
        pytest.raises((LedgerFault, LedgerUnreadable), match="tick 30"),
    ):
        export(look, tmp_path / "out", again="")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_ledger_that_was_cut_at_its_end_is_not_exported(folder: Path, tmp_path: Path) -> None:
    """I1: sums of the ticks that are left would not lead to the accounts beside them."""
    copy = tmp_path / "ledger.db"
    copy.write_bytes((folder / "ledger.db").read_bytes())
    with sqlite3.connect(copy) as database:
        database.execute("DELETE FROM ticks WHERE tick > 50")
    database.close()
    (tmp_path / "out").mkdir()
    with (
        Inspection.of_file(copy) as look,
        pytest.raises(LedgerFault, match="the account after tick 50"),
    ):
        export(look, tmp_path / "out", again="")
    assert list((tmp_path / "out").iterdir()) == []


def ended_before_its_first_tick(
    how: signal.Signals, *options: str, do: str = ""
) -> tuple[int, str, str]:
    """(exit code, output, error output) of a run that is ended as soon as its services are up, and
    ``do`` is done."""
    words = ["run", "--headless", "--homes", "3", "--port", "0", *options]
    done = subprocess.run(
        [sys.executable, "-c", ENDED_BEFORE_ITS_FIRST_TICK.format(how=how.name, do=do), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_a_run_that_is_ended_before_its_first_tick_leaves_nothing_behind(
    how: signal.Signals, tmp_path: Path
) -> None:
    """Or another world could not begin there."""
    code, said, error = ended_before_its_first_tick(how, "--out", str(tmp_path))
    assert (code, error) == (0, "")
    assert "0 ticks settled" in said
    assert len(said.splitlines()[-1]) == 64, "the head hash, as of any run"
    assert list(tmp_path.iterdir()) == []
    a_run(tmp_path, homes=2, ticks=2, seed=7)


def test_a_run_that_is_killed_before_its_first_tick_is_told_from_others(tmp_path: Path) -> None:
    """Neither what goes on with it nor what only reads it minds; and it goes when it is told to."""
    ledger = tmp_path / "killed" / "ledger.db"
    options = ("--out", str(ledger.parent))
    code, _, _ = ended_before_its_first_tick(signal.SIGKILL, *options)
    assert code == -signal.SIGKILL
    assert energymarket("verify", ledger)[0].startswith("0 ticks")
    energymarket("export", ledger, tmp_path / "tables")
    _, refusal = energymarket("run", "--headless", "--seed", "7", *options, code=2)
    assert "is of a run that was ended before its first tick" in refusal
    assert f"remove {ledger}* to begin anew" in refusal
    code, _, _ = ended_before_its_first_tick(signal.SIGINT, *options, "--resume")
    assert (code, ledger.exists()) == (0, True), "it was there before that run"
    energymarket("run", "--headless", "--ticks", "1", "--port", "0", *options, "--resume")
    _, refusal = energymarket("run", "--headless", *options, code=2)
    assert "exists: choose another --out" in refusal
    for each in ledger.parent.glob("ledger.db*"):
        each.unlink()
    a_run(ledger.parent, homes=2, ticks=2, seed=7)


def test_a_run_whose_ledger_another_one_went_on_with_takes_nothing_away(tmp_path: Path) -> None:
    """Neither what the other has settled nor what it is about to settle."""
    settled, begun = tmp_path / "settled", tmp_path / "begun"
    words = [sys.executable, "-m", "lab.cli", "run", "--headless", "--homes", "3", "--port", "0"]
    words += ["--ticks", "1", "--resume", "--out", str(settled)]
    other = f"import subprocess; subprocess.run({words}, check=True)"
    code, _, error = ended_before_its_first_tick(signal.SIGINT, "--out", str(settled), do=other)
    assert (code, error) == (0, "")
    assert energymarket("verify", settled / "ledger.db")[0].startswith("1 ticks")
    other = "world.ledger.raise_epoch(0.0); world.ledger.epoch = 1"
    code, _, error = ended_before_its_first_tick(signal.SIGINT, "--out", str(begun), do=other)
    assert code == 1
    assert "Traceback" not in error
    assert energymarket("verify", begun / "ledger.db")[0].startswith("0 ticks")


def test_a_run_that_goes_on_leaves_the_folder_of_a_run_in_one_go(
    folder: Path, tmp_path: Path
) -> None:
    a_run(tmp_path / "run", ticks=20)
    options = ("--homes", "12", "--ticks", "60", "--pace", "0", "--port", "0", "--resume")
    energymarket("run", "--headless", "--out", tmp_path / "run", *options)
    for name in EXPORTED:
        assert (tmp_path / "run" / name).read_bytes() == (folder / name).read_bytes(), name
