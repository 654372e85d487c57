"""The log: one clear line per fact (R22), whatever is in it."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from energymarket import telemetry
from energymarket.telemetry import Log


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    structlog.reset_defaults()


class Written:
    """A log and what it wrote."""

    def __init__(self, *, level: str = "info", form: str = "text") -> None:
        self._stream = io.StringIO()
        self.log: Log = telemetry.configure("market", level=level, form=form, stream=self._stream)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


# ------------------------------------------------------------------------------ text, for people


def test_a_line_has_the_time_the_service_the_fact_and_its_numbers() -> None:
    """R22."""
    written = Written()
    written.log.info("tick 7 settled", price=0.2134, homes="20/20")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d market   tick 7 settled  price=0\.2134 homes=20/20\n", written.text
    )


def test_a_line_without_numbers_ends_with_the_fact() -> None:
    written = Written()
    written.log.info("ready")
    assert written.text.endswith("market   ready\n")


def test_what_is_no_good_news_says_so() -> None:
    written = Written(level="debug")
    log = written.log
    for say in (log.debug, log.info, log.warning, log.error, log.critical):
        say("x")
    marks = [line.split("market   ")[1] for line in written.lines]
    assert marks == ["x", "x", "WARNING x", "ERROR x", "CRITICAL x"]


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(level: str, heard: list[str]) -> None:
    """R24: ENERGYMARKET_LOG_LEVEL."""
    written = Written(level=level, form="json")
    for name in ("debug", "info", "warning", "error"):
        getattr(written.log, name)("x")
    assert [line["level"] for line in written.objects] == heard


def test_each_service_of_a_shared_process_has_its_own_name() -> None:
    written = Written()
    written.log.bind(service="weather").info("tick 7")
    assert written.text.endswith(" weather  tick 7\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        (0, "0"),
        (-1.5, "-1.5"),
        (None, "None"),
        ("two words", '"two words"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "x"', r'"say \"x\""'),
        ("déjà vu…", '"déjà vu…"'),
        ("naïve", "naïve"),
        ("a\nb", r'"a\nb"'),
        ("\x1b[31mred", r'"\u001b[31mred"'),
    ],
)
def test_one_can_see_where_a_value_ends(value: object, shown: str) -> None:
    written = Written()
    written.log.info("x", value=value, last=1)
    assert written.text.endswith(f"  value={shown} last=1\n")


def test_text_from_outside_cannot_pass_for_a_line_of_ours() -> None:
    """A refused message may say anything, a line break included."""
    forged = "refused\n12:00:00 market   tick 7 settled"
    written = Written()
    written.log.warning(forged, why=forged)
    assert len(written.lines) == 1
    assert r"WARNING refused\n12:00:00" in written.text


def test_an_error_brings_its_traceback_below_the_line() -> None:
    written = Written()
    try:
        _fail()
    except ZeroDivisionError:
        written.log.exception("stumbled", tick=7)
    first, *trace = written.lines
    assert first.endswith("market   ERROR stumbled  tick=7")
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[-1].startswith("ZeroDivisionError")


def _fail() -> float:
    return 1 / 0


# --------------------------------------------------------------------------- json, for machines


def test_a_json_line_holds_every_fact_under_its_name() -> None:
    """R22."""
    written = Written(form="json")
    written.log.info("tick 7 settled", price=0.2134, homes=20)
    (line,) = written.objects
    time = line.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", time), "UTC, and it says so"
    assert line == {
        "event": "tick 7 settled",
        "level": "info",
        "service": "market",
        "price": 0.2134,
        "homes": 20,
    }


def test_a_json_line_is_one_line_also_with_a_traceback_or_a_line_break_in_it() -> None:
    written = Written(form="json")
    try:
        _fail()
    except ZeroDivisionError:
        written.log.exception("a\nb", why="c\nd")
    (line,) = written.objects
    assert (line["event"], line["why"]) == ("a\nb", "c\nd")
    assert "ZeroDivisionError" in line["exception"]


# ----------------------------------------------------------------------------------- the process


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_terminal_that_lacks_a_character_gets_an_escape_and_the_service_goes_on(
    form: str,
) -> None:
    """Also for what no encoding has: half of a surrogate pair, as undecodable bytes leave it."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    log = telemetry.configure("market", level="info", form=form, stream=stream)
    log.info("déjà", why="\udcff")
    stream.flush()
    line = raw.getvalue().decode("ascii")
    assert "d\\xe9j\\xe0" in line or "d\\u00e9j\\u00e0" in line
    assert "\\udcff" in line


def test_drivers_do_not_speak_past_their_adapters() -> None:
    """One line per fact: what a driver has to say is said by its adapter, once."""
    written = Written(level="debug")
    driver = logging.getLogger("some.driver")
    assert not driver.isEnabledFor(logging.ERROR)
    written.log.info("ours")
    assert len(written.lines) == 1


def test_the_log_goes_to_standard_output_unless_told_otherwise(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where ``docker compose logs`` looks for it."""
    telemetry.configure("home", level="info", form="text").info("tick 1")
    out, err = capsys.readouterr()
    assert out.endswith("home     tick 1\n")
    assert err == ""
