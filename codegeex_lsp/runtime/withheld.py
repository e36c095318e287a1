"""What goes to the runtime, without the secrets in it.

No model needs a secret to go on behind it, and none must be able to tell it. client.py lets every
message through here, so nobody who makes one has to think of it.
"""

from __future__ import annotations

from dataclasses import replace

from codegeex_lsp.exclusion import values
from model_runtime.wire.protocol import Embed, Generate, Message, Remember


def without_secrets(message: Message) -> Message:
    """The same message; its texts are others only where secrets stand in them."""
    match message:
        case Generate():
            return _request(message)
        case Embed(texts=texts):
            return replace(message, texts=tuple(map(values.without, texts)))
        case Remember(text=text):
            return replace(message, text=values.without(text))
        case _:
            return message


def _request(request: Generate) -> Generate:
    prefix, suffix = values.without_around(request.prefix, request.suffix)
    return replace(
        request,
        prefix=prefix,
        suffix=suffix,
        code=values.without(request.code),
        instruction=values.without(request.instruction),
        snippets=tuple(replace(one, text=values.without(one.text)) for one in request.snippets),
    )
