"""Wheels made on the spot: METADATA and source files, nothing that could be installed."""

from __future__ import annotations

import zipfile
from pathlib import Path


def write_wheel(
    folder: Path,
    name: str,
    files: dict[str, str],
    licence: str | None = "MIT",
    version: str = "1.0",
) -> Path:
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
    if licence is not None:
        metadata += f"License-Expression: {licence}\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}-{version}.dist-info/METADATA", metadata)
        for file, text in files.items():
            wheel.writestr(file, text)
    return path


def code(topic: str, functions: int = 30) -> str:
    """Python of about a kilobyte and a half whose lines are this topic's own."""
    return "".join(
        f"def {topic}_{index}(left, right):\n    return {topic}(left, right) + {index}\n\n\n"
        for index in range(functions)
    )
