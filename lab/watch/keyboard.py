"""Single keys from a terminal, without waiting for a line; the terminal is as before afterwards."""

from __future__ import annotations

import os
import re
import select
import termios
import tty
from types import TracebackType
from typing import Final

_NAMES: Final = {
    **{"\x1b[A": "up", "\x1bOA": "up", "\x1b[5~": "up"},
    **{"\x1b[B": "down", "\x1bOB": "down", "\x1b[6~": "down"},
    **{"\x1b": "escape", " ": "space"},
}
_KEY: Final = re.compile(r"\x1b(?:\[[0-9;]*[~A-Za-z]|O[A-Z])|.", re.DOTALL)


class Keyboard:
    """The keys of the terminal ``number`` (a file descriptor); of what is no terminal, none.

    Ctrl-C and Ctrl-Z stay signals.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._before: list[object] | None = None
        self.gone = False
        """The terminal was closed."""

    def __enter__(self) -> Keyboard:
        if os.isatty(self._number):
            self._before = termios.tcgetattr(self._number)
            tty.setcbreak(self._number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        before, self._before = self._before, None
        if before is not None and not self.gone:
            # Keys that nobody has read are dropped: a shell would take them for a command.
            termios.tcsetattr(self._number, termios.TCSAFLUSH, before)  # type: ignore[arg-type]

    def pressed(self, timeout_s: float) -> list[str]:
        """The keys pressed by now; waits up to ``timeout_s`` for the first. Letters are as they
        are, others are named: ``space``, ``up``, ``down``, ``escape``."""
        if self._before is None:
            select.select([], [], [], timeout_s)
            return []
        ready, _, _ = select.select([self._number], [], [], timeout_s)
        if not ready:
            return []
        try:
            text = os.read(self._number, 1_024).decode(errors="replace")
        except OSError:
            text = ""
        self.gone = not text
        return [_NAMES.get(key, key) for key in _KEY.findall(text)]
