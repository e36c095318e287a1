"""Letters in order, the newest of each document, and never too many."""

from __future__ import annotations

from model_runtime.recall.mailbox import Letter, Mailbox


def test_letters_come_in_order_and_the_newest_of_a_document_counts() -> None:
    mailbox = Mailbox()
    mailbox.put(Letter(1, "a", "old"))
    mailbox.put(Letter(1, "b", "text"))
    mailbox.put(Letter(2, "a", "another window's"))
    mailbox.put(Letter(1, "a", "new"))
    taken = [mailbox.take() for _ in range(3)]
    assert taken == [
        Letter(1, "b", "text"),
        Letter(2, "a", "another window's"),
        Letter(1, "a", "new"),
    ]


def test_what_a_client_that_left_had_sent_is_thrown_away() -> None:
    mailbox = Mailbox()
    mailbox.put(Letter(1, "a", "text"))
    mailbox.put(Letter(2, "a", "text"))
    mailbox.put(Letter(1))
    assert [mailbox.take(), mailbox.take()] == [Letter(2, "a", "text"), Letter(1)]


def test_of_too_many_texts_the_oldest_go_and_no_word_to_forget() -> None:
    mailbox = Mailbox(capacity=3)
    mailbox.put(Letter(1, "gone"))
    for number in range(10_000):
        mailbox.put(Letter(1, f"file {number}", "text"))
    taken = [mailbox.take() for _ in range(3)]
    assert taken == [
        Letter(1, "gone"),
        Letter(1, "file 9998", "text"),
        Letter(1, "file 9999", "text"),
    ]


def test_a_closed_mailbox_is_empty() -> None:
    mailbox = Mailbox()
    mailbox.put(Letter(1, "a", "text"))
    mailbox.close()
    assert mailbox.take() is None
