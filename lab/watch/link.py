"""Where the view has its picture from: the market's REST API and its event stream.

One thread follows ``/stream``, and connects again when it is cut off; another asks for what is not
on the stream, and carries the keys' commands out. Of a market that settles more ticks a second than
anyone can read, not every tick is fetched: that would slow it down.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx
import msgspec

from energymarket.errors import EnergyMarketError, SettingsError
from energymarket.settings import without_password
from lab.watch.answers import (
    Audit,
    Clock,
    EventNews,
    Events,
    Homes,
    Prices,
    Problem,
    Ready,
    Run,
    Tick,
)
from lab.watch.picture import KEPT_PRICES, Picture

Answer = TypeVar("Answer")

_AGAIN_S: Final = 1.0
_LOOK_S: Final = 1.0
_AUDIT_S: Final = 5.0
_SKIM_S: Final = 0.25
_FOLLOWS_S: Final = 1.0
_FAST_TICKS_PER_S: Final = 40.0
_TIMEOUT: Final = httpx.Timeout(5.0)
_STREAM_TIMEOUT: Final = httpx.Timeout(5.0, read=45.0)
"""The stream says something every 15 seconds, if only that it is there."""

NO_TOKEN: Final = (
    "This key changes the market, which needs its token: --token or ENERGYMARKET_API_TOKEN "
    "(the market's log has it)."
)


class NoMarket(EnergyMarketError):
    """There is no market at that address."""


@dataclass(frozen=True, slots=True)
class Command:
    """A call that changes the market, and what to say when it is done."""

    method: str
    path: str
    body: Mapping[str, object]
    message: str


def check_token(token: str) -> None:
    """Raises ``SettingsError`` for one that no call could carry."""
    if token and not re.fullmatch("[!-~]([ -~]*[!-~])?", token):
        raise SettingsError(
            "--token (ENERGYMARKET_API_TOKEN) holds a character that no header can carry: it must "
            "be letters, digits and signs of ASCII."
        )


class MarketLink:
    """Keeps a picture up to date until it is stopped; or tells of every tick and every event."""

    def __init__(
        self,
        url: str,
        token: str,
        picture: Picture,
        tell: Callable[[Tick | EventNews], None] | None = None,
        *,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """With ``tell`` no tick is left out, however fast they come, and nothing else is asked.

        ``failed`` is called when a thread ends by what nobody expected, or by what ``tell``
        raised; ``stop`` then raises it.
        """
        self._tell, self._failed = tell, failed
        self._failure: BaseException | None = None
        self.url, self._token, self.picture = url.rstrip("/"), token, picture
        self.rows = 20
        """Homes to fetch: as many as can be seen."""
        self._ended = threading.Event()
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._pages: list[tuple[str | None, int]] = [(None, 0)]
        """Cursors of the pages of homes up to the one shown, each with the homes before it."""
        self._turned: Clock | None = None
        """The clock as the newest command left it, which it did at ``_turned_s``."""
        self._turned_s = 0.0
        self._due_s = {"look": 0.0, "audit": 0.0}
        self._threads = [
            threading.Thread(target=self._kept, args=(work,), name=name, daemon=True)
            for name, work in (("stream", self._follow_on), ("desk", self._desk))
        ]
        # Not through a proxy of the environment: a market is near.
        self._client = httpx.Client(base_url=self.url, timeout=_TIMEOUT, trust_env=False)

    def check(self) -> None:
        """Raises ``NoMarket`` when none is there."""
        shown = without_password(self.url)
        try:
            answer = self._client.get("/run")
            if answer.status_code == 503:
                raise NoMarket(f"{shown} cannot tell now ({_said_by(answer)}): try again.")
            msgspec.json.decode(answer.content, type=Run)
        except msgspec.MsgspecError as error:
            raise NoMarket(
                f"{shown} answers, but not as a market does: is the URL right?"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoMarket(
                f"There is no market at {shown} ({error}): start one, or name its URL."
            ) from error

    def start(self) -> None:
        """Has the picture kept from now on."""
        for thread in self._threads[: 1 if self._tell else 2]:
            thread.start()

    def stop(self) -> None:
        """Ends both threads; one that hangs in a question is left behind. Raises what one of them
        failed by."""
        self._ended.set()
        self._work.put(lambda: None)
        if not self._tell:
            self._threads[1].join(1.0)
        with contextlib.suppress(httpx.HTTPError, RuntimeError):
            self._client.close()
        if self._failure:
            raise self._failure

    def _kept(self, work: Callable[[], None]) -> None:
        """Alone, a thread would end without a word, and the view would stand still."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - ``stop`` raises it
            if not self._ended.is_set():
                self._failure = error
                self._failed()

    # ------------------------------------------------------------------------------- the stream

    def _follow_on(self) -> None:
        while not self._ended.is_set():
            try:
                trouble = self._follow()
            except NoMarket as error:
                trouble = str(error)
            except (httpx.HTTPError, msgspec.MsgspecError, RuntimeError) as error:
                trouble = f"{without_password(self.url)}: {error}"
            if trouble and not self._ended.is_set():
                self.picture.set(connected=False, trouble=trouble)
                self._ended.wait(_AGAIN_S)

    def _follow(self) -> str:
        """From the newest tick that is known on, until there is a reason to connect again; returns
        the trouble that it is, if it is one."""
        if not self._tell:
            self._catch_up()
        known = self.picture.shown.tick
        headers = {"Last-Event-ID": str(known.tick)} if known else {}
        stream = self._client.stream("GET", "/stream", headers=headers, timeout=_STREAM_TIMEOUT)
        with stream as answer:
            if answer.status_code != 200:
                raise NoMarket(f"{without_password(self.url)} has no stream of ticks.")
            self.picture.set(connected=True, trouble="", tick_at_s=time.monotonic())
            for name, data in server_sent(answer.iter_lines()):
                if self._ended.is_set():
                    return ""
                self._take(name, data)
                if self._is_fast():
                    break
            else:
                return f"{without_password(self.url)} has ended the stream"
        while self._is_fast() and not self._ended.wait(_SKIM_S):
            self._catch_up()
            self.picture.set(clock=self._get("/clock", Clock))
        return ""

    def _is_fast(self) -> bool:
        clock = self.picture.shown.clock
        if self._tell or clock is None or clock.state != "running":
            return False
        return (clock.ticks_per_s or 0) > _FAST_TICKS_PER_S

    def _catch_up(self) -> None:
        """The newest prices, for the picture of them."""
        found = self._get(f"/prices?limit={KEPT_PRICES // 2}", Prices).prices
        known = self.picture.shown.tick
        if known and (not found or found[-1].tick < known.tick):
            self.picture.forget()
            self._pages = [(None, 0)]
        self.picture.take_ticks(found)

    def _take(self, name: str, data: str) -> None:
        if name == "tick":
            tick = msgspec.json.decode(data, type=Tick)
            self.picture.take_ticks([tick])
            if self._tell:
                self._tell(tick)
        elif name == "clock":
            self.picture.set(clock=msgspec.json.decode(data, type=Clock))
        elif name == "event" and self._tell:
            self._tell(msgspec.json.decode(data, type=EventNews))
        elif name == "event":
            self._work.put(self._look_again)

    # --------------------------------------------------------------------------------- the desk

    def _desk(self) -> None:
        while not self._ended.is_set():
            work: Callable[[], None] = self._look
            with contextlib.suppress(queue.Empty):
                work = self._work.get(timeout=_LOOK_S / 4)
            if self._ended.is_set():
                return
            try:
                work()
            except NoMarket as error:
                self.picture.set(message=str(error))
            except (httpx.HTTPError, msgspec.MsgspecError, RuntimeError):
                continue  # the stream's thread says that there is no connection

    def _look_again(self) -> None:
        self._due_s["look"] = 0.0
        self._look()

    def _look(self) -> None:
        """What is not on the stream: once a second, and the audit more rarely."""
        shown, now = self.picture.shown, time.monotonic()
        if not shown.connected or now < self._due_s["look"]:
            return
        self._due_s["look"] = now + _LOOK_S
        cursor, before = self._pages[-1]
        page = {"limit": str(self.rows)} | ({"cursor": cursor} if cursor else {})
        homes = self._get("/homes", Homes, page)
        events = self._get("/events", Events).alive
        self.picture.set(homes=homes, first_home_row=before, events=events)
        stale = shown.state(now) == "STALE"
        waiting = self._get("/readyz", Ready, not_ready=True).waiting_for if stale else ()
        self.picture.set(waiting_for=waiting)
        if now >= self._due_s["audit"]:
            self._due_s["audit"] = now + _AUDIT_S
            self.picture.set(audit=self._get("/audit", Audit))

    def turn_page(self, ahead: bool) -> None:
        """The next homes, or those before."""
        self._work.put(lambda: self._turn_page(ahead))

    def _turn_page(self, ahead: bool) -> None:
        homes, (_, before) = self.picture.shown.homes, self._pages[-1]
        if ahead and homes and homes.next_cursor:
            self._pages.append((homes.next_cursor, before + len(homes.homes)))
        elif not ahead and len(self._pages) > 1:
            self._pages.pop()
        self._look_again()

    # --------------------------------------------------------------------------------- commands

    def turn_clock(self, decide: Callable[[Clock], Command]) -> None:
        """Has done what ``decide`` makes of the clock as it is when the command's turn has come:
        of keys pressed quickly each goes on from what the one before it did."""
        self._command(lambda: decide(self._clock_now()))

    def _clock_now(self) -> Clock:
        """As the command before left it, if that was just now: what the market shows of itself
        follows a moment later."""
        if self._turned and time.monotonic() - self._turned_s < _FOLLOWS_S:
            return self._turned
        return self._get("/clock", Clock)

    def start_event(self, name: str, coefficient_eur_per_kwh: float, ttl_ticks: int) -> None:
        """Has an external event begin in the coming tick."""
        body = {
            "name": name,
            "coefficient_eur_per_kwh": coefficient_eur_per_kwh,
            "ttl_ticks": ttl_ticks,
        }
        command = Command("POST", "/events", body, f"{name} begins in the coming tick")
        self._command(lambda: command)

    def _command(self, decide: Callable[[], Command]) -> None:
        if not self._token:
            self.picture.set(message=NO_TOKEN)
            return
        self._work.put(lambda: self._carry_out(decide()))

    def _carry_out(self, wanted: Command) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self._client.request(wanted.method, wanted.path, json=wanted.body, headers=headers)
        if answer.status_code >= 400:
            raise NoMarket(_said_by(answer))
        if wanted.path.startswith("/clock"):
            self._turned = msgspec.json.decode(answer.content, type=Clock)
            self._turned_s = time.monotonic()
            self.picture.set(clock=self._turned)
        self.picture.set(message=wanted.message)
        self._look_again()

    def _get(
        self,
        path: str,
        kind: type[Answer],
        parameters: Mapping[str, str] | None = None,
        *,
        not_ready: bool = False,
    ) -> Answer:
        answer = self._client.get(path, params=parameters)
        if answer.status_code != 200 and not (not_ready and answer.status_code == 503):
            raise NoMarket(f"{without_password(self.url)}{path}: {_said_by(answer)}")
        return msgspec.json.decode(answer.content, type=kind)


def _said_by(answer: httpx.Response) -> str:
    with contextlib.suppress(msgspec.MsgspecError):
        if detail := msgspec.json.decode(answer.content, type=Problem).detail:
            return detail
    return f"answered with {answer.status_code}"


def server_sent(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(name, data) of each server-sent event; comments and the rest of its fields are dropped."""
    name, data = "message", ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield name, data
            name, data = "message", ""
        elif field == "event":
            name = value
        elif field == "data":
            data = f"{data}\n{value}" if data else value
