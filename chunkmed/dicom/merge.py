"""Series that are one image: a slice each, or a time point each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from chunkmed.dicom.families import families
from chunkmed.dicom.geometry import Cell, cells_of
from chunkmed.dicom.grouping import Group, same_plane
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.many import read_headers
from chunkmed.dicom.ordering import Ordered, ordered
from chunkmed.dicom.quiet import quiet
from chunkmed.dicom.stacks import stack_of
from chunkmed.dicom.study import Stack, Study
from chunkmed.dicom.timing import nearest_phases
from chunkmed.errors import ChunkmedError, SourceError
from chunkmed.private import file_identifier

__all__ = ["certainly_merged", "merged"]

_MOST_NAMED = 6


def merged(stacks: Sequence[Stack], *, phases: str | None = None) -> Stack:
    """Return the stack that several make together.

    Parameters
    ----------
    stacks : sequence of Stack
        Of different positions (a slice each, say), or of the same (a time point each).
    phases : {"nearest"}, optional
        See :meth:`Study.merge`.

    Raises
    ------
    SourceError
        If they do not make one image, naming the series.
    """
    if len({stack.key for stack in stacks}) < 2:
        raise _refuse("nothing-to-merge", "there are no two series to merge", f"{len(stacks)} selected")
    owner: dict[int, Stack] = {}
    frames: list[Frame] = []
    for stack in stacks:
        found = _frames_of(stack)
        owner |= {id(frame): stack for frame in found}
        frames += found
    _check_planes(frames, owner)
    cells = tuple(cells_of(frames))
    holders = [{owner[id(frame)].key for frame in cell.frames} for cell in cells]
    if all(len(keys) == 1 for keys in holders):
        part = _slices(stacks, frames, cells, phases)
    elif all(len(keys) == len(stacks) for keys in holders):
        part = _times(stacks, frames, cells)
    else:
        raise _overlap(cells, holders)
    return replace(stack_of(part), members=tuple(stack.key for stack in stacks))


def _frames_of(stack: Stack) -> list[Frame]:
    """Read the headers of a stack once more: a scan does not keep them."""
    if stack.faults:
        raise stack.faults[0]
    pixels = stack.pixels
    paths = pixels.paths
    places = {(int(file), int(frame)) for file, frame in pixels.places.reshape(-1, 2) if file >= 0}
    out: list[Frame] = []
    with quiet():
        found = list(read_headers(dict.fromkeys(paths, "")))
    for number, (path, read) in enumerate(found):
        if isinstance(read, str) or (read[0].file.size, read[0].file.mtime_ns) != tuple(
            pixels.files[number, :2]
        ):
            raise SourceError(
                "a file changed since the scan",
                kind="file-changed",
                file=file_identifier(path),
                fix="scan again",
            )
        out += [frame for frame in read if (number, frame.index) in places]
    return out


def _check_planes(frames: Sequence[Frame], owner: dict[int, Stack]) -> None:
    first = frames[0]
    others = [owner[id(frame)].key for frame in frames if not same_plane(first, frame)]
    placed = first.position is not None and first.orientation is not None
    if others or not placed:
        why = f"size, orientation or pixel spacing of {_named(others)} differ from {owner[id(first)].key}"
        raise _refuse(
            "not-one-geometry", "these series do not lie in parallel", why if placed else "no positions"
        )


def _slices(
    stacks: Sequence[Stack], frames: Sequence[Frame], cells: tuple[Cell, ...], phases: str | None
) -> Ordered:
    group = _group(stacks, frames, f"{len(stacks)} series at different positions merged to one image")
    counts = [len(cell.frames) for cell in cells]
    if len(set(counts)) == 1:
        return _only(group)
    common, _ = max(Counter(counts).items(), key=lambda pair: (pair[1], -pair[0]))
    odd = [f"slice {z} has {count}" for z, count in enumerate(counts) if count != common]
    text = f"most slices have {common} phases, but {_named(odd)}"
    series = nearest_phases([cell.frames for cell in cells], common) if phases == "nearest" else None
    if series is None:
        fix = 'leave series out, or study.merge(series=[...], phases="nearest") takes the nearest phases'
        raise _refuse("unequal-phases", "the series have different numbers of phases", text, fix)
    note = f"{text}: each got the {common} that are nearest in the cycle"
    return Ordered(group, cells, replace(series, assumptions=(*series.assumptions, note)))


def _times(stacks: Sequence[Stack], frames: Sequence[Frame], cells: tuple[Cell, ...]) -> Ordered:
    if any(len(cell.frames) > len(stacks) for cell in cells):
        text = f"{_named([stack.key for stack in stacks])} hold the same slices, several times each"
        raise _refuse("duplicate-position", "several series lie at the same positions", text)
    note = f"{len(stacks)} series at the same positions merged to one image"
    return _only(_group(stacks, frames, note))


def _group(stacks: Sequence[Stack], frames: Sequence[Frame], note: str) -> Group:
    name = "merged|" + "|".join(sorted(stack.key for stack in stacks))
    label = f"merged from {len(stacks)} series"
    return Group(tuple(frames), name, False, (("", label),), (note,))


def _only(group: Group) -> Ordered:
    parts = list(ordered(group))
    if len(parts) == 1 and parts[0].problem is None:
        return parts[0]
    if len(parts) == 1:
        raise _refuse("not-one-series", "no tag puts these series in order", str(parts[0].problem))
    apart = [part.group.labels[-1][1] for part in parts]
    raise _refuse("not-one-series", "these series are different kinds of image", _named(apart))


def _overlap(cells: Sequence[Cell], holders: Sequence[set[str]]) -> SourceError:
    shared = [(cell, keys) for cell, keys in zip(cells, holders, strict=True) if len(keys) > 1]
    named = [f"{' and '.join(sorted(keys))} at {cell.depth_mm:.4g} mm" for cell, keys in shared]
    fix = "leave out the series that are repeated"
    return _refuse("duplicate-position", "series lie at the same position", _named(named), fix)


def _named(parts: Sequence[str]) -> str:
    unique = list(dict.fromkeys(parts))
    more = f" and {len(unique) - _MOST_NAMED} more" if len(unique) > _MOST_NAMED else ""
    return ", ".join(unique[:_MOST_NAMED]) + more


def _refuse(kind: str, what: str, why: str, fix: str = "") -> SourceError:
    return SourceError(
        what, kind=kind, why=why, fix=fix or "choose the series with study.merge(series=[...])"
    )


# -- where it is certain ------------------------------------------------------------------------


def certainly_merged(study: Study, selector: str | int | None) -> Stack:
    """Return the stack that series make where nothing but one image can be meant; the only one as it is.

    Parameters
    ----------
    study : Study
        What was scanned.
    selector : str or int, optional
        A series of the image; without it there must be a single such image.

    Raises
    ------
    SourceError
        Saying why it is not certain.
    """
    images = study.images()
    if len(images) == 1:
        return study.select(selector)
    alike = list(families(images))
    if selector is not None:
        chosen = study.select(selector)
        alike = [family for family in alike if chosen in family]
    found: list[Stack] = []
    doubts: list[ChunkmedError] = []
    for family in alike:
        try:
            found.append(_certain(family))
        except ChunkmedError as error:
            doubts.append(error)
    if len(found) == 1 and not doubts:
        return found[0]
    if doubts:
        raise doubts[0]
    if found:
        return Study(tuple(found)).select(None)
    raise _refuse(
        "nothing-to-merge",
        "no series are certain to be one image",
        "no two have the same size, orientation, spacing and settings",
    )


def _certain(family: Sequence[Stack]) -> Stack:
    stack = merged(family)
    several = family[0].grid.shape[0] > 1
    if stack.problem is not None:
        raise stack.problem
    if stack.grid.time_dim != "t" or (len(stack.grid.z_mm) > len(family[0].grid.z_mm) and not several):
        raise _refuse(
            "not-one-series",
            "these series are not certain to be one image",
            f"{_named([stack.key for stack in family])} hold a single time point at different positions",
        )
    if not several and not stack.grid.time_known:
        raise _refuse(
            "not-one-series", "these series are not certain to be one image", "no tag gives their times"
        )
    return stack
