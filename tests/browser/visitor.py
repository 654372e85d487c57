"""A person in front of the page: a real browser, and what it complains about and asks for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LAPTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)
PATIENCE_MS = 30_000
"""Far longer than anything takes: only what never happens is noticed by it."""

Scheme = Literal["light", "dark"]

_AXE = files("axe_playwright_python") / "axe.min.js"


def browser_path() -> str:
    """The browser of this machine; fails the test, with a sentence, where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(
            "no browser: install chromium (`make test` does it as root on Debian)", pytrace=False
        )
    return found


MINUS = "\N{MINUS SIGN}"
"""What the page writes, where programs write a hyphen."""


def as_number(text: str) -> Decimal:
    """A number as the page writes it."""
    return Decimal(text.replace(MINUS, "-").replace(",", ""))


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser without a window, for as long as the block lasts.

    For one module of tests at most: the driver keeps an event loop running in this thread.
    """
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path())
        yield browser
        browser.close()


@dataclass
class Visit:
    """One open page."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _hear(self, message: ConsoleMessage) -> None:
        # Of a market that stands still the page asks why, and is told with 503, which is no fault.
        asked_why = str(message.location.get("url", "")).endswith("/readyz")
        if message.type in ("error", "warning") and not asked_why:
            self.complaints.append(message.text)

    def open(self) -> None:
        """Goes to the page."""
        self.page.goto(self.url)

    def at(self, selector: str) -> Locator:
        """What a CSS selector finds."""
        return self.page.locator(selector)

    def says(self, selector: str, text: str) -> None:
        """Waits until the element says exactly this."""
        expect(self.at(selector)).to_have_text(text)

    def state(self, word: str) -> None:
        """Waits until the word at the top is this one."""
        self.says("#status-word", word)

    def tick(self) -> int:
        """The tick that the page shows; 0 before the first."""
        text = self.at("#tick").inner_text().replace(",", "")
        return int(text) if text.isdigit() else 0

    def until(self, condition: str, *, argument: object = None) -> None:
        """Waits until a JavaScript function of the page, as source, gives something true."""
        self.page.wait_for_function(condition, arg=argument)

    def until_tick(self, tick: int) -> None:
        """Waits until the page shows this tick or a later one."""
        self.until(
            "(tick) => document.getElementById('tick').textContent.replace(/\\D/g, '') >= tick",
            argument=tick,
        )

    def type_token(self, token: str) -> None:
        """As a person does, right or wrong."""
        self.at("#token").fill(token)
        self.press(self.at("#token-form button"))

    def press(self, button: Locator) -> None:
        """Presses a button by the keyboard, once it can be pressed.

        What stands above the controls grows and shrinks with the tick, and a pointer's button may
        go down on one thing and up on another, which is no click.
        """
        expect(button).to_be_enabled()
        button.press("Enter")

    def unlock(self, token: str) -> None:
        """Types the token, and waits until it has been taken."""
        self.type_token(token)
        self.says("#control-says", "Unlocked for this tab.")

    def get(self, path: str) -> Any:
        """The JSON that the API gives to the same browser."""
        answer = self.page.request.get(self.url.rstrip("/") + path)
        assert answer.status == 200, answer.text()
        return answer.json()

    def hard_to_reach(self) -> list[str]:
        """What axe-core finds, of those that are serious or critical; each with its elements."""
        self.page.evaluate(_AXE.read_text())
        found = self.page.evaluate("() => axe.run()")
        return [
            f"{each['id']}: {[node['target'] for node in each['nodes']]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]


@contextmanager
def visit(
    browser: Browser,
    url: str,
    *,
    viewport: ViewportSize = LAPTOP,
    scheme: Scheme = "light",
    reduced_motion: bool = False,
    scale: float = 1,
    touch: bool = False,
) -> Iterator[Visit]:
    """The page at ``url`` in a browser of its own: no token, no cache."""
    context = browser.new_context(
        viewport=viewport,
        color_scheme=scheme,
        reduced_motion="reduce" if reduced_motion else "no-preference",
        device_scale_factor=scale,
        has_touch=touch,
        locale="en",
    )
    made = Visit(context.new_page(), url)
    try:
        made.open()
        yield made
    finally:
        context.close()
