"""A real Prometheus for the tests, on a port and in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deployment import DEPLOY
from tests.servers import free_ports

CONFIG = DEPLOY / "observability" / "prometheus.yml"
_INSTALL = (
    "Prometheus is not installed, and these tests need a real one. On Debian or Ubuntu: "
    "apt-get install prometheus (`make test` does it as root); else see prometheus.io/download."
)
_START_TIMEOUT_S = 60.0


def program(name: str) -> str:
    """Where ``prometheus`` or ``promtool`` is; fails the test where it is not."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(_INSTALL, pytrace=False)
    return found


class PrometheusServer:
    """Our configuration, but the services are at known ports, and are asked every second."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        """``ports`` by service; those of the configuration are the containers'."""
        (port,) = free_ports(1)
        self._folder = folder
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        config = yaml.safe_load(CONFIG.read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        for job in config["scrape_configs"]:
            del job["dns_sd_configs"]
            target = f"127.0.0.1:{ports[job['job_name']]}"
            job["static_configs"] = [{"targets": [target]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._output = (folder / "output.log").open("wb")
        self._process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if self._client.get("/-/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError((self._folder / "output.log").read_text()[-4_000:])

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression; fails where Prometheus cannot read it."""
        answer = self._client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(30)
        self._output.close()
        self._client.close()
