"""``energymarket verify LEDGER`` on whatever a person may name: one sentence, and an exit code."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from energymarket.errors import EnergyMarketError
from services.market.domain.rules import Rules
from services.market.errors import LedgerUnreadable
from services.market.ledger import Ledger
from tests.world import World


def a_ledger(path: Path) -> None:
    World(f"sqlite:///{path}", homes=2).turn_until_tick(3)


def of_a_newer_format(path: Path) -> None:
    a_ledger(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE world SET format = 2")
        connection.commit()


def a_foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE world (population INTEGER)")


FILES: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "nothing": (lambda path: None, 2, "is not there"),
    "a folder": (Path.mkdir, 2, "is a folder: name the ledger.db in it"),
    "an empty file": (Path.touch, 1, "this is no ledger: it is empty"),
    "a text": (lambda path: path.write_text("Dear diary\n" * 999), 1, "file is not a database"),
    "a foreign database": (a_foreign_database, 1, "this is no ledger: it has no table accounts"),
    "a newer format": (of_a_newer_format, 1, "is of format 2, and this version reads format 1"),
}


@pytest.mark.parametrize("what", FILES)
def test_what_is_no_ledger_is_named_in_a_sentence(what: str, tmp_path: Path) -> None:
    make, code, sentence = FILES[what]
    path = tmp_path / "it"
    make(path)
    done = subprocess.run(
        [sys.executable, "-m", "lab.cli", "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("what", [what for what in FILES if what != "nothing"])
def test_a_market_settles_on_nothing_that_is_no_ledger_and_leaves_it_as_it_is(
    what: str, tmp_path: Path
) -> None:
    make, _, _ = FILES[what]
    path = tmp_path / "it"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(EnergyMarketError):
        Ledger.open(f"sqlite:///{path}", Rules(seed=42))
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_ledger_that_a_market_is_writing_passes_at_every_moment(tmp_path: Path) -> None:
    """All that is compared is of one moment, however many ticks are written meanwhile."""
    path = tmp_path / "ledger.db"
    world = World(f"sqlite:///{path}", homes=3)
    world.turn_until_tick(5)
    begun = subprocess.Popen(
        [sys.executable, "-c", _VERIFY_ALL_THE_TIME, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert begun.stdout is not None
    try:
        assert begun.stdout.readline() == "begun\n"
        while begun.poll() is None:
            world.turn_until_tick(world.tick + 5)
        assert begun.stdout.readline() == "it always passed\n"
    finally:
        begun.kill()
        begun.wait()
        begun.stdout.close()


_VERIFY_ALL_THE_TIME = """
import sys
from pathlib import Path
from lab.verify import verify
ticks = set()
print("begun", flush=True)
while len(ticks) < 20:
    ticks.add(verify(Path(sys.argv[1])).ticks)
print("it always passed", flush=True)
"""


def test_a_name_with_every_kind_of_sign_is_a_name_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a ledger #1 (100%), is it?.db"
    shutil.move(_closed_ledger(tmp_path), path)
    done = subprocess.run(
        [sys.executable, "-m", "lab.cli", "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def _closed_ledger(folder: Path) -> Path:
    path = folder / "ledger.db"
    world = World(f"sqlite:///{path}", homes=2)
    world.turn_until_tick(3)
    world.kill_market()
    return path


# ------------------------------------------------------------------------------ where one begins


def test_a_ledger_that_is_gone_and_has_left_its_log_is_not_begun_anew_over_it(
    tmp_path: Path,
) -> None:
    """SQLite would take the log for that of the new ledger."""
    path = tmp_path / "ledger.db"
    a_ledger(path)
    copy = tmp_path / "copy.db-wal"
    shutil.copy(path.with_name("ledger.db-wal"), copy)
    with pytest.raises(LedgerUnreadable, match=r"copy\.db is gone and its log .* is still there"):
        Ledger.open(f"sqlite:///{tmp_path}/copy.db", Rules(seed=42))
    copy.unlink()
    Ledger.open(f"sqlite:///{tmp_path}/copy.db", Rules(seed=42)).close()


def test_a_new_ledger_is_whole_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an empty one is damaged, and of two markets the second finds the ledger of the first."""
    path, real = tmp_path / "ledger.db", os.link
    seen = []

    def quicker(source: Path, name: Path) -> None:
        seen.append(sorted(each.name for each in tmp_path.iterdir()))
        real(source, name)
        shutil.copy(name, tmp_path / "alone.db")
        real(source, name)

    monkeypatch.setattr(os, "link", quicker)
    Ledger.open(f"sqlite:///{path}", Rules(seed=42)).close()
    monkeypatch.undo()
    ((made,),) = seen
    assert made.endswith(".new")
    assert not list(tmp_path.glob("*.new*"))
    alone = Ledger.open(f"sqlite:///{tmp_path}/alone.db", Rules(seed=42))
    assert alone.head()[0] is None
    alone.close()
