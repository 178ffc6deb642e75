"""Who may read a store that is served, and what of it."""

import http.client
import os
from urllib.parse import urlsplit

import pytest

from chunkmed.viewer.serving import StoreServer, range_of

CONTENT = bytes(range(256)) * 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "a.zarr"
    (folder / "c" / "0").mkdir(parents=True)
    (folder / "c" / "0" / "1").write_bytes(CONTENT)
    (folder / ".hidden").write_text("no")
    (folder.parent / "secret").write_text("no")
    (folder / "out").symlink_to(folder.parent / "secret")
    os.mkfifo(folder / "pipe")
    running = StoreServer(folder)
    running.origin = "http://127.0.0.1:1"
    yield running
    running.close()


def ask(server, path, method="GET", **headers):
    parts = urlsplit(server.url)
    assert parts.hostname == "127.0.0.1"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request(method, path.replace("SECRET", parts.path.lstrip("/")), headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.headers)
    connection.close()
    return found


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (None, (0, 5120)),
        ("bytes=0-0", (0, 1)),
        ("bytes=7-19", (7, 20)),
        ("bytes=5000-", (5000, 5120)),
        ("bytes=-16", (5104, 5120)),
        ("bytes=-9999", (0, 5120)),
        ("bytes=5000-9999", (5000, 5120)),
    ],
)
def test_files_whole_and_in_ranges(server, asked, wanted):
    headers = {} if asked is None else {"Range": asked}
    status, body, about = ask(server, "/SECRET/c/0/1", **headers)
    start, stop = wanted
    assert body == CONTENT[start:stop] and status == (200 if asked is None else 206)
    assert about.get("Content-Range") == (None if asked is None else f"bytes {start}-{stop - 1}/5120")
    status, body, about = ask(server, "/SECRET/c/0/1", "HEAD", **headers)
    assert body == b"" and about["Content-Length"] == str(stop - start)


@pytest.mark.parametrize(
    "asked", ["bytes=5120-", "bytes=9-3", "bytes=-0", "bytes=-", "bytes=1-2,4-5", "items=1-2"]
)
def test_ranges_that_are_not_there(server, asked):
    status, body, about = ask(server, "/SECRET/c/0/1", Range=asked)
    assert (status, body, about["Content-Range"]) == (416, b"", "bytes */5120")
    assert range_of(asked, 5120) is None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/c/0/1",
        "/wrong/c/0/1",
        "/SECRET",
        "/SECRET/",
        "/SECRET/c",
        "/SECRET/none",
        "/SECRET/.hidden",
        "/SECRET/../secret",
        "/SECRET/%2e%2e/secret",
        "/SECRET/c/..%2f..%2f..%2fsecret",
        "/SECRET//etc/passwd",
        "/SECRET/out",
        "/SECRET/pipe",
        "/SECRET/%00",
        "/SECRET/c%2f" + "x" * 300,
        "/%FF/c/0/1",
    ],
)
def test_nothing_else_is_there(server, path):
    status, body, _ = ask(server, path)
    assert (status, body) == (404, b"")


def test_only_the_viewers_pages_may_read_it(server):
    for method in ("GET", "HEAD", "OPTIONS"):
        _, _, about = ask(server, "/SECRET/c/0/1", method, Origin="http://evil.example")
        assert about["Access-Control-Allow-Origin"] == "http://127.0.0.1:1"
    assert ask(server, "/SECRET/c/0/1", "POST")[0] == 501
    assert "Range" in ask(server, "/SECRET/c/0/1", "OPTIONS")[2]["Access-Control-Allow-Headers"]


def test_two_servers_have_two_secrets(server, tmp_path):
    other = StoreServer(tmp_path)
    assert urlsplit(other.url).path != urlsplit(server.url).path and len(urlsplit(other.url).path) > 20
    other.close()
