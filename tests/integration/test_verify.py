"""``energymarket verify``: a whole ledger passes, and every kind of damage is named."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import msgspec
import pytest

from energymarket import telemetry
from energymarket.errors import EnergyMarketError
from lab.embedded import EmbeddedRun, WorldPlan
from lab.verify import verify
from services.market.domain import columns, record
from services.market.domain.events import one_tick_on
from services.market.domain.replay import LedgerFault
from services.market.domain.rules import Rules
from services.market.errors import LedgerUnavailable, LedgerUnreadable
from services.market.ledger import Retention
from services.market.ledger.tables import metadata
from services.market.tick_cycle import Tempo

TICKS = 30


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A ledger of 30 ticks with a credit limit, closed; and its head hash."""
    return a_run(tmp_path_factory.mktemp("ledger") / "ledger.db", Retention())


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, of which a half is kept."""
    return a_run(tmp_path_factory.mktemp("ledger") / "ledger.db", Retention(ticks=16))[0]


def a_run(path: Path, retention: Retention) -> tuple[Path, str]:
    plan = WorldPlan(
        retention=retention,
        homes=8,
        rules=Rules(seed=5, credit_limit_neur=2_000_000_000),
        ledger_url=f"sqlite:///{path}",
        tempo=Tempo(tick_s=0, deadline_s=0, start_homes=8, max_ticks=TICKS),
    )
    log = telemetry.configure("test", level="error", form="text")
    return path, EmbeddedRun(plan, log=log).run_to_end()


@pytest.fixture
def ledger(whole: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copy(whole[0], tmp_path / "ledger.db"))


def change(ledger: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        connection.execute(statement, values)
        connection.commit()


def stored(ledger: Path, tick: int) -> record.TickRecord:
    connection = sqlite3.connect(ledger)
    (body,) = connection.execute("SELECT record FROM ticks WHERE tick = ?", (tick,)).fetchone()
    connection.close()
    return msgspec.msgpack.decode(body, type=record.TickRecord)


def forge(ledger: Path, tick: int, **fields: object) -> None:
    """Changes a record and chains all hashes anew, as a thorough forger would."""
    forged = msgspec.msgpack.encode(msgspec.structs.replace(stored(ledger, tick), **fields))
    change(ledger, "UPDATE ticks SET record = ? WHERE tick = ?", forged, tick)
    head = record.genesis_hash(Rules(seed=5, credit_limit_neur=2_000_000_000))
    connection = sqlite3.connect(ledger)
    for number, body in connection.execute(
        "SELECT tick, record FROM ticks ORDER BY tick"
    ).fetchall():
        head = sha256(head + body).digest()
        connection.execute("UPDATE ticks SET hash = ? WHERE tick = ?", (head, number))
    connection.commit()
    connection.close()


def test_a_whole_ledger_passes_and_gives_its_head_hash(whole: tuple[Path, str]) -> None:
    """I1, I2, I3, I5, I6."""
    verdict = verify(whole[0])
    assert (verdict.ticks, verdict.home_ticks, verdict.head_hash) == (TICKS, 8 * TICKS, whole[1])


def raised(column: bytes, row: int, by: int) -> bytes:
    values = columns.unpack(column)
    values[row] += by
    return columns.pack(values)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a tick is missing": (
        lambda ledger: change(ledger, "DELETE FROM ticks WHERE tick = 7"),
        "tick 8 follows tick 6",
    ),
    "an epoch goes back": (
        lambda ledger: change(ledger, "UPDATE ticks SET epoch = 9 WHERE tick = 4"),
        "tick 4: epoch 9 settled it, in epoch 1",
    ),
    "a hash is another": (
        lambda ledger: change(ledger, "UPDATE ticks SET hash = zeroblob(32) WHERE tick = 9"),
        "tick 9: the hash chain is broken",
    ),
    "the seed is another": (
        lambda ledger: change(ledger, "UPDATE world SET seed = 6"),
        "tick 1: the hash chain is broken",
    ),
    "an account has a Wh more": (
        lambda ledger: change(
            ledger,
            "UPDATE accounts SET stock_wh = ?",
            columns.pack([1, 2, 3, 4, 5, 6, 7, 8]),
        ),
        "its account holds",
    ),
    "money from nowhere, chained anew": (
        lambda ledger: forge(ledger, 5, balance_neur=raised(stored(ledger, 5).balance_neur, 2, 1)),
        "tick 5: the books do not balance",
    ),
    "another price, chained anew": (
        lambda ledger: forge(
            ledger, 6, next_price_neur_per_wh=stored(ledger, 6).next_price_neur_per_wh + 1
        ),
        "tick 6: the next price is not what its terms make it",
    ),
    "another opening price, chained anew": (
        lambda ledger: forge(ledger, 6, price_neur_per_wh=stored(ledger, 6).price_neur_per_wh + 1),
        "tick 6: it did not open at the price that was made",
    ),
    "an order larger than possible, chained anew": (
        lambda ledger: forge(ledger, 3, amount_wh=raised(stored(ledger, 3).amount_wh, 0, 10**6)),
        "tick 3: home 1 has an impossible order",
    ),
    "a home twice, chained anew": (
        lambda ledger: forge(ledger, 3, home=columns.pack([1, 2, 3, 4, 5, 6, 7, 7])),
        "tick 3: a home has two outcomes",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_kind_of_damage_is_named_with_its_tick(ledger: Path, damage: str) -> None:
    do, sentence = DAMAGE[damage]
    do(ledger)
    with pytest.raises(LedgerFault) as refused:
        verify(ledger)
    assert sentence in str(refused.value)


OF_NO_CONSEQUENCE = {
    *("ticks.at", "epochs.at"),  # the time of day, for people
    *("world.run", "world.fleet_secret_key"),  # drawn by luck; others make homes join anew
    *("fleets.instance", "fleets.key", "fleets.left_tick"),  # likewise: it is told to join
    "fleets.first_tick",  # of no further use once it is past
    "events.id",  # only their order counts
}
"""Columns that no record can tell a changed value of, and that no number depends on."""

COLUMNS = [str(column) for table in metadata.tables.values() for column in table.c]


@pytest.fixture
def with_an_opening(ledger: Path, trimmed: Path, request: pytest.FixtureRequest) -> Path:
    """A copy to damage; its market was killed in a tick that it had opened without weather."""
    if "snapshot" in request.node.name:
        shutil.copy(trimmed, ledger)
    last = record.from_bytes(msgspec.msgpack.encode(stored(ledger, TICKS)))
    opening = record.Opening(
        tick=TICKS + 1,
        price_neur_per_wh=last.next_price_neur_per_wh,
        temperature_mdeg=last.opening.temperature_mdeg,
        degraded=record.DEGRADED_WEATHER,
        events=tuple(one_tick_on(last.opening.events)),
    )
    body = record.opening_to_bytes(opening)
    change(ledger, "INSERT INTO openings VALUES (?, ?)", opening.tick, body)
    return ledger


@pytest.mark.parametrize("column", sorted({*COLUMNS} - OF_NO_CONSEQUENCE))
def test_a_changed_value_in_any_column_that_something_depends_on_is_noticed(
    with_an_opening: Path, column: str
) -> None:
    """I5: what the market and its API go by is what the records say, or verify says that it is
    not."""
    ledger = with_an_opening
    assert verify(ledger)
    table, name = column.split(".")
    (kind,) = values(ledger, f"SELECT typeof({name}) FROM {table} LIMIT 1")
    changed = {
        "integer": f"{name} + 1",
        "null": "7",
        "text": f"'x' || substr({name}, 2)",
        "blob": f"CAST(substr({name}, 1, length({name}) - 1) || x'55' AS BLOB)",
    }
    which = f"WHERE rowid = (SELECT max(rowid) FROM {table})"
    change(ledger, f"UPDATE {table} SET {name} = {changed[str(kind)]} {which}")
    with pytest.raises((LedgerFault, LedgerUnreadable)):
        verify(ledger)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_value_of_another_kind_in_any_column_is_a_sentence(
    with_an_opening: Path, column: str
) -> None:
    """A damaged row can hold text where a number belongs, or a number where bytes do."""
    ledger = with_an_opening
    table, name = column.split(".")
    for wrong in ("-1", "9223372036854775807", "1.5", "''", "CAST(x'FFFE' AS TEXT)", "x'FF'"):
        before = ledger.read_bytes()
        with contextlib.suppress(sqlite3.IntegrityError):
            change(ledger, f"UPDATE {table} SET {name} = {wrong}")
            with contextlib.suppress(EnergyMarketError):
                verify(ledger)
        ledger.write_bytes(before)


def values(ledger: Path, query: str) -> tuple[object, ...]:
    connection = sqlite3.connect(ledger)
    (row,) = connection.execute(query).fetchall()
    connection.close()
    return tuple(row)


def test_any_changed_byte_of_a_record_or_hash_is_refused(ledger: Path) -> None:
    """I5: hundreds of bytes, one at a time."""
    luck = Random(1)
    connection = sqlite3.connect(ledger)
    rows = connection.execute("SELECT tick, record, hash FROM ticks").fetchall()
    for _ in range(200):
        tick, body, tick_hash = luck.choice(rows)
        name, value = luck.choice((("record", body), ("hash", tick_hash)))
        place = luck.randrange(len(value))
        broken = bytearray(value)
        broken[place] ^= 1 << luck.randrange(8)
        statement = f"UPDATE ticks SET {name} = ? WHERE tick = ?"
        connection.execute(statement, (bytes(broken), tick))
        connection.commit()
        with pytest.raises(LedgerFault, match=f"tick {tick}: "):
            verify(ledger)
        connection.execute(statement, (value, tick))
        connection.commit()
    connection.close()
    assert verify(ledger).ticks == TICKS


def test_a_ledger_cut_at_any_page_is_refused_and_never_passes_as_whole(
    ledger: Path, whole: tuple[Path, str]
) -> None:
    body = whole[0].read_bytes()
    for end in range(0, len(body), 4_096):
        ledger.write_bytes(body[:end])
        with pytest.raises((LedgerFault, LedgerUnavailable)):
            verify(ledger)


def test_the_command_says_what_it_found_and_how_it_ends(ledger: Path) -> None:
    command = [sys.executable, "-m", "lab.cli", "verify", str(ledger)]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert "30 ticks, 240 home-ticks" in good.stdout
    change(ledger, "DELETE FROM ticks WHERE tick = 7")
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr == "tick 8 follows tick 6 (I6)\n"
    missing = subprocess.run([*command[:-1], "nowhere.db"], capture_output=True, check=False)
    assert missing.returncode == 2
