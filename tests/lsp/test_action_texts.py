"""The pure parts of the actions: passages, comments, docstrings, answers, and where edits go."""

from __future__ import annotations

import random
import string

import pytest
from marked import MARK

from codegeex_lsp.actions import (
    anchor,
    answers,
    comments,
    docstring,
    explain,
    generate,
    portions,
    syntax,
)
from codegeex_lsp.actions.passage import Passage, enclosing, is_definition, of_selection, with_tabs
from codegeex_lsp.actions.plan import Change, Refusal
from codegeex_lsp.text import languages
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.text.languages import LANGUAGES, Language


def snapshot_of(text: str, language_id: str = "python") -> Snapshot:
    return Snapshot.of("file:///project/file", 1, language_id, text)


def around(text: str) -> str:
    """What the block around the mark is."""
    line = text.partition(MARK)[0].count("\n")
    return "\n".join(enclosing(snapshot_of(text.replace(MARK, "")), line).lines)


def language_of(name: str) -> Language:
    found = languages.named(name)
    assert found is not None
    return found


# --- the block around a cursor ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n\ndef f():\n    a‸ = 1\n\n    return a\n\ny\n",
         "def f():\n    a = 1\n\n    return a"),
        ("class A:\n    def f(self):\n        ‸pass\n\n    def g(self):\n        pass\n",
         "    def f(self):\n        pass"),
        ("def f():\n    if x:\n        ‸y()\n    z()\n",
         "def f():\n    if x:\n        y()\n    z()"),
        ("int f(int a)\n{\n    ‸return a;\n}\n\nint g;\n", "int f(int a)\n{\n    return a;\n}"),
        ("void g() {\n  if (a) {\n    b();\n  ‸}\n}\n", "void g() {\n  if (a) {\n    b();\n  }\n}"),
        ("func add(a int) int {\n\treturn a\n‸}\n\nvar x = 1\n",
         "func add(a int) int {\n\treturn a\n}"),
        ("const f = (a) => {\n  ‸return a;\n};\nf();\n", "const f = (a) => {\n  return a;\n};"),
        ("for x in y:\n    ‸print(x)\nz\n", "for x in y:\n    print(x)"),
        ("a = 1\nb‸ = 2\nc = 3\n", "b = 2"),
        ("def f():\n    pass\n\n‸\nx = 1\n", "def f():\n    pass"),
        ("subroutine s(a)\n  ‸a = 1\nend subroutine s\nx\n",
         "subroutine s(a)\n  a = 1\nend subroutine s"),
        ("f() {\n  echo ‸a\n}\n", "f() {\n  echo a\n}"),
    ],
)  # fmt: skip
def test_the_block_around_a_cursor(text: str, expected: str) -> None:
    assert around(text) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("def f():", True),
        ("    async def f(self):", True),
        ("public static int add(int a, int b) {", True),
        ("template<class T> T f(T a)", True),
        ("export default class A {", True),
        ("pub fn f() -> i32 {", True),
        ("CREATE FUNCTION f()", True),
        ("print(x)", False),
        ("if (a) {", False),
        ("} else if (b) {", False),
        ("return f(x)", False),
        ("x = f(y)", False),
        ("int x = f(y);", False),
        ("", False),
    ],
)
def test_definitions(line: str, expected: bool) -> None:
    assert is_definition(line) is expected


def test_no_line_takes_long_to_judge() -> None:
    for text in (
        "a " * 100_000,
        "a(" * 100_000,
        "a::" * 50_000,
        "(" * 100_000,
        "a(a" + ")" * 10**5,
    ):
        assert is_definition(text) in (True, False)


def test_a_selection_means_whole_lines() -> None:
    snapshot = snapshot_of("a\n  b = 1\n  c\n\nd\n")
    assert of_selection(snapshot, Position(1, 3), Position(3, 0)).lines == ["  b = 1", "  c"]
    assert of_selection(snapshot, Position(1, 2), Position(1, 7)).lines == ["  b = 1"]
    assert of_selection(snapshot, Position(0, 0), Position(99, 0)).code == "a\n  b = 1\n  c\n\nd"


def test_code_is_dedented_and_put_back() -> None:
    passage = of_selection(
        snapshot_of("x\n\tif a:\n\t    b\n\n\tc"), Position(1, 0), Position(4, 2)
    )
    assert passage.code == "if a:\n    b\n\nc"
    assert (passage.indentation, passage.tabbed) == ("\t", True)
    assert with_tabs(["a", "  b", "    c", "     d"]) == ["a", "\tb", "\t\tc", "\t\t d"]


# --- long passages ------------------------------------------------------------------------------


def test_portions_are_whole_definitions() -> None:
    text = "import os\n\n\ndef f():\n    a\n\n    b\n\n\ndef g():\n    c\n"
    snapshot = snapshot_of(text)
    whole = of_selection(snapshot, Position(0, 0), Position(99, 0))
    assert [part.code for part in portions.portions(whole, 25)] == [
        "import os",
        "def f():\n    a\n\n    b",
        "def g():\n    c",
    ]
    assert len(portions.portions(whole, 40)) == 2
    with pytest.raises(Refusal, match="line 4 to 7 has 21 characters, and the model can take 20"):
        portions.portions(whole, 20)


# --- comments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_comments_are_read_as_they_are_written(language: Language) -> None:
    lines = comments.commented("What it does.\nAnd more.", language)
    assert [comments.words(line, language) for line in lines] == ["What it does.", "And more."]
    assert comments.words("x = 1", language) is None
    place = comments.at([*lines, "", ""], 3, language)
    assert place is not None
    assert place[1] == 1


def test_the_end_of_a_comment_inside_a_comment() -> None:
    assert comments.commented("a */ b", language_of("CSS")) == ["/* a * / b */"]
    assert docstring.as_comment("a */ b", language_of("Java")) == ["/**", " * a * / b", " */"]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "x\n# a\n# b\n‸", (1, 2)),
        ("python", 'def f():\n    """Do it.\n\n    Now.\n    """\n‸', (1, 4)),
        ("python", 'def f():\n    """Do it."""\n‸', (1, 1)),
        ("c", "/* one\n * two */\n‸", (0, 1)),
        ("python", "x = 1\n‸", None),
        ("python", "‸", None),
    ],
)
def test_the_comment_at_a_cursor(
    language: str, text: str, expected: tuple[int, int] | None
) -> None:
    lines = text.replace(MARK, "").split("\n")
    line = text.partition(MARK)[0].count("\n")
    assert comments.at(lines, line, language_of(language)) == expected


# --- generated code -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f():\n    a\n\n    b\n\nf()\n", "def f():\n    a\n\n    b"),
        ("x = 1\ny = 2\n\nz = 3\n\n\nw\n", "x = 1\ny = 2\n\nz = 3"),
        ("    a\n    b\nc\n", "    a\n    b"),
        ("int f() {\n  a;\n}\n\nint g() {\n", "int f() {\n  a;\n}"),
        ("\n\nx", "x"),
        ("", ""),
    ],
)
def test_the_first_unit(text: str, expected: str) -> None:
    assert generate.first_unit(text) == expected


def test_enough_is_known_as_soon_as_something_else_begins() -> None:
    text = "def f():\n    a\n\n    b\n\nf()\nmore"
    whole = [generate.is_whole(text[:end]) for end in range(len(text) + 1)]
    assert whole.index(True) == text.index("more")
    assert all(whole[text.index("more") :])


# --- docstrings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("Java", ["/**", " * One.", " * Two.", " */"]),
        ("C#", ["/// <summary>", "/// One.", "/// Two.", "/// </summary>"]),
        ("Rust", ["/// One.", "/// Two."]),
        ("Go", ["// One.", "// Two."]),
        ("R", ["#' One.", "#' Two."]),
        ("HTML", ["<!--", "  One.", "  Two.", "-->"]),
        ("SQL", ["-- One.", "-- Two."]),
        ("TeX", ["% One.", "% Two."]),
    ],
)
def test_conventions(language: str, expected: list[str]) -> None:
    assert docstring.as_comment("One.\nTwo.", language_of(language)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Do it.", ['"""Do it."""']),
        ("Do it.\n\nNow.", ['"""Do it.', "", "Now.", '"""']),
        ('Say "no"', ['"""Say "no" """']),
        ("A \\d", ['r"""A \\d"""']),
        ('Not """ here', ['"""Not \'\'\' here"""']),
    ],
)
def test_python_docstrings_are_python(text: str, expected: list[str]) -> None:
    made = docstring.in_quotes(text)
    assert made == expected
    assert syntax.parses("\n".join(made), "Python")


@pytest.mark.parametrize(
    ("language", "answer"),
    [
        ("Python", '"""Do it.\n\n    Now."""'),
        ("Python", 'def f():\n    """\n    Do it.\n\n    Now.\n    """\n    pass'),
        ("Java", "/**\n * Do it.\n *\n * Now.\n */"),
        ("Java", " Do it.\n//\n// Now."),
        ("Go", "```go\n// Do it.\n//\n// Now.\n```"),
        ("C#", "/// <summary>\n/// Do it.\n///\n/// Now.\n/// </summary>"),
    ],
)
def test_what_an_answer_says(language: str, answer: str) -> None:
    assert docstring.description(answer, language_of(language)) == "Do it.\n\nNow."


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```python\nx = 1\n```", "x = 1"),
        ("Sure!\n\n```\nx = 1\n```\nIt sets x.", "x = 1"),
        ("```\nx = 1", "x = 1"),
        ("~~~\nx\n~~~", "x"),
        ("Here is the translation:\nx = 1", "x = 1"),
        ("x = 1\n\nNote that it is one.", "x = 1"),
        ("x = 1\r\ny = 2\r\n", "x = 1\ny = 2"),
        ("x = 1\ufffdjunk", "x = 1"),
        ("    return 1\n", "    return 1"),
        ("go()\n" * 100, "go()"),
        ("0,\n" * 10, "\n".join(["0,"] * 10)),
    ],
)
def test_code_in_an_answer(text: str, expected: str) -> None:
    assert answers.code(text) == expected


def test_an_explanation_never_changes_the_code() -> None:
    """Whatever a model writes, the lines that are no comments are the document's own."""
    python = language_of("Python")
    code = "def f(a):\n    # old\n    b = a\n\n    return b"
    passage = of_selection(snapshot_of(code), Position(0, 0), Position(9, 0))
    pieces = [*code.split("\n"), "# new", "    # other", "x = 2", "```", "words", ""]
    chance = random.Random(3)
    for _ in range(500):
        answer = "\n".join(chance.choice(pieces) for _ in range(chance.randrange(12)))
        remarks = explain.remarks_of(answer, passage.code, python)
        made = explain.with_comments(passage, remarks, python)
        own = iter(made)
        assert all(any(line == other for other in own) for line in code.split("\n"))
        added = len(made) - len(passage.lines)
        assert sum(line.lstrip().startswith("#") for line in made) == added + 1


# --- anchors ------------------------------------------------------------------------------------


def moved(old: str, first: int, last: int, new: str) -> int | None:
    """Where line `first` of a change is after the edit."""
    snapshot = snapshot_of(old)
    passage = Passage(snapshot, first, last)
    found = anchor.moved(Change(passage, first, last, ("done",)), snapshot_of(new))
    return None if found is None else found.first


@pytest.mark.parametrize(
    ("old", "first", "last", "new", "expected"),
    [
        ("a\nb\nc", 1, 1, "x\na\nb\nc", 2),
        ("a\nb\nc", 1, 1, "b\nc", 0),
        ("a\nb\nc", 1, 1, "a\nb\nc\nd", 1),
        ("a\nb\nc", 1, 1, "a\nx\nc", None),
        ("a\nb\nc", 1, 1, "x\na\nb\nc\ny", 2),
        ("a\nb\nc\nb", 1, 1, "x\na\nb\nc\nb\ny", None),
        ("a\nb\nc\nb", 1, 1, "x\na\nb\nc\nb", 2),
        ("a\nb\nc", 0, 2, "a\nb\nx\nc", None),
        ("a\nb", 1, 1, "", None),
        ("a\r\nb\r\n", 1, 1, "a\nb\n", 1),
    ],
)
def test_where_a_change_goes(
    old: str, first: int, last: int, new: str, expected: int | None
) -> None:
    assert moved(old, first, last, new) == expected


def test_a_moved_change_always_stands_on_its_own_lines() -> None:
    chance = random.Random(5)
    for _ in range(2000):
        old = [chance.choice(string.ascii_lowercase[:4]) for _ in range(chance.randrange(1, 8))]
        first = chance.randrange(len(old))
        last = chance.randrange(first, len(old))
        new = list(old)
        for _ in range(chance.randrange(3)):
            at = chance.randrange(len(new) + 1)
            new[at : at + chance.randrange(2)] = [chance.choice("abcdz")] * chance.randrange(3)
        place = moved("\n".join(old), first, last, "\n".join(new))
        if place is not None:
            lines = "\n".join(new).split("\n")
            assert lines[place : place + last + 1 - first] == old[first : last + 1]


# --- edits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first", "last", "expected"),
    [
        ("a\nb\nc\n", 1, 1, "a\nX\nY\nc\n"),
        ("a\r\nb\r\nc", 1, 0, "a\r\nX\r\nY\r\nb\r\nc"),
        ("a\nb", 2, 1, "a\nb\nX\nY"),
        ("a\nb", 1, 1, "a\nX\nY"),
        ("", 0, 0, "X\nY"),
    ],
)
def test_lines_go_into_a_document(text: str, first: int, last: int, expected: str) -> None:
    snapshot = snapshot_of(text)
    passage = Passage(snapshot, 0, len(snapshot.lines) - 1)
    new, start, end = Change(passage, first, last, ("X", "Y")).edit()
    whole = Position(0, 0), Position(10**6, 0)
    made = snapshot.between(whole[0], start) + new + snapshot.between(end, whole[1])
    assert made == expected


# --- syntax -------------------------------------------------------------------------------------


def test_python_is_parsed_without_being_run_or_warned_about() -> None:
    assert syntax.parses("x = 1", "Python") is True
    assert syntax.parses("x = '\\d'", "Python") is True
    assert syntax.parses("x = (", "Python") is False
    assert syntax.parses("\0", "Python") is False
    assert syntax.parses("(" * 10_000, "Python") is False
    assert syntax.parses("anything", "COBOL") is None


@pytest.mark.parametrize(
    ("language", "good", "bad"),
    [
        ("C", "int f(void) { return 1; }", "int f( { return 1; }"),
        ("C++", "class A { int x; };", "class A { int x"),
        ("Go", "func f() int { return 1 }", "func f( int { return 1 }"),
        ("Java", "class A { int f() { return 1; } }", "class A { int f( { return 1; } }"),
        ("JavaScript", "const f = (a) => a;", "const f = (a => ;"),
        ("Rust", "fn f() -> i32 { 1 }", "fn f( -> i32 { 1 }"),
    ],
)
def test_grammars(language: str, good: str, bad: str) -> None:
    package, _ = syntax.GRAMMARS[language]
    pytest.importorskip("tree_sitter", reason="the extra `syntax` is not installed")
    pytest.importorskip(package, reason="the extra `syntax` is not installed")
    assert syntax.parses(good, language) is True
    assert syntax.parses(bad, language) is False
