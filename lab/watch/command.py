"""``energymarket watch``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import typer
from rich.console import Console

from energymarket.errors import SettingsError
from energymarket.runtime import StopRequest
from energymarket.settings import HIDDEN, without_password
from lab.watch.answers import EventNews, Tick
from lab.watch.link import MarketLink, check_token
from lab.watch.picture import Picture, Shown
from lab.watch.screen import Screen

EXAMPLE: Final = (
    "Example: energymarket watch http://127.0.0.1:8000\n\n"
    "Example: energymarket watch --headless | grep war"
)


def watch(
    url: Annotated[
        str,
        typer.Argument(envvar="ENERGYMARKET_API_URL", help="the market's API"),
    ] = "http://127.0.0.1:8000",
    token: Annotated[
        str,
        typer.Option(
            envvar="ENERGYMARKET_API_TOKEN",
            show_default="none",
            help="bearer token of the keys that change the market",
        ),
    ] = "",
    headless: Annotated[
        bool, typer.Option("--headless", help="a line per tick, no full screen")
    ] = False,
) -> None:
    """Shows a running market, and turns its clock: pause, step, faster, slower, events.

    In a terminal it fills the screen; elsewhere it prints a line per tick. It connects again when
    the market goes and comes back.
    """
    if not re.match("https?://[^/]", without_password(url)):
        shown = HIDDEN if "@" in url else repr(url)  # it may hold a password
        raise SettingsError(f"URL is {shown}; it must be one such as http://127.0.0.1:8000.")
    check_token(token)
    console = Console()
    stop = StopRequest()
    stop.listen_to_signals()
    if full_screen(console, headless=headless):
        picture = Picture(Shown(url=without_password(url)))
        link = MarketLink(url, token, picture, failed=stop.request)
        screen = Screen(console, link, stop)
        show: Callable[[], object] = screen.run
        screen.listen_to_suspension()
    else:

        def tell(news: Tick | EventNews) -> None:
            console.out(_line(news), highlight=False)

        link = MarketLink(url, token, Picture(Shown(url=url)), tell, failed=stop.request)
        show = partial(_wait, stop)
    link.check()
    link.start()
    try:
        show()
    finally:
        link.stop()


def full_screen(console: Console, *, headless: bool) -> bool:
    """Whether there is a terminal that can be drawn on."""
    return console.is_terminal and not console.is_dumb_terminal and not headless


def _wait(stop: StopRequest) -> None:
    while not stop.wait(3_600):
        pass


def _line(news: Tick | EventNews) -> str:
    if isinstance(news, EventNews):
        return (
            f"event {news.name}  {news.coefficient_eur_per_kwh:+.6f} EUR/kWh  from tick "
            f"{news.start_tick} for {news.ttl_ticks}"
        )
    change = news.next_price_eur_per_kwh - news.price_eur_per_kwh
    mark = f"  without {','.join(news.degraded)}" if news.degraded else ""
    return (
        f"tick {news.tick:>6}  {news.price_eur_per_kwh:.6f} EUR/kWh ({change:+.6f})  "
        f"{news.temperature_c:6.2f} C  homes {news.homes - news.absent}/{news.homes}  "
        f"given {news.given_kwh:.3f}  sold {news.sold_kwh:.3f}  "
        f"bought {news.bought_kwh:.3f} kWh{mark}"
    )
