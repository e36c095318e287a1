"""The link to a runtime, without a server around it: real sockets, and peers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fake_runtime import DEVICE, MODEL, TOKEN, FakeRuntime

from codegeex_lsp import __version__
from codegeex_lsp.runtime import questions
from codegeex_lsp.runtime.client import LinkState, Phase, RuntimeClient, Unanswered
from model_runtime.wire import endpoint, protocol
from model_runtime.wire.configuration import TrustedSettings
from model_runtime.wire.protocol import Failure, Generate, ModelState, Priority, Reason

TRUSTED = TrustedSettings(model=MODEL, device=DEVICE)
WELCOME = protocol.Welcome(protocol.PROTOCOL_VERSION, __version__, 1, MODEL, 2000)

Clients = Callable[..., RuntimeClient]
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Makes clients that are closed after the test."""
    made: list[RuntimeClient] = []

    def make(
        on_state: Callable[[LinkState], None] | None = None,
        trusted: TrustedSettings = TRUSTED,
    ) -> RuntimeClient:
        made.append(RuntimeClient(trusted, on_state))
        return made[-1]

    yield make
    for client in made:
        await client.close()


def ask(client: RuntimeClient, document: str = "") -> Generate:
    return Generate(client.next_id(), prefix="y = ", document=document)


# --- with a runtime -----------------------------------------------------------------------------


async def test_a_question_before_the_link_does_not_wait(
    fake: FakeRuntime, clients: Clients
) -> None:
    states: list[Phase] = []
    client = clients(lambda state: states.append(state.phase))
    with pytest.raises(Unanswered) as silence:
        await client.generate(ask(client))
    assert silence.value.reason is Reason.STARTING
    assert (await client.ready(10)).phase is Phase.READY
    assert states == [Phase.LOADING, Phase.READY]
    result = await client.generate(ask(client))
    assert result.candidates[0].text == "answer()"


async def test_ensure_makes_one_link_only(fake: FakeRuntime, clients: Clients) -> None:
    client = clients()
    for _ in range(5):
        client.ensure()
    await client.ready(10)
    client.ensure()
    await client.generate(ask(client))
    assert fake.clients == 1


async def test_ready_gives_up_in_time(fake: FakeRuntime, clients: Clients) -> None:
    fake.state = ModelState(protocol.Loading.LOADING, "Soon.")
    client = clients()
    client.ensure()
    while client.state.message != "Soon.":
        await asyncio.sleep(0)
    assert await client.ready(0.01) == LinkState(Phase.LOADING, "Soon.")
    with pytest.raises(Unanswered, match="Soon") as silence:
        await client.generate(ask(client))
    assert silence.value.reason is Reason.LOADING


async def test_answers_find_their_questions(fake: FakeRuntime, clients: Clients) -> None:
    fake.answer = lambda request: (
        protocol.Candidate(request.document, "model", "end", 1, -0.1, -0.1),
    )
    client = clients()
    await client.ready(10)
    names = [f"document {number}" for number in range(20)]
    results = await asyncio.gather(*(client.generate(ask(client, document=it)) for it in names))
    assert [result.candidates[0].text for result in results] == names
    assert (await client.status()).report == {"model": MODEL}


async def test_giving_up_a_question_cancels_it(fake: FakeRuntime, clients: Clients) -> None:
    fake.hold()
    client = clients()
    await client.ready(10)
    request = ask(client)
    question = asyncio.create_task(client.generate(request))
    await asyncio.to_thread(fake.wait, lambda it: it.running)
    question.cancel()
    await asyncio.to_thread(fake.wait, lambda it: it.cancelled == [request.id])
    fake.release()
    assert await client.generate(ask(client))


async def test_a_failure_is_an_answer(fake: FakeRuntime, clients: Clients) -> None:
    client = clients()
    await client.ready(10)
    fake.answer = lambda request: Failure(0, Reason.BUSY, "Later.")
    with pytest.raises(Unanswered, match="Later") as silence:
        await client.generate(ask(client))
    assert silence.value.reason is Reason.BUSY


async def test_a_loss_ends_every_question(fake: FakeRuntime, clients: Clients) -> None:
    fake.hold()
    client = clients()
    await client.ready(10)
    questions = [asyncio.create_task(client.generate(ask(client))) for _ in range(3)]
    await asyncio.to_thread(fake.wait, lambda it: it.running == 3)
    fake.drop_clients()
    endings = await asyncio.gather(*questions, return_exceptions=True)
    reasons = [ending.reason for ending in endings if isinstance(ending, Unanswered)]
    assert reasons == [Reason.RUNTIME_LOST] * 3
    assert (await client.ready(10)).phase is Phase.READY


# --- deadlines ----------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No patience for what somebody waits for."""
    monkeypatch.setitem(questions.PATIENCE_S, Priority.INTERACTIVE, 0.2)
    monkeypatch.setitem(questions.PATIENCE_S, Priority.BATCH, 60.0)
    monkeypatch.setattr(questions, "STATUS_PATIENCE_S", 0.2)


@pytest.mark.usefixtures("hasty")
async def test_a_silent_runtime_is_linked_anew(fake: FakeRuntime, clients: Clients) -> None:
    fake.hold()
    client = clients()
    await client.ready(10)
    patient = dataclasses.replace(ask(client), priority=Priority.BATCH)
    other = asyncio.create_task(client.generate(patient))
    with pytest.raises(Unanswered, match="did not answer within") as silence:
        await client.generate(ask(client))
    assert silence.value.reason is Reason.RUNTIME_LOST
    with pytest.raises(Unanswered) as silence:
        await other
    assert silence.value.reason is Reason.RUNTIME_LOST
    fake.release()
    assert (await client.ready(10)).phase is Phase.READY
    assert await client.generate(ask(client))
    assert fake.clients == 1


@pytest.mark.usefixtures("hasty")
async def test_one_late_answer_costs_one_question(fake: FakeRuntime, clients: Clients) -> None:
    fake.hold()
    client = clients()
    await client.ready(10)
    late = ask(client)
    question = asyncio.create_task(client.generate(late))
    await asyncio.to_thread(fake.wait, lambda it: it.running)
    await client.status()
    with pytest.raises(Unanswered) as silence:
        await question
    assert silence.value.reason is Reason.DEADLINE
    await asyncio.to_thread(fake.wait, lambda it: it.cancelled == [late.id])
    fake.release()
    assert await client.generate(ask(client))


@pytest.mark.usefixtures("hasty")
async def test_text_that_comes_moves_the_deadline(fake: FakeRuntime, clients: Clients) -> None:
    client = clients()
    await client.ready(10)
    slow = dataclasses.replace(ask(client), stream=True)
    heard: list[str] = []
    fake.hold()
    question = asyncio.create_task(client.generate(slow, lambda chunk: heard.append(chunk.text)))
    for number in range(8):  # 0.4 s, twice the patience
        await asyncio.sleep(0.05)
        fake.say(protocol.Chunk(slow.id, 0, str(number)))
    fake.release()
    assert await question
    assert "".join(heard).startswith("01234567")


@pytest.mark.parametrize("kind", ["embed", "status"])
@pytest.mark.usefixtures("hasty")
async def test_every_question_has_a_deadline(user: Path, clients: Clients, kind: str) -> None:
    async with serving(saying(WELCOME, ModelState(protocol.Loading.READY))):
        client = clients(trusted=dataclasses.replace(TRUSTED, embedding_model="any"))
        assert await client.attach()
        while client.state.phase is not Phase.READY:
            await asyncio.sleep(0)
        asked = client.status() if kind == "status" else client.embed(("x",), Priority.INTERACTIVE)
        with pytest.raises(Unanswered) as silence:
            await asked
        assert silence.value.reason is Reason.RUNTIME_LOST
        assert client.state.phase is Phase.ABSENT


async def test_attach_never_starts_one(user: Path, clients: Clients) -> None:
    client = clients()
    assert not await client.attach()
    assert not [*endpoint.runtime_directory().iterdir()]
    with pytest.raises(Unanswered):
        await client.status()


# --- with something else ------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[None]:
    """Somebody listens where the runtime should."""
    place = endpoint.meeting(__version__, MODEL, DEVICE)
    ended: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.current_task())  # type: ignore[arg-type]
        await reader.read(1)
        peer(reader, writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, place.socket)
    there = endpoint.Endpoint(f"unix:{place.socket}", TOKEN, 1)
    endpoint.write_endpoint(place.endpoint, there)
    yield
    server.close()
    await asyncio.gather(*ended)
    place.endpoint.unlink()
    place.socket.unlink(missing_ok=True)


def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def saying(*parts: bytes | protocol.Message) -> Peer:
    data = b"".join(it if isinstance(it, bytes) else protocol.encode(it) for it in parts)
    return lambda reader, writer: writer.write(data)


@pytest.mark.parametrize(
    "peer",
    [
        hang_up,
        saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        saying(b"\xc1"),
        saying(Failure(0, Reason.REFUSED, "The token is wrong.")),
        saying(ModelState(protocol.Loading.READY)),
    ],
)
async def test_a_peer_that_does_not_welcome_is_nobody(
    user: Path, clients: Clients, peer: Peer
) -> None:
    async with serving(peer):
        assert not await clients().attach()


async def test_a_peer_that_says_nothing_is_nobody(
    user: Path, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HELLO_DEADLINE_S", 0.1)
    async with serving(lambda reader, writer: None):
        assert not await clients().attach()


async def test_nonsense_after_the_welcome_ends_the_link(user: Path, clients: Clients) -> None:
    ready = ModelState(protocol.Loading.READY)
    states: list[Phase] = []
    async with serving(saying(WELCOME, ready, b"\xc1")):
        client = clients(lambda state: states.append(state.phase))
        assert await client.attach()
        while client.state.phase is not Phase.ABSENT:
            await asyncio.sleep(0)
    assert states == [Phase.LOADING, Phase.READY, Phase.ABSENT]


async def test_a_runtime_that_stops_reading_is_given_up(user: Path, clients: Clients) -> None:
    """What it doesn't take isn't piled up here for as long as somebody types."""
    ready = ModelState(protocol.Loading.READY)
    peers: list[asyncio.StreamWriter] = []

    def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        writer.write(protocol.encode(WELCOME) + protocol.encode(ready))
        writer.transport.pause_reading()  # type: ignore[attr-defined]

    async with serving(deaf):
        client = clients()
        assert await client.attach()
        await client.ready(10)
        text = "x" * 400_000
        for number in range(200):
            client.remember(protocol.Remember(f"file:///{number}", text))
            await asyncio.sleep(0)
        peers[0].transport.abort()
        assert client.state.phase is Phase.ABSENT


async def test_the_sentence_of_a_runtime_that_cannot_begin_is_passed_on(
    user: Path, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = clients()
    client.trusted = dataclasses.replace(TRUSTED, idle_exit_s=-1)  # as no settings have it
    state = await client.ready(30)
    assert state.phase is Phase.FAILED
    assert state.message.startswith("codegeex-runtime serve: argument --idle-exit: ")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"address": "unix:/nowhere"}', b"\xff"])
async def test_a_broken_endpoint_file_is_no_runtime(
    user: Path, clients: Clients, content: bytes
) -> None:
    place = endpoint.meeting(__version__, MODEL, DEVICE)
    place.endpoint.write_bytes(content)
    assert not await clients().attach()
    place.endpoint.unlink()


@pytest.mark.parametrize("address", ["unix:/nowhere", "tcp:127.0.0.1:1", "tcp:", "carrier pigeon"])
async def test_an_endpoint_where_nobody_listens_is_no_runtime(
    user: Path, clients: Clients, address: str
) -> None:
    place = endpoint.meeting(__version__, MODEL, DEVICE)
    endpoint.write_endpoint(place.endpoint, endpoint.Endpoint(address, TOKEN, 1))
    assert not await clients().attach()
    place.endpoint.unlink()
