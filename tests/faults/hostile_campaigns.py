"""The long forms of the tests of hostile input, each with its figure.

==========================================================  ===========================================
``python tests/faults/hostile_campaigns.py files 100000``   so many mutated DICOM files (a seed may follow)
``python tests/faults/hostile_campaigns.py bombs``          every bomb, in a process of its own
``python tests/faults/hostile_campaigns.py names``          every name on every way in
``python tests/faults/hostile_campaigns.py folder 1000``    a folder of so many files, a tenth hostile
==========================================================  ===========================================
"""

from __future__ import annotations

import resource
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.hostile import trees
from faults.hostile.costs import bomb_campaign
from faults.hostile.files import file_campaign, memory_folder, mutated
from faults.hostile.folders import convert_all, write_folder, written_series
from faults.hostile.seeds import all_seeds

from chunkmed import dicom
from chunkmed.dicom.walk import printable

_STEP = 5000


def files(folder: Path, count: int, seed: int = 1) -> int:
    """Mutate DICOM files; print what is found as it is found."""
    seeds, found = all_seeds(), 0
    for first in range(0, count, _STEP):
        last = min(count, first + _STEP)
        for case, what in file_campaign(seeds, first, last, seed=seed, convert=True):
            found += 1
            say(f"case {case} ({mutated(seeds, seed, case)[0]}): {what}")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = (used.ru_utime + used.ru_stime) * 1000 / last
        say(f"{last} mutated files of {len(seeds)} seeds, {found} findings, {spent:.1f} ms each")
    return found


def bombs(folder: Path) -> int:
    """Explode every bomb in a process of its own."""
    found = bomb_campaign(folder, seconds=2.0, batch=1, say=say)
    for _, what in found:
        say(what)
    say(f"{len(found)} cost more than 512 MiB or 2 s, or ended otherwise than they may")
    return len(found)


def names(folder: Path) -> int:
    """Try every name on every way in."""
    written_series(folder / "series")
    done = found = 0
    for number, attack in enumerate(trees.attacks(folder / "series")):
        said, changed = trees.run_attack(attack, folder / str(number))
        trees.check_printable(said)
        done += 1
        if changed:
            found += 1
            say(f"{attack.way} {attack.name!r} changed {changed}")
    say(f"{done} attacks, {found} outside the root")
    return found


def folder(where: Path, count: int, seed: int = 1) -> int:
    """Scan and convert a folder of which a tenth is hostile."""
    series, hostile = write_folder(where / "in", count, seed)
    study = dicom.scan(where / "in")
    named = {item.path for item in study.skipped}
    named |= {printable(path) for stack in study.stacks for path in stack.pixels.paths}
    unnamed = [path for path in hostile if printable(str(path)) not in named]
    good, refused = convert_all(study, where)
    say(f"{count} files, {len(hostile)} hostile: {good} of {series} good series converted, values equal;")
    say(f"{len(study.skipped)} skipped with a reason, {refused} refused when read, {len(unnamed)} unnamed")
    return series - good + len(unnamed)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(kind: str, *words: str) -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        found = {"files": files, "bombs": bombs, "names": names, "folder": folder}[kind](
            Path(name), *map(int, words)
        )
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
