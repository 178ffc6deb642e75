"""Names and paths that lead elsewhere: what is made of each lies below the folder that it was meant for."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from faults.hostile import build

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.errors import ChunkmedError, InputError
from chunkmed.graph.views import from_reader
from chunkmed.grid import Grid
from chunkmed.recipe.model import parse
from chunkmed.store import check_name

NAMES: tuple[str, ...] = (
    "", ".", "..", "...", "/", "//", "./", "../", "../x", "../../x", "../../../../etc/passwd",
    "a/../../x", "/etc/passwd", "/x", "a/b", "a/", "./a", "a\\b", "..\\..\\x", "C:\\x", "\\\\host\\share",
    "file:///etc/passwd", "http://127.0.0.1/x", "%2e%2e%2fx", "..%00", "a\0b", "\0", "a\nb", "a\r",
    "a\tb", "\x1b[2J", "\x1b]0;x\x07", "\x7f", "\u202egnp.mcd", "\u200b", "\ufeffa", "\u2028",
    "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/x", "\u2024\u2024/x", "e\u0301", "\u00e9", "\udcff",
    "\ud800", "~", "~root", "$HOME", "${PATH}", "`id`", "$(id)", ";rm -rf x", "|cat", "&", "-rf",
    "--help", "-", "*", "?", "[a]", "{a}", "'", '"', "a b", " ", " a", "a ", "a.", ".hidden", "#x", "a#b",
    "zarr.json", ".zgroup", ".zattrs", "manifest.json", "x.json", "x.draft", "x.lock", "x.ledger",
    ".zarr.json.draft", "x.partial-0123456789abcdef", ".partial-0123456789abcdef",
    "x.replaced-0123456789abcdef", "x.partial-", "0", "1", "c", "labels", "image", "con", "NUL",
    "aux.txt", "A", "a", "None", "true", "1e5", "nan", "a" * 128, "a" * 129, "a" * 255, "a" * 300,
    "b" * 5000, "\N{GREEK SMALL LETTER ALPHA}" * 130, "x" * 100 + "/..", "__proto__", "__init__",
    "<script>", "%s%n", "{0.__class__}", "\N{PILE OF POO}",
)  # fmt: skip


#: Ways on which most names end in an image being written.
LONG = ("store name", "tag", "file name")


class Attack(NamedTuple):
    """One name on one way in, and what it does there."""

    way: str
    name: str
    act: Callable[[Path], None]
    """Called with a folder of its own; only below ``out`` in it may anything change."""


def attacks(data: Path) -> Iterator[Attack]:
    """Yield every attack; ``data`` is a folder with a DICOM series."""
    stack = cm.scan(data).stacks[0]
    for way, act in _WAYS.items():
        for name in NAMES:
            yield Attack(way, name, lambda root, act=act, name=name: act(root, name, data, stack))


def run_attack(attack: Attack, root: Path) -> tuple[str, set[str]]:
    """Run one attack in a folder; return what came of it, and what changed outside of ``out``."""
    (root / "out").mkdir(parents=True)
    (root / "canary").write_text("sings")
    here = Path.cwd()
    os.chdir(root / "out")
    try:
        attack.act(root)
        said = "done"
    except ChunkmedError as error:
        said = f"{error.kind}: {error}"
    finally:
        os.chdir(here)
    outside = {str(p.relative_to(root)) for p in root.rglob("*") if p.relative_to(root).parts[0] != "out"}
    changed = outside ^ {"canary"}
    if (root / "canary").read_text() != "sings":
        changed.add("canary")
    return said, changed


class _Small:
    """An image of eight voxels."""

    shape, dtype, chunks, token = (1, 2, 2, 2), np.dtype(np.int16), (1, 2, 2, 2), "small"

    def read(self, box):
        return np.ones(self.shape, self.dtype)[tuple(slice(a, b) for a, b in box)]


def small_image():
    grid = Grid(z_mm=(0.0, 1.0), y_mm=(0.0, 1.0), x_mm=(0.0, 1.0), time_ms=(0.0,))
    return attach(from_reader(_Small()), grid)


_template: list[tempfile.TemporaryDirectory[str]] = []


def _copied_store(root: Path) -> Path:
    """Return a store of its own for an attack: written once, copied."""
    if not _template:
        _template.append(tempfile.TemporaryDirectory())
        cm.save(small_image(), Path(_template[0].name) / "image.zarr", pyramid=False)
    return shutil.copytree(Path(_template[0].name) / "image.zarr", root / "out" / "image.zarr")


def _label(root: Path, name: str, data: Path, stack: object) -> None:
    store = _copied_store(root)
    before = set(_names(store))
    saved = cm.save(small_image() > 0, store, name=name, overwrite=True, pyramid=False)
    assert saved.shape == (1, 2, 2, 2)
    new = {path for path in _names(store) if path not in before}
    strange = [path for path in new if not path.startswith(("labels/zarr.json", f"labels/{name}/"))]
    assert {p for p in strange if p not in ("labels", f"labels/{name}")} == set(), strange


def _store(root: Path, name: str, data: Path, stack: object) -> None:
    # What a user names is his: a path that leads elsewhere is not an attack, a name made of one is.
    if Path(name).is_absolute() or ".." in name.replace("\\", "/").split("/") or name.startswith("~"):
        return
    cm.save(small_image(), name, overwrite=True, pyramid=False)
    assert cm.open(name).shape == (1, 2, 2, 2)


def _open(root: Path, name: str, data: Path, stack: object) -> None:
    store = _copied_store(root)
    cm.open(store, label=name)


def _scan(root: Path, name: str, data: Path, stack: object) -> None:
    if name not in (".", "./", "...", "..", "../", "/", "//"):
        cm.scan(name)


def _select(root: Path, name: str, data: Path, stack: object) -> None:
    cm.convert(data, root / "out" / "image.zarr", series=name, pyramid=False)


def _recipe(root: Path, name: str, data: Path, stack: object) -> None:
    quoted = '"' + "".join(f"\\U{ord(c):08x}" if not 0xD800 <= ord(c) < 0xE000 else "?" for c in name) + '"'
    text = (
        'schema = 1\n[[step]]\nname = NAME\ndo = "threshold"\nof = "image"\nabove = 1\n'
        "[output]\nsave = [NAME]\n"
    )
    recipe = parse(text.replace("NAME", quoted), "attack")
    try:
        check_name(recipe.save[0])
    except InputError as error:
        raise AssertionError("found out only when its image was computed") from error


def _file(root: Path, name: str, data: Path, stack: object) -> None:
    raw = name.encode("utf-8", "surrogateescape" if name == "\udcff" else "surrogatepass")
    if b"\0" in raw or b"/" in raw or raw in (b"", b".", b"..") or len(raw) > 255:
        return
    folder = root / "out" / "in"
    folder.mkdir()
    path = folder / os.fsdecode(raw)
    path.write_bytes(build.file_of(build.image(SOPInstanceUID="1.2.9")))
    study = cm.scan(root / "out" / "in")
    assert study.stacks[0].read([(0, 1), (0, 1), (0, 8), (0, 8)]).shape == (1, 1, 8, 8)
    os.truncate(path, 300)
    for act in (lambda: cm.scan(root / "out" / "in"), lambda: study.stacks[0].read([(0, 1)] * 4)):
        try:
            act()
        except ChunkmedError as error:
            check_printable(str(error))


def _tags(root: Path, name: str, data: Path, stack: object) -> None:
    folder = root / "out" / "in"
    folder.mkdir()
    raw = name.encode("utf-8", "replace")[:64]
    body = build.image(
        SeriesInstanceUID=raw, SOPInstanceUID=raw, Modality=raw[:16], extra={
            0x0008103E: build.element(0x0008103E, "LO", raw + b" " * (len(raw) % 2)),
            0x00100010: build.element(0x00100010, "PN", raw + b" " * (len(raw) % 2)),
            0x00100020: build.element(0x00100020, "LO", raw + b" " * (len(raw) % 2)),
        },
    )  # fmt: skip
    (folder / "a.dcm").write_bytes(build.file_of(body))
    study = cm.scan(folder)
    check_printable(str(study).replace("\n", ""))
    assert "/" not in study.stacks[0].key
    cm.convert(study, root / "out" / "image.zarr", pyramid=False)


def _index(root: Path, name: str, data: Path, stack: object) -> None:
    """A DICOMDIR that refers to files outside."""
    folder = root / "out" / "in"
    folder.mkdir()
    raw = name.replace("/", "\\").encode("utf-8", "replace")[:64]
    record = build.element(0x00041500, "CS", raw + b" " * (len(raw) % 2))
    records = build.mark(build.ITEM, len(record)) + record
    body = build.element(0x00080016, "UI", b"1.2.840.10008.1.3.10") + build.element(0x00041220, "SQ", records)
    (folder / "DICOMDIR").write_bytes(build.file_of(body))
    (root / "outside.dcm").write_bytes(build.file_of(build.image()))
    try:
        study = cm.scan(folder)
    finally:
        (root / "outside.dcm").unlink()
    assert not study.stacks


def _names(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def check_printable(text: str) -> None:
    """Refuse what a terminal would obey, or an output cannot encode."""
    text.encode("utf-8")
    assert text.isprintable(), ascii(text)


_WAYS: dict[str, Callable[[Path, str, Path, object], None]] = {
    "label name": _label,
    "label to open": _open,
    "store name": _store,
    "path to scan": _scan,
    "series selector": _select,
    "recipe output": _recipe,
    "file name": _file,
    "tag": _tags,
    "index": _index,
}
