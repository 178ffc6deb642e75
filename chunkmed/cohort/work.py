"""What is done with each case: a recipe, or a function ``image -> Dataset``."""

from __future__ import annotations

import base64
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle

from chunkmed.errors import InputError
from chunkmed.names import imported
from chunkmed.provenance import content_hash, versions
from chunkmed.recipe import Recipe, load
from chunkmed.recipe.model import parse

__all__ = ["Function", "Work"]

Function = Callable[..., Any]
_FIX = 'write "package.module:function"; from Python, pass the function itself once more'


@dataclass(frozen=True)
class Work:
    """A recipe as text with its parameters, or the name of a function and a hash of its code."""

    name: str
    text: str = ""
    """TOML of the recipe; empty for a function."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    """Hash of the function's code."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """What of DICOM is accepted."""
    pickled: str = ""
    """The function where it cannot be imported by its name; never on disk."""

    @classmethod
    def of(
        cls,
        recipe: str | Path | Recipe | Function,
        parameters: Mapping[str, Any],
        choices: Mapping[str, Any],
    ) -> Work:
        """Return the work that a recipe, its name, or a function stands for."""
        if isinstance(recipe, str) and ":" in recipe and not recipe.endswith(".toml"):
            recipe = imported(recipe, _FIX)
        if callable(recipe):
            if parameters:
                raise InputError("a function takes no --set", kind="bad-setting", fix="use functools.partial")
            return cls._of_function(recipe, choices)
        found = recipe if isinstance(recipe, Recipe) else load(recipe)
        found = found.with_parameters(parameters)
        return cls(found.name, found.text, dict(found.parameters), choices=dict(choices))

    @classmethod
    def _of_function(cls, function: Function, choices: Mapping[str, Any]) -> Work:
        module = getattr(function, "__module__", None) or ""
        name = getattr(function, "__qualname__", type(function).__name__)
        if _is_importable(function, module, name):
            return cls(f"{module}:{name}", code=_code_of(function), choices=dict(choices))
        pickled = cloudpickle.dumps(function)
        # With it what the function holds on to: the same lines with another number are another function.
        code = hashlib.sha256(pickled).hexdigest()[:16]
        text = base64.b64encode(pickled).decode()
        return cls(f"{module}:{name}", code=code, choices=dict(choices), pickled=text)

    @property
    def is_recipe(self) -> bool:
        """Whether it is a recipe."""
        return bool(self.text)

    def token(self) -> str:
        """Return a text that changes with what is done, and with the version that does it."""
        done = self.text or self.code
        return content_hash(self.name, done, self.parameters, self.choices, versions()["chunkmed"])

    def recipe(self) -> Recipe:
        """Return the recipe, its parameters set."""
        return parse(self.text, self.name).with_parameters(self.parameters)

    def function(self) -> Function:
        """Return the function.

        Raises
        ------
        InputError
            ``no-function`` where only the process that planned the cohort has it; ``other-code``
            where it is another one by now.
        """
        if self.pickled:
            function: Function = cloudpickle.loads(base64.b64decode(self.pickled))
            return function
        found = imported(self.name, _FIX)
        if _code_of(found) != self.code:
            raise InputError(
                f"the function {self.name!r} is not the one that the cohort was planned with",
                kind="other-code",
                fix="plan the cohort again: what changes nothing is kept",
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return what is written down: no pickle."""
        plain = {"name": self.name, "text": self.text, "parameters": dict(self.parameters)}
        return plain | {"code": self.code, "choices": dict(self.choices)}


def _is_importable(function: Function, module: str, name: str) -> bool:
    if module in ("", "__main__", "__mp_main__") or "<" in name:
        return False
    try:
        return imported(f"{module}:{name}", _FIX) is function
    except InputError:
        return False


def _code_of(function: Function) -> str:
    try:
        return content_hash(inspect.getsource(function))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return (
            content_hash(code.co_code.hex(), repr(code.co_consts)) if code else content_hash(repr(function))
        )
