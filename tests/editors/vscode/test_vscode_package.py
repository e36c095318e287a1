"""What is in the .vsix and in the manifest, without starting VS Code."""

from __future__ import annotations

import json
import re
import runpy
import zipfile
from pathlib import Path
from typing import Any

import pytest
import readme
from vscode_program import EXTENSION, ROOT

MANIFEST = json.loads((EXTENSION / "package.json").read_text())
ENGLISH = json.loads((EXTENSION / "package.nls.json").read_text())
CHINESE = json.loads((EXTENSION / "package.nls.zh-cn.json").read_text())
CODE = "\n".join(file.read_text() for file in sorted((EXTENSION / "src").glob("*.ts")))
# A text for the user in the code: l10n.t('...'), its quote on the same line or the next.
TEXT = re.compile(r"\bt\(\s*'([^'\n]*)'")


@pytest.mark.timeout(300)
def test_the_package_holds_bundle_manifest_texts_icon_and_licence(packaged: Path) -> None:
    with zipfile.ZipFile(packaged) as vsix:
        names = [name.removeprefix("extension/") for name in vsix.namelist()]
    steps = MANIFEST["contributes"]["walkthroughs"][0]["steps"]
    assert sorted(names) == sorted(
        [
            "[Content_Types].xml",
            "extension.vsixmanifest",
            "LICENSE.txt",
            "readme.md",
            "icon.png",
            "package.json",
            "package.nls.json",
            "package.nls.zh-cn.json",
            "l10n/bundle.l10n.zh-cn.json",
            "dist/extension.js",
            "dist/licences.txt",
            *(step["media"]["markdown"] for step in steps),
        ]
    )
    size = packaged.stat().st_size
    print(f"the .vsix has {size / 1024:.0f} KiB")
    assert size < 300 * 1024


def test_the_settings_are_those_of_the_server() -> None:
    """Made by scripts/editors/vscode_settings; run it after a change of settings.py."""
    script = runpy.run_path(str(ROOT / "scripts" / "editors" / "vscode_settings"))
    before = [(EXTENSION / name).read_text() for name in ("package.json", "package.nls.json")]
    assert list(script["generated"](*map(json.loads, before))) == before


def test_settings_that_are_gone_leave_no_text_behind() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "editors" / "vscode_settings"))
    _, texts = script["generated"](
        json.loads(json.dumps(MANIFEST)), ENGLISH | {"codegeex.gone": "An old setting."}
    )
    assert json.loads(texts) == ENGLISH


def test_every_text_of_the_manifest_is_there_in_both_languages() -> None:
    used = set(re.findall(r'"%([^%]+)%"', json.dumps(MANIFEST)))
    assert used == set(ENGLISH) == set(CHINESE)


def test_every_text_of_the_code_is_translated() -> None:
    bundle = json.loads((EXTENSION / "l10n" / "bundle.l10n.zh-cn.json").read_text())
    assert set(TEXT.findall(CODE)) == set(bundle)
    assert CODE.count("l10n.t(") + len(re.findall(r"[^.\w]t\(", CODE)) == len(TEXT.findall(CODE))


def test_the_keys_are_those_of_the_original_and_one_for_a_line() -> None:
    keys = {
        binding["key"]: binding["command"] for binding in MANIFEST["contributes"]["keybindings"]
    }
    assert keys == {
        "alt+\\": "editor.action.inlineSuggest.trigger",
        "alt+end": "editor.action.inlineSuggest.acceptNextLine",
        "ctrl+enter": "codegeex.showCandidates",
        "ctrl+alt+t": "codegeex.translateBeside",
        "alt+t": "codegeex.prompts",
    }


def test_an_untrusted_folder_can_name_no_program() -> None:
    """VS Code ignores a folder's values of these; the server takes no path from any editor."""
    trust = MANIFEST["capabilities"]["untrustedWorkspaces"]
    assert trust["supported"] == "limited"
    settings: dict[str, Any] = {}
    for section in MANIFEST["contributes"]["configuration"]:
        settings |= section["properties"]
    paths = [name for name in settings if name.lower().endswith(("path", "folder", "endpoint"))]
    assert trust["restrictedConfigurations"] == paths == ["codegeex.server.path"]
    assert settings["codegeex.server.path"]["scope"] == "machine-overridable"


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((EXTENSION / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_version_and_licence_are_the_projects() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{MANIFEST["version"]}"' in project
    assert (EXTENSION / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_pages_commands_build_what_they_install() -> None:
    folder, *builds, install = readme.commands("vscode")
    assert folder == f"cd {EXTENSION.relative_to(ROOT)}"
    assert builds == ["npm ci --ignore-scripts", "npm run package"]
    assert install == f"code --install-extension {MANIFEST['name']}-{MANIFEST['version']}.vsix"
