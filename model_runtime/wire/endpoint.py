"""Where a runtime and its clients meet: one folder a user, one name a model and device.

Shared with the language server, like protocol.py, so it knows neither models nor editors. The OS
lock is the truth about who serves; the endpoint file is only a hint, written by the lock holder.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from model_runtime.wire.protocol import PROTOCOL_VERSION

# sun_path holds 108 bytes on Linux and 104 on macOS, the terminating zero included.
MAX_SOCKET_PATH = 100


class UnsafeDirectoryError(Exception):
    """The runtime folder can't be made or can be entered by others: nothing is served from it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`address` is "unix:/path/to/socket" or "tcp:127.0.0.1:port"."""

    address: str
    token: str
    pid: int


@dataclass(frozen=True, slots=True)
class Meeting:
    """The files of one runtime."""

    socket: Path
    lock: Path
    endpoint: Path
    log: Path


def runtime_directory() -> Path:
    """The user's own folder for sockets, mode 0700. Raises UnsafeDirectoryError."""
    path = _runtime_path()
    try:
        _make(path)
        if os.name == "posix":
            path = path.parent.resolve() / path.name  # what is checked is what is used
            _check(path)
            for parent in path.parents:
                _check_parent(path, parent)
    except OSError as error:
        raise UnsafeDirectoryError(
            f"The runtime folder {path} can't be used: {error.strerror}."
        ) from error
    return path


def _make(path: Path) -> None:
    """What is missing above it is the user's alone as well: a umask may let others write there."""
    if not path.parent.exists():
        _make(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def _check(path: Path) -> None:
    """Raises UnsafeDirectoryError unless it is a folder, no link, of this user's; closes it."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise UnsafeDirectoryError(
            f"The runtime folder {path} is no folder of yours; remove it, or set "
            "CODEGEEX_RUNTIME_DIR to one."
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(0o700)


def _check_parent(path: Path, parent: Path) -> None:
    """Who may write in a folder above it can put another in its place.

    Raises UnsafeDirectoryError. In a sticky folder, as /tmp is, everybody's own stays.
    """
    status = parent.lstat()
    open_to_others = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if open_to_others or status.st_uid not in (0, os.geteuid()):
        raise UnsafeDirectoryError(
            f"The runtime folder {path} is not safe: others may change {parent}; set "
            "CODEGEEX_RUNTIME_DIR to a folder that only you can write to."
        )


def _runtime_path() -> Path:
    if chosen := os.environ.get("CODEGEEX_RUNTIME_DIR"):
        path = Path(chosen).expanduser()
        if not path.is_absolute():  # each program would look beside itself
            raise UnsafeDirectoryError(f"CODEGEEX_RUNTIME_DIR is {chosen}; write the whole path.")
        return path
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR platformdirs falls back to a per-user temporary folder and warns;
        # the checks in runtime_directory() are the ones that matter.
        warnings.simplefilter("ignore")
        try:
            return Path(platformdirs.user_runtime_path("codegeex", appauthor=False))
        except OSError as error:
            raise UnsafeDirectoryError(f"No runtime folder: {error}.") from error


def meeting(version: str, model: str, device: str, quantize: str = "") -> Meeting:
    """Another version, model, device or quantization is another runtime.

    Raises UnsafeDirectoryError.
    """
    identity = f"{version}\n{PROTOCOL_VERSION}\n{model}\n{device}\n{quantize}"
    name = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    folder = runtime_directory()
    return Meeting(
        socket=folder / f"{name}.sock",
        lock=folder / f"{name}.lock",
        endpoint=folder / f"{name}.json",
        log=folder / f"{name}.log",
    )


def write_endpoint(path: Path, endpoint: Endpoint) -> None:
    """Replace the endpoint file at once and readable by the user only: it holds the token."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(endpoint), file)
    fresh.replace(path)


def read_endpoint(path: Path) -> Endpoint | None:
    """None when there is no file or it is not one of ours (a half-written one, say)."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Endpoint(str(fields["address"]), str(fields["token"]), int(fields["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open the connection; the caller says Hello. Raises OSError when nobody listens."""
    scheme, _, place = endpoint.address.partition(":")
    if scheme == "unix":
        return await asyncio.open_unix_connection(place)
    host, _, port = place.rpartition(":")
    return await asyncio.open_connection(host, int(port))
