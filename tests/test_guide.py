"""The guide as it stands: every block of every page runs, prints what it says, and lazy ones read nothing.

``CHUNKMED_REWRITE_GUIDE=1`` writes what blocks print into the pages.
"""

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import documents
import pytest

import chunkmed
from chunkmed.graph.nodes import Source
from chunkmed.guide.__main__ import ROOMS, _main

FOLDER = Path(chunkmed.__file__).parent / "guide"
#: That on Slurm runs where Slurm does, tests/services.
PAGES = sorted(set(FOLDER.glob("*.md")) - {FOLDER / "slurm.md"})
#: Folders that pages read, and the real series behind them.
REAL = {"chest": "ct_chest_ge_cmbcrc", "pet": "pet_ac_ge_perslice_slope_jpegls", "bold": "mr_fmri_ge_4d"}


@pytest.fixture
def reads(monkeypatch):
    """Boxes that were read from any source."""
    seen = []
    compute = Source.compute

    def counted(self, box, arrays, fetch):
        seen.append(box)
        return compute(self, box, arrays, fetch)

    monkeypatch.setattr(Source, "compute", counted)
    return seen


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page, reads, real_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, folder in REAL.items():
        (tmp_path / name).symlink_to(real_data / folder)
    namespace, said = {"__name__": "__main__"}, {}
    for block in documents.blocks(page):
        if block.language not in ("python", "sh"):
            continue
        before = len(reads)
        in_shell = block.language == "sh"
        said[block.line] = documents.run_shell(block) if in_shell else documents.run(block, page, namespace)
        assert not block.lazy or len(reads) == before, f"{page.name}:{block.line} reads voxels"
        if not os.environ.get("CHUNKMED_REWRITE_GUIDE"):
            assert block.expected is not None or not said[block.line], f"{page.name}:{block.line} prints"
            assert documents.agrees(block.expected or "", said[block.line]), said[block.line]
    if os.environ.get("CHUNKMED_REWRITE_GUIDE"):
        page.write_text(documents.with_outputs(page, said))


def test_every_page_is_in_the_guide():
    assert "tutorial" in [page.stem for page in PAGES]
    said = importlib.import_module("chunkmed.guide").__doc__ or ""
    assert {line.split()[-1] for line in said.splitlines() if "include::" in line} == {
        page.name for page in FOLDER.glob("*.md")
    }


def test_guide_and_reference_are_built(tmp_path):
    pytest.importorskip("pdoc", reason="the test extra is not installed")
    code = "import sys; from chunkmed.guide.__main__ import build; build(sys.argv[1])"
    # In a process of its own: it puts names into modules.
    subprocess.run([sys.executable, "-W", "error:::pdoc", "-c", code, str(tmp_path)], check=True)
    for room in ROOMS:
        module = importlib.import_module(room)
        text = (tmp_path / Path(*room.split("."))).with_suffix(".html").read_text()
        names = [
            name for name in getattr(module, "__all__", ()) if not inspect.ismodule(getattr(module, name))
        ]
        missing = [name for name in names if f'id="{name}"' not in text]
        assert not missing, f"{room}: {missing}"
    assert "How to: lung volumes" in (tmp_path / "chunkmed" / "guide.html").read_text()


def test_without_the_extra_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pdoc", None)
    assert _main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "[missing-extra]" in said and "chunkmed[docs]" in said


def test_a_document_can_be_wrong(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\n# lazy\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    (block,) = documents.blocks(page)
    assert block.lazy and not documents.agrees(block.expected, documents.run(block, page, {}))
    page.write_text(documents.with_outputs(page, {block.line: "2\n"}))
    (block,) = documents.blocks(page)
    assert documents.agrees(block.expected, documents.run(block, page, {}))
