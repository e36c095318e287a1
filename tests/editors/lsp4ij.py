"""What LSP4IJ 0.20 makes of a template's folder, by the rules of its parser; no IDE is at hand.

Its command line is split at blanks, double quotes group and vanish, nothing is escaped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

KEYS = {"id", "name", "url", "dev", "programArgs", "workingDir", "env", "expandConfiguration"}
KEYS |= {"fileTypeMappings", "languageMappings", "disablePromotionFor"}
SYSTEMS = {"windows", "mac", "unix", "default"}
JSON_FILES = {"settings.json", "initializationOptions.json", "experimental.json"}
JSON_FILES |= {"clientSettings.json", "settings.schema.json", "installer.json"}
FILES = {"template.json", "README.md", "workspaceFolderSettings.json", *JSON_FILES}

# Its intention actions are this many classes, one an entry.
INTENTIONS = 20

# What LSP4IJ says of itself in initialize.
CAPABILITIES = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "inlineCompletion": {"dynamicRegistration": True},
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix", "refactor"]}},
            "resolveSupport": {"properties": ["edit"]},
            "dataSupport": True,
        },
    },
    "window": {"workDoneProgress": True, "showDocument": {"support": True}},
    "workspace": {
        "applyEdit": True,
        "configuration": True,
        "workspaceEdit": {
            "documentChanges": True,
            "resourceOperations": ["create", "rename", "delete"],
        },
    },
}


def complaints(folder: Path) -> list[str]:
    """What the import would refuse or ignore."""
    if not (folder / "template.json").exists():
        return ["there is no template.json"]
    template = read(folder)
    found = [f"{path.name} is ignored" for path in folder.iterdir() if path.name not in FILES]
    found += [f"the key {key} is ignored" for key in template.keys() - KEYS]
    arguments = template.get("programArgs")
    if not isinstance(arguments, dict) or "default" not in arguments:
        found.append("programArgs must be an object with a default")
    else:
        found += [f"{name} is no system" for name in arguments.keys() - SYSTEMS]
    for mapping in template.get("fileTypeMappings", []):
        if not {"name", "patterns"} & mapping.get("fileType", {}).keys():
            found.append(f"{mapping} names no file type")
    for name in JSON_FILES:
        if (folder / name).exists():
            json.loads((folder / name).read_text())
    return found


def read(folder: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((folder / "template.json").read_text())
    return template


def command_line(folder: Path) -> list[str]:
    """The program and its arguments that LSP4IJ would start on this system."""
    arguments = read(folder)["programArgs"]
    system = {"win32": "windows", "darwin": "mac"}.get(sys.platform, "unix")
    return words(arguments.get(system, arguments["default"]))


def words(line: str) -> list[str]:
    """Spaces split, double quotes group and vanish; there are no escapes."""
    done, word, quoted = [], "", False
    for character in line:
        if character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            done, word = [*done, word], ""
        else:
            word += character
    return [part for part in [*done, word] if part]
