"""An encoder-decoder of the T5 kind (CodeT5, CodeT5+), as the engine runs networks.

transformers has the layers and runs the encoder; the decoder attends here, over the rows of our
cache. A row holds first what every decoder layer reads of the source, then the decoder's own keys
and values, so that branches, batches, beams and giving way are those of every other model:

    positions   0 .. S-1            S .. (S: the decoder's first token)
    a layer     keys and values     keys and values
                of the source       of the decoder

It knows no text, no sampling and no files. An encoder sees its whole source at once: it can't run
in chunks, and a cancel waits until it is through (Raffel et al. 2020, arXiv:1910.10683).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedConfig

from model_runtime.errors import BadPromptError
from model_runtime.networks import transformers_lm
from model_runtime.networks.kv_cache import Points, Rows, Span
from model_runtime.networks.kv_size import NetworkShape


class EncoderDecoder(nn.Module):
    """`t5` is a T5ForConditionalGeneration in eval mode."""

    recordable = False

    def __init__(self, t5: Any) -> None:
        super().__init__()
        self.t5 = t5

    def forward(self, ids: Tensor, rows: Rows, start: int) -> Tensor:
        """Read a source, ids [B, S] at 0, or run the decoder's ids [B, T] from `start` on.

        Gives the float32 logits of the last position [B, V], behind a source none, [B, 0]. Raises
        BadPromptError when the positions run past the rows.
        """
        end = start + ids.shape[1]
        if end > rows.context:
            raise BadPromptError(
                f"The text and the answer need {end} positions, and the model has {rows.context}."
            )
        if start == 0:
            return self._read(ids, rows)
        positions = torch.arange(start, end, device=ids.device).expand(len(ids), -1)
        return self._run(ids, positions, rows, end, Span(rows, start))

    def step(self, ids: Tensor, positions: Tensor, rows: Rows, visible: int) -> Tensor:
        """Run one token a row, ids [B], each at its own of `positions` [B]: the logits [B, V].

        `visible` is more than the largest position; the caller checks that the positions fit.
        """
        place = Points(rows, positions, visible)
        return self._run(ids.unsqueeze(1), positions.unsqueeze(1), rows, visible, place)

    def _read(self, ids: Tensor, rows: Rows) -> Tensor:
        """Keep what the decoder's layers will ask of the source."""
        states = self.t5.encoder(input_ids=ids).last_hidden_state
        place = Span(rows, 0)
        for number, block in enumerate(self.t5.decoder.block):
            attention = block.layer[1].EncDecAttention
            key, value = (self._by_head(part(states)) for part in (attention.k, attention.v))
            place.write(number, key, value)
        rows.sources.fill_(ids.shape[1])
        return torch.empty(len(ids), 0, device=ids.device)

    def _run(
        self, ids: Tensor, positions: Tensor, rows: Rows, visible: int, place: Span | Points
    ) -> Tensor:
        """ids and positions [B, T] with the first `visible` positions of each row in sight."""
        decoder = self.t5.decoder
        sources = rows.sources if rows.index is None else rows.sources[rows.index]
        seen = torch.arange(visible, device=ids.device)
        of_source = (seen < sources.unsqueeze(1)).view(-1, 1, 1, visible)
        behind = (seen > positions.unsqueeze(-1)).unsqueeze(1)
        own = self._bias(seen - positions.unsqueeze(-1)).masked_fill(of_source | behind, -torch.inf)
        other = torch.zeros_like(own[:, :1]).masked_fill(~of_source, -torch.inf)
        x = decoder.embed_tokens(ids)
        for number, block in enumerate(decoder.block):
            itself, across, feed_forward = block.layer
            attention, states = itself.SelfAttention, itself.layer_norm(x)
            key, value = (self._by_head(part(states)) for part in (attention.k, attention.v))
            runs = place.write(number, key, value)
            x = x + self._attend(attention, states, runs, own)
            x = x + self._attend(across.EncDecAttention, across.layer_norm(x), runs, other)
            x = feed_forward(x)
        last = decoder.final_layer_norm(x)[:, -1]
        if self.t5.config.scale_decoder_outputs:
            last = last * self.t5.config.d_model**-0.5
        logits: Tensor = self.t5.lm_head(last)
        return logits.float()

    def _bias(self, distances: Tensor) -> Tensor:
        """The decoder's bias [B, heads, T, visible] for how far a position is away, [B, T, V]."""
        attention = self.t5.decoder.block[0].layer[0].SelfAttention
        buckets = attention._relative_position_bucket(
            distances,
            bidirectional=False,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        bias: Tensor = attention.relative_attention_bias(buckets)
        return bias.permute(0, 3, 1, 2)

    def _attend(
        self, attention: Any, states: Tensor, runs: list[tuple[Tensor, Tensor]], bias: Tensor
    ) -> Tensor:
        """states [B, T, H] ask the keys and values of B rows; T5 doesn't scale its scores."""
        queries = self._by_head(attention.q(states)).to(runs[0][0].dtype)
        bias = bias.to(queries.dtype)
        mixed, first = [], 0
        for keys, values in runs:
            part = slice(first, first + len(keys))
            mixed.append(
                F.scaled_dot_product_attention(
                    queries[part], keys, values, attn_mask=bias[part], scale=1.0
                )
            )
            first += len(keys)
        joined = torch.cat(mixed).transpose(1, 2).flatten(2)
        out: Tensor = attention.o(joined.to(states.dtype))
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        """[B, T, heads * head_dim] to [B, heads, T, head_dim]"""
        return x.view(*x.shape[:2], self.t5.config.num_heads, -1).transpose(1, 2)


def shape(name: str, config: PreTrainedConfig, context: int) -> NetworkShape:
    """Of the network that `config` describes; `name` is for those that can't be served."""
    network = transformers_lm.blank(config, AutoModelForSeq2SeqLM)
    return transformers_lm.counted(
        network,
        linear_layers(network),
        hidden_size=config.d_model,
        vocab_size=config.vocab_size,
        max_position_embeddings=context,
        kv_layers=config.num_decoder_layers,
        kv_heads=config.num_heads,
        head_dim=config.d_kv,
    )


def linear_layers(network: Any) -> dict[str, nn.Linear]:
    """Those whose matrices can be quantized; transformers looks at the type of the one it calls wo,
    which is half of a feed-forward part."""
    found = transformers_lm.linear_layers(network)
    return {name: layer for name, layer in found.items() if not name.endswith(".wo")}
