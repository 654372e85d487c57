"""``energymarket load``: its options, and what it prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from energymarket.errors import SettingsError
from energymarket.messages import MAX_HOMES_PER_FLEET, MOST_HOMES_PER_MESSAGE
from energymarket.runtime import EXIT_FAILED, EXIT_INTERRUPTED, StopRequest
from energymarket.settings import AmqpUrl
from lab.load import baseline as baselines
from lab.load import report
from lab.load.conductor import INTERRUPTED, Conductor
from lab.load.display import Lines, LiveTable, summary
from lab.load.errors import Interrupted
from lab.load.knee import Knee, find_knee
from lab.load.market_api import MarketApi
from lab.load.plan import LoadPlan
from lab.load.result import Result

EXAMPLE: Final = (
    "Example: energymarket load --homes 1000 --fleets 4 --seconds 20\n\n"
    "Example: energymarket load --homes 500 --pace 0.5 --seconds 60 --baseline earlier/report.json"
)


def load(
    homes: Annotated[
        int, typer.Option(min=1, max=MAX_HOMES_PER_FLEET, help="virtual homes in all")
    ] = 1_000,
    fleets: Annotated[
        int, typer.Option(min=1, max=30_000, help="home processes to play, which share the homes")
    ] = 4,
    homes_per_message: Annotated[
        int,
        typer.Option(
            min=0,
            max=MAX_HOMES_PER_FLEET,
            help="most homes in a message, either way; 0 is all homes of a fleet, at most "
            f"{MOST_HOMES_PER_MESSAGE}",
        ),
    ] = 0,
    ticks: Annotated[
        int, typer.Option(min=0, help="ticks to measure; 0 is as many as --seconds has")
    ] = 0,
    seconds: Annotated[
        float, typer.Option(min=0, help="seconds to measure at most; 0 is until --ticks are done")
    ] = 30.0,
    pace: Annotated[
        float,
        typer.Option(
            min=0,
            help="seconds between the orders of two ticks, whatever the market does (open mode); "
            "0 is as fast as the market's barrier allows (closed mode)",
        ),
    ] = 0.0,
    find_knee: Annotated[
        bool,
        typer.Option(
            "--find-knee",
            show_default="off",
            help="raise the homes from --homes on until p99 passes --pace; --seconds is per step",
        ),
    ] = False,
    processes: Annotated[
        int,
        typer.Option(min=0, max=256, help="worker processes; 0 is one per processor, or fewer"),
    ] = 0,
    amqp: Annotated[
        str,
        typer.Option(
            envvar="ENERGYMARKET_AMQP_URL", show_envvar=True, help="the broker, with user and vhost"
        ),
    ] = "amqp://guest:guest@127.0.0.1:5672/energymarket",
    api: Annotated[
        str,
        typer.Option(envvar="ENERGYMARKET_API_URL", show_envvar=True, help="the market's API"),
    ] = "http://127.0.0.1:8000",
    token: Annotated[
        str,
        typer.Option(
            envvar="ENERGYMARKET_API_TOKEN",
            show_envvar=True,
            show_default="none",
            help="bearer token, for an API that wants one to be read",
        ),
    ] = "",
    out: Annotated[
        Path,
        typer.Option(
            envvar="ENERGYMARKET_LOAD_OUT",
            show_envvar=True,
            help=f"folder for {report.HTML} and {report.JSON}",
        ),
    ] = Path("runs/load"),
    baseline: Annotated[
        Path | None,
        typer.Option(
            show_default="none",
            help=f"{report.JSON} of an earlier run; exit code 1 when this one is slower",
        ),
    ] = None,
    ratio: Annotated[
        float,
        typer.Option(min=0, help="least share of the baseline's speed that is fast enough"),
    ] = 0.9,
    headless: Annotated[
        bool,
        typer.Option(
            "--headless", show_default="off", help="a line per second, no table that moves"
        ),
    ] = False,
) -> None:
    """Loads a running system with virtual homes, and reports throughput and latency.

    Closed mode (the default) orders as fast as the market's barrier allows; start the market with
    ENERGYMARKET_TICK_SECONDS=0, or its pace is what is measured. Open mode (--pace) has the orders
    of a tick due at fixed moments and counts latency from these, so that a stall makes all orders
    late that fall into it. Ticks are the market's: it must be no slower than --pace, best with
    ENERGYMARKET_TICK_SECONDS=0, and orders wait for their moment.
    """
    if find_knee and ticks:
        raise SettingsError("--find-knee measures --seconds a step: leave --ticks out.")
    if find_knee and not pace:
        raise SettingsError("--find-knee needs a --pace: the knee is where p99 passes it.")
    if not ticks and not seconds:
        raise SettingsError("--ticks and --seconds are both 0: one of them must end the run.")
    plan = LoadPlan(
        amqp_url=_amqp_url(amqp),
        homes=homes,
        fleets=fleets,
        homes_per_message=homes_per_message,
        ticks=ticks,
        seconds=seconds,
        pace_s=pace,
        processes=processes,
    )
    plan.check()
    earlier = baselines.read(baseline) if baseline else None
    if earlier:
        baselines.check_comparable(earlier, plan.facts(), find_knee=find_knee)
    folder = report.folder_for(out)
    stop = StopRequest()
    stop.listen_to_signals()
    console = Console()
    watcher = LiveTable(console) if console.is_terminal and not headless else Lines(console)
    conductor = Conductor(MarketApi(api, token), stop, watcher)
    knee: Knee | None = None
    try:
        if find_knee:
            knee, result = _search(conductor.measure, plan, watcher.note)
        else:
            result = conductor.measure(plan)
    except Interrupted:
        console.print("interrupted before there was anything to report")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        watcher.stop()
    data = report.as_json(result, knee)
    # What a search that was interrupted would have found, nobody knows.
    is_whole = not (knee and knee.interrupted)
    verdict = baselines.compare(earlier, data, ratio) if earlier and is_whole else None
    report.write(folder, result, knee, verdict)
    _tell(console, result, knee, verdict)
    console.print(f"report: {folder / report.HTML}, {folder / report.JSON}", soft_wrap=True)
    if earlier and not verdict:
        console.print("not compared with the baseline: the search was interrupted")
        raise typer.Exit(EXIT_INTERRUPTED)
    if verdict and not verdict.ok:
        raise typer.Exit(EXIT_FAILED)


def _tell(
    console: Console, result: Result, knee: Knee | None, verdict: baselines.Verdict | None
) -> None:
    for table in summary(result):
        console.print(table)
    for each in (knee, verdict):
        if each:
            console.print(each.sentence())


def _search(
    measure: Callable[[LoadPlan], Result], plan: LoadPlan, note: Callable[[str], None]
) -> tuple[Knee, Result]:
    """The knee, and the result of the largest load that held (of the least when none did).

    Raises ``Interrupted`` when not even the least was measured.
    """
    found: dict[int, Result] = {}

    def step(homes: int) -> tuple[float, float]:
        result = found[homes] = measure(replace(plan, homes=homes))
        if result.ended == INTERRUPTED:
            raise Interrupted
        note(f"{homes:,} homes: p99 {result.p99_ms:,.0f} ms, {result.orders_per_s:,.0f} orders/s")
        return result.p99_ms, result.orders_per_s

    knee = find_knee(step, homes=plan.homes, most=MAX_HOMES_PER_FLEET, pace_s=plan.pace_s)
    if not found:
        raise Interrupted
    return knee, found[knee.homes or plan.homes]


def _amqp_url(text: str) -> str:
    try:
        checked: Any = TypeAdapter(AmqpUrl).validate_python(text)
    except ValidationError as error:
        allowed = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        # The value is not shown: it may hold a password.
        raise SettingsError(f"--amqp must be {allowed}.") from None
    return str(checked)
