"""``chunkmed plot``: a picture on disk, or one line that says why not."""

import numpy as np
import pytest
from matplotlib.image import imread

import chunkmed as cm
from chunkmed.cli import main
from chunkmed.coords import attach
from chunkmed.grid import Grid


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    grid = Grid(*(tuple(2.0 * np.arange(n)) for n in (6, 20, 24)), (0.0, 40.0))
    values = np.zeros((2, 6, 20, 24), "int16")
    values[:, 1:3, 4:9, 3:8] = 500
    path = tmp_path_factory.mktemp("plotted") / "a.zarr"
    image = cm.save(attach(values, grid, attrs={"modality": "CT"}), path)
    cm.save(image > 100, path, name="box")
    return path


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["plot", *map(str, words)])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_views_through_what_is_labelled(stored, tmp_path, capsys):
    target = tmp_path / "new" / "views.png"
    code, out, err = run(
        capsys, stored, target, "--labels", "box", "--fill", "--window", "100,400", "--dpi", "50"
    )
    assert (code, out, err) == (0, f"wrote      {target}\n", "")
    pixels = imread(target)[..., :3]
    # The orange of label 1 over white.
    assert ((np.abs(pixels - [0.95, 0.81, 0.5]) < 0.06).all(axis=-1)).sum() > 100
    assert [path.name for path in target.parent.iterdir()] == ["views.png"]


def test_slices_over_time_as_vectors(stored, tmp_path, capsys):
    target = tmp_path / "over.svg"
    assert run(capsys, stored, target, "--kind", "montage", "--axis", "t", "--lps", "10,12,4")[0] == 0
    assert target.read_text().startswith("<?xml") and "t = 40 ms" in target.read_text()


def test_a_montage_of_a_cine_slice_is_over_time(stored, tmp_path, capsys):
    cm.save(cm.open(stored).isel(z=[2]), tmp_path / "cine.zarr")
    target = tmp_path / "cine.svg"
    assert run(capsys, tmp_path / "cine.zarr", target, "--kind", "montage")[0] == 0
    assert "t = 0 ms" in target.read_text() and "t = 40 ms" in target.read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["a.docx"], 2, "no pictures are written as 'a.docx'"),
        (["a.png", "--window", "chest"], 2, "no window 'chest'"),
        (["a.png", "--window", "1,2,3"], 2, "give 2 numbers"),
        (["a.png", "--lps", "0,0"], 2, "give 3 numbers"),
        (["a.png", "--lps", "0,0,999"], 2, "lies outside the image"),
        (["a.png", "--time", "2"], 2, "t = 2"),
        (["a.png", "--labels", "none"], 1, "no label image 'none'"),
        (["a.png", "--kind", "montage", "--axis", "w"], 2, "a slice across 'w'"),
        (["/dev/null/a.png"], 1, "the picture cannot be written"),
    ],
)
def test_refusals(stored, capsys, words, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, out, err = run(capsys, stored, *words)
    assert (found, out) == (code, "") and err.startswith("chunkmed: ") and said in err
    assert all(line.startswith("  ") for line in err.splitlines()[1:]) and not list(tmp_path.iterdir())
