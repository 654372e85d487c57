"""``energymarket load`` against processes over a real RabbitMQ, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.redis_server import RedisServer
from tests.servers import RabbitServer, free_ports
from tests.system.processes import System, system

HOMES = 40


@pytest.fixture(scope="module")
def running(
    rabbit_server: RabbitServer,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """A market at full speed with one home process of its own; every test leaves it like that."""
    with system(rabbit_server, redis_server, tmp_path_factory.mktemp("load")) as made:
        made.start("market", tick_seconds=0, tick_deadline_seconds=0, log_level="warning")
        for name in ("weather", "external", "home"):
            made.start(name, log_level="warning")
        made.wait_for_tick(2)
        yield made


def command(running: System, out: Path, *options: str) -> tuple[list[str], dict[str, str]]:
    """The command line, and an environment that has nothing else in it."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.getcwd(),
        "COLUMNS": "120",
        "ENERGYMARKET_AMQP_URL": running.rabbit.url,
        "ENERGYMARKET_API_URL": running.url,
    }
    line = [sys.executable, "-m", "lab.load", "--homes", str(HOMES), "--out", str(out), *options]
    return line, environment


def load(running: System, out: Path, *options: str) -> tuple[int, str]:
    """Runs it to its end: exit code, and all that it said."""
    line, environment = command(running, out, *options)
    done = subprocess.run(
        line, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    return done.returncode, done.stdout + done.stderr


def children(pid: int) -> list[int]:
    """Of its first thread."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def set_pace(running: System, pace_s: float) -> None:
    """As a person does in the middle of a run."""
    answer = httpx.patch(
        f"{running.url}/clock",
        json={"pace_s": pace_s},
        headers={"Authorization": "Bearer a-token-for-tests"},
        trust_env=False,
    )
    answer.raise_for_status()


def homes_there(running: System) -> int:
    return int(running.get("/homes").json()["total"])


def test_a_closed_run_settles_every_order_reports_and_leaves(
    running: System, tmp_path: Path
) -> None:
    out = tmp_path / "closed"
    options = ("--fleets", "4", "--homes-per-message", "3", "--ticks", "30", "--processes", "2")
    code, said = load(running, out, *options)
    assert code == 0, said + running.logs()
    data = json.loads((out / "report.json").read_text())
    assert (data["ticks"], data["orders"]) == (30, 30 * HOMES)
    assert data["absent"] == data["refused"] == data["homes_left"] == 0
    for words in ("orders/s", "p99.9 ms", "report.html"):
        assert words in said
    assert f"{HOMES} homes in 4 fleets" in (out / "report.html").read_text()
    assert homes_there(running) == 1
    running.wait_for_tick(running.tick() + 3)
    assert running.get("/audit").json()["ok"]


def test_an_open_run_keeps_its_pace_and_a_slower_one_than_its_baseline_fails(
    running: System, tmp_path: Path
) -> None:
    out = tmp_path / "open"
    code, said = load(running, out, "--pace", "0.1", "--seconds", "2", "--fleets", "2")
    assert code == 0, said
    data = json.loads((out / "report.json").read_text())
    assert data["plan"]["mode"] == "open"
    assert 1 <= data["ticks"] <= data["elapsed_s"] / 0.1 + 2, "no tick before its moment"
    data["latency_ms"]["p99"] = 0.001
    (tmp_path / "better.json").write_text(json.dumps(data))
    options = ("--pace", "0.1", "--seconds", "1", "--fleets", "2")
    code, said = load(running, out, *options, "--baseline", str(tmp_path / "better.json"))
    assert code == 1, said
    assert "too slow" in said


def test_an_open_run_of_a_market_just_fast_enough_is_not_late_from_the_beginning(
    running: System, tmp_path: Path
) -> None:
    """The clock's pace counts and not that of the start, and ticks that warm up make none late."""
    set_pace(running, 0.45)
    try:
        code, said = load(running, tmp_path, "--pace", "0.45", "--seconds", "2")
        assert code == 2, said
        assert "--pace is 0.45 s and the market's own is 0.45 s a tick" in said
        code, said = load(running, tmp_path, "--pace", "0.5", "--seconds", "2")
    finally:
        set_pace(running, 0)
    assert code == 0, said
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["latency_ms"]["p50"] < 75, "each as late as the ticks that warm up took"


def test_ctrl_c_before_the_fleets_have_joined_is_no_failure(
    running: System, tmp_path: Path
) -> None:
    """Of a broker that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = f"amqp://u:p@127.0.0.1:{silent.getsockname()[1]}/energymarket"
        line, environment = command(running, tmp_path, "--amqp", broker, "--processes", "1")
        with (tmp_path / "said.txt").open("w") as said:
            process = subprocess.Popen(line, env=environment, stdout=said, stderr=said)
        text: Callable[[], str] = (tmp_path / "said.txt").read_text
        try:
            running.wait_for("the beginning", lambda: "0 of 4 fleets have joined" in text())
            (worker,) = children(process.pid)
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
        finally:
            process.kill()
    assert code == 130, text()
    assert "interrupted before there was anything to report" in text()
    assert "Traceback" not in text()
    assert not Path(f"/proc/{worker}").exists(), "dismissed, and waited for"


@pytest.mark.parametrize(
    "how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name
)
def test_however_it_is_ended_nobody_is_left_behind(
    running: System, tmp_path: Path, how: signal.Signals
) -> None:
    """After SIGKILL its workers notice by themselves."""
    line, environment = command(running, tmp_path, "--seconds", "600")
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(line, env=environment, stdout=said, stderr=said)
    text: Callable[[], str] = (tmp_path / "said.txt").read_text
    try:
        running.wait_for("the load", lambda: homes_there(running) == HOMES + 1)
        running.wait_for("a line of its progress", lambda: "orders/s" in text())
        process.send_signal(how)
        code = process.wait(30)
    finally:
        process.kill()
    if how is not signal.SIGKILL:
        assert code == 0, text()
        assert "ended by Ctrl-C" in text()
        data = json.loads((tmp_path / "report.json").read_text())
        assert data["homes_left"] == 0
        assert {part["name"] for part in data["parts"]} >= {"home compute", "transport", "settle"}
    running.wait_for("all to leave", lambda: homes_there(running) == 1, timeout_s=20)
    running.wait_for_tick(running.tick() + 3)


def ended_by_ctrl_c(
    running: System, out: Path, *options: str, when: Callable[[str], bool]
) -> tuple[int, str]:
    """Ctrl-C as soon as what it says, or the market, is like that: exit code, all that it said."""
    out.mkdir()
    line, environment = command(running, out, *options)
    with (out / "said.txt").open("w") as said:
        process = subprocess.Popen(line, env=environment, stdout=said, stderr=said)
    text: Callable[[], str] = (out / "said.txt").read_text
    try:
        running.wait_for("the moment", lambda: when(text()))
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    finally:
        process.kill()
    running.wait_for("all to leave", lambda: homes_there(running) == 1, timeout_s=20)
    return code, text()


def test_ctrl_c_in_the_search_for_the_knee_keeps_what_was_found(
    running: System, tmp_path: Path
) -> None:
    """At a pace so slow that any machine holds it, and the search goes on until it is ended."""
    search, out = ("--find-knee", "--pace", "5"), tmp_path / "second-step"
    code, said = ended_by_ctrl_c(
        running, out, *search, "--seconds", "3", when=lambda _: homes_there(running) > HOMES + 1
    )
    assert code == 0, said
    data = json.loads((out / "report.json").read_text())
    knee = data["knee"]
    assert knee["interrupted"]
    assert knee["steps"][0]["homes"] == HOMES
    assert data["plan"]["homes"] == knee["homes"] >= HOMES
    sentence = f"As far as Ctrl-C let the search come: {knee['homes']} homes at a tick each 5 s"
    assert sentence in said
    assert sentence in (out / "report.html").read_text()
    knee["interrupted"] = False
    (tmp_path / "earlier.json").write_text(json.dumps(data))
    options = ("--seconds", "600", "--baseline", str(tmp_path / "earlier.json"))
    out = tmp_path / "first-step"
    code, said = ended_by_ctrl_c(
        running, out, *search, *options, when=lambda text: "orders/s" in text
    )
    assert code == 130, said
    assert "No knee: Ctrl-C ended the search in its first step" in said
    assert "not compared with the baseline" in said
    assert json.loads((out / "report.json").read_text())["knee"]["steps"] == []


def test_a_worker_that_is_killed_ends_the_run_and_its_homes_leave_all_the_same(
    running: System, tmp_path: Path
) -> None:
    """Without a deadline the market would wait for them for ever."""
    line, environment = command(running, tmp_path, "--seconds", "600", "--processes", "2")
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(line, env=environment, stdout=said, stderr=said)
    try:
        running.wait_for("the load", lambda: homes_there(running) == HOMES + 1)
        workers = children(process.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        code = process.wait(40)
    finally:
        process.kill()
    text = (tmp_path / "said.txt").read_text()
    assert code == 1
    assert "a worker ended by itself" in text
    assert "Traceback" not in text
    running.wait_for("all to leave", lambda: homes_there(running) == 1, timeout_s=20)
    running.wait_for_tick(running.tick() + 3)


def test_what_is_missing_is_said_in_one_sentence(running: System, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    broker = f"amqp://user:secret@127.0.0.1:{port}/energymarket"
    for options, code, sentence in (
        (("--amqp", broker), 1, f"the broker at amqp://127.0.0.1:{port}/energymarket does not"),
        (("--api", f"http://127.0.0.1:{port}"), 1, f"the API at http://127.0.0.1:{port} does not"),
        (("--amqp", "http://broker"), 2, "--amqp must be a URL that begins with amqp://"),
        (("--fleets", "41"), 2, "--fleets is 41; it must be at most --homes, which is 40."),
        (("--find-knee",), 2, "--find-knee needs a --pace"),
        (
            ("--homes", "30000", "--homes-per-message", "1"),
            2,
            "more than the 20000 that the market",
        ),
    ):
        found, said = load(running, tmp_path, *options)
        assert found == code, said
        assert sentence in said
        assert "Traceback" not in said
        assert "secret" not in said
    assert homes_there(running) == 1


def test_a_broker_that_refuses_says_so_at_once(running: System, tmp_path: Path) -> None:
    """And not when the fleets should long have joined."""
    rabbit = running.rabbit
    for user, write in (("idle", "^$"), ("mute", "fleet.*")):
        rabbit.ctl("add_user", user, user)
        rabbit.ctl("set_permissions", "-p", "energymarket", user, "fleet.*", write, ".*")
    host = rabbit.url.rpartition("@")[2]
    refused = "the broker refuses this user; check user, password and permissions"
    try:
        for url, sentence in (
            (f"amqp://idle:wrong@{host}", refused),
            (f"{rabbit.url}-of-nobody", "the broker refuses the virtual host; create it"),
            (f"amqp://idle:idle@{host}", refused),  # which may not bind its queues
            (f"amqp://mute:mute@{host}", refused),  # which may not say Join
        ):
            code, said = load(running, tmp_path, "--amqp", url)
            assert code == 1, said
            assert f"amqp://{url.rpartition('@')[2]}: {sentence}" in said
            assert "by --amqp" in said
            assert "could join" not in said, "it was not waited for"
            assert "trying again" not in said
            assert "Traceback" not in said
    finally:
        rabbit.ctl("delete_user", "idle")
        rabbit.ctl("delete_user", "mute")
    assert homes_there(running) == 1


def test_a_run_that_has_ended_is_refused(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    with system(rabbit_server, redis_server, tmp_path) as running:
        running.start("market", tick_seconds=0, max_ticks=2)
        for name in ("weather", "external", "home"):
            running.start(name)
        running.wait_for_tick(2)
        code, said = load(running, tmp_path)
        assert code == 1
        assert "the run has ended at tick 2, and settles no more" in said
