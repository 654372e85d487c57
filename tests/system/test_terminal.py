"""``energymarket run`` and ``watch`` in real pseudo-terminals, with keys pressed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.terminal import HeldBack
from tests.servers import free_ports
from tests.terminal import ENTERED, Terminal

TOKEN = "a-token-for-tests"


@contextmanager
def terminal(*arguments: str, **options: Any) -> Iterator[Terminal]:
    made = Terminal(*arguments, **options)
    try:
        yield made
    finally:
        made.close()


def run(*arguments: str) -> tuple[str, ...]:
    return ("run", "--port", "0", "--pace", "0.2", "--homes", "40", *arguments)


def until(is_so: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.05)


@contextmanager
def a_market(*arguments: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """A run without a screen, which others can watch."""
    words = ["run", "--headless", "--port", str(port), "--token", TOKEN, *arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.cli", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        until(lambda: answers(port))
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/price").status_code == 200
    except httpx.HTTPError:
        return False


def head_hash(screen: Terminal) -> str:
    """The last line that stands in the terminal after the view is gone."""
    last = screen.output.replace("\r", "").rstrip("\n").rpartition("\n")[2]
    assert re.fullmatch("[0-9a-f]{64}", last), last
    return last


def test_the_keys_of_a_run_pause_step_pace_start_events_page_and_quit() -> None:
    with terminal(*run()) as screen:
        screen.until(lambda text: "LIVE" in text and "1-12/40" in text)
        screen.press(" ")
        screen.until(lambda text: "PAUSED" in text and "s is one tick" in text)
        before = settled_tick(screen)
        screen.press("s")
        screen.until(f"tick {before + 1} ")
        assert "PAUSED" in screen.screen
        screen.press("-")
        screen.until("x4")
        screen.press("++")
        screen.until(lambda text: re.search(r"PAUSED .* x20 ", text))
        screen.press("-- s")  # goes on, and is paused again
        screen.until(lambda text: re.search(r"PAUSED .* x4 ", text) and "s is one tick" in text)
        screen.press("\x1b[B")
        screen.until("13-24/40")
        screen.press("\x1b[5~")
        screen.until("1-12/40")
        screen.press("e")
        screen.until("1 war  2 fuel_shortage")
        screen.press("1")
        screen.until("war begins in the coming tick")
        screen.press("s")
        screen.until("war +0.0300 for 48")
        screen.press(" ")
        screen.until("LIVE")
        screen.press("q")
        assert screen.ended() == 0
        assert screen.is_restored
        head_hash(screen)


def settled_tick(screen: Terminal) -> int:
    """The tick that stays on a screen that is paused."""
    newest = -1
    while newest != (newest := screen.shown_tick()):
        time.sleep(1.5)
    return newest


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 50)])
def test_a_screen_of_a_real_terminal_holds_what_it_should(columns: int, lines: int) -> None:
    wanted = (
        *("LIVE", "x5", "EUR/kWh", "°C", "homes 40/40", "gift", "sale", "purchase", "unserved"),
        *("orders/s", "ticks/s", "p50", "p99", "audit: every residual is 0", "policy", "bill EUR"),
        *("space pause", "s step", "+ faster", "- slower", "e event", "q quit"),
    )
    with terminal(*run(), columns=columns, lines=lines) as screen:
        text = screen.until(lambda text: all(word in text for word in wanted))
        rows = text.split("\n")
        assert len(rows) <= lines
        assert {len(row.rstrip()) for row in rows} <= set(range(columns + 1))
        assert re.search("[▁▂▃▄▅▆▇█]{4}", text)
        screen.resize(30, 6)
        screen.until(lambda text: "q quits" in text and len(text.split("\n")) <= 6)
        screen.press("q")
        assert screen.ended() == 0
        assert screen.is_restored


def test_a_run_that_reaches_its_last_tick_gives_the_terminal_back_and_its_hash() -> None:
    with terminal(*run("--ticks", "10", "--pace", "0")) as screen:
        assert screen.ended(60) == 0
        assert screen.is_restored
        with terminal(*run("--ticks", "10", "--headless")) as lines:
            assert lines.ended(60) == 0
            assert head_hash(lines) == head_hash(screen)
            assert ENTERED not in lines.output


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM"])
def test_a_signal_gives_the_terminal_back(how: str) -> None:
    with terminal(*run()) as screen:
        screen.until("LIVE")
        if how == "ctrl-c":
            screen.press("\x03")
        else:
            screen.signal(signal.SIGTERM)
        assert screen.ended() == 0
        assert screen.is_restored
        head_hash(screen)


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on() -> None:
    with terminal(*run()) as screen:
        screen.until("LIVE")
        screen.press("\x1a")
        until(lambda: screen.is_stopped and screen.is_restored)
        screen.signal(signal.SIGCONT)
        until(lambda: screen.output.count(ENTERED) == 2)
        screen.until("LIVE")
        screen.press("q")
        assert screen.ended() == 0
        assert screen.is_restored


FAILS = """
from rich.console import Console
from energymarket.runtime import StopRequest
from lab.watch.link import MarketLink
from lab.watch.picture import Picture, Shown
from lab.watch.screen import Screen
link = MarketLink("http://127.0.0.1:1", "", Picture(Shown(url="", prices=(1.0, "two"))))
stop = StopRequest()
screen = Screen(Console(), link, stop)
screen.start()
stop.wait(30)  # a view that fails ends what it stands beside
screen.stop()
"""


def test_an_exception_gives_the_terminal_back_before_it_is_told() -> None:
    with terminal(program=("-c", FAILS)) as screen:
        assert screen.ended() == 1
        assert screen.is_restored
        assert "TypeError" in screen.output.rpartition("\x1b[?1049l")[2]


def test_no_colour_is_shown_where_none_is_wanted() -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;)")
    with terminal(*run()) as usual, terminal(*run(), NO_COLOR="1") as plain:
        usual.until("audit: every residual")
        plain.until("audit: every residual")
        assert coloured.search(usual.output)
        assert not coloured.search(plain.output)


def test_watch_turns_the_clock_of_another_process_and_comes_back_to_it(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    world = ("--homes", "5", "--out", str(tmp_path), "--resume", "--no-trades")
    address = f"http://127.0.0.1:{port}"
    with ExitStack() as first:
        first.enter_context(a_market(*world, "--pace", "0.1", port=port))
        with terminal("watch", address, "--token", TOKEN, columns=120) as screen:
            screen.until(lambda text: "LIVE" in text and "x10" in text)
            screen.press(" ")
            screen.until("PAUSED")
            assert httpx.get(f"{address}/clock").json()["state"] == "paused"
            screen.press("+")
            until(lambda: httpx.get(f"{address}/clock").json()["pace_s"] == 0.05)
            screen.press(" ")
            screen.until("LIVE")
            first.close()
            screen.until("RECONNECTING")
            last = screen.shown_tick()
            with a_market(*world, "--pace", "0.1", port=port):
                screen.until("LIVE")
                until(lambda: screen.shown_tick() > last)
                screen.press("q")
                assert screen.ended() == 0
                assert screen.is_restored


def test_without_a_token_the_keys_that_write_say_what_they_need() -> None:
    (port,) = free_ports(1)
    with (
        a_market("--homes", "3", "--pace", "0.1", port=port),
        terminal("watch", f"http://127.0.0.1:{port}", columns=140) as screen,
    ):
        screen.until(lambda text: "LIVE" in text and "x10" in text)
        screen.press(" ")
        screen.until("needs its token: --token or ENERGYMARKET_API_TOKEN")
        assert "LIVE" in screen.screen
        screen.press("q")
        assert screen.ended() == 0


def test_a_wrong_token_is_told_in_the_markets_words() -> None:
    (port,) = free_ports(1)
    with (
        a_market("--homes", "3", "--pace", "0.1", port=port),
        terminal("watch", f"http://127.0.0.1:{port}", "--token", "wrong") as screen,
    ):
        screen.until(lambda text: "LIVE" in text and "x10" in text)
        screen.press(" ")
        screen.until("the bearer token is not this market's")
        screen.press("q")
        assert screen.ended() == 0


def test_watch_in_a_pipe_prints_a_line_for_every_tick_until_it_is_ended() -> None:
    (port,) = free_ports(1)
    with a_market("--homes", "3", "--pace", "0.05", port=port):
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.cli", "watch", f"http://127.0.0.1:{port}"],
            stdout=subprocess.PIPE,
            text=True,
            env=None,
        )
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(30)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0
    ticks = [int(line.split()[1]) for line in lines if line.startswith("tick ")]
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))
    assert len(ticks) > 20
    assert all(re.search(r"EUR/kWh .* C  homes 3/3  given .* kWh", line) for line in lines
               if line.startswith("tick "))  # fmt: skip


@pytest.mark.parametrize("reader", ["gone", "full"])
def test_watch_in_a_pipe_ends_when_nobody_can_read_it_any_more(reader: str) -> None:
    """The lines are printed by a thread, and must not end that alone."""
    (port,) = free_ports(1)
    words = [sys.executable, "-m", "lab.cli", "watch", f"http://127.0.0.1:{port}"]
    with a_market("--homes", "3", "--pace", "0.05", port=port), ExitStack() as open_files:
        full = open_files.enter_context(open("/dev/full", "w"))
        process = subprocess.Popen(
            words,
            stdout=full if reader == "full" else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if process.stdout:
            assert all(process.stdout.readline() for _ in range(2))
            process.stdout.close()
        assert process.wait(20) == 1
        assert process.stderr
        said = process.stderr.read()
        process.stderr.close()
    assert "Traceback" not in said
    assert ("No space left on device" in said) == (reader == "full")


def test_what_is_logged_beside_a_full_screen_stands_below_it_afterwards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = HeldBack()
    for number in range(2_000):
        held.write(f"line {number}\n")
    assert capsys.readouterr().err == ""
    held.let_go()
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[-1]) == (1_000, "line 1999")
