"""From frames to stacks: every rule of the fourth dimension, duplicates, holes, series that are merged."""

import itertools
import json
import pickle
import tracemalloc
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import chunkmed as cm
from chunkmed.dicom import scan
from chunkmed.dicom.keys import Keys
from chunkmed.dicom.many import read_headers
from chunkmed.dicom.walk import find_files
from chunkmed.errors import InputError, SourceError
from chunkmed.grid import Grid
from chunkmed.private import file_identifier
from chunkmed.testing import write_series

ROWS, COLUMNS = 3, 4


def grid(times=1, slices=3, step_ms=50.0, step_mm=8.0, start_mm=0.0):
    return Grid(
        z_mm=tuple(start_mm + step_mm * z for z in range(slices)),
        y_mm=(0.0, 1.5, 3.0),
        x_mm=(0.0, 1.5, 3.0, 4.5),
        time_ms=tuple(step_ms * t for t in range(times)),
    )


def number(t, z):
    """What every voxel of the image at (t, z) holds."""
    return 1 + 10 * t + z


def write(folder, times=1, slices=3, tags=None, key="", seed=0, **more):
    """Write a series whose values tell time and slice; tags(t, z) or a mapping, without any clock."""
    quiet = {"AcquisitionTime": None, "ContentTime": None}
    extra = lambda t, z: quiet | (tags(t, z) if callable(tags) else (tags or {}))  # noqa: E731
    where = {key: more.pop(key) for key in ("step_ms", "step_mm", "start_mm") if key in more}
    frame = lambda t, z: np.full((ROWS, COLUMNS), number(t, z))  # noqa: E731
    return write_series(
        folder, frame, grid(times, slices, **where), time_key=key, extra_tags=extra, shuffle_seed=seed, **more
    )


def values(stack):
    return stack.read([(0, size) for size in stack.shape])[:, :, 0, 0].tolist()


def expected(times, slices):
    return [[number(t, z) for z in range(slices)] for t in range(times)]


def only(folder):
    (stack,) = scan(folder).stacks
    return stack


# ----------------------------------------------------------------------------------- which key is time
KEYS = {
    "TemporalPositionIdentifier": lambda t, z: t + 1,
    "TriggerTime": lambda t, z: str(50.0 * t),
    "AcquisitionNumber": lambda t, z: 4 + t,
    "FrameReferenceTime": lambda t, z: str(1000.0 * t),
    "ImageIndex": lambda t, z: 1 + 3 * t + z,
    "AcquisitionTime": lambda t, z: f"10000{t}",
    "ContentTime": lambda t, z: f"10000{t}",
}


@pytest.mark.parametrize("key", KEYS)
def test_each_key_alone_makes_time(tmp_path, key):
    write(tmp_path, times=4, tags=lambda t, z: {key: KEYS[key](t, z)})
    stack = only(tmp_path)
    assert (stack.attributes["time_key"], stack.grid.time_dim) == (key, "t")
    assert values(stack) == expected(4, 3) and stack.problem is None


ORDER = list(KEYS)


@pytest.mark.parametrize(("first", "second"), itertools.pairwise(ORDER))
def test_keys_are_taken_in_their_order(tmp_path, first, second):
    # The one that comes second runs backwards: it would turn time round.
    tags = lambda t, z: {first: KEYS[first](t, z), second: KEYS[second](3 - t, z)}  # noqa: E731
    write(tmp_path, times=4, tags=tags)
    stack = only(tmp_path)
    assert stack.attributes["time_key"] == first and values(stack) == expected(4, 3)


def test_each_slice_has_its_own_trigger_times(tmp_path):
    write(tmp_path, times=3, tags=lambda t, z: {"TriggerTime": str(t * (40.0 + 2 * z))})
    stack = only(tmp_path)
    assert stack.grid.time_ms == (0.0, 42.0, 84.0)
    assert np.array_equal(stack.trigger_time_ms, [[0, 0, 0], [40, 42, 44], [80, 84, 88]])
    assert stack.attributes["time_values"] == [0.0, 42.0, 84.0]


def test_numbers_that_run_on_from_slice_to_slice_are_ranks(tmp_path):
    write(tmp_path, times=3, tags=lambda t, z: {"TemporalPositionIdentifier": 1 + t + 3 * z})
    assert values(only(tmp_path)) == expected(3, 3)


def test_numbers_that_contradict_are_holes_not_ranks(tmp_path):
    # Each slice holds three time points, but not the same ones.
    write(tmp_path, times=3, tags=lambda t, z: {"TemporalPositionIdentifier": (1, 2, 3 + (z == 1))[t]})
    stack = only(tmp_path)
    assert stack.problem.kind == "ragged-cells"
    assert stack.attributes["missing_cells"] == [[2, 1], [3, 0], [3, 2]]


@pytest.mark.parametrize("tag", ["NumberOfTemporalPositions", "CardiacNumberOfImages"])
def test_announced_numbers_are_checks_and_never_keys(tmp_path, tag):
    write(tmp_path, times=3, tags=lambda t, z: {tag: 3 + t})
    assert only(tmp_path).problem.kind == "duplicate-position"
    write(tmp_path / "a", times=3, tags=lambda t, z: {tag: 5, "TemporalPositionIdentifier": t}, seed=1)
    stack = only(tmp_path / "a")
    assert stack.problem is None
    assert any(f"{tag} is 5, but 3 time points" in text for text in stack.warnings)


@pytest.mark.parametrize(
    ("tags", "time_ms"),
    [
        ({"NumberOfTemporalPositions": 4, "RepetitionTime": 2000}, (0.0, 2000.0, 4000.0, 6000.0)),
        # The TR of a cine, and of a 3D sequence, is one line of k-space.
        (
            {"CardiacNumberOfImages": 4, "NominalInterval": 800, "RepetitionTime": "3.7"},
            (0.0, 200.0, 400.0, 600.0),
        ),
        ({"NumberOfTemporalPositions": 4, "RepetitionTime": "3.7"}, None),
        ({"NumberOfTemporalPositions": 4, "RepetitionTime": 200, "MRAcquisitionType": "3D"}, None),
    ],
)  # fmt: skip
def test_rank_of_instance_numbers_where_it_is_corroborated(tmp_path, tags, time_ms):
    write(tmp_path, times=4, tags=tags)
    stack = only(tmp_path)
    assert stack.attributes["time_key"] == "InstanceNumber" and values(stack) == expected(4, 3)
    if time_ms is None:
        assert not stack.grid.time_known and "no tag gives their milliseconds" in stack.warnings[0]
    else:
        assert stack.grid.time_ms == time_ms and any(str(4) in text for text in stack.assumptions)


def test_instance_numbers_alone_are_refused_naming_files(tmp_path):
    write(tmp_path, times=3, tags={"RepetitionTime": 2000})
    problem = only(tmp_path).problem
    assert problem.kind == "duplicate-position" and "(file " in problem.why and ".dcm" not in problem.why


def test_philips_counts_repetitions_in_trigger_time(tmp_path):
    write(tmp_path, times=3, tags=lambda t, z: {"TriggerTime": str(2500.0 * t), "RepetitionTime": 2500})
    stack = only(tmp_path)
    assert stack.grid.time_ms == (0.0, 2500.0, 5000.0) and stack.trigger_time_ms is None
    assert any("no trigger" in text for text in stack.assumptions)


def test_clocks_over_midnight(tmp_path):
    clock = ("235958.0", "235959.5", "000001.0")
    write(tmp_path, times=3, tags=lambda t, z: {"AcquisitionTime": clock[t]})
    stack = only(tmp_path)
    assert stack.grid.time_ms == (0.0, 1500.0, 3000.0) and values(stack) == expected(3, 3)
    assert "23595" not in repr((stack.attributes, stack.assumptions, stack.warnings))


# ------------------------------------------------------------------------------- axes that are not time
@pytest.mark.parametrize(
    ("key", "dim", "levels", "units"),
    [
        ("EchoTime", "echo", (2.05, 9.84, 13.72), "ms"),
        ("InversionTime", "inversion", (100.0, 180.0, 260.0), "ms"),
        ("FlipAngle", "flip", (5.0, 10.0, 15.0), "degrees"),
        ("DiffusionBValue", "b", (0.0, 500.0, 1000.0), "s/mm2"),
    ],
)
def test_other_axes_come_before_time(tmp_path, key, dim, levels, units):
    # AcquisitionNumber would order them too, the other way round.
    write(tmp_path, times=3, tags=lambda t, z: {key: levels[t], "AcquisitionNumber": 9 - t})
    image = cm.open(tmp_path)
    assert image.dims == (dim, "z", "y", "x") and image[dim].values.tolist() == list(levels)
    assert image[dim].attrs["units"] == units
    assert image.values[:, :, 0, 0].tolist() == expected(3, 3)


def test_inversion_times_of_each_slice_own(tmp_path):
    write(tmp_path, times=3, tags=lambda t, z: {"InversionTime": 100.0 + 80 * t + 2 * z})
    stack = only(tmp_path)
    assert (stack.grid.time_dim, stack.grid.time_ms) == ("inversion", (102.0, 182.0, 262.0))
    assert values(stack) == expected(3, 3)


def test_an_axis_that_only_some_frames_have_is_none(tmp_path):
    write(tmp_path, times=2, tags=lambda t, z: {"EchoTime": 5.0 if t else None, "AcquisitionNumber": t})
    assert only(tmp_path).grid.time_dim == "t"


def test_two_extra_axes_are_one_stack_for_each_echo(tmp_path):
    tags = lambda t, z: {"EchoTime": (5.0, 10.0)[t % 2], "AcquisitionNumber": t // 2}  # noqa: E731
    write(tmp_path, times=6, tags=tags)
    first, second = scan(tmp_path).stacks
    assert (first.flags, second.flags) == (("EchoTime 5 ms",), ("EchoTime 10 ms",))
    assert values(first) == expected(6, 3)[::2] and values(second) == expected(6, 3)[1::2]
    assert first.key != second.key and first.grid.time_dim == "t"


def test_kinds_of_image_are_stacks_even_if_one_is_short(tmp_path):
    kind = lambda t, z: {"ImageType": ["ORIGINAL", "PRIMARY", "MP"[t]]}  # noqa: E731
    paths = write(tmp_path, times=2, slices=4, tags=kind)
    paths[4].unlink()  # the phase image of the first slice
    magnitude, phase = scan(tmp_path).stacks
    assert (magnitude.shape[:2], phase.shape[:2]) == ((1, 4), (1, 3))
    assert values(phase) == [[number(1, z) for z in (1, 2, 3)]]


def test_two_image_types_that_do_not_collide_are_one_stack(tmp_path):
    tags = lambda t, z: {  # noqa: E731
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL" if z < 2 else "HELICAL"],
        "FrameOfReferenceUID": pydicom.uid.generate_uid(),
        "AcquisitionNumber": z,
        "SliceThickness": 5 + z,
    }
    write(tmp_path, slices=5, tags=tags)
    assert only(tmp_path).shape[:2] == (1, 5)


def test_words_of_image_type_that_nobody_knows_stay_inside(tmp_path):
    write(tmp_path, times=2, tags=lambda t, z: {"ImageType": ["ORIGINAL", "PRIMARY", f"MILLER{t}"]})
    study = scan(tmp_path)
    with pytest.raises(SourceError) as caught:
        study.select()
    assert "MILLER" not in str(study) + str(caught.value) + repr([s.assumptions for s in study.stacks])


def test_b_values_of_which_some_are_repeated(tmp_path):
    b = (0, 0, 0, 1000, 1000)
    vectors = (None, None, None, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    tags = lambda t, z: {  # noqa: E731
        "DiffusionBValue": b[t],
        "DiffusionGradientOrientation": vectors[t],
        "AcquisitionNumber": t,
    }
    write(tmp_path, times=5, tags=tags)
    stack = only(tmp_path)
    assert (stack.grid.time_dim, stack.grid.time_ms) == ("b", (0.0, 0.0, 0.0, 1000.0, 1000.0))
    assert values(stack) == expected(5, 3)


def test_diffusion_without_b_values_is_never_time(tmp_path):
    tags = lambda t, z: {"ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION"], "AcquisitionNumber": t}  # noqa: E731
    write(tmp_path, times=3, tags=tags)
    stack = only(tmp_path)
    assert stack.grid.time_dim == "b" and not stack.grid.time_known and "b-values" in stack.warnings[0]


# -------------------------------------------------------------------------------------------- duplicates
def test_copies_of_a_whole_series_that_was_exported_twice(tmp_path):
    write(tmp_path / "a", tags={"ContentTime": "100000", "AcquisitionNumber": 1})
    again = lambda t, z: {  # noqa: E731
        "ContentTime": "113000", "AcquisitionNumber": 1, "InstanceNumber": 50 + z,
        "SOPInstanceUID": pydicom.uid.generate_uid(),
    }  # fmt: skip
    write(tmp_path / "b", tags=again)
    stack = only(tmp_path)
    assert values(stack) == expected(1, 3) and any("3 files with" in text for text in stack.assumptions)


def test_equal_pixels_at_other_times_are_no_copies(tmp_path):
    # The first slice is black at all times.
    black = lambda t, z: np.full((ROWS, COLUMNS), 0 if z == 0 else number(t, z))  # noqa: E731
    tags = lambda t, z: {"NumberOfTemporalPositions": 3, "AcquisitionTime": None, "ContentTime": None}  # noqa: E731
    write_series(tmp_path, black, grid(3), time_key="", extra_tags=tags)
    assert only(tmp_path).shape[:2] == (3, 3)
    tags = lambda t, z: {"ContentTime": f"10000{t}", "AcquisitionTime": None}  # noqa: E731
    write_series(tmp_path / "b", black, grid(3), time_key="", extra_tags=tags, shuffle_seed=1)
    assert only(tmp_path / "b").shape[:2] == (3, 3)


# ------------------------------------------------------------------------------------ accepted or refused
def refused(action, kind, *words):
    with pytest.raises(SourceError) as caught:
        action()
    assert caught.value.kind == kind
    for word in words:
        assert word in str(caught.value)


def test_a_gap_is_refused_naming_the_slices_and_accepted(tmp_path):
    paths = write(tmp_path / "in", slices=6)
    paths[2].unlink()
    names = [file_identifier(paths[1]), file_identifier(paths[3]), "allow_missing", "--allow-missing"]
    refused(lambda: cm.convert(tmp_path / "in", tmp_path / "a.zarr"), "missing-slices", *names)
    refused(lambda: cm.open(tmp_path / "in", allow_irregular=True), "missing-slices")
    image = cm.convert(tmp_path / "in", tmp_path / "a.zarr", allow_missing=True)
    assert image.z.values.tolist() == [0, 8, 24, 32, 40] and not image.cm.grid.uniform
    about = json.loads((tmp_path / "a.zarr/zarr.json").read_text())["attributes"]["chunkmed"]
    assert any("16 mm between slices 1 and 2" in text for text in about["assumptions"])
    assert not any(paths[1].name in text for text in about["assumptions"])


def test_uneven_steps_are_refused_and_accepted(tmp_path):
    move = lambda t, z: {"ImagePositionPatient": [0, 0, (0, 8, 17, 25)[z]]}  # noqa: E731
    write(tmp_path / "in", slices=4, tags=move)
    refused(lambda: cm.open(tmp_path / "in"), "uneven-spacing", "9 mm", "allow_irregular")
    refused(lambda: cm.open(tmp_path / "in", allow_missing=True), "uneven-spacing")
    image = cm.open(tmp_path / "in", allow_irregular=True)
    assert image.z.values.tolist() == [0, 8, 17, 25] and not image.cm.grid.uniform


def test_steps_that_differ_within_the_tolerance_are_recorded(tmp_path):
    move = lambda t, z: {"ImagePositionPatient": [0, 0, (0, 3.27, 6.56, 9.83)[z]]}  # noqa: E731
    write(tmp_path, slices=4, tags=move)
    stack = only(tmp_path)
    assert stack.grid.uniform and any("3.27 to 3.29 mm" in text for text in stack.assumptions)


def test_slices_beside_the_line_are_irregular_and_not_missing(tmp_path):
    move = lambda t, z: {"ImagePositionPatient": [5.0 * (z == 2), 0, 8.0 * z]}  # noqa: E731
    write(tmp_path, slices=4, tags=move)
    refused(lambda: cm.open(tmp_path, allow_missing=True), "shifted-slices", "5 mm beside", "allow_irregular")
    stack = only(tmp_path).accepting(allow_irregular=True)
    assert stack.problem is None and "slice 2 lies 5 mm beside it" in stack.assumptions[-1]


def test_holes_are_named_refused_and_filled(tmp_path):
    tags = lambda t, z: {"TriggerTime": str(t * (40.0 + z)), "NominalInterval": 160 + 4 * z}  # noqa: E731
    paths = write(tmp_path / "in", times=4, slices=3, tags=tags)
    paths[4].unlink()  # t 1, slice 1
    paths[11].unlink()  # t 3, slice 2
    with pytest.raises(SourceError) as caught:
        cm.open(tmp_path / "in")
    assert caught.value.kind == "ragged-cells" and "t 1, slice 1" in str(caught.value)
    assert "t 3, slice 2" in str(caught.value) and file_identifier(paths[8]) in str(caught.value)
    image = cm.convert(tmp_path / "in", tmp_path / "a.zarr", allow_missing=True)
    wanted = np.array(expected(4, 3), dtype=float)
    wanted[1, 1] = wanted[3, 2] = np.nan
    np.testing.assert_array_equal(image.values[:, :, 0, 0], wanted)
    assert image.dtype == np.float32 and image.attrs["missing_cells"] == [[1, 1], [3, 2]]
    times = image.trigger_time_ms.values
    assert np.isnan(times[1, 1]) and times[3, 0] == 120 and image.t.values.tolist() == [0, 41, 82, 121.5]
    direct = cm.open(tmp_path / "in", allow_missing=True)
    np.testing.assert_array_equal(direct.values, image.values)


def test_a_hole_in_numbered_time_points_and_in_echoes(tmp_path):
    paths = write(tmp_path / "t", times=3, tags=lambda t, z: {"TemporalPositionIdentifier": t + 1})
    paths[0].unlink()
    assert cm.open(tmp_path / "t", allow_missing=True).attrs["missing_cells"] == [[0, 0]]
    paths = write(tmp_path / "e", times=3, tags=lambda t, z: {"EchoTime": 5.0 + t}, seed=1)
    paths[5].unlink()
    image = cm.open(tmp_path / "e", allow_missing=True)
    assert image.dims[0] == "echo" and image.attrs["missing_cells"] == [[1, 2]]


def test_acquisitions_that_overlap_are_stacks_and_no_time_points(tmp_path):
    write(tmp_path / "a", slices=6, tags={"AcquisitionNumber": 1})
    below = {"AcquisitionNumber": 2, "SeriesInstanceUID": uid_of(tmp_path / "a")}
    write(tmp_path / "b", slices=6, start_mm=40.0, seed=1, tags=below)
    stacks = scan(tmp_path).stacks
    assert [(stack.problem, stack.shape[:2]) for stack in stacks] == [(None, (1, 6))] * 2
    assert [stack.flags for stack in stacks] == [("AcquisitionNumber 1",), ("AcquisitionNumber 2",)]
    assert stacks[0].grid.z_mm[-1] == stacks[1].grid.z_mm[0]


def uid_of(folder):
    return pydicom.dcmread(next(folder.iterdir())).SeriesInstanceUID


def test_slopes_keep_their_place_beside_a_hole(tmp_path):
    tags = lambda t, z: {  # noqa: E731
        "TemporalPositionIdentifier": t, "RescaleSlope": 1 + t + z, "RescaleIntercept": 0
    }  # fmt: skip
    paths = write(tmp_path, times=2, slices=3, tags=tags)
    paths[1].unlink()
    image = cm.open(tmp_path, allow_missing=True)
    assert [image.attrs["rescale_slopes"][i] for i in (0, 2, 3, 4, 5)] == [1, 3, 2, 3, 4]
    assert image.values[1, 2, 0, 0] == 4 * number(1, 2) and np.isnan(image.values[0, 1]).all()


def test_options_for_dicom_are_refused_for_stores_and_wrong_ones_at_once(tmp_path):
    write(tmp_path / "in")
    cm.convert(tmp_path / "in", tmp_path / "a.zarr", pyramid=False)
    for action in (
        lambda: cm.open(tmp_path / "a.zarr", allow_missing=True),
        lambda: cm.open(tmp_path / "in", frames="y"),
        lambda: cm.open(tmp_path / "in", frames="t"),
    ):
        with pytest.raises(InputError):
            action()


# ------------------------------------------------------------------------------------------ several frames
def many_frames(path, count, first=0, **tags):
    """Write a classic file of several frames without positions, with values from ``first`` on."""
    (one,) = write(path.parent / "one", slices=1)
    dataset = pydicom.dcmread(one)
    one.unlink()
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "SliceThickness",
        "SpacingBetweenSlices",
    ):
        if keyword in dataset:
            delattr(dataset, keyword)
    pixels = np.arange(first, first + count, dtype="<i2")[:, None, None] * np.ones((1, ROWS, COLUMNS), "<i2")
    dataset.PixelData, dataset.NumberOfFrames = pixels.astype("<i2").tobytes(), count
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize(("frames", "shape", "units"), [("t", (5, 1), "1"), ("z", (1, 5), "ms")])
def test_frames_that_nobody_explains_are_asked_for(tmp_path, frames, shape, units):
    path = many_frames(tmp_path / "many.dcm", 5)
    refused(lambda: cm.open(path), "ambiguous-frames", "frames=", "--frames", "5 frames")
    image = cm.open(path, frames=frames)
    assert image.shape[:2] == shape and image.values[..., 0, 0].ravel().tolist() == [0, 1, 2, 3, 4]
    assert image.t.attrs["units"] == units
    assert image.cm.grid.known is (frames == "t")


def test_frames_as_slices_take_the_spacing_that_a_tag_gives(tmp_path):
    image = cm.open(many_frames(tmp_path / "many.dcm", 5, SliceThickness=2), frames="z")
    assert image.z.values.tolist() == [0, 2, 4, 6, 8] and image.cm.grid.known


def test_parts_of_a_concatenation_are_joined_and_a_missing_one_is_told(tmp_path):
    common = {"ConcatenationUID": pydicom.uid.generate_uid(), "InConcatenationTotalNumber": 2}
    common |= {
        "FrameTime": 40,
        "FrameIncrementPointer": 0x00181063,
        "SeriesInstanceUID": pydicom.uid.generate_uid(),
    }
    part = lambda i: common | {"InConcatenationNumber": i + 1, "ConcatenationFrameOffsetNumber": 4 * i}  # noqa: E731
    many_frames(tmp_path / "b.dcm", 4, 0, **part(0))
    late = many_frames(tmp_path / "a.dcm", 3, 4, **part(1))
    image = cm.open(sorted(tmp_path.glob("*.dcm")))
    assert image.values[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert image.t.values.tolist() == [40.0 * t for t in range(7)]
    late.unlink()
    refused(lambda: cm.open(tmp_path / "b.dcm"), "missing-parts", "InConcatenationNumber 2")
    assert cm.open(tmp_path / "b.dcm", allow_missing=True).shape[0] == 4


def enhanced(path, t, slices=3, **tags):
    """Write one time point as an enhanced file: positions in the groups of the frames."""
    (one,) = write(path.parent / "one", slices=1)
    dataset = pydicom.dcmread(one)
    one.unlink()
    groups = []
    for z in range(slices):
        group, position, plane = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient, plane.ImageOrientationPatient = [0, 0, 8.0 * z], [1, 0, 0, 0, 1, 0]
        group.PlanePositionSequence, group.PlaneOrientationSequence = Sequence([position]), Sequence([plane])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.NumberOfFrames = slices
    dataset.PixelData = (
        np.repeat([number(t, z) for z in range(slices)], ROWS * COLUMNS).astype("<i2").tobytes()
    )
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset.InstanceNumber = t + 1
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


@pytest.mark.parametrize("clock", [True, False])
def test_enhanced_files_of_one_time_point_each_are_joined(tmp_path, clock):
    for t in (2, 0, 1):
        enhanced(tmp_path / f"{(5 * t) % 3}.dcm", t, **({"AcquisitionTime": f"10000{t}"} if clock else {}))
    stack = only(tmp_path)
    assert values(stack) == expected(3, 3)
    assert stack.grid.time_ms == ((0.0, 1000.0, 2000.0) if clock else (0.0, 1.0, 2.0))
    assert stack.grid.time_known is clock


# --------------------------------------------------------------------------------------- several series
def cine_slices(folder, phases=(4, 4, 4), start_mm=0.0):
    """Write a series for each slice; returns nothing, the order of files says nothing."""
    for z, count in enumerate(phases):
        write(
            folder / f"s{(7 * z) % len(phases)}",
            times=count,
            slices=1,
            start_mm=start_mm + 8.0 * z,
            seed=z + 1,
            tags=lambda t, _, z=z, count=count: {"TriggerTime": str(round(t * (800 + 8 * z) / count, 3))},
        )


def test_cine_with_a_series_for_each_slice(tmp_path):
    cine_slices(tmp_path / "in")
    study = scan(tmp_path / "in")
    assert len(study.stacks) == 3
    merged = study.merge(series=[stack.key for stack in study.stacks])
    (stack,) = merged.stacks
    assert stack.shape[:2] == (4, 3) and stack.grid.z_mm == (0.0, 8.0, 16.0)
    assert values(stack) == [[number(t, 0)] * 3 for t in range(4)]
    assert stack.trigger_time_ms[1] == (200.0, 202.0, 204.0) and stack.grid.time_ms[1] == 202.0
    image = cm.convert(tmp_path / "in", tmp_path / "a.zarr", merge_series=True)
    np.testing.assert_array_equal(image.values[..., 0, 0], values(stack))
    assert image.trigger_time_ms.values.tolist() == [list(row) for row in stack.trigger_time_ms]
    # Any member selects the image that it is part of.
    assert cm.open(tmp_path / "in", merge_series=True, series=study.stacks[1].key).shape[1] == 3
    assert scan(tmp_path / "in").merge().stacks[0].key == stack.key


def test_unequal_phases_are_refused_unless_the_nearest_will_do(tmp_path):
    cine_slices(tmp_path, (4, 4, 8, 2))
    study = scan(tmp_path)
    refused(study.merge, "unequal-phases", "slice 2 has 8", "slice 3 has 2", "nearest")
    refused(lambda: cm.open(tmp_path, merge_series=True), "unequal-phases")
    (stack,) = study.merge(phases="nearest").stacks
    assert stack.shape[:2] == (4, 4)
    assert [row[2] for row in values(stack)] == [number(t, 0) for t in (0, 2, 4, 6)]
    assert [row[3] for row in values(stack)] == [number(t, 0) for t in (0, 0, 1, 1)]
    assert any("slice 3 has 2" in text for text in stack.assumptions)
    with pytest.raises(InputError):
        study.merge(phases="furthest")


def test_series_that_repeat_a_slice_are_named(tmp_path):
    cine_slices(tmp_path / "a")
    write(
        tmp_path / "again", times=4, slices=1, start_mm=8.0, seed=9, tags=lambda t, z: {"TriggerTime": str(t)}
    )
    study = scan(tmp_path)
    with pytest.raises(SourceError) as caught:
        study.merge()
    same = [stack.key for stack in study.stacks if stack.grid.z_mm == (8.0,)]
    assert caught.value.kind == "duplicate-position" and all(key in str(caught.value) for key in same)
    chosen = [stack.key for stack in study.stacks if stack.key != same[1]]
    assert study.merge(chosen).stacks[0].shape[:2] == (4, 3)


def dynamic(folder, count=3, clock=lambda t: f"1000{10 + t}", **tags):
    for t in range(count):
        write(
            folder / f"s{t}",
            seed=count - t,
            tags=lambda _, z, t=t: {"AcquisitionTime": clock(t), "AcquisitionNumber": 1, **tags},
        )
        for path in (folder / f"s{t}").iterdir():
            dataset = pydicom.dcmread(path)
            dataset.PixelData = (dataset.pixel_array + 10 * t).astype("<i2").tobytes()
            dataset.save_as(path)


def test_dynamic_with_a_series_for_each_time_point(tmp_path):
    dynamic(tmp_path)
    image = cm.open(tmp_path, merge_series=True)
    assert image.values[..., 0, 0].tolist() == expected(3, 3) and image.t.values.tolist() == [0, 1000, 2000]


def test_series_at_one_time_are_not_merged(tmp_path):
    dynamic(tmp_path, clock=lambda t: "100000")
    refused(lambda: cm.open(tmp_path, merge_series=True), "not-one-series", "no tag")
    refused(scan(tmp_path).merge, "not-one-series")


def test_what_is_not_certain_is_not_merged(tmp_path):
    # Another echo time: not the same kind of image.
    write(tmp_path / "a", seed=1, tags={"EchoTime": 5, "AcquisitionTime": "100000"})
    write(tmp_path / "b", seed=2, tags={"EchoTime": 50, "AcquisitionTime": "100100"})
    refused(lambda: cm.open(tmp_path, merge_series=True), "nothing-to-merge", "settings")
    # One after the other along z, a single time point: two images or one, who knows.
    write(tmp_path / "c" / "1", seed=3)
    write(tmp_path / "c" / "2", seed=4, start_mm=24.0)
    refused(lambda: cm.open(tmp_path / "c", merge_series=True), "not-one-series", "not certain")
    assert scan(tmp_path / "c").merge().stacks[0].grid.z_mm == tuple(8.0 * z for z in range(6))
    refused(scan(tmp_path / "a").merge, "nothing-to-merge")
    # A single series is what it is.
    assert cm.open(tmp_path / "a", merge_series=True).shape == (1, 3, ROWS, COLUMNS)


def test_a_file_that_changed_since_the_scan_is_not_merged(tmp_path):
    cine_slices(tmp_path)
    study = scan(tmp_path)
    path = next(tmp_path.glob("s1/*"))
    path.write_bytes(path.read_bytes() + b"\0\0")
    refused(study.merge, "file-changed", file_identifier(path))


# ------------------------------------------------------------------------------------ choosing, printing
def test_the_only_good_series_is_not_picked_beside_a_broken_one(tmp_path):
    write(tmp_path / "good", seed=1)
    write(tmp_path / "bad", slices=6, seed=2)[2].unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(lambda: cm.open(tmp_path), "several-series", "missing-slices")


def test_a_choice_is_short_and_says_how_to_choose(tmp_path):
    for number in range(10):
        # Without a modality, each with an echo time of its own: nothing that could be one image.
        tags = {"Modality": "", "EchoTime": 5 + number}
        write(tmp_path / str(number), slices=1, seed=number, tags=tags)
    with pytest.raises(SourceError) as caught:
        cm.open(tmp_path)
    fix = caught.value.fix
    assert "--series (series=)" in fix and "chunkmed scan PATH" in fix and "merge" not in fix
    assert fix.count("(1x1x3x4") == 8 and fix.endswith(" and 2 more")


def test_series_that_make_one_image_are_said_to(tmp_path):
    cine_slices(tmp_path)
    refused(lambda: cm.open(tmp_path), "several-series", "join the 3 that are alike with --merge-series")
    # A slice that is there twice: they are not one image.
    write(tmp_path / "b", times=4, slices=1, start_mm=8.0, seed=9, tags=lambda t, z: {"TriggerTime": str(t)})
    with pytest.raises(SourceError) as caught:
        cm.open(tmp_path)
    assert "merge" not in caught.value.fix


def test_the_table_gives_selectors_and_reasons(tmp_path):
    write(tmp_path / "a", times=3, seed=1, tags=lambda t, z: {"TriggerTime": str(50 * t)})
    write(tmp_path / "b", slices=6, seed=2, tags={"SeriesDescription": "x" * 60 + "\x1b[31m"})[2].unlink()
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("hello")
    study = scan(tmp_path)
    text = str(study)
    first, second, *rest = text.splitlines()[1:]
    assert study.select(second.split()[1]) is study.select(1) is study.stacks[1]
    assert "t 0 to 100 ms" in first and "3 x 3 x 3 x 4" in first and "8, 1.5, 1.5" in first
    assert "missing-slices" in second and "\x1b" not in text and "x" * 33 not in text
    assert "--allow-missing" in rest[0] and rest[1] == "2 files skipped:"
    assert "2 x not DICOM" in rest[2] and "one.txt" in rest[2]


def test_a_scan_holds_little_of_each_file(tmp_path):
    # 100,000 files in 300 MB.
    tags = lambda t, z: {  # noqa: E731
        "TriggerTime": str(50 * t), "EchoTime": "1.5", "FlipAngle": 50, "RepetitionTime": "3.7",
        "AcquisitionNumber": 1, "AcquisitionTime": f"1000{t:02d}", "ContentTime": f"1100{t:02d}",
    }  # fmt: skip
    write(tmp_path, times=10, slices=12, tags=tags)
    found = dict(find_files(tmp_path))
    list(read_headers(found))  # what is made once: caches
    tracemalloc.start()
    frames = [read for _, read in read_headers(found)]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / len(frames) < 1300


def test_keys_are_a_mapping_that_shares_values():
    one, other = Keys({"EchoTime": 5.25, "ImageType": "A"}), Keys({"EchoTime": 5.25, "ImageType": "A"})
    assert one == other == {"EchoTime": 5.25, "ImageType": "A"} and len(one) == 2
    assert one["EchoTime"] is other["EchoTime"] and one.get("TriggerTime") is None
    assert "ImageType" in one and "TriggerTime" not in one and one.get("TriggerTime", 7) == 7
    assert pickle.loads(pickle.dumps(one)) == one
