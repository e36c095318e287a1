"""A workspace that was made to harm whoever opens it.

Nothing in it is a file that must be read to the end, a link that must be followed or a pattern that
must be tried in all ways. It has 100,000 files: a completion is answered meanwhile, the index gets
ready, and neither process takes 300 MB.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from editor import INLINE, Editor
from fake_runtime import FakeRuntime
from searching import remembered, search, until

MOST_BYTES = 300_000_000
LONG_S = 120  # it takes 10 to 30 s
OPTIONS = {"completion": {"pause": "off"}}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="made of what Linux has")


def devices_and_links(root: Path, outside: Path) -> None:
    """In the place of ignore files, of git's own files and of source files."""
    (root / ".gitignore").symlink_to("/dev/zero")
    for number, name in enumerate((".gitignore", ".codegeexignore", ".git", "source.py")):
        for what in ("zero", "pipe", "loop", "folder", "outside", "sparse"):
            place = root / f"{what}{number}"
            place.mkdir()
            odd_file(place / name, what, outside)
    exclude = root / "excluded" / ".git" / "info" / "exclude"
    exclude.parent.mkdir(parents=True)
    exclude.symlink_to("/dev/zero")
    (root / "worktree").mkdir()
    (root / "worktree" / ".git").write_text("gitdir: /dev/fd\n")
    (root / "outside").symlink_to(outside)
    (root / "up").symlink_to("..")
    with contextlib.chdir(root), socket.socket(socket.AF_UNIX) as end:
        end.bind("socket.py")


def odd_file(path: Path, what: str, outside: Path) -> None:
    match what:
        case "zero":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "folder":
            path.mkdir()
        case "outside":
            path.symlink_to(outside / "outside.py")
        case _:
            path.touch()
            os.truncate(path, 2 << 30)


def patterns(root: Path) -> None:
    """More than are read, and those that others try in 2 to the 60 ways."""
    (root / "patterns").mkdir()
    (root / "patterns" / ("a" * 60 + ".py")).touch()
    (root / "patterns" / ".gitignore").write_text(
        "*a*a*a*a*a*a*a*a*a*b\n**/*a/**/*a/**/*a/b\n" * 300
    )
    for number in range(20):
        (root / f"many{number}").mkdir()
        (root / f"many{number}" / ".gitignore").write_text(f"*{number}?a*\n!x{number}\n" * 5_000)


def names(root: Path) -> None:
    """That are no text, too long a way down, or too many."""
    bare = os.fsencode(root)
    os.mkdir(bare + b"/caf\xe9")
    for name in (b"/\xff\xfe.py", b"/caf\xe9/a.py"):
        Path(os.fsdecode(bare + name)).write_text("def unspeakable(): ...\n")
    with contextlib.chdir(root):
        for _ in range(25):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
            Path("deep.py").write_text("def deep(): ...\n")


def files(root: Path, count: int) -> None:
    for number in range(count):
        if number % 1000 == 0:
            folder = root / f"zz{number}"  # walked last, as a walk ends at 20,000 files
            folder.mkdir()
            first = folder / "0.py"
            first.write_text("def one_of_many(): ...\n")
        else:
            os.link(first, folder / f"{number}.py")


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Path]:
    root, outside = tmp_path / "hostile", tmp_path / "elsewhere"
    for place in (root, outside):
        place.mkdir()
    (outside / "outside.py").write_text("def kept_outside(): ...\n")
    (root / "honest.py").write_text("def honest_function(): ...\n")
    devices_and_links(root, outside)
    patterns(root)
    names(root)
    files(root, 100_000)
    yield root
    shutil.rmtree(root)


def most_memory(process: psutil.Process) -> int:
    """The most that it ever held at once, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) * 1024


@pytest.mark.timeout(2 * LONG_S)
@pytest.mark.usefixtures("cache")
def test_a_hostile_workspace_is_opened_without_harm(
    fake: FakeRuntime, editors: Callable[..., Editor], hostile: Path
) -> None:
    window = editors()
    window.initialize(INLINE, OPTIONS, rootUri=hostile.as_uri())
    window.ready()
    uri = (hostile / "new.py").as_uri()
    window.open(uri, "x = ", language="python")
    place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 4}}
    asked = {**place, "context": {"triggerKind": 1}}
    answer = window.call("textDocument/inlineCompletion", asked)
    assert [item["insertText"] for item in answer["items"]] == ["answer()"]
    assert window.call("codegeex/search", {"query": "anything"})["indexing"]
    status = window.wait_notification(
        "codegeex/status", lambda it: it["index"]["phase"] == "ready", LONG_S
    )
    assert status["index"]["files"] == 20_000
    assert search(window, "honest_function")[0]["path"] == "honest.py"
    assert search(window, "one_of_many")
    for hidden in ("kept_outside", "unspeakable"):
        assert search(window, hidden) == []
    until(lambda: "honest.py" in remembered(fake, hostile))
    assert not any("kept_outside" in text for text in fake.remembered.values())
    server = psutil.Process(window.process.pid)
    [index] = server.children()
    assert most_memory(server) < MOST_BYTES
    assert most_memory(index) < MOST_BYTES
    assert window.shutdown() == 0
