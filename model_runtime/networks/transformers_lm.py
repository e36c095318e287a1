"""A decoder-only network of transformers, as the engine runs networks.

transformers computes; where keys and values lie, which positions there are and what each may see is
said here, so that prefix re-use, branches, batches and beams are those of every other model. It
knows no text, no sampling and no files.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Cache, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from model_runtime.errors import BadPromptError, WeightsError
from model_runtime.networks.kv_cache import Points, Rows, Span
from model_runtime.networks.kv_size import NetworkShape

# Layers that keep keys and values of every position, or of the last ones.
KINDS_OF_ATTENTION = {"full_attention", "sliding_attention"}


class TransformersLM(nn.Module):
    """`lm` is a causal language model of transformers in eval mode."""

    # transformers looks at tensors' values now and then.
    recordable = False

    def __init__(self, lm: Any) -> None:
        super().__init__()
        self.lm = lm
        # transformers 5.24 gave it another name, and warns of the old one.
        names = inspect.signature(lm.forward).parameters
        self._cache = "cache" if "cache" in names else "past_key_values"

    def forward(
        self, ids: Tensor, rows: Rows, start: int, *, all_positions: bool = False
    ) -> Tensor:
        """Run ids [B, T] at positions start .. start+T-1 on top of what `rows` hold before them.

        Gives the float32 logits of the last position [B, V], or with `all_positions` of each
        [B, T, V]. Raises BadPromptError when the positions run past the rows.
        """
        count, length = ids.shape
        end = start + length
        if end > rows.context:
            raise BadPromptError(
                f"The prompt and its continuation need {end} positions, "
                f"and the model has {rows.context}."
            )
        positions = torch.arange(start, end, device=ids.device).expand(count, -1)
        logits = self._run(ids, positions, end, Span(rows, start), 0 if all_positions else 1)
        return logits if all_positions else logits[:, -1]

    def step(self, ids: Tensor, positions: Tensor, rows: Rows, visible: int) -> Tensor:
        """Run one token a row, ids [B], each at its own of `positions` [B]: the logits [B, V].

        `visible` is more than the largest position; the caller checks that the positions fit.
        """
        place = Points(rows, positions, visible)
        return self._run(ids.unsqueeze(1), positions.unsqueeze(1), visible, place, 1)[:, -1]

    def _run(
        self, ids: Tensor, positions: Tensor, visible: int, place: Span | Points, last: int
    ) -> Tensor:
        """The logits of the `last` positions, of all where it is 0."""
        # Given as numbers, [B, 1, T, visible], transformers makes no mask of its own.
        behind = torch.arange(visible, device=ids.device) > positions.unsqueeze(-1)
        mask = torch.zeros(behind.shape, dtype=self.lm.dtype, device=ids.device)
        mask = mask.masked_fill_(behind, -torch.inf).unsqueeze(1)
        logits: Tensor = self.lm(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask,
            use_cache=True,
            logits_to_keep=last,
            **{self._cache: _Placed(place)},
        ).logits
        return logits.float()


class _Placed(Cache):
    """transformers' idea of a cache, over the rows of ours."""

    def __init__(self, place: Span | Points) -> None:
        super().__init__(layers=[])
        self._place = place

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store [B, heads, T, head_dim]; everything up to their end, in the dtype they came in."""
        runs = self._place.write(layer_idx, key_states, value_states)
        keys, values = (
            one[0] if len(one) == 1 else torch.cat(one) for one in zip(*runs, strict=True)
        )
        return keys.to(key_states.dtype), values.to(value_states.dtype)


def served_context(config: PreTrainedConfig) -> int:
    """Positions that can be served as the network was trained.

    Up to the length of a sliding window every position sees all before it; up to the length a
    stretched rotary embedding was made from, its angles don't change as the text grows.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    limits = [
        config.max_position_embeddings,
        getattr(config, "sliding_window", None),
        rope.get("original_max_position_embeddings")
        if rope.get("rope_type") == "longrope"
        else None,
    ]
    return min(int(limit) for limit in limits if limit)


def shape(name: str, config: PreTrainedConfig, context: int) -> NetworkShape:
    """Of the network that `config` describes. Raises WeightsError for one that can't be served."""
    refuse_what_cannot_be_served(name, config)
    network = blank(config, AutoModelForCausalLM)
    heads = config.num_attention_heads
    kv_heads = 1 if getattr(config, "multi_query", False) else heads
    return counted(
        network,
        linear_layers(network),
        hidden_size=config.hidden_size,
        vocab_size=config.vocab_size,
        max_position_embeddings=min(context, served_context(config)),
        kv_layers=config.num_hidden_layers,
        kv_heads=getattr(config, "num_key_value_heads", None) or kv_heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
    )


def counted(network: nn.Module, layers: Mapping[str, nn.Linear], **sizes: int) -> NetworkShape:
    """The shape with these `sizes`; `layers` are those whose matrices can be quantized."""
    linear = [layer.weight for layer in layers.values()]
    total = sum(parameter.numel() for parameter in network.parameters())
    return NetworkShape(
        **sizes,
        linear_parameters=(quantizable := sum(weight.numel() for weight in linear)),
        linear_rows=sum(weight.shape[0] for weight in linear),
        other_parameters=total - quantizable,
        largest_matrix=max((weight.numel() for weight in linear), default=0),
    )


def refuse_what_cannot_be_served(name: str, config: PreTrainedConfig) -> None:
    """Raises WeightsError for another kind of network than a decoder with one cache of keys."""
    kind = config.model_type
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or config.is_encoder_decoder:
        raise WeightsError(
            f'{name} is a "{kind}" network, which can\'t be served as a decoder-only model; '
            "see codegeex-lsp models list for those that can."
        )
    odd = set(getattr(config, "layer_types", None) or ()) - KINDS_OF_ATTENTION
    if odd or hasattr(config, "kv_lora_rank") or not getattr(config, "num_attention_heads", 0):
        what = f" ({', '.join(sorted(odd))})" if odd else ""
        raise WeightsError(
            f'{name} is a "{kind}" network, whose attention{what} can\'t be cached position by '
            "position; use another model of codegeex-lsp models list."
        )


def blank(config: PreTrainedConfig, kind: Any) -> nn.Module:
    """The network without storage: shapes only. `kind` is one of transformers' AutoModels."""
    with torch.device("meta"):
        network: nn.Module = kind.from_config(config)
    return network


def linear_layers(network: Any) -> dict[str, nn.Linear]:
    """Those whose matrices can be quantized: not the head, which often is the table of words."""
    head = network.get_output_embeddings()
    return {
        name: part
        for name, part in network.named_modules()
        if type(part) is nn.Linear and part is not head
    }
