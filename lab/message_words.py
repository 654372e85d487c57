"""What people read about a message: its example, and for each field kind, unit and meaning.

The meanings stand once, in docs/interfaces.md, and are read from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from energymarket.messages import EventStart, LiveEvent, Message, OpenedTick

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"

PARTS: Final[dict[str, type]] = {
    "TickOpened": LiveEvent,
    "Receipts": OpenedTick,
    "Bulletin": EventStart,
}
"""What stands within some messages; it has the second table of their section."""

_EXAMPLES: Final = ROOT / "tests" / "contract" / "golden"
_OF_ALL: Final = {
    "type": "name of the message",
    "version": "version of its form",
}
_UNITS: Final = {
    "_neur_per_wh": "nEUR/Wh",
    "_wh": "Wh",
    "_neur": "nEUR",
    "_mdeg": "m°C",
    "_ticks": "ticks",
    "tick": "number of a tick",
}
"""By the end of a field's name, longer ones first."""


def example(message_type: type[Message]) -> str:
    """The golden example, as it goes over the wire."""
    return (_EXAMPLES / f"{message_type.__name__}.json").read_text().strip()


def unit(field: str) -> str:
    """The unit of a field; empty where it has none."""
    return next((unit for end, unit in _UNITS.items() if field.endswith(end)), "")


def meaning(struct: str, field: str) -> str:
    """What a field means, in Markdown with links as from docs/; raises ``KeyError``."""
    return _OF_ALL.get(field) or _meanings()[struct][field]


def plain(markdown: str) -> str:
    """Without its links."""
    return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", markdown)


def kind(schema: dict[str, Any]) -> str:
    """A field's JSON Schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    match schema.get("type"):
        case None:
            return " or ".join(f"`{choice}`" for choice in schema["enum"])
        case "array":
            return f"list, at most {schema['maxItems']:,}, of {kind(schema['items'])}"
        case "integer":
            return f"integer, {schema['minimum']:,} to {schema['maximum']:,}"
    return _text(schema) if schema["type"] == "string" else str(schema["type"])


def _text(schema: dict[str, Any]) -> str:
    longest = f", at most {schema['maxLength']} characters" if "maxLength" in schema else ""
    form = schema.get("pattern", "").removesuffix(r"$(?!\n)").removeprefix("^")
    return f"text{longest}" + (f", `{form}`" if form else "")


@cache
def _meanings() -> dict[str, dict[str, str]]:
    """By struct and field."""
    found: dict[str, dict[str, str]] = {}
    for title, tables in _sections():
        names = [title, *([PARTS[title].__name__] if title in PARTS else [])]
        found |= dict(zip(names, tables, strict=True))
    return found


def _sections() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Heading and tables of fields, from docs/interfaces.md."""
    for section in re.split(r"^### ", (DOCS / "interfaces.md").read_text(), flags=re.MULTILINE):
        title, _, text = section.partition("\n")
        tables = [
            dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", table, re.MULTILINE))
            for table in text.split("| field | kind | meaning |")[1:]
        ]
        if tables:
            links = [
                {field: words.replace("](#", "](interfaces.md#") for field, words in table.items()}
                for table in tables
            ]
            yield title, links
