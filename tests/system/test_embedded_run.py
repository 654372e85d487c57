"""The embedded run as people start it: the ``energymarket run`` command."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from energymarket import telemetry
from lab.embedded import EmbeddedRun, WorldPlan
from services.market.domain.rules import Rules
from services.market.ledger import TEMPORARY
from services.market.tick_cycle import Tempo
from tests.servers import free_ports


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lab.cli", *arguments]


def run(*arguments: str, code: int = 0) -> list[str]:
    """The lines that a run prints; it must end with ``code``."""
    done = subprocess.run(
        command("run", "--headless", "--port", "0", *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return (done.stdout if code == 0 else done.stderr).splitlines()


def head_hash(plan: WorldPlan) -> str:
    log = telemetry.configure("test", level="error", form="text")
    return EmbeddedRun(plan, log=log).run_to_end()


def plan(ticks: int, *, homes: int = 20, fleets: int = 1, seed: int = 42) -> WorldPlan:
    tempo = Tempo(tick_s=0, deadline_s=0, start_homes=homes, max_ticks=ticks)
    return WorldPlan(homes=homes, fleets=fleets, rules=Rules(seed), tempo=tempo)


def test_two_runs_with_a_seed_end_in_the_same_hash_and_another_seed_in_another(
    tmp_path: Path,
) -> None:
    """The ledger is reproducible from the seed, byte for byte."""
    shared = ("--ticks", "40", "--pace", "0")
    one = run(*shared, "--seed", "7", "--out", str(tmp_path / "one"))
    two = run(*shared, "--seed", "7", "--out", str(tmp_path / "two"))
    other = run(*shared, "--seed", "8")
    assert re.fullmatch(r"[0-9a-f]{64}", one[-1])
    assert one[-1] == two[-1] != other[-1]
    assert (tmp_path / "one" / "ledger.db").exists()
    assert [line for line in one if line.startswith("tick ")] == [
        line for line in two if line.startswith("tick ")
    ]
    assert "audit: every residual is 0" in one


def test_how_homes_are_divided_among_processes_makes_no_difference() -> None:
    """R2: one process can host many homes, or one."""
    hashes = {head_hash(plan(60, fleets=fleets)) for fleets in (1, 3, 20)}
    assert len(hashes) == 1


def test_the_series_of_a_seed_is_the_same_from_version_to_version() -> None:
    """A golden hash: when it changes, every ledger and study made with the seed changes."""
    assert head_hash(plan(100)) == GOLDEN_HEAD_AFTER_100_TICKS


GOLDEN_HEAD_AFTER_100_TICKS = "cfa4735db9c0d0d49c22728cc5373e23b1bbaca5f24d267431da07aaf46a1479"


def test_one_line_is_printed_per_tick_with_price_temperature_homes_and_events() -> None:
    """R22."""
    lines = [line for line in run("--ticks", "5", "--pace", "0") if line.startswith("tick ")]
    assert len(lines) == 5
    for line in lines:
        assert re.search(r"\d\.\d{6} EUR/kWh \([+-]\d\.\d{6}\) .* C  homes 20/20 .* events ", line)


def test_ctrl_c_ends_a_run_cleanly_with_its_summary_and_hash(tmp_path: Path) -> None:
    """R23."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        command("run", "--headless", "--pace", "0.05", "--port", str(port)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first, second = until_price_moves(f"http://127.0.0.1:{port}")
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=10)
    assert time.monotonic() - begun < 3
    assert (process.returncode, errors) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{64}", output.splitlines()[-1])
    assert first["tick"] < second["tick"]


def open_files(process: subprocess.Popen[str], folder: Path) -> list[str]:
    """What a process has open below a folder, also under names that are gone."""
    found = []
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found.append(str(link.readlink()))
    return [name for name in found if name.startswith(f"{folder}/")]


def test_a_run_without_a_folder_keeps_its_ledger_on_the_disk_and_leaves_nothing_when_it_is_killed(
    tmp_path: Path,
) -> None:
    """R23: a long run does not fill the memory, and nobody has to clean up behind it."""
    process = subprocess.Popen(
        command("run", "--headless", "--pace", "0", "--port", "0", "--homes", "2000"),
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "SQLITE_TMPDIR": str(tmp_path)},
    )
    try:
        give_up_at = time.monotonic() + 60
        while not open_files(process, tmp_path):
            assert process.poll() is None
            assert time.monotonic() < give_up_at, "the ledger is nowhere on the disk"
            time.sleep(0.05)
        assert all(name.endswith(" (deleted)") for name in open_files(process, tmp_path))
    finally:
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_goes_with_its_run_has_the_same_hash_and_answers_any_thread() -> None:
    world = replace(plan(100), ledger_url=TEMPORARY)
    log = telemetry.configure("test", level="error", form="text")
    run_ = EmbeddedRun(world, log=log)
    run_.start()
    while run_.market.books.tick < 100:
        run_.step()
    with ThreadPoolExecutor(2) as others:
        rows = list(others.map(lambda _: run_.ledger.history.prices(0, 101, 1_000), range(4)))
    assert [len(each) for each in rows] == [100] * 4
    assert run_.market.books.head_hash.hex() == GOLDEN_HEAD_AFTER_100_TICKS
    run_.stop()


def until_price_moves(url: str) -> tuple[dict[str, float], dict[str, float]]:
    """Two answers of ``GET /price`` between which the price has moved."""
    first: dict[str, float] = {}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{url}/price")
        except httpx.HTTPError:
            answer = None
        if answer and answer.status_code == 200:
            now = answer.json()
            first = first or now
            if now["price_eur_per_kwh"] != first["price_eur_per_kwh"]:
                return first, now
        time.sleep(0.05)
    raise AssertionError("the price never moved")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--policy", "greedy"), "--policy is 'greedy'; it must be one of give_only"),
        (("--price-model", "free"), "--price-model is 'free'; it must be one of normalised"),
        (("--climate", "moon"), "--climate is 'moon'; it must be one of temperate"),
        (("--catalogue", "/nowhere.toml"), "/nowhere.toml"),
    ],
)
def test_a_wrong_choice_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, str], sentence: str
) -> None:
    (line,) = run(*arguments, "--ticks", "1", code=2)
    assert sentence in line


def test_a_port_in_use_is_one_sentence_with_the_setting_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (line,) = run("--ticks", "1", "--port", str(port), code=1)
    assert f"{port}" in line
    assert "port" in line.lower()


def test_a_folder_with_a_ledger_is_not_overwritten_but_can_be_gone_on_with(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    run("--ticks", "10", "--pace", "0", "--out", out)
    (line,) = run("--ticks", "20", "--pace", "0", "--out", out, code=2)
    assert "--resume" in line
    resumed = run("--ticks", "20", "--pace", "0", "--out", out, "--resume")
    whole = run("--ticks", "20", "--pace", "0")
    assert resumed[-1] == whole[-1]


def test_other_worlds_can_be_chosen_by_name() -> None:
    """R17, R24: the classic model with its homes, weather and events; fixed policies."""
    classic = ("--price-model", "classic", "--profile", "classic", "--climate", "classic")
    lines = run(*classic, "--catalogue", "classic", "--homes", "5", "--ticks", "300", "--pace", "0")
    mean = re.search(r"mean (\d\.\d+)", "\n".join(lines))
    assert mean
    assert 0.2 < float(mean[1]) < 0.9  # the published code's mean at 5 homes is 0.5
    sellers = run("--policy", "sell_only+buy_only", "--ticks", "20", "--pace", "0")
    assert all("given 0.000" in line for line in sellers if line.startswith("tick "))
