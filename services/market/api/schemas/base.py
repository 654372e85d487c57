"""What the models share."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


Tick = Annotated[int, Field(ge=0, le=2**53, description="tick, a trading period of one hour")]
HomeId = Annotated[int, Field(ge=1, le=2**31 - 1, description="id of a home")]
EurPerKwh = Annotated[float, Field(description="EUR/kWh, exact with six decimals")]
NeurPerWh = Annotated[int, Field(description="the same exactly: nano-euro per Wh")]
Kwh = Annotated[float, Field(ge=0, description="kWh")]
Eur = Annotated[float, Field(description="EUR")]
Neur = Annotated[int, Field(description="the same exactly: nano-euro")]
DegreesC = Annotated[float, Field(description="degrees Celsius")]
NextCursor = Annotated[
    str | None, Field(description="give it as `cursor` for the next page; null: this is the last")
]


def whole(value: object) -> object:
    """JSON has one kind of number: 3.0 is the integer 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def like(**example: Any) -> ConfigDict:
    """The configuration of an answer with an example for the documentation."""
    return ConfigDict(frozen=True, json_schema_extra={"example": example})


PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "An error as RFC 9457 has it; `detail` is a sentence for people.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "example": "about:blank"},
        "title": {"type": "string", "example": "Unprocessable Content"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "example": 422},
        "detail": {
            "type": "string",
            "example": "limit is '0'; it must be an integer from 1 to 10000",
        },
        "instance": {"type": "string", "format": "uri-reference", "example": "/prices"},
        "errors": {
            "type": "array",
            "description": "with status 422: each wrong parameter",
            "items": {
                "type": "object",
                "required": ["parameter", "in", "value", "allowed", "detail"],
                "properties": {
                    "parameter": {"type": "string", "example": "limit"},
                    "in": {"type": "string", "example": "query"},
                    "value": {"type": "string", "example": "'0'"},
                    "allowed": {"type": "string", "example": "an integer from 1 to 10000"},
                    "detail": {"type": "string"},
                },
            },
        },
        "waiting_for": {"type": "array", "items": {"type": "string"}},
        "checks": {"type": "object", "additionalProperties": {"type": "boolean"}},
    },
}
