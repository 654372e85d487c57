"""The OpenAPI document as data: what each operation takes, in words, and who answers at a path.

Error sentences are made from it, so that they cannot say anything else than the document does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_KINDS = {"integer": "an integer", "number": "a number", "string": "text", "boolean": "a boolean"}

WITHOUT_HEAD: Final = frozenset({"/stream", "/ledger"})
"""To ask for the head of a stream would mean to wait for ever, for the ledger's to copy it."""


class Contract:
    """Reads the document lazily: it is complete only when all routes are in place."""

    def __init__(self, openapi: Callable[[], dict[str, Any]]) -> None:
        self._openapi = openapi
        self._patterns: list[tuple[re.Pattern[str], str]] | None = None

    def template_at(self, path: str) -> str:
        """The template of the path, such as ``/homes/{home_id}``; ``other`` for an unlisted one."""
        if self._patterns is None:
            literal_first = sorted(self._openapi()["paths"], key=lambda path: path.count("{"))
            self._patterns = [(_pattern(template), template) for template in literal_first]
        return next((name for pattern, name in self._patterns if pattern.fullmatch(path)), "other")

    def methods_at(self, path: str) -> set[str]:
        """The methods that a path takes."""
        return {method.upper() for method in self._item_at(path)}

    def parameters(self, path: str, method: str) -> dict[tuple[str, str], Schema]:
        """(where, name) -> schema of the parameters of the operation at a path."""
        operation = self._item_at(path).get(method.lower(), {})
        return {
            (parameter["in"], parameter["name"]): parameter["schema"]
            for parameter in operation.get("parameters", ())
        }

    def body(self, path: str, method: str) -> dict[str, Schema]:
        """Name -> schema of the members of the body of the operation at a path."""
        operation = self._item_at(path).get(method.lower(), {})
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self._openapi()["components"]["schemas"][name]
        members: dict[str, Schema] = schema.get("properties", {})
        return members

    def _item_at(self, path: str) -> Mapping[str, Any]:
        item: Mapping[str, Any] = self._openapi()["paths"].get(self.template_at(path), {})
        return item


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]+\}", template)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))


def in_words(schema: Schema) -> str:
    """What a schema allows: ``an integer from 1 to 10000``, ``one of csv, json``."""
    choices = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    if choices:
        return in_words(choices[0])
    if "enum" in schema:
        return f"one of {', '.join(str(value) for value in schema['enum'])}"
    if "const" in schema:
        return str(schema["const"])
    words = _KINDS.get(schema.get("type", ""), "a value")
    return f"{words}{_range_in_words(schema)}{_text_in_words(schema)}"


def _range_in_words(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {_plain(low)} to {_plain(high)}"
    if low is not None:
        return f" of {_plain(low)} or more"
    return f" of {_plain(high)} or less" if high is not None else ""


def _text_in_words(schema: Schema) -> str:
    words = ""
    if "maxLength" in schema:
        words += f" of {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    return words + (f" that matches {schema['pattern']}" if "pattern" in schema else "")


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
