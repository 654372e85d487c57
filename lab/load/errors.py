"""Errors of the load test, below the kernel's ``EnergyMarketError``.

::

    EnergyMarketError
    └── LoadFailed      the test could not be begun or carried through; the text says what to do

``Interrupted`` is none of them: nothing failed.
"""

from __future__ import annotations

from energymarket.errors import EnergyMarketError


class LoadFailed(EnergyMarketError):
    """One sentence: what is missing, and what to do about it."""


class Interrupted(Exception):
    """Told to stop before anything was measured."""
