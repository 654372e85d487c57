"""JSON Schemas of the messages, read off their types, for programs in other languages.

``python -m lab.message_schemas`` writes docs/messages/ anew; a test sees to it that it is done.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from energymarket.messages import MESSAGE_TYPES, Message

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "messages"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema_of(message_type: type[Message]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a message.

    What a schema cannot say, that columns are of one length, stands in the description.
    """
    schema = msgspec.json.schema(message_type)
    for definition in schema["$defs"].values():
        definition["description"] = _description(definition)
    return {"$schema": _DIALECT, **schema}


def file_of(message_type: type[Message], folder: Path = FOLDER) -> Path:
    """Where the schema of a type is kept."""
    return folder / f"{message_type.__name__}.schema.json"


def text_of(message_type: type[Message]) -> str:
    """The schema as its file has it."""
    return json.dumps(schema_of(message_type), indent=2) + "\n"


def write(folder: Path = FOLDER) -> list[Path]:
    """Writes the schema of every message; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for message_type in MESSAGE_TYPES:
        file_of(message_type, folder).write_text(text_of(message_type))
    return [file_of(message_type, folder) for message_type in MESSAGE_TYPES]


def _description(definition: dict[str, Any]) -> str:
    columns = [
        name
        for name, field in definition["properties"].items()
        if field.get("items", {}).get("type") == "integer"
    ]
    gifts = [name for name in columns if name.startswith("gift_")]
    homes = [name for name in columns if name not in gifts]
    lines = [
        f"Columns of one length: {', '.join(group)}." for group in (homes, gifts) if len(group) > 1
    ]
    return "\n\n".join([inspect.cleandoc(definition["description"]), *lines])


def main() -> None:
    """Writes to the folder that is given, or to docs/messages."""
    for file in write(*map(Path, sys.argv[1:2])):
        print(file)


if __name__ == "__main__":
    main()
