"""Build guide and API reference as plain HTML: ``python -m chunkmed.guide OUT``."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from chunkmed import __version__
from chunkmed.cli.failure import show
from chunkmed.errors import InputError

__all__ = ["ROOMS", "build"]

#: What users import; all else is ours.
ROOMS = (
    "chunkmed",
    "chunkmed.cardiac",
    "chunkmed.cluster",
    "chunkmed.cohort",
    "chunkmed.compare",
    "chunkmed.dicom",
    "chunkmed.errors",
    "chunkmed.guide",
    "chunkmed.intensity",
    "chunkmed.masks",
    "chunkmed.ndimage",
    "chunkmed.recipe",
    "chunkmed.report.plot",
    "chunkmed.resample",
    "chunkmed.testing",
)


def build(out: str | Path) -> Path:
    """Write one page for each room, with the guide, an index and a search; return the first page.

    Parameters
    ----------
    out : path
        A folder; made if missing.

    Returns
    -------
    Path
        ``index.html``.

    Raises
    ------
    InputError
        ``missing-extra`` without pdoc.
    """
    pdoc = _pdoc()
    modules = [importlib.import_module(name) for name in ROOMS]
    for module in modules:
        # Some names are imported on first use: let them be there.
        vars(module).update({name: getattr(module, name) for name in getattr(module, "__all__", ())})
    pdoc.render.configure(docformat="numpy", footer_text=f"chunkmed {__version__}", show_source=False)
    kept = "|".join(re.escape(name) for name in ROOMS)
    # A room brings all modules below it along.
    pdoc.pdoc(ROOMS[0], r"!chunkmed\..*", *ROOMS[1:], f"!(?!({kept})$).*", output_directory=Path(out))
    return Path(out) / "index.html"


def _pdoc() -> Any:
    try:
        import pdoc
    except ImportError as error:
        raise InputError(
            "pdoc is not installed", kind="missing-extra", why=str(error), fix='pip install "chunkmed[docs]"'
        ) from error
    return pdoc


def _main(words: list[str]) -> int:
    if len(words) != 1:
        sys.stderr.write("usage: python -m chunkmed.guide OUT\n")
        return 2
    try:
        sys.stdout.write(f"{build(words[0])}\n")
    except InputError as error:
        show(error, error.exit_code, as_json=False)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
