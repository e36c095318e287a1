from __future__ import annotations

import argparse
import json.decoder
import random
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked import MARK, context_of, place

from codegeex_lsp.completion import context as contexts
from codegeex_lsp.completion.postprocess import confident, process
from codegeex_lsp.completion.suggestion import Suggestion
from codegeex_lsp.text import languages
from model_runtime.wire.protocol import Reason


def assert_processed(
    before: str, raw: str, expected: str | Reason, language_id: str = "python"
) -> None:
    """In the document `before`, with a mark for the cursor, a model wrote `raw`."""
    context = context_of(before, language_id)
    outcome = process(raw, context)
    assert outcome == expected
    if not isinstance(outcome, Reason):
        assert process(outcome, context) == outcome


# --- plain text ---------------------------------------------------------------------------------


def test_good_text_stays() -> None:
    assert_processed("def f(a, b):\n    return ‸\n", "a + b", "a + b")
    body = "\n    if a:\n        return 1\n    return 2"
    assert_processed("def f(a):‸\n", body, body)
    assert_processed("‸", "import os\nimport sys", "import os\nimport sys")


@pytest.mark.parametrize("blank", ["", " ", "\n\n", "\t \r\n", "\0\0", "\ufffdabc"])
def test_blank(blank: str) -> None:
    assert_processed("x = ‸", blank, Reason.BLANK)


def test_blanks_at_the_end() -> None:
    assert_processed("x = ‸", "1  \n\n   ", "1")


def test_noise() -> None:
    assert_processed("x = ‸", "a\0b\x1b\x7f\u200b\u202e\ufeffc", "abc")
    assert_processed("x = ‸", "naïve\x0c\t= '日本👩‍💻'", "naïve\x0c\t= '日本👩‍💻'")
    assert_processed("x = ‸", 'f("caf\ufffd\ufffd', 'f("caf')
    assert_processed("x = ‸", "f(1)\ny = '\ud83d", "f(1)\ny = '")


def test_line_ends_are_the_documents() -> None:
    assert_processed("def f():‸\r\n", "\n    a = 1\n    return a", "\r\n    a = 1\r\n    return a")
    assert_processed("def f():‸\n", "\r\n    a = 1\r    return a", "\n    a = 1\n    return a")


# --- the rest of the line -----------------------------------------------------------------------


def test_one_line_before_code() -> None:
    assert_processed("x = ‸ + 1\n", "a\nb = 2", "a")
    assert_processed("x = ‸ + 1\n", "\nb = 2", Reason.BLANK)


@pytest.mark.parametrize(
    ("before", "raw", "expected"),
    [
        ("print(‸)", "a, b)", "a, b"),
        ("print(‸)", "f(a))", "f(a)"),
        ("print(‸)", "f(a)", "f(a)"),
        ("def f(‸):", "self, x):\n    pass", "self, x"),
        ("def f(self‸):", "):", Reason.REPEATS_SUFFIX),
        ("print(g(‸))", "a), h(b", "a), h(b"),
        ("print(g(‸)", "a), h(b)", "a), h(b)"),
        ("print(g(‸)", "a), h(b))", "a), h(b)"),
        ("print(g(‸)", "a)", "a)"),
        ("x = [‸]", "1, 2]", "1, 2"),
        ('x = "‸"', 'hello"', "hello"),
        ('x = "‸"', "it's (", "it's ("),
        ('x = f("a", "‸")', 'b")', "b"),
        ('x = ["‸"]', 'a", "b', 'a", "b'),
        ('def f():\n    """‸"""', 'Do it."""', "Do it."),
        ("print(‸);", "f(a));", "f(a)"),
    ],
)
def test_closers_that_stand_there_already(before: str, raw: str, expected: str | Reason) -> None:
    assert_processed(before, raw, expected)


@pytest.mark.parametrize(
    ("before", "raw", "expected"),
    [
        ("x = ‸ + offset", "base + offset", "base"),
        ("x = ‸ + offset", "base + off", "base"),
        ("f(‸, b)", "a, b)", "a"),
        ("x = ‸;", "1;", "1"),
        ("if ‸:", "ready:", "ready"),
        ("if ‸ {", "ready {", "ready"),
        ("x = ‸offset", "offset", Reason.REPEATS_SUFFIX),
        ("x = ‸e", "tree", "tree"),
        ("await ‸foo()", "bar() or ", "bar() or "),
        ("f(‸a)", "b,  ", "b, "),
    ],
)
def test_overlap_with_the_rest_of_the_line(before: str, raw: str, expected: str | Reason) -> None:
    assert_processed(before, raw, expected)


def test_lines_before_code_at_a_line_start() -> None:
    before = "def f():\n    ‸return x\n"
    assert_processed(before, "x = 1\n    y = 2\n", "x = 1\n    y = 2\n    ")
    assert_processed(before, "x = 1", "x = 1\n    ")
    assert_processed(before, "return x", Reason.REPEATS_SUFFIX)
    assert_processed(before, "x = 1\n    return x", "x = 1\n    ")
    assert_processed("‸foo()\n", "await ", "await ")
    assert_processed("‸foo()\n", "self.", "self.")


# --- blocks -------------------------------------------------------------------------------------


def test_python_blocks_end_with_the_indentation() -> None:
    assert_processed("def f(x):‸\n", "\n    return x\n\ndef g():\n    pass", "\n    return x")
    assert_processed(
        "def f(x):\n    ‸\n", "y = x\n    return y\n\n\nclass A:", "y = x\n    return y"
    )
    assert_processed("def f(x):\n    if x:‸\n", "\n        a()\n    b()", "\n        a()")
    assert_processed("def f(x):\n    return x‸\n", "\n\ndef g():", Reason.BLANK)
    assert_processed("x = 1‸\n", "\ny = 2\nz = 3", "\ny = 2\nz = 3")
    assert_processed("f(‸\n", "\n    a,\n    b,\n)\ng()", "\n    a,\n    b,\n)")
    assert_processed("def f(‸\n", "\n    a,\n):\n    pass", "\n    a,\n):")
    assert_processed("if x:\n\t‸\n", "a()\n    b()\nc()", "a()\n    b()")


def test_java() -> None:
    method = "class A {\n    int f(int x) {‸\n    }\n}\n"
    assert_processed(
        method, "\n        return x;\n    }\n\n    int g() {", "\n        return x;", "java"
    )
    open_method = "class A {\n    int f(int x) {‸\n"
    assert_processed(
        open_method,
        "\n        return x;\n    }\n\n    int g() {",
        "\n        return x;\n    }",
        "java",
    )
    assert_processed(
        "class A {\n    int f() {\n        ‸\n}\n", "a();\n    }\n}", "a();\n    }", "java"
    )
    assert_processed(
        "class A {\n    int f() {\n        ‸\n        b();\n    }\n}\n",
        "a();\n    }",
        "a();",
        "java",
    )
    assert_processed(
        "if (x) {\n    ‸\n} else {\n    b();\n}\n", "a();\n} else {\n    c();", "a();", "java"
    )
    assert_processed(
        "if (x) {\n    a();\n‸", "} else {\n    b();\n}\n}", "} else {\n    b();\n}\n}", "java"
    )
    assert_processed("if (x) {\n    a();\n‸", "}\n\nvoid g() {", "}", "java")


def test_go() -> None:
    assert_processed(
        "func f(err error) {\n\tif err != nil {‸\n\t}\n}\n",
        "\n\t\treturn err\n\t}\n\treturn nil",
        "\n\t\treturn err",
        "go",
    )
    assert_processed(
        "func f() {\n\tgo func() {‸\n", "\n\t\tg()\n\t}()\n}", "\n\t\tg()\n\t}()", "go"
    )


def test_cpp() -> None:
    assert_processed(
        "int f() {\n    ‸\n}\n", "#ifdef A\n#if B\n    a();", "#ifdef A\n#if B\n    a();", "cpp"
    )
    assert_processed(
        "int f() {\n    a();\n    ‸\n}\n",
        "b();\n#endif\n    c();\n}",
        "b();\n#endif\n    c();",
        "cpp",
    )
    assert_processed("int f() { ‸", 'puts("}"); }\n\nint g() {', 'puts("}"); }', "cpp")
    assert_processed("struct A {‸\n", "\n    int a;\n};\n\nstruct B {", "\n    int a;\n};", "cpp")
    assert_processed("template <typename T>‸\n", "\nvoid f() {}", "\nvoid f() {}", "cpp")


def test_javascript() -> None:
    assert_processed("on('a', () => {‸\n});\n", "\n  b();\n});\nc();", "\n  b();", "javascript")
    assert_processed("on('a', () => {‸\n", "\n  b();\n});\nc();", "\n  b();\n});", "javascript")
    assert_processed(
        "const a = { ‸ };\n", "b: 1, c: { d: 2 } };", "b: 1, c: { d: 2 }", "javascript"
    )


def test_html_and_tex() -> None:
    assert_processed(
        "<ul>\n  ‸\n</ul>\n",
        "<li>a</li>\n  <li>b</li>\n</ul>\n<p>",
        "<li>a</li>\n  <li>b</li>",
        "html",
    )
    assert_processed("<ul>‸\n", "\n  <li>a</li>\n</ul>\n<p>", "\n  <li>a</li>\n</ul>", "html")
    assert_processed("<p>‸</p>\n", "Hello</p>", "Hello", "html")
    assert_processed(r"\begin{a}" "\n  ‸\n", "x\n\\end{a}\n\\begin{b}", "x\n\\end{a}", "tex")


def test_shell_and_an_unknown_language() -> None:
    assert_processed("if a; then\n    ‸\n", "b\nfi\nc", "b\nfi", "shellscript")
    assert_processed("if a; then\n    ‸\nfi\n", "b\nfi\nc", "b", "shellscript")
    assert_processed("def f\n  ‸\n", "a\nend\n\ndef g", "a\nend", "ruby")
    assert_processed("f {\n  ‸\n}\n", "a\n}\ng {", "a", "")


# --- lines that follow --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "raw", "expected"),
    [
        ("a = 1\n‸\nb = compute()\n", "b = compute()", Reason.REPEATS_SUFFIX),
        ("a = 1\n‸\nb = compute()\n", "c = 2\nb = compute()", "c = 2"),
        ("a = 1\n‸\nb = compute()\n", "c = 2\nb=compute();", "c = 2"),
        ("a = 1\n‸\nb = compute()\n", "c = 2\nb = compute()\nd = 3", "c = 2"),
        ("a = 1‸\n\nb = 'x'\nc = 3\n", '\nb = "x"\nc = 3', Reason.REPEATS_SUFFIX),
        ("a = 1\nb = ‸\nb = compute()\n", "compute()", Reason.REPEATS_SUFFIX),
        ("b = f(‸)\nb = f(1)\n", "1)", Reason.REPEATS_SUFFIX),
        ("row(1)\n‸\nrow(3)\n", "row(2)", "row(2)"),
        ("def f():\n    if a:\n        return‸\n    return b\n", " b", " b"),
        ("‸\nx = 1\n", "x = 1\ny = 2", "x = 1\ny = 2"),
        ("‸\nx = 1\ny = 2\n", "x = 1\ny = 2\nz = 3", Reason.REPEATS_SUFFIX),
    ],
)
def test_lines_that_stand_there_already(before: str, raw: str, expected: str | Reason) -> None:
    assert_processed(before, raw, expected)


# --- loops --------------------------------------------------------------------------------------


def test_the_same_lines_over_and_over() -> None:
    assert_processed("‸", "a()\n" * 3, "a()")
    assert_processed("‸", "a()\n" * 2, "a()\na()")
    assert_processed("‸", "x()\n" + "a()\nb()\n" * 3, "x()\na()\nb()")
    assert_processed("a()\n‸", "a()\n" * 3, Reason.REPEATS_ITSELF)
    assert_processed("a()‸", "\n" + "a()\n" * 3, Reason.REPEATS_ITSELF)


def test_a_phrase_over_and_over() -> None:
    assert_processed("x = ‸", "self." * 12, Reason.REPEATS_ITSELF)
    assert_processed("# ‸", "It is " + "a very good " * 5, Reason.REPEATS_ITSELF)
    assert_processed("x = ‸", "1\ny = " + "None or " * 6 + "2\nz = 3", "1")


@pytest.mark.parametrize(
    "row", ["0, 0, 0, 0, 0, 0, 0, 0", "# " + "-" * 70, "0x00, 0x00, 0x00, 0x00, 0x00, 0x00"]
)
def test_rows_of_data_are_no_loop(row: str) -> None:
    assert_processed("‸", row, row)


# --- confidence ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minimum", "mean_logprob", "expected"),
    [
        (0.0, -900.0, None),
        (0.5, None, None),
        (0.5, -0.5, None),
        (0.5, -0.8, Reason.LOW_CONFIDENCE),
        (1.0, 0.0, None),
    ],
)
def test_confidence(minimum: float, mean_logprob: float | None, expected: Reason | None) -> None:
    suggestion = Suggestion("text", "model", mean_logprob, mean_logprob)
    assert confident(suggestion, minimum) == expected


# --- real code ----------------------------------------------------------------------------------

SAMPLES = Path(__file__).resolve().parents[1] / "data/sources"
STANDARD = [argparse.__file__, json.decoder.__file__, textwrap.__file__]
SOURCES = sorted(SAMPLES.iterdir()) + [Path(name) for name in STANDARD]


def first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip()


def holes(text: str, *, inside_line: bool) -> Iterator[tuple[str, str, str]]:
    """Random cursors, and what stood there: to the end of a line, or a part of one."""
    choose = random.Random(len(text))
    for _ in range(150):
        start = choose.randrange(len(text) - 1)
        line_end = text.index("\n", start)
        if inside_line:
            end = choose.randint(start, line_end)
        else:
            end = text.find("\n", min(line_end + choose.randrange(200), len(text) - 1))
        yield text[:start], text[start:end], text[end:]


def assert_first_line_kept(path: Path, before: str, hole: str, after: str) -> None:
    snapshot, position = place(before + MARK + after)
    language = languages.of("", path.name)
    context = contexts.cut(snapshot, position, 6000, language)
    outcome = process(hole, context)
    assert not isinstance(outcome, Reason)
    assert first_line(outcome) == first_line(hole)
    assert process(outcome, context) == outcome


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_true_continuation_at_the_end_of_a_file(path: Path) -> None:
    for before, hole, after in holes(path.read_text("utf-8"), inside_line=False):
        if first_line(hole):
            assert_first_line_kept(path, before, hole + after[:300], "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_true_lines_between_others(path: Path) -> None:
    for before, hole, after in holes(path.read_text("utf-8"), inside_line=False):
        line = before.rpartition("\n")[2] + first_line(hole)
        # Where the next line is the same one, nobody can tell a repetition from the truth.
        if first_line(hole) and line != first_line(after.lstrip("\n")):
            assert_first_line_kept(path, before, hole, after)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_true_part_of_a_line(path: Path) -> None:
    for before, hole, after in holes(path.read_text("utf-8"), inside_line=True):
        if hole.strip() and not ends_as_it_goes_on(hole, after):
            assert_first_line_kept(path, before, hole, after)


def ends_as_it_goes_on(hole: str, after: str) -> bool:
    """ "tre" before "ee": a repetition looks the same."""
    quote = after[:1] in tuple("\"'`") and after[0] in hole
    return quote or any(after.startswith(hole[-n:]) for n in range(1, len(hole) + 1))


# --- any text at all ----------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *"()[]{}\"',;:.\n\n\n",
        "    ",
        "\t",
        " ",
        "a",
        "foo",
        "return",
        "if x",
        "else:",
        "\r\n",
        "\ufffd",
        "}\n",
        "</p>",
        "end",
        "#",
        "é",
        "\0",
        "x = 1\n",
        "self.",
    ]
)
CODE = st.lists(PIECES, max_size=25).map("".join)


@settings(max_examples=400, deadline=None)
@given(CODE, CODE, CODE, st.sampled_from(["python", "java", "html", "shellscript", ""]))
def test_any_text_ends_and_is_stable(before: str, after: str, raw: str, language_id: str) -> None:
    if before.endswith("\r") and after.startswith("\n"):
        before += " "
    context = context_of(before + MARK + after, language_id)
    outcome = process(raw, context)
    if not isinstance(outcome, Reason):
        assert outcome.strip()
        assert process(outcome, context) == outcome
        assert "\0" not in outcome
        assert "\ufffd" not in outcome
