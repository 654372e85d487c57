"""Worlds to start with: each a TOML file beside this one, with the options of ``energymarket run``.

A file holds ``title``, ``description`` and a table ``[run]``, whose names are the options without
their dashes (``price_model`` for ``--price-model``). What is given on the command line goes first.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from energymarket.errors import SettingsError

FOLDER: Final = Path(__file__).parent
OPTIONS: Final = {
    *("homes", "ticks", "seed", "pace", "price_model"),
    *("policy", "profile", "climate", "catalogue"),
}


@dataclass(frozen=True, slots=True)
class Preset:
    """``options`` by the name that the command's function has for them."""

    name: str
    title: str
    description: str
    options: Mapping[str, Any]


def names() -> tuple[str, ...]:
    """All that there are, by name."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str) -> Preset:
    """The preset of that name; raises ``SettingsError``."""
    if name not in names():
        raise SettingsError(f"--preset is {name!r}; it must be one of {', '.join(names())}.")
    data = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    options = data["run"]
    if unknown := sorted(set(options) - OPTIONS):
        raise SettingsError(f"preset {name} sets {unknown[0]}, which is no option of a world.")
    return Preset(name, data["title"], data["description"], options)
