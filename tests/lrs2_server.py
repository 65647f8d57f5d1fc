"""A test server for the data set: HTTP on loopback with basic auth, ranges, ETags, and scripted faults."""

import base64
import hashlib
import threading
from collections import deque
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

USER, PASSWORD = "lrs2-reader", "hunter2:with/odd chars"
FAULTS = ("reset", "stall", "503", "429", "short_body", "small_length", "changed", "no_range", "401", "403")


class Server(ThreadingHTTPServer):
    """files: name -> bytes. each request consumes one of `faults`, (kind, a number from 0 to 1)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files, login=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.login = login
        self.files, self.faults, self.log = dict(files), deque(), []
        self.stopped, self.sent = threading.Event(), count()
        self.bytes_sent = 0
        self.extra_headers = {}  # in place of ETag and Last-Modified, or beside them; "" leaves one out
        self.redirect = ""  # the host to which every request is sent on

    @property
    def host(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are expected


@contextmanager
def serving(files, login=True):
    server = Server(files, login)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        name, server = self.path.removesuffix("/content").rsplit("/", 1)[-1], self.server
        fault, size = server.faults.popleft() if server.faults else ("", 0.0)
        server.log.append((self.command, name, self.headers.get("Range"), fault))
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if (server.login and self.headers.get("Authorization") != wanted) or fault == "401":
            return self.plain(401, {"WWW-Authenticate": 'Basic realm="data"'})
        if fault == "403":
            return self.plain(403)
        if fault in ("503", "429"):
            return self.plain(int(fault), {"Retry-After": "0"})
        if server.redirect:
            return self.plain(302, {"Location": f"{server.redirect}/{name}"})
        if name not in server.files:
            return self.plain(404)
        if fault == "stall" and size < 0.5:
            server.stopped.wait(0.5)  # before the first byte
            self.close_connection = True
            return None
        content = server.files[name]
        if fault == "changed":
            content = hashlib.sha256(content).digest() + content[: int(len(content) * size)]
        return self.send(content, fault, size, body)

    def send(self, content, fault, size, body):
        first, total, ranged = 0, len(content), self.headers.get("Range")
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        known = (etag, *self.server.extra_headers.values(), formatdate(1_400_000_000, usegmt=True))
        if ranged and fault != "no_range" and self.headers.get("If-Range", etag) in known:
            first = int(ranged.removeprefix("bytes=").rstrip("-"))
            if first >= total:
                return self.plain(416, {"Content-Range": f"bytes */{total}"})
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        else:
            self.send_response(200)
        claimed = content[first:]
        if fault == "small_length":  # a wrong length that the client can only detect with a second request
            claimed = claimed[: int(len(claimed) * size)]
        sent = claimed[: int(len(claimed) * size)] if fault in ("reset", "short_body", "stall") else claimed
        self.send_header("Content-Length", str(len(claimed)))
        headers = {"ETag": etag, "Last-Modified": formatdate(1_400_000_000, usegmt=True)} | self.server.extra_headers
        if self.path.rsplit("/", 1)[-1].isdigit():  # a record of Zenodo
            headers["Content-Type"] = "application/json"
        for header, value in headers.items():
            if value:
                self.send_header(header, value)
        self.end_headers()
        if body:
            self.wfile.write(sent)
            self.wfile.flush()
            self.server.bytes_sent += len(sent)
            if fault == "stall":
                self.server.stopped.wait(0.5)
        if fault in ("reset", "short_body", "stall"):
            if fault == "reset":
                import socket
                import struct

                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        return None

    def plain(self, status, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
