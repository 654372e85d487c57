"""What surrounds every answer: security headers, caching, a last net for errors, numbers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energymarket.telemetry import Log
from services.market.api.connection import is_crowded
from services.market.api.contract import WITHOUT_HEAD
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
MAX_BODY_BYTES: Final = 16 * 1024
"""Far more than any body that a call takes."""

_KNOWN_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
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
        self, app: ASGIApp, *, log: Log, metrics: ApiMetrics, template_at: Callable[[str], str]
    ) -> None:
        self._app, self._log, self._metrics, self._template_at = app, log, metrics, template_at

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
                # Files are asked for each time, and sent only when they have changed.
                static = scope["path"].startswith("/static/")
                headers.setdefault("Cache-Control", "no-cache" if static else "no-store")
                self._count(inner, message["status"], time.perf_counter() - began)
            await send(message)

        inner = scope
        if scope["method"] == "HEAD" and scope["path"] not in WITHOUT_HEAD:
            # Whatever can be got has a head; the server below sends no body with it.
            inner = {**scope, "method": "GET"}
        if is_crowded(scope):
            await problem_response(_too_many(), scope["path"])(inner, receive, send_guarded)
            return
        try:
            await self._app(inner, _bounded(scope, receive), send_guarded)
        except Exception:
            self._log.exception("the API failed", path=scope["path"], method=scope["method"])
            if started:
                raise  # the server below cuts the connection: half an answer must not look whole
            problem = Problem(500, "something is wrong with this market; its log says what")
            await problem_response(problem, scope["path"])(inner, receive, send_guarded)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = self._template_at(scope["path"])
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "other"
        self._metrics.requests.labels(route, method, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """``receive`` that refuses a body beyond ``MAX_BODY_BYTES`` before it is read to its end."""
    announced = Headers(scope=scope).get("content-length", "")
    left_bytes = MAX_BODY_BYTES

    async def receive_bounded() -> Message:
        nonlocal left_bytes
        if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            raise _too_large()
        message = await receive()
        if message["type"] == "http.request":
            left_bytes -= len(message.get("body", b""))
            if left_bytes < 0:
                raise _too_large()
        return message

    return receive_bounded


def _too_many() -> Problem:
    headers = {"Retry-After": "5", "Connection": "close"}
    return Problem(503, "too many are connected to this market; try again", headers=headers)


def _too_large() -> HTTPException:
    return HTTPException(413, f"the body is too large; at most {MAX_BODY_BYTES} bytes are taken")
