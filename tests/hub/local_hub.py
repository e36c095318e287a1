"""A model hub on this machine: as much of the hub's HTTP API as its own client uses to fetch.

The client in these tests is the real huggingface_hub. The hub can break the line, lie about a
file, ask for a licence, and remembers what was asked for.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MOVED = "fedcba9876543210fedcba9876543210fedcba98"
LARGE = 4096  # what the hub keeps by its sha256

REVISION = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/revision/(?P<revision>.+)")
TREE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)")
FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
RANGE = re.compile(r"bytes=(\d+)-")


@dataclass
class LocalHub:
    """What it has, and how it misbehaves."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)  # files by id
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    token: str = ""  # has to be sent
    gated: set[str] = field(default_factory=set)  # ids whose licence has to be accepted

    cut: dict[str, int] = field(default_factory=dict)  # after so many bytes the line breaks
    false: dict[str, bytes] = field(default_factory=dict)  # other contents than announced
    checksums: dict[str, str] = field(default_factory=dict)  # others than the contents'
    hold: set[str] = field(default_factory=set)  # files that stop half-way until `held` is set
    held: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    status: int = 0  # of every answer
    tls: ssl.SSLContext | None = None
    moves_to: dict[str, bytes] = field(default_factory=dict)  # main's files from its listing on
    nonsense: Any = None  # as every answer

    asked: list[tuple[str, str, int]] = field(default_factory=list)  # method, file, first byte

    def __enter__(self) -> LocalHub:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        place = "http://127.0.0.1" if self.tls is None else "https://localhost"
        return f"{place}:{self._server.server_port}"

    def fetched(self, name: str) -> list[int]:
        """From which byte on a file was asked for, each time."""
        return [start for method, path, start in self.asked if (method, path) == ("GET", name)]


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_about: Any) -> None:
        """A client that was killed hung up."""


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        if self.hub.status:
            return self._refuse(self.hub.status, "")
        if self.hub.token not in self.headers.get("Authorization", ""):
            return self._refuse(401, "RepoNotFound")
        if self.hub.nonsense is not None:
            return self._json(self.hub.nonsense)
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        for pattern, answer in (
            (REVISION, self._revision),
            (TREE, self._tree),
            (FILE, self._file),
        ):
            if found := pattern.fullmatch(path):
                repo, revision = found["repo"], urllib.parse.unquote(found["revision"])
                commit = self.hub.revisions.get(revision, revision)
                moved = commit == MOVED
                files = self.hub.moves_to if moved else self.hub.repositories.get(repo)
                if files is None:
                    return self._refuse(404, "RepoNotFound")
                if repo in self.hub.gated:
                    return self._refuse(403, "GatedRepo")
                if revision not in {*self.hub.revisions, *self.hub.revisions.values(), COMMIT}:
                    return self._refuse(404, "RevisionNotFound")
                return answer(files, found, body)
        return self._refuse(404, "EntryNotFound")

    def _revision(self, files: dict[str, bytes], found: re.Match[str], _body: bool) -> None:
        revision = found["revision"]
        commit = self.hub.revisions.get(revision, revision)
        self._json({"id": found["repo"], "sha": commit, "siblings": []})

    def _tree(self, files: dict[str, bytes], found: re.Match[str], _body: bool) -> None:
        entries = []
        for name, data in files.items():
            entry: dict[str, Any] = {
                "type": "file",
                "path": name,
                "size": len(data),
                "oid": _git_sha1(data),
            }
            if len(data) > LARGE:
                entry["lfs"] = {
                    "oid": self._checksum(name, data),
                    "size": len(data),
                    "pointerSize": 130,
                }
            entries.append(entry)
        self._json(entries)
        if self.hub.moves_to:
            self.hub.revisions["main"] = MOVED

    def _file(self, files: dict[str, bytes], found: re.Match[str], body: bool) -> None:
        name = found["name"]
        data = files[name]
        asked = RANGE.fullmatch(self.headers.get("Range", "") if self.hub.ranges else "")
        start = int(asked[1]) if asked else 0
        self.hub.asked.append((self.command, name, start))
        etag = self._checksum(name, data) if len(data) > LARGE else _git_sha1(data)
        rest = self.hub.false.get(name, data)[start:]
        self.send_response(206 if asked else 200)
        revision = urllib.parse.unquote(found["revision"])
        self.send_header("X-Repo-Commit", self.hub.revisions.get(revision, revision))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if body:
            self._send(name, rest, start)

    def _checksum(self, name: str, data: bytes) -> str:
        return self.hub.checksums.get(name) or _sha256(data)

    def _send(self, name: str, rest: bytes, start: int) -> None:
        limit = self.hub.cut.get(name)
        if limit is not None:
            self.wfile.write(rest[: max(0, limit - start)])
            self.wfile.flush()
            self.close_connection = True
            return
        if name in self.hub.hold:
            half = len(rest) // 2
            self.wfile.write(rest[:half])
            self.wfile.flush()
            self.hub.held.wait(60)
            rest = rest[half:]
        self.wfile.write(rest)

    def _json(self, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's own
