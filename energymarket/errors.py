"""Errors of the kernel. Every one says what to do; a driver's own error is its ``__cause__``.

::

    EnergyMarketError
    ├── SettingsError            a setting is wrong: variable, value, what is allowed
    ├── MessageRefused           a body is not a message of this system
    ├── BusError
    │   ├── BusUnavailable       the broker does not answer (yet)
    │   └── BusClosed            the bus was used after ``close``
    ├── WeatherStoreUnavailable  Redis does not answer (yet)
    └── PortInUse                an address to listen on is taken
"""

from __future__ import annotations

from energymarket.refusals import DeadLetterReason


class EnergyMarketError(Exception):
    """Root of every error this project raises on purpose."""


class SettingsError(EnergyMarketError):
    """One sentence that names the variable, its value and what is allowed."""


class MessageRefused(EnergyMarketError):
    """A body that is not a message of this system.

    ``reason`` is a short stable word for counters and headers, ``str(error)`` a sentence.
    """

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class BusError(EnergyMarketError):
    """The message bus failed."""


class BusUnavailable(BusError):
    """The broker does not answer; the bus keeps trying."""


class BusClosed(BusError):
    """The bus was used after it was closed."""


class WeatherStoreUnavailable(EnergyMarketError):
    """The weather store does not answer; the caller goes on without and tries again."""


class PortInUse(EnergyMarketError):
    """The address to listen on is taken."""
