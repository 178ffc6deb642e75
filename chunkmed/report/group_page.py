"""A page about many cases: counts, distributions, curves, failures, outliers, a picture of each."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from chunkmed.drafts import draft_of
from chunkmed.errors import InputError
from chunkmed.report.group import Card, Group
from chunkmed.report.group_charts import draw_curves, draw_distributions, thumbnail
from chunkmed.report.words import titled
from chunkmed.units import format_bytes, format_number

__all__ = ["page_template", "write_group_page"]

#: More pictures on one page than anyone looks at.
_CARDS_OF_PAGE = 200


def write_group_page(folder: Path, group: Group) -> list[Path]:
    """Write ``index.html``, further pages of cases, and their pictures; nothing is asked of a network.

    Parameters
    ----------
    folder : Path
        Where the pages go. Pictures lie beside them, results of the cases are linked.
    group : Group
        What is shown.

    Returns
    -------
    list of Path
        The pages.

    Raises
    ------
    InputError
        ``missing-extra`` where jinja2 is not installed.
    """
    template = page_template()
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    # Where cases have several time points, there are curves.
    of_times = " of the medians over time" if group.curves else ""
    charts = [
        (f"Distributions{of_times}", draw_distributions(group.values, pictures / "distributions.png")),
        ("All curves over time", draw_curves(group.curves, pictures / "curves.png")),
    ]
    done = [card for card in group.cards if not card.kind]
    starts = range(0, max(1, len(done)), _CARDS_OF_PAGE)
    names = ["index.html" if not start else f"cases-{start // _CARDS_OF_PAGE + 1}.html" for start in starts]
    for number, (start, name) in enumerate(zip(starts, names, strict=True)):
        cards = [_shown(card, folder, pictures) for card in done[start : start + _CARDS_OF_PAGE]]
        shown = {"cards": cards, "pages": names, "number": number, "first": not number}
        more = _overview(group, folder, charts) if not number else {}
        with draft_of(folder / name) as draft:
            draft.write_text(template.render(**shown, **more), encoding="utf-8")
    return [folder / name for name in names]


def page_template() -> Any:
    """Return what pages are made from, or refuse where jinja2 is not installed."""
    try:
        import jinja2
    except ImportError as error:
        raise InputError(
            "the page of the group needs jinja2",
            kind="missing-extra",
            fix='pip install "chunkmed[report]", or leave the page out (--no-page)',
        ) from error
    text = (files("chunkmed.report") / "templates" / "group.html.j2").read_text(encoding="utf-8")
    # Ids and messages come from outside: everything is escaped.
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"number": format_number, "titled": titled}
    return environment.from_string(text)


def _overview(group: Group, folder: Path, charts: list[tuple[str, Path | None]]) -> dict[str, Any]:
    failed = [card for card in group.cards if card.kind]
    memory = format_bytes(group.summary.get("peak_memory_bytes", 0))
    return {
        "summary": group.summary,
        "memory": memory,
        "charts": [(title, _link(path, folder)) for title, path in charts if path is not None],
        "failures": [_shown(card, folder, None) for card in failed],
        "outliers": group.outliers,
        "measures": group.summary.get("measures", {}),
    }


def _shown(card: Card, folder: Path, pictures: Path | None) -> dict[str, Any]:
    small = None
    if card.picture is not None and pictures is not None:
        small = thumbnail(card.picture, pictures / f"{card.case}.png")
    log = card.folder / "log.txt"
    return {
        "id": card.case_id,
        "small": None if small is None else _link(small, folder),
        "picture": None if card.picture is None else _link(card.picture, folder),
        "folder": _link(card.folder, folder) + "/",
        "log": _link(log, folder) if log.is_file() else None,
        "kind": card.kind,
        "message": card.message,
        "marks": card.marks,
        "notes": card.notes,
        "facts": [f"{titled(name)} {format_number(value)}" for name, value in card.facts.items()],
        "took": f"{card.seconds:.1f} s, {format_bytes(card.peak_bytes)}",
    }


def _link(path: Path, folder: Path) -> str:
    return quote(os.path.relpath(path, folder).replace(os.sep, "/"))
