"""One action from plan to outcome: ask the model what the plan asks, hand it the answers.

Waits for a model that is still being loaded, asks none for what it can't do, and stops listening
once an answer is complete. Knows no documents and no LSP types. Called by the handlers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from codegeex_lsp.actions.plan import Outcome, Plan, Question, Refusal
from codegeex_lsp.runtime.client import Phase, RuntimeClient, Unanswered
from codegeex_lsp.runtime.reasons import sentence
from model_runtime.wire.protocol import Chunk, Generate, Priority, Result, Snippet, Task

# Weights of 13 billion parameters take minutes to read from a slow disk.
LOADING_PATIENCE_S = 600.0
# Code runs at 3 to 5 characters a token; a translation may be twice as long as its source. The
# example and the headers of a prompt take up to 300 tokens.
CHARS_PER_TOKEN = 3
FRAME_TOKENS = 300
# Prompt, code and answer, which may be as long again: the code gets a third of what is left.
CODE_SHARE = 3
LEAST_CODE_CHARS = 200
VARIED_ANSWERS = 3
VARIED_TEMPERATURE = 0.8
VARIED_TOP_P = 0.95

_VERBS = {
    Task.COMPLETE: "complete code",
    Task.GENERATE: "generate code from comments",
    Task.TRANSLATE: "translate code",
    Task.EXPLAIN: "explain code",
    Task.DOCSTRING: "write docstrings",
    Task.SUMMARISE: "summarise code",
    Task.TEMPLATE: "continue templates",
}
TAKING = 'run "codegeex-lsp models pull" and "codegeex-lsp models use" with one of these names'
ADVICE = (
    'see "codegeex-lsp models list" for one that can, and take it with "codegeex-lsp models use"'
)


@dataclass(frozen=True, slots=True)
class Told:
    """How far an action is. `text` is what the present part's answer has grown by."""

    part: int
    parts: int
    text: str


class Performer:
    """Performs plans by one runtime."""

    def __init__(self, runtime: RuntimeClient) -> None:
        self._runtime = runtime

    async def ready_for(self, task: Task) -> None:
        """Wait for the model. Raises Refusal when there is none that can do `task`."""
        state = await self._runtime.ready(LOADING_PATIENCE_S)
        if state.phase is not Phase.READY:
            raise Refusal(state.message or "The model is still being loaded; try again.")
        if (refusal := self.refusal(task)) is not None:
            raise Refusal(refusal)

    def refusal(self, task: Task) -> str | None:
        """Why the model can't be asked for `task`; None when it can, or nobody knows yet."""
        welcome = self._runtime.welcome
        if welcome is None or task in welcome.tasks:
            return None
        names = ", ".join(welcome.others.get(task, ()))
        advice = f"{names} can: {TAKING}" if names else ADVICE
        return f"The model {welcome.model} can't {_VERBS[task]}; {advice}."

    @property
    def limit(self) -> int:
        """How many characters of code the model can take at once."""
        welcome = self._runtime.welcome
        tokens = welcome.context_tokens if welcome else 0
        return max(LEAST_CODE_CHARS, (tokens - FRAME_TOKENS) * CHARS_PER_TOKEN // CODE_SHARE)

    async def perform(
        self,
        plan: Plan,
        language: str,
        path: str,
        tell: Callable[[Told], None],
        snippets: tuple[Snippet, ...] = (),
    ) -> Outcome:
        """Drive `plan` to its end. Raises Refusal; cancelling it cancels what the model does."""
        try:
            question = next(plan)
            while True:
                question = plan.send(await self._answers(question, language, path, tell, snippets))
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        finally:
            plan.close()

    async def _answers(
        self,
        question: Question,
        language: str,
        path: str,
        tell: Callable[[Told], None],
        snippets: tuple[Snippet, ...],
    ) -> tuple[str, ...]:
        heard: list[str] = []
        enough = asyncio.Event()

        def hear(chunk: Chunk) -> None:
            if chunk.candidate:
                return
            heard.append(chunk.text)
            tell(Told(question.part, question.parts, chunk.text))
            if question.enough is not None and question.enough("".join(heard)):
                enough.set()

        request = self._request(question, language, path, snippets)
        try:
            result = await _or_enough(self._runtime.generate(request, hear), enough)
        except Unanswered as silence:
            raise Refusal(silence.detail or sentence(silence.reason)) from None
        if result is None:
            return ("".join(heard),)
        return tuple(candidate.text for candidate in result.candidates)

    def _request(
        self, question: Question, language: str, path: str, snippets: tuple[Snippet, ...]
    ) -> Generate:
        code = question.code or question.prefix
        return Generate(
            id=self._runtime.next_id(),
            prefix=question.prefix,
            suffix=question.suffix,
            snippets=snippets,
            task=question.task,
            code=question.code,
            instruction=question.instruction,
            language=language,
            target_language=question.target,
            path=path,
            priority=Priority.BATCH,
            max_new_tokens=self._new_tokens(question, len(code)),
            candidates=VARIED_ANSWERS if question.varied else 1,
            best_first=not question.varied,
            temperature=VARIED_TEMPERATURE if question.varied else 0.0,
            top_p=VARIED_TOP_P if question.varied else 1.0,
            stream=True,
        )

    def _new_tokens(self, question: Question, characters: int) -> int:
        """At most half of the context, which the runtime keeps for the prompt."""
        welcome = self._runtime.welcome
        half = (welcome.context_tokens if welcome else 2048) // 2
        if question.task in (Task.TRANSLATE, Task.EXPLAIN):
            return max(1, min(half, characters + FRAME_TOKENS))
        return max(1, half)


async def _or_enough(asking: Coroutine[Any, Any, Result], enough: asyncio.Event) -> Result | None:
    """The result, or None when there was enough before it came."""
    work = asyncio.ensure_future(asking)
    waiting = asyncio.ensure_future(enough.wait())
    try:
        await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        work.cancel()
        waiting.cancel()
