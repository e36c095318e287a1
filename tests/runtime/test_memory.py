"""What the memory keeps of whom, its bounds, and what it never takes."""

from __future__ import annotations

import threading

import pytest
from test_recall import TOKENIZER

from model_runtime.recall.mailbox import Letter, Mailbox
from model_runtime.recall.memory import Memory
from model_runtime.wire.protocol import MAX_REMEMBERED_CHARS


def test_a_text_is_found_again_by_its_client_only() -> None:
    memory = Memory(TOKENIZER)
    memory.take(Letter(1, "a.py", "connection.handle_everything(now)\n"))
    ours = memory.recall(1, "b.py", "connection.handle_", "\n")
    theirs = memory.recall(2, "b.py", "connection.handle_", "\n")
    assert ours.guess([]) is not None
    assert theirs.guess([]) is None


def test_a_request_brings_its_own_document_and_the_older_text_of_it_is_left_out() -> None:
    memory = Memory(TOKENIZER)
    memory.take(Letter(1, "a.py", "connection.handle_everything(now)\n"))
    assert memory.recall(1, "a.py", "connection.handle_", "\n").guess([]) is None


def test_a_new_text_of_a_document_replaces_the_old_one() -> None:
    memory = Memory(TOKENIZER)
    memory.take(Letter(1, "a", "first_text = 1\n"))
    memory.take(Letter(1, "a", "second = 2\n"))
    assert memory.index(1).tokens.tolist().count(TOKENIZER.encode("first")[0]) == 0
    assert memory.sizes() == {"documents": 1, "tokens": len(TOKENIZER.encode("second = 2\n"))}


def test_forgetting_takes_a_document_or_a_whole_client() -> None:
    memory = Memory(TOKENIZER)
    for client in (1, 2):
        for name in ("a", "b"):
            memory.take(Letter(client, name, "some = text\n"))
    memory.take(Letter(1, "a"))
    assert memory.index(1).documents == ["b"]
    memory.take(Letter(1))
    memory.take(Letter(1, "unknown"))
    assert memory.index(1).documents == []
    assert memory.index(2).documents == ["a", "b"]


def test_the_documents_remembered_longest_ago_make_room() -> None:
    memory = Memory(TOKENIZER, max_documents=3)
    for number in range(10_000):
        memory.take(Letter(1, f"file {number}", f"value_{number} = {number}\n"))
    assert memory.index(1).documents == ["file 9997", "file 9998", "file 9999"]


def test_tokens_are_bounded_too() -> None:
    memory = Memory(TOKENIZER, max_tokens=1000)
    for number in range(20):
        memory.take(Letter(1, f"file {number}", "value = compute(other)\n" * 50))
        assert memory.index(1).size <= 1000
    assert memory.index(1).documents[-1] == "file 19"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x7fELF\0\0\1\n" * 10,
        "x" * 1_000_000,
        "short = 1\n" + "var a=function(b){return b+1};" * 100,
        "a = 1\n" * (MAX_REMEMBERED_CHARS // 6 + 1),
    ],
    ids=["empty", "binary", "one line of a megabyte", "minified", "too long"],
)
def test_what_nobody_writes_is_not_remembered(text: str) -> None:
    memory = Memory(TOKENIZER)
    memory.take(Letter(1, "a", "good = 1\n"))
    memory.take(Letter(1, "a", text))
    assert memory.sizes() == {"documents": 0, "tokens": 0}


def test_its_thread_takes_letters_until_the_mailbox_is_closed() -> None:
    memory, mailbox = Memory(TOKENIZER), Mailbox()
    mailbox.put(Letter(1, "a", "some = text\n"))
    thread = threading.Thread(target=memory.run, args=(mailbox,))
    thread.start()
    while not memory.sizes()["documents"]:
        pass
    mailbox.close()
    thread.join(10)
    assert not thread.is_alive()
