"""Texts for the memory on their way through a real runtime process."""

from __future__ import annotations

from typing import Any

from processes import Client, Runtime, until

from model_runtime.wire.protocol import Forget, Remember


def remembered(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.status()["remembered"]
    return found


def until_remembered(client: Client, documents: int) -> None:
    until(lambda: remembered(client)["documents"] == documents, f"{documents} documents")


def test_texts_are_remembered_replaced_and_forgotten(serving: Runtime) -> None:
    client = serving.client().ready()
    client.send(Remember("a.py", "x = 1\n"))
    client.send(Remember("b.py", "yy = 2\n"))
    until_remembered(client, 2)
    client.send(Remember("a.py", "x = 1\nx = 2\n"))
    # The tiny model has a token a byte.
    until(lambda: remembered(client)["tokens"] == 12 + 7, "the newer text")
    client.send(Forget("a.py"))
    client.send(Forget("never.py"))
    until_remembered(client, 1)
    client.close()


def test_a_window_that_leaves_takes_its_texts_along(serving: Runtime) -> None:
    leaving, staying = serving.client().ready(), serving.client().ready()
    leaving.send(Remember("a.py", "x = 1\n"))
    staying.send(Remember("a.py", "y = 1\n"))
    until_remembered(staying, 2)
    leaving.close()
    until_remembered(staying, 1)
    staying.close()
    until_remembered(serving.client(), 0)


def test_ten_thousand_documents_are_bounded_and_requests_go_on(serving: Runtime) -> None:
    client = serving.client().ready()
    for number in range(10_000):
        client.send(Remember(f"{number}.py", f"value_{number} = 1\n"))
    assert client.ask(1).id == 1
    client.send(Remember("last.py", "last = 1\n"))
    until(lambda: 0 < remembered(client)["documents"] <= 256, "bounds")
    client.close()
    until_remembered(serving.client(), 0)


def test_nothing_of_them_is_logged_or_written(serving: Runtime) -> None:
    client = serving.client().ready()
    client.send(Remember("secret_name.py", "secret_text = 1\n"))
    until_remembered(client, 1)
    client.close()
    until_remembered(serving.client(), 0)
    for path in serving.folder.rglob("*"):
        if path.is_file():
            assert b"secret" not in path.read_bytes(), path
