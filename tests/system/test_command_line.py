"""The ``energymarket`` command: help with examples, completion, presets, errors as sentences."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from lab import cli, presets
from services.external.catalogue_file import load_catalogue
from services.home.domain.profile import PROFILES, PolicyChoice
from services.market.domain.pricing import PRICE_MODELS
from services.weather.domain.climate import CLIMATES
from tests.servers import free_ports
from tests.stranger import a_stranger

COMMANDS: dict[str, Any] = vars(typer.main.get_command(cli.app))["commands"]


def energymarket(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "lab.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_ends_with_an_example_of_it(name: str) -> None:
    done = energymarket(name, "--help", COLUMNS="200")
    last = done.stdout.rstrip().splitlines()[-1].strip()
    assert done.returncode == 0
    assert last.startswith(f"Example: energymarket {name}"), last


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_in_each_example_are_options_of_the_command(name: str) -> None:
    """An example is copied and run."""
    known = {opt for option in COMMANDS[name].params for opt in option.opts + option.secondary_opts}
    given = re.findall(r"(?<= )--[a-z-]+", COMMANDS[name].epilog.replace("|", " "))
    assert {*given} <= known | {"--help"}


def test_completion_for_bash_can_be_shown_and_installed_and_completes_commands_and_values(
    tmp_path: Path,
) -> None:
    """With bash itself, which asks the command."""
    program = tmp_path / "bin" / "energymarket"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lab.cli "$@"\n')
    program.chmod(0o755)
    place = {
        "HOME": str(tmp_path),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",  # whatever shell the tests run in
    }
    shown = energymarket("--show-completion", "bash", **place)
    assert shown.returncode == 0
    installed = energymarket("--install-completion", "bash", **place)
    assert installed.returncode == 0
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert script.read_text().strip() == shown.stdout.strip()
    asked = f"""
        source {script}
        asked() {{
            COMP_WORDS=(energymarket "$@") COMP_CWORD=$#
            $(complete -p energymarket | grep -o '_[a-z]*_completion') energymarket
            echo "${{COMPREPLY[@]}}"
        }}
        asked wat
        asked run --preset w
        asked run --climate n
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", asked],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | place,
    )
    assert done.stdout.splitlines() == ["watch", "war winter", "nordic"], done.stderr


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_is_a_world_that_can_be(name: str) -> None:
    preset = presets.load(name)
    options = preset.options
    assert preset.title
    assert preset.description
    assert options.get("climate", "temperate") in CLIMATES
    assert options.get("profile", "residential") in PROFILES
    assert options.get("price_model", "normalised") in PRICE_MODELS
    PolicyChoice.parse(options.get("policy", ""))
    load_catalogue(options.get("catalogue", "standard"))


def run(*arguments: str) -> list[str]:
    done = energymarket("run", "--headless", "--port", "0", "--pace", "0", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_preset_is_listed_and_run_and_other_options_go_first() -> None:
    said = energymarket("presets").stdout
    assert all(f"{name}: " in said for name in presets.names())
    assert "--policy give_only+ask_only" in said
    lines = run("--preset", "village", "--ticks", "5")
    assert "5 ticks settled, 12 homes, seed 5" in lines
    assert all("sold 0.000  bought 0.000" in line for line in lines if line.startswith("tick "))
    assert lines[-1] == run("--homes", "12", "--seed", "5", "--policy", "give_only+ask_only",
                            "--ticks", "5")[-1]  # fmt: skip
    assert "5 ticks settled, 3 homes, seed 5" in run(
        "--preset", "village", "--ticks", "5", "--homes", "3"
    )


@pytest.fixture
def no_ledger(tmp_path: Path) -> Path:
    file = tmp_path / "notes.txt"
    file.write_text("these are notes, and no ledger")
    return file


@pytest.fixture
def other_database(tmp_path: Path) -> Path:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE things (id INTEGER)")
    database.close()
    return file


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("run --port 70000", 2, "Invalid value for '--port'"),
        ("run --preset peace", 2, "--preset is 'peace'; it must be one of classic, sunny,"),
        ("run --resume", 2, "--resume needs --out, the run's folder."),
        ("run --trades", 2, "--trades needs --out, the run's folder."),
        ("run --pace inf", 2, "Invalid value for '--pace'"),
        ("run --catalogue peace", 2, "--catalogue is 'peace', which cannot be read"),
        ("run --out /dev/null/runs", 2, "--out /dev/null/runs cannot be made: Not a directory"),
        ("run --out /sys/runs", 2, "--out /sys/runs cannot be made: "),
        ("export /nowhere/ledger.db x", 2, "/nowhere/ledger.db is not there"),
        ("verify /nowhere/ledger.db", 2, "/nowhere/ledger.db is not there"),
        ("export NOTES x", 1, "file is not a database"),
        ("export OTHER x", 1, "this is no ledger: it has no table accounts"),
        ("watch ftp://127.0.0.1", 2, "URL is 'ftp://127.0.0.1'; it must be one such as"),
        ("watch 127.0.0.1:8000", 2, "URL is '127.0.0.1:8000'; it must be one such as"),
        ("watch http://127.0.0.1:FREE", 1, "There is no market at http://127.0.0.1:FREE"),
        ("watch --token töken", 2, "--token (ENERGYMARKET_API_TOKEN) holds a character that"),
        ("run --token töken", 2, "--token (ENERGYMARKET_API_TOKEN) holds a character that"),
        ("watch http://[::1", 2, "it must be one such as"),
        ("watch http://127.0.0.1:99999", 2, "it must be one such as"),
    ],
)
def test_an_error_is_one_sentence_with_a_code_and_never_a_traceback(
    arguments: str,
    code: int,
    sentence: str,
    tmp_path: Path,
    no_ledger: Path,
    other_database: Path,
) -> None:
    port = str(free_ports(1)[0])
    places = {"NOTES": no_ledger, "OTHER": other_database, "x": tmp_path / "x"}
    words = [str(places.get(word, word)).replace("FREE", port) for word in arguments.split()]
    done = energymarket(*words, COLUMNS="200")
    assert done.returncode == code, done.stderr
    assert sentence.replace("FREE", port) in done.stderr
    assert done.stdout == ""


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, no_ledger: Path) -> None:
    done = energymarket("run", "--headless", "--ticks", "1", "--out", tmp_path)
    assert done.returncode == 2
    assert f"--out {tmp_path} holds other files (notes.txt)" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_a_port_in_use_is_one_sentence_for_run_and_a_stranger_on_it_one_for_watch() -> None:
    with a_stranger() as port:
        done = energymarket("run", "--headless", "--ticks", "1", "--port", str(port))
        watched = energymarket("watch", f"http://127.0.0.1:{port}")
    assert watched.returncode == 1
    assert watched.stderr == (
        f"http://127.0.0.1:{port} answers, but not as a market does: is the URL right?\n"
    )
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken by another program: set --port to" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_start_that_fails_leaves_no_ledger_and_one_that_is_there_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "run"
    start = ("run", "--headless", "--ticks", "2", "--pace", "0", "--homes", "2", "--out", out)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert energymarket(*start, ENERGYMARKET_PORT=port).returncode == 1
        assert energymarket(*start, "--port", "0", "--catalogue", "peace").returncode == 2
        assert list(out.iterdir()) == []
        done = energymarket(*start, "--port", "0")
        assert done.returncode == 0, done.stderr
        assert energymarket(*start, "--port", port, "--resume").returncode == 1
    assert (out / "ledger.db").exists()
    done = energymarket(*start, "--port", "0", "--resume", "--seed", "43")
    assert done.returncode == 2
    assert "choose another ledger with --out." in done.stderr


_ENTRY_THAT_STAYS_IN_AN_IMPORT = """
import signal, sys, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # as a terminal has it

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Finder())
sys.argv = ["energymarket", "version"]
from lab.entry import main
main()
"""


def test_ctrl_c_while_the_command_is_still_being_imported_is_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _ENTRY_THAT_STAYS_IN_AN_IMPORT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == complaint == ""


@pytest.mark.parametrize("command", ["presets", "run --headless --ticks 3 --pace 0 --port 0"])
def test_output_that_cannot_be_written_is_a_sentence(command: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lab.entry", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "energymarket cannot go on: [Errno 28] No space left on device.\n"
