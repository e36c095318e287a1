"""Which files belong to the index."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from codegeex_lsp.exclusion.globs import Globs
from codegeex_lsp.exclusion.left_out import LeftOut
from codegeex_lsp.exclusion.rule import Rule
from codegeex_lsp.index import files
from codegeex_lsp.index.files import Bounds, Walk, belongs


def write(root: Path, **texts: str) -> None:
    """`a__b` is the file a/b.py."""
    for name, text in texts.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def rule(root: Path, *globs: str) -> Rule:
    return Rule((str(root),), Globs(globs))


def walked(
    root: Path, bounds: Bounds | None = None, *globs: str
) -> tuple[list[str], Counter[LeftOut]]:
    walk = Walk(rule(root, *globs), bounds or Bounds())
    return [os.path.relpath(found.path, root) for found in walk], walk.left_out


def test_the_nearest_files_come_first_by_name(tmp_path: Path) -> None:
    write(tmp_path, z="", a="", b__c="", b__a__a="")
    assert walked(tmp_path)[0] == ["a.py", "z.py", "b/c.py", "b/a/a.py"]


def test_files_of_no_language_are_not_looked_at(tmp_path: Path) -> None:
    for name in ("image.png", "data.json", ".env", "key.pem", "README"):
        (tmp_path / name).write_text("x")
    assert walked(tmp_path) == ([], Counter())


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("b.py", ["a.py", "d/a.py"]),
        ("/b.py", ["a.py", "d/a.py", "d/b.py"]),
        ("d/", ["a.py", "b.py"]),
        ("*.py\n!a.py", ["a.py", "d/a.py"]),
        ("# nothing\n\n", ["a.py", "b.py", "d/a.py", "d/b.py"]),
        ("d/**/b.py", ["a.py", "b.py", "d/a.py"]),
        ("d\n!d/a.py", ["a.py", "b.py"]),
    ],
)
def test_gitignore_means_what_git_means(tmp_path: Path, ignore: str, left: list[str]) -> None:
    write(tmp_path, a="", b="", d__a="", d__b="")
    (tmp_path / ".gitignore").write_text(ignore)
    assert walked(tmp_path)[0] == left
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    command = ["git", "ls-files", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(listed.stdout.split()) == sorted(left)


def test_a_nested_gitignore_comes_before_the_one_above(tmp_path: Path) -> None:
    write(tmp_path, a="", d__a="", d__b="", d__e__b="")
    (tmp_path / ".gitignore").write_text("b.py")
    (tmp_path / "d" / ".gitignore").write_text("!b.py\na.py")
    assert walked(tmp_path)[0] == ["a.py", "d/b.py", "d/e/b.py"]


def test_our_own_ignore_file_comes_after_gits(tmp_path: Path) -> None:
    write(tmp_path, a="", b="", generated="")
    (tmp_path / ".gitignore").write_text("generated.py")
    (tmp_path / ".codegeexignore").write_text("!generated.py\nb.py")
    assert walked(tmp_path)[0] == ["a.py", "generated.py"]


def test_the_repositorys_exclude_file_and_the_folders_above_hold(tmp_path: Path) -> None:
    write(tmp_path, sub__a="", sub__b="", sub__c="")
    (tmp_path / ".git" / "info").mkdir(parents=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("sub/a.py")
    (tmp_path / ".gitignore").write_text("/sub/b.py")
    assert walked(tmp_path / "sub")[0] == ["c.py"]


def test_an_ignored_folder_that_was_opened_itself_is_taken(tmp_path: Path) -> None:
    write(tmp_path, build__a="")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("build/")
    assert walked(tmp_path)[0] == []
    assert walked(tmp_path / "build")[0] == ["a.py"]


def test_an_ignore_file_that_is_no_text_keeps_nothing_out(tmp_path: Path) -> None:
    write(tmp_path, a="")
    (tmp_path / ".gitignore").write_bytes(b"\xff\xfe[\n!\n")
    assert walked(tmp_path)[0] == ["a.py"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, d__a="")
    (tmp_path / "d" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.py").symlink_to(tmp_path / "d" / "a.py")
    assert walked(tmp_path) == (["d/a.py"], Counter({LeftOut.LINK: 1}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, a="", d__b="")
    (tmp_path / "d").chmod(0)
    try:
        assert walked(tmp_path) == (["a.py"], Counter({LeftOut.UNREADABLE: 1}))
    finally:
        (tmp_path / "d").chmod(0o700)


def test_a_folder_that_goes_away_meanwhile(tmp_path: Path) -> None:
    write(tmp_path, a="", d__b="")
    walk = Walk(rule(tmp_path), Bounds())
    found = iter(walk)
    next(found)
    (tmp_path / "d" / "b.py").unlink()
    (tmp_path / "d").rmdir()
    assert list(found) == []
    assert walk.left_out == Counter({LeftOut.UNREADABLE: 1})


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes on Linux alone")
def test_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    os.mkdir(folder + b"/b\xe9")
    for name in (b"/caf\xe9.py", b"/b\xe9/b.py", "/ü.py".encode()):
        Path(os.fsdecode(folder + name)).write_text("print()\n")
    walk = Walk(rule(tmp_path), Bounds())
    assert [found.path for found in walk] == [str(tmp_path / "ü.py")]
    assert walk.left_out == {LeftOut.UNREADABLE: 2}


def test_bounds_hold_and_are_told(tmp_path: Path) -> None:
    write(tmp_path, **{f"f{n}": "x" * 100 for n in range(10)}, g="y" * 2000)
    few, left_out = walked(tmp_path, Bounds(files=3))
    assert (len(few), left_out) == (3, Counter({LeftOut.TOO_MANY: 1}))
    small, left_out = walked(tmp_path, Bounds(bytes=450))
    assert (len(small), left_out) == (4, Counter({LeftOut.TOO_MANY: 1}))
    _, left_out = walked(tmp_path, Bounds(file_bytes=1000))
    assert left_out == Counter({LeftOut.LARGE: 1})


def test_the_number_of_entries_looked_at_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_ENTRIES", 5)
    for n in range(10):
        (tmp_path / f"{n}.png").touch()
    write(tmp_path, z="")
    assert walked(tmp_path) == ([], Counter({LeftOut.TOO_MANY: 1}))


@pytest.mark.parametrize(
    ("bound", "most", "why"),
    [
        ("MOST_OF_FOLDER", 3, LeftOut.TOO_MANY),
        ("MOST_WAITING", 2, LeftOut.TOO_MANY),
        ("MOST_RULES", 5, LeftOut.UNREADABLE),
        ("LONGEST_PATH", 10, LeftOut.UNREADABLE),
        ("DEEPEST", 1, LeftOut.UNREADABLE),
    ],
)
def test_what_a_walk_holds_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, why: LeftOut
) -> None:
    for folder in "abcd":
        write(tmp_path, **{f"{folder}__a": ""})
        (tmp_path / folder / ".gitignore").write_text("b.py\n")
    everything, _ = walked(tmp_path)
    monkeypatch.setattr(files, bound, most)
    some, left_out = walked(tmp_path)
    assert len(some) < len(everything)
    assert left_out[why]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x = 1\0\n", LeftOut.BINARY),
        (b"x = 1;" * 2000, LeftOut.MINIFIED),
        (b"a\n" * 100 + b"y" * 6000, LeftOut.MINIFIED),
    ],
)
def test_what_no_one_wants_found_is_left_out(tmp_path: Path, data: bytes, why: LeftOut) -> None:
    (tmp_path / "a.py").write_bytes(data)
    [found] = Walk(rule(tmp_path), Bounds())
    assert files.read(found, Bounds()) is why


@pytest.mark.parametrize("name", [".env.js", "secrets.py", "credentials.ts", "Passwords.java"])
def test_files_that_are_named_like_secrets_are_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x = 1\n")
    assert walked(tmp_path) == ([], Counter({LeftOut.SECRET: 1}))


def test_a_single_path_belongs_as_the_walk_says(tmp_path: Path) -> None:
    write(tmp_path, a="", d__b="", node_modules__c="", secrets="")
    (tmp_path / ".gitignore").write_text("d/")
    paths = [str(path) for path in sorted(tmp_path.rglob("*.py"))]
    found = {found.path for found in Walk(rule(tmp_path), Bounds())}
    all_of_it = rule(tmp_path)
    assert {path for path in paths if belongs(path, all_of_it, Bounds())} == found
    assert belongs("/somewhere/else.py", all_of_it, Bounds()) is None
    assert belongs(str(tmp_path / "gone.py"), all_of_it, Bounds()) is None
