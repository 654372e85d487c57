"""A real RabbitMQ for the tests: its own node, ports and folders; it never meets another one.

Stopped, killed and restarted by process id. Nothing is skipped when RabbitMQ is not installed:
the test fails and says what to install.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from random import Random
from typing import IO

import pytest

VHOST = "energymarket"
USER = "energymarket"

_INSTALL = (
    "RabbitMQ is not installed, and these tests need a real one. On Debian or Ubuntu: "
    "apt-get install rabbitmq-server (`make test` does it as root); else see rabbitmq.com/download."
)
_SCRIPTS = (
    "/usr/lib/rabbitmq/bin",  # Debian's own wrapper in /usr/sbin insists on its one system node
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)
# As deploy/docker-compose.yml sets it: schedulers that sleep when idle instead of spinning, for
# the broker shares the processors with what is tested.
_AS_DEPLOYED = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
_NEVER_HANDED_OUT = range(15_000, 32_000)  # Linux begins at 32,768, others later
_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 30.0
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on; all different.

    Not from those that the system hands out: it would give one of them to some connection before
    the server that it was picked for has started.
    """
    found: list[int] = []
    for port in Random().sample(_NEVER_HANDED_OUT, len(_NEVER_HANDED_OUT)):
        if len(found) == count:
            break
        with socket.socket() as each, contextlib.suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", port))
            found.append(port)
    assert len(found) == count, "no free ports"
    return found


def greets(port: int) -> bool:
    """Whether a broker greets a client; it listens last of all, so then everything is up."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
            client.sendall(_PROTOCOL_HEADER)
            return client.recv(1) == b"\x01"
    except OSError:
        return False


def _script(name: str) -> str:
    for folder in _SCRIPTS:
        if (Path(folder) / name).is_file():
            return str(Path(folder) / name)
    found = shutil.which(name)
    if found is None:
        pytest.fail(_INSTALL, pytrace=False)
    return found


class RabbitServer:
    """One RabbitMQ node. ``start`` waits until it answers; the data lives as long as the object."""

    def __init__(self) -> None:
        self.port, self._distribution_port, self._epmd_port = free_ports(3)
        self.password = secrets.token_hex(8)
        self._folder = Path(tempfile.mkdtemp(prefix="energymarket-rabbitmq-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._write_configuration()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"amqp://{USER}:{self.password}@127.0.0.1:{self.port}/{VHOST}"

    @property
    def pid(self) -> int:
        """Of the broker's own process."""
        if self._process is None:
            raise AssertionError("the broker is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts the node, over whatever data it had before."""
        script = _script("rabbitmq-server")
        self._output = (self._folder / "output.log").open("ab")
        self._process = subprocess.Popen(
            [script],
            env=self._environment(),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Ends it in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kills and starts it: same ports, same data."""
        self.kill()
        self.start()

    def lose(self) -> None:
        """Kills and starts it: same ports, none of its data."""
        self.kill()
        shutil.rmtree(self._folder / "data")
        self.start()

    def pause(self) -> None:
        """Freezes it: connections stay open, and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undoes ``pause``."""
        os.kill(self.pid, signal.SIGCONT)

    def ctl(self, *arguments: str) -> str:
        """Runs ``rabbitmqctl`` against this node (takes about a second) and gives its output."""
        done = subprocess.run(
            [_script("rabbitmqctl"), *arguments],
            env=self._environment(),
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def remove(self) -> None:
        """Ends it and deletes its data."""
        if self._process is not None:
            self.kill()
        self._end_epmd()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_configuration(self) -> None:
        lines = (
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"default_vhost = {VHOST}",
            f"default_user = {USER}",
            f"default_pass = {self.password}",
            "default_permissions.configure = .*",
            "default_permissions.read = .*",
            "default_permissions.write = .*",
            "disk_free_limit.absolute = 10MB",
            "max_message_size = 33554432",  # above our own limit, so that readers can refuse it
            "log.file.level = warning",
            "log.console = false",
        )
        (self._folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self._folder / "enabled_plugins").write_text("[].\n")
        cookie = self._folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(10))
        cookie.chmod(0o600)

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": folder,  # where Erlang looks for the cookie
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "true",  # it may be ended beside a node just killed
            "RABBITMQ_NODENAME": f"energymarket{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _AS_DEPLOYED,
            "RUNNING_UNDER_SYSTEMD": "true",  # no shell in between: our child is the broker itself
        }

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if greets(self.port):
                return
            time.sleep(0.1)
        output = (self._folder / "output.log").read_text(errors="replace")[-4_000:]
        self.kill()
        pytest.fail(f"RabbitMQ did not start on port {self.port}:\n{output}", pytrace=False)

    def _end(self, signal_number: int) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal_number)
            os.kill(self._process.pid, signal.SIGCONT)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._output is not None:
            self._output.close()

    def _end_epmd(self) -> None:
        """Erlang's port mapper outlives its node; this one is ours alone, by its port."""
        epmd = shutil.which("epmd")
        if epmd is not None:
            subprocess.run(
                [epmd, "-port", str(self._epmd_port), "-kill"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
