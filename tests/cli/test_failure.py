"""Whatever fails, the user sees one block or one JSON document, and a documented exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings

import click
import pytest

import chunkmed.cli
from chunkmed import dicom, private
from chunkmed.cli import failure
from chunkmed.errors import ChunkmedError, InputError, PlanError, SourceError, StoreError
from chunkmed.kinds import KINDS

PARTS = {
    "kind": "missing-slices",
    "series": "3f2a91c0d2e4",
    "file": "7c1f2a03be55",
    "tag": "(0020,0032)",
    "why": "steps are 3 mm, but 6 mm once",
    "kept": "nothing was written",
    "fix": "look for the file",
}


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a command whose scan raises something; return the exit code, stdout and stderr."""
    kept = warnings.showwarning, threading.excepthook, signal.getsignal(signal.SIGTERM)

    def call(error: BaseException | int, *words: str) -> tuple[int, str, str]:
        def scan(*_: object, **__: object) -> object:
            if isinstance(error, int):
                signal.raise_signal(error)
            raise error if isinstance(error, BaseException) else AssertionError("no signal came")

        monkeypatch.setattr(dicom, "scan", scan)
        # Workers of a test run ignore Ctrl-C.
        ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(SystemExit) as ended:
                chunkmed.cli.main(list(words) or ["scan", "x"])
        finally:
            signal.signal(signal.SIGINT, ctrl_c)
        return ended.value.code, *capfd.readouterr()

    yield call
    warnings.showwarning, threading.excepthook = kept[:2]
    signal.signal(signal.SIGTERM, kept[2])


def test_a_block_says_what_where_why_what_was_kept_and_what_to_do(run):
    code, out, said = run(SourceError("a slice is missing", **PARTS))
    assert (code, out) == (1, "")
    assert said.splitlines() == [
        "chunkmed: a slice is missing [missing-slices]",
        "  where   series 3f2a91c0d2e4, file 7c1f2a03be55, tag (0020,0032)",
        "  why     steps are 3 mm, but 6 mm once",
        "  kept    nothing was written",
        "  to do   look for the file",
        "  files   chunkmed which 7c1f2a03be55 says which they are",
    ]


def test_a_terminal_shows_names_and_wraps(run, monkeypatch):
    private.note("7c1f2a03be55", "/in/IM1\x1b[2J.dcm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    _, _, said = run(SourceError("a slice is missing", **PARTS))
    assert "7c1f2a03be55 is /in/IM1?[2J.dcm" in " ".join(said.split())
    assert max(len(click.unstyle(line)) for line in said.splitlines()) <= 50


def test_json_is_data(run):
    code, out, said = run(SourceError("a slice is missing", **PARTS), "scan", "x", "--json")
    assert (code, said) == (1, "")
    told = json.loads(out)["error"]
    assert told["exit_code"] == 1 and told["what"] == "a slice is missing"
    assert told["message"].startswith("a slice is missing (series 3f2a91c0d2e4, file")
    assert {name: told[name] for name in PARTS} == PARTS


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceError("no", kind="no-dicom"), 1),
        (StoreError("no", kind="damaged"), 1),
        (PlanError("no", kind="budget-too-small"), 1),
        (ChunkmedError("no", kind="demo-failed"), 1),
        (InputError("no", kind="bad-setting"), 2),
        (click.UsageError("no"), 2),
        (MemoryError(), 1),
        (RecursionError("no"), 1),
        (OSError(28, "No space left on device"), 1),
        (ZeroDivisionError("no"), 1),
        (KeyboardInterrupt(), 130),
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
    ],
)
def test_exit_codes_and_kinds(run, error, code):
    kinds = []
    for words in (["scan", "x"], ["scan", "x", "--json"]):
        ended, out, said = run(error, *words)
        assert ended == code and "Traceback" not in out + said
        kinds.append(json.loads(out)["error"]["kind"] if out else said.strip().split("[")[1].split("]")[0])
    assert kinds[0] == kinds[1] and kinds[0] in KINDS


def test_some_cases_failed(run, monkeypatch):
    """A command ends with 3 where it says so."""
    command = click.Command("scan", callback=lambda: failure.SOME_FAILED)
    monkeypatch.setattr(chunkmed.cli.cli, "get_command", lambda *_: command)
    code, _, said = run(ZeroDivisionError(), "scan")
    assert (code, said) == (3, "")


def test_a_fault_of_chunkmed_tells_where_and_not_what_it_read(run):
    """The text of an unexpected exception may quote a header."""
    code, out, said = run(ValueError("Doe^John 1970-01-01"))
    assert code == 1 and "Doe" not in out + said
    assert "an unexpected ValueError [unexpected]" in said and "cli/scan.py:" in said and "--debug" in said


@pytest.mark.parametrize("words", [("--debug", "scan", "x"), ("scan", "x", "--debug")])
def test_debug_adds_the_traceback_before_or_after_the_command(run, words):
    code, _, said = run(SourceError("a slice is missing", **PARTS), *words)
    assert code == 1 and said.startswith("Traceback") and "chunkmed: a slice is missing" in said


def test_a_reader_that_went_away_is_told_nothing(run):
    out = os.dup(1)
    try:
        code, _, said = run(BrokenPipeError())
    finally:
        os.dup2(out, 1)
        os.close(out)
    assert (code, said) == (1, "")


def test_wrong_usage_as_json(run):
    code, out, said = run(AssertionError(), "scan", "--json")
    assert (code, said) == (2, "") and json.loads(out)["error"]["kind"] == "usage"


def test_a_thread_that_fails_prints_no_traceback(run, capfd):
    run(SourceError("a slice is missing", **PARTS))
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    said = capfd.readouterr().err
    assert "ZeroDivisionError" in said and "Traceback" not in said


def test_errors_lists_kinds(run, capfd):
    with pytest.raises(SystemExit):
        chunkmed.cli.main(["errors"])
    assert len(capfd.readouterr().out.splitlines()) == len(KINDS)
    code, _, said = run(AssertionError(), "errors", "no-kind")
    assert code == 2 and "no-such-kind" in said


def test_which_finds_files_and_says_what_it_does_not_know(run, capfd):
    private.note("aa11bb22cc33", "/in/a.dcm")
    with pytest.raises(SystemExit) as ended:
        chunkmed.cli.main(["which", "aa11bb"])
    assert ended.value.code == 0 and capfd.readouterr().out.split() == ["aa11bb", "/in/a.dcm"]
    code, _, said = run(AssertionError(), "which", "ffffffffffff")
    assert code == 1 and "no-such-identifier" in said
    with pytest.raises(SystemExit) as ended:
        chunkmed.cli.main(["which", "ffffffffffff", "--json"])
    assert ended.value.code == 1 and json.loads(capfd.readouterr().out) == {"ffffffffffff": []}


def test_arguments_of_python_are_told_as_options_that_the_command_has(run):
    error = PlanError("too small", kind="budget-too-small", fix='give memory="4 GB", workers=1 (--workers)')
    assert "workers=1 (--workers) (--memory)" in run(error, "convert", "x", "y")[2]
    error = PlanError("too small", kind="budget-too-small", fix='give memory="4 GB"')
    assert "--memory" not in run(error, "scan", "x")[2]
