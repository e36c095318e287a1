"""A decoder-only model of the hub fills in at the cursor, from the keystroke to the shown text.

Real server, real runtime, real network of transformers; the model knows three places by heart.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import taught_lm
from editor import MARK, Editor

LESSONS = [
    ("def area(width, height):\n    ", "return width * height", "\n\nprint(area(2, 3))\n"),
    ("def area(width, height):\n    ", "return 2 * (width + height)", "\n\n# the way around\n"),
    ("names = ['a', 'b']\nfor name in ", "sorted(names):\n    print(name)", "\n\nend = True\n"),
]


@pytest.fixture(scope="module")
def taught_model(user: Path) -> Path:
    return taught_lm.write_folder(user / "taught", LESSONS)


@pytest.mark.parametrize(("prefix", "middle", "suffix"), LESSONS)
def test_what_stands_after_the_cursor_decides(
    editor: Editor, prefix: str, middle: str, suffix: str
) -> None:
    file = editor.file(prefix + MARK + suffix)
    assert file.texts(invoked=True) == [middle]
    file.close()
