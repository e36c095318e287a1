"""What can be answered to an editor instead of a result: a code of JSON-RPC or LSP and a sentence.

    LspError                    the base; str() is one sentence for the user, without code or paths
    ├── MessageError            the message itself is no good
    │   ├── ParseError          -32700  not JSON
    │   ├── InvalidRequestError -32600  JSON, but no request that can be taken now
    │   ├── UnknownMethodError  -32601
    │   ├── InvalidParamsError  -32602
    │   └── UninitializedError  -32002  before initialize
    ├── CancelledRequestError   -32800  the client asked for it, or the server shut down
    ├── ContentModifiedError    -32801  the document went away meanwhile
    ├── RequestFailedError      -32803  a good request that could not be fulfilled
    └── InternalError           -32603  our fault; the log tells more

    ClientRefusedError          the other way round: the editor answered our request with an error

Raised by handlers and by the protocol, which turns each LspError into the reply of its request.
"""

from __future__ import annotations

from typing import ClassVar


class LspError(Exception):
    """An error reply. Raised in a handler it reaches the editor as it is: `code` and sentence."""

    code: ClassVar[int]


class MessageError(LspError):
    """The client sent something that can't be taken."""


class ParseError(MessageError):
    code = -32700


class InvalidRequestError(MessageError):
    code = -32600


class UnknownMethodError(MessageError):
    code = -32601


class InvalidParamsError(MessageError):
    code = -32602


class UninitializedError(MessageError):
    code = -32002


class CancelledRequestError(LspError):
    code = -32800


class ContentModifiedError(LspError):
    code = -32801


class RequestFailedError(LspError):
    code = -32803


class InternalError(LspError):
    code = -32603


class ClientRefusedError(Exception):
    """The editor answered a request of ours with an error, or with something unusable."""

    def __init__(self, method: str, code: int) -> None:
        super().__init__(f"The editor refused {method} ({code}).")
        self.code = code
