"""The worker processes, as the parent sees them."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import IO, Final

from lab.load import wire
from lab.load.errors import LoadFailed
from lab.load.plan import LoadPlan

_LEAVE_S: Final = 10.0
_KILL_S: Final = 2.0

_Heard = tuple[int, wire.Sample | None]
"""Number of a worker, and what it says; None when it has ended."""


class Crew:
    """Starts the workers of a plan; ``dismiss`` has them leave the market, whatever happened."""

    def __init__(self, plan: LoadPlan) -> None:
        instance = f"load-{secrets.token_hex(4)}"
        self._news: SimpleQueue[_Heard] = SimpleQueue()
        self._workers: list[_Worker] = []
        try:
            for number, sizes in enumerate(plan.crews()):
                begin = wire.Begin(
                    amqp_url=plan.amqp_url,
                    instance=f"{instance}-{number}",
                    sizes=sizes,
                    homes_per_message=plan.most_per_message(),
                )
                self._workers.append(_Worker(number, begin, self._news))
        except BaseException:
            self.dismiss()
            raise

    def __len__(self) -> int:
        return len(self._workers)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.pid for worker in self._workers]

    def go(self, go: wire.Go) -> None:
        """Tells all of them to begin."""
        for worker in self._workers:
            worker.tell(go)

    def news(self, timeout_s: float) -> Iterator[tuple[int, wire.Sample]]:
        """What has come in, after waiting for the first of it up to ``timeout_s``.

        Raises ``LoadFailed`` when a worker has died.
        """
        wait_s: float = max(timeout_s, 0.001)
        with contextlib.suppress(Empty):
            while True:
                number, sample = self._news.get(timeout=wait_s)
                if sample is None:
                    raise LoadFailed(f"a worker ended by itself: {self.last_words(number)}")
                yield number, sample
                wait_s = 0.000_1

    def last_words(self, number: int | None = None) -> str:
        """The last line that a worker has logged, or any of them."""
        chosen = self._workers if number is None else [self._workers[number]]
        lines = [line for worker in chosen for line in worker.log().splitlines()]
        return lines[-1] if lines else "it said nothing"

    def dismiss(self) -> list[tuple[int, wire.Sample]]:
        """Has all leave, and ends them; the samples that they still sent."""
        for worker in self._workers:
            worker.tell(wire.End())
        deadline = time.monotonic() + _LEAVE_S
        for worker in self._workers:
            worker.end(max(deadline - time.monotonic(), 0.1))
        for worker in self._workers:
            if not worker.left:
                _leave_for(worker)
        last = []
        with contextlib.suppress(Empty):
            while True:
                number, sample = self._news.get_nowait()
                if sample is not None:
                    last.append((number, sample))
        return last


def _leave_for(dead: _Worker) -> None:
    """A worker that was killed has left its homes behind. Another one of the same instance is
    given the same homes, and can leave for it; tried once, for a while."""
    news: SimpleQueue[_Heard] = SimpleQueue()
    heir = _Worker(dead.number, dead.begin, news)
    deadline = time.monotonic() + _LEAVE_S
    with contextlib.suppress(Empty):
        while (wait_s := deadline - time.monotonic()) > 0:
            _, sample = news.get(timeout=wait_s)
            if sample is None or sample.joined_fleets == len(dead.begin.sizes):
                break
    heir.tell(wire.End())
    heir.end(_LEAVE_S)


class _Worker:
    """One process: commands into its standard input, samples out of its standard output."""

    def __init__(self, number: int, begin: wire.Begin, news: SimpleQueue[_Heard]) -> None:
        self.number, self.begin, self._news = number, begin, news
        self.left = False
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``end``
        # In a session of its own, so that Ctrl-C reaches the parent alone, which has it leave.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.load.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"worker-{number}", daemon=True)
        self._reader.start()
        self.tell(begin)

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, command: wire.Command) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError, ValueError):  # it has ended: its last news says so
            wire.send(self._process.stdin, command)

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace").strip()

    def end(self, timeout_s: float) -> None:
        """Waits for it to end by itself; then makes it."""
        if not self._ended_within(timeout_s):
            self._process.terminate()
            if not self._ended_within(_KILL_S):
                self._process.kill()
                self._process.wait()
        self._reader.join(_KILL_S)
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()

    def _ended_within(self, timeout_s: float) -> bool:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _read(self) -> None:
        assert self._process.stdout
        with contextlib.suppress(OSError, ValueError):
            for sample in wire.samples(self._process.stdout):
                self.left = sample.gone
                self._news.put((self.number, sample))
        self._news.put((self.number, None))
