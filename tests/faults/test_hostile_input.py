"""Whatever lies in a folder: a result, or a reason, and the rest goes on."""

from __future__ import annotations

import os
import resource
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from faults.hostile import build, trees
from faults.hostile.bombs import bombs
from faults.hostile.contained import run_cases
from faults.hostile.costs import bomb_campaign
from faults.hostile.files import file_campaign, tally
from faults.hostile.folders import convert_all, write_folder, written_series
from faults.hostile.outcomes import outcome
from faults.hostile.seeds import real_seeds, written_seeds

import chunkmed as cm
from chunkmed import dicom
from chunkmed import store as rooms
from chunkmed.cli import cli
from chunkmed.dicom import child, children, decoder, limited
from chunkmed.dicom.codecs import CODECS, Shape
from chunkmed.dicom.limits import current_limits
from chunkmed.dicom.walk import find_files, open_regular, printable
from chunkmed.errors import ChunkmedError, InputError, SourceError, StoreError

pytestmark = pytest.mark.filterwarnings("ignore")
RLE = CODECS[build.RLE]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    given = os.environ.get("CHUNKMED_TEST_DATA")
    return [*written_seeds(tmp_path_factory.mktemp("seeds")), *real_seeds(Path(given) if given else None)]


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    written_series(folder)
    return folder


# -- files ------------------------------------------------------------------------------------


def test_mutated_files_are_read_or_refused(seeds):
    found = tally(seeds, 60)
    assert found["read"] > 5 and found["refused"] > 5
    assert file_campaign(seeds, 0, 10_000) == []


def test_what_raises_dies_hangs_or_grows_is_found():
    acts = {
        1: lambda: 1 / 0,
        3: lambda: os.kill(os.getpid(), 11),
        5: lambda: all(True for _ in iter(int, 1)),
        7: lambda: b"x" * (90 << 20),
    }
    found = run_cases(0, 9, lambda case: acts.get(case, int)(), seconds=0.5, growth_bytes=64 << 20)
    assert [case for case, _ in found] == [1, 3, 5, 7]
    words = ("ZeroDivisionError", "SIGSEGV", "hung", "MemoryError")
    assert all(word in what for word, (_, what) in zip(words, found, strict=True))


def test_bombs_cost_little(tmp_path):
    assert len(bombs()) >= 30
    # On a busy machine processor time is worth less: the figure of two seconds is the long form's.
    assert bomb_campaign(tmp_path, seconds=8.0) == []


def test_a_pipe_that_took_the_place_of_a_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    with pytest.raises(OSError, match="pipe"):
        open_regular(str(tmp_path / "pipe.dcm"))


def test_a_tenth_of_a_folder_is_hostile(tmp_path):
    count, hostile = write_folder(tmp_path / "in", 100)
    study = dicom.scan(tmp_path / "in")
    named = {item.path for item in study.skipped} | {
        path for stack in study.stacks for path in stack.pixels.paths
    }
    assert count == 6 and len(hostile) == 10
    assert {printable(str(path)) for path in hostile} <= named
    assert all(item.reason and item.path.isprintable() for item in study.skipped)
    assert convert_all(study, tmp_path) == (count, len(study.stacks) - count)


def test_links_between_folders_do_not_multiply(tmp_path):
    for one in range(12):
        (tmp_path / f"{one}").mkdir()
        (tmp_path / f"{one}" / "a").write_bytes(b"a")
        for other in range(12):
            (tmp_path / f"{one}" / f"to{other}").symlink_to(f"../{other}")
    found = list(find_files(tmp_path))
    assert [path for path, reason in found if not reason] == sorted(
        str(tmp_path / f"{one}" / "a") for one in range(12)
    )
    assert len(found) == 12 * 13 and {reason for _, reason in found if reason} == {
        "a symbolic link back to a folder that it lies in",
        "a symbolic link to a folder that is searched anyway",
    }


def test_a_linked_folder_elsewhere_is_searched_once(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"a")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one").symlink_to("../real")
    (tmp_path / "in" / "two").symlink_to("../real")
    found = dict(find_files(tmp_path / "in"))
    assert found[str(tmp_path / "in" / "one" / "a")] == "" and len(found) == 2


# -- codecs -----------------------------------------------------------------------------------

_FAKE = """
import ctypes, os, sys, time

def decode_pixel_data(stream, version, rows, columns, bits_allocated):
    word = bytes(stream).strip(b"\\0").decode()
    acts = {
        "segfault": lambda: ctypes.string_at(0),
        "abort": os.abort,
        "exit": lambda: os._exit(0),
        "leave": sys.exit,
        "panic": lambda: (_ for _ in ()).throw(type("PanicException", (BaseException,), {})()),
        "interrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
        "loop": lambda: all(True for _ in iter(int, 1)),
        "sleep": lambda: time.sleep(600),
        "eat": lambda: bytearray(2 << 30),
        "recurse": lambda: eval("(lambda f: f(f))(lambda f: f(f))"),
        "print": lambda: os.write(1, b"x" * 144),
        "close": lambda: os.close(0),
    }
    acts.get(word, int)()
    return bytes(rows * columns * bits_allocated // 8) if word != "long" else bytes(2 << 20)
"""
_WORDS = {
    "segfault": "crashed", "abort": "crashed", "exit": "exit code 0", "leave": "SystemExit",
    "panic": "PanicException", "interrupt": "KeyboardInterrupt", "loop": "more time", "sleep": "more time",
    "eat": "more memory", "recurse": "RecursionError", "long": "ValueError",
}  # fmt: skip


@pytest.fixture
def fake_codec(tmp_path, monkeypatch):
    (tmp_path / "rle.py").write_text(_FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(children, "_POOL", children._Pool())
    monkeypatch.setattr(child, "_WALL_PER_PROCESSOR_SECOND", 3)
    yield
    children._POOL.end()


def test_codecs_that_crash_panic_hang_or_grow_cost_a_frame(fake_codec):
    shape = Shape(8, 8, 1, 16, False, False)
    for word, why in _WORDS.items():
        with pytest.raises(child.DecodeError, match=why):
            children.decode_frame(RLE, word.encode(), shape)
        # What a codec prints is no answer, and the next frame is decoded.
        assert children.decode_frame(RLE, b"print", shape).shape == (8, 8)


def test_a_decoder_that_answers_nonsense_is_not_believed(monkeypatch):
    monkeypatch.setattr(children, "_POOL", children._Pool())
    stream, shape = build.rle_frame([build.zero_runs(64)] * 2), Shape(8, 8, 1, 16, False, False)
    for good, dtype in ((1, b"|O"), (1, b"<f8"), (7, b"<u2")):
        answer = decoder.ANSWER.pack(good, dtype, b"")
        monkeypatch.setattr(child.Child, "_answer", lambda self, size, answer=answer: answer)
        with pytest.raises(child.DecodeError, match="makes no sense"):
            children.decode_frame(RLE, stream, shape)
    monkeypatch.undo()
    assert children.decode_frame(RLE, stream, shape).shape == (8, 8)


def test_decoding_under_a_limit_of_the_users_own(tmp_path):
    def act(case):
        for what in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
            resource.setrlimit(what, (8 << 30, 8 << 30))
        children._POOL = children._Pool()
        frame = children.decode_frame(
            RLE, build.rle_frame([build.zero_runs(64)] * 2), Shape(8, 8, 1, 16, False, False)
        )
        children._POOL.end()
        assert frame.shape == (8, 8)

    assert run_cases(0, 1, act) == []


# -- limits -----------------------------------------------------------------------------------


def reason_of(path, raw):
    path.write_bytes(raw)
    with pytest.raises(SourceError) as error:
        dicom.scan(path)
    return str(error.value)


def test_limits_are_named_and_can_be_raised(tmp_path):
    path = tmp_path / "a.dcm"
    frames = build.file_of(
        build.image(
            bytes(3000), NumberOfFrames="3000", Rows=1, Columns=1, BitsAllocated=8, BitsStored=8, HighBit=7,
            FrameIncrementPointer=struct.pack("<HH", 0x18, 0x1063), FrameTime="1",
        )
    )  # fmt: skip
    assert "--limit frames" in reason_of(path, frames)
    with limited(frames=3000):
        assert dicom.scan(path).stacks[0].shape == (3000, 1, 1, 1)
    wide = build.compressed([build.j2k(8000, 8000)], build.J2K, Rows=8000, Columns=8000)
    assert "--limit expansion" in reason_of(path, wide)
    with limited(expansion=10**6):
        assert dicom.scan(path).stacks[0].shape == (1, 1, 8000, 8000)
        with limited(frame_bytes="100 MB"):
            assert "--limit frame_bytes" in reason_of(path, wide)
    for wrong in ({"depth": 0}, {"depth": "x"}, {"deep": 1}, {"frame_bytes": "1 stone"}):
        with pytest.raises(InputError):
            limited(**wrong)


def test_limits_on_the_command_line_end_with_the_command(tmp_path):
    path, before = tmp_path / "a.dcm", current_limits()
    path.write_bytes(build.file_of(build.image(), build.DEFLATED))
    for words, kind in (("elements=5", "no-dicom"), ("deep=5", "bad-limit"), ("depth", "bad-limit")):
        with pytest.raises(ChunkmedError) as error:
            cli.main(["scan", str(path), "--limit", words], standalone_mode=False)
        assert error.value.kind == kind
    cli.main(["scan", str(path), "--limit", "depth=3", "--limit", "frame-bytes=1 MB"], standalone_mode=False)
    assert current_limits() == before


def test_rows_of_colours_are_those_of_the_whole_frame(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, 8 * 6 * 3, np.uint8).tobytes()
    for planar, photometric in ((0, "RGB"), (1, "RGB"), (1, "YBR_FULL"), (0, "YBR_FULL_422")):
        body = build.image(
            pixels if "422" not in photometric else pixels[: 8 * 6 * 2], Rows=8, Columns=6, SamplesPerPixel=3,
            BitsAllocated=8, BitsStored=8, HighBit=7, PlanarConfiguration=planar,
            PhotometricInterpretation=photometric,
        )  # fmt: skip
        (tmp_path / "a.dcm").write_bytes(build.file_of(body))
        stack = dicom.scan(tmp_path / "a.dcm").stacks[0]
        whole = stack.read([(0, n) for n in stack.shape])
        part = stack.read([(0, 1), (0, 1), (2, 5), (1, 4), (1, 3)])
        assert stack.granule[0] == 1 and np.array_equal(part, whole[:, :, 2:5, 1:4, 1:3])


# -- names and paths --------------------------------------------------------------------------


def test_no_name_leads_out_of_its_folder(series, tmp_path):
    done = 0
    for number, attack in enumerate(trees.attacks(series)):
        # Those that write an image: some of them here, all in the long form.
        if attack.way in trees.LONG and number % 9:
            continue
        said, changed = trees.run_attack(attack, tmp_path / str(number))
        assert not changed, (attack.way, attack.name, changed)
        trees.check_printable(said)
        done += 1
    assert done >= 200


def test_names_do_not_collide(tmp_path):
    store = tmp_path / "image.zarr"
    cm.save(trees.small_image(), store, pyramid=False)
    given = []
    for name in dict.fromkeys(trees.NAMES):
        try:
            rooms.check_name(name)
        except InputError:
            continue
        cm.save(trees.small_image() > len(given), store, name=name, pyramid=False)
        given.append(name)
    assert rooms.label_names(store) == sorted(given) and len(given) > 10
    assert [bool(cm.open(store, label=name).values.any()) for name in given[:3]] == [True, False, False]


def test_series_of_any_identifier_are_apart(tmp_path):
    raws = {name.encode("utf-8", "replace")[:64].strip(b" \0") for name in trees.NAMES}
    raws = sorted(raw for raw in raws if raw and b"\\" not in raw and raw.strip() == raw)
    for number, raw in enumerate(raws):
        body = build.image(SeriesInstanceUID=raw, SOPInstanceUID=f"1.2.{number}")
        (tmp_path / f"{number}.dcm").write_bytes(build.file_of(body))
    keys = [stack.key for stack in dicom.scan(tmp_path).stacks]
    assert len(keys) == len(set(keys)) == len(raws) and all(key.isalnum() for key in keys)


def test_a_link_in_a_store_leads_nowhere(tmp_path):
    store = tmp_path / "image.zarr"
    cm.save(trees.small_image(), store, pyramid=False)
    (tmp_path / "elsewhere").mkdir()
    (store / "labels").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="leads out of it"):
        cm.save(trees.small_image() > 0, store, name="mask", pyramid=False)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_outcomes_are_not_passed_by_chance(tmp_path):
    (tmp_path / "a.dcm").write_bytes(build.file_of(build.image()))
    assert "read (1, 1, 8, 8)" in outcome(tmp_path)
    with warnings.catch_warnings(), pytest.raises(ChunkmedError):
        dicom.scan(tmp_path / "b.dcm")
