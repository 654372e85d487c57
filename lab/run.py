"""``energymarket run``: an embedded world with its API and a picture of it in the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from rich.console import Console

from energymarket import telemetry
from energymarket.errors import EnergyMarketError, PortInUse, SettingsError
from energymarket.runtime import StopRequest
from energymarket.units import eur_per_kwh
from lab.embedded import EmbeddedRun, WorldPlan
from lab.export.command import export_with_progress
from lab.export.folder import LEDGER, check_folder
from lab.terminal import HeldBack, LinePrinter
from lab.watch.command import full_screen
from lab.watch.link import MarketLink
from lab.watch.picture import Picture, Shown
from lab.watch.screen import Screen
from services.market.api import ApiServer, create_app
from services.market.errors import LedgerUnavailable, LedgerUnreadable
from services.market.ledger import Inspection, Ledger
from services.market.view import View

_OPTIONS: Final = {
    "ENERGYMARKET_PORT": "--port",
    "ENERGYMARKET_CATALOGUE": "--catalogue",
    "ENERGYMARKET_LEDGER_URL": "--out",
}


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A world, and how to watch it. ``port`` None: no API.

    ``out``: the folder that its ledger is in, for tables and a report; ``trades``: whether every
    single trade is to be among them (None: unless they are very many).
    """

    world: WorldPlan
    host: str = "127.0.0.1"
    port: int | None = 8000
    headless: bool = False
    token: str = ""
    out: Path | None = None
    trades: bool | None = None
    preset: str = ""


class Watcher(Protocol):
    """Shows the market to a person."""

    def start(self) -> None: ...

    def show(self, view: View) -> None: ...

    def stop(self) -> None: ...


class FullScreen:
    """The view that ``energymarket watch`` has, over the run's own API."""

    def __init__(self, console: Console, url: str, token: str, stop: StopRequest) -> None:
        picture = Picture(Shown(url=url, token=token))
        self._link = MarketLink(url, token, picture, failed=stop.request)
        self._screen = Screen(console, self._link, stop)

    def start(self) -> None:
        """Takes the terminal."""
        self._screen.listen_to_suspension()
        self._link.start()
        self._screen.start()

    def show(self, view: View) -> None:
        """It hears of the tick through the API."""

    def stop(self) -> None:
        """Gives the terminal back."""
        try:
            self._screen.stop()
        finally:
            self._link.stop()


def ledger_in(folder: Path, *, resume: bool) -> str:
    """The URL of the ledger in a run folder, which is made if need be.

    Raises ``SettingsError`` for a folder that holds a ledger already, unless it is to be resumed,
    and for one that holds other files.
    """
    path = folder / LEDGER
    check_folder(folder, option="--out")
    if path.exists() and not resume:
        if _is_without_ticks(path):
            # Not begun anew unasked: the run that made it may be about to settle its first tick.
            raise SettingsError(
                f"{path} is of a run that was ended before its first tick, or is not there yet: "
                f"remove {path}* to begin anew, or go on with that world by --resume."
            )
        raise SettingsError(
            f"{path} exists: choose another --out, or go on with that world by --resume."
        )
    return f"sqlite:///{path}"


def _is_without_ticks(ledger: Path) -> bool:
    """False for one that cannot be read: who goes on with it is told what is wrong with it."""
    try:
        with Inspection.of_file(ledger) as look:
            look.check_kind()
            return next(look.newest_ticks(), None) is None
    except (LedgerUnavailable, LedgerUnreadable):
        return False


def run(plan: RunPlan, *, stop: StopRequest, console: Console) -> None:
    """Runs the world to its end or until ``stop``; the last line printed is the head hash.

    A ledger that was made for it and got no tick is gone again: it would only stand in the way.
    """
    screen = plan.port is not None and full_screen(console, headless=plan.headless)
    held = HeldBack() if screen else None
    log = telemetry.configure("lab", level="warning", form="text", stream=held or sys.stderr)
    made = _ledger_to_make(plan)
    with _settings_as_options():
        world, server = _begun(plan, log, made)
    stop.on_request(world.wake)
    watcher: Watcher = LinePrinter(console)
    if server:
        address = f"{server.url}  token for writes: {plan.token}"
        console.out(f"API and page on {address}", highlight=False)
        if screen:
            watcher = FullScreen(console, server.url, plan.token, stop)
    try:
        try:
            world.start()
            watcher.start()
            _turn(world, watcher, stop)
        finally:
            watcher.stop()
            if server:
                server.stop()
            if held:
                held.let_go()
        summary = _summary(world)
        try:
            if plan.out and world.market.books.tick:
                _leave_tables(plan, plan.out, world, console)
        finally:
            for line in summary:
                console.out(line, highlight=False)
        is_for_nothing = made is not None and _is_for_nothing(world.ledger)
    finally:
        world.stop()
    if made and is_for_nothing:
        _remove(made)


def _is_for_nothing(ledger: Ledger) -> bool:
    """Whether it has no tick; raises ``EpochLost`` when another run is about to settle one."""
    if ledger.newest_tick():
        return False
    ledger.check_epoch()
    return True


def _ledger_to_make(plan: RunPlan) -> Path | None:
    """The file that this run will make, and nobody has made before."""
    ledger = plan.out / LEDGER if plan.out else None
    return None if ledger is None or ledger.exists() else ledger


def _remove(ledger: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        ledger.with_name(ledger.name + ending).unlink(missing_ok=True)


def _leave_tables(plan: RunPlan, out: Path, run: EmbeddedRun, console: Console) -> None:
    """Raises ``ExportFailed``; a signal while it writes leaves the tables out."""
    leave_out = StopRequest()
    leave_out.listen_to_signals()
    world = plan.world
    settings = {
        "preset": plan.preset,
        "homes": world.homes,
        "ticks": world.tempo.max_ticks,
        "seed": world.rules.seed,
        "pace_s": world.tempo.tick_s,
        "price_model": world.rules.price_model,
        "surplus_policy": world.policy.surplus.label if world.policy.surplus else None,
        "need_policy": world.policy.need.label if world.policy.need else None,
        "profile": world.profile,
        "climate": world.climate,
        "catalogue": world.catalogue,
    }
    with run.ledger.history.inspection() as look:
        export_with_progress(
            console,
            look,
            out,
            again=f"energymarket export {out / LEDGER} FOLDER",
            trades=plan.trades,
            settings=settings,
            leave_out=lambda: leave_out.requested,
        )


def _turn(world: EmbeddedRun, watcher: Watcher, stop: StopRequest) -> None:
    shown = world.market.books.tick
    while not (world.finished or stop.requested):
        due = world.step()
        if world.market.books.tick != shown:
            shown = world.market.books.tick
            watcher.show(world.market.view)
        world.rest_until(due)


@contextlib.contextmanager
def _settings_as_options() -> Iterator[None]:
    """Services speak of their settings; who called this command has options instead."""
    try:
        yield
    except (SettingsError, PortInUse) as error:
        sentence = str(error)
        for setting, option in _OPTIONS.items():
            sentence = sentence.replace(setting, option)
        raise type(error)(sentence) from error


def _begun(
    plan: RunPlan, log: telemetry.Log, made: Path | None
) -> tuple[EmbeddedRun, ApiServer | None]:
    """The world and its API. Where the API cannot be, the ledger that was ``made`` for them is gone
    again: it would stand in the way of the command that is put right."""
    world = EmbeddedRun(plan.world, log=log)
    try:
        return world, _served(world, plan, log)
    except EnergyMarketError:
        world.ledger.close()
        if made:
            _remove(made)
        raise


def _served(world: EmbeddedRun, plan: RunPlan, log: telemetry.Log) -> ApiServer | None:
    if plan.port is None:
        return None
    settings = {"homes": plan.world.homes, "tick_seconds": plan.world.tempo.tick_s}
    app = create_app(world.market, token=plan.token, settings=settings)
    server = ApiServer(app, host=plan.host, port=plan.port, log=log)
    server.start()
    return server


def _summary(world: EmbeddedRun) -> list[str]:
    """What the run came to; the last line is the ledger's head hash."""
    books = world.market.books
    prices = [row.price_neur_per_wh for row in world.ledger.history.prices(0, 2**62, 1_000_000)]
    lines = [f"{books.tick} ticks settled, {books.membership.homes} homes, seed {books.world.seed}"]
    if prices:
        mean = sum(prices) / len(prices)
        lines.append(
            f"price: mean {eur_per_kwh(round(mean)):.4f}, least {eur_per_kwh(min(prices)):.4f}, "
            f"greatest {eur_per_kwh(max(prices)):.4f}, last {eur_per_kwh(prices[-1]):.4f} EUR/kWh"
        )
    lines.append(
        "audit: every residual is 0" if books.residuals.ok else f"AUDIT: {books.residuals}"
    )
    return [*lines, books.head_hash.hex()]
