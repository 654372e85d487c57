"""A command in a real pseudo-terminal: keys go in, the newest screen comes out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ENTERED, LEFT, CURSOR_SHOWN = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"

_LAUNCHER = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # from now on Ctrl-C and Ctrl-Z of this terminal are ours
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

ENERGYMARKET = ("-m", "lab.cli")


class Terminal:
    """Runs ``energymarket ARGUMENTS`` on a terminal of its own, or another program of Python's."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 80,
        lines: int = 24,
        program: tuple[str, ...] = ENERGYMARKET,
        **environment: str,
    ) -> None:
        self._master, self._slave = pty.openpty()
        self.resize(columns, lines)
        self.attributes_before = termios.tcgetattr(self._slave)
        usual = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, *program, *arguments],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            env=usual | {"TERM": "xterm-256color", "LANG": "C.UTF-8"} | environment,
        )
        self._heard = bytearray()
        self._reader = threading.Thread(target=self._read, name="terminal")
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:
                return
            if not data:
                return
            self._heard += data

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, size)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    @property
    def output(self) -> str:
        """Everything that was written, with its control sequences."""
        return self._heard.decode(errors="replace")

    @property
    def screen(self) -> str:
        """The newest whole frame, without its control sequences."""
        frames = self.output.split("\x1b[H")
        return _CONTROL.sub("", frames[-2] if len(frames) > 2 else "").replace("\r", "")

    def until(self, wanted: str | Callable[[str], object], timeout_s: float = 60.0) -> str:
        """The first screen with that text, or for which that is true."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            screen = self.screen
            if wanted in screen if isinstance(wanted, str) else wanted(screen):
                return screen
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"never seen: {wanted}; last of all:\n{self.output[-4_000:]}")

    def shown_tick(self) -> int:
        found = re.search(r"tick ([\d,]+)", self.screen)
        return int(found[1].replace(",", "")) if found else 0

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    @property
    def is_stopped(self) -> bool:
        """Whether the process sleeps as Ctrl-Z has it."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def ended(self, timeout_s: float = 30.0) -> int:
        """The exit code."""
        return self.process.wait(timeout_s)

    @property
    def is_restored(self) -> bool:
        """Main screen, cursor and line discipline are as they were."""
        out = self.output
        left = out.rfind(LEFT) > out.rfind(ENTERED)
        return (
            left
            and out.rfind(CURSOR_SHOWN) > out.rfind("\x1b[?25l")
            and termios.tcgetattr(self._slave) == self.attributes_before
        )

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._slave)
        self._reader.join(10)
        os.close(self._master)
