"""Which slot a prompt gets, how much of it is re-used, and that re-use changes no result."""

from __future__ import annotations

import pytest
import torch

from model_runtime.device.system_memory import resident_bytes
from model_runtime.errors import BadPromptError
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.kv_cache import FORGOTTEN_AFTER, KVCache, Slot

CONFIG = CodeGeeXConfig(
    hidden_size=32, num_layers=2, num_attention_heads=4, vocab_size=64, max_position_embeddings=32
)


def new_cache(slots: int = 2, branches: int = 3) -> KVCache:
    return KVCache(
        layers=CONFIG.num_layers + 1,
        heads=CONFIG.num_attention_heads,
        head_dim=CONFIG.head_dim,
        context=CONFIG.max_position_embeddings,
        slots=slots,
        branches=branches,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )


def visit(cache: KVCache, ids: list[int]) -> Slot:
    """One request from beginning to end."""
    slot = hold(cache, ids)
    slot.release()
    return slot


def hold(cache: KVCache, ids: list[int]) -> Slot:
    slot = cache.acquire(ids)
    assert slot is not None
    slot.append(ids[slot.reused :])
    return slot


# --- slots ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "ids", "reused"),
    [
        ([1, 2, 3], [1, 2, 3, 4], 3),  # typed on
        ([1, 2, 3, 4], [1, 2, 3, 4], 3),  # the same again: one token is always run
        ([1, 2, 3, 4, 5, 6], [1, 2, 3], 2),  # deleted
        ([1, 2, 3, 4], [1, 2, 9, 9], 2),  # changed
        ([1, 2, 3], [7, 8], 0),
        ([1, 2], [1], 0),
    ],
)
def test_reused_prefix(before: list[int], ids: list[int], reused: int) -> None:
    cache = new_cache(slots=1)
    visit(cache, before)
    slot = cache.acquire(ids)
    assert slot is not None
    assert slot.reused == reused
    assert slot.tokens == ids[:reused]


def test_the_slot_with_the_longest_prefix_wins() -> None:
    cache = new_cache()
    first, second = hold(cache, [1, 2, 3]), hold(cache, [1, 2, 4, 5])
    first.release()
    second.release()
    assert visit(cache, [1, 2, 4, 5, 6]) is second
    assert visit(cache, [1, 2, 3, 9]) is first


def test_a_prefix_of_little_worth_does_not_cost_another_document_its_slot() -> None:
    cache = new_cache()
    tag = [1]
    visit(cache, [2, 2, 2])
    long = visit(cache, tag + [7] * 20)
    assert visit(cache, tag + [8] * 20) is not long
    assert visit(cache, tag + [7] * 21).reused == 21


def test_without_a_common_prefix_the_least_recently_used_goes() -> None:
    cache = new_cache()
    first, second = visit(cache, [1, 1]), visit(cache, [2, 2])
    visit(cache, [1, 1])
    assert visit(cache, [3, 3]) is second
    assert visit(cache, [4, 4]) is first


def test_slots_in_use_are_not_given_away() -> None:
    cache = new_cache()
    first = hold(cache, [1, 2, 3])
    second = hold(cache, [1, 2, 3])
    assert first is not second
    assert second.reused == 0
    assert cache.acquire([1, 2, 3]) is None
    second.release()
    again = cache.acquire([1, 2, 3, 4])
    assert again is second
    assert again.reused == 3


@pytest.mark.parametrize("ids", [[], [0] * 33])
def test_prompts_that_cannot_fit(ids: list[int]) -> None:
    with pytest.raises(BadPromptError, match=f"has {len(ids)} tokens; it must have 1 to 32"):
        new_cache().acquire(ids)


def test_appending_past_the_context_changes_nothing() -> None:
    slot = hold(new_cache(), [1] * 30)
    slot.append([2, 2])
    with pytest.raises(BadPromptError, match="need 33 positions, and the model has 32"):
        slot.append([3])
    assert slot.tokens == [1] * 30 + [2, 2]


def test_memory() -> None:
    assert new_cache(slots=2, branches=3).bytes == 2 * 3 * 5 * 4 * 32 * 8 * 4


# --- memory in use ----------------------------------------------------------------------------

MIB = 2**20


def large_cache() -> KVCache:
    """4 rows of 512 positions, 3 MiB each: 6 GiB if all of it were written."""
    return KVCache(
        layers=24,
        heads=16,
        head_dim=1024,
        context=512,
        slots=2,
        branches=2,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )


def grown_mib(before: int) -> int:
    return ((resident_bytes() or 0) - before) // MIB


def fill(cache: KVCache, ids: list[int]) -> Slot:
    """As a network does that runs `ids`."""
    slot = hold(cache, ids)
    for tensor in (*slot.rows.keys, *slot.rows.values):
        tensor[:, :, : len(ids)] = 1.0
    return slot


@pytest.mark.skipif(resident_bytes() is None, reason="the system doesn't tell what is resident")
def test_memory_is_taken_as_it_is_written_and_given_back() -> None:
    """24 layers of 16 heads: 3 MiB a token."""
    before = resident_bytes() or 0
    cache = large_cache()
    assert grown_mib(before) < 10
    first = fill(cache, [1] * 40)
    assert 110 < grown_mib(before) < 140
    branches = cache.branch(first, 2)
    assert branches is not None
    assert 350 < grown_mib(before) < 380
    cache.give_back(branches)
    assert 110 < grown_mib(before) < 140
    first.release()
    for _ in range(FORGOTTEN_AFTER):
        visit(cache, [2])
    assert grown_mib(before) < 20
    assert visit(cache, [1] * 40).reused == 0


@pytest.mark.skipif(resident_bytes() is None, reason="the system doesn't tell what is resident")
def test_a_short_text_gives_back_what_a_long_one_took() -> None:
    before = resident_bytes() or 0
    cache = KVCache(
        layers=4,
        heads=4,
        head_dim=1024,
        context=4096,
        slots=1,
        branches=0,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    fill(cache, [1] * 1000).release()
    assert 120 < grown_mib(before) < 140
    fill(cache, [1] * 1001).release()
    assert 120 < grown_mib(before) < 140
    slot = fill(cache, [1] * 200)
    assert slot.reused == 199
    assert 20 < grown_mib(before) < 40
    assert slot.rows.keys[3][0, 3, 199, 5] == slot.rows.values[0][0, 0, 0, 0] == 1


# --- branches ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 4])
def test_only_the_branches_there_are(count: int) -> None:
    cache = new_cache(branches=3)
    slot = hold(cache, [1, 2])
    with pytest.raises(BadPromptError, match=f"{count} candidates were asked for; at most 3"):
        cache.branch(slot, count)


def test_branch_rows_are_given_once_until_they_are_back() -> None:
    cache = new_cache(branches=3)
    slot = hold(cache, [1, 2])
    first = cache.branch(slot, 2)
    assert first == [2, 3]
    assert cache.branch(slot, 2) is None
    assert cache.branch(slot, 1) == [4]
    cache.give_back(first)
    assert cache.branch(slot, 2) == first


# --- with the network: a hit changes no result ------------------------------------------------


@pytest.fixture(scope="module")
def network() -> CodeGeeX:
    torch.manual_seed(11)
    return CodeGeeX(CONFIG).requires_grad_(False).eval()


def run(network: CodeGeeX, cache: KVCache, ids: list[int]) -> tuple[torch.Tensor, int]:
    slot = cache.acquire(ids)
    assert slot is not None
    logits = network(torch.tensor([ids[slot.reused :]]), slot.rows, slot.reused)
    slot.append(ids[slot.reused :])
    slot.release()
    return logits, slot.reused


def test_a_hit_gives_the_same_logits_as_a_fresh_run(network: CodeGeeX) -> None:
    cache = new_cache(slots=2)
    text = torch.randint(0, 64, (30,)).tolist()
    for ids in (text[:20], text[:21], text[:25], [5, *text], text[:15], [5, *text[:10]], text):
        logits, _ = run(network, cache, ids)
        expected, reused = run(network, new_cache(), ids)
        assert reused == 0
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    assert run(network, cache, text)[1] == 29


def test_branches_continue_alone_and_leave_the_slot(network: CodeGeeX) -> None:
    cache = new_cache(branches=3)
    prompt = torch.randint(0, 64, (10,)).tolist()
    slot = cache.acquire(prompt)
    assert slot is not None
    network(torch.tensor([prompt]), slot.rows, 0)
    slot.append(prompt)
    numbers = cache.branch(slot, 3)
    assert numbers is not None
    rows = cache.rows(numbers)
    continuations = torch.tensor([[1, 2], [3, 4], [5, 6]])
    for step in range(2):
        logits = network(continuations[:, step : step + 1], rows, 10 + step)
    for row, continuation in enumerate(continuations.tolist()):
        expected, _ = run(network, new_cache(), prompt + continuation)
        torch.testing.assert_close(logits[row : row + 1], expected, atol=1e-5, rtol=0)
    slot.release()
    again, reused = run(network, cache, [*prompt, 9])
    assert reused == 10
    expected, _ = run(network, new_cache(), [*prompt, 9])
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=0)
