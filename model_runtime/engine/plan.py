"""What a request asks for, made of its fields: its copy, its prompt and its search.

It judges the fields and runs nothing; generation.py carries the plan out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from model_runtime.decoding.beam import Beams
from model_runtime.decoding.continuation import Continuation
from model_runtime.decoding.drafting import Drafts
from model_runtime.decoding.mixing import Mixer
from model_runtime.decoding.sampled import Sampled
from model_runtime.decoding.sampling import Sampling
from model_runtime.decoding.search import Search
from model_runtime.decoding.stopping import Finish, StoppingText, StopRules
from model_runtime.errors import BadPromptError
from model_runtime.folders.loaded import LoadedModel
from model_runtime.networks.kv_cache import KVCache
from model_runtime.prompts.rendering import Rendered, render
from model_runtime.recall import copying
from model_runtime.recall.recall import Recall
from model_runtime.wire.protocol import Candidate, Generate, Task

# Gets more text of the candidate with this number.
Show = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """`end` is the position that the longest candidate may reach. Without a prompt the search is
    finished from the start. The first `source` tokens of the prompt are for an encoder, `drafts`
    for a single greedy candidate."""

    copied: list[Candidate]
    prompt: list[int]
    search: Search
    end: int
    source: int = 0
    drafts: Drafts | None = None


NOTHING = Plan([], [], Sampled([], Sampling(), 0), 0)


def make(
    request: Generate,
    model: LoadedModel,
    cache: KVCache,
    show: Show,
    recall: Callable[[], Recall],
) -> Plan:
    """Raises BadPromptError for fields that make no sense or ask for more than the cache has."""
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
    copied = _copies(request, show) if model.copies_first and _recalls(request) else []
    wanted = request.candidates - len(copied)
    if wanted < 1:
        return Plan(copied, [], NOTHING.search, 0)
    prompt = _prompt(request, model, cache.context)
    source = len(prompt.ids) if model.encoder else 0
    ids = prompt.ids + ([model.encoder.start] if model.encoder else [])
    longest = min(request.max_new_tokens, cache.context - len(ids))
    rules = StopRules(longest, request.max_lines, (*request.stop, *prompt.stop, *model.stops))

    def continuation(show: Callable[[str], None]) -> Continuation:
        return Continuation(model.tokenizer.stream(), _ends(model), rules, show, prompt.lead)

    usable = model.tokenizer.vocab_size
    recalls = _recalls(request) and request.beams <= 1 and model.encoder is None
    memory = recall() if recalls else None
    drafts = None
    search: Search
    if request.beams > 1:
        root = continuation(lambda text: None)
        search = Beams(root, request.beams, wanted, usable, longest)
    else:
        rows = min(wanted, max(1, cache.branches))
        growing = [continuation(_numbered(show, len(copied) + row)) for row in range(rows)]
        search = Sampled(
            growing,
            sampling,
            usable,
            seed=request.seed,
            best_first=request.best_first,
            mixer=_mixer(request, model, memory),
        )
        if memory is not None and sampling.greedy and rows == 1:
            drafts = Drafts(memory, one_line=request.max_lines == 1)
    return Plan(copied, ids, search, len(ids) + longest, source, drafts)


def _copies(request: Generate, show: Show) -> list[Candidate]:
    """The copy from the same file."""
    text = copying.predict(request.prefix, request.suffix)
    if text is None:
        return []
    stopping = StoppingText(StopRules(2, request.max_lines, request.stop))
    stopping.push(text)
    if stopping.finish is None:
        stopping.end(Finish.LINES)
    show(0, stopping.text)
    return [Candidate(stopping.text, "copy", str(stopping.finish), tokens=0)]


def _prompt(request: Generate, model: LoadedModel, context: int) -> Rendered:
    """It leaves room for the new tokens, up to half of the context; a source has half of it."""
    budget = max(context - request.max_new_tokens, context // 2)
    if model.encoder is None:
        return render(model.format, model.tokenizer, request, budget)
    budget = min(model.encoder.longest, context // 2) - 1
    rendered = render(model.format, model.tokenizer, request, budget)
    return replace(rendered, ids=[*rendered.ids, model.encoder.end])


def _recalls(request: Generate) -> bool:
    """Whether the user's own text may have a say."""
    return request.task == Task.COMPLETE and not request.independent


def _mixer(request: Generate, model: LoadedModel, memory: Recall | None) -> Mixer | None:
    """For completions of a model that has weights for it."""
    if model.trust is None or memory is None:
        return None
    end = model.tokenizer.end_of_text if request.max_lines == 1 else None
    return Mixer(memory, model.trust, end)


def _ends(model: LoadedModel) -> set[int]:
    """A prompt's control token too can only mean that the model is through with the text, but for
    those that its answers hold."""
    controls = map(model.tokenizer.control, model.format.controls)
    return {model.tokenizer.end_of_text, *controls, *model.ends} - model.tokenizer.silent


def _numbered(show: Show, number: int) -> Callable[[str], None]:
    return lambda text: show(number, text)
