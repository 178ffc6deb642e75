"""Files of one store over HTTP, on this machine only: for a viewer in the browser.

Whoever asks must know a path that cannot be guessed, and pages of other origins may not read the answers.
"""

from __future__ import annotations

import http.server
import os
import re
import secrets
import stat
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

__all__ = ["StoreServer"]

#: Bytes that are sent at once.
_PIECE = 1 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class StoreServer:
    """Serves the files below a folder on 127.0.0.1, whole or in ranges; nothing is ever written.

    Parameters
    ----------
    folder : Path
        What is served. Names that begin with a dot, and links that lead out of it, are not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._secret = folder.resolve(), secrets.token_urlsafe(24)
        self.origin = ""
        """Whose pages may read the answers."""
        owner = self

        class Handler(_Handler):
            store = owner

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of the folder."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{self._secret}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def file_at(self, target: str) -> Path | None:
        """Return the file that a request means, None where there is none to be had."""
        first, *parts = unquote(urlsplit(target).path).lstrip("/").split("/")
        if not secrets.compare_digest(first.encode(), self._secret.encode()):
            return None
        if not parts or any(not part or part.startswith(".") or "\0" in part for part in parts):
            return None
        path = self.folder.joinpath(*parts)
        try:
            inside = path.resolve(strict=True).is_relative_to(self.folder)
            return path if inside and stat.S_ISREG(path.stat().st_mode) else None
        except OSError:
            return None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    store: StoreServer

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_OPTIONS(self) -> None:
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD")
        self.send_header("Access-Control-Allow-Headers", "Range, Cache-Control")
        self._finish(0)

    def _answer(self, *, with_body: bool) -> None:
        path = self.store.file_at(self.path)
        if path is None:
            self.send_response(HTTPStatus.NOT_FOUND)
            self._finish(0)
            return
        try:
            with path.open("rb") as file:
                self._send(file, os.fstat(file.fileno()).st_size, with_body=with_body)
        except (BrokenPipeError, ConnectionResetError):
            # The viewer does not want it any more.
            self.close_connection = True

    def _send(self, file: BinaryIO, size: int, *, with_body: bool) -> None:
        asked = self.headers.get("Range")
        span = (0, size) if asked is None else range_of(asked, size)
        if span is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self._finish(0)
            return
        start, stop = span
        self.send_response(HTTPStatus.OK if asked is None else HTTPStatus.PARTIAL_CONTENT)
        if asked is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Type", "application/octet-stream")
        self._finish(stop - start)
        if with_body:
            file.seek(start)
            self._copy(file, stop - start)

    def _copy(self, file: BinaryIO, left: int) -> None:
        while left and (found := file.read(min(left, _PIECE))):
            self.wfile.write(found)
            left -= len(found)

    def _finish(self, length: int) -> None:
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(length))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Access-Control-Allow-Origin", self.store.origin)
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length, Accept-Ranges")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing: the path holds the secret."""


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """Return which bytes of a file a ``Range`` header asks for, None where there are none.

    Examples
    --------
    >>> [range_of(f"bytes={asked}", 10) for asked in ("2-5", "8-", "-3", "10-")]
    [(2, 6), (8, 10), (7, 10), None]
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    return (start, stop) if start < stop else None
