"""Proxies on this machine: HTTP with CONNECT, the same over TLS, and SOCKS 5. They pass bytes on.

`passed` are the places that were asked for; with `password` a proxy lets in who knows it, and with
`status` an HTTP proxy answers so instead of letting anybody through.
"""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import socketserver
import ssl
import threading
from typing import Any, BinaryIO

SOCKS5, NO_PASSWORD, CONNECT, NAME = 5, 0, 1, 3


class Proxy:
    def __init__(
        self, scheme: str, tls: ssl.SSLContext | None = None, *, status: int = 0, password: str = ""
    ) -> None:
        self.scheme = scheme
        self.tls = tls
        self.status = status
        self.credentials = base64.b64encode(f"user:{password}".encode()) if password else b""
        self.passed: list[str] = []

    def __enter__(self) -> Proxy:
        handler = _Socks if self.scheme.startswith("socks") else _Http
        self._server = _Server(("127.0.0.1", 0), type("Handler", (handler,), {"proxy": self}))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def address(self) -> str:
        return f"{self.scheme}://{self.place}"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_about: Any) -> None:
        """A client hung up."""


class _Handler(socketserver.BaseRequestHandler):
    proxy: Proxy

    def setup(self) -> None:
        if self.proxy.tls is not None:
            self.request = self.proxy.tls.wrap_socket(self.request, server_side=True)

    def finish(self) -> None:
        self.request.close()

    def through(self, host: str, port: int, first: bytes = b"") -> None:
        """Both ways until one side is done."""
        self.proxy.passed.append(f"{host}:{port}")
        with socket.create_connection((host, port)) as other:
            other.sendall(first)
            ways = {self.request: other, other: self.request}
            with contextlib.suppress(OSError):
                while True:
                    pending = getattr(self.request, "pending", int)()
                    ready = [self.request] if pending else select.select(list(ways), [], [])[0]
                    for side in ready:
                        if not (data := side.recv(65536)):
                            return
                        ways[side].sendall(data)


class _Http(_Handler):
    def handle(self) -> None:
        stream: BinaryIO = self.request.makefile("rb", 0)
        request = stream.readline()
        headers = [request]
        while (line := stream.readline()) not in (b"\r\n", b""):
            headers.append(line)
        method, target, _ = request.decode().split()
        if (status := self.proxy.status) or not self._knows(headers):
            self.request.sendall(
                b"HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                % (status or 407)
            )
        elif method == "CONNECT":
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            host, _, port = target.rpartition(":")
            self.through(host, int(port))
        else:
            host, _, port = target.split("/")[2].rpartition(":")
            self.through(host, int(port), b"".join(headers) + b"\r\n")

    def _knows(self, headers: list[bytes]) -> bool:
        wanted = self.proxy.credentials
        said = (line for line in headers if line.lower().startswith(b"proxy-authorization:"))
        return not wanted or any(wanted in line for line in said)


class _Socks(_Handler):
    def handle(self) -> None:
        stream: BinaryIO = self.request.makefile("rb", 0)
        _, count = stream.read(2)
        stream.read(count)
        self.request.sendall(bytes([SOCKS5, NO_PASSWORD]))
        _, command, _, kind = stream.read(4)
        assert command == CONNECT
        host = (
            stream.read(stream.read(1)[0]).decode()
            if kind == NAME
            else socket.inet_ntoa(stream.read(4))
        )
        port = int.from_bytes(stream.read(2), "big")
        if self.proxy.status:  # "connection not allowed by ruleset"
            self.request.sendall(bytes([SOCKS5, 2, 0, 1, 0, 0, 0, 0, 0, 0]))
            return
        self.request.sendall(bytes([SOCKS5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        self.through(host, port)
