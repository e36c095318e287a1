"""The JetBrains plugin: its sources against the IDE's API, its plugin.xml, and what it starts.

No IDE is at hand: the API is Debian's IntelliJ jars and, for what they lack, jetbrains_stubs/.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import lsp4ij
import pytest
from editor import Editor
from fake_runtime import FakeRuntime

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
TEMPLATE = ROOT / "editors" / "jetbrains" / "lsp4ij-template"
SOURCES = ROOT / "editors" / "jetbrains" / "plugin" / "src" / "main"
PLUGIN_XML = SOURCES / "resources" / "META-INF" / "plugin.xml"
SERVER = Path(sys.executable).parent / "codegeex-lsp"


@pytest.fixture(scope="module")
def compiled(fetched: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the plugin's classes."""
    if shutil.which("javac") is None:
        pytest.skip("javac is missing: apt install openjdk-17-jdk-headless")
    jars = sorted((fetched("jetbrains") / "usr/share/java").glob("*.jar"))
    sources = [
        *(SOURCES / "java").rglob("*.java"),
        *(HERE / "jetbrains_stubs").rglob("*.java"),
        HERE / "Resolve.java",
    ]
    classes = tmp_path_factory.mktemp("classes")
    command = ["javac", "--release", "17", "-d", classes, "-cp", ":".join(map(str, jars))]
    done = subprocess.run([*command, *sources], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return classes


def resolved(compiled: Path, path: str, setting: str = "", system: str = "unix") -> list[str]:
    command = ["java", "-cp", compiled, "Resolve", path, setting, system]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


# --- finding the server -------------------------------------------------------------------------


def program(folder: Path, name: str = "codegeex-lsp", mode: int = 0o755) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(mode)
    return folder / name


def test_the_setting_goes_before_the_path(compiled: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin")
    mine = program(tmp_path / "mine", "my server")
    assert resolved(compiled, str(tmp_path / "bin"), f" {mine} ") == [str(mine), "serve"]


def test_the_first_program_in_the_path_is_taken(compiled: Path, tmp_path: Path) -> None:
    program(tmp_path / "text", mode=0o644)
    (tmp_path / "folder" / "codegeex-lsp").mkdir(parents=True)
    first, _ = program(tmp_path / "first"), program(tmp_path / "second")
    path = os.pathsep.join(
        str(tmp_path / name) for name in ("none", "text", "folder", "first", "second")
    )
    assert resolved(compiled, path) == [str(first), "serve"]


def test_a_relative_folder_in_the_path_is_passed_over(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be the opened project's folder, and so the project's program."""
    program(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)
    [sentence] = resolved(compiled, "bin:.:")
    assert sentence.startswith("codegeex-lsp is not in the PATH.")


def test_without_a_server_the_message_says_how_to_install_one(
    compiled: Path, tmp_path: Path
) -> None:
    [sentence] = resolved(compiled, str(tmp_path))
    assert "pip install" in sentence
    assert "Settings | Tools | CodeGeeX" in sentence


def test_a_setting_that_names_nothing_is_told_and_not_passed_over(
    compiled: Path, tmp_path: Path
) -> None:
    program(tmp_path / "bin")
    [sentence] = resolved(compiled, str(tmp_path / "bin"), "/no/such/server")
    assert sentence.startswith("There is no program /no/such/server;")


def test_on_windows_programs_have_a_suffix(compiled: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin")
    found = program(tmp_path / "bin", "codegeex-lsp.exe")
    assert resolved(compiled, str(tmp_path / "bin"), system="windows") == [str(found), "serve"]


def test_what_it_finds_answers_as_lsp4ij_asks(compiled: Path, fake: FakeRuntime) -> None:
    with Editor(resolved(compiled, str(SERVER.parent))) as ide:
        ide.begin(lsp4ij.CAPABILITIES)
        ide.ready()
        [item] = ide.file("total = ").ask()
        assert item["insertText"] == "answer()"


def test_it_starts_the_same_command_as_the_template(compiled: Path) -> None:
    shell_line = lsp4ij.command_line(TEMPLATE)[-1]
    found = resolved(compiled, str(SERVER.parent))
    assert shell_line.split() == [Path(found[0]).name, *found[1:]]


# --- plugin.xml ---------------------------------------------------------------------------------


def test_every_class_that_plugin_xml_names_is_compiled(compiled: Path) -> None:
    names = [
        value
        for element in ElementTree.parse(PLUGIN_XML).iter()
        for key, value in element.attrib.items()
        if key in ("factoryClass", "instance", "serviceImplementation")
    ]
    assert len(names) == 3
    for name in names:
        assert (compiled / f"{name.replace('.', '/')}.class").exists(), name


def test_plugin_xml_depends_on_lsp4ij_and_maps_to_its_own_server() -> None:
    plugin = ElementTree.parse(PLUGIN_XML).getroot()
    assert "com.redhat.devtools.lsp4ij" in [it.text for it in plugin.findall("depends")]
    [server] = plugin.iter("server")
    mappings = list(plugin.iter("fileNamePatternMapping"))
    assert mappings
    assert {it.attrib["serverId"] for it in mappings} == {server.attrib["id"]}


def test_the_languages_are_those_of_the_server() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "editors" / "jetbrains_languages"))
    written = PLUGIN_XML.read_text()
    assert written == script["in_plugin"](written), "run scripts/editors/jetbrains_languages"
    assert written.count("languageId=") == len(script["LANGUAGES"])
