"""Every set and every file comes out as its row of ``outcomes.py`` says; prints the table (``-s``)."""

from __future__ import annotations

import hashlib
import json
import re
import warnings

import numpy as np
import pydicom
import pytest
import xarray as xr
from dicom import outcomes
from dicom.outcomes import COLOUR, INTEGER, TABLE, Outcome

import chunkmed as cm
from chunkmed.errors import ChunkmedError, InputError, SourceError
from chunkmed.private import paths_of

PLACEHOLDERS = {"deidentified", "anonymous", "none"}
ROUNDING_MM = 0.0051  # the reference rounds its positions to 0.01 mm
NAMES = tuple(dict.fromkeys(row.name for row in TABLE))
#: Sets of single-slice files: these and no more may come shuffled, or one file at a time.
CLASSIC = (
    "ct_siemens_tilt_no_tag",
    "mr_fmri_ge_4d",
    "mr_dce_siemens_4d",
    "mr_oblique_tra",
    "mr_coronal",
    "mr_hitachi_signed12",
    "mr_philips_private_scale",
    "pet_ac_ge_perslice_slope_jpegls",
)
SHUFFLED = (*CLASSIC[:5], "mr_fmri_siemens_mosaic", "rgb_j2k_secondary_capture")


# ------------------------------------------------------------------------------- the table printed
class Checks:
    """Expected beside got, for one row; a check that raises got the error."""

    def __init__(self, name, file=""):
        self.name, self.file, self.rows = name, file, []

    def __call__(self, what, expected, got, holds=None):
        try:
            value = got()
            good = bool(holds(value) if holds else value == expected)
        except Exception as error:
            value, good = f"{type(error).__name__}: {getattr(error, 'kind', '')} {error}", False
        self.rows.append((good, self.name, self.file, what, short(expected), short(value)))
        return good

    def settle(self):
        lines = [
            f"{'ok  ' if good else 'BAD '} {name:<40} {file:<36} {what:<16} {expected:<60} {got}"
            for good, name, file, what, expected, got in self.rows
        ]
        print("", *lines, sep="\n")  # noqa: T201 - the table is what the test is read for
        wrong = [line for line, row in zip(lines, self.rows, strict=True) if not row[0]]
        if wrong:
            pytest.fail("\n" + "\n".join(wrong), pytrace=False)


def short(value, most=200):
    text = re.sub(r"\s+", " ", str(value))
    return text if len(text) <= most else text[: most - 3] + "..."


def near(expected, tolerance):
    wanted = np.asarray(expected, dtype=float)

    def holds(value):
        got = np.asarray(value, dtype=float)
        return got.shape == wanted.shape and np.allclose(got, wanted, rtol=0, atol=tolerance)

    return holds


def says(pattern):
    return lambda text: bool(text) and re.search(pattern, str(text), re.DOTALL) is not None


def sha256(values, dtype):
    return hashlib.sha256(np.ascontiguousarray(values, dtype=dtype).tobytes()).hexdigest()


# ---------------------------------------------------------------------------- through the public API
def stored(source, where, warned=None, **options):
    """Convert, and open what was written: what is asserted comes from the store."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        cm.convert(source, where, pyramid=False, **options)
    if warned is not None:
        warned += [str(each.message) for each in caught]
    return cm.open(where)


def raised(action):
    try:
        action()
    except ChunkmedError as error:
        return error
    return None


def step_angle_deg(grid, normal):
    step = grid.affine[:3, 2]
    return np.degrees(np.arccos(min(1.0, abs(step @ normal) / np.linalg.norm(step))))


def slice_positions(image, normal):
    """Positions of the slices' first voxels along the normal, by way of the stored affine."""
    grid = image.cm.grid
    first = [(grid.x_mm[0], grid.y_mm[0], z) for z in grid.z_mm]
    return grid.to_lps(first) @ np.asarray(normal)


def signatures(values):
    """Per (t, z) the mean, and the mean weighted as REFERENCE.json says."""
    y, x = np.indices(values.shape[2:])
    weights = np.sin(0.7 * y + 1) * np.cos(0.3 * x + 2)
    exact = values.astype(np.float64)
    return np.stack([exact.mean(axis=(2, 3)), (exact * weights).mean(axis=(2, 3))], axis=-1)


def signature_tolerance(expected, image):
    """Half of a float32's last digit at the maximum, where values are fractional."""
    return 1e-6 + (1e-7 * abs(expected["max"]) if image.dtype.kind == "f" else 0)


def private_words(folder):
    """Identifiers, names, dates and free text of the first readable file below a folder."""
    path = next(iter(sorted(p for p in [folder, *folder.rglob("*")] if p.is_file())))
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except pydicom.errors.InvalidDicomError:
        return set()
    words = {
        str(element.value)
        for element in header.iterall()
        if element.VR in {"UI", "PN", "DA", "DT", "LT", "ST", "UT"}
        or element.keyword in {"PatientID", "InstitutionName", "DeviceSerialNumber", "AccessionNumber"}
    }
    # Registered UIDs (of SOP classes, of transfer syntaxes), placeholders and short words name nobody.
    return {
        word
        for word in words
        if len(word) > 3 and not word.startswith("1.2.840.10008.") and word.lower() not in PLACEHOLDERS
    }


def stands_in(word, text):
    """Short words may stand in a hash by chance: they count where nothing is around them."""
    if len(word) > 5:
        return word in text
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(word)}(?![0-9A-Za-z])", text) is not None


def leaks(text, words):
    return sorted(word for word in words if stands_in(word, text)) + re.findall(
        r"\b1\.[23]\.\d+(?:\.\d+){3,}", text
    )


def outward(study, stack):
    """What of a stack may be printed, logged, written."""
    grid = stack.grid
    return repr((stack.attributes, stack.assumptions, stack.warnings, stack.key, stack.flags, grid.frame_key))


# --------------------------------------------------------------------------------------- checks of a row
def check_image(check, row, image, reference):
    whole = reference[row.name] if not row.file else {}
    if "shape" in whole:
        check_geometry(check, whole, image)
        check_values(check, whole, image)
        shape = tuple(whole["shape"])
    else:
        shape = row.shape
    check("dims", row.dims, lambda: image.dims)
    check("shape", shape, lambda: image.shape)
    kind = {INTEGER: lambda dtype: dtype.kind in "iu"}.get(row.dtype)
    check("dtype", row.dtype, lambda: image.dtype, kind)
    check_axes(check, row, image)
    check_attributes(check, row, image)


def check_geometry(check, expected, image):
    """Spacing, origin, direction, shear and every position, by REFERENCE.json."""
    columns = np.array(expected["direction_columns_x_y_z"])
    z_mm, count = expected["z_positions_mm"], expected["shape"][1]
    rounding_mm = 2 * ROUNDING_MM / (count - 1) + 2e-6
    in_plane = expected["spacing_zyx"][1:]
    check("spacing z", expected["spacing_zyx"][0], lambda: image.cm.spacing["z"],
          near(expected["spacing_zyx"][0], rounding_mm))  # fmt: skip
    check("spacing y, x", in_plane, lambda: (image.cm.spacing["y"], image.cm.spacing["x"]),
          near(in_plane, 2e-6))  # fmt: skip
    check("origin", expected["origin_lps"], lambda: image.cm.grid.affine[:3, 3],
          near(expected["origin_lps"], 2e-6))  # fmt: skip
    check("direction x, y", columns[:2].tolist(), lambda: np.array(image.cm.grid.direction).T[:2],
          near(columns[:2], 1e-4))  # fmt: skip
    check(
        "step on normal", 1.0, lambda: np.array(image.cm.grid.direction)[:, 2] @ columns[2], near(1.0, 1e-4)
    )
    angle = expected["step_vs_normal_angle_deg"]
    check("step to normal", angle, lambda: step_angle_deg(image.cm.grid, columns[2]), near(angle, 0.01))
    found = lambda: slice_positions(image, columns[2])  # noqa: E731
    if "..." in z_mm:
        check("first, last z", (z_mm[0], z_mm[-1]), lambda: found()[[0, -1]],
              near((z_mm[0], z_mm[-1]), ROUNDING_MM))  # fmt: skip
        gaps = sorted(expected["slice_gaps_mm"])
        check("steps", gaps, lambda: np.unique(np.diff(found()).round(2)), near(gaps, 1e-9))
    else:
        check("every z", z_mm, found, near(z_mm, ROUNDING_MM))
        check("z coordinate", "steps of z", lambda: np.diff(image.z), near(np.diff(z_mm), 2.1 * ROUNDING_MM))


def check_values(check, expected, image):
    """The hash; where the rescale is fractional, the signatures decide."""
    check("min, max", (expected["min"], expected["max"]), lambda: (image.values.min(), image.values.max()),
          near((expected["min"], expected["max"]), abs(expected["max"]) * 1e-6))  # fmt: skip
    wanted = np.array(expected["slice_signatures"])
    scale = signature_tolerance(expected, image)
    check("signatures", wanted[0, 0], lambda: signatures(image.values)[0, 0],
          lambda _: near(wanted, scale)(signatures(image.values)))  # fmt: skip
    if image.dtype.kind in "iu":
        name = expected["sha256_rescaled_f4"]
        check("sha256", name[:12], lambda: sha256(image.values, "<f4")[:12])


def check_axes(check, row, image):
    """Times, and the geometry of rows that carry their own."""
    axis = row.dims[0]
    if row.time_ms is None and row.options.get("frames") == "t":
        check("times", "ascending", lambda: np.diff(image[axis]), lambda steps: bool((steps > 0).all()))
        # No header says how long a frame takes.
        check("time key", "none", lambda: image.attrs.get("time_key", ""), lambda key: "FrameTime" not in key)
        check("time units", "not ms", lambda: image[axis].attrs["units"], lambda units: units != "ms")
    else:
        times = row.time_ms or (0.0,)
        check("times", times, lambda: (image[axis] - image[axis][0]).values, near(times, 1.0))
    if row.time_key:
        check("time key", row.time_key, lambda: image.attrs["time_key"], says(row.time_key))
    check("position known", row.known, lambda: image.cm.grid.known)
    check("uniform", row.uniform, lambda: image.cm.grid.uniform)
    if row.spacing_mm:
        check("spacing", row.spacing_mm, lambda: [image.cm.spacing[axis] for axis in "zyx"],
              near(row.spacing_mm, 2e-6))  # fmt: skip
    if row.origin_mm:
        check("origin", row.origin_mm, lambda: image.cm.grid.affine[:3, 3], near(row.origin_mm, 2e-6))
    if row.z_mm:
        check("every z", row.z_mm, lambda: slice_positions(image, normal_of(image)), near(row.z_mm, 1e-3))


def normal_of(image):
    direction = np.array(image.cm.grid.direction)
    return np.cross(direction[:, 0], direction[:, 1])


def check_attributes(check, row, image):
    check("padding", row.padding, lambda: image.attrs.get("padding_value"), padding_fits(row, image))
    if row.dims != COLOUR:
        check(
            "invalid share", row.invalid, lambda: 1 - image.cm.valid.values.mean(), near(row.invalid, 0.005)
        )
    for name, wanted in row.attrs.items():
        holds = says(wanted) if isinstance(wanted, str) else near(wanted, abs(wanted) * 1e-4)
        check(name, wanted, lambda name=name: image.attrs[name], holds)
    lists = [tuple(value) for value in image.attrs.values() if isinstance(value, list)]
    if row.key_values:
        check("key values", row.key_values, lambda: lists, lambda found: row.key_values in found)
    if row.distinct:
        check("slopes kept", row.distinct, lambda: [len(set(each)) for each in lists],
              lambda counts: row.distinct in counts)  # fmt: skip
    if row.name.startswith("mr_"):
        check("units", "none of CT", lambda: image.attrs.get("units", ""), lambda text: "HU" not in text)


def padding_fits(row, image):
    if row.name != "ct_one_slice_16_transfer_syntaxes":
        return None
    # The header names -33792 HU, which no voxel has and int16 cannot hold: said or left out.
    return lambda value: value is None or value < np.iinfo("int16").min


def check_file_values(check, row, image, data, reference):
    """The stored values of one file, by its entry in REFERENCE.json or by a hash of the row."""
    entry = next((e for e in reference[row.name]["per_file"] if e["path"] == row.file), {})
    raw = lambda: unscaled(image, entry, row.file)  # noqa: E731
    if row.lossy:
        base = pydicom.dcmread(data / row.name / "CTImage.dcm")
        plain = base.pixel_array.astype(float) + float(base.RescaleIntercept)
        check("from plain", f"< {row.lossy}", lambda: np.sqrt(np.mean((image.values[0, 0] - plain) ** 2)),
              lambda value: value < row.lossy)  # fmt: skip
        mean, slope = entry["simpleitk_rescaled"]["mean"], float(entry["rescale"][0])
        check("mean", mean, lambda: image.values.mean(dtype=float), near(mean, 0.1 * slope))
    elif row.sha256_i4 or "pydicom_stored" in entry:
        wanted = row.sha256_i4 or entry["pydicom_stored"]["sha256_i4"]
        check("sha256", wanted[:12], lambda: sha256(raw(), "<i4")[:12])
    else:
        other = entry["simpleitk_rescaled"]
        wanted = [other["min"], other["max"], other["mean"]]
        if row.file in outcomes.INVERTED:
            top = outcomes.INVERTED[row.file]
            wanted = [top - wanted[1], top - wanted[0], top - wanted[2]]
        check("min, max, mean", wanted, lambda: (image.values.min(), image.values.max(), image.values.mean()),
              near(wanted, 1e-4))  # fmt: skip


def unscaled(image, entry, file):
    given = entry.get("rescale", ["None", "None"])
    slope, intercept = ((1.0, 0.0) if "None" in given else map(float, given))  # fmt: skip
    slope *= outcomes.SCALING.get(file, 1.0)
    return np.rint((image.values.astype(np.float64) - intercept) / slope)


def check_told(check, row, image, where, warned):
    if row.assumed:
        about = json.loads((where / "zarr.json").read_text())["attributes"]["chunkmed"]
        told = json.dumps([about["assumptions"], image.attrs])
        check("assumed", row.assumed, lambda: told, says(row.assumed))
    if not row.known:
        check("warned", "of the geometry", lambda: "; ".join(warned), says("(?i)spacing|position|geometry"))


def names_series(error):
    return re.search(r"\b[0-9a-f]{12}\b", str(error)) is not None


def with_names(error):
    """Return a message with the names of files in place of their keyed identifiers."""
    name = lambda found: paths_of(found[1])[0].rpartition("/")[2]  # noqa: E731
    return re.sub(r"\bfile ([0-9a-f]{12})", name, str(error))


def check_skipped(check, row, data, source):
    listed = {item.path: item.reason for item in cm.scan(data / row.name).skipped}
    check("skipped", row.skipped, lambda: listed[str(source)], says(row.skipped))
    for action in (cm.scan, cm.open):
        alone = lambda action=action: raised(lambda: action(source))  # noqa: E731
        check("alone", row.skipped, alone, says(row.skipped))


def check_either(check, row, source, where, data, reference):
    """Right values, or a refusal in the right words: anything else is wrong."""
    study = cm.scan(source)
    refusals = [str(stack.problem) for stack in study.stacks if stack.problem]
    refusals += [item.reason for item in study.skipped]
    if refusals:
        check("refused", row.either, lambda: "; ".join(refusals), says(row.either))
    else:
        image = stored(source, where)
        check(
            "marked", row.either, lambda: json.dumps([image.attrs, *study.stacks[0].flags]), says(row.either)
        )
        check("shape", row.shape, lambda: image.shape)
        check_file_values(check, row, image, data, reference)


# ------------------------------------------------------------------------------------------- the test
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_outcome(row: Outcome, data, reference, tmp_path):
    source, where, warned = data / row.name / row.file, tmp_path / "image.zarr", []
    check = Checks(row.name, row.file)
    if row.skipped:
        check_skipped(check, row, data, source)
        return check.settle()
    if row.either:
        check_either(check, row, source, where, data, reference)
        return check.settle()
    if row.refused:
        kind = lambda: raised(lambda: cm.convert(source, where)).kind  # noqa: E731
        check("refused", row.refused, kind, says(f"^({row.refused})$"))
        told = lambda: with_names(raised(lambda: cm.convert(source, where)))  # noqa: E731
        check("words", row.words, told, says(row.words))
        check("names series", "its key", lambda: raised(lambda: cm.convert(source, where)), names_series)
        check("nothing left", False, where.exists)
        lazily = lambda: raised(lambda: cm.open(source).compute()).kind  # noqa: E731
        check("open refuses", row.refused, lazily, says(f"^({row.refused})$"))
    if row.options or not row.refused:
        try:
            image = stored(source, where, warned, **row.options)
        except Exception as error:
            check("convert", "an image", lambda error=error: f"{type(error).__name__}: {error}")
            return check.settle()
        check_image(check, row, image, reference)
        if row.shape:
            check_file_values(check, row, image, data, reference)
        check_told(check, row, image, where, warned)
        text = json.dumps(image.attrs) + "".join(p.read_text() for p in where.rglob("*.json"))
        check("store leaks", [], lambda: leaks(text, private_words(source)))
    return check.settle()


@pytest.mark.parametrize("name", [*NAMES, outcomes.ECHOES[0], outcomes.MESSY])
def test_nothing_private_leaves_a_scan(name, data):
    check, folder = Checks(name), data / name
    study, words = cm.scan(folder), private_words(folder)
    check("table", [], lambda: leaks(str(study), words))
    for stack in study.stacks:
        check(stack.key, [], lambda stack=stack: leaks(outward(study, stack), words))
        if stack.problem:
            check("message", [], lambda stack=stack: leaks(str(stack.problem), words))
    check.settle()


def test_two_extra_axes_are_a_stack_for_each_echo(data, reference, tmp_path):
    name, echoes, shape = outcomes.ECHOES
    expected, study, check = reference[name], cm.scan(data / name), Checks(name)
    wanted = np.array(expected["slice_signatures"]).reshape(3, len(echoes), 3, 2)
    found = {}
    for number, stack in enumerate(study.stacks):
        image = stored(stack, tmp_path / f"{number}.zarr")
        check("shape", shape, lambda image=image: image.shape)
        check("times", outcomes.ECHO_TIMES_MS, lambda image=image: (image.t - image.t[0]).values,
              near(outcomes.ECHO_TIMES_MS, 1.0))  # fmt: skip
        check_geometry(check, expected, image)
        same = [e for e in range(len(echoes)) if near(wanted[:, e], 1e-5)(signatures(image.values))]
        found.update(dict.fromkeys(same, image))
        told = " ".join([*stack.flags, json.dumps(image.attrs)])
        echo = str(echoes[same[0]]) if same else "no echo"
        check("echo told", echo, lambda told=told: told, says(re.escape(echo)))
    check("stacks", list(range(len(echoes))), lambda: sorted(found))
    together = lambda: np.stack([found[e].values for e in sorted(found)], axis=1).reshape(expected["shape"])  # noqa: E731
    check("sha256", expected["sha256_rescaled_f4"][:12], lambda: sha256(together(), "<f4")[:12])
    check.settle()


def test_messy_folder(data, reference, tmp_path):
    name, folder = outcomes.MESSY, data / outcomes.MESSY
    study, check = cm.scan(folder), Checks(outcomes.MESSY)
    hashes = {}
    for entry in reference[name]["per_file"]:
        if "pydicom_stored" in entry:
            hashes.setdefault(entry["pydicom_stored"]["sha256_i4"], entry["path"])

    def files(number, stack):
        image = stored(stack, tmp_path / f"{number}.zarr")
        raw = image.values.astype(np.int64) - int(image.attrs["rescale_intercept"])
        return tuple(tuple(hashes.get(sha256(plane, "<i4"), "?") for plane in volume) for volume in raw)

    images = [(files(n, s), s) for n, s in enumerate(study.stacks)]
    plain = [names for names, stack in images if not stack.localizer]
    check("images", sorted(outcomes.MESSY_STACKS), lambda: sorted(plain))
    scouts = [names[0][0] for names, stack in images if stack.localizer]
    check("localizers", sorted(outcomes.MESSY_LOCALIZERS), lambda: sorted(scouts))
    first = next(stack for names, stack in images if names == outcomes.MESSY_STACKS[0])
    check("duplicate", outcomes.MESSY_DUPLICATE, lambda: "; ".join(first.assumptions),
          says(outcomes.MESSY_DUPLICATE))  # fmt: skip
    reasons = {item.path.removeprefix(f"{folder}/"): item.reason for item in study.skipped}
    check("skipped", sorted(outcomes.MESSY_SKIPPED), lambda: sorted(reasons))
    for path, words in outcomes.MESSY_SKIPPED.items():
        check(path, words, lambda path=path: reasons[path], says(words))
    check("selectors", "in the table", lambda: [s.key for s in study.stacks if s.key not in str(study)],
          lambda absent: not absent)  # fmt: skip
    check("selected", first.key, lambda: study.select(first.key).key)
    by_key = lambda: stored(folder, tmp_path / "key.zarr", series=first.key).shape  # noqa: E731
    check("by selector", (1, 4, 256, 256), by_key)
    check("no choice", "several-series", lambda: raised(lambda: cm.convert(folder, tmp_path / "n.zarr")).kind)
    check.settle()


@pytest.mark.parametrize("name", SHUFFLED)
def test_shuffled_and_renamed_input_is_the_same_store(name, data, tmp_path):
    paths = sorted(path for path in (data / name).iterdir() if path.is_file())
    for number, path in enumerate(np.random.default_rng(7).permutation(paths)):
        renamed = tmp_path / f"in{number % 3}" / hashlib.md5(path.name.encode()).hexdigest()
        renamed.parent.mkdir(exist_ok=True)
        renamed.symlink_to(path)
    renamed = sorted(tmp_path.glob("in*/*"), key=lambda path: path.name)
    content = []
    for way, source in {"folder": data / name, "renamed": renamed}.items():
        stored(source, tmp_path / f"{way}.zarr")
        content.append(store_content(tmp_path / f"{way}.zarr"))
    first, other = content
    check = Checks(name)
    check("files", sorted(first), lambda: sorted(other))
    check("same content", [], lambda: [key for key in first if other.get(key) != first[key]])
    check.settle()


def store_content(store):
    """Metadata of a store but what names this very write (commit and seals), and the values."""
    out = {"values": hashlib.sha256(cm.open(store).values.tobytes()).hexdigest()}
    for path in sorted(p for p in store.rglob("*") if p.is_file() and p.name != "manifest.json"):
        found = path.read_bytes()
        if path.name == "zarr.json":
            about = json.loads(found)
            for key in ("commit", "checksum"):
                about["attributes"].get("chunkmed", {}).pop(key, None)
            found = json.dumps(about, sort_keys=True)
        # A shard is sealed with its commit; its values were compared.
        out[str(path.relative_to(store))] = len(found) if "image/c" in str(path) else found
    return out


@pytest.mark.parametrize("name", CLASSIC)
def test_one_file_of_a_set_is_one_slice(name, data, reference, tmp_path):
    path = sorted(path for path in (data / name).iterdir() if path.is_file())[1]
    check, expected = Checks(name, path.name), reference[name]
    image = stored(path, tmp_path / "one.zarr")
    check("shape", (1, 1, *expected["shape"][2:]), lambda: image.shape)
    wanted = np.array(expected["slice_signatures"]).reshape(-1, 2)
    scale = signature_tolerance(expected, image)
    check("one of its slices", True,
          lambda: any(near(each, scale)(signatures(image.values)[0, 0]) for each in wanted))  # fmt: skip
    check.settle()


@pytest.mark.parametrize("name", ["mr_oblique_tra", "mr_dce_siemens_4d", "rgb_j2k_secondary_capture"])
def test_open_without_conversion_is_the_same_image(name, data, tmp_path):
    image = stored(data / name, tmp_path / "a.zarr")
    direct = cm.open(data / name)
    xr.testing.assert_equal(direct.compute(), image.compute())
    assert direct.attrs == image.attrs
    assert direct.chunks is not None


# ------------------------------------------------------------------------------------------------- SUV
PET = "pet_ac_ge_perslice_slope_jpegls"


def test_suv(data):
    image = cm.open(data / PET)
    suv = cm.suv(image)
    assert float(suv.max()) == pytest.approx(51.09, abs=0.005)
    assert image.attrs["suv_bw_factor"] == pytest.approx(4.2111e-4, rel=2e-5)
    # The factor is kept; weight, dose and clock times of the injection are not.
    kept = [value for value in image.attrs.values() if not isinstance(value, list)]
    assert not {91.0, 588802304.0} & {value for value in kept if isinstance(value, float)}
    assert not any(clock in str(kept) for clock in ("588802304", "072100", "095947"))


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("RadionuclideTotalDose", r"Radionuclide ?Total ?Dose"),
        ("RadionuclideHalfLife", r"Radionuclide ?Half ?Life"),
        ("PatientWeight", r"Patient'?s? ?Weight"),
        ("RadiopharmaceuticalStartTime", r"Radiopharmaceutical ?Start"),
    ],
)
def test_suv_is_refused_naming_the_missing_tag(keyword, said, data, tmp_path):
    header = pydicom.dcmread(data / PET / "PT060.dcm")
    nuclide = header.RadiopharmaceuticalInformationSequence[0]
    for item in (header, nuclide):
        if keyword in item:
            delattr(item, keyword)
    header.save_as(tmp_path / "without.dcm")
    image = stored(tmp_path / "without.dcm", tmp_path / "pet.zarr")
    assert "suv_bw_factor" not in image.attrs
    with pytest.raises((InputError, SourceError), match=said) as caught:
        cm.suv(image)
    assert caught.value.kind == "suv-unknown"


def test_suv_of_what_is_no_pet_is_refused(data):
    with pytest.raises((InputError, SourceError)):
        cm.suv(cm.open(data / "mr_coronal"))
