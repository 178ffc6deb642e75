"""What was done, and identifiers that say nothing without the key."""

import hashlib
import hmac
import json
import os
import platform
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chunkmed.provenance import content_hash, keyed_identifier, step, versions

ROOT = Path(__file__).resolve().parents[1]
UID = "1.2.840.113619.2.55.3.604688119"


def identifiers(key_file, *uids, home=None):
    """Return the identifiers that a fresh process gives."""
    code = "import sys\nfrom chunkmed.provenance import keyed_identifier\n"
    code += "print(*map(keyed_identifier, sys.argv[1:]))"
    environment = {k: v for k, v in os.environ.items() if k not in ("CHUNKMED_KEY_FILE", "XDG_CONFIG_HOME")}
    environment |= {"PYTHONPATH": str(ROOT)}
    if key_file is not None:
        environment["CHUNKMED_KEY_FILE"] = str(key_file)
    if home is not None:
        environment["HOME"] = str(home)
    done = subprocess.run(
        [sys.executable, "-c", code, *uids], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_key_file_is_private_and_identifiers_are_stable(tmp_path):
    key_file = tmp_path / "deep" / "er" / "identifier.key"
    first = identifiers(key_file, UID, UID + ".1")
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [p.name for p in key_file.parent.iterdir()] == ["identifier.key"]
    key = key_file.read_bytes()
    assert len(key) == 32
    assert identifiers(key_file, UID, UID + ".1") == first and key_file.read_bytes() == key
    assert first[0] != first[1] and all(len(name) == 12 for name in first)
    assert first[0] == hmac.new(key, UID.encode(), hashlib.sha256).hexdigest()[:12]


def test_other_keys_give_other_identifiers(tmp_path):
    assert identifiers(tmp_path / "a", UID) != identifiers(tmp_path / "b", UID)


def test_without_a_named_file_it_lies_in_the_users_folder(tmp_path):
    first = identifiers(None, UID, home=tmp_path)
    assert (tmp_path / ".config" / "chunkmed" / "identifier.key").is_file()
    assert identifiers(None, UID, home=tmp_path) == first


def test_no_place_for_a_key(tmp_path):
    (tmp_path / "file").write_text("")
    first = identifiers(tmp_path / "file" / "key", UID, UID)
    assert first[0] == first[1] and len(first[0]) == 12
    # Never a fixed key: the next process has another.
    assert identifiers(tmp_path / "file" / "key", UID) != first[:1]


def test_an_empty_key_file_is_no_key(tmp_path):
    """With an empty key everybody could look the UID up: it is refused, and left as it is."""
    (tmp_path / "key").write_bytes(b"")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        identifiers(tmp_path / "key", UID)
    assert "the key of the identifiers is too short" in refused.value.stderr
    assert (tmp_path / "key").read_bytes() == b""


def test_an_identifier_does_not_hold_the_uid():
    assert keyed_identifier(UID) == keyed_identifier(UID) != keyed_identifier(UID + "0")
    assert keyed_identifier(UID) != hashlib.sha256(UID.encode()).hexdigest()[:12]


def test_steps_are_json():
    record = step("label", structure="faces", iterations=2)
    assert json.loads(json.dumps(record)) == record
    assert record["step"] == "label" and record["settings"] == {"structure": "faces", "iterations": 2}
    assert record["versions"] == versions()
    # A record is its own: changing it changes no other.
    record["versions"]["numpy"] = "0"
    assert versions()["numpy"] != "0"


def test_versions():
    found = versions()
    assert found["python"] == platform.python_version()
    assert {"chunkmed", "dask", "zarr", "numpy", "scipy", "pydicom", "xarray", "numba"} <= set(found)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["a", "b"], ["ab"]),
        ([1], ["1"]),
        ([1], [1.5]),
        ([[1, 2]], [[1], [2]]),
        ([None], ["None"]),
        ([1, 2], [2, 1]),
    ],
)
def test_hashes_of_other_parts_differ(first, second):
    assert content_hash(*first) != content_hash(*second)


def test_hashes_do_not_depend_on_the_process():
    assert content_hash("gaussian", {"b": 1, "a": [1, 2]}) == content_hash("gaussian", {"a": (1, 2), "b": 1})
    code = 'from chunkmed.provenance import content_hash; print(content_hash("a", {"x", }, [1.5]))'
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
