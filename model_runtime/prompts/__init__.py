"""From a request to token ids: the prompt each model family was trained on, cut to its budget.

    rendering.py  the families by name, and render(): start reading here
    family.py     what a family says of itself
    codegeex.py   CodeGeeX-13B and CodeGeeX2; nano.py, plain.py, chat.py, encoder_decoder.py others
    fim.py        filling in at a cursor, a table of families
    template.py   conversations by the chat template that a tokenizer brings; jinja_worker.py, the
                  process that renders it
    pieces.py     what prompts are made of; fitting them to the budget
    quoting.py    pieces of other files
    tags.py       the languages' tag lines and comments

Formats are pure functions of the request. None knows the network, its cache or a client.
"""

__all__ = ["chat", "encoder_decoder", "family", "rendering", "template"]
