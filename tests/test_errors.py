"""Errors: one message, stable kinds, and they cross process borders."""

import ast
import pickle
import re
from pathlib import Path

import pytest

import chunkmed
from chunkmed import errors
from chunkmed.errors import ChunkmedError, InputError, PlanError, SourceError, StoreError
from chunkmed.kinds import KINDS

PARTS = {
    "what": "nothing to read",
    "kind": "no-files",
    "series": "3f2a",
    "file": "7c1f",
    "tag": "(0020,0032)",
    "where": "study/",
    "why": "it is empty",
    "kept": "3 series were kept",
    "fix": "check the path",
}


def calls():
    """Every error that the package makes: (file, call)."""
    folder = Path(chunkmed.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in errors.__all__:
                yield path.relative_to(folder).as_posix(), node


def test_the_message_has_all_parts_in_order():
    error = SourceError(**PARTS)
    place = "series 3f2a, file 7c1f, tag (0020,0032), study/"
    assert str(error) == f"nothing to read ({place}): it is empty; 3 series were kept; check the path"
    assert error.as_dict() == PARTS


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "nothing to read"),
        ({"where": "a"}, "nothing to read (a)"),
        ({"why": "b"}, "nothing to read: b"),
        ({"fix": "c"}, "nothing to read; c"),
        ({"where": "a", "kept": "d"}, "nothing to read (a); d"),
    ],
)
def test_parts_that_are_not_known_leave_no_trace(given, text):
    assert str(ChunkmedError("nothing to read", kind="no-files", **given)) == text


@pytest.mark.parametrize("cls", [ChunkmedError, SourceError, StoreError, PlanError, InputError])
def test_errors_pickle(cls):
    error = cls(**PARTS)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls and copy.as_dict() == PARTS and str(copy) == str(error)
    # Once more: a copy is as good as the original.
    assert pickle.loads(pickle.dumps(copy)).as_dict() == PARTS


def test_the_tree():
    for cls in (SourceError, StoreError, PlanError, InputError):
        assert issubclass(cls, ChunkmedError)
    assert issubclass(InputError, ValueError)
    assert not issubclass(StoreError, OSError | ValueError)


def test_kinds_are_kebab_case_everywhere():
    found = list(calls())
    assert len(found) > 50
    for name, call in found:
        kinds = [word.value for word in call.keywords if word.arg == "kind"]
        # **parts of an error that is passed on hold its kind.
        passed_on = any(word.arg is None for word in call.keywords)
        assert len(kinds) == 1 or passed_on, f"{name}:{call.lineno} has no kind"
        for kind in kinds:
            if isinstance(kind, ast.Constant):
                assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", kind.value), f"{name}:{call.lineno}"


def test_messages_are_one_clause():
    """They start small (or with a quoted value) and do not end in a full stop: parts are joined."""
    for name, call in calls():
        for text in [*call.args[:1], *(word.value for word in call.keywords if word.arg in PARTS)]:
            if isinstance(text, ast.Constant):
                assert not text.value.endswith("."), f"{name}:{call.lineno}"


def literal_kinds():
    """Every text that may become a kind: given as one, or the first or second text of what makes an error."""
    folder = Path(chunkmed.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = [word.value for word in node.keywords if word.arg == "kind" and name != "argsort"]
            if name in ("_refuse", "refused"):
                given += node.args[:2]
            for part in given:
                for text in ast.walk(part):
                    if isinstance(text, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z]+)*", str(text.value)):
                        yield f"{path.relative_to(folder)}:{node.lineno}", text.value


def test_every_kind_is_listed_with_what_it_means():
    """A new kind needs a row in ``chunkmed/kinds.py``; a row that nothing raises goes."""
    found = dict(reversed(pair) for pair in literal_kinds())
    assert len(found) > 130
    assert {kind: where for kind, where in found.items() if kind not in KINDS} == {}
    named = set(found) | {row[0] for row in geometry_kinds()}
    assert set(KINDS) - named == set()


def geometry_kinds():
    from chunkmed.dicom import grouping

    return grouping._GEOMETRY.values()


def test_meanings_are_short_lines():
    assert list(KINDS) == list(dict.fromkeys(KINDS))
    for kind, meaning in KINDS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind) and 4 < len(meaning) < 90, kind
        assert not meaning.endswith(".")
