"""The run in the terminal: a line that moves, or one line a second; and the table at its end."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.table import Table

from lab.load.account import Account
from lab.load.result import Result, Second


class Lines:
    """One line per second, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def joining(self, joined: int, fleets: int) -> None:
        self._say(f"{joined} of {fleets} fleets have joined")

    def second(self, second: Second, account: Account) -> None:
        self._say(
            f"{second.at_s:6.1f} s  {account.ticks:>7} ticks  {second.ticks_per_s:8.1f} ticks/s  "
            f"{second.orders_per_s:10,.0f} orders/s  p50 {shown(second.p50_ms)} ms  "
            f"p99 {shown(second.p99_ms)} ms"
        )

    def note(self, line: str) -> None:
        """Something that stays."""
        self._say(line)

    def stop(self) -> None:
        """Nothing to clear away."""

    def _say(self, line: str) -> None:
        self._console.out(line, highlight=False)


class LiveTable:
    """A table of one line, which is drawn anew each second."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def joining(self, joined: int, fleets: int) -> None:
        self._live.update(f"{joined} of {fleets} fleets have joined", refresh=True)

    def second(self, second: Second, account: Account) -> None:
        table = Table(title="load", caption="Ctrl-C ends it, and reports")
        for name in ("seconds", "ticks", "ticks/s", "orders/s", "p50 ms", "p99 ms", "all p99 ms"):
            table.add_column(name, justify="right")
        table.add_row(
            f"{second.at_s:.1f}",
            f"{account.ticks:,}",
            f"{second.ticks_per_s:,.1f}",
            f"{second.orders_per_s:,.0f}",
            shown(second.p50_ms),
            shown(second.p99_ms),
            shown(account.latencies.percentiles_ms([99])[0]),
        )
        self._live.update(table, refresh=True)

    def note(self, line: str) -> None:
        """Something that stays, above the table."""
        self._live.console.print(line)

    def stop(self) -> None:
        """Gives the terminal back."""
        self._live.stop()


def summary(result: Result) -> list[Table]:
    """The tables at the end."""
    plan = result.plan
    first = Table(title=headline(result), title_justify="left", show_header=False)
    first.add_column("")
    first.add_column("", justify="right")
    first.add_column("")
    for name, value, unit in totals(result):
        first.add_row(name, value, unit)
    latency = "from the intended moment" if plan["mode"] == "open" else "from sending"
    second = Table(title=f"Latency of an order, {latency} to its receipt", title_justify="left")
    for name in ("mean", *result.percentiles_ms()):
        second.add_column(f"{name} ms", justify="right")
    values = (result.latencies.mean_ms, *result.percentiles_ms().values())
    second.add_row(*(shown(value) for value in values))
    tables = [first, second]
    if result.parts:
        third = Table(title="Where the time of a tick goes, on average", title_justify="left")
        third.add_column("part")
        third.add_column("where")
        third.add_column("ms", justify="right")
        third.add_column("share", justify="right")
        whole = sum(part.ms for part in result.parts) or 1.0
        for part in result.parts:
            third.add_row(part.name, part.where, shown(part.ms), f"{part.ms / whole:.0%}")
        tables.append(third)
    return tables


def headline(result: Result) -> str:
    """The plan in a line."""
    plan = result.plan
    most = plan["homes_per_message"]
    together = f"{most} homes a message" if most else "a fleet's homes in one message"
    pace = f", a tick each {plan['pace_s']:g} s" if plan["mode"] == "open" else ""
    homes = f"{plan['homes']:,} homes in {plan['fleets']:,} fleets"
    return f"{homes}, {together}, {plan['mode']} mode{pace}"


def totals(result: Result) -> list[tuple[str, str, str]]:
    """Name, value and unit of each figure that is one number."""
    return [
        ("throughput", f"{result.orders_per_s:,.0f}", "orders/s"),
        ("speed", shown(result.ticks_per_s), "ticks/s"),
        ("ticks", f"{result.ticks:,}", ""),
        ("orders settled", f"{result.orders:,}", ""),
        ("time", f"{result.elapsed_s:.2f}", f"s, ended {result.ended}"),
        ("messages, either way", f"{result.messages:,}", ""),
        ("absent", f"{result.absent:,}", "orders too late for their tick"),
        ("unanswered", f"{result.unanswered:,}", "orders due and not settled at the end"),
        ("refused", f"{result.refused:,}", "orders"),
        ("repeated", f"{result.repeated:,}", "messages"),
        ("reconnects", f"{result.reconnects:,}", ""),
        ("load tool itself", f"{result.tool_cores:.2f}", "processors busy"),
        ("homes left behind", f"{result.homes_left:,}", ""),
    ]


def shown(value: float) -> str:
    """A number with about three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
