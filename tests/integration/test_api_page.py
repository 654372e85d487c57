"""The page and the docs work without the internet, and run nothing that stands in them.

What the page shows, in a browser, is tested in ``tests/browser/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from services.market.api.routes.page import STATIC
from tests.browser.visitor import browsing, visit
from tests.live_api import LiveApi
from tests.world import World


@pytest.fixture(scope="module")
def api() -> Iterator[LiveApi]:
    """A market that has settled a few ticks."""
    world = World("sqlite://", homes=3)
    world.turn_until_tick(30)
    live = LiveApi(world)
    yield live
    live.close()


class _Links(HTMLParser):
    """What a page loads, and whether anything runs or is styled in it."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in ("script", "link", "img"):
            source = named.get("src") or named.get("href")
            if source:
                self.loaded.append(source)
            else:
                self.inline.append(tag)
        self.inline += [name for name in named if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_loads_only_from_the_market_and_runs_nothing_of_its_own(
    api: LiveApi, path: str
) -> None:
    """R25: what interfaces promise of the docs holds for the page too: it works offline."""
    answer = api.ask(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    links = _Links()
    links.feed(answer.text)
    assert links.inline == []
    assert links.loaded
    for source in links.loaded:
        assert source.startswith("/static/")
        assert api.ask(source).status_code == 200


def _own_files() -> list[Path]:
    """The files of the page that we wrote."""
    return [
        file
        for file in STATIC.rglob("*.*")
        if file.is_file() and not {"swagger-ui", "uplot"} & set(file.relative_to(STATIC).parts)
    ]


def test_our_own_files_name_no_other_host() -> None:
    """R25: nothing is asked of the internet; the SVG namespace is a name, not an address."""
    assert len(_own_files()) > 20
    for file in _own_files():
        hosts = set(re.findall(r"https?://[^\s\"'<>]+", file.read_text()))
        assert hosts <= {"http://www.w3.org/2000/svg"}, file.name


def test_the_page_asks_only_for_what_there_is(api: LiveApi) -> None:
    """R22: every address in the scripts is one of the API."""
    scripts = "".join(file.read_text() for file in (STATIC / "page").glob("*.js"))
    asked = set(re.findall(r"[\"`](/[a-z/]+)[?\"`$]", scripts))
    paths = {path.partition("{")[0] for path in api.get("/openapi.json")["paths"]}
    assert asked >= {"/stream", "/prices", "/flows", "/homes", "/audit", "/clock", "/ledger"}
    assert asked <= paths, asked - paths


def test_the_page_loads_each_of_its_files_once_and_no_file_is_left_over(api: LiveApi) -> None:
    """R25: what stands in the folder is what the page is made of."""
    page = api.ask("/").text
    loaded = set(re.findall(r"/static/page/([a-z]+\.(?:js|css))", page))
    waiting = list(loaded)
    while waiting:
        name = waiting.pop()
        text = (STATIC / "page" / name).read_text()
        for other in re.findall(r'(?:from "\.|import\("/static/page)/([a-z]+\.js)"', text):
            if other not in loaded:
                loaded.add(other)
                waiting.append(other)
    assert loaded == {file.name for file in (STATIC / "page").iterdir()}


def test_the_vendored_charts_keep_their_licence() -> None:
    """R25: uPlot is MIT; its licence travels with it, its source maps do not."""
    folder = STATIC / "uplot"
    assert {file.name for file in folder.iterdir()} == {
        *("LICENSE", "NOTICE", "VERSION", "uPlot.iife.min.js", "uPlot.min.css")
    }
    assert "MIT License" in (folder / "LICENSE").read_text()
    for file in folder.iterdir():
        assert "sourceMappingURL" not in file.read_text()


def test_the_vendored_docs_keep_their_licences() -> None:
    """R25: Swagger UI is Apache-2.0; its notices travel with it, its source maps do not."""
    folder = STATIC / "swagger-ui"
    assert {file.name for file in folder.iterdir()} == {
        "LICENSE",
        "NOTICE",
        "swagger-ui-bundle.js",
        "swagger-ui-bundle.js.LICENSE.txt",
        "swagger-ui.css",
        "VERSION",
    }
    assert "Apache License" in (folder / "LICENSE").read_text()
    for file in folder.iterdir():
        assert "sourceMappingURL" not in file.read_text()


def test_files_are_sent_again_only_when_they_have_changed(api: LiveApi) -> None:
    """R25: a new version of the page is seen at once."""
    first = api.ask("/static/page/main.js")
    assert first.headers["cache-control"] == "no-cache"
    headers = {"If-None-Match": first.headers["etag"]}
    assert api.client.get("/static/page/main.js", headers=headers).status_code == 304


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser without a window."""
    with browsing() as opened:
        yield opened


def test_a_browser_shows_the_docs(api: LiveApi, browser: Browser) -> None:
    """R25: with every path, and without a complaint of the security policy."""
    with visit(browser, f"{api.server.url}/docs") as seen:
        for path in api.get("/openapi.json")["paths"]:
            expect(seen.at(f'[data-path="{path}"]').first).to_be_attached()
        assert seen.complaints == []
