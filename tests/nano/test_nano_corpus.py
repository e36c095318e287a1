"""scripts/nano/corpus from wheels made on the spot: what it keeps, and what it says."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from wheels import code, write_wheel

USES = ("mixture", "held-out", "tuning")


def run_corpus(scripts: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, scripts / "corpus", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def records(folder: Path, use: str) -> Iterator[dict[str, str]]:
    with lzma.open(folder / f"{use}.jsonl.xz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


@pytest.fixture(scope="module")
def made(scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 60 small packages, three of them under a licence that we don't take."""
    folder = tmp_path_factory.mktemp("corpus")
    for index in range(60):
        name = f"package-{index}"
        licence = {0: "GPL-3.0-only", 1: None, 2: "MPL-2.0"}.get(index, "MIT")
        files = {f"p{index}/main.py": code(f"topic{index}")}
        if index == 3:
            lesser = "# GNU Lesser General Public License\n"
            files["p3/borrowed.py"] = lesser + code("borrowed")
            files["p3/again.py"] = files["p3/main.py"] + "\n\n"
            files["p3/nearly.py"] = files["p3/main.py"] + code("extra", 5)
        write_wheel(folder / "wheels", name, files, licence)
    result = run_corpus(
        scripts, folder / "out", "--wheels", folder / "wheels", "--offline", "--megabytes", "50"
    )
    assert result.returncode == 0, result.stderr
    return folder / "out"


def test_every_set_has_packages_of_its_own(made: Path) -> None:
    packages = {use: {record["package"] for record in records(made, use)} for use in USES}
    assert all(packages.values())
    assert sum(map(len, packages.values())) == len(set.union(*packages.values()))


def test_copyleft_and_silent_packages_are_left_out(made: Path) -> None:
    kept = {record["package"] for use in USES for record in records(made, use)}
    assert kept == {f"package-{index}" for index in range(3, 60)}


def test_files_under_another_licence_and_copies_are_left_out(made: Path) -> None:
    paths = {r["path"] for use in USES for r in records(made, use) if r["package"] == "package-3"}
    assert len(paths) == 1
    assert paths < {"p3/main.py", "p3/again.py", "p3/nearly.py"}


def test_the_list_names_version_and_licence_of_each_package(made: Path) -> None:
    listed = json.loads((made / "packages.json").read_text())
    uses = {r["package"]: use for use in USES for r in records(made, use)}
    assert {entry["name"]: entry["use"] for entry in listed} == uses
    assert {(entry["version"], entry["licence"]) for entry in listed} == {("1.0", "MIT")}


def test_the_same_packages_give_the_same_corpus(
    made: Path, corpus: ModuleType, tmp_path: Path
) -> None:
    wheels = made.parent / "wheels"
    again = corpus.Gathering([*corpus.sources.wheels([wheels])], tmp_path)
    again.write("mixture", 50)
    assert [*records(tmp_path, "mixture")] == [*records(made, "mixture")]


def test_megabytes_are_a_limit(made: Path, corpus: ModuleType, tmp_path: Path) -> None:
    gathering = corpus.Gathering([*corpus.sources.wheels([made.parent / "wheels"])], tmp_path)
    gathering.write("mixture", 0.05)
    size = sum(len(record["text"]) for record in records(tmp_path, "mixture"))
    share = corpus.SHARES["Python"] * 50_000
    assert share <= size < share + 3_000  # the last file may run over


def test_large_packages_are_levelled(corpus: ModuleType) -> None:
    assert corpus.level([10, 20, 1000], 100) == 70
    assert corpus.level([40, 40, 40], 60) == 20
    assert corpus.level([1, 2], 100) == float("inf")


def test_packages_without_licences_are_one_sentence(scripts: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", "silent", {"a.py": code("a")}, licence=None)
    result = run_corpus(scripts, tmp_path / "out", "--wheels", tmp_path / "wheels", "--offline")
    assert result.returncode == 2
    assert result.stderr == (
        f"corpus: no package with a permissive licence in {tmp_path / 'wheels'}; "
        "name folders of wheels with --wheels.\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_damaged_wheel_is_no_package(corpus: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "broken-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 not really")
    assert [*corpus.sources.wheels([tmp_path])] == []


def test_a_header_beside_cpp_sources_is_cpp(corpus: ModuleType, tmp_path: Path) -> None:
    text = "int add(int left, int right);\n" * 50
    write_wheel(tmp_path, "plain", {"a.c": text, "a.h": text})
    write_wheel(tmp_path, "plus", {"a.cc": text, "a.h": text})
    plain, plus = (corpus.candidates(package) for package in corpus.sources.wheels([tmp_path]))
    assert {language: [*paths] for language, paths in plain.items()} == {"C": ["a.c", "a.h"]}
    assert {language: [*paths] for language, paths in plus.items()} == {"C++": ["a.cc", "a.h"]}


def test_unpacking_lays_out_plain_files(scripts: Path, made: Path, tmp_path: Path) -> None:
    command = [sys.executable, scripts / "unpack", made / "held-out.jsonl.xz", tmp_path / "files"]
    subprocess.run(command, check=True, capture_output=True)
    for record in records(made, "held-out"):
        path = tmp_path / "files" / record["language"] / record["package"] / record["path"]
        assert path.read_text(encoding="utf-8") == record["text"]


def test_the_named_packages_are_in_one_set_each(corpus: ModuleType) -> None:
    for origin, sets in corpus.sources.NAMED.items():
        names = [name for use, names in sets.items() for name in names]
        assert len(names) == len(set(names)), origin
        assert set(sets) == set(USES)


def test_pips_local_folders_are_where_wheels_come_from(
    corpus: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("links", "with a blank", "index/simple", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pip.conf").write_text(
        f"[global]\nfind-links = {tmp_path / 'links'}\n    {(tmp_path / 'with a blank').as_uri()}\n"
        f"extra-index-url = {(tmp_path / 'index/simple').as_uri()} https://host/simple\n"
        f"cache-dir = {tmp_path / 'other'}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    found = [folder for folder in corpus.sources.pip_folders() if tmp_path in folder.parents]
    assert sorted(folder.name for folder in found) == ["index", "links", "with a blank"]


def test_what_cannot_be_fetched_is_said_and_left_out(
    corpus: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # neither npm nor apt-get
    for origin in ("npm", "debian"):
        assert [*getattr(corpus.sources, origin)(tmp_path / "cache")] == []
        assert capsys.readouterr().err == "".join(
            f"corpus: {name} can't be fetched and is left out.\n"
            for name in corpus.sources.named(origin)
        )


def test_unpacking_what_is_no_archive_is_one_sentence(scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "set.jsonl.xz").write_bytes(b"none")
    command = [sys.executable, scripts / "unpack", tmp_path / "set.jsonl.xz", tmp_path / "files"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("unpack: ")
    assert result.stderr.count("\n") == 1
