"""A recipe as data: read from TOML and checked whole before anything runs."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chunkmed.errors import InputError
from chunkmed.measures import MEASURES, is_measure
from chunkmed.names import unknown
from chunkmed.recipe.operations import operation
from chunkmed.store import check_name

__all__ = ["Measurement", "Recipe", "Step", "load", "parse", "shipped"]

SCHEMA_VERSION = 1
REQUIRED = "?"
KEYS = {
    "": ("schema", "description", "parameters", "input", "step", "measure", "output"),
    "input": ("modality", "padding", "labels", "names"),
    "step": ("name", "do", "of"),
    "measure": ("labels", "of", "what"),
    "output": ("save", "picture"),
}


@dataclass(frozen=True)
class Step:
    """One named step: an operation, the steps it takes, its settings."""

    name: str
    do: str
    of: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all steps that this one takes."""
        more = (self.settings[name] for name in operation(self.do).images if name in self.settings)
        return (*self.of, *more)


@dataclass(frozen=True)
class Measurement:
    """What is measured of which labels."""

    labels: str
    of: str | None
    what: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """A pipeline: steps, measurements, outputs."""

    name: str
    text: str
    """The TOML it was read from."""
    description: str
    parameters: Mapping[str, Any]
    """What may be set from outside; "?" must be."""
    modality: str | None
    exclude_padding: bool
    steps: tuple[Step, ...]
    measurements: tuple[Measurement, ...]
    save: tuple[str, ...]
    picture: str | None
    labels: tuple[str, ...] = ()
    """Label images made elsewhere that it takes, by the names that steps and measurements use."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Names of their labels."""

    def step(self, name: str) -> Step:
        """Return a step by its name."""
        return next(step for step in self.steps if step.name == name)

    def check_parameters(self, given: Collection[str] = ()) -> None:
        """Refuse parameters and label images that must be given and are not; steps in ``given`` need none."""
        for label in self.labels:
            if label not in given:
                raise InputError(
                    f"the recipe needs the label image {label!r}",
                    kind="labels-missing",
                    where=f"recipe {self.name}, [input]",
                    fix=f"pass --labels {label}=FILE (a store, NIfTI or DICOM SEG)",
                )
        for step in _needed(self, given):
            for key, value in step.settings.items():
                name = value[1:] if isinstance(value, str) and value.startswith("$") else None
                if name is not None and self.parameters[name] == REQUIRED:
                    raise InputError(
                        f"the recipe needs {name!r}",
                        kind="parameter-missing",
                        where=f"recipe {self.name}, step {step.name!r}, key {key!r}",
                        fix=f"pass --set {name}=... (see: chunkmed recipe show {self.name})",
                    )

    def with_parameters(self, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe with parameters set; names that it does not have are refused."""
        for name in settings:
            if name not in self.parameters:
                raise unknown("parameter", name, self.parameters, f"recipe {self.name}")
        return replace(self, parameters={**self.parameters, **settings})


def _needed(recipe: Recipe, given: Collection[str]) -> list[Step]:
    """Return the steps that the outputs need, when ``given`` ones are there already."""
    for name in recipe.save:
        # Refused here: not when the image was computed that is to be called so.
        check_name(name)
    outputs = [*recipe.save, *([recipe.picture] if recipe.picture else [])]
    stack = [*outputs, *(name for m in recipe.measurements for name in (m.labels, m.of) if name)]
    found: dict[str, Step] = {}
    while stack:
        name = stack.pop()
        if name not in ("image", *recipe.labels) and name not in given and name not in found:
            found[name] = recipe.step(name)
            stack.extend(found[name].inputs)
    return [step for step in recipe.steps if step.name in found]


def shipped() -> dict[str, str]:
    """Return the text of the recipes that come with the package, by name.

    Examples
    --------
    >>> sorted(shipped())
    ['ejection-fraction', 'threshold-objects']
    """
    folder = importlib.resources.files("chunkmed.recipe") / "shipped"
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


def load(recipe: str | Path) -> Recipe:
    """Read a recipe by the name it ships under, or from a TOML file.

    Raises
    ------
    InputError
        If there is no such recipe, or anything in it is misspelt or does not fit together.

    Examples
    --------
    >>> load("ejection-fraction").parameters["radius"]
    '60 mm'
    """
    known = shipped()
    if str(recipe) in known:
        return parse(known[str(recipe)], str(recipe))
    path = Path(recipe)
    if path.suffix != ".toml" and not path.is_file():
        raise unknown("recipe", str(recipe), known, "shipped recipes")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        fix = f"check the path, or choose of {', '.join(known)}"
        raise InputError(
            "the recipe cannot be read", kind="no-recipe", where=str(path), why=why, fix=fix
        ) from error
    return parse(text, path.name)


def parse(text: str, name: str) -> Recipe:
    """Return the recipe of a TOML text."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        fix = "one key = value on each line; chunkmed recipe show ejection-fraction is an example"
        raise InputError(
            "the recipe is not TOML", kind="bad-recipe", where=name, why=str(error), fix=fix
        ) from error
    _check_keys(data, "", name)
    if data.get("schema") != SCHEMA_VERSION:
        raise _bad(name, f"schema = {data.get('schema')!r}", fix=f"write schema = {SCHEMA_VERSION}")
    about, output = _table(data, "input", name), _table(data, "output", name)
    if about.get("padding", "exclude") not in ("exclude", "include"):
        raise _bad(name, f"padding = {about['padding']!r}", fix='write "exclude" or "include"')
    recipe = Recipe(
        name=name,
        text=text,
        description=str(data.get("description", "")),
        parameters=_plain_table(data, "parameters", name),
        modality=about.get("modality"),
        exclude_padding=about.get("padding", "exclude") == "exclude",
        steps=tuple(_step(item, name) for item in _tables(data, "step", name)),
        measurements=tuple(_measurement(item, name) for item in _tables(data, "measure", name)),
        save=tuple(_names(output.get("save", []), name, "save")),
        picture=output.get("picture"),
        labels=tuple(_names(about.get("labels", []), name, "labels")),
        names=_label_names(about.get("names", {}), name),
    )
    _check_references(recipe)
    return recipe


def _bad(name: str, what: str, *, why: str = "", fix: str = "") -> InputError:
    return InputError(what, kind="bad-recipe", where=f"recipe {name}", why=why, fix=fix)


def _check_keys(table: Mapping[str, Any], kind: str, name: str) -> None:
    for key in table:
        if key not in KEYS[kind]:
            place = f"recipe {name}, [{kind}]" if kind else f"recipe {name}"
            raise unknown("key", key, KEYS[kind], place)


def _plain_table(data: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise _bad(name, f"{key} is not a table", fix=f"write [{key}]")
    return table


def _table(data: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    table = _plain_table(data, key, name)
    _check_keys(table, key, name)
    return table


def _tables(data: Mapping[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    tables = data.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(item, dict) for item in tables):
        raise _bad(name, f"{key} is not a list of tables", fix=f"write [[{key}]]")
    return tables


def _names(value: Any, name: str, key: str) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise _bad(name, f"{key} must name steps, not {value!r}")
    return names


def _label_names(value: Any, name: str) -> dict[int, str]:
    texts = isinstance(value, dict) and all(isinstance(text, str) and text for text in value.values())
    if not texts or not all(key.isdecimal() and int(key) > 0 for key in value):
        raise _bad(name, f"names = {value!r}", fix='write names = { 1 = "LV", 2 = "RV" }')
    return {int(key): text for key, text in value.items()}


def _required(table: Mapping[str, Any], keys: Sequence[str], kind: str, name: str) -> None:
    for key in keys:
        if key not in table:
            who = table.get("name", "without a name")
            raise _bad(name, f"the {kind} {who!r} lacks {key!r}")


def _step(table: dict[str, Any], name: str) -> Step:
    _required(table, ("name", "do", "of"), "step", name)
    settings = {key: value for key, value in table.items() if key not in KEYS["step"]}
    place = f"recipe {name}, step {table['name']!r}"
    try:
        found = operation(str(table["do"]))
    except InputError as error:
        error.where = place
        raise
    for key in settings:
        if key not in found.settings and not found.open_ended:
            raise unknown("key", key, (*found.settings, *KEYS["step"]), place)
    return Step(str(table["name"]), str(table["do"]), tuple(_names(table["of"], name, "of")), settings)


def _measurement(table: dict[str, Any], name: str) -> Measurement:
    _required(table, ("labels", "what"), "measure", name)
    _check_keys(table, "measure", name)
    what = _names(table["what"], name, "what")
    for item in what:
        if not is_measure(item):
            raise unknown("measure", item, MEASURES, f"recipe {name}, [[measure]]")
    return Measurement(str(table["labels"]), table.get("of"), tuple(what))


def _check_references(recipe: Recipe) -> None:
    """Refuse names that no step before has, and parameters that the recipe does not list."""
    known = ["image", *recipe.labels]
    if len(set(known)) < len(known):
        raise _bad(recipe.name, f"two inputs have one name: {', '.join(known)}")
    for step in recipe.steps:
        place = f"recipe {recipe.name}, step {step.name!r}"
        if step.name in known:
            raise _bad(recipe.name, f"two steps or inputs are called {step.name!r}")
        for value in step.inputs:
            _check_known(value, known, place)
        for value in step.settings.values():
            if isinstance(value, str) and value.startswith("$") and value[1:] not in recipe.parameters:
                raise unknown("parameter", value[1:], recipe.parameters, place)
        known.append(step.name)
    for name in recipe.save:
        # Refused here: not when the image was computed that is to be called so.
        check_name(name)
    outputs = [*recipe.save, *([recipe.picture] if recipe.picture else [])]
    measured = [name for m in recipe.measurements for name in (m.labels, m.of) if name]
    for value in (*outputs, *measured):
        _check_known(value, known, f"recipe {recipe.name}")


def _check_known(value: str, known: Sequence[str], place: str) -> None:
    if value not in known:
        raise unknown("step", value, known, place)
