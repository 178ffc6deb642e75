"""A real server of S3 on loopback, and a proxy before it that answers wrongly on demand."""

from __future__ import annotations

import http.client
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

#: Called with number, method and path of a request; says what goes wrong with it, None for nothing.
Fault = Callable[[int, str, str], str | None]

BUCKET = "bucket"
#: Short waits: nothing here is far away.
OPTIONS = {
    "region": "us-east-1",
    "access_key_id": "AKIDLOOPBACK",
    "secret_access_key": "hush-hush-secret",
    "timeout": "2s",
    "connect_timeout": "2s",
    "retries": "4",
}
#: What passes when it is asked again, and what does not.
PASSING = ("500", "503", "429", "reset", "truncated", "stall", "lost")
FINAL = ("403", "404")


@contextmanager
def server() -> Iterator[str]:
    """Run a server with an empty bucket; give its address."""
    pytest.importorskip("obstore", reason="object stores need chunkmed[s3]")
    moto = pytest.importorskip("moto.server", reason="the server of S3 is moto[s3] with flask and flask-cors")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    try:
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.request("PUT", f"/{BUCKET}")
        assert connection.getresponse().status == 200
        connection.close()
        yield f"http://{host}:{port}"
    finally:
        running.stop()


class Proxy:
    """Passes requests on to a server, but for those that a fault says otherwise of.

    Attributes
    ----------
    fault : function
        What goes wrong, from now on.
    requests : list
        Method and path of every request.
    """

    def __init__(self, behind: str) -> None:
        self.behind = behind.removeprefix("http://")
        self.fault: Fault = lambda number, method, path: None
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.Lock()

        class Handler(_Handler):
            proxy = self

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def start(self, fault: Fault | None = None) -> None:
        """Count requests from here, with a new fault."""
        with self.lock:
            self.requests.clear()
            self.fault = fault or (lambda number, method, path: None)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        # Clients that waited long enough are gone.
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, *_: Any) -> None:
        return

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        proxy = self.proxy
        with proxy.lock:
            number = len(proxy.requests)
            proxy.requests.append((self.command, self.path))
            wrong = proxy.fault(number, self.command, self.path)
        if wrong == "stall":
            time.sleep(3)
        if wrong in ("reset", "stall"):
            self._reset()
        elif wrong is not None and wrong.isdigit():
            self._send(int(wrong), {}, b"<Error><Code>Wrong</Code></Error>")
        else:
            status, headers, raw = self._passed_on(body)
            if wrong == "lost":
                self._reset()
            elif wrong == "truncated" and raw:
                self._send(status, headers, raw[: len(raw) // 2], announced=len(raw))
            elif wrong == "short" and raw:
                self._send(status, headers, raw[: len(raw) // 2])
            elif wrong == "flipped" and raw:
                self._send(status, headers, raw[:-1] + bytes([raw[-1] ^ 1]))
            else:
                self._send(status, headers, raw)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815

    def _passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.proxy.behind, timeout=20)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        raw = answer.read()
        headers = {k.lower(): v for k, v in answer.getheaders()}
        connection.close()
        return answer.status, headers, raw

    def _send(self, status: int, headers: dict[str, str], raw: bytes, announced: int | None = None) -> None:
        left_out = ("connection", "transfer-encoding", "server", "date")
        length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(raw))
        headers = {**headers, "content-length": length if announced is None else str(announced)}
        self.send_response(status)
        for name, value in headers.items():
            if name not in left_out:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)
        if announced is not None:
            self._reset()

    def _reset(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        # Gone without a goodbye.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def options(address: str, **more: str) -> dict[str, str]:
    """Return how a server or proxy is reached."""
    return {**OPTIONS, "endpoint": address, **more}
