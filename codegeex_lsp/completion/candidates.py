"""Several different completions for one place, for a panel that shows them side by side.

Asks in rounds, the first with the likeliest completion in it, until there are as many different
ones as wanted or the model has no more to say. Knows no LSP types.
"""

from __future__ import annotations

from collections.abc import Callable

from codegeex_lsp.completion import postprocess
from codegeex_lsp.completion.context import Context
from codegeex_lsp.completion.suggestion import Suggestion
from codegeex_lsp.config.settings import CompletionSettings
from codegeex_lsp.runtime.client import RuntimeClient, Unanswered
from model_runtime.wire.protocol import Generate, Priority, Reason, Result

MOST = 20
# A round is what a model decodes at once; so many may bring nothing new before it is the end.
ROUND = 3
IDLE_ROUNDS = 2
# A panel has room for a whole block.
NEW_TOKENS = 256
TEMPERATURE = 0.8


async def gather(
    runtime: RuntimeClient,
    context: Context,
    path: str,
    wanted: int,
    settings: CompletionSettings,
    show: Callable[[list[Suggestion]], None],
) -> list[Suggestion]:
    """At most `wanted` suggestions, the likeliest first; `show` gets the new ones of each round.

    Raises Unanswered when the model can't be asked at all.
    """
    found: dict[str, Suggestion] = {}
    seed = idle = 0
    while len(found) < wanted and idle < IDLE_ROUNDS:
        request = _request(runtime.next_id(), context, path, seed, settings)
        try:
            result = await runtime.generate(request)
        except Unanswered as silence:
            if not found and silence.reason is not Reason.NOTHING_GENERATED:
                raise
            break
        fresh = [one for one in _suggestions(result, context) if one.text not in found]
        fresh = fresh[: wanted - len(found)]
        found |= {one.text: one for one in fresh}
        idle = 0 if fresh else idle + 1
        seed += 1
        if fresh:
            show(fresh)
    return sorted(found.values(), key=_likelihood, reverse=True)


def _request(
    number: int, context: Context, path: str, seed: int, settings: CompletionSettings
) -> Generate:
    return Generate(
        id=number,
        prefix=context.prefix,
        suffix=context.suffix,
        language=context.language.name if context.language else "",
        path=path,
        priority=Priority.BATCH,
        max_new_tokens=NEW_TOKENS,
        candidates=ROUND,
        best_first=seed == 0,
        temperature=settings.temperature or TEMPERATURE,
        top_p=settings.top_p,
        seed=seed,
    )


def _suggestions(result: Result, context: Context) -> list[Suggestion]:
    """The candidates after the filters, without duplicates."""
    made: dict[str, Suggestion] = {}
    for one in result.candidates:
        text = postprocess.process(one.text, context)
        if not isinstance(text, Reason):
            suggestion = Suggestion(text, one.source, one.mean_logprob, one.min_logprob)
            made.setdefault(text, suggestion)
    return list(made.values())


def _likelihood(suggestion: Suggestion) -> float:
    """A copy of the file's own text has no probability; it is certain to be code of this file."""
    return 0.0 if suggestion.mean_logprob is None else suggestion.mean_logprob
