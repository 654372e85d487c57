"""Errors of the market.

::

    EnergyMarketError
    ├── LedgerUnavailable   the ledger cannot be read or written now; nothing was written
    │   └── LedgerUnreadable    the file is damaged, or no ledger that this version reads
    ├── LedgerMismatch      the ledger is of another world than the settings say
    ├── EpochLost           another market has taken over; this one may not settle
    ├── StandingBy          this market does not settle now, and so cannot do what was asked
    ├── ClockRuns           a single step was asked of a clock that is not paused
    └── RecordCorrupt       bytes in the ledger are no tick record (domain.record)
"""

from __future__ import annotations

from energymarket.errors import EnergyMarketError, SettingsError


class LedgerUnavailable(EnergyMarketError):
    """The ledger cannot be read or written now; nothing was written."""


class LedgerUnreadable(LedgerUnavailable):
    """The file is damaged, or no ledger that this version reads: waiting will not help."""


class LedgerMismatch(SettingsError):
    """The ledger was begun with other settings."""


class EpochLost(EnergyMarketError):
    """Another market has taken over."""


class StandingBy(EnergyMarketError):
    """This market does not settle now, and so cannot do what was asked."""


class ClockRuns(EnergyMarketError):
    """A single step was asked of a clock that is not paused."""
