"""The network against the published code, and against itself: cached, chunked, batched."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file
from torch import Tensor

from model_runtime.errors import BadPromptError
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig, fast_gelu
from model_runtime.networks.kv_cache import Rows

SMALL = CodeGeeXConfig(
    hidden_size=32, num_layers=2, num_attention_heads=4, vocab_size=64, max_position_embeddings=24
)


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def small() -> CodeGeeX:
    torch.manual_seed(7)
    return CodeGeeX(SMALL).eval()


@pytest.fixture(scope="module")
def golden(goldens: Path) -> CodeGeeX:
    """The published code's tiny model, from its own checkpoint layout."""
    shape = json.loads((goldens / "model/config.json").read_text())["config"]
    network = CodeGeeX(
        CodeGeeXConfig(
            hidden_size=shape["hidden_size"],
            num_layers=shape["num_layers"],
            num_attention_heads=shape["num_attention_heads"],
            vocab_size=shape["padded_vocab_size"],
            max_position_embeddings=shape["max_position_embeddings"],
        )
    )
    nested = torch.load(goldens / "model/codegeex_tiny.pt", weights_only=True)
    flat = flatten(nested["module"]["language_model"])
    network.load_state_dict({name: tensor.float() for name, tensor in flat.items()})
    return network.eval()


def flatten(nested: Mapping[str, Any], path: str = "") -> dict[str, Tensor]:
    flat: dict[str, Tensor] = {}
    for name, value in nested.items():
        if isinstance(value, Tensor):
            flat[path + name] = value
        else:
            flat |= flatten(value, f"{path}{name}.")
    return flat


def fresh_rows(network: CodeGeeX, batch: int = 1) -> Rows:
    """Rows full of NaN: reading a position nobody wrote shows."""
    config = network.config
    shape = (batch, config.num_attention_heads, config.max_position_embeddings, config.head_dim)
    count = config.num_layers + 1
    return Rows(
        tuple(torch.full(shape, torch.nan) for _ in range(count)),
        tuple(torch.full(shape, torch.nan) for _ in range(count)),
    )


def full(network: CodeGeeX, ids: Tensor) -> Tensor:
    rows = fresh_rows(network, len(ids))
    return network(ids, rows, 0, all_positions=True)


def in_chunks(network: CodeGeeX, ids: Tensor, sizes: list[int]) -> Tensor:
    rows, parts, start = fresh_rows(network, len(ids)), [], 0
    for size in sizes:
        parts.append(network(ids[:, start : start + size], rows, start, all_positions=True))
        start += size
    assert start == ids.shape[1]
    return torch.cat(parts, dim=1)


def check(found: Tensor, expected: Tensor, atol: float = 1e-4) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


# --- against the published code ---------------------------------------------------------------


@pytest.mark.parametrize("name", [f"prompt{index}" for index in range(8)] + ["batch"])
def test_full_forward(goldens: Path, golden: CodeGeeX, name: str) -> None:
    vectors = load_file(goldens / "model/logits.safetensors")
    ids, logits = vectors[f"{name}.input_ids"], vectors[f"{name}.logits"]
    if name != "batch":
        ids, logits = ids.unsqueeze(0), logits.unsqueeze(0)
    check(full(golden, ids), logits)
    check(golden(ids, fresh_rows(golden, len(ids)), 0), logits[:, -1])


@pytest.mark.parametrize("case", range(3))
def test_prefill_then_single_steps(goldens: Path, golden: CodeGeeX, case: int) -> None:
    vectors = load_file(goldens / "model/incremental.safetensors")
    ids = vectors[f"case{case}.input_ids"].unsqueeze(0)
    prefill = int(vectors[f"case{case}.n_prefill"])
    sizes = [prefill] + [1] * (ids.shape[1] - prefill)
    check(in_chunks(golden, ids, sizes)[0], vectors[f"case{case}.logits"])


def test_keys_and_values_of_every_layer(goldens: Path, golden: CodeGeeX) -> None:
    vectors = load_file(goldens / "model/incremental.safetensors")
    ids = vectors["case0.input_ids"].unsqueeze(0)
    rows = fresh_rows(golden)
    golden(ids, rows, 0)
    for layer, name in enumerate(["layer0", "layer1", "layer2", "top_query"]):
        for kind, stored in (("key", rows.keys), ("value", rows.values)):
            found = stored[layer][0, :, : ids.shape[1]].transpose(0, 1)
            check(found, vectors[f"case0.past.{name}.{kind}"])


def test_hidden_states(goldens: Path, golden: CodeGeeX) -> None:
    vectors = load_file(goldens / "model/hidden.safetensors")
    found = record_hidden(golden, vectors["input_ids"].unsqueeze(0))
    assert len(found) == 20
    for name, state in found.items():
        check(state, vectors[name])


def record_hidden(network: CodeGeeX, ids: Tensor) -> dict[str, Tensor]:
    """What the named modules give, under the goldens' names."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: found.__setitem__(name, output[0])

    layers, top = network.transformer.layers, network.transformer.topQueryLayer
    named: dict[str, Any] = {
        "final_layernorm": network.transformer.final_layernorm,
        "layer0.mlp.dense_h_to_4h": layers[0].mlp.dense_h_to_4h,
        **{f"layer{index}.output": layer for index, layer in enumerate(layers)},
    }
    for path, block in (("layer0", layers[0]), ("top_query_layer", top)):
        named |= {
            f"{path}.{part}": block.get_submodule(part)
            for part in ("attention", "input_layernorm", "post_attention_layernorm")
        }
        named |= {
            f"{path}.attention.{part}": block.attention.get_submodule(part)
            for part in ("query", "key", "value")
        }
    named["layer0.mlp"] = layers[0].mlp
    hooks = [module.register_forward_hook(keep(name)) for name, module in named.items()]
    keep_queries = top.attention.query.register_forward_pre_hook(
        lambda _module, inputs: found.__setitem__("top_query_embedding", inputs[0][0])
    )
    found["logits"] = full(network, ids)[0]
    for hook in [*hooks, keep_queries]:
        hook.remove()
    return found


def test_fast_gelu(goldens: Path) -> None:
    vectors = load_file(goldens / "model/hidden.safetensors")
    check(fast_gelu(vectors["fast_gelu.x"]), vectors["fast_gelu.y"], atol=1e-5)


@pytest.mark.parametrize("case", range(7))
def test_greedy_tokens(goldens: Path, golden: CodeGeeX, case: int) -> None:
    """Token for token, with the cache and without it."""
    wanted = json.loads((goldens / "model/greedy.json").read_text())[case]
    prompts = wanted.get("batch_prompts") or [wanted["prompt"]]
    outputs = wanted.get("batch_tokens") or [wanted["tokens"]]
    for prompt, output in zip(prompts, outputs, strict=True):
        count, banned = len(output) - len(prompt), wanted.get("bad_ids", [])
        assert greedy_cached(golden, prompt, count, banned) == output
        assert greedy_uncached(golden, prompt, count, banned) == output


def greedy_cached(network: CodeGeeX, prompt: list[int], count: int, banned: list[int]) -> list[int]:
    tokens, rows, done = list(prompt), fresh_rows(network), 0
    for _ in range(count):
        logits = network(torch.tensor([tokens[done:]]), rows, done)
        done = len(tokens)
        tokens.append(best(logits, banned))
    return tokens


def greedy_uncached(
    network: CodeGeeX, prompt: list[int], count: int, banned: list[int]
) -> list[int]:
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(best(full(network, torch.tensor([tokens]))[:, -1], banned))
    return tokens


def best(logits: Tensor, banned: list[int]) -> int:
    logits[:, banned] = -torch.inf
    return int(logits.argmax())


# --- against itself and the formula -----------------------------------------------------------


def test_every_split_of_the_prefill_gives_the_full_result(small: CodeGeeX) -> None:
    ids = torch.randint(0, 64, (1, 24))
    expected = full(small, ids)
    for first in range(1, 24):
        check(in_chunks(small, ids, [first, 24 - first]), expected)


@pytest.mark.parametrize("sizes", [[1, 7, 1, 8, 7], [5] * 4 + [4], [1] * 24, [23, 1], [3, 21]])
def test_chunks_of_any_size(small: CodeGeeX, sizes: list[int]) -> None:
    ids = torch.randint(0, 64, (2, 24))
    check(in_chunks(small, ids, sizes), full(small, ids))


def test_every_split_on_the_published_weights(golden: CodeGeeX, goldens: Path) -> None:
    vectors = load_file(goldens / "model/logits.safetensors")
    ids, expected = vectors["prompt5.input_ids"].unsqueeze(0), vectors["prompt5.logits"]
    for first in range(1, 64):
        check(in_chunks(golden, ids, [first, 64 - first])[0], expected)


def test_the_last_position_alone_is_the_last_of_all(small: CodeGeeX) -> None:
    ids = torch.randint(0, 64, (2, 20))
    rows = fresh_rows(small, 2)
    expected = full(small, ids)
    check(small(ids[:, :9], rows, 0), expected[:, 8])
    check(small(ids[:, 9:19], rows, 9), expected[:, 18])
    check(small(ids[:, 19:], rows, 19), expected[:, 19])


def test_rows_do_not_see_each_other(small: CodeGeeX) -> None:
    ids = torch.randint(0, 64, (3, 12))
    together = full(small, ids)
    for index in range(3):
        check(together[index], full(small, ids[index : index + 1])[0])


def test_later_tokens_do_not_change_earlier_logits(small: CodeGeeX) -> None:
    ids = torch.randint(0, 64, (1, 16))
    changed = ids.clone()
    changed[0, 10:] = (changed[0, 10:] + 1) % 64
    check(full(small, ids)[:, :10], full(small, changed)[:, :10])


def test_overwriting_what_a_longer_run_left(small: CodeGeeX) -> None:
    """A rejected draft leaves its keys behind; running on from before it must not see them."""
    ids = torch.randint(0, 64, (1, 20))
    rows = fresh_rows(small)
    small(torch.randint(0, 64, (1, 24)), rows, 0)
    small(ids[:, :12], rows, 0)
    check(small(ids[:, 12:], rows, 12), full(small, ids)[:, -1])


@pytest.mark.parametrize("index", [None, [0, 1, 2], [2, 0, 1], [1], [2, 1]])
def test_a_step_of_rows_at_their_own_positions(small: CodeGeeX, index: list[int] | None) -> None:
    """What lies behind a row's position is another run's; nothing of it may be seen."""
    ids = torch.randint(0, 64, (3, 24))
    rows = fresh_rows(small, 3)
    small(torch.randint(0, 64, (3, 24)), rows, 0)
    starts = torch.tensor([5, 17, 9])
    for row, start in enumerate(starts.tolist()):
        one = Rows(
            tuple(layer[row : row + 1] for layer in rows.keys),
            tuple(layer[row : row + 1] for layer in rows.values),
        )
        small(ids[row : row + 1, :start], one, 0)
    expected = full(small, ids)
    chosen = torch.tensor([0, 1, 2] if index is None else index)
    picked = Rows(rows.keys, rows.values, None if index is None else chosen)
    for turn in range(4):
        positions = starts[chosen] + turn
        visible = int(positions.max()) + 1 + turn  # a bucket may be longer than needed
        found = small.step(ids[chosen, positions], positions, picked, visible)
        check(found, expected[chosen, positions])


def test_the_formula(small: CodeGeeX) -> None:
    """The paper's equations written out plainly, without cache or shared code."""
    ids = torch.randint(0, 64, (10,))
    check(full(small, ids.unsqueeze(0))[0], plain_forward(dict(small.state_dict()), ids))


def plain_forward(weights: dict[str, Tensor], ids: Tensor) -> Tensor:
    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        unit = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def layer(x: Tensor, name: str, queries: Tensor | None = None) -> Tensor:
        y = norm(x, f"{name}.input_layernorm")
        q = linear(y if queries is None else queries, f"{name}.attention.query")
        k, v = linear(y, f"{name}.attention.key"), linear(y, f"{name}.attention.value")
        heads = []
        for part in range(SMALL.num_attention_heads):
            columns = slice(part * SMALL.head_dim, (part + 1) * SMALL.head_dim)
            scores = q[:, columns] @ k[:, columns].T / SMALL.head_dim**0.5
            hidden = torch.ones_like(scores).triu(1).bool()
            heads.append(scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v[:, columns])
        x = x + linear(torch.cat(heads, dim=-1), f"{name}.attention.dense")
        inner = linear(norm(x, f"{name}.post_attention_layernorm"), f"{name}.mlp.dense_h_to_4h")
        return x + linear(inner * torch.sigmoid(1.702 * inner), f"{name}.mlp.dense_4h_to_h")

    length = len(ids)
    words = weights["embedding.word_embeddings.weight"]
    x = words[ids] + weights["embedding.position_embeddings.weight"][:length]
    for index in range(SMALL.num_layers):
        x = layer(x, f"transformer.layers.{index}")
    x = norm(x, "transformer.final_layernorm")
    queries = weights["topQueryEmbedding.top_query_embeddings.weight"][:length]
    return layer(x, "transformer.topQueryLayer", queries) @ words.T


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_layernorm_of_half_inputs_is_computed_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (torch.randn(8, 512) * 50 + 300).to(dtype)
    weight, bias = torch.randn(512).to(dtype), torch.randn(512).to(dtype)
    expected = F.layer_norm(x.float(), (512,), weight.float(), bias.float(), 1e-5).to(dtype)
    found = F.layer_norm(x, (512,), weight, bias, 1e-5)
    # Another order of summation may round a value in a thousand to its neighbour.
    assert (found == expected).float().mean() > 0.99
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)


def test_half_precision_gives_float32_logits(golden: CodeGeeX, goldens: Path) -> None:
    vectors = load_file(goldens / "model/quant.safetensors")
    half = CodeGeeX(golden.config)
    half.load_state_dict(golden.state_dict())
    half = half.half().eval()
    rows = fresh_rows(golden)
    half_rows = Rows(
        tuple(row.half() for row in rows.keys), tuple(row.half() for row in rows.values)
    )
    logits = half(vectors["prompt2.input_ids"].unsqueeze(0), half_rows, 0, all_positions=True)
    assert logits.dtype == torch.float32
    check(logits[0], vectors["prompt2.logits_fp16cpu"].float(), atol=0.05)


def test_rows_in_bfloat16_move_the_logits_by_their_rounding(
    golden: CodeGeeX, goldens: Path
) -> None:
    """A large cache on a CPU is kept so; the network computes in float32 all the same."""
    ids = load_file(goldens / "model/logits.safetensors")["prompt5.input_ids"].unsqueeze(0)
    rows = narrowed(fresh_rows(golden), torch.bfloat16)
    found = [golden(ids[:, :40], rows, 0, all_positions=True)]
    found.append(golden(ids[:, 40:60], rows, 40, all_positions=True))
    narrowed_steps = Rows(
        *(tuple(layer.nan_to_num() for layer in kind) for kind in (rows.keys, rows.values))
    )
    for position in range(60, 64):
        at = torch.tensor([position])
        found.append(golden.step(ids[:, position], at, narrowed_steps, 64).unsqueeze(1))
    logits, expected = torch.cat(found, dim=1), full(golden, ids)
    assert logits.dtype == torch.float32
    # Far below what separates tokens, and far above what float32 rows would give.
    off = (logits - expected).abs().max() / expected.std()
    assert 1e-5 < off < 0.1
    assert (logits.argmax(-1) == expected.argmax(-1)).float().mean() > 0.95


def narrowed(rows: Rows, dtype: torch.dtype) -> Rows:
    return Rows(
        tuple(layer.to(dtype) for layer in rows.keys),
        tuple(layer.to(dtype) for layer in rows.values),
    )


@pytest.mark.parametrize(("start", "length"), [(0, 25), (24, 1), (20, 5)])
def test_past_the_position_table(small: CodeGeeX, start: int, length: int) -> None:
    ids = torch.zeros((1, length), dtype=torch.int64)
    with pytest.raises(BadPromptError, match=r"25 positions, and the model has 24\.$"):
        small(ids, fresh_rows(small), start)
