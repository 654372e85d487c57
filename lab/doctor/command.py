"""``energymarket doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from energymarket.errors import SettingsError
from energymarket.runtime import EXIT_FAILED
from energymarket.settings import load
from lab.doctor import machine, places
from lab.doctor.finding import Finding, wrong
from services.market.settings import MarketSettings

EXAMPLE: Final = "Example: energymarket doctor --embedded"
_STYLES: Final = {"ok": "green", "note": "yellow", "wrong": "bold red"}


def doctor(
    embedded: Annotated[
        bool,
        typer.Option(
            "--embedded", help="only what energymarket run needs: no broker, no Redis, no ledger"
        ),
    ] = False,
) -> None:
    """Says what is missing or in the way here, one sentence each. Exit code 1 if anything is.

    It looks with the settings of a market (ENERGYMARKET_AMQP_URL and so on). On the broker it
    declares the exchange that every market declares first, and changes nothing else anywhere.
    """
    console = Console()
    findings = examined(embedded=embedded)
    for finding in findings:
        style = _STYLES[finding.verdict]
        line = Text.assemble(
            (f"{finding.verdict:<6}", style), f"{finding.about}: ", finding.sentence
        )
        console.print(line, soft_wrap=True)
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def examined(*, embedded: bool) -> list[Finding]:
    """Everything that was looked at, in order."""
    findings = [machine.python(), *machine.packages(), machine.clock()]
    try:
        settings = load(MarketSettings)
    except SettingsError as error:
        return [*findings, wrong("settings", str(error))]
    findings.append(places.api_port(settings.api_host, settings.port))
    if not embedded:
        findings += [
            places.broker(settings.amqp_url),
            places.redis(settings.redis_url),
            places.ledger_folder(settings.ledger_url),
        ]
    return [*findings, *machine.docker(), machine.env_file(Path.cwd())]
