"""What one does with the project works on a machine that has nothing yet, or says what it needs."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = tuple(f"requirements{ending}.lock" for ending in ("", "-parquet", "-otlp", "-dev"))
TARGETS = {"help", "run", "test", "test-long", "check", "up", "down", "lock", "clean"}


def _pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}


def _run(
    *command: str | Path, path: Path | str, cwd: Path = ROOT, **environment: str
) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": str(path), "HOME": "/nonexistent", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def _program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


# ------------------------------------------------------------------------------------------- locks


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_exact_versions_and_no_address_to_get_them_from(lock: str) -> None:
    """Whoever installs decides where from."""
    for line in (ROOT / lock).read_text().splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; .+)?", line), line


def test_the_locks_name_nothing_twice() -> None:
    """Two versions of one thing could not both be installed."""
    named = [name for lock in LOCKS for name in _pins(lock)]
    assert len(named) == len(set(named))


def _check_pins(asked_for: list[str], pins: dict[str, str]) -> None:
    for line in asked_for:
        wanted = Requirement(line)
        version = pins[canonicalize_name(wanted.name)].removeprefix("==")
        assert wanted.specifier.contains(version), f"{line} is locked to {version}"


def test_the_development_lock_pins_every_tool_that_is_asked_for() -> None:
    pins = {name: pin for lock in LOCKS for name, pin in _pins(lock).items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = [*project["dependency-groups"]["dev"], *project["build-system"]["requires"]]
    _check_pins(tools, pins)


@pytest.mark.parametrize("extra", ["parquet", "otlp"])
def test_an_extra_has_a_lock_of_its_own_that_pins_what_it_asks_for(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    _check_pins(project["optional-dependencies"][extra], _pins(f"requirements-{extra}.lock"))


def test_together_the_extra_of_traces_and_what_runs_lack_nothing() -> None:
    """The image installs these two and asks for nothing else: ``--no-deps``."""
    pins = {**_pins("requirements.lock"), **_pins("requirements-otlp.lock")}
    for name in _pins("requirements-otlp.lock"):
        for line in distribution(name).requires or []:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                assert canonicalize_name(wanted.name) in pins, f"{name} needs {line}"


# -------------------------------------------------------------------------------------------- make


def test_make_alone_lists_what_there_is() -> None:
    code, output = _run("make", path=os.environ["PATH"])
    assert code == 0
    assert {line.split()[0] for line in output.splitlines()[1:]} >= TARGETS


def test_only_changed_locks_are_installed_again(tmp_path: Path) -> None:
    """``make run`` a second time starts at once."""
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path / name)
    _program(tmp_path / "scripts", "make-venv.sh", "mkdir -p .venv/bin; echo venv")
    _program(tmp_path / ".venv" / "bin", "python", 'echo "python $*"')
    _program(tmp_path / ".venv" / "bin", "energymarket", 'echo "energymarket $*"')

    def make_run() -> str:
        code, output = _run("make", "run", "ARGS=--homes 3", path=os.environ["PATH"], cwd=tmp_path)
        assert code == 0, output
        return output

    first = make_run()
    assert "--requirement requirements.lock" in first
    assert "--requirement requirements-parquet.lock" in first
    for lock in ("requirements-dev.lock", "requirements-otlp.lock"):
        assert lock not in first, "who only runs it needs neither tools nor traces"
    assert make_run() == "energymarket run --homes 3\n"
    later = (tmp_path / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(tmp_path / "requirements.lock", (later, later))
    assert "--requirement requirements.lock" in make_run()


_OLD = 'case "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac'
_WITHOUT_VENV = 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.12;; esac'


@pytest.mark.parametrize(
    ("pythons", "sentence"),
    [
        ({}, "Python 3.11 or newer is needed, and here is no python3. Install one"),
        ({"python3": _OLD}, "Python 3.11 or newer is needed, and here is Python 3.9.2. Install"),
        (
            {"python3": _OLD, "python3.12": _WITHOUT_VENV},
            "python3.12 cannot make virtual environments, for its module venv is missing. "
            "On Debian or Ubuntu: apt-get install python3.12-venv",
        ),
    ],
)
def test_a_machine_without_a_fit_python_is_told_what_to_install(
    pythons: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    """R25: a sentence, and no traceback of the tools."""
    for name, script in pythons.items():
        _program(tmp_path / "bin", name, script)
    making = ROOT / "scripts" / "make-venv.sh"
    code, output = _run("/bin/sh", making, tmp_path / ".venv", path=tmp_path / "bin")
    assert code == 1
    assert output.startswith(f"energymarket: {sentence}")
    assert len(output.splitlines()) == 1
    assert not (tmp_path / ".venv").exists()


def test_a_lock_that_is_renewed_keeps_its_comments_and_its_markers(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    comment = "# What is needed; nothing else.\n"
    lock.write_text(f"{comment}one==1.0\ntwo==2.0 ; python_version < '3.13'\n")
    write = runpy.run_path(str(ROOT / "scripts" / "lock.py"))["_write"]
    write(lock, {"one": "1.1"})
    assert lock.read_text() == f"{comment}one==1.1\ntwo==2.0 ; python_version < '3.13'\n"


def test_whoever_may_not_install_is_told_what_the_tests_need_and_gets_them_run_all_the_same(
    tmp_path: Path,
) -> None:
    """Those that need a server fail with the same sentence; the others need none."""
    _program(tmp_path, "id", "echo 1000")
    _program(tmp_path, "apt-get", "echo called >&2; exit 1")
    bash = shutil.which("bash")
    assert bash is not None
    code, output = _run(bash, ROOT / "scripts" / "test-servers.sh", path=tmp_path)
    assert code == 0
    assert re.search(r"Install with: sudo apt-get install .*redis-server", output)
    assert "called" not in output


# ---------------------------------------------------------------------------------------------- ci


def test_the_last_line_of_ci_is_pytests_own_and_its_exit_code_that_of_make(tmp_path: Path) -> None:
    closing = "=== 2 failed, 5 passed, 3 skipped in 61.02s (0:01:01) ==="
    (tmp_path / "project" / ".ci").mkdir(parents=True)
    ci = shutil.copy(ROOT / ".ci" / "run", tmp_path / "project" / ".ci" / "run")
    _program(tmp_path / "bin", "make", f"echo '{closing}'; echo 'make: *** Error 1' >&2; exit 2")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    code, output = _run(ci, path=path, CI="true")
    assert code == 2
    assert output.splitlines()[-1] == closing
    _program(tmp_path / "bin", "make", "exit 1")
    code, output = _run(ci, path=path, CI="true")
    assert (code, output) == (1, "make check ended with code 1 before any test was run\n")


# --------------------------------------------------------------------------------------- decisions


def _decisions() -> list[Path]:
    return sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def test_every_decision_has_its_context_and_its_consequences_and_stands_in_the_index() -> None:
    assert len(_decisions()) >= 11
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    for file in _decisions():
        text = file.read_text()
        assert text.startswith(f"# {file.name[:4]}: ")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], file.name
        assert f"({file.name})" in index


def test_what_a_decision_points_to_is_there() -> None:
    """Files in backticks, from the root; and links, from where they stand."""
    for file in [*_decisions(), ROOT / "CONTRIBUTING.md"]:
        text = file.read_text()
        for path in re.findall(
            r"`((?:energymarket|services|lab|tests|docs|scripts)/[^` ]*)`", text
        ):
            assert (ROOT / path).exists(), f"{file.name} names {path}"
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (file.parent / link).exists(), f"{file.name} links to {link}"
