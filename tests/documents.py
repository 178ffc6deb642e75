"""Documents that run: code blocks of a Markdown file in order, what they print against what the file says."""

from __future__ import annotations

import contextlib
import doctest
import io
import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunkmed.cli import cli

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
#: How a block begins that reads nothing.
_LAZY = "# lazy"
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One block of code and what it should print; ``lazy`` ones read no voxel."""

    line: int
    language: str
    code: str
    lazy: bool
    expected: str | None


def blocks(path: Path) -> Iterator[Block]:
    """Yield the code blocks of a file; a ``text`` block behind one is what it prints."""
    text = path.read_text()
    found = list(_FENCE.finditer(text))
    for i, match in enumerate(found):
        language, code = match.groups()
        if language == "text":
            continue
        after = found[i + 1] if i + 1 < len(found) else None
        follows = after is not None and after[1] == "text" and not text[match.end() : after.start()].strip()
        expected = after[2] if follows and after is not None else None
        yield Block(text.count("\n", 0, match.start()) + 2, language, code, code.startswith(_LAZY), expected)


def run(block: Block, path: Path, namespace: dict[str, Any]) -> str:
    """Run a block of Python; return what it printed. Tracebacks name the line of the document."""
    code = compile("\n" * (block.line - 1) + block.code, str(path), "exec")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, namespace)
    return said.getvalue()


def run_shell(block: Block) -> str:
    """Run the commands of a block of shell in this process; return what they printed, errors are raised."""
    said = io.StringIO()
    for line in block.code.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "chunkmed", line
        with contextlib.redirect_stdout(said):
            cli.main(words, prog_name="chunkmed", standalone_mode=False)
    return said.getvalue()


def agrees(expected: str, said: str) -> bool:
    """Whether what was printed is what the document says, ``...`` standing for anything."""
    return doctest.OutputChecker().check_output(expected, said, _FLAGS)


def with_outputs(path: Path, said: dict[int, str]) -> str:
    """Return the text of a document with what its blocks (by line) really print."""
    text, out, at = path.read_text(), [], 0
    found = list(_FENCE.finditer(text))
    for before, match in itertools.pairwise(found):
        line = text.count("\n", 0, before.start()) + 2
        if match[1] == "text" and line in said and not agrees(match[2], said[line]):
            out += [text[at : match.start(2)], said[line]]
            at = match.end(2)
    return "".join([*out, text[at:]])
