"""The words for people: one sentence for each reason why no suggestion came.

Says what happened and what to do about it. Called by codegeex/why, the status and the command line.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_runtime.wire.protocol import Reason

SENTENCES: dict[Reason, str] = {
    Reason.LOADING: "The model is still being loaded; suggestions come as soon as it is ready.",
    Reason.LOAD_FAILED: "The model could not be loaded; run `codegeex-lsp doctor` to see why.",
    Reason.BUSY: "Too many requests are waiting for the model; ask again in a moment.",
    Reason.SUPERSEDED: "A newer request took the place of this one; nothing needs to be done.",
    Reason.CANCELLED: "The editor withdrew the request; keep typing or ask again.",
    Reason.DEADLINE: "The model took too long here; ask for fewer lines or choose a smaller model.",
    Reason.NOTHING_GENERATED: (
        "The model had nothing to add at this place; write a little more and ask again."
    ),
    Reason.UNSUPPORTED_TASK: (
        "The chosen model can't do this; choose another model in your configuration file."
    ),
    Reason.OUT_OF_MEMORY: (
        "The memory was not enough for this request; close other programs or choose a smaller "
        "model."
    ),
    Reason.ENGINE_ERROR: "The model failed on this request; `codegeex-lsp doctor` shows its log.",
    Reason.BAD_REQUEST: (
        "The request was not understood, probably because two versions of CodeGeeX are running; "
        "close all editors and start again."
    ),
    Reason.REFUSED: (
        "The model's process refused the connection; run `codegeex-lsp doctor` to see why."
    ),
    Reason.STARTING: "The model's process is being started; suggestions come in a moment.",
    Reason.RUNTIME_LOST: (
        "The model's process ended unexpectedly and is being started again; ask again in a moment."
    ),
    Reason.DISABLED: (
        "Suggestions are turned off; turn on `codegeex.enabled` and "
        "`codegeex.completion.automatic`, or ask for one yourself if only the latter is off."
    ),
    Reason.LANGUAGE_DISABLED: (
        "Suggestions are turned off for this language; remove it from "
        "`codegeex.completion.disabledLanguages`."
    ),
    Reason.FILE_TOO_LARGE: "The file is larger than `codegeex.completion.maxFileSize`; raise it.",
    Reason.LEFT_OUT: (
        "This file is left out of all that CodeGeeX learns from, so nothing is suggested by "
        "itself; ask for a suggestion yourself."
    ),
    Reason.IN_SECRET: (
        "The cursor is in what looks like a secret, which no model gets to see; go on behind it."
    ),
    Reason.NOT_OPEN: "The editor has not opened this file here; close it and open it again.",
    Reason.BINARY: "This does not look like text, so no suggestion is made; open a text file.",
    Reason.MIDDLE_OF_WORD: (
        "There is code right after the cursor; move to the end of the line, or ask for a "
        "suggestion yourself."
    ),
    Reason.DOCUMENT_MOVED: (
        "The file changed while the model was working; the next request can use what it found."
    ),
    Reason.BLANK: "There was only blank space to show or to go on; write a little more.",
    Reason.REPEATS_SUFFIX: (
        "The model only repeated what already follows the cursor; write a little more to lead it "
        "elsewhere."
    ),
    Reason.REPEATS_ITSELF: (
        "The model kept repeating the same text, so it was not shown; write a little more to lead "
        "it elsewhere."
    ),
    Reason.LOW_CONFIDENCE: (
        "The model was not sure enough; lower `codegeex.completion.minimumConfidence` to see such "
        "suggestions."
    ),
}


@dataclass(frozen=True, slots=True)
class Explained:
    """A reason with what is particular to this time, for codegeex/why.

    `detail` is one more sentence or empty, such as the message of a failed load.
    """

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{sentence(self.reason)} {self.detail}".rstrip()


def sentence(reason: Reason) -> str:
    return SENTENCES[reason]
