"""The page and the docs work without the internet, and run nothing that stands in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from services.market.api.app import STATIC
from tests.live_api import LiveApi
from tests.world import World

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


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


def test_our_own_files_name_no_other_host() -> None:
    """R25: nothing is asked of the internet; the SVG namespace is a name, not an address."""
    for file in STATIC.glob("*.*"):
        hosts = set(re.findall(r"https?://[^\s\"'<>]+", file.read_text()))
        assert hosts <= {"http://www.w3.org/2000/svg"}, file.name


def test_the_page_asks_only_for_what_there_is(api: LiveApi) -> None:
    """R22: every address in the script answers."""
    script = (STATIC / "page.js").read_text()
    asked = {path.partition("?")[0] for path in re.findall(r"[\"`](/[a-z][^\"`$]*)", script)}
    assert asked >= {"/price", "/prices", "/events", "/audit", "/run"}
    for path in asked:
        assert api.ask(path).status_code == 200


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
    first = api.ask("/static/page.js")
    assert first.headers["cache-control"] == "no-cache"
    headers = {"If-None-Match": first.headers["etag"]}
    assert api.client.get("/static/page.js", headers=headers).status_code == 304


def _seen(url: str, folder: Path, budget_ms: int) -> tuple[str, str]:
    """(The page as a browser has made it, what the browser complained about.)"""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.fail(
            "no browser: install chromium (`make test` does it as root on Debian)", pytrace=False
        )
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}",
            "--enable-logging=stderr",
            f"--virtual-time-budget={budget_ms}",
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.stdout, "\n".join(re.findall(r".*CONSOLE.*", done.stderr))


def test_a_browser_shows_the_price_the_line_and_the_audit(api: LiveApi, tmp_path: Path) -> None:
    """R22, R25: the page really works, under its own security policy."""
    page, complaints = _seen(f"{api.server.url}/", tmp_path, 4_000)
    assert complaints == ""
    price = api.get("/price")
    assert f">{price['price_eur_per_kwh']:.4f}</strong>" in page
    assert f'<dd id="tick">{price["tick"]}</dd>' in page
    assert "ok, 30 ticks" in page
    line = re.search(r'<polyline id="line" points="([^"]+)"', page)
    assert line is not None
    assert len(line.group(1).split()) == 30


def test_a_browser_shows_the_docs(api: LiveApi, tmp_path: Path) -> None:
    """R25: with every path, and without a complaint of the security policy."""
    page, complaints = _seen(f"{api.server.url}/docs", tmp_path, 8_000)
    assert complaints == ""
    for path in api.get("/openapi.json")["paths"]:
        assert f'data-path="{path}"' in page
