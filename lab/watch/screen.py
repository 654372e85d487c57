"""The screen: takes the terminal, draws, listens to keys, and gives the terminal back, always."""

from __future__ import annotations

import signal
import threading
import time

from rich.console import Console
from rich.live import Live

from energymarket.runtime import StopRequest
from lab.watch.draw import drawn, homes_that_fit
from lab.watch.keyboard import Keyboard
from lab.watch.keys import Keys
from lab.watch.link import MarketLink

_FRAME_S = 0.25
_STANDARD_INPUT = 0


class Screen:
    """Shows what a link knows until ``q``, a stop, or the end of the terminal."""

    def __init__(self, console: Console, link: MarketLink, stop: StopRequest) -> None:
        self._console, self._link, self._stop = console, link, stop
        self._keys = Keys(link)
        self._suspended = False
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def listen_to_suspension(self) -> None:
        """Ctrl-Z gives the terminal back before the process sleeps. For the main thread."""
        signal.signal(signal.SIGTSTP, lambda *_: setattr(self, "_suspended", True))

    def run(self) -> None:
        """Shows it in this thread."""
        while not self._is_over():
            self._show()
            if self._suspended:
                self._suspended = False
                # To this very thread: sent to the process, it would go on a bit, and take the
                # terminal again before it sleeps. The shell wakes it by SIGCONT.
                signal.raise_signal(signal.SIGSTOP)

    def _is_over(self) -> bool:
        return self._stop.requested or self._keys.quit

    def _show(self) -> None:
        """Takes the terminal until it is over, or is to sleep."""
        live = Live(console=self._console, screen=True, auto_refresh=False, transient=True)
        with Keyboard(_STANDARD_INPUT) as keyboard, live:
            while not (self._is_over() or self._suspended):
                size = self._console.size
                self._link.rows = homes_that_fit((size.width, size.height))
                frame = drawn(
                    self._link.picture.shown,
                    time.monotonic(),
                    (size.width, size.height),
                    choosing=self._keys.choosing,
                )
                live.update(frame, refresh=True)
                for key in keyboard.pressed(_FRAME_S):
                    self._keys.press(key)
                if keyboard.gone:
                    self._stop.request()

    # ------------------------------------------------------------------------ beside a market

    def start(self) -> None:
        """Shows it in a thread of its own; whoever quits there ends the market."""
        self._thread = threading.Thread(target=self._run_beside, name="screen")
        self._thread.start()

    def _run_beside(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - whoever joins the thread gets it
            self._failure = error
        self._stop.request()

    def stop(self) -> None:
        """Gives the terminal back; raises what went wrong in the thread."""
        self._keys.quit = True
        if self._thread:
            self._thread.join()
        if self._failure:
            raise self._failure
