"""Files cut by definition."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from codegeex_lsp.index import chunks
from codegeex_lsp.index.chunks import MOST_LINES, Chunk
from codegeex_lsp.text import languages


def cut(text: str, name: str = "Python") -> list[Chunk]:
    return chunks.cut(text, languages.named(name))


def titles(text: str, name: str = "Python") -> list[str]:
    return [chunk.title for chunk in cut(text, name)]


PYTHON = '''"""A module."""
import os


@cached
def size(path):
    """How large."""

    return os.stat(path).st_size


class Reader(Base):
    """Reads."""

    limit = 1

    # The whole file.
    def all(self):
        def inner():
            return 1
        return inner

    async def one(self):
        return 2


print(size("."))
'''


def test_python_functions_and_methods_are_chunks_of_their_own() -> None:
    assert titles(PYTHON) == [
        '"""A module."""',
        "def size(path):",
        "class Reader(Base):",
        "class Reader: def all(self):",
        "class Reader: async def one(self):",
        'print(size("."))',
    ]


def test_decorators_and_comments_belong_to_their_definition() -> None:
    found = {chunk.title: chunk.text for chunk in cut(PYTHON)}
    assert found["def size(path):"].startswith("@cached\n")
    assert found["class Reader: def all(self):"].startswith("    # The whole file.\n")


def test_lines_count_from_zero_and_are_included() -> None:
    size = next(chunk for chunk in cut(PYTHON) if chunk.title.startswith("def size"))
    assert (size.first, size.last) == (4, 8)
    assert PYTHON.split("\n")[size.first : size.last + 1] == size.text.split("\n")


def test_braces() -> None:
    text = """#include <stdio.h>

static int add(int a,
               int b)
{
    return a + b;
}

// Says hello.
int main(void) {
    if (add(1, 2)) {
        puts("hello");
    }
    return 0;
}

struct point {
    int x;
};
"""
    assert titles(text, "C") == [
        "#include <stdio.h>",
        "static int add(int a,",
        "int main(void) {",
        "struct point {",
    ]


def test_members_of_a_java_class() -> None:
    text = """public class Reader extends Base {
    private int size;

    @Override
    public int read(byte[] into) throws IOException {
        return 1;
    }

    void close() {
    }
}
"""
    assert titles(text, "Java") == [
        "public class Reader extends Base {",
        "class Reader: public int read(byte[] into) throws IOException {",
        "class Reader: void close() {",
    ]


def test_other_languages_name_their_functions() -> None:
    assert "func (r *Reader) Read(p []byte) (int, error) {" in titles(
        "package a\n\nfunc (r *Reader) Read(p []byte) (int, error) {\n\treturn 0, nil\n}\n", "Go"
    )
    rust = "impl Reader {\n    pub fn read(&self) -> u8 {\n        1\n    }\n}\n"
    assert "impl Reader: pub fn read(&self) -> u8 {" in titles(rust, "Rust")
    assert "const read = async (path) => {" in titles(
        "import fs\n\nconst read = async (path) => {\n  return 1\n}\n", "JavaScript"
    )


def test_a_long_function_is_cut_and_keeps_its_title() -> None:
    text = "def long():\n" + "    step()\n" * 200
    found = cut(text)
    assert {chunk.title for chunk in found} == {"def long():"}
    assert all(chunk.last - chunk.first < MOST_LINES for chunk in found)


@given(st.text(alphabet="ab {}();:\n\tdef", max_size=300), st.sampled_from(["Python", "C", "HTML"]))
def test_every_line_with_a_word_is_in_exactly_one_chunk(text: str, name: str) -> None:
    lines = text.split("\n")
    covered = [n for chunk in cut(text, name) for n in range(chunk.first, chunk.last + 1)]
    assert covered == sorted(set(covered))
    assert {n for n, line in enumerate(lines) if re.search(r"\w", line)} <= set(covered)
