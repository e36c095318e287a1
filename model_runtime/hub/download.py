"""Fetch a model from the hub into the user's cache: what it takes first, then the files.

huggingface_hub lists and fetches, in its own cache's layout, with its variables (HF_ENDPOINT,
HF_TOKEN, HF_HUB_OFFLINE). Large files are this module's: the library throws away what it has of
one when the line breaks, and compares only its size. Here the part stays for the next time, and
the file enters the cache when its checksum is the hub's. A pickle comes only where there are no
safetensors, and is read by nobody but the conversion, after which it goes again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import httpx2
from filelock import FileLock
from huggingface_hub import HfApi, constants, hf_hub_url, snapshot_download
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    disable_progress_bars,
    get_session,
    hf_raise_for_status,
    logging,
)

from model_runtime.errors import HubError
from model_runtime.hub import cache, soundness
from model_runtime.hub.catalogue import Model
from model_runtime.hub.errors import MAKE_ROOM, explained, no_hub

PICKLE = re.compile(r"pytorch_model.*\.bin")
# The same weights once more, under the publisher's own names.
DOUBLES = "consolidated"
SHA256 = re.compile("[0-9a-f]{64}")  # it becomes a file's name
FILES_AT_ONCE = 4
# Of a line that brings nothing: how often it is tried, after what pause, how long each time.
TRIES = 4
PAUSE_S = 1.0
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class File:
    """`sha256` is empty for a small file, which the hub keeps by another checksum."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What fetching a model takes: its files at `commit`, which is what `revision` means today."""

    model: Model
    revision: str
    commit: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def pickles(self) -> tuple[File, ...]:
        """The weights, where there are no others."""
        return tuple(file for file in self.files if PICKLE.fullmatch(file.name))

    @property
    def has_pickles(self) -> bool:
        """Whether they are in the cache already."""
        return all(_present(self, file) == file.size for file in self.pickles)

    @property
    def missing(self) -> int:
        """Bytes that aren't here yet."""
        return self.size - sum(_present(self, file) for file in self.files)


def plan(model: Model, revision: str = "") -> Plan:
    """Ask the hub for the files and their sizes, `revision` before the catalogue's own.

    Raises HubError when the hub can't be reached, doesn't give the model, or has no weights that
    can be used.
    """
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    wanted = revision or model.revision or constants.DEFAULT_REVISION
    with explained(model, wanted):
        commit, listed = _listing(model.hub, wanted)
    files = [entry for entry in listed if _wanted(entry.path)]
    if not any(entry.path.endswith(".safetensors") for entry in files):
        pickles = [entry for entry in listed if PICKLE.fullmatch(entry.path)]
        if not pickles:
            raise HubError(
                f"{model.hub} has neither safetensors nor pytorch_model.bin at {wanted}; if one of "
                "its other revisions has them, name it with --revision."
            )
        files += pickles
    return Plan(model, wanted, commit, tuple(map(_file, files)))


def fetch(plan: Plan, report: Callable[[int], object]) -> Path:
    """Fetch what is missing; answers the model's folder.

    `report` gets the bytes that are here, from several threads, one at a time. What has come when
    it ends early stays for the next time. Raises HubError, and KeyboardInterrupt as it comes.
    """
    _check_space(plan)
    with explained(plan.model, plan.commit):
        tally = _Tally(plan.size - plan.missing, report)
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            # Files with the same contents are one in the cache.
            large = {file.sha256: file for file in plan.files if file.sha256}
            fetched = [threads.submit(_fetch_large, plan, file, tally) for file in large.values()]
            try:
                for one in as_completed(fetched):
                    one.result()
            except BaseException:
                tally.stopped = True
                threads.shutdown(cancel_futures=True)
                raise
        # The small files, and the folder of links that makes a revision.
        with disable_progress_bars():
            folder = snapshot_download(
                plan.model.hub,
                revision=plan.commit,
                allow_patterns=[file.name for file in plan.files],
            )
        _name_commit(plan)
    if not plan.pickles and (problem := soundness.lacking(Path(folder))):
        raise HubError(f"{plan.model.hub} is no model that can be used: {problem}.")
    report(plan.size)
    return Path(folder)


def _name_commit(plan: Plan) -> None:
    """Say in the cache which commit the branch or tag was, as other programs look it up."""
    if plan.revision != plan.commit:
        folder = cache.cache_folder() / cache.repository_folder(plan.model.hub) / "refs"
        (folder / plan.revision).parent.mkdir(parents=True, exist_ok=True)
        (folder / plan.revision).write_text(plan.commit, encoding="ascii")


def drop_pickles(plan: Plan, folder: Path) -> None:
    """Free what has been converted; the rest of the model's folder is small."""
    for file in plan.pickles:
        (folder / file.name).unlink(missing_ok=True)
        if file.sha256:
            _blob(plan, file).unlink(missing_ok=True)


class _StoppedError(Exception):
    """Another thread's file failed."""


class _Tally:
    """The bytes of all files together. Setting `stopped` ends every file that is under way."""

    def __init__(self, present: int, report: Callable[[int], object]) -> None:
        self.stopped = False
        self._count = present
        self._report = report
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        if self.stopped:
            raise _StoppedError
        with self._lock:
            self._count += count
            self._report(self._count)


def _listing(hub: str, revision: str) -> tuple[str, list[RepoFile]]:
    """The commit and its files."""
    api = HfApi()
    try:
        commit = api.model_info(hub, revision=revision).sha or ""
        entries = list(api.list_repo_tree(hub, recursive=True, revision=commit))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise no_hub() from error
    return commit, [entry for entry in entries if isinstance(entry, RepoFile)]


def _fetch_large(plan: Plan, file: File, tally: _Tally) -> None:
    blob, part = _blob(plan, file), _part(plan, file)
    lock = cache.cache_folder() / ".locks" / blob.parents[1].name / f"{file.sha256}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    blob.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock, timeout=0):  # the library's own lock for this file
        if blob.exists():
            return
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        with part.open("ab") as stream:
            _receive(
                hf_hub_url(plan.model.hub, file.name, revision=plan.commit), file, stream, tally
            )
        with part.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != file.sha256:
            part.unlink()
            raise HubError(
                f"{file.name} arrived damaged: its checksum isn't the hub's; "
                f"run again: codegeex-lsp models pull {plan.model.name}"
            )
        part.replace(blob)


def _receive(url: str, file: File, stream: BinaryIO, tally: _Tally) -> None:
    """Append what is missing, taking up a broken line as long as more comes each time."""
    tries = TRIES
    while (begin := stream.tell()) < file.size and tries:
        headers = build_hf_headers() | {"Range": f"bytes={begin}-", "Accept-Encoding": "identity"}
        broken: httpx2.TransportError | None = None
        try:
            with get_session().stream("GET", url, headers=headers, timeout=PATIENCE_S) as response:
                hf_raise_for_status(response)
                if begin and response.status_code != HTTPStatus.PARTIAL_CONTENT:
                    stream.seek(0)
                    stream.truncate()
                    tally.add(-begin)
                for chunk in response.iter_raw():
                    stream.write(chunk)
                    tally.add(len(chunk))
        except httpx2.TransportError as error:
            broken = error
            time.sleep(PAUSE_S)
        tries = TRIES if stream.tell() > begin else tries - 1
        if broken and not tries:
            raise broken


def _blob(plan: Plan, file: File) -> Path:
    """The cache keeps a large file under its checksum."""
    folder = cache.cache_folder() / cache.repository_folder(plan.model.hub)
    return folder / "blobs" / file.sha256


def _part(plan: Plan, file: File) -> Path:
    return _blob(plan, file).with_suffix(".incomplete")


def _present(plan: Plan, file: File) -> int:
    if not file.sha256:
        return 0
    if _blob(plan, file).exists():
        return file.size
    part = _part(plan, file)
    return part.stat().st_size if part.exists() else 0


def _wanted(path: str) -> bool:
    """Files of the top folder that a model is made of."""
    name = PurePosixPath(path).name
    if name != path or name.startswith(DOUBLES):
        return False
    return name.endswith(".safetensors") or cache.belongs(name)


def _file(entry: RepoFile) -> File:
    sha256 = entry.lfs.sha256 if entry.lfs else ""
    if sha256 and not SHA256.fullmatch(sha256):
        raise no_hub()
    return File(entry.path, entry.size, sha256)


def _check_space(plan: Plan) -> None:
    folder = cache.cache_folder().absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(existing).free < plan.missing:
        raise HubError(
            f"There is no room for {plan.missing / 1e9:.1f} GB more in {folder}; {MAKE_ROOM}."
        )
