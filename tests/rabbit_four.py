"""A RabbitMQ 4 in a container of the tests' own, beside the one that is installed."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from typing import Final

import pytest

from tests.servers import USER, VHOST, RabbitServer, free_ports, greets

IMAGE: Final = "rabbitmq:4-management"
_START_TIMEOUT_S: Final = 90.0
_SETTINGS: Final = "\n".join(
    (
        f"default_vhost = {VHOST}",
        f"default_user = {USER}",
        "disk_free_limit.absolute = 10MB",
        "max_message_size = 33554432",  # above our own limit, so that readers can refuse it
        "log.console.level = warning",
    )
)


class RabbitFour(RabbitServer):
    """A container that is removed with the object; it is not for being stopped in between."""

    def __init__(self) -> None:  # the folders and ports of an installed one are not needed
        (self.port,) = free_ports(1)
        self.password = secrets.token_hex(8)
        self._name = f"energymarket-rabbitmq-{secrets.token_hex(4)}"

    def start(self) -> None:
        """Starts it and waits until it answers; skips the test where there is no engine for it."""
        _needs_the_image()
        settings = f"{_SETTINGS}\ndefault_pass = {self.password}\n"
        command = f"echo '{settings}' > /etc/rabbitmq/conf.d/90-tests.conf && exec rabbitmq-server"
        _docker(
            *("run", "--detach", "--rm", "--name", self._name, "--hostname", "rabbitmq"),
            *("--publish", f"127.0.0.1:{self.port}:5672", "--memory", "512m"),
            *("--env", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none", IMAGE),
            *("sh", "-c", command),
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not greets(self.port):
            if time.monotonic() > deadline:
                logs = _docker("logs", "--tail", "40", self._name, check=False)
                self.remove()
                pytest.fail(f"RabbitMQ 4 did not start:\n{logs}", pytrace=False)
            time.sleep(0.2)

    def ctl(self, *arguments: str) -> str:
        """Runs ``rabbitmqctl`` in the container and gives its output."""
        return _docker("exec", self._name, "rabbitmqctl", *arguments)

    def remove(self) -> None:
        """Ends the container, and with it its data."""
        _docker("rm", "--force", "--volumes", self._name, check=False)


def _needs_the_image() -> None:
    """Nothing is downloaded for a test: the image is there where the containers are tested."""
    if shutil.which("docker") is None:
        pytest.skip("there is no Docker engine for a RabbitMQ 4")
    if _docker("image", "ls", "--quiet", IMAGE, check=False).strip() == "":
        pytest.skip(f"the image {IMAGE} is not there: docker pull {IMAGE}")


def _docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done.stdout
