"""Where the API of a market's process is reached, whichever role the process has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from energymarket.errors import PortInUse
from energymarket.telemetry import Log


class Server(Protocol):
    """A server of the API."""

    @property
    def url(self) -> str:
        """Where it is reached, once started."""

    def start(self) -> None:
        """Listens and serves; raises ``PortInUse``."""

    def stop(self) -> None:
        """Ends it."""


class FrontDoor:
    """The API's server: on the port of the settings, or while another market has it, on another."""

    def __init__(
        self, make_server: Callable[[int], Server], port: int, log: Log, facts: dict[str, str]
    ) -> None:
        """``make_server`` gives one for a port, 0 being any; ``facts`` are logged with its URL."""
        self._make_server, self._port = make_server, port
        self._log, self._facts = log, facts
        self._server: Server | None = None
        self._away = False

    def open(self, *, settling: bool) -> None:
        """Serves. A standby whose port is taken, as it is by the market that settles on the same
        machine, takes any free one; a market that settles raises ``PortInUse``."""
        try:
            self._server = self._serving(self._port)
        except PortInUse:
            if settling:
                raise
            self._server = self._serving(0)
            self._away = True

    def move_home(self) -> None:
        """Goes to the port of the settings, if it is free now: there the readers are."""
        if not self._away:
            return
        try:
            home = self._serving(self._port)
        except PortInUse:
            self._log.warning(f"port {self._port} is still taken: serving elsewhere")
            return
        self.close()
        self._server, self._away = home, False

    def close(self) -> None:
        """Ends the server."""
        if self._server:
            self._server.stop()
            self._server = None

    def _serving(self, port: int) -> Server:
        server = self._make_server(port)
        server.start()
        self._log.info(f"market on {server.url}", **self._facts)
        return server
