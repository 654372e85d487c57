"""Structured logs: one clear line per fact, as text for people or JSON for machines."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

Log = FilteringBoundLogger


class _TextLine:
    """``12:00:01 market   tick 7 settled  price=0.2134 homes=20``; warnings carry their level."""

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        time = str(event.pop("time"))[11:19]
        service = event.pop("service", "-")
        level = event.pop("level")
        text = _on_one_line(str(event.pop("event")))
        marker = "" if level in ("info", "debug") else f"{level.upper()} "
        trace = event.pop("exception", None)
        rest = "".join(f" {name}={_plain(value)}" for name, value in event.items())
        line = f"{time} {service:<8} {marker}{text}{' ' if rest else ''}{rest}"
        return f"{line}\n{trace}" if trace else line


def _on_one_line(text: str) -> str:
    """What comes from outside may hold a line break, and must not pass for a line of ours."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


def _plain(value: Any) -> str:
    """The value as it is, in quotes where one could not see otherwise where it ends."""
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    ends_by_itself = text and text.isprintable() and not set(' "=').intersection(text)
    return text if ends_by_itself else json.dumps(text, ensure_ascii=not text.isprintable())


def configure(service: str, *, level: str, form: str, stream: TextIO | None = None) -> Log:
    """Sets up logging for this process and returns the service's logger."""
    out = sys.stdout if stream is None else stream
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")  # a terminal without umlauts stops no service
    renderer: Any = structlog.processors.JSONRenderer() if form == "json" else _TextLine()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.CRITICAL, force=True)  # drivers speak through their adapters
    # Bound at once: a proxy would look the configuration up again for each line.
    log: Log = structlog.get_logger(service=service).bind()
    return log
