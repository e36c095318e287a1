"""Triton's programs in its interpreter, as a process of its own: it is chosen when they are made.

Prints a line a case: kernel, type, weight rows, columns, inputs, and the error of the product as a
share of its norm, against float64.
"""

from __future__ import annotations

import os
import sys

os.environ["TRITON_INTERPRET"] = "1"

import torch

from model_runtime.networks.kernels.triton import TritonInt4, TritonInt8
from model_runtime.networks.quantization import Int8Matrix, quantize_int4, quantize_int8

# CodeGeeX-13B's columns by a few of its rows, then odd sizes and torn groups.
SHAPES = [(32, 5120), (4, 20480), (64, 128), (5, 7), (33, 1100), (7, 2112)]
INPUTS = {(64, 128): range(1, 18), (33, 1100): (1, 2, 16, 17, 40)}
FEW = (1, 8)


def main() -> None:
    kernel, dtype = sys.argv[1], getattr(torch, sys.argv[2])
    make = {"int8": int8, "int4": int4}[kernel]
    for rows, columns in SHAPES:
        generator = torch.Generator().manual_seed(rows)
        weight = torch.randn(rows, columns, generator=generator).half()
        weight[0] = 0
        product, exact = make(weight)
        bias = torch.randn(rows, generator=generator).to(dtype)
        for count in INPUTS.get((rows, columns), FEW):
            # The interpreter's own dot takes bfloat16's bits for integers.
            if dtype == torch.bfloat16 and 1 < count <= 16:
                continue
            x = torch.randn(count, columns, generator=generator).to(dtype)
            expected = x.double() @ exact.double().T + bias.double()
            error = (product(x, bias).double() - expected).norm() / expected.norm()
            print(kernel, sys.argv[2], rows, columns, count, float(error))


def int8(weight: torch.Tensor) -> tuple[TritonInt8, torch.Tensor]:
    matrix = Int8Matrix(*quantize_int8(weight))
    return TritonInt8(matrix), matrix.codes.double() * matrix.scale.double().unsqueeze(1)


def int4(weight: torch.Tensor) -> tuple[TritonInt4, torch.Tensor]:
    matrix = quantize_int4(weight)
    return TritonInt4(matrix), matrix.dequantized()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
