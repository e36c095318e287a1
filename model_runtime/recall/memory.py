"""The texts that the editors' windows have open or had open lately, as tokens, each window's apart.

A thread of its own takes texts out of the mailbox and keeps an index for each client; a request
asks for a Recall and gets it from the index as it is at that moment. Everything is in memory only,
is bounded, and goes when its client goes. It knows no network and no socket; daemon.py starts it.
"""

from __future__ import annotations

from model_runtime import logs
from model_runtime.recall.mailbox import Letter, Mailbox
from model_runtime.recall.ngrams import Index
from model_runtime.recall.recall import LineTokens, Recall, Vocabulary
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import MAX_REMEMBERED_CHARS, Snippet

# About 1.5 MB of code and 5 MB of memory a window; an added document costs 4 ms then.
MAX_TOKENS = 400_000
MAX_DOCUMENTS = 256


class Memory:
    """`run` is the thread's; `recall` may be called from another one, any time.

    `failed` is how many texts could not be remembered: a tokenizer may panic at one.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        max_tokens: int = MAX_TOKENS,
        max_documents: int = MAX_DOCUMENTS,
    ) -> None:
        self.failed = 0
        self._lines = LineTokens(tokenizer)
        self._vocabulary = Vocabulary(tokenizer)
        self._max_tokens = max_tokens
        self._max_documents = max_documents
        self._indexes: dict[int, Index] = {}
        self._quotes: tuple[tuple[Snippet, ...], Index] = (), Index.empty()

    def run(self, mailbox: Mailbox) -> None:
        """Take letters until the mailbox is closed."""
        while (letter := mailbox.take()) is not None:
            self.take(letter)

    def take(self, letter: Letter) -> None:
        """Remember or forget what the letter says."""
        if letter.document is None:
            self._indexes.pop(letter.client, None)
            return
        index = self._indexes.get(letter.client, Index.empty())
        try:
            ids = [] if letter.text is None else self._tokens(letter.text)
        except BaseException as error:  # a panic in Rust is no Exception
            logs.failure("a text can't be remembered", error)
            self.failed += 1
            ids = []
        self._indexes[letter.client] = (
            self._within_bounds(index.having(letter.document, ids))
            if ids
            else index.without(letter.document)
        )

    def index(self, client: int) -> Index:
        """What is remembered of a client."""
        return self._indexes.get(client, Index.empty())

    def sizes(self) -> dict[str, int]:
        """How much of all clients is remembered; for the status."""
        indexes = list(self._indexes.values())
        return {
            "documents": sum(len(index.documents) for index in indexes),
            "tokens": sum(index.size for index in indexes),
        }

    def recall(
        self,
        client: int,
        document: str,
        prefix: str,
        suffix: str,
        snippets: tuple[Snippet, ...] = (),
    ) -> Recall:
        """For one request; what was remembered of its own document gives way to the request's."""
        return Recall(
            self._lines,
            self._vocabulary,
            prefix,
            suffix,
            self.index(client),
            document,
            self._quoted(snippets),
        )

    def _quoted(self, snippets: tuple[Snippet, ...]) -> Index:
        """The index of a request's snippets; the next request mostly brings the same ones."""
        if snippets != self._quotes[0]:
            texts = {f"{n} {one.path}": self._tokens(one.text) for n, one in enumerate(snippets)}
            self._quotes = snippets, Index.of(texts)
        return self._quotes[1]

    def _tokens(self, text: str) -> list[int]:
        """None for what isn't code a person wrote: binary, too long, or mostly in endless lines."""
        if "\0" in text or len(text) > MAX_REMEMBERED_CHARS or not self._lines.mostly_lines(text):
            return []
        return self._lines.encode(text)

    def _within_bounds(self, index: Index) -> Index:
        """Without the documents that were remembered longest ago, as far as needed."""
        names = iter(index.documents)
        while index.size > self._max_tokens or len(index.documents) > self._max_documents:
            index = index.without(next(names))
        return index
