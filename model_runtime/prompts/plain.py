"""Models that know one thing: CodeGen continues text.

It was trained on bare files: no tag line, an instruction is a comment.
"""

from __future__ import annotations

from model_runtime.prompts.family import Family, Prompt
from model_runtime.prompts.pieces import Tail, Text
from model_runtime.prompts.quoting import quoted
from model_runtime.prompts.tags import instructed
from model_runtime.wire.protocol import Generate, Task


def complete(request: Generate) -> Prompt:
    return _continued(request, request.prefix)


def generate(request: Generate) -> Prompt:
    return _continued(request, instructed(request.prefix, request.instruction, request.language))


def template(request: Generate) -> Prompt:
    return Prompt((Text(request.prefix),))


def _continued(request: Generate, text: str) -> Prompt:
    return Prompt((Tail(text, quoted(request.snippets, request.language)),))


CODEGEN = Family({Task.COMPLETE: complete, Task.GENERATE: generate, Task.TEMPLATE: template})
