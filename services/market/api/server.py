"""Runs the API in a thread of the market's process."""

from __future__ import annotations

import errno
import logging
import resource
import socket
import threading
import time
from typing import Final

import uvicorn
from fastapi import FastAPI

from energymarket.errors import EnergyMarketError, PortInUse, SettingsError
from energymarket.telemetry import Log
from services.market.api.connection import TURNED_AWAY_AT_ONCE, Limits, within

MAX_CONNECTIONS: Final = 2_048
"""A thousand readers of the stream, and as many again who ask: one that only listens costs about
40 KiB, and a fraction of a millisecond per tick."""

_ACCEPTED_AT_ONCE = 64
"""So many are taken before the first of them is looked at."""

_OTHER_FILES = 128 + TURNED_AWAY_AT_ONCE + _ACCEPTED_AT_ONCE
"""What ledger, broker and the process itself need besides, and connections on their way out."""

_BACKLOG = 1_024
"""Connections that wait to be taken: after a restart all readers come back at once."""

_SEND_BUFFER_BYTES = 128 * 1024
"""What the system keeps for a connection that does not read, instead of some megabytes."""

_START_S = 10.0
_DRAIN_S = 0.25
_STOP_S = 1.0
_UVICORN = logging.getLogger("uvicorn.error")


class ApiServer:
    """Serves an app on an address until it is stopped; signals are left to the process."""

    def __init__(
        self, app: FastAPI, *, host: str, port: int, log: Log, limits: Limits | None = None
    ) -> None:
        """``port`` 0 takes any free port; ``url`` tells which, once started. Without ``limits``
        there are as many connections as ``connections_at_once`` says."""
        self._limits = limits
        self._app, self._host, self._port, self._log = app, host, port, log
        self._stopping: threading.Event = app.state.context.stopping
        self._handler = _ToLog(log, self._stopping)
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on, after ``start``."""
        return self._port

    @property
    def url(self) -> str:
        """Where a program on this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        """Listens and serves, from when this returns. Raises ``PortInUse``, ``SettingsError``."""
        self._socket = _listen(self._host, self._port)
        self._port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(_config(self._app, self._limits))
        _UVICORN.addHandler(self._handler)
        _UVICORN.propagate = False
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="api", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise EnergyMarketError("The API did not start; the lines before this say why.")
            time.sleep(0.005)
        self._socket.listen(_BACKLOG)

    def stop(self) -> None:
        """Ends within a second: answers under way may finish, endless ones are cut off."""
        if self._server is None or self._thread is None or self._socket is None:
            return
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            self._log.warning("the API did not end in time and is left behind")
        self._socket.close()
        _UVICORN.removeHandler(self._handler)
        self._server = self._thread = self._socket = None


class _ToLog(logging.Handler):
    """Hands uvicorn's errors to the service's log.

    Its warnings are about what strangers send, who must not be able to fill the log; at the end
    its errors are about what was cut off on purpose.
    """

    def __init__(self, log: Log, stopping: threading.Event) -> None:
        super().__init__(logging.ERROR)
        self._log, self._stopping = log, stopping

    def emit(self, record: logging.LogRecord) -> None:
        if not self._stopping.is_set():
            self._log.error(f"api: {record.getMessage()}", exc_info=record.exc_info or None)


def connections_at_once() -> int:
    """As many as there are to be, or as the process may have: most systems give it a thousand files
    at first, and more when it asks."""
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _OTHER_FILES
    if few != resource.RLIM_INFINITY and few < wanted:
        few = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
    return (
        MAX_CONNECTIONS
        if few == resource.RLIM_INFINITY
        else min(MAX_CONNECTIONS, few - _OTHER_FILES)
    )


def _config(app: FastAPI, limits: Limits | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=within(limits or Limits(connections_at_once())),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_ACCEPTED_AT_ONCE,
        # uvicorn hands it to asyncio.wait_for, which takes fractions of a second.
        timeout_graceful_shutdown=_DRAIN_S,  # type: ignore[arg-type]
    )


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket: bound here, because uvicorn would end the process if it could not."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:  # the second: no name of a host at all
        raise _wrong_host(host) from error
    # The protocol must be named: asyncio looks at it before it sets TCP_NODELAY, without which each
    # answer waits 40 ms for the reader's delayed acknowledgement.
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Port {port} on {host} is taken by another program: set ENERGYMARKET_PORT to a "
                f"free port, or to 0 to have one picked."
            ) from error
        if error.errno == errno.EACCES:
            raise SettingsError(
                f"ENERGYMARKET_PORT is {port}; it must be one that this user may listen on."
            ) from error
        raise _wrong_host(host) from error
    return listener


def _wrong_host(host: str) -> SettingsError:
    return SettingsError(
        f"ENERGYMARKET_API_HOST is {host!r}; it must be an address of this machine."
    )
