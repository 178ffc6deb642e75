"""Every example in a docstring runs; every module can be imported."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import chunkmed
from chunkmed.guide.__main__ import ROOMS

NAMES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(chunkmed.__path__, "chunkmed.")
    if not name.endswith("__main__")
)
#: Where names stand that users import; those of the others are shown by the guide.
OTHERS = {f"chunkmed.{room}" for room in ("cluster", "dicom", "errors", "guide", "recipe")}
FINDER = doctest.DocTestFinder(exclude_empty=True)


def examples_of(name):
    found = FINDER.find(importlib.import_module(name), name)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", ["chunkmed", *NAMES])
def test_examples(name, tmp_path, monkeypatch):
    # Examples that write do so here.
    monkeypatch.chdir(tmp_path)
    runner, said = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), []
    for test in examples_of(name):
        runner.run(test, out=said.append)
    assert not runner.summarize(verbose=False).failed, "".join(said)


def test_there_are_examples():
    names = {test.name for name in NAMES for test in examples_of(name)}
    assert len(names) > 20
    for wanted in (
        "chunkmed.ndimage.labels.label",
        "chunkmed.measures.measuring.measure",
        "chunkmed.explanation.explain",
    ):
        assert wanted in names


@pytest.mark.parametrize("room", sorted({*ROOMS} - OTHERS))
def test_every_public_name_has_an_example(room):
    module = importlib.import_module(room)
    public = [getattr(module, name) for name in module.__all__]
    without = [
        each.__name__ for each in public if callable(each) and ">>>" not in (inspect.getdoc(each) or "")
    ]
    assert without == []
