"""`codegeex-lsp doctor`: check this machine, one line a check, each with "ok" or what to do.

What needs torch is checked by the runtime's own `codegeex-runtime check` in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shlex
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from codegeex_lsp import __version__
from codegeex_lsp.config.logs import log_directory
from codegeex_lsp.runtime.client import RuntimeClient
from model_runtime.wire import endpoint
from model_runtime.wire.configuration import TrustedSettings, config_path, load_trusted

CHECK_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Check:
    """`advice` is empty when all is well."""

    name: str
    found: str
    advice: str = ""

    def line(self) -> str:
        verdict = f"-> {self.advice}" if self.advice else ""
        return f"{'fix' if self.advice else 'ok':<4}{self.name:<14}{self.found} {verdict}".rstrip()


def run() -> int:
    """Exit code 0 when every check is ok, 1 otherwise."""
    trusted, complaints = load_trusted(os.environ)
    failed = 0
    for check in _checks(trusted, complaints):
        print(check.line(), flush=True)
        failed += bool(check.advice)
    return 1 if failed else 0


def _checks(trusted: TrustedSettings, complaints: list[str]) -> Iterator[Check]:
    yield Check("codegeex-lsp", __version__)
    yield Check("python", f"{platform.python_version()} at {sys.executable}")
    yield _settings(complaints)
    yield from _runtime_checks(trusted)
    yield _runtime_folder()
    yield _log_folder()
    yield asyncio.run(_link(trusted))


def _settings(complaints: list[str]) -> Check:
    path = config_path(os.environ)
    found = str(path) if path.exists() else f"defaults ({path} does not exist)"
    return Check("settings", found, " ".join(complaints))


def _runtime_checks(trusted: TrustedSettings) -> Iterator[Check]:
    """torch, device, memory and model, as the runtime sees them."""
    command = [sys.executable, "-P", "-m", "model_runtime", "check", "--json"]
    command += [f"--model={trusted.model}", f"--device={trusted.device}"]
    command += [f"--quantize={trusted.quantize}"]
    command += [f"--embedding-model={trusted.embedding_model}"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, capture_output=True, timeout=CHECK_TIMEOUT_S, text=True, check=False
        )
        for found in json.loads(done.stdout):
            yield Check(found["name"], found["found"], found["advice"])
    except (OSError, subprocess.TimeoutExpired, ValueError):
        advice = f"see what it says: {shlex.join(command)}"
        yield Check("runtime", "its check did not finish", advice)


def _runtime_folder() -> Check:
    """The socket's folder must be ours alone, and a socket must be possible in it."""
    try:
        folder = endpoint.runtime_directory()
        with tempfile.NamedTemporaryFile(dir=folder):
            mode = stat.S_IMODE(folder.stat().st_mode)
    except endpoint.UnsafeDirectoryError as error:
        return Check("socket", "no folder", str(error))
    except OSError as error:
        return Check("socket", str(folder), f"make it writable for you ({error.strerror})")
    return Check("socket", f"{folder} (mode {mode:04o})")


def _log_folder() -> Check:
    folder = log_directory()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return Check("logs", str(folder), f"make {existing} writable for you")
    return Check("logs", str(folder))


async def _link(trusted: TrustedSettings) -> Check:
    runtime = RuntimeClient(trusted)
    try:
        if await runtime.attach():
            assert runtime.welcome is not None  # noqa: S101 - attach() saw it
            return Check("runtime", f"running, pid {runtime.welcome.pid}")
        return Check("runtime", "not running (starts with the first completion)")
    finally:
        await runtime.close()
