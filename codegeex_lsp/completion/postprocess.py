"""From what a model wrote to what the editor may insert: small filters, in one order.

Each filter takes text and context and returns the text, or a beginning of it, or the reason why
nothing is left. None touches existing text. Line ends are "\\n" inside; process() gives the text
the document's own. Called by the completer for every candidate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from codegeex_lsp.completion.brackets import CLOSERS, QUOTES, unmatched, without_literals
from codegeex_lsp.completion.context import Context
from codegeex_lsp.completion.suggestion import Suggestion
from codegeex_lsp.text.languages import BlockStyle
from codegeex_lsp.text.noise import without_noise
from model_runtime.wire.protocol import Reason

TAB_WIDTH = 4
# A shorter overlap with the rest of the line may be chance.
OVERLAP_CHARACTERS = 4
LOOP_TURNS = 3
LONGEST_LOOP = 4
PHRASE_REACH = 2000

_CLOSING_LINE = re.compile(
    r"""\s*(?: [)\]}]+ (?:\([^()]*\))? [;,:)]*
          | (?:end|fi|done|esac)\b [\w\ ;,.()]*
          | </[\w.:-]+>
          | \\end\{\w+\*?\}
          | -->
        )\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_TRAILING = " \t;:,{" + "".join(CLOSERS) + "".join(QUOTES)
# Five turns and a word of three letters in it: rows of zeros or dashes are common in real code.
_PHRASE_LOOP = re.compile(r"(.{3,60}?)\1{4,}")
_WORD = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{3}")
# A line that ends so goes on in the code after it: "await ", "self.", "not (".
_UNFINISHED = re.compile(r"[\s.(\[=!&|+*/<@#-]$")


def process(text: str, context: Context) -> str | Reason:
    """The text to insert at the cursor, or why there is none.

    The filters run until nothing changes, so that processed text comes out of it as it went in.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    while True:
        outcome = _once(text, context)
        if isinstance(outcome, Reason):
            return outcome
        if outcome == text:
            return text.replace("\n", context.newline)
        text = outcome


def confident(suggestion: Suggestion, minimum: float) -> Reason | None:
    """LOW_CONFIDENCE when the model gave its tokens less than this probability on average.

    The average is geometric, e to the mean log-probability. A suggestion without one passes.
    """
    if suggestion.mean_logprob is None or math.exp(suggestion.mean_logprob) >= minimum:
        return None
    return Reason.LOW_CONFIDENCE


def drop_noise(text: str, context: Context) -> str | Reason:
    """End at the first broken character; leave out the invisible ones."""
    return without_noise(text)


def one_line_before_code(text: str, context: Context) -> str | Reason:
    """More than a line fits before existing code only where that code begins its line."""
    if context.mid_line and not context.at_line_start:
        return text.partition("\n")[0]
    return text


def end_at_surplus_closer(text: str, context: Context) -> str | Reason:
    """Leave out closers that already stand after the cursor: "x):" before ")" is "x"."""
    if (quote := context.line_after[:1]) in QUOTES:
        return _or_repeated(_until_closing_quote(text, context, quote))
    if context.line_after.lstrip()[:1] not in CLOSERS:
        return text
    surplus, wanted = unmatched(text)
    missing = len(unmatched(context.line_before)[1]) - len(unmatched(context.line_after)[0])
    spare = max(0, missing)
    if len(surplus) - len(wanted) <= spare:
        return text
    return _or_repeated(text[: surplus[spare]])


def end_where_rest_begins(text: str, context: Context) -> str | Reason:
    """Leave out a tail that is the beginning of the rest of the line."""
    rest = context.line_after.rstrip()
    for length in range(min(len(rest), len(text)), 0, -1):
        overlap = rest[:length]
        if text.endswith(overlap) and _is_overlap(text, overlap, rest):
            return _or_repeated(text[:-length])
    return text


def end_with_block(text: str, context: Context) -> str | Reason:
    """Stop where the cursor's block ends; keep the line that closes it if the document lacks it."""
    lines = text.split("\n")
    closed = _closed_by_brace(text, context)
    if closed == 0:
        return lines[0]
    least = _least_width(lines, context)
    for index, line in enumerate(lines[1:], 1):
        if index == closed or (_width(line) < least and _counts(line, context)):
            return "\n".join(lines[: index + _closes_open_block(line, context)])
    return text


def end_where_next_lines_begin(text: str, context: Context) -> str | Reason:
    """Stop before lines that already follow the cursor."""
    below = context.lines_below
    if context.at_line_start and context.mid_line:
        below = (context.line_before + context.line_after, *below)
    lines = text.split("\n")
    content = _content(lines, context)
    for place, (index, line) in enumerate(content):
        run = _run([line for _, line in content[place:]], below)
        to_the_end = place + run == len(content)
        # One equal line in the middle proves nothing where it is a mere closer or the first line.
        if run and (to_the_end or run > 1 or (place and re.search(r"\w", line))):
            return _or_repeated("\n".join(lines[:index]))
    return text


def end_before_loop(text: str, context: Context) -> str | Reason:
    """Stop where lines or a phrase start to turn in circles, keeping the first turn of lines."""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if _has_phrase_loop(line):
            return "\n".join(lines[:index]) if index else Reason.REPEATS_ITSELF
    content = _content(lines, context)
    start, period = _line_loop([line for _, line in content])
    if not period:
        return text
    turn = [line for _, line in content[start : start + period]]
    if start == 0 and turn == _content_above(context, period, lines[0]):
        return Reason.REPEATS_ITSELF
    return "\n".join(lines[: content[start + period - 1][0] + 1])


def finish(text: str, context: Context) -> str | Reason:
    """No blanks at the end, except where existing code follows on the line.

    Whole lines before the first code of a line are followed by a newline and its indentation.
    """
    bare = text.rstrip()
    if not bare or not context.mid_line:
        return bare
    if context.at_line_start and not ("\n" not in text and _UNFINISHED.search(text)):
        return f"{bare}\n{context.line_before}"
    code_follows = context.line_after[0].isalnum() or context.line_after[0] == "_"
    return f"{bare} " if code_follows and text[-1].isspace() else bare


FILTERS: tuple[Callable[[str, Context], str | Reason], ...] = (
    drop_noise,
    one_line_before_code,
    end_at_surplus_closer,
    end_where_rest_begins,
    end_with_block,
    end_where_next_lines_begin,
    end_before_loop,
    finish,
)


def _once(text: str, context: Context) -> str | Reason:
    for one in FILTERS:
        outcome = one(text, context)
        if isinstance(outcome, Reason):
            return outcome
        if not outcome or outcome.isspace():
            return Reason.BLANK
        text = outcome
    return text


def _or_repeated(text: str) -> str | Reason:
    return text if text.strip() else Reason.REPEATS_SUFFIX


# --- the rest of the line -----------------------------------------------------------------------


def _until_closing_quote(text: str, context: Context, quote: str) -> str:
    """Text for inside a string whose end already stands after the cursor."""
    is_open = without_literals(context.line_before).count(quote) % 2 == 1
    surplus = text.count(quote) % 2 == 1
    return text.partition(quote)[0] if is_open and surplus else text


def _is_overlap(text: str, overlap: str, rest: str) -> bool:
    if not re.search(r"\w", overlap):
        # Closers are counted in end_at_surplus_closer; here a mere "," or ";" twice is meant.
        return overlap == rest and not re.search(r"[()\[\]{}\"'`]", overlap.replace(" {", ""))
    inside_word = re.search(r"\w\w", text[-len(overlap) - 1 :][:2]) and len(text) > len(overlap)
    return not inside_word and len(overlap) >= min(OVERLAP_CHARACTERS, len(rest.rstrip(_TRAILING)))


# --- blocks -------------------------------------------------------------------------------------


def _width(line: str) -> int:
    """Columns of indentation."""
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(TAB_WIDTH))


def _least_width(lines: list[str], context: Context) -> int:
    """The indentation a line needs to belong to the cursor's block.

    A line with code before the cursor opens the block if what follows is deeper than it; then its
    own indentation ends the block. Otherwise the first line tells.
    """
    first = context.line_before + lines[0]
    if context.at_line_start:
        return _width(first) if lines[0].strip() else _width(context.line_before)
    own = _width(context.indentation)
    body = next((line for line in lines[1:] if line.strip()), "")
    return own + 1 if _width(body) > own else own


def _counts(line: str, context: Context) -> bool:
    """Blank lines and the preprocessor's stand at the left margin wherever they belong."""
    return bool(line.strip()) and not (_has_braces(context) and line.startswith("#"))


def _has_braces(context: Context) -> bool:
    return context.language is None or context.language.block_style is BlockStyle.BRACES


def _closed_by_brace(text: str, context: Context) -> int | None:
    """The line of `text` whose "}" ends the cursor's block. On line 0 it may open another one."""
    if not _has_braces(context):
        return None
    surplus, _ = unmatched(text)
    closing = [text.count("\n", 0, index) for index in surplus if text[index] == "}"]
    if closing and closing[0] == 0:
        opens_again = unmatched(text.partition("\n")[0])[1]
        return 0 if not opens_again else next((line for line in closing if line), None)
    return closing[0] if closing else None


def _closes_open_block(line: str, context: Context) -> bool:
    """Whether `line` is a closer that the document doesn't have yet."""
    if not _CLOSING_LINE.fullmatch(line):
        return False
    following = context.next_line
    if following is None or _width(following) < _width(line):
        return True
    if _width(following) > _width(line):
        return False
    return following.strip()[0] != line.strip()[0]


# --- repeated lines -----------------------------------------------------------------------------


def _content(lines: list[str], context: Context) -> list[tuple[int, str]]:
    """The lines with something in them and their indices, each as it will stand in the document."""
    last = context.line_after if len(lines) == 1 and not context.at_line_start else ""
    whole = [context.line_before + lines[0] + last, *lines[1:]]
    return [(i, line.rstrip()) for i, line in enumerate(whole) if lines[i].strip()]


def _run(lines: list[str], below: tuple[str, ...]) -> int:
    """How many of the first lines are those of `below`."""
    same = (_looks_like(a, b) for a, b in zip(lines, below, strict=False))
    return next(
        (count for count, equal in enumerate(same) if not equal), min(len(lines), len(below))
    )


def _looks_like(line: str, other: str) -> bool:
    """Equal but for blanks inside, the kind of quotes and the punctuation at the end.

    An edit distance would be laxer, but rows of a table or of arguments differ by a few characters
    too, and dropping a wanted next row is worse than showing a line twice.
    """
    return _width(line) == _width(other) and _essence(line) == _essence(other)


def _essence(line: str) -> str:
    return re.sub(r"\s+", "", line).replace("'", '"').rstrip(",;")


def _line_loop(lines: list[str]) -> tuple[int, int]:
    """Start and length of the first group of lines that comes LOOP_TURNS times, else (0, 0)."""
    for start in range(len(lines)):
        for period in range(1, LONGEST_LOOP + 1):
            turn = lines[start : start + period]
            if lines[start : start + period * LOOP_TURNS] == turn * LOOP_TURNS:
                return start, period
    return 0, 0


def _content_above(context: Context, count: int, first: str) -> list[str]:
    """The last lines with something in them before the text, whose first line is `first`."""
    above = context.prefix.split("\n")
    if first.strip():
        above.pop()
    return [line.rstrip() for line in above if line.strip()][-count:]


def _has_phrase_loop(line: str) -> bool:
    return any(_WORD.search(loop[1]) for loop in _PHRASE_LOOP.finditer(line[:PHRASE_REACH]))
