"""A process of its own that renders a chat template, within limits of time, memory and length.

A template is a program by a stranger. transformers renders it in its sandbox, which keeps it from
files and from Python's inner parts, but not from running for hours or filling the memory.
template.py starts this file; it reads a question from stdin and writes the answer to stdout, both
JSON.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from typing import Any

# Of the processor, for the template alone: the usual ones take 10 ms.
SECONDS = 3
# transformers and numpy map 400 MB with one thread.
BYTES = 2 << 30
# A long one, Llama 3.1's with tools, writes 4,000 characters.
MOST_CHARACTERS = 100_000


def limit() -> None:
    """Windows has no such limits, macOS none of memory; the time that template.py waits is always
    one."""
    try:
        import resource
    except ImportError:
        return
    seconds = math.ceil(time.process_time()) + SECONDS
    for kind, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, BYTES)):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def rendered(render: Any, asked: dict[str, Any], messages: list[dict[str, str]]) -> dict[str, str]:
    """The text, or why there is none, in words that end a sentence."""
    try:
        texts, _ = render(
            [messages],
            chat_template=asked["template"],
            add_generation_prompt=True,
            **asked["tokens"],
        )
    except Exception as error:
        return {"error": f"it fails with {type(error).__name__}"}
    text = str(texts[0])
    if len(text) > MOST_CHARACTERS:
        return {"error": f"it writes more than {MOST_CHARACTERS} characters"}
    return {"text": text}


def main() -> None:
    """Each thread of these would map memory of its own."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    from transformers.utils import chat_template_utils

    render = chat_template_utils.render_jinja_template
    asked = json.load(sys.stdin)
    limit()
    told = [rendered(render, asked, messages) for messages in asked["conversations"]]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
