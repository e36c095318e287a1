"""Ignore files mean what they mean to git, which is asked about the same folders."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codegeex_lsp.exclusion.ignoring import Ignores

NAMES = ("a", "b", "ab", "ba", "a.b", "a b", "b ", "#a", "!a", "é", "aé", "[a]", "a-b", "A", "a*")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of those names three folders deep."""
    root = tmp_path_factory.mktemp("repository")
    folders = ("", "a", "ab", "a/b", "a/b/a", "é", "b/ab", "b/b/b")
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in folders:
        for name in NAMES:
            if not (root / folder / name).is_dir():
                (root / folder / name).write_text("")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def taken(root: Path) -> list[str]:
    """The files that are not left out, walked as the index walks."""
    waiting, found = [(root, Ignores.above(str(root)))], []
    while waiting:
        folder, ignores = waiting.pop()
        ignores = ignores.inside(str(folder))
        for path in folder.iterdir():
            is_folder = path.is_dir()
            if path.name == ".git" or ignores.leave_out(str(path), is_folder=is_folder):
                continue
            if is_folder:
                waiting.append((path, ignores))
            else:
                found.append(str(path.relative_to(root)))
    return sorted(found)


def taken_by_git(root: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--others", "--exclude-standard"]
    # Only what lies in the repository counts, not what this machine's user ignores everywhere.
    environment = {**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.excludesFile"}
    environment["GIT_CONFIG_VALUE_0"] = os.devnull
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
    return sorted(filter(None, os.fsdecode(done.stdout).split("\0")))


PIECES = [*"ab*?/[]!-\\ #.é:^", "**", "**/", "/**", "[[:alpha:]]", "[a-b]", "[!a]", "\\ ", "a*"]
LINES = st.lists(st.lists(st.sampled_from(PIECES), max_size=7).map("".join), max_size=4)
ENDS = st.sampled_from(["\n", "\r\n"])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(above=LINES, below=LINES, exclude=LINES, end=ENDS, mark=st.sampled_from(["", "\ufeff"]))
def test_the_same_files_are_left_out_as_by_git(
    repository: Path, above: list[str], below: list[str], exclude: list[str], end: str, mark: str
) -> None:
    (repository / ".gitignore").write_bytes((mark + end.join(above)).encode())
    (repository / "a" / ".gitignore").write_bytes((mark + end.join(below)).encode())
    (repository / ".git" / "info" / "exclude").write_bytes(end.join(exclude).encode())
    assert taken(repository) == taken_by_git(repository)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a", "sub/a", "sub/b"):
        (tmp_path / name).write_text("")
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    person = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *person, *arguments], cwd=root, check=True, capture_output=True)


def test_a_worktree_has_the_patterns_of_its_repository(root: Path) -> None:
    git(root, "init")
    git(root, "commit", "--allow-empty", "-m", "x")
    git(root, "worktree", "add", str(root / "tree"))
    (root / ".git" / "info" / "exclude").write_text("a\n")
    for name in "ab":
        (root / "tree" / name).write_text("")
    assert taken(root / "tree") == taken_by_git(root / "tree") == ["b"]


def test_a_repository_inside_the_folder_has_its_own_patterns(root: Path) -> None:
    git(root / "sub", "init")
    (root / "sub" / ".git" / "info" / "exclude").write_text("a\n")
    assert taken(root) == ["a", "sub/b"]


@pytest.mark.parametrize("name", [".gitignore", ".codegeexignore"])
def test_an_ignore_file_that_is_too_long_may_name_anything(root: Path, name: str) -> None:
    (root / "sub" / name).write_text("# nothing\n" * 20_000)
    assert taken(root) == ["a"]


@pytest.mark.parametrize("name", [".gitignore", ".codegeexignore", ".git"])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path.name),
        lambda path: path.symlink_to("rules"),
        lambda path: path.mkdir(),
        os.mkfifo,
    ],
    ids=["device", "loop", "link", "folder", "pipe"],
)
def test_what_is_no_file_says_nothing_as_for_git(
    root: Path, name: str, make: Callable[[Path], None]
) -> None:
    (root / "sub" / "rules").write_text("*\n")
    make(root / "sub" / name)
    odd = [f"sub/{name}"] if not (root / "sub" / name).is_dir() and name != ".git" else []
    assert taken(root) == sorted(["a", "sub/a", "sub/b", "sub/rules", *odd])


@pytest.mark.parametrize("place", ["//server/share", "\\\\server\\share", "/dev/fd", "nowhere", ""])
def test_a_repository_may_not_be_anywhere(root: Path, place: str) -> None:
    (root / ".git").write_text(f"gitdir: {place}\n")
    assert taken(root) == ["a", "sub/a", "sub/b"]
