"""The folder where server and runtime meet is the user's alone, whatever anybody answers for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_runtime.wire import endpoint
from model_runtime.wire.endpoint import UnsafeDirectoryError, runtime_directory

SOMEBODY = 12345


@pytest.fixture
def answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What platformdirs of any version says, where nothing is yet."""
    monkeypatch.delenv("CODEGEEX_RUNTIME_DIR", raising=False)
    path = tmp_path / "runtime-1000" / "codegeex"
    monkeypatch.setattr("platformdirs.user_runtime_path", lambda *_, **__: path)
    before = os.umask(0)
    yield path
    os.umask(before)


def refused(path: Path, words: str) -> None:
    with pytest.raises(UnsafeDirectoryError, match=words) as caught:
        runtime_directory()
    assert str(path) in str(caught.value)


def test_all_of_it_is_made_for_the_user_alone(answered: Path) -> None:
    assert runtime_directory() == answered
    for path in (answered, answered.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_one_that_is_open_is_closed(answered: Path) -> None:
    answered.mkdir(parents=True)
    answered.parent.chmod(0o700)
    runtime_directory()
    assert stat.S_IMODE(answered.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720])
def test_a_folder_above_it_that_others_write_to(answered: Path, mode: int) -> None:
    answered.mkdir(mode=0o700, parents=True)
    answered.parent.chmod(mode)
    refused(answered, "others may change .*; set CODEGEEX_RUNTIME_DIR")


def test_everybodys_folder_where_each_keeps_his_own(answered: Path) -> None:
    answered.mkdir(mode=0o700, parents=True)
    answered.parent.chmod(0o1777)
    assert runtime_directory() == answered


def test_a_link_in_its_place(answered: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    answered.parent.mkdir(mode=0o700)
    answered.symlink_to(tmp_path / "elsewhere")
    refused(answered, "is no folder of yours; remove it")


def test_a_link_above_it_is_followed_once(answered: Path, tmp_path: Path) -> None:
    """What is checked is what is used, even when the link is turned meanwhile."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    answered.parent.symlink_to(tmp_path / "elsewhere")
    assert runtime_directory() == tmp_path / "elsewhere" / "codegeex"


def test_a_file_in_its_place(answered: Path) -> None:
    answered.parent.mkdir(mode=0o700)
    answered.touch()
    refused(answered, "can't be used: File exists")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("above", [False, True])
def test_a_folder_of_somebody_else(answered: Path, above: bool) -> None:
    answered.mkdir(mode=0o700, parents=True)
    answered.parent.chmod(0o700)
    os.chown(answered.parent if above else answered, SOMEBODY, -1)
    refused(answered, "others may change" if above else "is no folder of yours")


def test_a_relative_one_would_be_another_for_each_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODEGEEX_RUNTIME_DIR", "run")
    refused(Path("run"), "write the whole path")


def test_a_name_that_is_no_unicode_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEGEEX_RUNTIME_DIR", str(tmp_path / "run"))
    assert endpoint.meeting("1", os.fsdecode(b"/models/\xff"), "cpu").socket.suffix == ".sock"
