"""What a request comes to, made of its fields: the prompt to run, and the search behind it.

It judges the fields and runs nothing; generation.py carries the brief out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from model_runtime.decoding.beam import Beams
from model_runtime.decoding.continuation import Continuation
from model_runtime.decoding.drafting import Drafts
from model_runtime.decoding.mixing import Mixer
from model_runtime.decoding.sampled import Sampled
from model_runtime.decoding.sampling import Sampling
from model_runtime.decoding.search import Search
from model_runtime.decoding.stopping import StopRules
from model_runtime.engine.pace import Pace
from model_runtime.errors import BadPromptError, UnservedTaskError
from model_runtime.folders.loaded import LoadedModel
from model_runtime.hub import cache as hub_cache
from model_runtime.networks.kv_cache import KVCache
from model_runtime.prompts.rendering import Rendered, render
from model_runtime.recall.recall import Recall
from model_runtime.wire.protocol import Generate, Task

# Gets more text of the candidate with this number.
Show = Callable[[int, str], None]
# Makes an empty text, which shows to this what it grows by.
Start = Callable[[Callable[[str], None]], Continuation]


@dataclass(frozen=True, slots=True)
class Brief:
    """`end` is the position that the longest candidate may reach. The first `source` tokens of the
    prompt are for an encoder, `drafts` for a single greedy candidate."""

    prompt: list[int]
    search: Search
    end: int
    source: int = 0
    drafts: Drafts | None = None


def brief_for(
    request: Generate,
    model: LoadedModel,
    cache: KVCache,
    show: Show,
    recall: Callable[[], Recall],
    pace: Pace,
) -> Brief:
    """Raises UnservedTaskError, and BadPromptError for fields that make no sense, and for more than
    the cache has."""
    sampling = _checked(request, model, cache)
    rendered = _rendered(request, model, cache.context, pace)
    source = len(rendered.ids) if model.encoder else 0
    prompt = rendered.ids + ([model.encoder.start] if model.encoder else [])
    longest = min(request.max_new_tokens, cache.context - len(prompt))
    start = _start(request, model, rendered, longest)
    drafts = None
    search: Search
    if request.beams > 1:
        root, usable = start(lambda text: None), model.tokenizer.vocab_size
        search = Beams(root, request.beams, request.candidates, usable, longest)
    else:
        rows = min(request.candidates, max(1, cache.branches))
        growing = [start(partial(show, row)) for row in range(rows)]
        memory = recall() if _recalls(request, model) else None
        search = _sampled(request, model, growing, sampling, memory)
        if memory is not None and sampling.greedy and rows == 1:
            drafts = Drafts(memory, one_line=request.max_lines == 1)
    return Brief(prompt, search, len(prompt) + longest, source, drafts)


def _checked(request: Generate, model: LoadedModel, cache: KVCache) -> Sampling:
    if request.task not in model.format.tasks:
        names = ", ".join(hub_cache.able(request.task))
        others = f"; {names} can" if names else ""
        why = f" {model.format.spoiled}" if model.format.spoiled else ""
        raise UnservedTaskError(f'The model {model.name} can\'t "{request.task}"{others}.{why}')
    if min(request.max_new_tokens, request.candidates) < 1 or request.max_lines < 0:
        raise BadPromptError(
            "max_new_tokens and candidates must be 1 or more, and max_lines 0 or more."
        )
    sampling = Sampling(request.temperature, request.top_k, request.top_p)
    if request.beams < 0 or (request.beams > 1 and not sampling.greedy):
        raise BadPromptError("beams must be 0 or more, and more than 1 needs temperature 0.")
    if 1 < request.beams > cache.branches:
        raise BadPromptError(
            f"{request.beams} beams were asked for; at most {cache.branches} are possible."
        )
    return sampling


def _rendered(request: Generate, model: LoadedModel, context: int, pace: Pace) -> Rendered:
    """It leaves room for the new tokens, up to half of the context; a source has half of it. A
    completion's is short enough to be read in time."""
    budget = max(context - request.max_new_tokens, context // 2)
    if request.task == Task.COMPLETE and not request.independent:
        budget = min(budget, pace.tokens)
    if model.encoder is None:
        return render(model.format, model.tokenizer, request, budget)
    budget = min(model.encoder.longest, context // 2) - 1
    rendered = render(model.format, model.tokenizer, request, budget)
    return replace(rendered, ids=[*rendered.ids, model.encoder.end])


def _start(request: Generate, model: LoadedModel, prompt: Rendered, longest: int) -> Start:
    rules = StopRules(longest, request.max_lines, (*request.stop, *prompt.stop, *model.stops))
    ends = _ends(model, prompt)
    return lambda show: Continuation(model.tokenizer.stream(), ends, rules, show, prompt.lead)


def _sampled(
    request: Generate,
    model: LoadedModel,
    growing: list[Continuation],
    sampling: Sampling,
    memory: Recall | None,
) -> Sampled:
    """With the memory's say, for completions of a model that has weights for it."""
    mixer = None
    if model.trust is not None and memory is not None:
        end = model.tokenizer.end_of_text if request.max_lines == 1 else None
        mixer = Mixer(memory, model.trust, end)
    return Sampled(
        growing,
        sampling,
        model.tokenizer.vocab_size,
        seed=request.seed,
        best_first=request.best_first,
        mixer=mixer,
    )


def _recalls(request: Generate, model: LoadedModel) -> bool:
    """Whether the user's own text may have a say."""
    return request.task == Task.COMPLETE and not request.independent and model.encoder is None


def _ends(model: LoadedModel, prompt: Rendered) -> set[int]:
    """Any control token says that the model is through with the text, whatever its name. Only what
    it says in a conversation may hold some, which its tokenizer doesn't call special."""
    marks: Iterable[int] = model.tokenizer.marks
    if prompt.whole:
        marks = map(model.tokenizer.control, model.format.controls)
    return {model.tokenizer.end_of_text, *marks, *model.ends} - model.tokenizer.silent
