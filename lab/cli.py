"""The ``energymarket`` command."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from energymarket import __version__
from energymarket.errors import EnergyMarketError, SettingsError
from energymarket.runtime import EXIT_FAILED, EXIT_WRONG_SETTING, StopRequest
from lab import presets as preset_files
from lab.doctor.command import EXAMPLE as DOCTOR_EXAMPLE
from lab.doctor.command import doctor
from lab.embedded import WorldPlan
from lab.export.command import EXAMPLE as EXPORT_EXAMPLE
from lab.export.command import Trades, export
from lab.load.command import EXAMPLE as LOAD_EXAMPLE
from lab.load.command import load
from lab.run import RunPlan, ledger_in
from lab.run import run as run_world
from lab.verify import verify as verify_ledger
from lab.watch.command import EXAMPLE as WATCH_EXAMPLE
from lab.watch.command import watch
from lab.watch.link import check_token
from services.external.catalogue_file import shipped_catalogues
from services.home.domain.profile import PROFILES, PolicyChoice
from services.market.domain.pricing import PRICE_MODELS
from services.market.domain.rules import Rules
from services.market.ledger import TEMPORARY, Retention
from services.market.pacing import LONGEST_PACE_S
from services.market.tick_cycle import Tempo
from services.weather.domain.climate import CLIMATES

KEPT_OF_AN_ENDLESS_RUN = Retention(ticks=100_000, size_bytes=512 * 2**20)
"""It would fill the disk if it remembered everything."""

app = typer.Typer(
    help="A local energy market: homes, a market, weather and external events.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def energymarket() -> None:
    """A local energy market: homes, a market, weather and external events."""


@app.command(epilog="Example: energymarket version")
def version() -> None:
    """Prints the version."""
    print(__version__)


def _take_preset(context: typer.Context, name: str) -> str:
    """Has the preset's options stand where the command line says nothing."""
    if name:
        context.default_map = {**(context.default_map or {}), **preset_files.load(name).options}
    return name


def _one_that_begins(names: Iterable[str]) -> Callable[[str], list[str]]:
    """What a shell completes to."""

    def begun(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return begun


RUN_EXAMPLE = (
    "Example: energymarket run --homes 50 --ticks 720 --pace 0 --out runs/april\n\n"
    "Example: energymarket run --preset war --ticks 200"
)


@app.command(epilog=RUN_EXAMPLE)
def run(
    preset: Annotated[
        str,
        typer.Option(
            callback=_take_preset,
            autocompletion=_one_that_begins(preset_files.names()),
            is_eager=True,
            show_default="none",
            help=f"a world to start with, one of {', '.join(preset_files.names())}; other options "
            "go first",
        ),
    ] = "",
    homes: Annotated[int, typer.Option(min=1, max=1_000_000, help="homes in the world")] = 20,
    ticks: Annotated[int, typer.Option(min=0, help="ticks to settle; 0 runs until Ctrl-C")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="the luck of this world")] = 42,
    pace: Annotated[
        float, typer.Option(min=0, max=LONGEST_PACE_S, help="seconds per tick; 0 is full speed")
    ] = 1.0,
    headless: Annotated[bool, typer.Option("--headless", help="a line per tick, no table")] = False,
    out: Annotated[
        Path | None, typer.Option(help="folder that keeps the ledger, tables and a report")
    ] = None,
    trades: Trades = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the ledger in --out")
    ] = False,
    token: Annotated[
        str,
        typer.Option(
            envvar="ENERGYMARKET_API_TOKEN", help="bearer token for writes; else one is made"
        ),
    ] = "",
    port: Annotated[
        int,
        typer.Option(envvar="ENERGYMARKET_PORT", min=0, max=65_535, help="port of API and page"),
    ] = 8000,
    price_model: Annotated[
        str,
        typer.Option(
            autocompletion=_one_that_begins(PRICE_MODELS), help=f"one of {', '.join(PRICE_MODELS)}"
        ),
    ] = "normalised",
    policy: Annotated[
        str, typer.Option(help="policies of every home, such as sell_only+buy_only")
    ] = "",
    profile: Annotated[
        str,
        typer.Option(
            autocompletion=_one_that_begins(PROFILES), help=f"one of {', '.join(PROFILES)}"
        ),
    ] = "residential",
    climate: Annotated[
        str,
        typer.Option(
            autocompletion=_one_that_begins(CLIMATES), help=f"one of {', '.join(CLIMATES)}"
        ),
    ] = "temperate",
    catalogue: Annotated[
        str,
        typer.Option(help=f"external events: {', '.join(shipped_catalogues())}, or a TOML file"),
    ] = "standard",
) -> None:
    """Runs the whole market in this one process, with its API and page."""
    if not out and (resume or trades):
        raise SettingsError(
            f"{'--resume' if resume else '--trades'} needs --out, the run's folder."
        )
    check_token(token)
    _one_of("--price-model", price_model, PRICE_MODELS)
    _one_of("--profile", profile, PROFILES)
    _one_of("--climate", climate, CLIMATES)
    world = WorldPlan(
        homes=homes,
        rules=Rules(seed=seed, price_model=price_model),
        policy=_policy(policy),
        profile=profile,
        climate=climate,
        catalogue=catalogue,
        ledger_url=ledger_in(out, resume=resume) if out else TEMPORARY,
        retention=Retention() if ticks else KEPT_OF_AN_ENDLESS_RUN,
        tempo=Tempo(tick_s=pace, deadline_s=0, start_homes=homes, max_ticks=ticks),
    )
    stop = StopRequest()
    stop.listen_to_signals()
    plan = RunPlan(
        world,
        port=port,
        headless=headless,
        token=token or secrets.token_urlsafe(16),
        out=out,
        trades=trades,
        preset=preset,
    )
    run_world(plan, stop=stop, console=Console())


@app.command(epilog="Example: energymarket verify runs/april/ledger.db")
def verify(
    ledger: Annotated[Path, typer.Argument(help="the ledger.db of a run or of a market")],
) -> None:
    """Audits a ledger: balances, hash chain, replay. Exit code 1 and a sentence on a fault."""
    verdict = verify_ledger(ledger)
    rate = verdict.home_ticks / max(verdict.seconds, 1e-9)
    print(f"{verdict.ticks} ticks, {verdict.home_ticks} home-ticks, {rate:,.0f} a second")
    if verdict.from_tick > 1:
        print(f"from tick {verdict.from_tick} on: what was before is forgotten, its sum is sealed")
    print("every tick follows, balances, settles and prices as recorded; accounts agree")
    print(verdict.head_hash)


@app.command(epilog="Example: energymarket presets")
def presets() -> None:
    """Lists the worlds that ``run --preset`` knows."""
    for name in preset_files.names():
        preset = preset_files.load(name)
        options = " ".join(
            f"--{option.replace('_', '-')} {value}" for option, value in preset.options.items()
        )
        print(f"{name}: {preset.title}. {preset.description}\n    {options}")


app.command(epilog=EXPORT_EXAMPLE)(export)
app.command(epilog=LOAD_EXAMPLE)(load)
app.command(epilog=DOCTOR_EXAMPLE)(doctor)
app.command(epilog=WATCH_EXAMPLE)(watch)


def _one_of(option: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise SettingsError(f"{option} is {value!r}; it must be one of {', '.join(allowed)}.")


def _policy(text: str) -> PolicyChoice:
    try:
        return PolicyChoice.parse(text)
    except ValueError as error:
        raise SettingsError(f"--policy is {text!r}; it must be {error}.") from error


def main() -> None:
    """Entry of the ``energymarket`` command: errors are sentences."""
    try:
        try:
            app(prog_name="energymarket")
        finally:
            sys.stdout.flush()
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_WRONG_SETTING)
    except EnergyMarketError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except OSError as error:
        _let_output_go()
        if not isinstance(error, BrokenPipeError):  # whoever closed the pipe has seen enough
            print(f"energymarket cannot go on: {error}.", file=sys.stderr)
        sys.exit(EXIT_FAILED)


def _let_output_go() -> None:
    """What a full disk or a closed pipe did not take would fail once more when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
