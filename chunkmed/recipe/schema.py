"""The JSON schema of recipes, made from the operations themselves: editors check against it."""

from __future__ import annotations

from typing import Any

from chunkmed.measures import MEASURES, PERCENTILE
from chunkmed.recipe.model import SCHEMA_VERSION
from chunkmed.recipe.operations import IMAGE_ARGUMENTS, OPERATIONS, Operation

__all__ = ["json_schema"]

_NAME = {"type": "string", "minLength": 1}
_NAMES = {"anyOf": [_NAME, {"type": "array", "items": _NAME, "minItems": 1}]}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a recipe.

    Examples
    --------
    >>> json_schema()["required"]
    ['schema']
    """
    steps = [_step(operation) for operation in OPERATIONS.values()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chunkmed recipe",
        "type": "object",
        "required": ["schema"],
        "additionalProperties": False,
        "properties": {
            "schema": {"const": SCHEMA_VERSION},
            "description": {"type": "string"},
            "parameters": {"type": "object"},
            "input": _input(),
            "step": {"type": "array", "items": {"anyOf": [*steps, _user_step()]}},
            "measure": {"type": "array", "items": _measure()},
            "output": _object({"save": _NAMES | {"anyOf": [_NAME, _list()]}, "picture": _NAME}),
        },
    }


def _input() -> dict[str, Any]:
    names = {"type": "object", "propertyNames": {"pattern": "^[0-9]+$"}, "additionalProperties": _NAME}
    return _object(
        {
            "modality": _NAME,
            "padding": {"enum": ["exclude", "include"]},
            "labels": _NAMES,
            "names": names,
        }
    )


def _list() -> dict[str, Any]:
    return {"type": "array", "items": _NAME}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    out = {"type": "object", "additionalProperties": False, "properties": properties}
    return out | {"required": list(required)} if required else out


def _step(operation: Operation) -> dict[str, Any]:
    settings: dict[str, Any] = {name: _NAME if name in IMAGE_ARGUMENTS else {} for name in operation.settings}
    properties = {"name": _NAME, "do": {"const": operation.name}, "of": _NAMES, **settings}
    return _object(properties, ("name", "do", "of")) | {"description": operation.about}


def _user_step() -> dict[str, Any]:
    """Return the schema of a function of the user's: ``package.module:function`` with any settings."""
    properties = {"name": _NAME, "do": {"type": "string", "pattern": ":"}, "of": _NAMES}
    return {"type": "object", "properties": properties, "required": ["name", "do", "of"]}


def _measure() -> dict[str, Any]:
    one = {"anyOf": [{"enum": list(MEASURES)}, {"type": "string", "pattern": PERCENTILE.pattern}]}
    what = {"anyOf": [one, {"type": "array", "items": one}]}
    return _object({"labels": _NAME, "of": _NAME, "what": what}, ("labels", "what"))
