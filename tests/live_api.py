"""A market that a test turns by hand, with its API on a real port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import httpx

from services.market.api import ApiServer, create_app
from tests.world import World

TOKEN = "a token for tests"
PROBLEM = "application/problem+json"


class LiveApi:
    """A ``World`` and an API server over it; the world stands still unless it is turned."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world, self._options = world, options
        self._serve(port=0)
        self.client = httpx.Client(base_url=self.server.url, timeout=10)

    def _serve(self, port: int) -> None:
        log = self.world.log.log
        self.app = create_app(self.world.market, token=TOKEN, log=log, **self._options)
        self.server = ApiServer(self.app, host="127.0.0.1", port=port, log=log)
        self.server.start()

    def serve_again(self) -> None:
        """A new server at the address of the one that was stopped."""
        self._serve(self.server.port)

    def close(self) -> None:
        """Stops the server, then the market."""
        self.client.close()
        self.server.stop()
        self.world.kill_market()

    def ask(self, path: str, **parameters: Any) -> httpx.Response:
        """The answer to a GET."""
        return self.client.get(path, params=parameters or None)

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of an answer that must be 200."""
        answer = self.ask(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def problem(self, path: str, status: int, **parameters: Any) -> dict[str, Any]:
        """The problem that a GET is answered with."""
        return problem_in(self.ask(path, **parameters), status)

    def start_event(self, body: object, *, token: str | None = TOKEN) -> httpx.Response:
        """The answer to POST /events."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return self.client.post("/events", json=body, headers=headers)

    def start_event_in_stillness(self, body: object) -> httpx.Response:
        """The answer to POST /events, while only the market acts: no tick can be settled."""
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(self.start_event(body)))
        thread.start()
        while thread.is_alive():
            self.world.market_member.turn()
            time.sleep(0.001)
        return answers[0]

    def pages(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All pages of a list, by its cursors."""
        found = [self.get(path, **parameters)]
        while found[-1]["next_cursor"] is not None:
            assert len(found) < 1_000, "the pages do not end"
            found.append(self.get(path, **{**parameters, "cursor": found[-1]["next_cursor"]}))
        return found

    @contextmanager
    def ticking(self, pause_s: float = 0.001) -> Iterator[None]:
        """The world turns in a thread, as the market's own would."""
        stop = threading.Event()
        failed: list[BaseException] = []

        def turn() -> None:
            try:
                while not stop.is_set():
                    self.world.clock.time_s += 0.01
                    self.world.turn()
                    time.sleep(pause_s)
            except BaseException as error:
                failed.append(error)
                raise

        thread = threading.Thread(target=turn, name="market")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)
        assert not failed


def problem_in(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem in an answer, which must be one of this status, whole and without a traceback."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert unquote(body["instance"]) == answer.request.url.path
    assert "Traceback" not in answer.text
    return body
