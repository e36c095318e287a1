"""What the memory learns from unopened files, with the real index, runtime and embedded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from editor import INLINE, Editor, File
from test_product import runtime_folder as runtime_folder
from test_product import status, wait_until

OPTIONS = {"completion": {"minimumConfidence": 0, "pause": "off"}}


@pytest.fixture
def opened(runtime_folder: Path, tmp_path: Path) -> Iterator[Callable[[Path], Editor]]:
    with Editor(env={"CODEGEEX_CACHE_DIR": str(tmp_path / "cache")}) as editor:

        def begin(folder: Path) -> Editor:
            editor.initialize(INLINE, OPTIONS, rootUri=folder.as_uri())
            editor.ready()
            return editor

        yield begin


def suggested(editor: Editor, path: Path, text: str, documents: int) -> list[str]:
    """At the end of the new file, once so many documents are remembered."""
    uri = path.as_uri()
    editor.open(uri, text, "python")
    wait_until(lambda: status()["remembered"]["documents"] >= documents)
    file = File(editor, uri, text, "")
    return file.texts()


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "utf-8-sig", "utf-16"])
def test_text_in_whatever_encoding(
    opened: Callable[[Path], Editor], tmp_path: Path, encoding: str
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for number in range(4):
        text = f'title = "产品名称"\nnumber = {number}\n'
        (project / f"page{number}.py").write_bytes(text.encode(encoding))
    editor = opened(project)
    [text] = suggested(editor, project / "new.py", 'title = "', 5)
    assert text.startswith("产品名称")


def test_a_document_and_not_its_file_though_the_folder_is_a_link(
    opened: Callable[[Path], Editor], tmp_path: Path
) -> None:
    project, link = tmp_path / "project", tmp_path / "link"
    project.mkdir()
    link.symlink_to(project)
    (project / "names.py").write_text("favourite_colour = old_ultramarine_value\n" * 3)
    (project / "other.py").write_text("number = 1\n")
    editor = opened(link)
    editor.open((project / "names.py").as_uri(), "number = 1\n", "python")
    wait_until(lambda: status()["remembered"]["documents"] == 2)
    text = "".join(suggested(editor, project / "new.py", "favourite_colour = old_", 3))
    assert "ultramarine" not in text
