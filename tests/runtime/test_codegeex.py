"""The network against the published code, and against itself: cached, chunked, batched."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from golden_model import GoldenModel, longest, prompts
from networks import blank_rows
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
def golden(golden_model: GoldenModel) -> CodeGeeX:
    """The published code's tiny model, from its own checkpoint layout."""
    return golden_model.network()


def fresh_rows(network: CodeGeeX, batch: int = 1) -> Rows:
    """Rows full of NaN: reading a position nobody wrote shows."""
    return blank_rows(network.config, batch, torch.nan)


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


def assert_near(found: Tensor, expected: Tensor, atol: float = 1e-4) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


# --- against the published code ---------------------------------------------------------------


def test_full_forward(golden_model: GoldenModel, golden: CodeGeeX) -> None:
    vectors = golden_model.vectors("logits")
    for name in prompts(vectors):
        ids = torch.atleast_2d(vectors[f"{name}.input_ids"])
        found = full(golden, ids)
        assert_near(found, vectors[f"{name}.logits"].view_as(found))
        assert_near(golden(ids, fresh_rows(golden, len(ids)), 0), found[:, -1])


def test_prefill_then_single_steps(golden_model: GoldenModel, golden: CodeGeeX) -> None:
    vectors = golden_model.vectors("incremental")
    for case in prompts(vectors):
        ids = vectors[f"{case}.input_ids"].unsqueeze(0)
        prefill = int(vectors[f"{case}.n_prefill"])
        sizes = [prefill] + [1] * (ids.shape[1] - prefill)
        assert_near(in_chunks(golden, ids, sizes)[0], vectors[f"{case}.logits"])


def test_keys_and_values_of_every_layer(golden_model: GoldenModel, golden: CodeGeeX) -> None:
    vectors = golden_model.vectors("incremental")
    ids = vectors["case0.input_ids"].unsqueeze(0)
    rows = fresh_rows(golden)
    golden(ids, rows, 0)
    for layer, name in enumerate(
        [*(f"layer{index}" for index in range(golden.config.num_layers)), "top_query"]
    ):
        for kind, stored in (("key", rows.keys), ("value", rows.values)):
            found = stored[layer][0, :, : ids.shape[1]].transpose(0, 1)
            assert_near(found, vectors[f"case0.past.{name}.{kind}"])


def test_hidden_states(golden_model: GoldenModel, golden: CodeGeeX) -> None:
    vectors = golden_model.vectors("hidden")
    ids = vectors["input_ids"].unsqueeze(0)
    # The top query layer isn't called as a module; what it gives is seen in the logits.
    others = ("fast_gelu.", "input_ids", "top_query_layer.output")
    names = [name for name in vectors if not name.startswith(others)]
    found = record_hidden(golden, ids, names)
    assert found.keys() == set(names)
    for name, state in found.items():
        assert_near(state, vectors[name])


def record_hidden(network: CodeGeeX, ids: Tensor, names: list[str]) -> dict[str, Tensor]:
    """What the modules of the goldens' names give, and the two that are inputs of modules."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: found.__setitem__(name, output[0])

    def keep_input(name: str) -> Callable[..., None]:
        return lambda _module, inputs: found.__setitem__(name, inputs[0][0])

    blocks = network.transformer
    inputs: dict[str, Any] = {
        "embedding": blocks.layers[0],
        "top_query_embedding": blocks.topQueryLayer.attention.query,
    }
    hooks = [module.register_forward_pre_hook(keep_input(name)) for name, module in inputs.items()]
    for name in names:
        if name not in inputs and name != "logits":
            path = re.sub(r"^layer(\d+)", r"layers.\1", name).removesuffix(".output")
            module = blocks.get_submodule(path.replace("top_query_layer", "topQueryLayer"))
            hooks.append(module.register_forward_hook(keep(name)))
    found["logits"] = full(network, ids)[0]
    for hook in hooks:
        hook.remove()
    return found


def test_fast_gelu(golden_model: GoldenModel) -> None:
    vectors = golden_model.vectors("hidden")
    assert_near(fast_gelu(vectors["fast_gelu.x"]), vectors["fast_gelu.y"], atol=1e-5)


def test_greedy_tokens(golden_model: GoldenModel, golden: CodeGeeX) -> None:
    """Token for token, with the cache and without it."""
    for wanted in golden_model.rules("greedy"):
        starts = wanted.get("batch_prompts") or [wanted["prompt"]]
        outputs = wanted.get("batch_tokens") or [wanted["tokens"]]
        for prompt, output in zip(starts, outputs, strict=True):
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
        assert_near(in_chunks(small, ids, [first, 24 - first]), expected)


@pytest.mark.parametrize("sizes", [[1, 7, 1, 8, 7], [5] * 4 + [4], [1] * 24, [23, 1], [3, 21]])
def test_chunks_of_any_size(small: CodeGeeX, sizes: list[int]) -> None:
    ids = torch.randint(0, 64, (2, 24))
    assert_near(in_chunks(small, ids, sizes), full(small, ids))


def test_every_split_on_the_published_weights(golden: CodeGeeX, golden_model: GoldenModel) -> None:
    vectors = golden_model.vectors("logits")
    prompt = longest(vectors)
    ids, expected = vectors[f"{prompt}.input_ids"].unsqueeze(0), vectors[f"{prompt}.logits"]
    for first in range(1, ids.shape[1]):
        assert_near(in_chunks(golden, ids, [first, ids.shape[1] - first])[0], expected)


def test_the_last_position_alone_is_the_last_of_all(small: CodeGeeX) -> None:
    ids = torch.randint(0, 64, (2, 20))
    rows = fresh_rows(small, 2)
    expected = full(small, ids)
    assert_near(small(ids[:, :9], rows, 0), expected[:, 8])
    assert_near(small(ids[:, 9:19], rows, 9), expected[:, 18])
    assert_near(small(ids[:, 19:], rows, 19), expected[:, 19])


def test_rows_do_not_see_each_other(small: CodeGeeX) -> None:
    ids = torch.randint(0, 64, (3, 12))
    together = full(small, ids)
    for index in range(3):
        assert_near(together[index], full(small, ids[index : index + 1])[0])


def test_later_tokens_do_not_change_earlier_logits(small: CodeGeeX) -> None:
    ids = torch.randint(0, 64, (1, 16))
    changed = ids.clone()
    changed[0, 10:] = (changed[0, 10:] + 1) % 64
    assert_near(full(small, ids)[:, :10], full(small, changed)[:, :10])


def test_overwriting_what_a_longer_run_left(small: CodeGeeX) -> None:
    """A rejected draft leaves its keys behind; running on from before it must not see them."""
    ids = torch.randint(0, 64, (1, 20))
    rows = fresh_rows(small)
    small(torch.randint(0, 64, (1, 24)), rows, 0)
    small(ids[:, :12], rows, 0)
    assert_near(small(ids[:, 12:], rows, 12), full(small, ids)[:, -1])


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
        assert_near(found, expected[chosen, positions])


def test_the_formula(small: CodeGeeX) -> None:
    """The paper's equations written out plainly, without cache or shared code."""
    ids = torch.randint(0, 64, (10,))
    assert_near(full(small, ids.unsqueeze(0))[0], plain_forward(dict(small.state_dict()), ids))


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


def test_half_precision_gives_float32_logits(golden_model: GoldenModel) -> None:
    vectors, half = golden_model.vectors("quant"), golden_model.network().half()
    for prompt in prompts(vectors):
        rows = narrowed(fresh_rows(half), torch.float16)
        ids = vectors[f"{prompt}.input_ids"].unsqueeze(0)
        logits = half(ids, rows, 0, all_positions=True)
        assert logits.dtype == torch.float32
        assert_near(logits[0], vectors[f"{prompt}.logits_fp16cpu"].float(), atol=0.05)


def test_rows_in_bfloat16_move_the_logits_by_their_rounding(
    golden: CodeGeeX, golden_model: GoldenModel
) -> None:
    """A large cache on a CPU is kept so; the network computes in float32 all the same."""
    vectors = golden_model.vectors("logits")
    ids = vectors[f"{longest(vectors)}.input_ids"].unsqueeze(0)
    length = ids.shape[1]
    cut, steps = length // 2, length - 4
    rows = narrowed(fresh_rows(golden), torch.bfloat16)
    found = [golden(ids[:, :cut], rows, 0, all_positions=True)]
    found.append(golden(ids[:, cut:steps], rows, cut, all_positions=True))
    narrowed_steps = Rows(
        *(tuple(layer.nan_to_num() for layer in kind) for kind in (rows.keys, rows.values))
    )
    for position in range(steps, length):
        at = torch.tensor([position])
        found.append(golden.step(ids[:, position], at, narrowed_steps, length).unsqueeze(1))
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
