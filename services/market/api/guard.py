"""What surrounds every answer: security headers, caching, a last net for errors, numbers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energymarket.telemetry import Log
from services.market.api.problems import Problem, problem_response

POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'; img-src 'self' data:"
)
"""Everything comes from this market, nothing runs that stands in the page itself."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class ApiMetrics:
    """The API's own numbers. The label is the route's template, so that their count is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "energymarket_api_requests",
            "Requests answered",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "energymarket_api_request_seconds",
            "Time from a request to the start of its answer",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )


class Guard:
    """The outermost layer, as plain ASGI: it must not buffer a stream that never ends."""

    def __init__(
        self, app: ASGIApp, *, log: Log, metrics: ApiMetrics, route_of: Callable[[Scope], str]
    ) -> None:
        self._app, self._log, self._metrics, self._route_of = app, log, metrics, route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, started = time.perf_counter(), False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                self._count(inner, message["status"], time.perf_counter() - began)
            await send(message)

        inner = scope
        if scope["method"] == "HEAD":
            # Whatever can be got has a head; the server below sends no body with it.
            inner = {**scope, "method": "GET"}
        try:
            await self._app(inner, receive, send_guarded)
        except Exception:
            self._log.exception("the API failed", path=scope["path"], method=scope["method"])
            if started:
                raise  # the server below cuts the connection: half an answer must not look whole
            problem = Problem(500, "something is wrong with this market; its log says what")
            await problem_response(problem, scope["path"])(inner, receive, send_guarded)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = self._route_of(scope)
        self._metrics.requests.labels(route, scope["method"], status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
