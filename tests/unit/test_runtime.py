"""One loop runs every service, and one way ends them: in order, at once, with a sentence."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import BusEvent, Disconnected
from energymarket.errors import BusClosed, SettingsError, WeatherStoreUnavailable
from energymarket.runtime import StopRequest, main, run_service
from energymarket.topology import Topology
from tests.fakes import FakeClock

ROOT = Path(__file__).resolve().parents[2]


class ScriptedService:
    """A service that notes its calls, and finishes after a number of acts (0: never)."""

    def __init__(self, bus: MemoryBus, *, acts: int = 0, due: float | None = None) -> None:
        self.calls: list[str] = []
        self.handled: list[BusEvent] = []
        self._bus, self._acts, self._due = bus, acts, due
        self.on_act: Callable[[], object] = lambda: None

    @property
    def finished(self) -> bool:
        return bool(self._acts) and self.calls.count("act") >= self._acts

    def start(self) -> None:
        self.calls.append("start")
        self._bus.open(Topology)

    def handle(self, events: Sequence[BusEvent]) -> None:
        self.calls.append("handle")
        self.handled += events

    def act(self) -> float | None:
        self.calls.append("act")
        self.on_act()
        return self._due

    def stop(self) -> None:
        self.calls.append("stop")
        self._bus.close()


class PatientBus(MemoryBus):
    """Notes how long it was asked to wait, and does not wait."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.waits_s: list[float | None] = []

    def poll(self, timeout_s: float | None) -> list[BusEvent]:
        self.waits_s.append(timeout_s)
        return super().poll(0)


def _run(service: ScriptedService, bus: MemoryBus, stop: StopRequest | None = None) -> None:
    run_service(service, bus, FakeClock(), stop or StopRequest())


# ------------------------------------------------------------------------------------- the loop


def test_a_service_is_started_called_in_turns_until_it_has_finished_and_stopped() -> None:
    bus = PatientBus()
    service = ScriptedService(bus, acts=2)
    _run(service, bus)
    assert service.calls == ["start", "act", "handle", "act", "handle", "stop"]


@pytest.mark.parametrize(
    ("due", "expected_s"),
    [(None, 1.0), (1_000.0, 0.0), (900.0, 0.0), (1_000.25, 0.25), (5_000.0, 1.0)],
)
def test_the_loop_waits_until_the_service_is_due_and_a_second_at_most(
    due: float | None, expected_s: float
) -> None:
    """The clock says 1,000: earlier is due now."""
    bus = PatientBus()
    _run(ScriptedService(bus, acts=1, due=due), bus)
    assert bus.waits_s == [expected_s]


def test_what_the_bus_delivered_reaches_the_service() -> None:
    bus = PatientBus()
    service = ScriptedService(bus, acts=2)
    service.on_act = lambda: bus.lose_connection("a test cuts it")
    _run(service, bus)
    assert Disconnected("a test cuts it") in service.handled


def test_a_stop_requested_before_the_first_turn_still_starts_and_stops_the_service() -> None:
    bus, stop = PatientBus(), StopRequest()
    stop.request()
    service = ScriptedService(bus)
    _run(service, bus, stop)
    assert service.calls == ["start", "stop"]


def test_a_stop_request_ends_the_wait_of_a_service_that_has_nothing_to_do() -> None:
    """R23: the bus is woken, for it would sleep on."""

    class SleepyBus(MemoryBus):
        def poll(self, timeout_s: float | None) -> list[BusEvent]:
            return super().poll(30.0)

    bus, stop = SleepyBus(MemoryBroker()), StopRequest()
    service = ScriptedService(bus)
    threading.Timer(0.1, stop.request).start()
    began_s = time.monotonic()
    _run(service, bus, stop)
    assert service.calls[-1] == "stop"
    assert time.monotonic() - began_s < 10.0


@pytest.mark.parametrize("where", ["start", "act"])
def test_a_service_that_fails_is_stopped_all_the_same_and_its_error_is_heard(where: str) -> None:
    """R23: an error leaves no connection behind."""

    class Failing(ScriptedService):
        def start(self) -> None:
            super().start()
            self._fail("start")

        def act(self) -> float | None:
            self._fail("act")
            return None

        def _fail(self, here: str) -> None:
            if here == where:
                raise WeatherStoreUnavailable("gone")

    bus = PatientBus()
    service = Failing(bus)
    with pytest.raises(WeatherStoreUnavailable, match="gone"):
        _run(service, bus)
    assert service.calls[-1] == "stop"
    with pytest.raises(BusClosed):
        bus.poll(0)


# -------------------------------------------------------------------------------- stop requests


def test_a_request_wakes_everyone_who_asked_to_be_woken_and_may_come_twice() -> None:
    stop, woken = StopRequest(), []
    stop.on_request(lambda: woken.append("bus"))
    stop.on_request(lambda: woken.append("server"))
    assert not stop.requested
    stop.request()
    stop.request()
    assert stop.requested
    assert woken == ["bus", "server"] * 2


def test_waiting_for_a_stop_takes_as_long_as_it_was_told_unless_one_is_requested() -> None:
    stop = StopRequest()
    began_s = time.monotonic()
    assert stop.wait(0.1) is False
    assert 0.1 <= time.monotonic() - began_s < 1.0
    threading.Timer(0.1, stop.request).start()
    assert stop.wait(30.0) is True
    assert stop.wait(30.0) is True, "once requested, it stays so"
    assert time.monotonic() - began_s < 5.0


def test_a_signal_at_any_point_of_a_wait_neither_hangs_nor_gets_lost() -> None:
    """R23: a handler runs between two steps of the waiting thread, whatever lock that may hold.

    A trace function does the same, at each line of the wait in turn.
    """
    point = 0
    while True:
        point += 1
        reached, answers = _interrupted_at(point)
        assert answers == [True], f"at line event {point} of the wait: {answers or 'it hangs'}"
        if not reached:
            break
    assert point > 5, "the wait was never interrupted"


def _interrupted_at(point: int) -> tuple[bool, list[bool]]:
    """Requests the stop at the given line event of a wait; whether there was one, what it said."""
    stop, answers, events = StopRequest(), [], 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal events
        if event == "line":
            events += 1
            if events == point:
                stop.request()
        return trace

    def wait() -> None:
        sys.settrace(trace)
        try:
            answers.append(stop.wait(0.05))
        finally:
            sys.settrace(None)
            if events < point:  # the wait was over before
                answers[:] = [True]

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(5.0)
    return events >= point, answers


_PROCESS = """
import sys, time
from energymarket.errors import SettingsError
from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.runtime import StopRequest, main, run_service
from tests.fakes import FakeClock
from tests.unit.test_runtime import ScriptedService

def run():
    stop = StopRequest()
    stop.listen_to_signals()
    bus = MemoryBus(MemoryBroker())
    service = ScriptedService(bus)
    print("ready", flush=True)
    {body}
    print("stopped", *service.calls[-1:], flush=True)

main(run)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("body", ["run_service(service, bus, FakeClock(), stop)", "stop.wait(60)"])
def test_a_process_ends_in_order_and_at_once_on_a_signal(number: int, body: str) -> None:
    """R23: while it runs, and while it still waits for its turn."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROCESS.format(body=body)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)  # so that it is most likely waiting
    began_s = time.monotonic()
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output.split()[0]) == (0, "stopped")
    assert time.monotonic() - began_s < 2.0


# --------------------------------------------------------------------------------- the process


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """As it was: ``main`` is for a process of its own."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_a_process_looks_for_garbage_less_often_than_python_would_and_not_in_what_it_imported() -> (
    None
):
    seen = []
    main(lambda: seen.append((gc.isenabled(), gc.get_threshold()[0], gc.get_freeze_count())))
    ((enabled, objects, frozen),) = seen
    assert enabled
    assert objects > 10_000
    assert frozen > 10_000


# ----------------------------------------------------------------------------------- exit codes


def _exit_code(error: BaseException) -> int | str | None:
    def run() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        main(run)
    return ended.value.code


def test_a_wrong_setting_ends_the_process_with_its_sentence_and_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """R24."""
    assert _exit_code(SettingsError("ENERGYMARKET_X is 'y'; it must be z.")) == 2
    assert capsys.readouterr() == ("", "ENERGYMARKET_X is 'y'; it must be z.\n")


def test_a_failure_ends_the_process_with_its_sentence_and_code_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _exit_code(WeatherStoreUnavailable("the store is gone")) == 1
    assert capsys.readouterr() == ("", "the store is gone\n")


def test_an_interrupt_before_the_service_listens_to_signals_ends_it_without_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _exit_code(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def test_a_fault_of_ours_is_not_dressed_up_as_a_sentence() -> None:
    """Its traceback is what finds it."""

    def run() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main(run)


_CHATTERING = """
from energymarket.runtime import main
from energymarket.telemetry import configure

def run():
    log = configure("external", level="info", form="text")
    while True:
        log.info("tick")

main(run)
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_process_whose_log_nobody_reads_any_more_ends_without_a_word(unbuffered: str) -> None:
    """As ``python -m services.external | head -1`` leaves it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CHATTERING],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline().endswith("tick\n")
    process.stdout.close()
    with process.stderr:
        assert (process.wait(30), process.stderr.read()) == (1, "")


def test_a_broken_pipe_that_is_not_the_logs_is_a_fault_of_ours() -> None:
    """A driver's error that was not translated: its traceback is what finds it."""
    (reader, writer) = os.pipe()
    try:
        with os.fdopen(writer, "w") as log, pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "stdout", log)
            with pytest.raises(BrokenPipeError):
                main(_break_a_pipe)
    finally:
        os.close(reader)


def _break_a_pipe() -> None:
    raise BrokenPipeError


def test_a_run_that_ends_well_ends_the_process_with_nothing_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(lambda: None)
    assert capsys.readouterr() == ("", "")
