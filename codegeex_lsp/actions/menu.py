"""Which actions a place in a document has, found without asking a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codegeex_lsp.actions import comments, generate
from codegeex_lsp.actions.passage import is_definition, of_selection, opening
from codegeex_lsp.text import languages
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.text.languages import Language
from model_runtime.wire.protocol import Task

MOST = 20
# In a longer selection nobody looks for comments without code.
SEARCHED_LINES = 1000
TITLE = "CodeGeeX: "
REWRITE = "refactor.rewrite.codegeex"
SOURCE = "source.codegeex"


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry of the menu; `arguments` go to the command beside document and range."""

    title: str
    kind: str
    command: str
    task: Task
    arguments: Mapping[str, str] = field(default_factory=dict)


def offers(
    snapshot: Snapshot,
    start: Position,
    end: Position,
    language: Language | None,
    targets: Sequence[str],
    templates: Sequence[str],
) -> list[Offer]:
    """At most MOST, those for the place first, the user's templates last."""
    passage = of_selection(snapshot, start, end)
    if passage.is_blank:
        return []
    found: list[Offer] = []
    if language is not None:
        if _has_comment(snapshot, start, end, language):
            found.append(_offer("Generate code from the comment", Task.GENERATE))
        if is_definition(snapshot.lines[opening(snapshot, start.line)]):
            found.append(_offer("Write a docstring", Task.DOCSTRING))
        found.append(_offer("Explain in comments", Task.EXPLAIN, style="comments"))
        found.append(_offer("Summarise in a comment", Task.SUMMARISE))
        document = _offer("Explain in a document", Task.EXPLAIN, kind=SOURCE, style="document")
        found.append(document)
        for name in targets:
            if (target := languages.named(name)) is not None and target is not language:
                title = f"Translate to {target.name}"
                found.append(_offer(title, Task.TRANSLATE, targetLanguage=target.name))
    for name in templates:
        found.append(_offer(f'Continue with template "{name}"', Task.TEMPLATE, name=name))
    return found[:MOST]


def wanted(kind: str, only: Sequence[str] | None) -> bool:
    """Whether a client that asks for the kinds `only` wants `kind`."""
    return only is None or any(kind == one or kind.startswith(f"{one}.") for one in only)


def _offer(title: str, task: Task, kind: str = REWRITE, **arguments: str) -> Offer:
    return Offer(TITLE + title, f"{kind}.{task}", f"codegeex.{task}", task, arguments)


def _has_comment(snapshot: Snapshot, start: Position, end: Position, language: Language) -> bool:
    lines = snapshot.lines
    last = min(end.line, len(lines) - 1)
    if last - start.line > SEARCHED_LINES:
        return False
    if last > start.line:
        return bool(generate.steps(lines, start.line, last, language))
    return comments.at(lines, start.line, language) is not None
