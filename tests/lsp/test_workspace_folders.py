"""The workspace's folders come and go, and have more than one name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from editor import INLINE, Editor
from fake_runtime import FakeRuntime
from searching import indexed, remembered, search, until
from wire import Json, WireError

OPTIONS = {"completion": {"pause": "off"}}
Window = Callable[..., Editor]


def folder(path: Path) -> Json:
    return {"uri": path.as_uri(), "name": path.name}


def change(window: Editor, added: list[Path], removed: list[Path]) -> None:
    event = {"added": list(map(folder, added)), "removed": list(map(folder, removed))}
    window.notify("workspace/didChangeWorkspaceFolders", {"event": event})


def found(window: Editor, query: str) -> list[str]:
    return [place["path"] for place in search(window, query)]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(f"def shared_{name}():\n    return '{name}'\n")
    return tmp_path / "one", tmp_path / "two"


@pytest.fixture
def opened(fake: FakeRuntime, editors: Callable[..., Editor], cache: Path) -> Window:
    """A window of some folders."""

    def begin(*folders: Path, **capabilities: Any) -> Editor:
        window = editors()
        named = list(map(folder, folders))
        window.initialize({**INLINE, **capabilities}, OPTIONS, workspaceFolders=named)
        window.ready()
        return window

    return begin


def test_a_folder_more_and_a_folder_less(opened: Window, two: tuple[Path, Path]) -> None:
    one, other = two
    window = opened(one)
    indexed(window)
    assert found(window, "shared") == ["one.py"]
    change(window, [other], [])
    until(lambda: found(window, "shared") == ["one.py", "two.py"])
    change(window, [], [one])
    assert found(window, "shared") in (["two.py"], [])
    until(lambda: found(window, "shared") == ["two.py"])
    change(window, [one], [other])
    until(lambda: found(window, "shared") == ["one.py"])


def test_the_first_folder_and_none_any_more(
    opened: Window, fake: FakeRuntime, two: tuple[Path, Path]
) -> None:
    one, other = two
    window = opened()
    window.open((one / "new.py").as_uri(), "def unsaved_thing():\n    pass\n", language="python")
    with pytest.raises(WireError, match="No folder is open"):
        search(window, "shared")
    change(window, [one], [])
    until(lambda: found(window, "shared") == ["one.py"])
    until(lambda: remembered(fake, one) == {"one.py", "new.py"})
    change(window, [other], [one])
    until(lambda: found(window, "shared") == ["two.py"])
    change(window, [], [other])
    with pytest.raises(WireError, match="No folder is open"):
        search(window, "shared")
    until(lambda: remembered(fake, one) == {"new.py"} and not remembered(fake, other))
    change(window, [one], [])
    until(lambda: found(window, "shared") == ["one.py"])


def test_what_is_open_counts_in_a_folder_that_is_added(
    opened: Window, two: tuple[Path, Path]
) -> None:
    one, other = two
    window = opened(one)
    indexed(window)
    window.open((other / "two.py").as_uri(), "def unsaved_thing():\n    pass\n")
    assert found(window, "unsaved_thing") == []
    change(window, [other], [])
    until(lambda: found(window, "unsaved_thing") == ["two.py"])
    assert found(window, "shared") == ["one.py"]


def test_odd_changes_do_no_harm(opened: Window, two: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = two
    window = opened(one)
    indexed(window)
    remote = {"uri": "vscode-vfs://github/a/b", "name": "b"}
    event = {"added": [remote], "removed": [remote]}
    window.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    change(window, [tmp_path / "missing", one], [other])
    change(window, [other], [])
    until(lambda: found(window, "shared") == ["one.py", "two.py"])


def test_a_folder_inside_another_is_searched_once(opened: Window, tmp_path: Path) -> None:
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / ".gitignore").write_text("inner/\n")
    for name in ("outer", "outer/inner"):
        (tmp_path / name / "a.py").write_text("def shared():\n    pass\n")
    window = opened(tmp_path / "outer")
    indexed(window)
    assert found(window, "shared") == ["a.py"]
    change(window, [tmp_path / "outer" / "inner"], [])
    until(lambda: len(search(window, "shared")) == 2)
    change(window, [], [tmp_path / "outer"])
    until(lambda: len(search(window, "shared")) == 1)
    [place] = search(window, "shared")
    assert place["uri"] == (tmp_path / "outer" / "inner" / "a.py").as_uri()


def test_a_folder_that_is_open_twice_stays_until_it_is_closed_twice(
    opened: Window, two: tuple[Path, Path], tmp_path: Path
) -> None:
    one, other = two
    (tmp_path / "link").symlink_to(one)
    window = opened(one, tmp_path / "link", other)
    indexed(window)
    assert found(window, "shared") == ["one.py", "two.py"]
    change(window, [], [one])
    until(lambda: len(search(window, "shared")) == 2)
    change(window, [], [tmp_path / "link"])
    until(lambda: found(window, "shared") == ["two.py"])


@pytest.mark.parametrize("linked", ["root", "document", "file"])
def test_one_file_under_two_names_is_one_file(
    opened: Window, fake: FakeRuntime, two: tuple[Path, Path], tmp_path: Path, linked: str
) -> None:
    """The folder is open by a link and the document isn't, the other way round, or the document
    itself is a link."""
    root, _ = two
    (root / "near.py").write_text("def near(): ...\n")
    (tmp_path / "link").symlink_to(root)
    (tmp_path / "one.py").symlink_to(root / "one.py")
    folder_, path = {
        "root": (tmp_path / "link", root / "one.py"),
        "document": (root, tmp_path / "link" / "one.py"),
        "file": (root, tmp_path / "one.py"),
    }[linked]
    window = opened(folder_)
    window.open((folder_ / "near.py").as_uri(), "def near(): ...\n", language="python")
    until(lambda: (folder_ / "one.py").as_uri() in fake.remembered)
    window.open(path.as_uri(), "def unsaved_thing():\n    pass\n", language="python")
    until(lambda: path.as_uri() in fake.remembered)
    until(lambda: (folder_ / "one.py").as_uri() not in fake.remembered)
    until(lambda: found(window, "unsaved_thing"))
    assert search(window, "unsaved_thing")[0]["uri"] == (folder_ / "one.py").as_uri()
    assert found(window, "shared") == []
    assert search(window, "unsaved_thing", path=str(tmp_path / "link"))
    (root / "near.py").write_text("def written_thing(): ...\n")
    window.notify("textDocument/didClose", {"textDocument": {"uri": path.as_uri()}})
    until(lambda: found(window, "shared") == ["one.py"])


def test_a_document_under_its_real_name_is_named_as_in_its_folder(
    opened: Window, fake: FakeRuntime, two: tuple[Path, Path], tmp_path: Path
) -> None:
    root, _ = two
    (tmp_path / "link").symlink_to(root)
    window = opened(tmp_path / "link")
    uri = (root / "one.py").as_uri()
    window.open(uri, "x = ", language="python")
    place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 4}}
    window.call("textDocument/inlineCompletion", {**place, "context": {"triggerKind": 1}})
    assert (fake.requests[-1].repository, fake.requests[-1].path) == ("link", "one.py")


def test_the_editor_is_asked_to_watch_once_there_is_a_folder(
    opened: Window, two: tuple[Path, Path]
) -> None:
    able = {"didChangeWatchedFiles": {"dynamicRegistration": True}}
    window = opened(workspace=able)
    change(window, [two[0]], [])
    window.wait_notification("client/registerCapability")
    change(window, [two[1]], [])
    until(lambda: found(window, "shared") == ["one.py", "two.py"])
    asked = [it for it in window.messages if it.get("method") == "client/registerCapability"]
    assert len(asked) == 1
