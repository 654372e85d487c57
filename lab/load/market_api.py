"""What the load test asks the market's API: who runs there, and where its time goes."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from prometheus_client.parser import text_string_to_metric_families

from energymarket.errors import SettingsError
from energymarket.settings import without_password
from lab.load.errors import LoadFailed

TIMEOUT_S: Final = 5.0
_WATCH_S: Final = 1.0
_PHASE_SECONDS: Final = "energymarket_tick_phase_seconds"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What ``GET /run`` says; a setting that the market does not show is None."""

    run: str
    tick: int
    homes: int
    finished: bool
    standing_by: bool
    settings: Mapping[str, Any]
    versions: Mapping[str, str]

    def number(self, setting: str) -> float | None:
        """A setting that is a number."""
        value = self.settings.get(setting)
        return value if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class PhaseTotals:
    """Seconds and ticks by phase, since the market's process began."""

    seconds: Mapping[str, float]
    ticks: Mapping[str, float]

    def per_tick_ms(self, before: PhaseTotals) -> dict[str, float]:
        """Mean time of each phase in the ticks since ``before``; empty when there was none."""
        means = {}
        for phase, seconds in self.seconds.items():
            ticks = self.ticks.get(phase, 0) - before.ticks.get(phase, 0)
            if ticks > 0:
                means[phase] = 1_000 * (seconds - before.seconds.get(phase, 0)) / ticks
        return means


class MarketApi:
    """The REST API at ``url``; reads only."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Not through a proxy of the environment: a market is near, and a proxy would be measured.
        self._opener = build_opener(ProxyHandler({}))

    def run(self) -> RunFacts:
        """Raises ``LoadFailed`` when there is no market at that address."""
        with self._as_a_market_does():
            found = json.loads(self._get("/run"))
            return RunFacts(
                run=found["run"],
                tick=found["tick"],
                homes=found["homes"],
                finished=found["finished"],
                standing_by=found["role"] == "standby",
                settings=found["settings"],
                versions=found["versions"],
            )

    def pace_s(self) -> float:
        """Seconds from one opening to the next, as ``GET /clock`` has it now; 0: full speed.

        Raises ``LoadFailed``, as ``run`` does.
        """
        with self._as_a_market_does():
            return float(json.loads(self._get("/clock"))["pace_s"])

    def phases(self) -> PhaseTotals:
        """The histograms of ``GET /metrics``."""
        seconds, ticks = {}, {}
        for family in text_string_to_metric_families(self._get("/metrics").decode()):
            if family.name != _PHASE_SECONDS:
                continue
            for sample in family.samples:
                if sample.name.endswith("_sum"):
                    seconds[sample.labels["phase"]] = sample.value
                elif sample.name.endswith("_count"):
                    ticks[sample.labels["phase"]] = sample.value
        return PhaseTotals(seconds, ticks)

    def waiting_for(self) -> str:
        """What the market waits for, in words; empty when nothing or when it does not say."""
        try:
            return ", ".join(json.loads(self._get("/readyz"))["waiting_for"])
        except (LoadFailed, ValueError, KeyError, TypeError):
            return ""

    @contextmanager
    def _as_a_market_does(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError) as error:
            raise LoadFailed(
                f"{self._shown} answers, but not as a market does: is --api right?"
            ) from error

    @property
    def _shown(self) -> str:
        return f"the API at {without_password(self.url)}"

    def _get(self, path: str) -> bytes:
        try:
            request = Request(self.url + path, headers=self._headers)
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                body: bytes = answer.read()
                return body
        except HTTPError as error:
            with error:
                if error.code in {401, 403}:
                    raise SettingsError(
                        f"{self._shown} wants a token for {path}: set ENERGYMARKET_API_TOKEN, or "
                        "--token (the market's log has it)."
                    ) from error
                raise LoadFailed(f"{self._shown} answers {path} with {error.code}.") from error
        except (URLError, OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise LoadFailed(
                f"{self._shown} does not answer ({reason}): start the market, or name it by --api."
            ) from error


class PhaseWatch:
    """Asks for the phases once a second, in a thread: an API that hangs holds nobody up."""

    def __init__(self, api: MarketApi) -> None:
        self._api = api
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="phases", daemon=True)
        self.newest: PhaseTotals | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; one that hangs in a question is left to its timeout."""
        self._ended.set()
        self._thread.join(TIMEOUT_S)

    def _watch(self) -> None:
        while not self._ended.wait(_WATCH_S):
            try:
                self.newest = self._api.phases()
            except (LoadFailed, SettingsError):
                continue
