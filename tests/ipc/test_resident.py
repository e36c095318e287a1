"""What the real runtime's process holds: a KV cache takes memory as texts are run, not before."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import Client, Runtime

from model_runtime.device.system_memory import resident_bytes
from model_runtime.wire.protocol import Result

# transformers alone takes seconds to be imported, and many on a busy machine.
PATIENCE_S = 100.0
MIB = 2**20
# 16 layers of 8 heads of 128 numbers for keys and for values, in bfloat16.
POSITION_BYTES = 16 * 8 * 128 * 2 * 2
CONTEXT = 8192


def held(client: Client) -> int:
    return int(client.status()["memory_bytes"])


@pytest.mark.skipif(resident_bytes() is None, reason="the system doesn't tell what is resident")
def test_a_long_context_takes_memory_as_it_is_used_and_gives_it_back(tmp_path: Path) -> None:
    tiny_hub = pytest.importorskip("tiny_hub", reason="torch or transformers isn't installed")
    folder = tiny_hub.write_folder(
        tmp_path / "llama",
        "llama",
        num_hidden_layers=16,
        num_attention_heads=8,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=CONTEXT,
    )
    runtime = Runtime(tmp_path / "run", str(folder))
    runtime.start()
    try:
        client = runtime.connect().greet()
        client.socket.settimeout(PATIENCE_S)
        client.ready()
        client.ask(1, "x = 1\n")
        first = held(client)
        # Two rows of this context would be 1 GiB.
        assert first < 640 * MIB
        text = "value = 1\n" * 50
        answer = client.ask(2, text)
        assert isinstance(answer, Result)
        assert answer.timing.prompt_tokens > 400
        assert held(client) - first < 150 * MIB + 500 * POSITION_BYTES
        client.ask(3, text, candidates=2, temperature=1.0, seed=1)
        assert held(client) - first < 150 * MIB + 500 * POSITION_BYTES
    finally:
        runtime.end()
