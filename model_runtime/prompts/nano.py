"""codegeex-nano: tag line, then the text after the cursor, then the text before it.

It was trained to fill in and nothing else; a template's text is continued like any other.
"""

from __future__ import annotations

from model_runtime.prompts.family import Family, Prompt
from model_runtime.prompts.pieces import Control, Head, Tail, Text
from model_runtime.prompts.tags import tag_line
from model_runtime.wire.protocol import Generate, Task

FIM_PREFIX = "<|fim_prefix|>"
FIM_SUFFIX = "<|fim_suffix|>"


def complete(request: Generate) -> Prompt:
    return Prompt(
        (
            Text(tag_line(request.language)),
            Control(FIM_SUFFIX),
            Head(request.suffix),
            Control(FIM_PREFIX),
            Tail(request.prefix),
        )
    )


NANO = Family({Task.COMPLETE: complete, Task.TEMPLATE: complete}, controls=(FIM_PREFIX, FIM_SUFFIX))
