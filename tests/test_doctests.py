"""Every example in a docstring runs; every module can be imported."""

import doctest
import importlib
import pkgutil

import pytest

import chunkmed

NAMES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(chunkmed.__path__, "chunkmed.")
    if not name.endswith("__main__")
)
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
