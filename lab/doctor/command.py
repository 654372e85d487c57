"""``energymarket doctor``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from energymarket.runtime import EXIT_FAILED
from energymarket.settings import explain
from lab.doctor import machine, places
from lab.doctor.finding import Finding, wrong
from services.market.settings import MarketSettings

EXAMPLE: Final = "Example: energymarket doctor --embedded"
_STYLES: Final = {"ok": "green", "note": "yellow", "wrong": "bold red"}

_HOST_OF_A_RUN: Final = "127.0.0.1"
_LOOKS: Final[Mapping[str, Callable[[str], Finding]]] = {
    "amqp_url": places.broker,
    "redis_url": places.redis,
    "ledger_url": places.ledger_folder,
}


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
    settings, faults = _settings({"port"} if embedded else set(MarketSettings.model_fields))
    findings += faults.values()
    host = _HOST_OF_A_RUN if embedded else settings.api_host
    if not {"api_host", "port"} & set(faults):
        findings.append(places.api_port(host, settings.port))
    if not embedded:
        findings += [
            look(getattr(settings, name)) for name, look in _LOOKS.items() if name not in faults
        ]
    return [*findings, *machine.docker(), machine.env_file(Path.cwd())]


def _settings(read: set[str]) -> tuple[MarketSettings, dict[str, Finding]]:
    """The settings of those names from the environment, and what is wrong with which: there, and
    for all others, stands the default."""
    fields = MarketSettings.model_fields
    stand_ins = {name: field.default for name, field in fields.items() if name not in read}
    faults: dict[str, Finding] = {}
    for _ in fields:  # each turn finds one more that is wrong
        try:
            return MarketSettings(**stand_ins), faults
        except ValidationError as error:
            name = str(error.errors(include_url=False)[0]["loc"][0])
            faults[name] = wrong("settings", explain(error, MarketSettings))
            stand_ins[name] = fields[name].default
    return MarketSettings(**stand_ins), faults
