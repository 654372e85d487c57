"""Every error of the API is a problem that says what to do, and no error is anything else."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from services.market.api import create_app
from services.market.ledger import History
from tests.live_api import LiveApi, problem_in
from tests.world import World


@pytest.fixture(scope="module")
def api() -> Iterator[LiveApi]:
    """A market that has settled a few ticks."""
    world = World("sqlite://", homes=3)
    world.turn_until_tick(5)
    live = LiveApi(world)
    yield live
    live.close()


@pytest.mark.parametrize(
    ("address", "parameter", "value", "allowed"),
    [
        ("/prices?limit=0", "limit", "'0'", "an integer from 1 to 10000"),
        ("/prices?limit=10001", "limit", "'10001'", "an integer from 1 to 10000"),
        ("/prices?limit=many", "limit", "'many'", "an integer from 1 to 10000"),
        ("/prices?limit=", "limit", "''", "an integer from 1 to 10000"),
        ("/prices?from_tick=-1", "from_tick", "'-1'", "an integer from 0 to 9007199254740992"),
        ("/prices?to_tick=1.5", "to_tick", "'1.5'", "an integer from 0 to 9007199254740992"),
        ("/prices?from_tick=9&to_tick=3", "from_tick", "9", "at most to_tick, which is 3"),
        ("/prices?cursor=x", "cursor", "'x'", "text that matches"),
        ("/prices?format=xml", "format", "'xml'", "one of json, csv"),
        ("/prices?form_tick=3", "form_tick", "'3'", "one of from_tick, to_tick, limit"),
        ("/prices/0", "tick", "'0'", "an integer from 1 to"),
        ("/prices/newest", "tick", "'newest'", "an integer from 1 to"),
        ("/price?tick=3", "tick", "'3'", "none"),
        ("/homes?limit=10001", "limit", "'10001'", "an integer from 1 to 10000"),
        ("/homes?policy=selfish", "policy", "'selfish'", "one of give_only, sell_only"),
        ("/homes?sort=name", "sort", "'name'", "one of id, -id, stock"),
        ("/homes?cursor=1", "cursor", "'1'", "text that matches"),
        ("/homes/0", "home_id", "'0'", "an integer from 1 to 2147483647"),
        ("/homes/one", "home_id", "'one'", "an integer from 1 to 2147483647"),
        ("/homes/1/receipts?limit=0", "limit", "'0'", "an integer from 1 to 1000"),
        ("/trades?tick=x", "tick", "'x'", "an integer from 1 to"),
        ("/events?limit=0", "limit", "'0'", "an integer from 1 to 1000"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value_and_what_is_allowed(
    api: LiveApi, address: str, parameter: str, value: str, allowed: str
) -> None:
    """R24: one sentence in detail, and each fault for a program in errors."""
    problem = problem_in(api.ask(address), 422)
    (error,) = problem["errors"]
    assert (error["parameter"], error["value"]) == (parameter, value)
    assert allowed in error["allowed"]
    assert parameter in problem["detail"]


def test_all_wrong_parameters_are_named_at_once(api: LiveApi) -> None:
    """R24: so that nobody has to mend them one by one."""
    problem = api.problem("/prices", 422, limit=0, from_tick="a", format="xml")
    assert {error["parameter"] for error in problem["errors"]} == {"limit", "from_tick", "format"}
    assert problem["detail"].endswith("(2 more in errors)")


def test_a_very_long_value_is_not_said_back(api: LiveApi) -> None:
    """R24: an error stays readable."""
    problem = api.problem("/prices", 422, limit="9" * 5_000)
    assert len(problem["detail"]) < 300


def test_an_unknown_path_is_a_problem(api: LiveApi) -> None:
    """R24: and says where to look."""
    assert "/docs" in api.problem("/prise", 404)["detail"]
    api.problem("/price/", 404)
    api.problem("/static/nothing.js", 404)
    api.problem("/static/../app.py", 404)
    api.problem("/static/%2e%2e/app.py", 404)
    api.problem("/static/swagger-ui", 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/price", {"GET", "HEAD"}),
        ("DELETE", "/events", {"GET", "HEAD", "POST"}),
        ("OPTIONS", "/prices/3", {"GET", "HEAD"}),
        ("BREW", "/homes", {"GET", "HEAD"}),
        ("PUT", "/", {"GET", "HEAD"}),
        ("POST", "/static/page.js", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_a_problem_that_lists_the_right_ones(
    api: LiveApi, method: str, path: str, allowed: set[str]
) -> None:
    """R24: in the Allow header, all of them."""
    answer = api.client.request(method, path)
    problem = problem_in(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert method in problem["detail"]


@pytest.mark.parametrize("path", ["/price", "/prices", "/homes/1", "/", "/docs", "/metrics"])
def test_whatever_can_be_got_has_a_head(api: LiveApi, path: str) -> None:
    """R25: without a body, as HTTP wants it."""
    head = api.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == api.ask(path).headers["content-type"]


def test_an_unexpected_error_is_a_problem_without_a_traceback_and_is_logged_once(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R24: the reader learns nothing of the inside, the log everything."""

    def broken(*_args: object, **_names: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(History, "prices", broken)
    problem = api.problem("/prices", 500)
    assert "a bug of ours" not in str(problem)
    lines = api.world.log.saying("the API failed")
    assert [line["path"] for line in lines] == ["/prices"]
    assert lines[0]["exc_info"]
    assert api.world.log.saying("Exception in ASGI") == []
    monkeypatch.undo()
    api.get("/prices")


def test_every_answer_carries_the_security_headers(api: LiveApi) -> None:
    """R25: pages, data, files and errors alike."""
    for path in ("/", "/docs", "/price", "/nowhere", "/static/page.js", "/prices?limit=0"):
        headers = api.ask(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe-eval" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


def test_only_the_docs_may_set_styles_in_the_page(api: LiveApi) -> None:
    """R25: Swagger UI needs it; nothing may run a script that stands in a page."""
    assert "unsafe-inline" not in api.ask("/").headers["content-security-policy"]
    docs = api.ask("/docs").headers["content-security-policy"]
    assert docs.count("unsafe-inline") == 1
    assert "style-src 'self' 'unsafe-inline'" in docs


def test_bytes_that_are_no_http_do_not_disturb_the_market(api: LiveApi) -> None:
    """R24: the connection is refused, the next one served, and the log not filled."""
    with socket.create_connection(("127.0.0.1", api.server.port), timeout=5) as stranger:
        stranger.sendall(b"\x16\x03\x01 not http at all\r\n\r\n")
        assert b"400" in stranger.recv(1_000)
    api.get("/price")
    assert api.world.log.saying("Invalid HTTP") == []


def test_an_api_without_a_token_is_not_made(api: LiveApi) -> None:
    """R24: an empty token would let anybody write."""
    with pytest.raises(ValueError, match="token"):
        create_app(api.world.market, token="")
