"""How the matrices of Linear layers can be kept in memory, as words; no torch.

quantization.py and bitsandbytes_linear.py make them so, kv_size.py and the folders count with it.
"""

from __future__ import annotations

from enum import StrEnum

# One outlier spoils the 63 weights beside it instead of its whole row; INT4's scales cost 6 %.
GROUP = 64
# Fewer weights than this in a network's Linear layers and INT8 is slower than float32, because a
# quantized layer costs more operators. 28 M, a step of 1 and of 8 tokens and a prompt of 400, ms
# float32 | INT8 on one core: 18 | 17, 40 | 21, 310 | 255; the embedded 4 M gain nothing.
FEWEST_WORTH_QUANTIZED = 16_000_000


class Precision(StrEnum):
    """What a model folder can store."""

    FLOAT16 = "float16"
    INT8 = "int8"
    INT4 = "int4"


class BitsAndBytes(StrEnum):
    """Ways to keep a matrix that the library has and no model folder is stored in."""

    LLM_INT8 = "llm.int8"
    NF4 = "nf4"


Kept = Precision | BitsAndBytes
ALL_KEPT: tuple[Kept, ...] = (*Precision, *BitsAndBytes)
