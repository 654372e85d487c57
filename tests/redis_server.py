"""A real Redis server for the tests: on a private port, in a private folder."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from tests.servers import free_ports

_INSTALL: Final = (
    "Redis is not installed, and these tests need a real one. On Debian or Ubuntu: "
    "apt-get install redis-server (`make test` does it as root); else see redis.io/downloads."
)
_START_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 5.0


class RedisServer:
    """One ``redis-server`` process without persistence, so a restart forgets everything.

    ``configuration`` holds further lines of its configuration file, such as ``aclfile`` or
    ``user``.
    """

    def __init__(self, folder: Path, configuration: str = "") -> None:
        (self.port,) = free_ports(1)
        self._folder = folder
        self._configuration = configuration
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers, without a user."""
        return self.url_of("")

    def url_of(self, credentials: str) -> str:
        """Where it answers; ``credentials`` is ``user:password`` or empty."""
        at = f"{credentials}@" if credentials else ""
        return f"redis://{at}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it and waits until it answers; fails the test where there is none to start."""
        program = shutil.which("redis-server")
        if program is None:
            pytest.fail(_INSTALL, pytrace=False)
        file = self._folder / "redis.conf"
        file.write_text(
            f"bind 127.0.0.1\nport {self.port}\ndir {self._folder}\nlogfile redis.log\n"
            f'save ""\nappendonly no\n{self._configuration}\n'
        )
        self._process = subprocess.Popen([program, str(file)])
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.stop()
                raise RuntimeError(f"redis-server did not start: {self._log()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stops it; does nothing when it is not running."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.resume()
            self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        assert self._process is not None, "the server is not running"
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Has it hang: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Ends ``pause``."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server is not running"
        self._process.send_signal(number)

    def _answers(self) -> bool:
        """Any answer to PING will do, be it that it wants a password first."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64)[:5] in (b"+PONG", b"-NOAU")
        except OSError:
            return False

    def _log(self) -> str:
        file = self._folder / "redis.log"
        return file.read_text()[-2_000:] if file.exists() else "it left no log"
