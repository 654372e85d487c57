"""Structured logs: one clear line per fact, as text for people or JSON for machines."""

from __future__ import annotations

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
        text = event.pop("event")
        marker = "" if level in ("info", "debug") else f"{level.upper()} "
        trace = event.pop("exception", None)
        rest = "".join(f" {name}={_plain(value)}" for name, value in event.items())
        line = f"{time} {service:<8} {marker}{text}{' ' if rest else ''}{rest}"
        return f"{line}\n{trace}" if trace else line


def _plain(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text


def configure(service: str, *, level: str, form: str, stream: TextIO | None = None) -> Log:
    """Sets up logging for this process and returns the service's logger."""
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
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stdout),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.CRITICAL, force=True)  # drivers speak through their adapters
    log: Log = structlog.get_logger(service=service)
    return log
