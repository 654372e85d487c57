"""Takes the pictures of the page in docs/images/ anew.

``python -m scripts.screenshots``, at the project's root, with the development tools installed. It
starts a run, lets it settle some days, and photographs its page in a laptop's window, light and
dark, and on a phone. The pictures look best where the font Inter is installed (`fonts-inter`).
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize

from tests.browser.embedded import embedded_run, set_clock
from tests.browser.visitor import PHONE, Scheme, browsing, visit

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
LAPTOP = ViewportSize(width=1280, height=860)
MOST_KIB = 300
TICKS = 94
"""Some days, with events in all of them."""


@dataclass(frozen=True)
class Picture:
    """One picture; ``scale``: its pixels to one of the page."""

    name: str
    viewport: ViewportSize
    scheme: Scheme
    scale: float
    scroll_to: str = ""


PICTURES = (
    Picture("page-light", LAPTOP, "light", 1.25),
    Picture("page-dark", LAPTOP, "dark", 1.25),
    Picture("page-homes", LAPTOP, "light", 1.25, scroll_to="#audit"),
    Picture("page-phone", PHONE, "light", 2),
)


def main() -> None:
    """Writes the pictures; ends with code 1 when one is too large for a README."""
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_run(Path(folder), "--pace", 0.25, until_tick=TICKS) as url,
        browsing() as browser,
    ):
        set_clock(url, pace_s=1)
        too_large = [picture.name for picture in PICTURES if not _take(browser, url, picture)]
    if too_large:
        sys.exit(f"more than {MOST_KIB} KiB: {', '.join(too_large)}")


def _take(browser: Browser, url: str, picture: Picture) -> bool:
    """Whether the picture is small enough."""
    with visit(
        browser, url, viewport=picture.viewport, scheme=picture.scheme, scale=picture.scale
    ) as seen:
        seen.state("LIVE")
        seen.until_tick(seen.tick() + 2)
        for _ in range(2 if picture.scroll_to else 0):
            # Twice: what is only read when it is in sight changes where everything stands.
            seen.at(picture.scroll_to).evaluate(
                "(each) => scrollTo(0, each.getBoundingClientRect().top + scrollY - 16)"
            )
            seen.page.wait_for_timeout(2_500)
        seen.until("() => document.querySelectorAll('#audit-facts .right').length >= 4")
        file = IMAGES / f"{picture.name}.png"
        seen.page.screenshot(path=file)
        kib = file.stat().st_size / 1024
        sys.stderr.write(f"{file.relative_to(Path.cwd())}: {kib:.0f} KiB\n")
        return kib < MOST_KIB


if __name__ == "__main__":
    main()
