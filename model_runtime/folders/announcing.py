"""What a client is told of a model before it is loaded, from its description alone; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_runtime.folders import hub_folder
from model_runtime.options import DEFAULT_MODEL, EMBEDDED_FOLDER
from model_runtime.prompts.rendering import PromptFormat
from model_runtime.reading import model_json
from model_runtime.wire.protocol import Task

CHARS_PER_TOKEN = 4
USUAL_CONTEXT_CHARS = 8192
# What the memory searches of a file around the cursor, for a model that it has a say beside.
SEARCHED_CHARS = 40_000


@dataclass(frozen=True, slots=True)
class Announcement:
    """What protocol.Welcome tells of a model."""

    context_chars: int = USUAL_CONTEXT_CHARS
    minimum_confidence: float = 0.0
    tasks: tuple[str, ...] = (Task.COMPLETE,)
    context_tokens: int = USUAL_CONTEXT_CHARS // CHARS_PER_TOKEN
    converses: bool = False


def announce(model: str) -> Announcement:
    """Read from the model's description alone: a client is welcomed before the model is loaded.

    As much text is worth sending as fits the context, or more for the memory to search.
    """
    try:
        if (found := hub_folder.find(model)) is not None:
            told = found.context * CHARS_PER_TOKEN
            family = found.family
            return Announcement(
                told,
                tasks=family.tasks,
                context_tokens=found.context,
                converses=family.converses,
            )
        folder = EMBEDDED_FOLDER if model == DEFAULT_MODEL else Path(model).expanduser()
        description = model_json(folder / "config.json")
        tokens = int(description["network"]["max_position_embeddings"])
        context = tokens * CHARS_PER_TOKEN
        if "trust" in description:
            context = max(context, SEARCHED_CHARS)
        prompts = PromptFormat(description["prompt_format"])
        return Announcement(
            context,
            float(description.get("minimum_confidence", 0.0)),
            prompts.tasks,
            tokens,
            prompts.converses,
        )
    except Exception:  # whatever is wrong with it, loading will say so
        return Announcement()
