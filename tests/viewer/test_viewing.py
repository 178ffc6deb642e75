"""A store in neuroglancer: where its voxels are put, and, where there is a browser, what is seen."""

import concurrent.futures
import io
import shutil
import subprocess
import sys

import numpy as np
import pytest

import chunkmed as cm
from chunkmed.cli import main
from chunkmed.coords import attach, grid_of
from chunkmed.errors import ChunkmedError, InputError
from chunkmed.grid import Grid
from chunkmed.slices.planes import plane_across
from chunkmed.viewer import view_store
from chunkmed.viewer.orientation import quaternion_of, steps_of, to_patient

#: As coronal series are often stored: x to the right of the patient, y to the feet, z to the back.
TURNED = ((-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
SIZES, STEPS = (30, 40, 48), (4.0, 3.0, 2.5)
#: A bright ball at the left, front and head side, mm from the middle.
BALL = np.array([25.0, -25.0, 30.0])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    z, y, x = (np.arange(n) * step for n, step in zip(SIZES, STEPS, strict=True))
    direction = np.array(TURNED)
    centre = direction @ np.array([x.mean(), y.mean(), z.mean()])
    grid = Grid(
        *(tuple(axis.tolist()) for axis in (z, y, x)),
        (0.0, 40.0),
        direction=TURNED,
        origin_mm=tuple((-centre).tolist()),
    )
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    lps = np.tensordot(direction, np.stack([xx, yy, zz]), 1) - centre[:, None, None, None]
    ball = np.sum((lps - BALL[:, None, None, None]) ** 2, axis=0) < 9**2
    values = np.stack([np.where(ball, 900, 100)] * 2).astype("int16")
    image = attach(values, grid, attrs={"padding_value": 100})
    path = tmp_path_factory.mktemp("viewed") / "a.zarr"
    cm.save(image, path)
    cm.save((image > 500).astype("u1"), path, name="ball")
    return path


def rotate(quaternion, vector):
    """Return a vector turned by a quaternion (x, y, z, w)."""
    axis, real = np.array(quaternion[:3]), quaternion[3]
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + real * vector)


def test_positions_become_the_patients(stored):
    grid = grid_of(cm.open(stored))
    matrix = np.array(to_patient(grid))
    point = np.array([40.0, 8.0, 9.0, 10.0, 1.0])
    assert np.allclose(matrix @ point, [40.0, *grid.to_lps([[10.0, 9.0, 8.0]])[0]])
    assert steps_of(grid) == [40.0, *STEPS]


def test_views_look_the_way_pages_are_drawn():
    c, s = np.cos(0.4), np.sin(0.4)
    tilted = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.3), (0.0, 0.0, 1.0))
    for direction in (TURNED, ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)), tilted):
        grid = Grid((0.0, 1.0), (0.0, 1.0), (0.0, 1.0), direction=direction)
        for axis in "zyx":
            plane = plane_across(axis, grid)
            found = quaternion_of(plane, grid)
            columns = dict(zip("xyz", np.array(direction).T, strict=True))
            right = columns[plane.horizontal] * (1 if plane.right else -1)
            down = columns[plane.vertical] * (1 if plane.down else -1)
            assert np.allclose(rotate(found, np.array([1.0, 0, 0])), right / np.linalg.norm(right))
            seen = rotate(found, np.array([0, 1.0, 0]))
            assert seen @ down / np.linalg.norm(down) > 0.95 and np.isclose(np.linalg.norm(found), 1)


def test_what_is_told_to_neuroglancer(stored):
    pytest.importorskip("neuroglancer", reason="the extra [view] is not installed")
    with view_store(stored) as viewing:
        assert viewing.url.startswith("http://127.0.0.1:")
        state = viewing.viewer.state.to_json()
    image, ball = state["layers"]
    assert (image["type"], ball["type"], ball["name"]) == ("image", "segmentation", "ball")
    low, high = image["shaderControls"]["black_to_white"]["range"]
    # Padding is left out: only the ball is there.
    assert (low, high) == (900, 901)
    (source,), (other,) = image["source"], ball["source"]
    assert source["url"].endswith("/|zarr3:") and "/labels/ball/" in other["url"]
    assert source["transform"]["inputDimensions"] == {
        "t": [0.04, "s"],
        "z": [pytest.approx(0.004), "m"],
        "y": [pytest.approx(0.003), "m"],
        "x": [pytest.approx(0.0025), "m"],
    }
    assert len(state["layout"]["children"]) == 3


def test_refusals(stored, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "neuroglancer", None)
    with pytest.raises(InputError, match=r"chunkmed\[view\]") as caught:
        view_store(stored)
    assert caught.value.kind == "missing-extra"
    with pytest.raises(SystemExit) as ended:
        main(["view", str(stored)])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("chunkmed: neuroglancer is not installed")


def test_stores_that_cannot_be_shown(stored, tmp_path):
    pytest.importorskip("neuroglancer", reason="the extra [view] is not installed")
    for path, labels, kind in ((tmp_path, None, "no-store"), (stored, ["none"], "no-label")):
        with pytest.raises(ChunkmedError) as caught:
            view_store(path, labels)
        assert caught.value.kind == kind


def test_the_command_prints_an_address_and_ends(stored, capsys):
    pytest.importorskip("neuroglancer", reason="the extra [view] is not installed")
    with pytest.raises(SystemExit) as ended:
        main(["view", str(stored), "--no-browser", "--seconds", "0", "--range", "0", "900"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("view       http://127.0.0.1:")


_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-dev-shm-usage",
    "--window-size=900,500",
)


def screenshot(viewing, chromium, profile):
    """What a browser shows, (rows, columns, 3)."""
    from matplotlib.image import imread

    command = [chromium, *_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", viewing.url]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        shot = concurrent.futures.Future()
        viewing.viewer.async_screenshot(shot.set_result)
        found = shot.result(timeout=200).screenshot
    finally:
        browser.terminate()
        browser.wait(timeout=20)
    return imread(io.BytesIO(found.image))[..., :3]


def test_the_ball_is_seen_where_the_patient_has_it(stored, tmp_path):
    pytest.importorskip("neuroglancer", reason="the extra [view] is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with view_store(stored, labels=[], window=(0, 900)) as viewing:
        with viewing.viewer.txn() as state:
            state.show_axis_lines = state.show_default_annotations = state.show_scale_bar = False
            state.position = [0.0, *BALL]
            # Mm a pixel: all of the image is seen.
            scale = state.cross_section_scale = 0.6
        pixels = screenshot(viewing, chromium, tmp_path)
    third = pixels.shape[1] // 3
    body = (pixels.min(axis=-1) > 0.05) & (pixels.min(axis=-1) < 0.3)
    for number, (right, up) in enumerate(((BALL[0], -BALL[1]), (BALL[0], BALL[2]), (BALL[1], BALL[2]))):
        part = slice(number * third, (number + 1) * third)
        rows, columns = np.nonzero(pixels[:, part].min(axis=-1) > 0.9)
        assert len(rows), f"no ball in view {number}"
        image_rows, image_columns = np.nonzero(body[:, part])
        beside = columns.mean() - (image_columns.min() + image_columns.max()) / 2
        above = (image_rows.min() + image_rows.max()) / 2 - rows.mean()
        assert beside * scale == pytest.approx(right, abs=4), number
        assert above * scale == pytest.approx(up, abs=4), number
