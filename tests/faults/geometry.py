"""Series whose geometry was tampered with: each must be refused, or warned of, or come out as the truth.

Every voxel of a series holds a number of its own, so that the truth is a table: number -> where it lies in
the patient. Headers are written here byte by byte, as nothing that writes DICOM would write them.

Long form: ``python tests/faults/geometry.py 100000``.
"""

from __future__ import annotations

import os
import random
import struct
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chunkmed.dicom.scan import scan
from chunkmed.errors import ChunkmedError

ROWS, COLUMNS = 3, 4
#: Cases of the short form.
SHORT = 1000
POSITION, ORIENTATION, SPACING = 0x00200032, 0x00200037, 0x00280030
THICKNESS, BETWEEN, LOCATION = 0x00180050, 0x00180088, 0x00201041
NUMBER, SERIES, INSTANCE, FRAME = 0x00200013, 0x0020000E, 0x00080018, 0x00200052
TRIGGER, ROW_COUNT, SLICES, PIXELS = 0x00181060, 0x00280010, 0x00540081, 0x7FE00010
_VR = {
    0x00080016: "UI", INSTANCE: "UI", 0x00080060: "CS", THICKNESS: "DS", BETWEEN: "DS", TRIGGER: "DS",
    SERIES: "UI", NUMBER: "IS", POSITION: "DS", ORIENTATION: "DS", FRAME: "UI", LOCATION: "DS",
    0x00280002: "US", 0x00280004: "CS", ROW_COUNT: "US", 0x00280011: "US", SPACING: "DS", 0x00280100: "US",
    0x00280101: "US", 0x00280102: "US", 0x00280103: "US", SLICES: "US", PIXELS: "OW",
}  # fmt: skip
_MR, _CT, _PET = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("4", "2", "128"))
Slice = dict[int, object]
#: What no header tells apart from a good series. Each row: what was done -> why it cannot be seen.
UNDECIDABLE = {
    "all moved": "a series that is moved as a whole is another good series",
    "all scaled": "without SpacingBetweenSlices and SliceLocation other positions are other slices",
    "all mirrored": "mirrored positions are those of another patient; SliceLocation has no agreed sign",
    "all turned": "another orientation with the same positions is a sheared, or mirrored, good series",
    "all pixels": "nothing but PixelSpacing says how large a pixel is",
    "end dropped": "nothing counts the slices of a series (of PET NumberOfSlices does)",
    "end over end": "the first slice put behind the last makes another good series",
    "every second dropped": "without SpacingBetweenSlices what is left is a good series",
    "dropped and put together": "what is left, scaled or moved to the old distances, is a good series",
    "one left": "a single image may well be one of a series",
    "replaced by its double": "of an image and its copy with other pixels nothing says which is the true one",
    "exchanged": "without SliceLocation and numbers nothing tells which slice lies where",
}


@dataclass
class Base:
    """A good series and the truth about it."""

    slices: list[Slice]
    truth: dict[int, np.ndarray]
    step_mm: float
    pixel_mm: float
    times: int
    seen_by: frozenset[int]


@dataclass
class Case:
    """A series under attack: what was done, and what of it cannot be seen."""

    slices: list[Slice]
    done: list[str] = field(default_factory=list)
    excuses: list[tuple[str, frozenset[int]]] = field(default_factory=list)
    """What was done that cannot be seen, and the witnesses that would see it."""
    spoiled: set[int] = field(default_factory=set)
    """Witnesses that were tampered with."""

    def excuse(self, name: str, *witnesses: int) -> None:
        """Say that something was done, and which elements tell."""
        self.excuses.append((name, frozenset(witnesses)))


def base(rng: random.Random) -> Base:
    """Return a series of 3 to 7 slices, at 1 to 3 time points, anywhere."""
    count, times = rng.randint(3, 7), rng.choice((1, 1, 1, 2, 3))
    row, column = _plane(rng)
    normal = np.cross(row, column)
    step, pixel = rng.choice((0.6, 1.25, 2.5, 5.0, 8.0)), rng.choice((0.4, 0.9375, 2.0))
    first = np.array([rng.uniform(-300, 300) for _ in range(3)]).round(3)
    seen_by = frozenset(tag for tag in (BETWEEN, LOCATION, NUMBER, SLICES) if rng.random() < 0.6)
    sop = rng.choice((_MR, _CT, _PET)) if times == 1 else _MR
    names = {_MR: "MR", _CT: "CT", _PET: "PT"}
    slices, truth = [], {}
    y, x = np.divmod(np.arange(ROWS * COLUMNS)[:, None], COLUMNS)
    plane = x * pixel * row + y * pixel * column
    for z in range(count):
        for t in range(times):
            number = z * times + t
            position = first + z * step * normal
            tags: Slice = {
                0x00080016: sop, INSTANCE: f"1.2.3.{number + 1}", 0x00080060: names[sop], SERIES: "1.2.9",
                FRAME: "1.2.8", THICKNESS: _ds(step), POSITION: _ds(*position),
                ORIENTATION: _ds(*row, *column),
                SPACING: _ds(pixel, pixel), 0x00280002: 1, 0x00280004: "MONOCHROME2", ROW_COUNT: ROWS,
                0x00280011: COLUMNS, 0x00280100: 16, 0x00280101: 16, 0x00280102: 15, 0x00280103: 0,
            }  # fmt: skip
            marks: Slice = {BETWEEN: _ds(step), LOCATION: _ds(position @ normal), NUMBER: str(number + 1)}
            marks |= {SLICES: count} if sop == _PET else {}
            tags |= {tag: mark for tag, mark in marks.items() if tag in seen_by}
            if times > 1:
                tags[TRIGGER] = _ds(t * 40.0 + z)
            values = np.arange(ROWS * COLUMNS, dtype="<u2") + 1 + number * ROWS * COLUMNS
            tags[PIXELS] = values.tobytes()
            slices.append(tags)
            lies = np.array(_numbers(tags[POSITION])) + plane
            truth |= dict(zip(values.tolist(), lies, strict=True))
    witnesses = seen_by - ({SLICES} if sop != _PET else set())
    return Base(slices, truth, step, pixel, times, frozenset(witnesses))


def _plane(rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    planes = ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1])
    kind = rng.randrange(4)
    if kind < 3:
        return np.array(planes[kind][:3], float), np.array(planes[kind][3:], float)
    turned, _ = np.linalg.qr(np.random.default_rng(rng.randrange(2**31)).normal(size=(3, 3)))
    return turned[0].round(9), turned[1].round(9)


def _ds(*values: float) -> str:
    return "\\".join(f"{value + 0.0:.9f}"[:16] for value in values)


def _numbers(text: object) -> list[float]:
    return [float(part) for part in str(text).split("\\")]


# -- mutations ----------------------------------------------------------------------------------

Mutation = Callable[[random.Random, Base, Case], None]


def _moved(rng: random.Random, base: Base, case: Case) -> None:
    tags, normal = rng.choice(case.slices), _normal(case.slices[0])
    by = rng.choice((0.001, 0.01, 0.03, 0.1, 0.5, 1.0, 1.5, -0.7, -1.0, 3.0, -30.0)) * base.step_mm
    _shift(tags, by * normal)
    steps = np.diff(sorted(set(_depths(case))))
    if abs(by) > base.step_mm and np.ptp(steps) < 1e-3:
        case.excuse("end over end", LOCATION, NUMBER)


def _moved_across(rng: random.Random, base: Base, case: Case) -> None:
    tags = rng.choice(case.slices)
    row = np.array(_numbers(case.slices[0][ORIENTATION])[:3])
    _shift(tags, rng.choice((0.05, 0.15, 0.3, 1.0, -2.0, 40.0)) * base.pixel_mm * row)


def _moved_all(rng: random.Random, base: Base, case: Case) -> None:
    by = np.array([rng.uniform(-50, 50) for _ in range(3)])
    for tags in case.slices:
        _shift(tags, by)
    case.excuse("all moved")


def _scaled(rng: random.Random, base: Base, case: Case) -> None:
    factor, origin = rng.choice((0.1, 0.5, 0.9, 1.1, 2.0, 3.0, 10.0)), _position(case.slices[0])
    for tags in case.slices:
        tags[POSITION] = _ds(*(origin + factor * (_position(tags) - origin)))
    case.excuse("all scaled", BETWEEN, LOCATION)


def _mirrored(rng: random.Random, base: Base, case: Case) -> None:
    axis = rng.randrange(3)
    chosen = case.slices if rng.random() < 0.5 else [rng.choice(case.slices)]
    for tags in chosen:
        position = _position(tags)
        position[axis] *= -1
        tags[POSITION] = _ds(*position)
    if len(chosen) > 1:
        case.excuse("all mirrored")


def _turned(rng: random.Random, base: Base, case: Case) -> None:
    """Change what an orientation says: signs, the order of its halves, its length, a small angle."""
    a = _numbers(case.slices[0][ORIENTATION])
    row, column = np.array(a[:3]), np.array(a[3:])
    angle = np.deg2rad(rng.choice((0.001, 0.5, 20.0)))
    cos, sin = np.cos(angle), np.sin(angle)
    new = rng.choice(
        (
            [*-row, *column], [*row, *-column], [*column, *row], [*(2 * row), *column], [*row, *row],
            [0.0] * 6, [*(cos * row + sin * column), *(cos * column - sin * row)],
        )
    )  # fmt: skip
    chosen = case.slices if rng.random() < 0.4 else [rng.choice(case.slices)]
    for tags in chosen:
        tags[ORIENTATION] = _ds(*new)
    if len(chosen) > 1:
        case.excuse("all turned")


def _no_number(rng: random.Random, base: Base, case: Case) -> None:
    """Write what is no number, or too few or too many, into one image or all."""
    tag = rng.choice((POSITION, ORIENTATION, SPACING, THICKNESS, BETWEEN, LOCATION, NUMBER))
    case.spoiled.add(tag)
    for tags in case.slices if rng.random() < 0.3 else [rng.choice(case.slices)]:
        if tag not in tags:
            continue
        parts = str(tags[tag]).split("\\")
        parts[rng.randrange(len(parts))] = rng.choice(("nan", "inf", "-inf", "1e39", "", "x", "0", "-1"))
        tags[tag] = rng.choice(("\\".join(parts), "", "\\".join(parts[:-1]), "\\".join([*parts, "1"])))
        if rng.random() < 0.2:
            del tags[tag]
    if tag == SPACING and len({str(tags.get(SPACING)) for tags in case.slices}) == 1:
        case.excuse("all pixels")


def _pixels(rng: random.Random, base: Base, case: Case) -> None:
    new = rng.choice(("0\\0", "-1\\-1", "nan\\nan", "inf\\inf", "1\\0", "2\\3", "1e9\\1e9", "0.5\\0.5"))
    chosen = case.slices if rng.random() < 0.5 else [rng.choice(case.slices)]
    for tags in chosen:
        tags[SPACING] = new
    if len(chosen) > 1:
        case.excuse("all pixels")


def _thick(rng: random.Random, base: Base, case: Case) -> None:
    tag = rng.choice((THICKNESS, BETWEEN))
    new = rng.choice(("0", "-1", "nan", "inf", "", _ds(base.step_mm / 2), _ds(2 * base.step_mm), "999"))
    case.spoiled.add(tag)
    for tags in case.slices if rng.random() < 0.6 else [rng.choice(case.slices)]:
        tags[tag] = new


def _dropped(rng: random.Random, base: Base, case: Case) -> None:
    """Leave out whole positions, or one image of one."""
    depths = _depths(case)
    places = sorted(set(depths))
    kind = rng.randrange(4)
    gone = {rng.choice(places)}
    if kind == 0:
        gone = set(places[1::2])
    elif kind == 1:
        gone = {rng.choice((places[0], places[-1]))}
    if kind == 3 and base.times > 1:
        case.slices.pop(rng.randrange(len(case.slices)))
        return
    case.slices[:] = [tags for tags, depth in zip(case.slices, depths, strict=True) if depth not in gone]
    if gone & {places[0], places[-1]}:
        case.excuse("end dropped", SLICES)
    if kind == 0 or len(places) == 3:
        case.excuse("every second dropped", BETWEEN, SLICES)


def _doubled(rng: random.Random, base: Base, case: Case) -> None:
    """Write an image twice: as it is, under another UID, with other pixels, or at another time."""
    copy = dict(rng.choice(case.slices))
    kind = rng.randrange(4)
    if kind > 0:
        copy[INSTANCE] = "1.2.3.9999"
    if kind > 1:
        copy[PIXELS] = bytes(reversed(bytes(copy[PIXELS])))  # type: ignore[call-overload]
    if kind > 2 and NUMBER in copy:
        copy[NUMBER] = "77"
    case.slices.append(copy)


def _exchanged(rng: random.Random, base: Base, case: Case) -> None:
    one, other = rng.sample(case.slices, 2)
    one[POSITION], other[POSITION] = other[POSITION], one[POSITION]
    places = {round(float(_position(tags) @ _normal(case.slices[0])), 3) for tags in case.slices}
    case.excuse("exchanged", LOCATION, NUMBER)
    if len(places) == 3 and base.times == 1 and _apart(one, other) > 1.5 * base.step_mm:
        # The ends of three: all of the series is mirrored.
        case.excuse("all mirrored")


def _apart(one: Slice, other: Slice) -> float:
    """Return how far apart two images lie, in mm."""
    return float(np.linalg.norm(_position(one) - _position(other)))


def _one_place(rng: random.Random, base: Base, case: Case) -> None:
    """Give an image the position of another."""
    one, other = rng.sample(case.slices, 2)
    one[POSITION] = other[POSITION]


def _told_wrong(rng: random.Random, base: Base, case: Case) -> None:
    """Tamper with what places nothing: locations, numbers, counts, frames of reference."""
    tag, new = rng.choice(((LOCATION, "7.5"), (LOCATION, "0"), (NUMBER, "3"), (FRAME, "1.2.77"), (SLICES, 9)))
    case.spoiled.add(tag)
    if tag in case.slices[0] or tag == FRAME:
        rng.choice(case.slices)[tag] = new


def _elsewhere(rng: random.Random, base: Base, case: Case) -> None:
    """Say that an image is of another series."""
    rng.choice(case.slices)[SERIES] = "1.2.9.1"


MUTATIONS: dict[str, Mutation] = {
    "moved": _moved,
    "moved across": _moved_across,
    "all moved": _moved_all,
    "scaled": _scaled,
    "mirrored": _mirrored,
    "turned": _turned,
    "no number": _no_number,
    "pixel spacing": _pixels,
    "thickness": _thick,
    "dropped": _dropped,
    "doubled": _doubled,
    "exchanged": _exchanged,
    "one place": _one_place,
    "told wrong": _told_wrong,
    "another series": _elsewhere,
}


def _normal(tags: Slice) -> np.ndarray:
    a = _numbers(tags[ORIENTATION])
    return np.cross(a[:3], a[3:])


def _position(tags: Slice) -> np.ndarray:
    return np.array(_numbers(tags[POSITION]))


def _shift(tags: Slice, by: np.ndarray) -> None:
    tags[POSITION] = _ds(*(_position(tags) + by))


def _depths(case: Case) -> list[float]:
    normal = _normal(case.slices[0])
    return [round(float(_position(tags) @ normal), 3) for tags in case.slices]


# -- running them -------------------------------------------------------------------------------


def mutated(seed: int) -> tuple[Base, Case]:
    """Return a good series and what became of it: one mutation mostly, two in a third of cases."""
    rng = random.Random(seed)
    good = base(rng)
    case = Case([dict(tags) for tags in good.slices])
    names = rng.sample(sorted(MUTATIONS), 1 if rng.random() < 0.67 else 2)
    for name in names:
        try:
            MUTATIONS[name](rng, good, case)
        except (ValueError, IndexError, KeyError):
            # The second finds nothing to work on: what the first one left is the case.
            continue
        case.done.append(name)
    rng.shuffle(case.slices)
    return good, case


def write(folder: Path, slices: list[Slice]) -> None:
    """Write the files of a series and nothing else."""
    for path in folder.iterdir():
        path.unlink()
    for number, tags in enumerate(slices):
        (folder / f"{number}.dcm").write_bytes(encoded(tags))


def encoded(tags: Slice) -> bytes:
    """Return a file in Explicit VR Little Endian."""
    meta = b"".join(_element(tag, "UI", _bytes("UI", text)) for tag, text in _META)
    body = b"".join(_element(tag, _VR[tag], _bytes(_VR[tag], tags[tag])) for tag in sorted(tags))
    return bytes(128) + b"DICM" + _element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body


_META = ((0x00020002, _MR), (0x00020003, "1.2.3"), (0x00020010, "1.2.840.10008.1.2.1"))


def _bytes(vr: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if vr == "US":
        return struct.pack("<H", value)
    raw = str(value).encode()
    return raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)


def _element(tag: int, vr: str, raw: bytes) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return (
        head + (bytes(2) + struct.pack("<I", len(raw)) if vr == "OW" else struct.pack("<H", len(raw))) + raw
    )


@dataclass
class Verdict:
    """What chunkmed made of a case."""

    outcome: str
    """``refused``, ``warned``, ``harmless``, ``undecidable``, or ``silent`` and ``unnamed``: faults."""
    about: str = ""


def judged(folder: Path, seed: int) -> Verdict:
    """Run the case of a number as a user would."""
    return judgement(folder, *mutated(seed))


def judgement(folder: Path, good: Base, case: Case) -> Verdict:
    """Convert what is there, strictly, and compare with the truth."""
    write(folder, case.slices)
    try:
        study = scan(folder)
        if any("cannot be put together" in item.reason for item in study.skipped):
            return Verdict("unnamed", study.skipped[0].reason)
        stack = study.select()
        if stack.problem is not None:
            raise stack.problem
        values = stack.read([(0, size) for size in stack.shape])
    except ChunkmedError as error:
        named = error.kind != "unexpected" and (error.series or error.fix)
        return Verdict("refused" if named else "unnamed", error.kind)
    if study.skipped:
        return Verdict("warned", study.skipped[0].reason)
    told = [text for text in stack.warnings if "PixelPadding" not in text]
    if told:
        return Verdict("warned", told[0])
    off = _deviation(good, stack.grid, values)
    if off is None:
        return Verdict("harmless")
    _excuse_pairs(case, off)
    intact = good.seen_by - case.spoiled
    unseen = sorted(name for name, witnesses in case.excuses if not witnesses & intact)
    if unseen:
        return Verdict("undecidable", unseen[0])
    return Verdict("silent", f"{' + '.join(case.done)}: {off}")


def _excuse_pairs(case: Case, off: str) -> None:
    """Say what two mutations did to one another."""
    done = set(case.done)
    if len(case.slices) == 1:
        case.excuse("one left")
    missing, _, new = off.partition(" voxels are missing, ")
    if {"doubled", "dropped"} <= done and new == f"{missing} new":
        case.excuse("replaced by its double")
    if "dropped" in done and done & {"scaled", "moved", "one place"}:
        case.excuse("dropped and put together", LOCATION, SLICES)


def _deviation(good: Base, grid: object, values: np.ndarray) -> str | None:
    """Return how an image differs from the truth, None where it does not.

    A position may be off by as much as still counts as even: steps within 2 % of their median, which
    moves one of three slices by 4 %, and lines within 0.1 pixel.
    """
    flat = values.reshape(-1, *values.shape[-3:])
    found = Counter(values.ravel().tolist())
    if set(found) != set(good.truth) or max(found.values()) > 1:
        return (
            f"{len(set(good.truth) - set(found))} voxels are missing, {len(set(found) - set(good.truth))} new"
        )
    _, z, y, x = np.nonzero(np.ones_like(flat))
    axes = [np.array(axis) for axis in (grid.x_mm, grid.y_mm, grid.z_mm)]  # type: ignore[attr-defined]
    lps = grid.to_lps(np.stack([axes[0][x], axes[1][y], axes[2][z]], axis=1))  # type: ignore[attr-defined]
    truth = np.array([good.truth[value] for value in flat.ravel().tolist()])
    off = float(np.linalg.norm(np.asarray(lps) - truth, axis=1).max())
    allowed = 0.045 * good.step_mm + 0.25 * good.pixel_mm + 1e-3
    return None if off <= allowed else f"{off:.3g} mm off"


def campaign(seeds: Iterator[int] | range) -> tuple[Counter[str], list[tuple[int, Verdict]]]:
    """Judge many cases; return how many ended how, and the faults."""
    counts: Counter[str] = Counter()
    faults: list[tuple[int, Verdict]] = []
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for seed in seeds:
            try:
                verdict = judged(Path(folder), seed)
            except Exception as error:
                verdict = Verdict("unnamed", f"{type(error).__name__}: {error}")
            counts[verdict.outcome] += 1
            if verdict.outcome == "undecidable":
                counts[f"  {verdict.about}"] += 1
            if verdict.outcome in ("silent", "unnamed"):
                faults.append((seed, verdict))
    return counts, faults


if __name__ == "__main__":
    start, stop = (0, int(sys.argv[1])) if len(sys.argv) < 3 else map(int, sys.argv[1:3])
    counts, faults = campaign(range(start, stop))
    for outcome, count in counts.items():
        print(f"{count:>8} {outcome}")  # noqa: T201
    for seed, verdict in faults[:40]:
        print(f"seed {seed}: {verdict.outcome}: {verdict.about}")  # noqa: T201
    sys.exit(bool(faults))
