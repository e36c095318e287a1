"""Checksums are computed once, remembered, and computed again for a file that isn't the same."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from model_runtime.errors import WeightsError
from model_runtime.folders import verification

NAME = "model.safetensors"
CONTENT = b"weights " * 1000


class Model:
    """A folder with one file, and a count of the files whose checksum was computed."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = root / "model"
        self.folder.mkdir()
        self.file = self.folder / NAME
        self.file.write_bytes(CONTENT)
        self.files = {NAME: (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())}
        self.state = root / "state"
        self.hashed = 0
        monkeypatch.setenv("CODEGEEX_STATE_DIR", str(self.state))
        monkeypatch.setattr(verification, "LARGE_BYTES", 1000)
        digest = hashlib.file_digest

        def counted(*arguments: object) -> object:
            self.hashed += 1
            return digest(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(hashlib, "file_digest", counted)

    def verify(self) -> int:
        """How many checksums that took."""
        before = self.hashed
        verification.verify(self.folder, self.files)
        return self.hashed - before

    def stamps(self) -> list[Path]:
        return list(self.state.rglob("*.*"))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    return Model(tmp_path, monkeypatch)


def test_a_large_file_is_hashed_once(model: Model) -> None:
    assert [model.verify() for _ in range(3)] == [1, 0, 0]
    assert len(model.stamps()) == 1
    assert os.listdir(model.folder) == [NAME], "nothing is written into the model's folder"


def test_a_small_file_is_hashed_every_time(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "LARGE_BYTES", 10**6)
    assert [model.verify(), model.verify()] == [1, 1]
    assert not model.state.exists()


def altered(model: Model) -> None:
    model.file.write_bytes(CONTENT[:-1] + b"!")


def altered_with_its_old_time(model: Model) -> None:
    status = model.file.stat()
    altered(model)
    os.utime(model.file, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(model: Model) -> None:
    other = model.folder / "other"
    other.write_bytes(CONTENT[:-1] + b"!")
    shutil.copystat(model.file, other)
    other.replace(model.file)


@pytest.mark.parametrize("change", [altered, altered_with_its_old_time, replaced])
def test_an_altered_file_is_found_out(model: Model, change: object) -> None:
    model.verify()
    change(model)  # type: ignore[operator]
    for _ in range(2):
        with pytest.raises(WeightsError, match="its checksum isn't the one"):
            model.verify()


def test_a_truncated_file_is_found_out(model: Model) -> None:
    model.verify()
    model.file.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="7999 of 8000 bytes"):
        model.verify()


def test_a_touched_file_is_hashed_again(model: Model) -> None:
    model.verify()
    os.utime(model.file, (1, 1))
    assert [model.verify(), model.verify()] == [1, 0]


def test_other_checksums_are_another_model(model: Model) -> None:
    model.verify()
    model.files[NAME] = (len(CONTENT), "0" * 64)
    with pytest.raises(WeightsError, match="its checksum isn't the one"):
        model.verify()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"model.safetensors": 5}', "\0"])
def test_a_stamp_that_is_none_costs_a_hash(model: Model, content: str) -> None:
    model.verify()
    model.stamps()[0].write_text(content)
    assert [model.verify(), model.verify()] == [1, 0]


def test_no_place_for_stamps_costs_a_hash(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CODEGEEX_STATE_DIR", str(tmp_path / "file"))
    assert [model.verify(), model.verify()] == [1, 1]


def test_a_link_to_the_folder_is_the_same_model(model: Model, tmp_path: Path) -> None:
    model.verify()
    (tmp_path / "link").symlink_to(model.folder)
    model.folder = tmp_path / "link"
    assert model.verify() == 0
