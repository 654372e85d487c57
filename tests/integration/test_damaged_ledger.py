"""A ledger that was cut, or in which a bit has flipped, opens to a whole tick or is refused.

The files are as a power cut leaves them: the database, its log, and nothing of the running market.
Each is opened by ``energymarket verify`` or by a market; whatever they accept must be, value for
value, what the market had committed at one of its ticks.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from energymarket import telemetry
from energymarket.errors import EnergyMarketError
from lab.embedded import EmbeddedRun, WorldPlan
from lab.verify import verify
from services.market.books import Books
from services.market.domain.rules import Rules
from services.market.ledger import Ledger, Retention
from services.market.tick_cycle import Tempo

HOMES = 6
HEADS = 24, 24, 30, 36
PAGE = 4_096
LOG_HEADER, FRAME = 32, 24 + PAGE
RULES = Rules(seed=11, credit_limit_neur=2_000_000_000)

Row = tuple[Any, ...]


@dataclass(frozen=True)
class State:
    """Everything of a tick that was committed, and all that came before it."""

    head_hash: str
    ticks: list[Row]
    accounts: list[Row]
    events: list[Row]
    snapshots: list[Row]


@dataclass
class Files:
    """What is on the disk at one moment."""

    main: bytes
    log: bytes

    @classmethod
    def of(cls, path: Path, scratch: Path) -> Files:
        """As copied by another process: to read them in this one would end SQLite's locks."""
        found = []
        for name in (path.name, f"{path.name}-wal"):
            if not path.with_name(name).exists():
                found.append(b"")
                continue
            subprocess.run(["cp", path.with_name(name), scratch], check=True)
            found.append(scratch.read_bytes())
        return cls(*found)

    def put(self, path: Path) -> None:
        path.write_bytes(self.main)
        log = path.with_name(f"{path.name}-wal")
        log.unlink(missing_ok=True)
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        if self.log:
            log.write_bytes(self.log)


@dataclass
class Committed:
    """A market's ledger: its states by tick, and its files in some moments of its life."""

    states: dict[int, State] = field(default_factory=dict)
    files: dict[str, Files] = field(default_factory=dict)


MOMENTS = ("before a checkpoint", "after a checkpoint", "after its log began anew", "closed")


MEMORIES = {"remembers": Retention(), "forgets": Retention(ticks=16)}
CASES = [("remembers", moment) for moment in MOMENTS] + [("forgets", MOMENTS[2])]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Committed]:
    """A market that keeps all of its past, and one that keeps the newest ticks."""
    return {
        memory: commit_a_run(tmp_path_factory.mktemp(memory), retention)
        for memory, retention in MEMORIES.items()
    }


def commit_a_run(folder: Path, retention: Retention) -> Committed:
    path = folder / "ledger.db"
    plan = WorldPlan(
        retention=retention,
        homes=HOMES,
        fleets=3,
        rules=RULES,
        ledger_url=f"sqlite:///{path}",
        tempo=Tempo(tick_s=0, deadline_s=0, start_homes=HOMES, max_ticks=36),
    )
    made = Committed()
    run = EmbeddedRun(plan, log=telemetry.configure("test", level="error", form="text"))
    made.states[0] = state_of(path, run.market.books.head_hash.hex())
    run.start()
    while not run.finished:
        before = run.market.books.tick
        run.rest_until(run.step())
        tick = run.market.books.tick
        if tick == before:
            continue
        made.states[tick] = state_of(path, run.market.books.head_hash.hex())
        if tick == 24:
            made.files["before a checkpoint"] = Files.of(path, folder / "copy")
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            made.files["after a checkpoint"] = Files.of(path, folder / "copy")
        elif tick == 30:
            made.files["after its log began anew"] = Files.of(path, folder / "copy")
    run.stop()
    made.files["closed"] = Files.of(path, folder / "copy")
    return made


def state_of(path: Path, head_hash: str = "") -> State:
    """What a ledger holds, read without any of our code; without the time of day."""
    beside = "next_price_neur_per_wh, temperature_mdeg, degraded, homes, absent"
    sums = "given_wh, sold_wh, bought_wh, spilled_wh, unserved_wh"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        ticks = connection.execute(
            f"SELECT tick, epoch, price_neur_per_wh, {beside}, {sums}, record, hash FROM ticks"
        ).fetchall()
        accounts = connection.execute("SELECT * FROM accounts").fetchall()
        events = connection.execute(
            "SELECT name, coefficient_neur_per_wh, ttl_ticks, start_tick, source FROM events"
        ).fetchall()
        snapshots = connection.execute("SELECT * FROM snapshots NATURAL JOIN snapshot_pages")
        return State(head_hash, ticks, accounts, events, snapshots.fetchall())


def test_the_files_are_what_their_names_say(runs: dict[str, Committed], tmp_path: Path) -> None:
    """Else the tests below would test less than they claim."""
    heads = {}
    committed = runs["remembers"]
    for moment, files in committed.files.items():
        files.put(tmp_path / "ledger.db")
        heads[moment] = verify(tmp_path / "ledger.db").ticks
    assert heads == dict(zip(MOMENTS, HEADS, strict=True))
    assert not committed.files["closed"].log
    before, after, anew, _ = (committed.files[moment] for moment in MOMENTS)
    assert before.log == after.log != anew.log
    assert len(before.main) < len(after.main) == len(anew.main)
    assert len(committed.states[36].events) > 3
    assert len(runs["forgets"].states[36].ticks) < 24
    assert len(runs["forgets"].states[36].snapshots) > 3


# --------------------------------------------------------------------------------------- opened by


def opened_by_verify(path: Path) -> tuple[int, str]:
    verdict = verify(path)
    return verdict.from_tick + verdict.ticks - 1, verdict.head_hash


def opened_by_a_market(path: Path) -> tuple[int, str]:
    """As ``__main__`` does; a market that gets so far settles the next tick."""
    ledger = Ledger.open(f"sqlite:///{path}", RULES)
    try:
        ledger.raise_epoch(1.0)
        books = Books(ledger, max_fleets=100)
        return books.tick, books.head_hash.hex()
    finally:
        ledger.close()


OPENERS = {"verify": opened_by_verify, "a market": opened_by_a_market}


class Tally:
    """Opens damaged files one after the other, and counts what came of it."""

    def __init__(self, committed: Committed, path: Path, opener: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self.refusals: list[str] = []
        self._committed, self._path, self._open = committed, path, OPENERS[opener]

    def open(self, files: Files, head: int, what: str) -> None:
        """``head`` is the newest tick of the files before they were damaged."""
        files.put(self._path)
        try:
            tick, head_hash = self._open(self._path)
        except EnergyMarketError as error:
            self.refusals.append(str(error))
            self.outcomes["refused"] += 1
            return
        wanted = self._committed.states[tick]
        found = state_of(self._path)
        assert head_hash == wanted.head_hash, what
        assert found.ticks == wanted.ticks, what
        assert found.accounts == wanted.accounts, what
        assert found.events == wanted.events, what
        assert found.snapshots == wanted.snapshots, what
        self.outcomes["whole" if tick == head else "earlier"] += 1


def cut_places(size: int, borders: range, count: int, luck: Random) -> set[int]:
    """``count`` places: one in three at a border, one in three next to one, the others anywhere."""
    at = luck.sample(borders, min(count // 3, len(borders)))
    near = [luck.choice(borders) + luck.choice((-1, 1, 23, 24)) for _ in range(count // 3)]
    anywhere = [luck.randrange(size) for _ in range(count - len(at) - len(near))] if size else []
    return {place for place in (*at, *near, *anywhere) if 0 <= place < size}


def frame_borders(files: Files) -> range:
    return range(LOG_HEADER, len(files.log) + 1, FRAME)


def page_borders(files: Files) -> range:
    return range(0, len(files.main) + 1, PAGE)


def head_in(moment: str) -> int:
    return dict(zip(MOMENTS, HEADS, strict=True))[moment]


def cut_everywhere(tally: Tally, files: Files, moment: str, count: int) -> None:
    """Cuts the database, then the log, at ``count`` places each."""
    luck, head = Random(moment), head_in(moment)
    for place in cut_places(len(files.main), page_borders(files), count, luck):
        what = f"{moment}: the database cut at {place}"
        tally.open(Files(files.main[:place], files.log), head, what)
    borders = frame_borders(files)
    for place in cut_places(len(files.log), borders, count, luck) if files.log else ():
        what = f"{moment}: the log cut at {place}"
        tally.open(Files(files.main, files.log[:place]), head, what)


def flip_everywhere(tally: Tally, files: Files, moment: str, count: int) -> None:
    """Flips ``count`` bits, one at a time; most where something is written, for pages have room."""
    luck, head = Random(moment), head_in(moment)
    written = {
        name: [place for place, byte in enumerate(body) if byte]
        for name, body in (("main", files.main), ("log", files.log))
        if body
    }
    for number in range(count):
        name = luck.choice(sorted(written))
        body = bytearray(getattr(files, name))
        place = luck.choice(written[name]) if number % 4 else luck.randrange(len(body))
        body[place] ^= 1 << luck.randrange(8)
        damaged = Files(files.main, files.log)
        setattr(damaged, name, bytes(body))
        tally.open(damaged, head, f"{moment}: a bit of {name} at {place}")


def assert_sentences(tally: Tally) -> None:
    """That they say what is wrong, in a line."""
    for refusal in tally.refusals:
        assert 20 < len(refusal) < 400, refusal
        assert "\n" not in refusal, refusal
        assert "Error" not in refusal, refusal


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(("memory", "moment"), CASES)
def test_a_ledger_cut_anywhere_opens_to_a_whole_tick_or_is_refused(
    runs: dict[str, Committed], memory: str, moment: str, opener: str, tmp_path: Path
) -> None:
    """I5: thousands of cuts, together."""
    tally = Tally(runs[memory], tmp_path / "ledger.db", opener)
    cut_everywhere(tally, runs[memory].files[moment], moment, 350 if opener == "verify" else 50)
    assert tally.outcomes["refused"] > 20
    assert_sentences(tally)
    if moment != "closed":
        assert tally.outcomes["earlier"] > 10


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(("memory", "moment"), CASES)
def test_a_ledger_with_a_flipped_bit_opens_to_a_whole_tick_or_is_refused(
    runs: dict[str, Committed], memory: str, moment: str, opener: str, tmp_path: Path
) -> None:
    """I5: thousands of bits, together."""
    tally = Tally(runs[memory], tmp_path / "ledger.db", opener)
    flip_everywhere(tally, runs[memory].files[moment], moment, 450 if opener == "verify" else 80)
    assert tally.outcomes["refused"] + tally.outcomes["earlier"] > 5
    assert_sentences(tally)


@pytest.mark.long
@pytest.mark.parametrize(("memory", "moment"), CASES)
def test_a_ledger_damaged_in_tens_of_thousands_of_places_opens_to_a_whole_tick_or_is_refused(
    runs: dict[str, Committed], memory: str, moment: str, tmp_path: Path
) -> None:
    for opener, count in (("verify", 6_000), ("a market", 1_000)):
        tally = Tally(runs[memory], tmp_path / "ledger.db", opener)
        cut_everywhere(tally, runs[memory].files[moment], moment, count // 4)
        flip_everywhere(tally, runs[memory].files[moment], f"{moment}, again", count)
        assert sum(tally.outcomes.values()) > count


def test_what_a_market_settles_on_top_of_a_cut_ledger_passes_as_whole(
    runs: dict[str, Committed], tmp_path: Path
) -> None:
    """A market that accepts what a power cut left goes on from there, in a few places of the log:
    seed and roster being the same, it comes to the ticks that the other came to."""
    committed = runs["remembers"]
    files, path = committed.files["before a checkpoint"], tmp_path / "ledger.db"
    for place in range(LOG_HEADER + 5 * FRAME + 100, len(files.log), 20 * FRAME):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        Files(files.main, files.log[:place]).put(path)
        tempo = Tempo(tick_s=0, deadline_s=0, start_homes=HOMES, max_ticks=36)
        url = f"sqlite:///{path}"
        plan = WorldPlan(homes=HOMES, fleets=3, rules=RULES, ledger_url=url, tempo=tempo)
        log = telemetry.configure("test", level="error", form="text")
        assert EmbeddedRun(plan, log=log).run_to_end() == committed.states[36].head_hash
        assert verify(path).ticks == 36
