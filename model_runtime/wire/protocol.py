"""The messages between a language server and the model runtime, and how they travel.

This is the one module both packages import. A connection is a stream of msgpack maps, each with a
"type"; msgpack frames itself, so there is no length prefix. The client speaks first:

    client                         runtime
    Hello        ->
                 <-  Welcome                  or Failure (bad token, other protocol) and the end
                 <-  ModelState               whenever it changes: loading, ready, failed
    Generate     ->
                 <-  Chunk*                   only when `stream` was asked for
                 <-  Result | Failure         exactly one of the two
    Embed        ->
                 <-  Embedding | Failure      exactly one of the two
    Cancel       ->                           what it names ends with Failure(cancelled)
    Remember     ->                           another document's text, whenever it settled
    Forget       ->                           and when it need not be known any more
    Activity     ->                           now and then; a window's tally for StatusReport
    StatusQuery  ->
                 <-  StatusReport
    Stop         ->                           the runtime closes every connection and exits

A closed connection cancels everything it asked for. After a message that can't be decoded the
stream doesn't resynchronise, so both sides close it.
"""

from __future__ import annotations

import codecs
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec

PROTOCOL_VERSION = 2
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
HELLO_DEADLINE_S = 2.0
MAX_REMEMBERED_CHARS = 400_000
# In one Embed.
MOST_TEXTS = 256


class Reason(StrEnum):
    """Why a completion came back empty. The words for people are the server's."""

    # said by the runtime
    LOADING = "loading"
    LOAD_FAILED = "load_failed"
    BUSY = "busy"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    NOTHING_GENERATED = "nothing_generated"
    UNSUPPORTED_TASK = "unsupported_task"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_ERROR = "engine_error"
    BAD_REQUEST = "bad_request"
    REFUSED = "refused"
    # said by the language server
    STARTING = "starting"
    RUNTIME_LOST = "runtime_lost"
    DISABLED = "disabled"
    LANGUAGE_DISABLED = "language_disabled"
    FILE_TOO_LARGE = "file_too_large"
    NOT_OPEN = "not_open"
    LEFT_OUT = "left_out"
    IN_SECRET = "in_secret"  # noqa: S105
    BINARY = "binary"
    MIDDLE_OF_WORD = "middle_of_word"
    DOCUMENT_MOVED = "document_moved"
    BLANK = "blank"
    REPEATS_SUFFIX = "repeats_suffix"
    REPEATS_ITSELF = "repeats_itself"
    LOW_CONFIDENCE = "low_confidence"


class Task(StrEnum):
    """What a model can be asked for, and what the answer is.

    COMPLETE: text for the cursor. GENERATE: code for the cursor that does what the last comment
    before it, or `instruction`, asks. TRANSLATE: `code` in `target_language`. EXPLAIN: `code` with
    comments, or prose. DOCSTRING: what the comment on `code` should say, without its marks.
    SUMMARISE: what `code` does, in one sentence. TEMPLATE: what follows `prefix`, a text of the
    user's own.
    """

    COMPLETE = "complete"
    GENERATE = "generate"
    TRANSLATE = "translate"
    EXPLAIN = "explain"
    DOCSTRING = "docstring"
    SUMMARISE = "summarise"
    TEMPLATE = "template"


class Priority(IntEnum):
    """Lower runs first; BATCH gives way to INTERACTIVE between decode steps."""

    INTERACTIVE = 0
    BATCH = 1


class Loading(StrEnum):
    """The state of the runtime's model."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class ProtocolError(Exception):
    """The peer sent something that is not a message of this protocol. Close the connection."""


# --- client to runtime --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """Must be the first message, within HELLO_DEADLINE_S."""

    protocol: int
    version: str
    token: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of another file; `path` is for a model to read, as "package/file.py"."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask for text. The runtime renders the prompt for its own model family.

    `task` is one of Task, `code` what it is about, where it isn't about a cursor. `snippets`
    are pieces of other files that have to do with the place, best first; they stay the same
    while one types, so that the KV cache keeps hitting. `language` is the display name
    ("Python", "C++"), empty when unknown; `path`, the file's in its project, and `repository`,
    the project's name, are for a model to read. `document` names what the request belongs to: a
    newer INTERACTIVE request of the same client and document replaces it; an empty name is never
    replaced. `deadline_ms` counts from arrival, 0 means none. `max_lines` ends the text after
    that many lines with something in them, 0 means no limit. `temperature` 0 is greedy. With
    `best_first` the first of several candidates is the greedy one. More than one of `beams` search
    for the candidates that are likeliest as wholes; that needs temperature 0, and nothing is
    streamed. Candidates are distinct suggestions; `independent` ones are draws of the model itself,
    without the memory, and equal or blank ones count like any other.
    """

    id: int
    prefix: str
    suffix: str = ""
    snippets: tuple[Snippet, ...] = ()
    task: str = Task.COMPLETE
    code: str = ""
    instruction: str = ""
    language: str = ""
    target_language: str = ""
    path: str = ""
    repository: str = ""
    document: str = ""
    priority: int = Priority.INTERACTIVE
    deadline_ms: int = 0
    max_new_tokens: int = 64
    max_lines: int = 0
    candidates: int = 1
    best_first: bool = True
    independent: bool = False
    beams: int = 0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Embed:
    """Ask for a vector for each text, of which there are at most MOST_TEXTS.

    `model` is the embedding model, a folder or a name of the catalogue: it is another than the one
    that writes, and is loaded when it is first asked. A text longer than it can read is cut at its
    end. The other fields are those of Generate; a question somebody waits for is INTERACTIVE.
    """

    id: int
    texts: tuple[str, ...]
    model: str = ""
    document: str = ""
    priority: int = Priority.BATCH
    deadline_ms: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the Generate or Embed with this id; an unknown or finished id is ignored."""

    id: int


@dataclass(frozen=True, slots=True)
class Remember:
    """The text of a document of this window, open or lately open, for the runtime's memory.

    It replaces what was said of that document before, is offered to this client only, is never
    written anywhere, and goes when the connection ends. Line ends are "\\n". Texts longer than
    MAX_REMEMBERED_CHARS are not worth sending.
    """

    document: str
    text: str


@dataclass(frozen=True, slots=True)
class Forget:
    """This document need not be remembered any more; an unknown one is ignored."""

    document: str


@dataclass(frozen=True, slots=True)
class Activity:
    """What one editor window has answered: `empty` counts by Reason, `last` is the newest one."""

    requests: int
    cached: int
    shown: int
    empty: dict[str, int]
    last: str = ""


@dataclass(frozen=True, slots=True)
class StatusQuery:
    id: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the runtime for everybody."""


# --- runtime to client --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a client should know of the model before it is loaded.

    `context_chars` is how much prefix plus suffix text is worth sending. Text nobody asked for is
    better not shown when the model gave its tokens less than `minimum_confidence` on average.
    `tasks` are those of Task that it can be asked for; prompt and answer together have at most
    `context_tokens`. `others` are names of models that can do the remaining tasks, by task.
    One that `converses` is tuned to be asked in words, and answers in them.
    """

    protocol: int
    version: str
    pid: int
    model: str
    context_chars: int
    minimum_confidence: float = 0.0
    tasks: tuple[str, ...] = (Task.COMPLETE,)
    context_tokens: int = 2048
    others: dict[str, Any] = field(default_factory=dict)
    converses: bool = False


@dataclass(frozen=True, slots=True)
class ModelState:
    """Sent after Welcome and at each change. `message` is one sentence for people."""

    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """More text of one candidate."""

    id: int
    candidate: int
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One completion.

    `source` says what produced it, which is "model". `finish` is one
    of "end" (the model ended it), "lines", "stop", "length", "deadline", "loop" (it repeated
    itself). The log-probabilities are natural logarithms over the generated tokens, None where no
    model was asked.
    """

    text: str
    source: str
    finish: str
    tokens: int
    mean_logprob: float | None = None
    min_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of a request went, in milliseconds, and how many tokens it was about."""

    queue_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """At least one candidate, best first."""

    id: int
    candidates: tuple[Candidate, ...]
    timing: Timing


@dataclass(frozen=True, slots=True)
class Embedding:
    """A vector of length 1 for each text of an Embed, in its order.

    `model` names the very files of the model: vectors of another one are no use beside these.
    `vectors` are `count` times `dimensions` numbers, float32, little-endian, one vector after
    another; the dot product of two of them says how near two texts are.
    """

    id: int
    count: int
    dimensions: int
    vectors: bytes
    model: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """No text, and why. `id` is 0 when the connection itself is refused."""

    id: int
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The same twice: for programs and, a line each, for people."""

    id: int
    report: dict[str, Any]
    lines: tuple[str, ...]


Message = (
    Hello
    | Generate
    | Embed
    | Cancel
    | Remember
    | Forget
    | Activity
    | StatusQuery
    | Stop
    | Welcome
    | ModelState
    | Chunk
    | Result
    | Embedding
    | Failure
    | StatusReport
)

# What a Generate or an Embed is answered with.
Reply = Chunk | Result | Embedding | Failure

_TYPES: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(Message)}


# --- the codec ----------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """Pack one message, whatever stands in its texts."""
    fields = msgspec.to_builtins(message, builtin_types=(bytes,))
    fields["type"] = type(message).__name__
    packed: bytes = msgpack.packb(fields, unicode_errors="surrogatepass")
    return packed


class Decoder:
    """Turns received bytes into messages; raises ProtocolError on the first bad one.

    Fields that a message doesn't have are dropped: newer peers may add some. This is the door for
    all text: half an emoji, which no tokenizer takes, becomes U+FFFD here and nowhere else.
    """

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(
            max_buffer_size=MAX_MESSAGE_BYTES, unicode_errors=HALVES_REPLACED
        )

    def feed(self, data: bytes) -> Iterator[Message]:
        try:
            self._unpacker.feed(data)
            for fields in self._unpacker:
                yield _message(fields)
        # msgpack's errors share no base class: FormatError, StackError and UnicodeDecodeError are
        # ValueErrors, BufferFull and OutOfData are UnpackExceptions.
        except (ValueError, msgpack.UnpackException) as error:
            raise ProtocolError(f"not msgpack: {type(error).__name__}") from error


def _replace_half(error: UnicodeError) -> tuple[str, int]:
    """A lone surrogate is three bytes of its own; anything else that is no UTF-8 is an error."""
    if isinstance(error, UnicodeDecodeError) and _HALF.match(error.object, error.start):
        return "\N{REPLACEMENT CHARACTER}", error.start + 3
    raise error


_HALF = re.compile(b"\xed[\xa0-\xbf][\x80-\xbf]")
HALVES_REPLACED = "codegeex.halves_replaced"
codecs.register_error(HALVES_REPLACED, _replace_half)


def _message(fields: Any) -> Message:
    if not isinstance(fields, dict):
        raise ProtocolError("a message must be a map")
    kind = _TYPES.get(str(fields.pop("type", "")))
    if kind is None:
        raise ProtocolError("a message of unknown type")
    try:
        return typing.cast(Message, msgspec.convert(fields, kind))
    except msgspec.ValidationError:  # its words may quote what came
        raise ProtocolError(f"a {kind.__name__} with a wrong field") from None
