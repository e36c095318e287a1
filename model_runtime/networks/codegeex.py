"""The CodeGeeX network: a GPT decoder whose last block asks with a learned query per position.

From the paper's section on the model (Zheng et al. 2023, arXiv:2303.17568), and equal to the
published code in float32. It maps token ids to logits and stores keys and values in the rows it is
given; it knows no text, no sampling and no files. Inference only: the engine's thread calls it, in
torch.inference_mode.

    x = word_embeddings[ids] + position_embeddings[pos]
    per layer:  y = LN(x);  x = x + attention(y, y);  x = x + mlp(LN(x))
    x = final_layernorm(x)
    top query layer, the same with queries from top_query_embeddings[pos], keys and values from y
    logits = x @ word_embeddings.T
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from model_runtime.errors import BadPromptError
from model_runtime.networks.kv_cache import Points, Rows, Span


@dataclass(frozen=True, slots=True)
class CodeGeeXConfig:
    """`num_layers` counts the blocks before the top query layer, `vocab_size` the table's rows."""

    hidden_size: int
    num_layers: int
    num_attention_heads: int
    vocab_size: int
    max_position_embeddings: int
    layernorm_epsilon: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def kv_layers(self) -> int:
        """The top query layer has keys and values too."""
        return self.num_layers + 1

    @property
    def kv_heads(self) -> int:
        return self.num_attention_heads

    @property
    def linear_parameters(self) -> int:
        return self.kv_layers * 12 * self.hidden_size**2

    @property
    def linear_rows(self) -> int:
        return self.kv_layers * 9 * self.hidden_size

    @property
    def other_parameters(self) -> int:
        """A block has biases of 4 + 4 + 1 and two layernorms; the final layernorm is one more."""
        tables = self.vocab_size + 2 * self.max_position_embeddings
        return (tables + self.kv_layers * 13 + 2) * self.hidden_size

    @property
    def largest_matrix(self) -> int:
        """An MLP's."""
        return 4 * self.hidden_size**2


@dataclass(frozen=True, slots=True)
class Cached:
    """Where one layer's keys and values go and what its queries may see.

    `mask` is True where visible, or 0 there and -inf elsewhere, and goes with any shape that
    spreads to [B, heads, queries, positions]; None shows everything, or with `causal` each query
    its own position and those before it.
    """

    place: Span | Points
    layer: int
    mask: Tensor | None = None
    causal: bool = False


class Attention(nn.Module):
    def __init__(self, config: CodeGeeXConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.dense = nn.Linear(size, size)

    def forward(self, queries: Tensor, states: Tensor, cached: Cached) -> Tensor:
        """queries [B, Q, H] attend to states [B, T, H] and all cached before; gives [B, Q, H]."""
        runs = cached.place.write(
            cached.layer, self._by_head(self.key(states)), self._by_head(self.value(states))
        )
        # Keys and values may be kept in fewer bits; to widen them all would cost more than
        # to narrow the queries.
        asking = self._by_head(self.query(queries)).to(runs[0][0].dtype)
        mixed = _attend(asking, runs, cached)
        out: Tensor = self.dense(mixed.transpose(1, 2).flatten(2).to(states.dtype))
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        """[B, T, H] to [B, heads, T, head_dim]"""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _attend(queries: Tensor, runs: list[tuple[Tensor, Tensor]], cached: Cached) -> Tensor:
    """[B, heads, Q, head_dim] from B rows; rows that lie apart run by run, each with its mask."""
    if len(runs) == 1:
        ((keys, values),) = runs
        return F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=cached.mask, is_causal=cached.causal
        )
    mixed, first = [], 0
    for keys, values in runs:
        part = slice(first, first + len(keys))
        mask = None if cached.mask is None else cached.mask[part]
        mixed.append(F.scaled_dot_product_attention(queries[part], keys, values, attn_mask=mask))
        first += len(keys)
    return torch.cat(mixed)


class FeedForward(nn.Module):
    def __init__(self, config: CodeGeeXConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.dense_h_to_4h = nn.Linear(size, 4 * size)
        self.dense_4h_to_h = nn.Linear(4 * size, size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dense_4h_to_h(fast_gelu(self.dense_h_to_4h(x)))
        return out


class Block(nn.Module):
    """One pre-norm layer. torch's LayerNorm computes in float32 for half inputs too."""

    def __init__(self, config: CodeGeeXConfig) -> None:
        super().__init__()
        norm = config.hidden_size, config.layernorm_epsilon
        self.input_layernorm = nn.LayerNorm(*norm)
        self.attention = Attention(config)
        self.post_attention_layernorm = nn.LayerNorm(*norm)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, cached: Cached) -> Tensor:
        """[B, T, H] to [B, T, H]"""
        states = self.input_layernorm(x)
        return self._add_mlp(x + self.attention(states, states, cached))

    def ask(self, queries: Tensor, x: Tensor, cached: Cached) -> Tensor:
        """The top query layer's way: queries [B, Q, H] for the last Q of x [B, T, H]; [B, Q, H]."""
        attended = self.attention(queries, self.input_layernorm(x), cached)
        return self._add_mlp(x[:, -queries.shape[1] :] + attended)

    def _add_mlp(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Table(nn.Embedding):
    """An embedding that starts uniform: for normal values on the meta device, where assembly.py
    builds the network, torch imports its compiler, which takes 1.2 s."""

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.weight, -1.0, 1.0)


class Embedding(nn.Module):
    def __init__(self, config: CodeGeeXConfig) -> None:
        super().__init__()
        self.word_embeddings = Table(config.vocab_size, config.hidden_size)
        self.position_embeddings = Table(config.max_position_embeddings, config.hidden_size)


class TopQueryEmbedding(nn.Module):
    def __init__(self, config: CodeGeeXConfig) -> None:
        super().__init__()
        self.top_query_embeddings = Table(config.max_position_embeddings, config.hidden_size)


class Transformer(nn.Module):
    def __init__(self, config: CodeGeeXConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, config.layernorm_epsilon)
        self.topQueryLayer = Block(config)


class CodeGeeX(nn.Module):
    """The names of the parts are the published checkpoint's, so that its keys load as they are."""

    recordable = True

    def __init__(self, config: CodeGeeXConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config)
        self.topQueryEmbedding = TopQueryEmbedding(config)
        self.transformer = Transformer(config)
        self.head: nn.Module | None = None
        """Multiplies with the table of words, where there is something quicker than the table."""

    def forward(
        self, ids: Tensor, rows: Rows, start: int, *, all_positions: bool = False
    ) -> Tensor:
        """Run ids [B, T] at positions start .. start+T-1 on top of what `rows` hold before them.

        Writes their keys and values to `rows` (B of them) and gives the float32 logits of the last
        position [B, V], or with `all_positions` of each [B, T, V]. Raises BadPromptError when the
        positions run past the table or the rows.
        """
        length = ids.shape[1]
        self._check_fits(start + length, rows)
        place = rows.span(start)
        positions = slice(start, start + length)
        mask = _causal_mask(start, length, ids.device) if start > 0 and length > 1 else None
        causal = start == 0 and length > 1

        x = self._embed(ids, self.embedding.position_embeddings.weight[positions])
        x = self._blocks(x, place, mask, causal)
        queries = self.topQueryEmbedding.top_query_embeddings.weight[positions]
        top = len(self.transformer.layers)
        if all_positions:
            cached = Cached(place, top, mask, causal)
        else:
            # Only the last position's logits are wanted: the others need their keys and values in
            # the cache, but neither a query nor the MLP. It sees everything, so no mask.
            queries = queries[-1:]
            cached = Cached(place, top)
        logits = self._logits(queries.expand(ids.shape[0], -1, -1), x, cached)
        return logits if all_positions else logits[:, -1]

    def step(self, ids: Tensor, positions: Tensor, rows: Rows, visible: int) -> Tensor:
        """Run one token a row, each at its row's own position: the float32 logits [B, V].

        ids [B] and positions [B] are int64 on the device; `rows` are B. Attention reads the first
        `visible` positions of every row, which must be more than the largest of `positions`, and
        masks those behind each row's own. Nothing here depends on what the tensors hold, so that a
        CUDA graph can replay it; the caller checks that the positions fit. Rows that stand at one
        known position are 4 % faster on a CPU with forward(), which needs no mask.
        """
        place = Points(rows, positions, visible)
        # Made once as numbers: from True and False every layer would make them again.
        behind = torch.arange(visible, device=ids.device) > positions.unsqueeze(1)
        mask = torch.zeros(behind.shape, dtype=rows.keys[0].dtype, device=ids.device)
        mask = mask.masked_fill_(behind, -torch.inf).view(-1, 1, 1, visible)
        at = self.embedding.position_embeddings(positions).unsqueeze(1)
        x = self._blocks(self._embed(ids.unsqueeze(1), at), place, mask)
        queries = self.topQueryEmbedding.top_query_embeddings(positions).unsqueeze(1)
        cached = Cached(place, len(self.transformer.layers), mask)
        return self._logits(queries, x, cached)[:, -1]

    def _embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        x: Tensor = self.embedding.word_embeddings(ids) + positions
        return x

    def _blocks(
        self, x: Tensor, place: Span | Points, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        for index, layer in enumerate(self.transformer.layers):
            x = layer(x, Cached(place, index, mask, causal))
        normed: Tensor = self.transformer.final_layernorm(x)
        return normed

    def _logits(self, queries: Tensor, x: Tensor, cached: Cached) -> Tensor:
        x = self.transformer.topQueryLayer.ask(queries, x, cached)
        if self.head is not None:
            logits: Tensor = self.head(x)
            return logits
        return F.linear(x, self.embedding.word_embeddings.weight).float()

    def _check_fits(self, end: int, rows: Rows) -> None:
        limit = min(self.config.max_position_embeddings, rows.context)
        if end > limit:
            raise BadPromptError(
                f"The prompt and its continuation need {end} positions, and the model has {limit}."
            )


def fast_gelu(x: Tensor) -> Tensor:
    """The paper's GELU: x * sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


def _causal_mask(start: int, length: int, device: torch.device) -> Tensor:
    """[length, start + length], True where the query at start + row may see the column."""
    shape = (length, start + length)
    return torch.ones(shape, dtype=torch.bool, device=device).tril(diagonal=start)
