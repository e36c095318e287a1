"""Bodies come out of the byte stream however odd the headers are."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex_lsp.lsp.errors import InvalidRequestError, MessageError, ParseError
from codegeex_lsp.lsp.framing import Frames


def assert_read(stream: bytes, *expected: bytes | type[MessageError], chunk: int = 7) -> None:
    """The frames in `stream`, read `chunk` bytes at a time."""
    source = io.BytesIO(stream)
    found = list(Frames(lambda size: source.read(min(size, chunk)), max_body=1000))
    assert [frame if isinstance(frame, bytes) else type(frame) for frame in found] == list(expected)


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 4\r\n\r\n",
        b"content-length: 4\r\n\r\n",
        b"CONTENT-LENGTH:4\r\n\r\n",
        b"Content-Length : 4 \r\n\r\n",
        b"Content-Length: 4\n\n",
        b"Content-Length: 4\n\r\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 4\r\n\r\n",
        b"Content-Length: 4\r\ncontent-type: x\r\n\r\n",
        b"\r\n\r\n" * 5000 + b"Content-Length: 4\r\n\r\n",
    ],
)
def test_headers_are_read_leniently(header: bytes) -> None:
    assert_read(header + b"body" + header + b"more", b"body", b"more")


@pytest.mark.parametrize(
    "garbage",
    [
        b"Content-Length: four\r\n\r\nbody",
        b"Content-Length: -4\r\n\r\nbody",
        b"Content-Length: 99999999999999999999\r\n\r\nbody",
        b"Content-Length: 999999999999\r\n\r\nbody",
        b"X-Other: 1\r\n\r\nbody",
        b'{"no": "header"}\r\n\r\n',
        b"Content-Length: x\r\n\r\none\r\n\r\nContent-Length: y\r\n\r\ntwo",
        b"z" * 200_000,
    ],
)
def test_after_garbage_the_next_header_is_found(garbage: bytes) -> None:
    assert_read(garbage + b"Content-Length: 4\r\n\r\nbody", ParseError, b"body", chunk=4096)


def test_a_wrong_length_costs_one_message() -> None:
    good = b"Content-Length: 4\r\n\r\n"
    assert_read(b"Content-Length: 2\r\n\r\nbody" + good + b"more", b"bo", b"more")


def test_a_message_over_the_limit_is_skipped() -> None:
    assert_read(
        b"Content-Length: 5000\r\n\r\n" + b"x" * 5000 + b"Content-Length: 4\r\n\r\nbody",
        InvalidRequestError,
        b"body",
    )


def test_the_end_in_the_middle_of_a_message_is_the_end() -> None:
    assert_read(b"")
    assert_read(b"Content-Le")
    assert_read(b"Content-Length: 4\r\n\r\nbo")
    assert_read(b"Content-Length: 5000\r\n\r\nbo")


@given(bodies=st.lists(st.binary(max_size=50), max_size=5), chunk=st.integers(1, 60))
def test_chunks_do_not_matter(bodies: list[bytes], chunk: int) -> None:
    stream = b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies)
    assert_read(stream, *bodies, chunk=chunk)
