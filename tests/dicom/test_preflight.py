"""Files that ask a parser for too much are named, at once and in little memory."""

import struct
import time
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkmed.dicom import limited, scan
from chunkmed.dicom.read import NotAnImageError, read_header
from chunkmed.errors import SourceError
from chunkmed.testing import Form, write_form

EXPLICIT, IMPLICIT, BIG, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in (".1", "", ".2", ".1.99"))
UNDEFINED = 0xFFFFFFFF
SEQUENCE = (0x0008, 0x1140)  # ReferencedImageSequence


def element(group, number, vr, value, length=None, order="<", implicit=False):
    length = len(value) if length is None else length
    head = struct.pack(order + "HH", group, number)
    if implicit:
        return head + struct.pack(order + "I", length) + value
    if vr in ("SQ", "OB", "OW", "UN", "UT"):
        return head + vr.encode() + b"\0\0" + struct.pack(order + "I", length) + value
    return head + vr.encode() + struct.pack(order + "H", length & 0xFFFF) + value


def file_of(body, syntax=EXPLICIT):
    uid = syntax.encode().ljust(len(syntax) + len(syntax) % 2, b"\0")
    meta = element(2, 0x10, "UI", uid)
    return bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + body


def image(order="<", implicit=False, before=b""):
    """The least that is an image, as pydicom reads it: its group length is not where the walk wants it."""
    rows = (
        (0x0008, 0x0016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        (0x0028, 0x0002, "US", struct.pack(order + "H", 1)),
        (0x0028, 0x0010, "US", struct.pack(order + "H", 2)),
        (0x0028, 0x0011, "US", struct.pack(order + "H", 2)),
        (0x0028, 0x0100, "US", struct.pack(order + "H", 16)),
        (0x0028, 0x0101, "US", struct.pack(order + "H", 16)),
        (0x0028, 0x0102, "US", struct.pack(order + "H", 15)),
        (0x0028, 0x0103, "US", struct.pack(order + "H", 0)),
    )
    head = b"".join(element(*row, order=order, implicit=implicit) for row in rows[:1])
    rest = b"".join(element(*row, order=order, implicit=implicit) for row in rows[1:])
    return head + before + rest + element(0x7FE0, 0x10, "OW", bytes(8), order=order, implicit=implicit)


def nested(depth, order="<", implicit=False, defined=False):
    """Sequences in sequences."""
    value = b""
    for _ in range(depth):
        marked = struct.pack(order + "HHI", 0xFFFE, 0xE000, len(value) if defined else UNDEFINED) + value
        if not defined:
            marked += struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0)
            marked += struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0)
        value = element(*SEQUENCE, "SQ", marked, None if defined else UNDEFINED, order, implicit)
    return value


def refused(path, raw):
    path.write_bytes(raw)
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(NotAnImageError) as error:
        read_header(str(path))
    took, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 2 and peak < 256 << 20
    return str(error.value)


@pytest.fixture
def parsed(monkeypatch):
    """Have pydicom read every file: the walk steps over sequences of a known length, unseen."""
    monkeypatch.setattr("chunkmed.dicom.read._quickly", lambda *_: None)


FORMS = [(EXPLICIT, "<", False), (IMPLICIT, "<", True), (BIG, ">", False)]


@pytest.mark.parametrize(("syntax", "order", "implicit"), FORMS)
@pytest.mark.parametrize("defined", [False, True])
@pytest.mark.parametrize("start", [0, 132], ids=["preamble", "no preamble"])
def test_deep_sequences_are_refused_and_shallow_ones_read(
    tmp_path, parsed, syntax, order, implicit, defined, start
):
    path = tmp_path / "a.dcm"
    deep = image(order, implicit, nested(2_000, order, implicit, defined))
    assert "nested more than 100 deep" in refused(path, file_of(deep, syntax)[start:])
    path.write_bytes(file_of(image(order, implicit, nested(40, order, implicit, defined)), syntax)[start:])
    assert read_header(str(path))[0].layout.rows == 2


@pytest.mark.parametrize("start", [0, 132], ids=["preamble", "no preamble"])
def test_without_a_syntax_bytes_are_taken_in_the_order_that_the_parser_takes(tmp_path, start):
    """Pixel data in one order; in the other, which the parser takes for so high a group, a text."""
    first = b"\xe0\x7f\x08\x00SH" + struct.pack(">H", 4) + b"abcd"
    meta = element(2, 2, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")
    raw = bytes(128) + b"DICM" + meta + first + nested(2_000, ">")
    assert "nested more than 100 deep" in refused(tmp_path / "a.dcm", raw[start:])


def hidden(trick, deep):
    """Sequences where only who reads as the parser does finds them."""
    item, end = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    if trick == "no item":
        # A parser goes by the length of the sequence; as an element, what it holds covers all that follows.
        return element(*SEQUENCE, "SQ", element(0x0009, 0x1001, "OB", b"", len(deep))) + deep
    if trick == "end mark in a fragment":
        inside = end + deep
        return element(
            0x0009, 0x1001, "OB", item[:4] + struct.pack("<I", len(inside)) + inside + end, UNDEFINED
        )
    if trick == "implicit element":
        return nested(600, implicit=True) + bytes(70_000)
    # As implicit elements what follows would be one long value.
    return element(*SEQUENCE, "SQ", item + struct.pack("<HHI", *SEQUENCE, UNDEFINED)) + deep + bytes(70_000)


@pytest.mark.parametrize(
    "trick", ["no item", "end mark in a fragment", "implicit element", "no end in a sequence"]
)
def test_what_the_parser_goes_into_is_followed(tmp_path, parsed, trick):
    raw = file_of(image(before=hidden(trick, nested(600))))
    reason = refused(tmp_path / "a.dcm", raw)
    assert reason.startswith("damaged: ") and "Recursion" not in reason


@pytest.mark.parametrize("where", ["element", "sequence", "item", "nested"])
def test_lengths_beyond_the_end_are_refused(tmp_path, parsed, where):
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFF0)
    before = {
        "element": element(0x0009, 0x1001, "OB", b"abcd", 0xFFFFFFF0),
        "sequence": element(*SEQUENCE, "SQ", b"", 0xFFFFFFF0),
        "item": element(*SEQUENCE, "SQ", item, 8) + element(0x0009, 0x1001, "OB", b"abcd", 0xFFFFFFF0),
        "nested": element(
            *SEQUENCE, "SQ", item[:4] + struct.pack("<I", 12) + element(0x0009, 0x1001, "OB", b"", 999), 20
        ),
    }[where]
    reason = refused(tmp_path / "a.dcm", file_of(image(before=before)))
    assert reason.startswith("damaged: an element of ") and "are left" in reason


@pytest.mark.parametrize("start", [0, 132], ids=["preamble", "no preamble"])
def test_a_stream_that_inflates_without_end_is_refused(tmp_path, start):
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = element(0x0008, 0x0016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")
    long = element(0x0009, 0x1001, "OB", b"", 0xF0000000)
    body = packer.compress(head + long) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(400))
    assert refused(tmp_path / "a.dcm", file_of(body + packer.flush(), DEFLATED)[start:])


def test_more_elements_than_any_image_has_are_refused(tmp_path):
    before = b"".join(element(0x0009, 0x1001, "LO", b"") for _ in range(1_000)) + nested(1)
    path = tmp_path / "a.dcm"
    # The group length, wrong: the walk leaves the file to pydicom.
    raw = file_of(image(before=before), BIG.replace(".2.2", ".2.1"))
    with limited(elements=1_000):
        assert "more than 1000 elements" in refused(path, raw[:132] + raw[144:])


def test_hostile_files_cost_themselves_and_nothing_else(tmp_path):
    write_form(tmp_path, lambda t, z: [[t, z], [0, 1]], _grid(), Form())
    (tmp_path / "deep.dcm").write_bytes(file_of(image(before=nested(2_000))))
    study = scan(tmp_path)
    assert len(study.stacks) == 1 and study.stacks[0].problem is None
    assert [item.reason for item in study.skipped] == ["damaged: sequences nested more than 100 deep"]


def _grid():
    from chunkmed.grid import Grid

    return Grid(z_mm=(0.0, 2.0, 4.0), y_mm=(0.0, 1.0), x_mm=(0.0, 1.0), time_ms=(0.0, 50.0))


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    form=st.sampled_from(FORMS),
    depth=st.integers(0, 4),
    cuts=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 600),
)
def test_whatever_the_bytes_are_there_is_a_header_or_a_reason(tmp_path, form, depth, cuts, end):
    syntax, order, implicit = form
    raw = bytearray(file_of(image(order, implicit, nested(depth, order, implicit)), syntax))
    for place, value in cuts:
        raw[place % len(raw)] = value
    path = tmp_path / "a.dcm"
    path.write_bytes(raw[: max(1, len(raw) - end)] if end < 300 else raw)
    try:
        read_header(str(path))
    except (NotAnImageError, SourceError) as error:
        assert str(error)
