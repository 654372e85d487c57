"""Where services connect to and what they write: port, broker, Redis, the ledger's folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.request import ProxyHandler, build_opener

import structlog
from structlog.typing import EventDict, WrappedLogger

from energymarket.bus.port import Connected
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.errors import BusError, SettingsError, WeatherStoreUnavailable
from energymarket.redis_weather_store import RedisWeatherStore
from energymarket.settings import without_password
from energymarket.topology import TICKS, Exchange, Topology
from lab.doctor.finding import Finding, note, ok, wrong
from services.market.ledger.tables import file_of

_ANSWER_S: Final = 3.0
_LEAST_ROOM_MIB: Final = 200
_MIB: Final = 2**20


def api_port(host: str, port: int) -> Finding:
    """Whether a market could listen there, and who does if not."""
    about = f"port {port}"
    if port == 0:
        return ok(about, "any free one will be taken")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            return wrong(
                about, f"Port {port} is not for this user: set ENERGYMARKET_PORT above 1023."
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return wrong(
                    about, f"{host} is no address of this machine: set ENERGYMARKET_API_HOST."
                )
        else:
            return ok(about, f"free on {host}")
    tick = _market_at(host, port)
    if tick is not None:
        return note(about, f"A market answers on it already, at tick {tick}.")
    who = _listener(port)
    return wrong(
        about,
        f"Port {port} is taken by {who or 'another program'}: end that, or choose another "
        "(ENERGYMARKET_PORT, energymarket run --port).",
    )


def _market_at(host: str, port: int) -> int | None:
    opener = build_opener(ProxyHandler({}))
    address = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError),
        opener.open(f"http://{address}:{port}/run", timeout=_ANSWER_S) as answer,
    ):
        return int(json.load(answer)["tick"])
    return None


def _listener(port: int) -> str:
    """Name and id of the process that listens, where Linux lets this user know; else nothing."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with contextlib.suppress(OSError):
            if any(os.readlink(each) in sockets for each in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f"{name} (process {process.name})"
    return ""


def broker(url: str) -> Finding:
    """Whether the broker lets this user in and lets it declare what a market declares first."""
    bus = RabbitBus(
        url=url,
        name="energymarket doctor",
        app_id="doctor",
        log=_no_log(),
        options=RabbitOptions(connect_timeout_s=_ANSWER_S),
    )
    try:
        bus.open(lambda: Topology(exchanges=(Exchange(TICKS, "fanout"),)))
        deadline = time.monotonic() + 2 * _ANSWER_S
        while time.monotonic() < deadline and not bus.trouble:
            if any(isinstance(event, Connected) for event in bus.poll(0.1)):
                return ok("broker", f"{without_password(url)} lets this user in")
    except BusError as error:
        return wrong("broker", f"{error}: set ENERGYMARKET_AMQP_URL.")
    finally:
        bus.close()
    why = bus.trouble or "the broker does not answer"
    return wrong(
        "broker",
        f"{without_password(url)}: {why}. Start RabbitMQ, or set ENERGYMARKET_AMQP_URL; "
        "energymarket run does without.",
    )


def _no_log() -> Any:
    """The finding says it all."""

    def drop(_logger: WrappedLogger, _method: str, _line: EventDict) -> EventDict:
        raise structlog.DropEvent

    return structlog.wrap_logger(
        None, processors=[drop], wrapper_class=structlog.make_filtering_bound_logger(0)
    )


def redis(url: str) -> Finding:
    """Whether Redis answers and lets this user read the weather."""
    try:
        store = RedisWeatherStore(url, connect_timeout_s=_ANSWER_S, timeout_s=_ANSWER_S)
        try:
            store.read("doctor", 0)
        finally:
            store.close()
    except (WeatherStoreUnavailable, SettingsError) as error:
        return wrong(
            "Redis",
            f"{str(error).rstrip('.')}. Start Redis, or set ENERGYMARKET_REDIS_URL to a user who "
            "may read weather:*; energymarket run does without.",
        )
    return ok("Redis", f"{without_password(url)} lets this user read the weather")


def ledger_folder(url: str) -> Finding:
    """Whether a ledger can be begun or gone on with there, and has room to grow."""
    file = file_of(url)
    if file is None:
        return note("ledger", "It is in memory, and forgotten at the end.")
    folder = file.parent.resolve()
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        room_mib = shutil.disk_usage(folder).free // _MIB
    except OSError as error:
        return wrong(
            "ledger",
            f"{file} cannot be written ({error.strerror}): make its folder, let this user write "
            "there, or set ENERGYMARKET_LEDGER_URL.",
        )
    if room_mib < _LEAST_ROOM_MIB:
        return wrong(
            "ledger",
            f"{folder} has only {room_mib} MiB left: make room for {_LEAST_ROOM_MIB} MiB at least.",
        )
    return ok("ledger", f"{folder} can be written, and has room for {room_mib:,} MiB")
